"""Impressions, cost and profit between the points of the grid. K log followers u, B draws, G points of the grid."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from micromega.solvers.sizing.prices import PriceList
from micromega.solvers.sizing.problem import SizingProblem

Reals = NDArray[np.float64]

POINTS_PER_CELL = 16
"""Points at which a cell of the grid is looked at before refining."""

_STEP = 1e-5
_DISAGREEMENT = 0.05


class _Curve(Protocol):
    def __call__(self, u: Reals, nu: int = 0) -> Reals: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """The problem's functions of log followers u.

    Log impressions are interpolated by a monotone cubic (PCHIP), or by a cubic with the given elasticities as slopes;
    prices that are given at sizes by straight lines in followers (`PriceList`).

    Attributes:
        problem: what was asked.
        log_impressions: log expected impressions of u, and its slope with nu=1.
        notes: how the curve was read, in words.
    """

    problem: SizingProblem
    log_impressions: _Curve
    notes: tuple[str, ...]

    def impressions(self, u: Reals) -> Reals:
        """Expected impressions, (K,)."""
        return np.exp(self.log_impressions(u))

    def elasticity(self, u: Reals) -> Reals:
        """FEI, (K,)."""
        return self.log_impressions(u, 1)

    def cost(self, u: Reals) -> Reals:
        """Price plus fixed cost, (K,)."""
        return price_of(self.problem, np.exp(u)) + self.problem.fixed_cost

    def profit(self, u: Reals) -> Reals:
        """Value of the impressions less the cost, (K,)."""
        return self.problem.value_per_impression * self.impressions(u) - self.cost(u)

    def marginal_revenue(self, u: Reals) -> Reals:
        """Left side of the condition: value · FEI · R, (K,)."""
        return self.problem.value_per_impression * self.elasticity(u) * self.impressions(u)

    def marginal_cost(self, u: Reals) -> Reals:
        """Right side of the condition: d cost / d log F, which is c · F for a constant price c per follower, (K,)."""
        if self.problem.cost_per_thousand is not None:
            return self.problem.cost_per_thousand / 1000 * np.exp(u)
        listed = price_list_of(self.problem)
        if listed is not None:
            return listed.per_follower(np.exp(u)) * np.exp(u)
        ahead, behind = u + _STEP, u - _STEP
        return (self.cost(ahead) - self.cost(behind)) / (ahead - behind)

    def slope(self, u: Reals) -> Reals:
        """Of the profit: d profit / d log F, (K,)."""
        return self.marginal_revenue(u) - self.marginal_cost(u)


def curves_of(problem: SizingProblem) -> Curves:
    """Interpolate the problem's curve, by its elasticities where they are its slopes."""
    fitting = without_misfits(problem)
    words = "The elasticities given are not the slopes of the curve given: slopes are taken from the curve."
    return replace(interpolated(fitting), problem=problem, notes=() if fitting is problem else (words,))


def without_misfits(problem: SizingProblem) -> SizingProblem:
    """The problem itself, or without its elasticities where they are not the slopes of its curve."""
    if problem.elasticity is None:
        return problem
    area = np.diff(problem.log_followers) * (problem.elasticity[1:] + problem.elasticity[:-1]) / 2
    rise = np.diff(problem.log_impressions)
    apart = np.abs(area - rise).sum() > _DISAGREEMENT * max(np.abs(rise).sum(), 1e-3)
    return replace(problem, elasticity=None) if apart else problem


def interpolated(problem: SizingProblem) -> Curves:
    """Interpolate the problem's curve, by its elasticities if it has any, whether they fit or not."""
    x, y = problem.log_followers, problem.log_impressions + problem.shift
    given = problem.elasticity
    curve = PchipInterpolator(x, y) if given is None else CubicHermiteSpline(x, y, given)
    return Curves(problem=problem, log_impressions=curve, notes=())


def price_list_of(problem: SizingProblem) -> PriceList | None:
    """Prices that are given at sizes; None where the price is of another form."""
    if isinstance(problem.price, PriceList) or problem.price is None:
        return problem.price
    return None if callable(problem.price) else PriceList(np.exp(problem.log_followers), problem.price)


def price_of(problem: SizingProblem, followers: Reals) -> Reals:
    """Price of a creator, (K,), from followers, (K,)."""
    if problem.cost_per_thousand is not None:
        return problem.cost_per_thousand / 1000 * followers
    price = price_list_of(problem) or problem.price
    assert callable(price)
    return np.broadcast_to(np.asarray(price(followers), dtype=np.float64), followers.shape)


def kinks(problem: SizingProblem) -> Reals:
    """Log followers of the curve at which the slope of a list's price jumps, so that an optimum may be a corner."""
    if isinstance(problem.price, np.ndarray):
        return problem.log_followers[1:-1]
    listed = price_list_of(problem)
    if listed is None:
        return np.empty(0)
    first, last = problem.log_followers[[0, -1]]
    at = np.log(listed.followers)
    return np.asarray(at[(at > first) & (at < last)])


def fine_grid(problem: SizingProblem, *, within: tuple[float, float] | None = None) -> Reals:
    """Log followers to look at: each cell of the grid divided evenly, cut to a range whose ends are among them."""
    x = problem.log_followers
    cells = np.linspace(x[:-1], x[1:], POINTS_PER_CELL, endpoint=False).T.ravel()
    points = np.concatenate([cells, x[-1:]])
    if within is None:
        return points
    low, high = within
    return np.concatenate([[low], points[(points > low) & (points < high)], [high]])
