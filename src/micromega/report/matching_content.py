"""All that the report of a matching shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.matching.allocation import Matching
from micromega.solvers.matching.certificate import merchant_ranks
from micromega.solvers.matching.named import NamedGame
from micromega.solvers.matching.regret import regret
from micromega.solvers.plan import Certificate

OPTIMAL_WORDS = {
    "creators": "best for creators",
    "merchants": "best for merchants",
    "minimum_regret": "least regret",
}
ORDERS_LIMITS = (
    "A customer who buys a lot is taken for one whom others would follow: the orders say nothing of an audience.",
    "Lists hold what a customer bought already; nobody is matched with a product that is new to them.",
)
SCORES_LIMITS = (
    "Scores are estimates: a matching is stable for lists that follow them, not for what people would say if asked.",
)
QUOTA_LIMIT = (
    "Unless tables give them, quotas follow sales or are shared evenly; the document assigns those of products by hand."
)


def limits_of(game: NamedGame, ties: str, creator_quota: int) -> tuple[str, ...]:
    """What a report must admit of this game."""
    said = [*(ORDERS_LIMITS if game.by_reputation else (*SCORES_LIMITS, *game.notes)), QUOTA_LIMIT]
    if ties == "kept":
        said.append(
            "Equals were left equal: the matching is weakly stable, and serves at least two thirds of the creators "
            "that the largest such matching would serve (Cooper & Manlove 2018)."
        )
    elif game.by_reputation:
        said.append("All merchants rank customers by one number, so that there is one stable matching.")
    if len(game.product_id) == 1:
        said.append("There is one product, so that the game is a ranking: the best thought of get the places.")
    if creator_quota > 1:
        said.append(f"Creators take up to {creator_quota} products each; stable means that no pair blocks.")
    return tuple(said)


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One stable matching beside others: by another measure, or best for somebody else.

    Attributes:
        words: which one it is, for instance "by total expenditure (GT)".
        game: as read from the tables.
        matching: stable.
        choices: place of each pair that is carried out on its creator's list, 1 the first, (K,).
        satisfaction: sum over pairs of 1 for the first choice, falling evenly to 1 / length.
        best_satisfaction: the largest sum that quotas allow, stable or not; None: not asked, or not found.
        most_matched: creators with a product in that allocation; None as well.
    """

    words: str
    game: NamedGame
    matching: Matching
    choices: NDArray[np.int64]
    satisfaction: float
    best_satisfaction: float | None = None
    most_matched: int | None = None

    @property
    def creators(self) -> int:
        """C."""
        return len(self.game.creator_id)

    @property
    def matched(self) -> int:
        """Creators with a product."""
        return self.matching.check.size

    @property
    def regret(self) -> tuple[int, int]:
        """Last place of their lists that a creator, and that a merchant, got something at."""
        return regret(self.matching.check)

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
        taken = np.bincount(self.game.product[self.matching.pair], minlength=len(self.game.product_quota))
        return taken / np.maximum(self.game.product_quota, 1)

    @property
    def standing(self) -> NDArray[np.int64]:
        """Place of each pair's creator in the order of reputation, or on the merchant's list, 1 the first, (K,)."""
        if not self.game.by_reputation:
            place: NDArray[np.int64] = merchant_ranks(self.matching.game)[self.matching.pair] + 1
            return place
        drawn = self.matching.game.shared_order
        if len(drawn):
            order = np.zeros(self.creators, np.int64)
            order[drawn] = np.arange(1, len(drawn) + 1)
            return order[self.matching.creator]
        falling = np.sort(-self.game.reputation)  # ties kept: equals share the first of their places
        return np.searchsorted(falling, -self.game.reputation[self.matching.creator]) + 1

    def _taken_by_merchant(self) -> NDArray[np.int64]:
        product = self.game.product[self.matching.pair]
        return np.bincount(self.game.merchant[product], minlength=len(self.game.merchant_quota))


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchingReport:
    """The report of a matching.

    Attributes:
        market: name.
        sides: in the order shown.
        chosen: the one that is the plan.
        certificate: of the plan.
        limits: one or two sentences each.
    """

    market: str
    sides: tuple[Side, ...]
    chosen: Side
    certificate: Certificate
    limits: tuple[str, ...]

    @property
    def unique(self) -> bool:
        """Whether all sides have the same pairs."""
        return all(np.array_equal(side.matching.pair, self.chosen.matching.pair) for side in self.sides)

    @property
    def noun(self) -> str:
        """What creators are called: customers where the game was read from orders."""
        return "customer" if self.chosen.game.by_reputation else "creator"
