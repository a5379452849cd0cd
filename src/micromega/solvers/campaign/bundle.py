"""Minimise the Lagrangian dual of a separable campaign problem: cutting planes inside a shrinking and growing box.

For multipliers x = (m0, m) of the budget B and of the priced rows lower <= A y <= upper,

    D(x) = m0 B + Σ_r (m_r⁺ upper_r - m_r⁻ lower_r) + gain(x),  gain(x) = max over caps of Σ (value - m0 price - Aᵀm) y,

bounds every plan from above. The first part is linear in m⁺ and m⁻; gain is convex, and each evaluation gives a plane
below it, since the tuples that it chooses tell how gain changes. The planes of parts of the creators are kept apart.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign.highs_model import silent
from micromega.solvers.campaign.separable import Separable

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reply:
    """What an evaluation of the inner problems says, by part of the creators.

    Attributes:
        gain: (G,).
        use: prices and sums of priced rows of the tuples chosen, (G, 1 + P).
    """

    gain: Floats
    use: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Minimum:
    """The best multipliers found.

    Attributes:
        multipliers: budget, then priced rows; positive at upper limits, (1 + P,).
        bound: the dual function there.
        evaluations: of the dual function.
    """

    multipliers: Floats
    bound: float
    evaluations: int


def minimise(
    parts: Separable,
    evaluate: Callable[[Floats], Reply],
    start: Floats,
    *,
    tolerance: float,
    evaluations: int,
    deadline: float,
    scale: Floats | None = None,
    below: float = -np.inf,
) -> Minimum:
    """Find multipliers that make the bound small.

    Args:
        parts: the problem.
        evaluate: the inner problems at multipliers (1 + P,).
        start: multipliers to begin with, (1 + P,).
        tolerance: stop when the planes promise less than this share of the bound.
        evaluations: most evaluations.
        deadline: of `time.monotonic()`.
        scale: typical size of each multiplier, (1 + P,); from the data where left out.
        below: a bound below this is small enough.
    """
    upper = np.concatenate([[parts.limit], parts.upper])
    lower = np.concatenate([[-np.inf], parts.lower])
    x = _signed(start, lower, upper)
    reply = evaluate(x)
    best, centre = _bound(x, reply, lower, upper), x
    size = _sizes(parts, x, reply) if scale is None else scale
    model = _Planes(lower, upper, size, len(reply.gain))
    model.add(x, reply)
    radius, done = 1.0, 1
    while done < evaluations and best >= below and time.monotonic() < deadline:
        x, promised = model.lowest(centre, radius)
        fall = best - promised
        if fall <= tolerance * abs(best):
            if radius >= _WIDE:
                break
            radius *= 8
            continue
        reply = evaluate(x)
        done += 1
        model.add(x, reply)
        found = _bound(x, reply, lower, upper)
        radius = min(radius * 2, _WIDEST) if found < best - 0.1 * fall else radius * 0.5
        if found < best:
            best, centre = found, x
    return Minimum(multipliers=centre, bound=best, evaluations=done)


_WIDE, _WIDEST = 1.0, 64.0
"""Box in which planes that promise nothing end the search; the largest box (without a plan, bounds fall for ever)."""


def _bound(x: Floats, reply: Reply, lower: Floats, upper: Floats) -> float:
    active = np.flatnonzero(x)
    limits = np.where(x[active] > 0, upper[active], lower[active])
    return float(np.sum(reply.gain) + x[active] @ limits)


def _signed(x: Floats, lower: Floats, upper: Floats) -> Floats:
    """Drop multipliers of limits that are not there."""
    return np.where((x > 0) & np.isfinite(upper) | (x < 0) & np.isfinite(lower), x, 0.0)


def _sizes(parts: Separable, x: Floats, reply: Reply) -> Floats:
    """How far a step may go: a share of each multiplier, or of what one unit of the row may be worth."""
    spent, sums = float(np.sum(reply.use[:, 0])), np.abs(reply.use[:, 1:]).sum(axis=0)
    worth = float(np.sum(reply.gain)) + x[0] * spent
    typical = float(np.mean(np.abs(parts.value))) if len(parts) else 1.0
    typical = typical or 1.0
    money = worth / spent if worth > 0 and spent > 0 else typical / (float(np.mean(parts.price)) or 1.0)
    each = (
        worth / float(np.max(sums)) if worth > 0 and np.max(sums, initial=0.0) > 0 else typical / max(1.0, len(parts))
    )
    return np.maximum(0.3 * np.abs(x), 0.1 * np.concatenate([[money], np.full(len(x) - 1, max(each, 1e-12 * typical))]))


class _Planes:
    """The planes as a linear program that is kept warm: columns m0, m⁺, m⁻ and one value of gain for each part."""

    def __init__(self, lower: Floats, upper: Floats, size: Floats, groups: int) -> None:
        self._size, self._count, self._groups = size, len(size), groups
        self._has_upper, self._has_lower = np.isfinite(upper), np.isfinite(lower)
        columns = 2 * self._count + groups
        cost = np.concatenate(
            [
                np.where(self._has_upper, upper, 0.0) * size,
                np.where(self._has_lower, -lower, 0.0) * size,
                np.ones(groups),
            ]
        )
        self._unit = float(np.max(np.abs(cost[: 2 * self._count]), initial=0.0)) or 1.0
        cost[: 2 * self._count] /= self._unit
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = columns, 0
        program.col_cost_ = cost
        program.col_lower_ = np.concatenate([np.zeros(2 * self._count), np.full(groups, -highspy.kHighsInf)])
        program.col_upper_ = np.full(columns, highspy.kHighsInf)
        self._highs = silent()
        self._highs.setOptionValue("solver", "simplex")
        self._highs.setOptionValue("presolve", "off")
        self._highs.passModel(program)
        self._index = np.arange(columns, dtype=np.int32)

    def add(self, x: Floats, reply: Reply) -> None:
        """Add the planes that touch gain at x: gain(z) >= gain(x) - use (z - x)."""
        slope = reply.use * self._size / self._unit
        height = (reply.gain + reply.use @ x) / self._unit
        for group in range(self._groups):
            weights = np.concatenate([slope[group], -slope[group], np.zeros(self._groups)])
            weights[2 * self._count + group] = 1.0
            kept = np.flatnonzero(weights).astype(np.int32)
            self._highs.addRow(height[group], highspy.kHighsInf, len(kept), kept, weights[kept])

    def lowest(self, centre: Floats, radius: float) -> tuple[Floats, float]:
        """Lowest point of the planes within the box, and its height."""
        z = centre / self._size
        low, high = z - radius, z + radius
        rises = np.where(self._has_upper, np.maximum(high, 0.0), 0.0)
        falls = np.where(self._has_lower, np.maximum(-low, 0.0), 0.0)
        least_rise = np.where(self._has_upper, np.maximum(low, 0.0), 0.0)
        least_fall = np.where(self._has_lower, np.maximum(-high, 0.0), 0.0)
        columns = self._index[: 2 * self._count]
        self._highs.changeColsBounds(
            len(columns), columns, np.concatenate([least_rise, least_fall]), np.concatenate([rises, falls])
        )
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return centre, np.inf
        solution = np.asarray(self._highs.getSolution().col_value)[: 2 * self._count]
        promised = self._highs.getInfo().objective_function_value * self._unit
        return (solution[: self._count] - solution[self._count :]) * self._size, float(promised)
