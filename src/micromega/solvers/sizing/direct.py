"""What if the instrument acted on impressions by itself? The best size as a function of that direct effect δ.

δ is the change of log impressions for one standard deviation of the instrument (past success). It takes δ · shift off
the elasticity, so the curve loses δ times the integral of the shift, taken from the mean log followers of the posts:
there the level stays, approximately; exactly where the shift is the same at all sizes, as estimates by an instrument go
through the means. An anchor keeps the level at its own post instead. The shift is that of the average post, taken to be
the same for each. D direct effects, G log followers.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.sizing.curves import curves_of, interpolated, without_misfits
from micromega.solvers.sizing.problem import SizingProblem
from micromega.solvers.sizing.search import solve

Reals = NDArray[np.float64]

_POINTS = 41
_FARTHEST = 20.0
"""Log impressions by which a point of the curve is moved at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectEffects:
    """The best size by direct effect.

    Attributes:
        deltas: direct effects from 0 to `zero`, (D,); less far where that would move the curve beyond all measure.
        followers: best size inside the support, (D,).
        profit: of that size, in currency, (D,); not positive: no size pays.
        zero: δ at which the slope of the curve that is solved, averaged over the observed sizes, is 0. The mean of the
            elasticities given may be 0 at another δ: they are means over posts, and the curve is the log of a mean.
    """

    deltas: Reals
    followers: Reals
    profit: Reals
    zero: float


def direct_effects(problem: SizingProblem) -> DirectEffects | None:
    """Solve the problem again for each of a range of direct effects.

    Args:
        problem: with `direct_shift`.

    Returns:
        Best sizes; None where a direct effect is not known to change the average slope of the curve.
    """
    if problem.direct_shift is None:
        return None
    base = _mean_slope(problem)
    per_delta = _mean(problem.log_followers, problem.direct_shift, problem.inner_range)
    moved = float(np.max(np.abs(_integral(problem))))
    if not (base and per_delta and moved):
        return None
    zero = base / per_delta
    deltas = np.linspace(0, np.sign(zero) * min(abs(zero), _FARTHEST / moved), _POINTS)
    used = without_misfits(problem)  # decided here for all δ: near `zero` the same slopes would be another share
    shifted = [with_direct_effect(used, delta) for delta in deltas.tolist()]
    best = [solve(each, curves=interpolated(each)).supported for each in shifted]
    return DirectEffects(
        deltas=deltas,
        followers=np.array([size.followers for size in best]),
        profit=np.array([size.profit for size in best]),
        zero=zero,
    )


def with_direct_effect(problem: SizingProblem, delta: float) -> SizingProblem:
    """The same problem on the curve that is left if the instrument has the direct effect δ; without band and draws."""
    assert problem.direct_shift is not None
    return replace(
        problem,
        log_impressions=problem.log_impressions - delta * _integral(problem),
        elasticity=None if problem.elasticity is None else problem.elasticity - delta * problem.direct_shift,
        lower=None,
        upper=None,
        draws=None,
        actual=(),
        direct_shift=None,
    )


def _integral(problem: SizingProblem) -> Reals:
    """Of the shift, straight between points, from the centre to each point, (G,)."""
    u, shift, centre = problem.log_followers, problem.direct_shift, problem.centre
    assert shift is not None
    assert centre is not None
    rise = np.concatenate([[0], np.cumsum(np.diff(u) * (shift[1:] + shift[:-1]) / 2)])
    cell = int(np.clip(np.searchsorted(u, centre, side="right") - 1, 0, len(u) - 2))
    there = (centre - u[cell]) * (shift[cell] + np.interp(centre, u, shift)) / 2
    return np.asarray(rise - rise[cell] - there)


def _mean_slope(problem: SizingProblem) -> float:
    """Of the curve that is solved: its rise over the observed sizes by their width."""
    ends = np.array(problem.inner_range)
    return float(np.diff(curves_of(problem).log_impressions(ends))[0] / np.diff(ends)[0])


def _mean(u: Reals, values: Reals, within: tuple[float, float]) -> float:
    """Of values that run straight between points, over a range of log followers."""
    low, high = within
    inside = np.concatenate([[low], u[(u > low) & (u < high)], [high]])
    return float(np.trapezoid(np.interp(inside, u, values), inside) / (high - low))
