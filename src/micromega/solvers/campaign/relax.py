"""The Lagrangian relaxation of a separable campaign problem: its value, its best multipliers, and what it settles."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign.bundle import Minimum, Reply, minimise
from micromega.solvers.campaign.inner import choose_in_blocks, losses
from micromega.solvers.campaign.separable import Places, Separable

Floats = NDArray[np.float64]
GROUPS = 8
"""Parts of the creators whose planes are kept apart."""
_SAMPLE = 3_000
_NONE = np.zeros(0)
_NOBODY = np.zeros(0, bool)


class Evaluator(Protocol):
    """Something that solves all inner problems."""

    def __call__(self, multipliers: Floats) -> Reply:
        """Solve them at multipliers (1 + P,)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Relaxed:
    """The inner problems solved at the best multipliers.

    Attributes:
        multipliers: budget, then priced rows, (1 + P,).
        bound: no plan is worth more, up to rounding.
        chosen: tuples that the inner problems choose, (N,).
        loss: how much the bound falls where a tuple is decided the other way, (N,).
        cap_multiplier: of each block's cap, (C,).
        nest_multiplier: of each nested cap, (V,).
    """

    multipliers: Floats
    bound: float
    chosen: NDArray[np.bool_]
    loss: Floats
    cap_multiplier: Floats
    nest_multiplier: Floats

    def in_problem(self, places: Places) -> Floats:
        """Multipliers of the problem's rows, (1 + R,), for `verify`."""
        duals = np.zeros(1 + places.rows)
        duals[0] = self.multipliers[0]
        duals[1 + places.priced] = self.multipliers[1:]
        duals[1 + places.nested] = self.nest_multiplier
        capped = np.flatnonzero(places.cap >= 0)
        duals[1 + places.cap[capped]] = self.cap_multiplier[capped]
        return duals


def evaluator(parts: Separable) -> Evaluator:
    """Make the compiled evaluation of the inner problems.

    Args:
        parts: the problem.
    """
    edges = groups_of(parts)

    def evaluate(multipliers: Floats) -> Reply:
        worth = np.asarray(parts.usage @ multipliers[1:], np.float64)
        groups = len(edges) - 1
        gain, use = np.zeros(groups), np.zeros((groups, len(multipliers)))
        for group in range(groups):
            counts = np.zeros(parts.usage.shape[0], np.int64)
            gain[group], use[group, 0] = _solve(
                parts, multipliers[0], worth, edges[group], edges[group + 1], counts, _NOBODY, _NONE, _NONE, _NONE
            )
            use[group, 1:] = parts.usage.T @ counts
        return Reply(gain=gain, use=use)

    return evaluate


def groups_of(parts: Separable) -> NDArray[np.int64]:
    """Edges of the parts of the creators whose planes are kept apart, (G + 1,)."""
    return np.linspace(0, parts.blocks, min(GROUPS, max(1, parts.blocks)) + 1).astype(np.int64)


def best_multipliers(
    parts: Separable,
    *,
    tolerance: float,
    deadline: float,
    evaluations: int = 200,
    evaluate: Evaluator | None = None,
    known: Floats | None = None,
) -> Minimum:
    """Minimise the dual, on a sample of the creators first where there are many.

    Args:
        parts: the problem.
        tolerance: as in `minimise`.
        deadline: of `time.monotonic()`.
        evaluations: most evaluations of all inner problems.
        evaluate: another evaluation of them; compiled where left out.
        known: multipliers to begin with, (1 + P,).
    """
    start, below = _usual_worth(parts) if known is None else known, least_worth(parts)
    if known is None and parts.blocks > 3 * _SAMPLE:
        sample = _sample(parts)
        start = minimise(
            sample, evaluator(sample), start, tolerance=max(tolerance, 1e-6), evaluations=evaluations, deadline=deadline
        ).multipliers
    return minimise(
        parts, evaluate or evaluator(parts), start, tolerance=tolerance, evaluations=evaluations, deadline=deadline,
        below=below,
    )  # fmt: skip


def _usual_worth(parts: Separable) -> Floats:
    """Multipliers to begin with: the median value per price of some tuples for the budget, 0 for the rows."""
    start = np.zeros(1 + len(parts.lower))
    some = slice(None, None, max(1, len(parts) // 100_000))
    value, price = parts.value[some], parts.price[some]
    bought = (price > 0) & (price <= parts.limit) & (value > 0)
    if np.any(bought):
        start[0] = float(np.median(value[bought] / price[bought]))
    return start


def least_worth(parts: Separable) -> float:
    """No plan is worth less: a bound below it shows that there is none."""
    negative = float(np.sum(np.minimum(parts.value, 0.0)))
    return negative - 1e-6 * (abs(negative) + float(np.max(np.abs(parts.value), initial=0.0)))


def relax(parts: Separable, multipliers: Floats) -> Relaxed:
    """Solve the inner problems once more, and note what they settle.

    Args:
        parts: the problem.
        multipliers: budget, then priced rows; the wrong sign for a limit that is not there counts as 0, (1 + P,).
    """
    lower = np.concatenate([[-np.inf], parts.lower])
    upper = np.concatenate([[parts.limit], parts.upper])
    known = np.where((multipliers > 0) & np.isfinite(upper) | (multipliers < 0) & np.isfinite(lower), multipliers, 0.0)
    worth = np.asarray(parts.usage @ known[1:], np.float64)
    chosen = np.zeros(len(parts), bool)
    high, low = np.zeros((2, parts.blocks))
    turned_away = np.zeros(len(parts.nest_cap))
    counts = np.zeros(parts.usage.shape[0], np.int64)
    gain, _ = _solve(parts, known[0], worth, 0, parts.blocks, counts, chosen, high, low, turned_away)
    active = np.flatnonzero(known)
    limits = np.where(known[active] > 0, upper[active], lower[active])
    accumulated = _accumulate(parts, turned_away, low)
    loss = np.empty(len(parts))
    losses(
        parts.value, parts.price, parts.pattern, worth, known[0], parts.limit, parts.start,
        parts.nest_start, parts.nest_row, accumulated, chosen, high, low, loss,
    )  # fmt: skip
    around = np.where(parts.nest_parent >= 0, accumulated[parts.nest_parent], low[_nest_block(parts)])
    middle = low if len(parts.nest_cap) else np.where(high > 0, (high + low) / 2, 0.0)
    return Relaxed(
        multipliers=known,
        bound=math.fsum([gain, *(known[active] * limits)]),
        chosen=chosen,
        loss=loss,
        cap_multiplier=middle,
        nest_multiplier=accumulated - around,
    )


def _solve(
    parts: Separable,
    m0: float,
    worth: Floats,
    first: int,
    last: int,
    counts: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    high: Floats,
    low: Floats,
    turned_away: Floats,
) -> tuple[float, float]:
    gain, spend = choose_in_blocks(
        parts.value, parts.price, parts.pattern, worth, float(m0), parts.limit, parts.start, parts.cap,
        parts.nest_start, parts.nest_row, parts.nest_cap, int(first), int(last), counts, chosen, high, low, turned_away,
    )  # fmt: skip
    return float(gain), float(spend)


def _sample(parts: Separable) -> Separable:
    """Draw some creators, and leave them their share of every limit."""
    picked = np.sort(np.random.default_rng(0).choice(parts.blocks, _SAMPLE, replace=False))
    sizes = np.diff(parts.start)[picked]
    start = np.concatenate([[0], np.cumsum(sizes)])
    tuples = np.repeat(parts.start[picked] - start[:-1], sizes) + np.arange(start[-1])
    share = _SAMPLE / parts.blocks
    nest_start, nest_row = parts.nest_start, parts.nest_row
    if len(nest_start) > 1:
        entries = np.diff(nest_start)[tuples]
        first = np.concatenate([[0], np.cumsum(entries)])
        nest_row = nest_row[np.repeat(nest_start[tuples] - first[:-1], entries) + np.arange(first[-1])]
        nest_start = first
    return replace(
        parts,
        value=parts.value[tuples],
        price=parts.price[tuples],
        pattern=parts.pattern[tuples],
        start=start,
        cap=parts.cap[picked],
        limit=parts.limit * share if np.any(parts.price[tuples] <= parts.limit * share) else parts.limit,
        lower=parts.lower * share,
        upper=parts.upper * share,
        nest_start=nest_start,
        nest_row=nest_row,
        order=np.zeros(0, np.int64),
    )


def _nest_block(parts: Separable) -> NDArray[np.int64]:
    """Block of each nested set, (V,)."""
    block = np.zeros(len(parts.nest_cap), np.int64)
    if len(parts.nest_cap):
        owner = np.repeat(np.arange(len(parts), dtype=np.int64), np.diff(parts.nest_start))
        block[parts.nest_row] = parts.blocks_of(owner)
    return block


def _accumulate(parts: Separable, turned_away: Floats, low: Floats) -> Floats:
    """Price of each nested cap and all caps around it: the largest threshold on the way out."""
    total = np.maximum(turned_away, low[_nest_block(parts)]) if len(turned_away) else turned_away
    parent = parts.nest_parent
    inner = np.flatnonzero(parent >= 0)
    while inner.size:  # as often as sets are nested
        higher = np.maximum(total[inner], total[parent[inner]])
        if np.array_equal(higher, total[inner]):
            break
        total[inner] = higher
    return total
