"""All that the report of a matching shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.matching.allocation import Matching
from micromega.solvers.matching.orders import Measure, OrdersGame
from micromega.solvers.plan import Certificate

MEASURE_WORDS = {"spending": "total expenditure (GT)", "frequency": "purchase frequency (FMC)"}
MATCHING_LIMITS = (
    "A customer who buys a lot is taken for one whom others would follow: the orders say nothing of an audience.",
    "Lists hold what a customer bought already; nobody is matched with a product that is new to them.",
    "All merchants rank customers by one number, so that there is one stable matching.",
    "Quotas follow sales; the document assigns those of products by hand.",
)
"""What every report of a matching must admit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """The game by one measure, and its matching.

    Attributes:
        measure: of reputations and lists.
        game: from orders.
        matching: stable.
        choices: place of what each creator got on the own list, 1 the first, 0 without, (C,).
        satisfaction: sum over creators of 1 for the first choice, falling evenly to 1 / length; None: not asked.
        best_satisfaction: the largest sum that quotas allow, stable or not; None: not asked.
        most_matched: creators with a product in that allocation; None: not asked.
    """

    measure: Measure
    game: OrdersGame
    matching: Matching
    choices: NDArray[np.int64]
    satisfaction: float | None = None
    best_satisfaction: float | None = None
    most_matched: int | None = None

    @property
    def words(self) -> str:
        """The measure in words."""
        return MEASURE_WORDS[self.measure]

    @property
    def matched(self) -> int:
        """Creators with a product."""
        return self.matching.check.size

    @property
    def merchant_use(self) -> NDArray[np.float64]:
        """Share of each merchant's quota that is used, (V,)."""
        return self._taken_by_merchant() / np.maximum(self.game.merchant_quota, 1)

    @property
    def free_slots(self) -> NDArray[np.int64]:
        """Places that each merchant has left, (V,)."""
        return self.game.merchant_quota - self._taken_by_merchant()

    @property
    def product_use(self) -> NDArray[np.float64]:
        """Share of each product's quota that is used: use of advertisements, (P,)."""
        held = self.matching.product[self.matching.product >= 0]
        taken = np.bincount(held, minlength=len(self.game.product_quota))
        return taken / np.maximum(self.game.product_quota, 1)

    def _taken_by_merchant(self) -> NDArray[np.int64]:
        held = self.matching.product[self.matching.product >= 0]
        return np.bincount(self.game.merchant[held], minlength=len(self.game.merchant_quota))


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchingReport:
    """The report of a matching.

    Attributes:
        market: name.
        sides: by each measure, in the order shown.
        chosen: the one that is the plan.
        certificate: of the plan.
        limits: one or two sentences each.
    """

    market: str
    sides: tuple[Side, ...]
    chosen: Side
    certificate: Certificate
    limits: tuple[str, ...] = MATCHING_LIMITS
