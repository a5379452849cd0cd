"""How uncertain the best size is, from draws of the curve or from its band. G grid points, K fine points, B draws."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from micromega.solvers.sizing.answer import Interval
from micromega.solvers.sizing.curves import fine_grid, price_of
from micromega.solvers.sizing.problem import SizingProblem
from micromega.tiers import TIERS, tier_of

Reals = NDArray[np.float64]

_BLOCK = 256
"""Draws at a time: a block of fine curves takes some ten megabytes."""


def interval_of(problem: SizingProblem, followers: float) -> Interval | None:
    """Interval of the best size inside the support, and of the profit of one size.

    Args:
        problem: what is asked.
        followers: the size whose profit is to have an interval.

    Returns:
        From the draws where there are, else from the band, else None.
    """
    u = fine_grid(problem, within=problem.inner_range)
    if problem.draws is not None:
        return _from_draws(problem, problem.draws, u, followers)
    if problem.lower is not None and problem.upper is not None:
        return _from_band(problem, problem.lower, problem.upper, u, followers)
    return None


def profit_at(problem: SizingProblem, log_impressions: Reals, u: Reals | None = None) -> Reals:
    """Profit on another curve of the same problem.

    Args:
        problem: value, cost and level.
        log_impressions: (G,) or (B, G), before the shift of the level.
        u: log followers, (K,); None: the grid.

    Returns:
        (K,) or (B, K), in currency.
    """
    x = problem.log_followers
    curve = log_impressions if u is None else PchipInterpolator(x, log_impressions, axis=-1)(u)
    cost = price_of(problem, np.exp(x if u is None else u)) + problem.fixed_cost
    return np.asarray(problem.value_per_impression * np.exp(curve + problem.shift) - cost)


def _from_draws(problem: SizingProblem, draws: Reals, u: Reals, followers: float) -> Interval:
    best, earned = [], []
    here = np.array([np.log(followers)])
    for start in range(0, len(draws), _BLOCK):
        block = draws[start : start + _BLOCK]
        best.append(u[np.argmax(profit_at(problem, block, u), axis=-1)])
        earned.append(profit_at(problem, block, here)[:, 0])
    sizes = np.exp(np.concatenate(best))
    tails = np.array([(1 - problem.level) / 2, (1 + problem.level) / 2])
    low, high = np.quantile(sizes, tails).tolist()
    least, most = np.quantile(np.concatenate(earned), tails).tolist()
    return Interval(
        followers=(low, high),
        profit=(least, most),
        level=problem.level,
        method="draws",
        tier_shares=np.bincount(tier_of(sizes), minlength=len(TIERS)) / len(sizes),
    )


def _from_band(problem: SizingProblem, lower: Reals, upper: Reals, u: Reals, followers: float) -> Interval:
    """All F whose upper profit reaches the best lower profit: the true optimum does, if the band holds the curve."""
    least, most = profit_at(problem, lower, u), profit_at(problem, upper, u)
    possible = np.exp(u[most >= least.max()])
    here = np.array([np.log(followers)])
    return Interval(
        followers=(float(possible[0]), float(possible[-1])),
        profit=(float(profit_at(problem, lower, here)[0]), float(profit_at(problem, upper, here)[0])),
        level=problem.level,
        method="band",
        tier_shares=None,
    )
