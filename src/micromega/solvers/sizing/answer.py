"""What the sizing solver returns."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.plan import Status
from micromega.solvers.sizing.problem import SizingProblem

Reals = NDArray[np.float64]


class Standing(StrEnum):
    """How far an optimum can be trusted, from where it lies."""

    INTERIOR = "interior"
    """A first-order maximum among sizes that were observed."""
    EDGE = "edge"
    """The best size is the smallest or largest of the curve or of the support: the true one may lie beyond."""
    EXTRAPOLATED = "extrapolated"
    """The curve is highest at sizes that were not observed: act on the best size inside the support, or on none."""
    UNPROFITABLE = "unprofitable"
    """No size pays."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """One size of creator.

    Attributes:
        followers: how many.
        impressions: expected.
        elasticity: FEI there.
        cost: price plus fixed cost, in currency.
        profit: in currency.
        tier: name of its tier.
    """

    followers: float
    impressions: float
    elasticity: float
    cost: float
    profit: float
    tier: str


@dataclass(frozen=True, kw_only=True)
class Root:
    """Where the profit's slope changes its sign.

    Attributes:
        size: where.
        kind: the profit has a local maximum or minimum there.
        smooth: value · FEI · R = c · F holds there; False at a kink or jump of the price.
    """

    size: Size
    kind: Literal["maximum", "minimum"]
    smooth: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """Where the optimum inside the support may lie.

    Attributes:
        followers: low and high.
        profit: low and high profit of the size that the plan names, in currency.
        level: probability that it is meant for.
        method: "draws": percentiles over the draws' optima. "band": all sizes whose profit on the band's upper curve
            reaches the best profit on its lower curve; if the band holds the whole curve, the set holds the optimum, so
            it is wide on purpose; if it is pointwise (`SizingProblem.band`), the set is too narrow.
        tier_shares: share of the draws whose optimum lies in each tier, (6,); None without draws.
    """

    followers: tuple[float, float]
    profit: tuple[float, float]
    level: float
    method: Literal["draws", "band"]
    tier_shares: Reals | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The best size beside another choice.

    Attributes:
        choice: the other one.
        gain: profit of the best size inside the support less that of the choice, in currency.
        better_percent: the gain in per cent of the choice's profit; NaN where the choice earns nothing or loses.
        inside_support: whether sizes such as the choice were observed.
    """

    choice: Size
    gain: float
    better_percent: float
    inside_support: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class SizingPlan:
    """The best number of followers and how far to trust it.

    Attributes:
        problem: what was asked.
        status: OPTIMAL, since the curve is searched whole; `verify` checks it.
        standing: see `Standing`.
        optimum: best size on the whole curve.
        supported: best size inside the support, the same where the optimum lies there.
        roots: all sizes with value · FEI · R = c · F, by followers.
        interior: whether the optimum is none of the curve's ends.
        inside_support: whether the optimum lies there; None where the support is unknown.
        interval: of `supported`; None without draws and bands.
        profit: at each of the problem's log followers, in currency, (G,).
        profit_lower, profit_upper: the same on the band, (G,); None without.
        tiers: best size in each tier that the support reaches, smallest first.
        comparisons: one for each of the problem's `actual`.
        notes: what a reader should know, in words.
    """

    problem: SizingProblem
    status: Status
    standing: Standing
    optimum: Size
    supported: Size
    roots: tuple[Root, ...]
    interior: bool
    inside_support: bool | None
    interval: Interval | None
    profit: Reals
    profit_lower: Reals | None
    profit_upper: Reals | None
    tiers: tuple[Size, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]

    @property
    def recommended(self) -> Size | None:
        """The size to look for: the best inside the support, None where that does not pay."""
        return self.supported if self.supported.profit > 0 else None
