"""From the relaxation to a plan: a search over the tuples that it is least sure of, with all others as it has them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.solvers.campaign.highs_model import Found, maximise
from micromega.solvers.campaign.problem import TOLERANCE
from micromega.solvers.campaign.relax import Relaxed
from micromega.solvers.campaign.separable import Ints, Separable

Floats = NDArray[np.float64]
_GROWTH = 4
_ROUNDS = 6
_SHRINK = 1e-7


@dataclass(frozen=True, kw_only=True, eq=False)
class Core:
    """The best plan found.

    Attributes:
        chosen: (N,), or None without a plan.
        objective: its value, -infinite without.
        bound: HiGHS's claim that no plan is worth more, if the search covered all that is not settled; or infinite.
        infeasible: HiGHS says that there is no plan, and it had all tuples to search.
        searches: how many.
        open_tuples: what the last search was over.
    """

    chosen: NDArray[np.bool_] | None
    objective: float
    bound: float
    infeasible: bool
    searches: int
    open_tuples: int


def search_core(
    parts: Separable,
    relaxed: Relaxed,
    *,
    size: int,
    most: int,
    relative_gap: float,
    left: Callable[[], float],
    threads: int = 1,
    start: NDArray[np.bool_] | None = None,
) -> Core:
    """Search over ever more tuples until the plan is good enough, all that is open was searched, or time is over.

    Args:
        parts: the problem.
        relaxed: its relaxation.
        size: tuples in the first search.
        most: largest number of tuples in a search.
        relative_gap: when a plan is good enough.
        left: seconds that are left.
        threads: of HiGHS.
        start: a plan to beat, (N,).
    """
    tuples = len(parts)
    best, value = start, -math.inf if start is None else math.fsum(parts.value[start])
    claimed, searches, searched, infeasible = math.inf, 0, 0, False
    size, wanted = min(size, tuples), np.zeros(0, np.int64)
    enough = relaxed.bound - relative_gap / 2 * abs(relaxed.bound)
    while searches < _ROUNDS and left() > 0 and value < enough:
        unsettled = _unsettled(relaxed, value, most)
        if unsettled is not None and len(unsettled) <= size:
            free, whole = unsettled, True
        else:
            free = np.union1d(_smallest(relaxed.loss, size), wanted)
            whole = len(free) >= int(np.count_nonzero(np.isfinite(relaxed.loss)))
        answer = _search(
            parts, relaxed.chosen, free, best, enough=enough, gap=relative_gap / 4, time_limit_s=left(), threads=threads
        )
        searches, searched = searches + 1, len(free)
        if answer.chosen is not None and answer.objective > value:
            best, value = answer.chosen, answer.objective
        if whole:
            infeasible = answer.infeasible and best is None
            if math.isfinite(answer.bound) or answer.infeasible:
                claimed = max(value, answer.bound)
            break
        wanted = np.union1d(wanted, answer.wanted)
        unsettled = _unsettled(relaxed, value, most)
        if unsettled is not None and len(unsettled) and not np.setdiff1d(unsettled, free).size:
            claimed = max(value, answer.bound)
            break
        if unsettled is not None:
            size = max(len(unsettled), size)
        elif size >= most:
            break
        else:
            size = min(size * _GROWTH, most, tuples)
    return Core(
        chosen=best, objective=value, bound=claimed, infeasible=infeasible, searches=searches, open_tuples=searched
    )


def _unsettled(relaxed: Relaxed, value: float, most: int) -> Ints | None:
    """Tuples whose other choice may still lead to a better plan; None where they are too many to search."""
    room = relaxed.bound - value + TOLERANCE * abs(relaxed.bound)
    if not math.isfinite(room):
        return None
    found = np.flatnonzero(relaxed.loss <= room)
    return found if len(found) <= most else None


def _smallest(loss: Floats, count: int) -> Ints:
    """Indices of the smallest losses, rising; ties at the end go to the first."""
    if count >= len(loss):
        return np.flatnonzero(np.isfinite(loss))
    edge = np.partition(loss, count - 1)[count - 1]
    below = np.flatnonzero(loss < edge)
    ties = np.flatnonzero(loss == edge)[: count - len(below)] if np.isfinite(edge) else np.zeros(0, np.int64)
    return np.sort(np.concatenate([below, ties]))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answer:
    chosen: NDArray[np.bool_] | None
    objective: float
    bound: float
    infeasible: bool
    wanted: Ints


def _search(
    parts: Separable,
    guess: NDArray[np.bool_],
    free: Ints,
    best: NDArray[np.bool_] | None,
    *,
    enough: float,
    gap: float,
    time_limit_s: float,
    threads: int,
) -> _Answer:
    fixed = guess.copy()
    fixed[free] = False
    constant, (matrix, lower, upper) = math.fsum(parts.value[fixed]), _rows_left(parts, fixed, free)
    begin = None
    if best is not None and np.array_equal(np.delete(best, free), np.delete(fixed, free)):
        begin = best[free].astype(np.float64)

    def ask(less: float) -> tuple[Found, NDArray[np.bool_] | None]:
        tighter = upper.copy()
        tighter[0] -= less
        found = maximise(
            value=parts.value[free], matrix=matrix, lower=lower, upper=tighter, integer=True, constant=constant,
            time_limit_s=time_limit_s, relative_gap=gap, threads=threads, start=begin, enough=enough,
        )  # fmt: skip
        if found.y is None:
            return found, None
        chosen = fixed.copy()
        chosen[free[found.y > 0.5]] = True
        return found, chosen if feasible(parts, chosen) else None

    found, chosen = ask(0.0)
    if found.y is not None and chosen is None:  # HiGHS may overspend by its tolerance; the first bound stays valid
        chosen = ask(_SHRINK)[1]
    if found.y is None:
        wanted = np.zeros(0, np.int64)
        if found.status == "infeasible":
            wanted = _in_broken_rows(parts, fixed, free, matrix, lower, upper)
        return _Answer(
            chosen=None, objective=-math.inf, bound=found.bound if found.status == "limit" else -math.inf,
            infeasible=found.status == "infeasible", wanted=wanted,
        )  # fmt: skip
    if chosen is None:
        return _Answer(
            chosen=None, objective=-math.inf, bound=found.bound, infeasible=False, wanted=np.zeros(0, np.int64)
        )
    objective = math.fsum(parts.value[chosen])
    bound = found.bound if found.status in ("optimal", "limit") else math.inf
    return _Answer(chosen=chosen, objective=objective, bound=bound, infeasible=False, wanted=np.zeros(0, np.int64))


def _rows_left(parts: Separable, fixed: NDArray[np.bool_], free: Ints) -> tuple[sp.csr_array, Floats, Floats]:
    """All limits on the free tuples, less what the fixed ones take; money in shares of the spending limit."""
    money = parts.limit or 1.0
    spent = math.fsum(parts.price[fixed]) / money
    counts = np.bincount(parts.pattern[fixed], minlength=parts.usage.shape[0])
    used = parts.usage.T @ counts
    blocks, block = np.unique(parts.blocks_of(free), return_inverse=True)
    columns = np.arange(len(free))
    taken = np.add.reduceat(fixed, parts.start[:-1])[blocks] if len(blocks) else np.zeros(0)
    caps = sp.csr_array((np.ones(len(free)), (block, columns)), shape=(len(blocks), len(free)))
    nests, nests_left = _nests_left(parts, fixed, free)
    rest = parts.rest.matrix(len(parts))
    matrix = sp.vstack(
        [sp.csr_array(parts.price[free][None, :] / money), parts.usage[parts.pattern[free]].T, caps, nests,
         rest[:, free]], format="csr",
    )  # fmt: skip
    rest_used = rest @ fixed
    lower = np.concatenate(
        [[-np.inf], parts.lower - used, np.full(len(blocks) + len(nests_left), -np.inf), parts.rest.lower - rest_used]
    )
    upper = np.concatenate(
        [
            [(1 - TOLERANCE if parts.limit else 0.0) - spent],
            parts.upper - used,
            parts.cap[blocks] - taken,
            nests_left,
            parts.rest.upper - rest_used,
        ]
    )
    size = np.concatenate([[1.0], parts.size, np.ones(len(blocks) + len(nests_left)), parts.rest.size])
    return sp.csr_array(sp.diags_array(1 / size) @ matrix), lower / size, upper / size


def _nests_left(parts: Separable, fixed: NDArray[np.bool_], free: Ints) -> tuple[sp.csr_array, Floats]:
    """Nested caps that hold free tuples, and the room in them."""
    if len(parts.nest_start) == 1:
        return sp.csr_array((0, len(free))), np.zeros(0)
    shape = (len(parts), len(parts.nest_cap))
    member = sp.csr_array((np.ones(len(parts.nest_row)), parts.nest_row, parts.nest_start), shape=shape)
    inside = member[free].T.tocsr()
    rows = np.flatnonzero(np.diff(inside.indptr))
    return inside[rows], (parts.nest_cap - member.T @ fixed)[rows]


def _in_broken_rows(
    parts: Separable, fixed: NDArray[np.bool_], free: Ints, matrix: sp.csr_array, lower: Floats, upper: Floats
) -> Ints:
    """Break rows as little as possible, and name tuples that could mend those that had to break."""
    rows, n = matrix.shape[0], len(free)
    slack = sp.hstack([matrix, sp.eye_array(rows), -sp.eye_array(rows)], format="csr")
    cost = np.concatenate([np.zeros(n), np.full(2 * rows, -1.0)])
    most = np.concatenate(
        [np.ones(n), np.where(np.isfinite(lower), np.inf, 0.0), np.where(np.isfinite(upper), np.inf, 0.0)]
    )
    found = maximise(value=cost, matrix=slack, lower=lower, upper=upper, integer=False, column_upper=most)
    if found.y is None:
        return np.flatnonzero(fixed)
    missing, excess = found.y[n : n + rows], found.y[n + rows :]
    broken = (missing > TOLERANCE) | (excess > TOLERANCE)
    priced = 1 + len(parts.lower)
    wanted = np.zeros(len(parts), bool)
    if broken[0] or broken[priced:].any():  # money or a cap: what was taken for granted takes too much
        wanted |= fixed
    hit = parts.usage[:, np.flatnonzero(broken[1:priced])]
    wanted |= np.isin(parts.pattern, np.flatnonzero(np.diff(hit.indptr)))
    rest = np.flatnonzero(broken[rows - len(parts.rest.lower) :]) if len(parts.rest.lower) else np.zeros(0, np.int64)
    for row in rest.tolist():
        wanted[parts.rest.members[parts.rest.start[row] : parts.rest.start[row + 1]]] = True
    return np.flatnonzero(wanted)


def feasible(parts: Separable, chosen: NDArray[np.bool_]) -> bool:
    """Whether a choice keeps every limit."""
    counts = np.bincount(parts.pattern[chosen], minlength=parts.usage.shape[0])
    used = parts.usage.T @ counts
    room = TOLERANCE * parts.size
    fits = math.fsum(parts.price[chosen]) <= parts.limit
    fits &= bool(np.all(used <= parts.upper + room) and np.all(used >= parts.lower - room))
    if parts.blocks:
        whole = np.concatenate([[0], np.cumsum(chosen)])
        fits &= bool(np.all(np.diff(whole[parts.start]) <= parts.cap))
    if len(parts.nest_start) > 1:
        owner = np.repeat(chosen, np.diff(parts.nest_start))
        fits &= bool(
            np.all(np.bincount(parts.nest_row, weights=owner, minlength=len(parts.nest_cap)) <= parts.nest_cap)
        )
    if len(parts.rest.lower):
        rest = parts.rest.matrix(len(parts)) @ chosen
        room = TOLERANCE * parts.rest.size
        fits &= bool(np.all(rest <= parts.rest.upper + room) and np.all(rest >= parts.rest.lower - room))
    return fits
