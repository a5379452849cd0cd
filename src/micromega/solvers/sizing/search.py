"""The best number of followers: the whole curve is searched, then every turning point of the profit is refined."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from micromega.solvers.plan import Status
from micromega.solvers.sizing.answer import Comparison, Root, Size, SizingPlan, Standing
from micromega.solvers.sizing.curves import Curves, curves_of, fine_grid, kinks
from micromega.solvers.sizing.interval import interval_of, profit_at
from micromega.solvers.sizing.problem import SizingProblem
from micromega.tiers import TIERS, tier_of, tier_ranges

Reals = NDArray[np.float64]

_SMOOTH, _BESIDE = 1e-4, 1e-4
_AT_END = 1e-6
_AT_CORNER, _INSIDE = 1e-6, 1e-10  # log followers
_ROUNDING = 64 * float(np.finfo(np.float64).eps)


def optimal_followers(
    *,
    log_followers: ArrayLike,
    log_impressions: ArrayLike,
    value_per_impression: float,
    cost_per_thousand: float | None = None,
    cost: Callable[[Reals], Any] | ArrayLike | None = None,
    fixed_cost: float = 0.0,
    elasticity: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    draws: ArrayLike | None = None,
    level: float = 0.95,
    support: tuple[float, float] | None = None,
    smearing: float = 1.0,
    anchor: tuple[float, float] | None = None,
    actual: ArrayLike = (),
    currency: str = "",
) -> SizingPlan:
    """Find the number of followers with the highest profit value · E[R(F)] − cost(F) (Tian et al. 2022, section 4.4).

    Args:
        log_followers: rising, (G,).
        log_impressions: response curve h, (G,); E[R] is exp(h) times `smearing`, or h moved through `anchor`.
        value_per_impression: in currency.
        cost_per_thousand: per 1,000 followers, in currency; or give `cost`.
        cost: followers (K,) -> currency (K,), or the price at each of `log_followers`, (G,), between which it runs
            straight in followers.
        fixed_cost: in currency, of sponsoring anybody at all.
        elasticity: FEI at each point, (G,); None: slopes of the curve.
        lower: band of `log_impressions`, (G,), that holds the whole curve with the level (simultaneous).
        upper: the same.
        draws: curves of a bootstrap or ensemble, (B, G); where given, the interval comes from them.
        level: of band and interval, in (0, 1).
        support: lowest and highest log followers that were observed.
        smearing: mean of exp(residual) (Duan 1983), 1 where `log_impressions` is the log of expected impressions.
        anchor: followers and impressions of an observed post.
        actual: followers of choices to compare with, one or (A,).
        currency: code or name.

    Returns:
        The plan.

    Raises:
        DataError: an array is not as above.
        ConfigError: a number is not as above.

    Example:
        >>> import numpy as np
        >>> from micromega.solvers.sizing import optimal_followers, verify
        >>> u = np.linspace(np.log(1e3), np.log(1e6), 100)
        >>> plan = optimal_followers(log_followers=u, log_impressions=np.log(1600) + 0.5 * u,
        ...                          value_per_impression=0.02, cost_per_thousand=40, actual=[10_000])
        >>> round(plan.optimum.followers), round(plan.optimum.profit), plan.standing.value
        (160000, 6400, 'interior')
        >>> round(plan.comparisons[0].better_percent), verify(plan.problem, plan).ok
        (129, True)
    """
    problem = SizingProblem(
        log_followers=np.asarray(log_followers, dtype=np.float64),
        log_impressions=np.asarray(log_impressions, dtype=np.float64),
        value_per_impression=value_per_impression,
        cost_per_thousand=cost_per_thousand,
        price=cost if cost is None or callable(cost) else np.asarray(cost, dtype=np.float64),
        fixed_cost=fixed_cost,
        elasticity=_optional(elasticity),
        lower=_optional(lower),
        upper=_optional(upper),
        draws=_optional(draws),
        level=level,
        support=support,
        smearing=smearing,
        anchor=anchor,
        actual=tuple(np.atleast_1d(np.asarray(actual, dtype=np.float64)).tolist()),
        currency=currency,
    )
    return solve(problem)


def _optional(values: ArrayLike | None) -> Reals | None:
    return None if values is None else np.asarray(values, dtype=np.float64)


def solve(problem: SizingProblem, *, curves: Curves | None = None) -> SizingPlan:
    """Find the best size.

    Args:
        problem: what is asked.
        curves: how its curve runs between the points; None: `curves_of` decides.

    Returns:
        The plan.
    """
    curves = curves_of(problem) if curves is None else curves
    roots = _roots(curves)
    low, high = float(problem.log_followers[0]), float(problem.log_followers[-1])
    best, inside = _best(curves, (low, high), roots), _best(curves, problem.inner_range, roots)
    within = bool(problem.inner_range[0] - _AT_END <= best <= problem.inner_range[1] + _AT_END)
    optimum, supported = _size(curves, best), _size(curves, inside if not within else best)
    interior = low + _AT_END < best < high - _AT_END
    inside_support = None if problem.support is None else within
    edge = not interior or min(abs(best - end) for end in problem.inner_range) <= _AT_END
    standing = _standing(within=within, pays=supported.profit > 0, edge=edge)
    return SizingPlan(
        problem=problem,
        status=Status.OPTIMAL,
        standing=standing,
        optimum=optimum,
        supported=supported,
        roots=tuple(Root(size=_size(curves, u), kind=kind, smooth=smooth) for u, kind, smooth in roots),
        interior=interior,
        inside_support=inside_support,
        interval=interval_of(problem, supported.followers),
        profit=curves.profit(problem.log_followers),
        profit_lower=None if problem.lower is None else profit_at(problem, problem.lower),
        profit_upper=None if problem.upper is None else profit_at(problem, problem.upper),
        tiers=_tiers(curves, roots),
        comparisons=tuple(_compare(curves, supported, followers) for followers in problem.actual),
        notes=(*problem.notes, *curves.notes, *_notes(problem, standing, optimum, supported)),
    )


def compare(plan: SizingPlan, followers: float) -> Comparison:
    """Set the best size inside the support beside another choice of so many followers."""
    return _compare(curves_of(plan.problem), plan.supported, followers)


_Turn = tuple[float, Literal["maximum", "minimum"], bool]


def _roots(curves: Curves) -> list[_Turn]:
    """Log followers of all local maxima and minima inside the curve, their kind, and whether they are smooth."""
    u = _looked_at(curves.problem)
    profit, cost = curves.profit(u), curves.cost(u)
    change = np.diff(profit)
    rise = np.sign(np.where(np.abs(change) <= _ROUNDING * (np.abs(profit) + 2 * cost)[1:], 0, change))
    steps = np.flatnonzero(rise)  # a flat stretch belongs to what comes before it
    turns = np.flatnonzero(np.diff(rise[steps]))
    return [_refine(curves, float(u[steps[k]]), float(u[steps[k + 1] + 1]), rise[steps[k]] > 0) for k in turns]


def _looked_at(problem: SizingProblem) -> Reals:
    """The fine grid, and both sides of each kink of the price: what turns there may do so within a step."""
    u, corner = fine_grid(problem), kinks(problem)
    if not len(corner):
        return u
    after = np.searchsorted(corner, u)
    below, above = corner[np.maximum(after - 1, 0)], corner[np.minimum(after, len(corner) - 1)]
    clear = u[np.minimum(np.abs(u - below), np.abs(u - above)) > _AT_CORNER]
    beside = np.clip(np.concatenate([corner - _AT_CORNER, corner + _AT_CORNER]), u[0], u[-1])
    return np.unique(np.concatenate([clear, corner, beside]))


def _refine(curves: Curves, low: float, high: float, rising: bool) -> _Turn:
    kind: Literal["maximum", "minimum"] = "maximum" if rising else "minimum"
    sign = 1.0 if rising else -1.0
    high -= _INSIDE  # the slope at a kink is that of the line above it
    if sign * _slope(curves, low) > 0 > sign * _slope(curves, high):
        u = float(brentq(lambda at: _slope(curves, at), low, high, xtol=1e-13))
        beside = np.array([u - _BESIDE, u, u + _BESIDE])
        scale = float(np.max(np.abs(curves.marginal_revenue(beside)) + np.abs(curves.marginal_cost(beside))))
        before, at, after = curves.slope(beside)
        if abs(at) <= _SMOOTH * scale and abs(before - after) <= 100 * _SMOOTH * scale:  # else a kink, rounded off
            return u, kind, True
    found = minimize_scalar(
        lambda at: -sign * float(curves.profit(np.array([at]))[0]), bounds=(low, high), options={"xatol": 1e-9}
    )
    return float(found.x), kind, False


def _slope(curves: Curves, u: float) -> float:
    return float(curves.slope(np.array([u]))[0])


def _best(curves: Curves, within: tuple[float, float], roots: list[_Turn]) -> float:
    """Log followers of the highest profit in a range; of equal ones the smallest."""
    inside = [u for u, kind, _ in roots if kind == "maximum" and within[0] <= u <= within[1]]
    corners = kinks(curves.problem)
    corners = corners[(corners >= within[0]) & (corners <= within[1])]
    candidates = np.sort(np.concatenate([inside, corners, fine_grid(curves.problem, within=within)]))
    return float(candidates[np.argmax(curves.profit(candidates))])


def _size(curves: Curves, u: float) -> Size:
    at = np.array([u])
    followers = float(np.exp(u))
    return Size(
        followers=followers,
        impressions=float(curves.impressions(at)[0]),
        elasticity=float(curves.elasticity(at)[0]),
        cost=float(curves.cost(at)[0]),
        profit=float(curves.profit(at)[0]),
        tier=TIERS[int(tier_of(followers))],
    )


def _tiers(curves: Curves, roots: list[_Turn]) -> tuple[Size, ...]:
    """Best size of each tier; the tier's own upper edge counts as its end ("the best micro creator with 50K")."""
    found = []
    for name, (low, high) in zip(TIERS, tier_ranges(*curves.problem.inner_range), strict=True):
        if math.isfinite(low):
            size = _size(curves, _best(curves, (float(low), float(high)), roots))
            found.append(Size(**{**vars(size), "tier": name}))
    return tuple(found)


def _compare(curves: Curves, best: Size, followers: float) -> Comparison:
    choice = _size(curves, float(np.clip(np.log(followers), *curves.problem.log_followers[[0, -1]])))
    gain = best.profit - choice.profit
    low, high = curves.problem.inner_range
    return Comparison(
        choice=choice,
        gain=gain,
        better_percent=100 * gain / choice.profit if choice.profit > 0 else math.nan,
        inside_support=low - _AT_END <= math.log(followers) <= high + _AT_END,
    )


def _standing(*, within: bool, pays: bool, edge: bool) -> Standing:
    if not within:
        return Standing.EXTRAPOLATED
    if not pays:
        return Standing.UNPROFITABLE
    return Standing.EDGE if edge else Standing.INTERIOR


def _notes(problem: SizingProblem, standing: Standing, optimum: Size, supported: Size) -> list[str]:
    if problem.anchor is not None:
        followers, impressions = problem.anchor
        level = f"an observed post with {impressions:,.0f} impressions and {followers:,.0f} followers"
        notes = [f"The level of impressions is that of {level}."]
    else:
        notes = [f"Expected impressions are exp(curve) times the smearing factor {problem.smearing:g}."]
    if problem.lower is not None and problem.draws is None and problem.band == "pointwise":
        notes.append(
            f"The band of the curve is pointwise: it holds each point by itself with {100 * problem.level:g} %, the "
            "whole curve with less. So the interval of the best size is too narrow: evaluate with "
            "evaluation.bands=simultaneous."
        )
    if problem.support is None:
        notes.append("The sizes that were observed are not known: nothing says whether the best one is among them.")
    if standing is Standing.EXTRAPOLATED:
        low, high = np.exp(np.array(problem.inner_range))
        notes.append(
            f"The curve is highest at {optimum.followers:,.0f} followers, but creators between {low:,.0f} and "
            f"{high:,.0f} were observed: beyond, the curve is a guess. The best among those is "
            f"{supported.followers:,.0f} followers."
        )
    if standing is Standing.EDGE:
        notes.append("The best size lies at the end of the range: a better one may lie beyond it.")
    if supported.profit <= 0:
        notes.append("No size that was observed earns more than it costs: do not sponsor at these prices.")
    return notes
