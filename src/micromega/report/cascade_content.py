"""All that the report of a cascade shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.alternatives import Alternative
from micromega.solvers.cascade.evidence import Evidence
from micromega.solvers.cascade.from_market import SocialNetwork
from micromega.solvers.cascade.influence import Influence
from micromega.solvers.plan import Certificate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
NEEDS_LIMITS = (
    "Everybody is assumed to act as the edge probabilities say, once, and independently of others.",
    "The closed form multiplies chances as if creators reached an account independently; the process does not.",
    "An account donates one need, the one that arrived first; of several at the same step each is as likely.",
    "Unless the certificate says that the plan is the best, a better set may exist.",
    "A network that misses accounts or edges misjudges awareness by as much.",
)
"""What every report of creators for needs must admit."""
INFLUENCE_LIMITS = (
    "Everybody is assumed to act as the edge probabilities say, once, and independently of others.",
    "The guarantee is about these probabilities; it says nothing of how well they describe people.",
    "A network that misses accounts or edges misjudges the spread by as much.",
)
"""What every report of influence maximisation must admit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bound:
    """Ranked sets of creators for one time bound.

    Attributes:
        steps: of a cascade at most; None: no limit.
        sets: by rising cost; creators are rows of the candidates.
        own: whether this is the plan's own time bound.
    """

    steps: int | None
    sets: tuple[Alternative, ...]
    own: bool = False

    @property
    def first(self) -> Alternative:
        """The first choice, for whose creators the other sets stand by: of the own bound, the plan."""
        return next(one for one in self.sets if one.first)

    @property
    def irreplaceable(self) -> tuple[int, ...]:
        """Creators of the first choice that no other set here does without, rows."""
        replaced = {row for one in self.sets for row in one.without}
        return tuple(dict.fromkeys(row for row in self.first.creators.tolist() if row not in replaced))

    @property
    def words(self) -> str:
        """The bound in words."""
        return "no limit" if self.steps is None else f"{self.steps} step{'s' if self.steps > 1 else ''}"


@dataclass(frozen=True, kw_only=True, eq=False)
class NeedsReport:
    """The report of creators for needs.

    Attributes:
        market: name.
        social: the network.
        candidates: account of each row of the activation matrix, (K,).
        available: creators that might have been candidates.
        names: of the needs.
        needs: V, accounts, (J,).
        creators: account of each need's creator, (J,).
        influence: G_A, (J, N).
        donation: G_D, (J, N).
        by_bound: awareness by the closed form within 0, 1, … steps, (T + 1, J).
        evidence: recomputed.
        certificate: of the plan.
        bounds: the decision framework.
        competition: whether the plan was made for the process; else for the closed form.
        activation: how G_P was computed, in words.
        method: how creators were found, in words.
        every_set: whether every set of the candidates was looked at.
        sampled: whether chances of the closed form come from simulated cascades.
        limits: one or two sentences each.
    """

    market: str
    social: SocialNetwork
    candidates: Integers
    available: int
    names: tuple[str, ...]
    needs: Floats
    creators: Integers
    influence: Floats
    donation: Floats
    by_bound: Floats
    evidence: Evidence
    certificate: Certificate
    bounds: tuple[Bound, ...]
    competition: bool
    activation: str
    method: str
    every_set: bool
    sampled: bool
    limits: tuple[str, ...] = NEEDS_LIMITS

    @property
    def misjudged(self) -> bool:
        """Whether closed form and process differ by a tenth of what is needed or more."""
        return abs(self.evidence.process_cost - self.evidence.cost) >= 0.1 * float(self.needs.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class InfluenceReport:
    """The report of influence maximisation.

    Attributes:
        market: name.
        social: the network.
        found: seeds, in the order of choice.
        reached: share of cascades that reach each account, (N,).
        growth: mean accounts reached by the first 1, 2, … seeds, (k,).
        by_step: mean accounts reached by all seeds after 0, 1, … steps, (T + 1,).
        alone: mean accounts that each seed reaches without the others, (k,).
        price: of each seed, NaN without, (k,).
        currency: of prices.
        certificate: of the plan.
        limits: one or two sentences each.
    """

    market: str
    social: SocialNetwork
    found: Influence
    reached: Floats
    growth: Floats
    by_step: Floats
    alone: Floats
    price: Floats
    currency: str
    certificate: Certificate
    limits: tuple[str, ...] = INFLUENCE_LIMITS
