"""The sizing certificate: profit recomputed from the problem on a ten times finer grid, by another interpolation.

It knows no algorithm: log impressions go through Akima's piecewise cubic here, not the solver's monotone one, and a
price list is read by lines of its own. Where two interpolations differ, the curve does not say which is right, so a
profit is compared with that much room.
"""

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator

from micromega.solvers.plan import Certificate, Check
from micromega.solvers.sizing.answer import Root, Size, SizingPlan
from micromega.solvers.sizing.prices import PriceList
from micromega.solvers.sizing.problem import SizingProblem

Reals = NDArray[np.float64]

_FINER = 10
_ROUNDING = 1e-9
_RESIDUAL = 0.02
_SAME = 1e-6  # log followers


class _Recomputed:
    """Profit of the problem by linear and Akima interpolation, (K,) each, at any log followers (K,)."""

    def __init__(self, problem: SizingProblem) -> None:
        self.problem = problem
        self.x = problem.log_followers
        listed = np.log(problem.price.followers) if isinstance(problem.price, PriceList) else np.empty(0)
        self.corner = listed[(listed > self.x[0]) & (listed < self.x[-1])]
        self.node = self._profit(self.x, problem.log_impressions)
        self.u = np.interp(np.arange(_FINER * (len(self.x) - 1) + 1) / _FINER, np.arange(len(self.x)), self.x)
        self.fine = self.profit(self.u)
        apart = np.abs(self.fine - self._profit(self.u, np.interp(self.u, self.x, problem.log_impressions)))
        cell = np.minimum(np.arange(len(self.u)) // _FINER, len(self.x) - 2)
        self.room_of_cell = np.zeros(len(self.x) - 1)
        np.maximum.at(self.room_of_cell, cell, 2 * apart)

    def profit(self, u: Reals) -> Reals:
        """By Akima's interpolation, (K,)."""
        curve = Akima1DInterpolator(self.x, self.problem.log_impressions, method="makima")
        return self._profit(u, np.asarray(curve(np.clip(u, self.x[0], self.x[-1]))))

    def room(self, u: Reals) -> Reals:
        """How far two interpolations of the same points are apart near u, in currency, (K,)."""
        cell = self.cell(u)
        near = [self.room_of_cell[np.clip(cell + step, 0, len(self.x) - 2)] for step in (-1, 0, 1)]
        return np.asarray(np.max(near, axis=0))

    def cell(self, u: Reals) -> NDArray[np.int64]:
        """Cell of the grid that each u lies in, (K,)."""
        return np.clip(np.searchsorted(self.x, u, side="right") - 1, 0, len(self.x) - 2)

    def _profit(self, u: Reals, log_impressions: Reals) -> Reals:
        revenue = self.problem.value_per_impression * np.exp(log_impressions + self.problem.shift)
        return np.asarray(revenue - self.cost(np.exp(u)))

    def cost(self, followers: Reals) -> Reals:
        """(K,) in currency; prices of the grid are joined by straight lines in followers."""
        problem = self.problem
        if problem.cost_per_thousand is not None:
            return followers * problem.cost_per_thousand / 1000 + problem.fixed_cost
        if isinstance(problem.price, PriceList):
            return _listed_price(problem.price.followers, problem.price.price, followers) + problem.fixed_cost
        if callable(problem.price):
            return np.asarray(problem.price(followers), dtype=np.float64) + problem.fixed_cost
        assert problem.price is not None
        return np.asarray(np.interp(followers, np.exp(self.x), problem.price) + problem.fixed_cost)

    def highest(self, low: float, high: float) -> tuple[float, float]:
        """Highest profit in a range of log followers, less the room there, and where."""
        every = np.concatenate([self.u, self.corner])
        u = np.concatenate([[low], every[(every >= low) & (every <= high)], [high]])
        sure = self.profit(u) - self.room(u)
        return float(sure.max()), float(u[np.argmax(sure)])


def _listed_price(sizes: Reals, prices: Reals, followers: Reals) -> Reals:
    """(K,) by lines through the list's points, (P,), which go on through the origin below the first and above the last.

    So the origin and a far point of the last price per follower make two points more of the same list.
    """
    far = 2 * float(np.max(followers, initial=sizes[-1]))
    x = np.concatenate([[0], sizes, [far]])
    y = np.concatenate([[0], prices, [prices[-1] / sizes[-1] * far]])
    line = np.searchsorted(x, followers, side="right") - 1
    return np.asarray(y[line] + (followers - x[line]) * (y[line + 1] - y[line]) / (x[line + 1] - x[line]))


def verify(problem: SizingProblem, plan: SizingPlan) -> Certificate:
    """Check a plan against its problem.

    Args:
        problem: what was asked.
        plan: what was answered; nothing in it is believed.

    Returns:
        Checks of the curve, the optimum, the best size inside the support, the roots, the flags and the bound. That
        upper bound is for every curve through the same points that rises or falls within each cell: no size earns more;
        `gap` says how much that leaves open, which a finer grid makes smaller. Both are NaN where the price is a
        function, which may be cheaper anywhere.
    """
    own = _Recomputed(problem)
    scale = float(np.max(np.abs(own.node))) + problem.value_per_impression * float(
        np.exp(problem.log_impressions.max() + problem.shift)
    )
    bound = _bound(problem, own)
    best = np.array([math.log(plan.optimum.followers)])
    objective = float(own.profit(best)[0])
    if 0 < objective - bound <= _ROUNDING * scale:  # an optimum at an end of the curve may be its own bound
        bound = objective
    checks = [
        _check_curve(own, plan, scale),
        *_check_size("optimum", plan.optimum, own, (float(own.x[0]), float(own.x[-1])), scale),
        *_check_size("best inside the support", plan.supported, own, problem.inner_range, scale),
        *_check_roots(plan.roots, own, scale),
        _check_flags(problem, plan),
        *_check_bound(objective, bound, float(own.room(best)[0]) + _ROUNDING * scale),
    ]
    return Certificate(
        status=plan.status,
        checks=tuple(checks),
        objective=objective,
        spend=float(own.cost(np.array([plan.optimum.followers]))[0]),
        upper_bound=bound,
        gap=float(np.maximum(0.0, bound - objective)) / abs(objective) if objective else math.inf,
        row_slack=np.zeros(0),
        cases=1,
    )


def _bound(problem: SizingProblem, own: _Recomputed) -> float:
    """Best profit if each cell had its more popular end's impressions at its lowest cost; NaN where that is unknown.

    Costs run straight in followers between the cell's ends and a list's points, so the lowest is at one of those.
    """
    if callable(problem.price) and not isinstance(problem.price, PriceList):
        return math.nan
    impressions = np.exp(problem.log_impressions + problem.shift)
    cost = own.cost(np.exp(own.x))
    lowest = np.minimum(cost[1:], cost[:-1])
    np.minimum.at(lowest, own.cell(own.corner), own.cost(np.exp(own.corner)))
    best = problem.value_per_impression * np.maximum(impressions[1:], impressions[:-1])
    return float(np.max(best - lowest))


def _check_bound(objective: float, bound: float, room: float) -> Iterable[Check]:
    if not math.isnan(bound):
        words = f"The optimum earns {objective:,.2f}, and the upper bound is {bound:,.2f}."
        yield _check("upper bound", objective <= bound + room, objective, bound + room, words)


def _check_curve(own: _Recomputed, plan: SizingPlan, scale: float) -> Check:
    shaped = plan.profit.shape == own.node.shape
    apart = float(np.max(np.abs(plan.profit - own.node))) if shaped else math.inf
    words = f"The profit curve is value times impressions less cost, to {apart:.3g}."
    return _check("profit curve", apart <= _ROUNDING * scale, apart, _ROUNDING * scale, words)


def _check_size(name: str, size: Size, own: _Recomputed, within: tuple[float, float], scale: float) -> Iterable[Check]:
    u = math.log(size.followers)
    inside = within[0] - _SAME <= u <= within[1] + _SAME
    at = np.array([u])
    profit, room = float(own.profit(at)[0]), float(own.room(at)[0]) + _ROUNDING * scale
    ok = inside and abs(profit - size.profit) <= room
    words = f"{size.followers:,.0f} followers earn {size.profit:,.2f}; recomputed: {profit:,.2f}."
    yield _check(f"{name}: profit", ok, size.profit, profit, words, slack=room - abs(profit - size.profit))
    best, where = own.highest(*within)
    nodes = own.node[(own.x >= within[0]) & (own.x <= within[1])]
    best = max(best, float(np.max(nodes, initial=-math.inf)))
    limit = max(size.profit, profit) + room
    words = f"The most that any size surely earns is {best:,.2f}, near {math.exp(where):,.0f} followers."
    yield _check(f"{name}: none better", best <= limit, best, limit, words)


def _check_roots(roots: tuple[Root, ...], own: _Recomputed, scale: float) -> Iterable[Check]:
    """Each root satisfies value · FEI · R = c · F, kinds alternate, and each hill and valley of the grid has one."""
    worst, ok = 0.0, True
    step = np.diff(own.x)
    for root in roots:
        u = math.log(root.size.followers)
        cell = float(step[np.clip(np.searchsorted(own.x, u, side="right") - 1, 0, len(step) - 1)])
        if root.smooth:
            residual = abs(_residual(own, u, 1e-4 * cell))
            worst = max(worst, residual)
            ok &= residual <= _RESIDUAL or _changes_sign(own, u, cell) or _nearly_flat(own, u, cell)
        else:
            ok &= any(_turns(own, root, u, share * cell, scale) for share in (1e-2, 1e-4))  # others may be near
    kinds = [root.kind for root in sorted(roots, key=lambda root: root.size.followers)]
    ok &= all(kind != following for kind, following in pairwise(kinds))
    words = (
        f"{len(roots)} sizes with value · FEI · impressions = cost · followers, missed by {100 * worst:.2g} % at most."
    )
    yield _check("first-order condition", ok, worst, _RESIDUAL, words)
    missed = _missed(roots, own, scale)
    words = f"{missed} hills or valleys of the grid have no root."
    yield _check("no root missed", missed == 0, float(missed), 0.0, words)


def _turns(own: _Recomputed, root: Root, u: float, step: float, scale: float) -> bool:
    """Whether a kink or jump of the price is a hill or a valley, as the root says."""
    near = np.clip(np.array([u - step, u, u + step]), own.x[0], own.x[-1])
    around = own.profit(near) * (1 if root.kind == "maximum" else -1)
    return bool(around[1] >= max(around[0], around[2]) - float(own.room(near).max()) - _ROUNDING * scale)


def _residual(own: _Recomputed, u: float, step: float) -> float:
    """Slope of the profit as a share of the cost's own slope and the revenue's, by differences."""
    at = np.clip(np.array([u - step, u + step]), own.x[0], own.x[-1])
    cost = own.cost(np.exp(at))
    revenue = own.profit(at) + cost
    size = float(np.abs(np.diff(cost))[0] + np.abs(np.diff(revenue))[0])
    return float(np.diff(revenue - cost)[0]) / size if size else 0.0


def _changes_sign(own: _Recomputed, u: float, step: float) -> bool:
    """Whether the slope, by this interpolation, changes its sign within a cell of u."""
    at = np.clip(np.linspace(u - step, u + step, 4 * _FINER + 1), own.x[0], own.x[-1])
    rise = np.diff(own.profit(at))
    return bool(rise.min() <= 0 <= rise.max())


def _nearly_flat(own: _Recomputed, u: float, step: float) -> bool:
    """Whether the slope changes the profit by no more over a cell than two interpolations are apart there."""
    at = np.clip(np.array([u - 1e-4 * step, u + 1e-4 * step]), own.x[0], own.x[-1])
    slope = float(np.diff(own.profit(at))[0] / np.diff(at)[0])
    return bool(abs(slope) * step <= float(own.room(np.array([u]))[0]))


def _missed(roots: tuple[Root, ...], own: _Recomputed, scale: float) -> int:
    u = np.array([math.log(root.size.followers) for root in roots])
    maximum = np.array([root.kind == "maximum" for root in roots], dtype=bool)
    rise = np.diff(own.node)
    count = 0
    for point in range(1, len(own.x) - 1):
        before, after = rise[point - 1], rise[point]
        if before * after >= 0 or min(abs(before), abs(after)) <= _ROUNDING * scale:
            continue
        near = (u >= own.x[point - 1]) & (u <= own.x[point + 1]) & (maximum == (before > 0))
        count += not near.any()
    return count


def _check_flags(problem: SizingProblem, plan: SizingPlan) -> Check:
    u = math.log(plan.optimum.followers)
    first, last = problem.log_followers[[0, -1]]
    interior = bool(first + _SAME < u < last - _SAME)
    inside = None
    if problem.support is not None:
        inside = bool(problem.support[0] - _SAME <= u <= problem.support[1] + _SAME)
    ok = (plan.interior, plan.inside_support) == (interior, inside)
    where = {None: "of unknown support", True: "inside the support", False: "outside the support"}[inside]
    words = f"The optimum is {'interior' if interior else 'at an end of the curve'} and {where}."
    return _check("where the optimum lies", ok, float(plan.interior), float(interior), words, slack=0.0)


def _check(name: str, ok: bool, value: float, limit: float, words: str, *, slack: float | None = None) -> Check:
    room = limit - value if slack is None else slack
    return Check(name=name, ok=bool(ok), value=float(value), limit=float(limit), slack=float(room), words=words)
