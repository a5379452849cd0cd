"""The best size for every value per impression and price per follower at once (Tian et al. 2022, Figure 12).

Only the ratio cost / value matters: the best size maximises R − (c / v) F, so it is a corner of the upper convex hull
of the points (F, R), and the hull's slopes say which ratios choose which corner. V values, C costs, K points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.solvers.sizing.curves import Curves, curves_of, fine_grid
from micromega.solvers.sizing.problem import SizingProblem

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Heatmap:
    """Best sizes; followers are exact to a sixteenth of a cell of the curve's grid.

    Attributes:
        values: per impression, in currency, (V,).
        costs: per 1,000 followers, in currency, (C,).
        followers: best size inside the support, (V, C).
        profit: of that size, in currency, (V, C); not positive: do not sponsor.
        anywhere: best size on the whole curve, (V, C).
        inside_support: whether the two are the same, (V, C).
    """

    values: Reals
    costs: Reals
    followers: Reals
    profit: Reals
    anywhere: Reals
    inside_support: NDArray[np.bool_]


def heatmap(problem: SizingProblem, *, values: ArrayLike, costs: ArrayLike) -> Heatmap:
    """Find the best size for each value and cost.

    Args:
        problem: curve, level, support and fixed cost; its own value and cost are not used.
        values: per impression, in currency, (V,), positive.
        costs: per 1,000 followers, in currency, (C,), not negative.

    Returns:
        Best sizes and their profits.

    Raises:
        ConfigError: a value or cost is not as above.
    """
    value_V, cost_C = np.atleast_1d(np.asarray(values, float)), np.atleast_1d(np.asarray(costs, float))
    if not (np.all(np.isfinite(value_V)) and np.all(value_V > 0)):
        raise ConfigError("heatmap: every value per impression must be positive.")
    if not (np.all(np.isfinite(cost_C)) and np.all(cost_C >= 0)):
        raise ConfigError("heatmap: a cost per 1,000 followers is negative or not finite.")
    curves = curves_of(problem)
    ratio_VC = cost_C / 1000 / value_V[:, None]
    followers, impressions = _choices(curves, fine_grid(problem, within=problem.inner_range), ratio_VC)
    anywhere, _ = _choices(curves, fine_grid(problem), ratio_VC)
    profit = value_V[:, None] * impressions - cost_C / 1000 * followers - problem.fixed_cost
    step = np.diff(problem.log_followers).max()
    return Heatmap(
        values=value_V,
        costs=cost_C,
        followers=followers,
        profit=profit,
        anywhere=anywhere,
        inside_support=np.abs(np.log(anywhere / followers)) < step / 8,
    )


def _choices(curves: Curves, u: Reals, ratio_VC: Reals) -> tuple[Reals, Reals]:
    followers, impressions = np.exp(u), curves.impressions(u)
    corner = upper_hull(followers, impressions)
    slopes = np.diff(impressions[corner]) / np.diff(followers[corner])  # falling
    chosen = corner[np.searchsorted(-slopes, -ratio_VC)]
    return followers[chosen], impressions[chosen]


def upper_hull(x: Reals, y: Reals) -> NDArray[np.int64]:
    """Corners of the upper convex hull of points, by Andrew's monotone chain.

    Args:
        x: rising, (K,).
        y: (K,).

    Returns:
        Indices of the corners from the first point to the last; slopes between them fall strictly.
    """
    kept: list[int] = []
    for point in range(len(x)):
        while len(kept) > 1:
            before, last = kept[-2], kept[-1]
            ahead = (y[point] - y[last]) * (x[last] - x[before])
            if ahead < (y[last] - y[before]) * (x[point] - x[last]):
                break
            kept.pop()
        kept.append(point)
    return np.array(kept, np.int64)
