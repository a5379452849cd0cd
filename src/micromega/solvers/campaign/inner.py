"""The inner problems of the Lagrangian dual, one per creator, compiled: the best posts under priced global rows.

With budget and global rows priced, each creator alone is left: choose the tuples of largest positive reduced value

    r_n = value_n - m0 price_n - (Aᵀm)_n

within the creator's cap and within caps on nested sets of the creator's tuples (per event, per day). Nested caps make
a laminar matroid, so that taking tuples in falling order of r is exact and the linear relaxation is no better.

N tuples in blocks of one creator each (C blocks), Q patterns of global rows, V nested sets.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
_SHORT = 64
"""Longest list of best tuples that is kept in order by insertion; beyond it a block is sorted."""


def compiled(function: F) -> F:
    """Compile on first use, and keep the machine code beside the source for the next process."""
    made: Any = numba.njit(cache=True, nogil=True)(function)
    return cast(F, made)


@compiled
def _best_of_block(
    value: NDArray[np.float64],
    price: NDArray[np.float64],
    pattern: NDArray[np.int32],
    worth: NDArray[np.float64],
    m0: float,
    limit: float,
    begin: int,
    end: int,
    cap: int,
    best: NDArray[np.float64],
    place: NDArray[np.int64],
) -> int:
    """Put the `cap` + 1 largest positive reduced values of one block into `best`, falling; ties keep their order."""
    n = 0
    for i in range(begin, end):
        if price[i] > limit:
            continue
        r = value[i] - m0 * price[i] - worth[pattern[i]]
        if r <= 0.0 or (n > cap and r <= best[cap]):
            continue
        j = min(n, cap)
        while j > 0 and r > best[j - 1]:
            best[j] = best[j - 1]
            place[j] = place[j - 1]
            j -= 1
        best[j] = r
        place[j] = i
        n = min(n + 1, cap + 1)
    return n


@compiled
def _positive_of_block(
    value: NDArray[np.float64],
    price: NDArray[np.float64],
    pattern: NDArray[np.int32],
    worth: NDArray[np.float64],
    m0: float,
    limit: float,
    begin: int,
    end: int,
    best: NDArray[np.float64],
    place: NDArray[np.int64],
) -> int:
    """Put all positive reduced values of one block into `best`, in the order of the tuples."""
    n = 0
    for i in range(begin, end):
        r = value[i] - m0 * price[i] - worth[pattern[i]]
        if r > 0.0 and price[i] <= limit:
            best[n] = r
            place[n] = i
            n += 1
    return n


@compiled
def _has_room(
    i: int,
    nest_start: NDArray[np.int64],
    nest_row: NDArray[np.int64],
    nest_cap: NDArray[np.int64],
    used: NDArray[np.int64],
) -> bool:
    """Whether every nested set that holds a tuple has room."""
    if nest_start.size == 1:
        return True
    for k in range(nest_start[i], nest_start[i + 1]):  # noqa: SIM110  (numba compiles no generators)
        if used[nest_row[k]] >= nest_cap[nest_row[k]]:
            return False
    return True


@compiled
def _set_used(
    i: int, nest_start: NDArray[np.int64], nest_row: NDArray[np.int64], used: NDArray[np.int64], keep: int, add: int
) -> None:
    """Count a tuple in its nested sets, or begin to count."""
    if nest_start.size > 1:
        for k in range(nest_start[i], nest_start[i + 1]):
            used[nest_row[k]] = keep * used[nest_row[k]] + add


@compiled
def _turn_away(
    i: int,
    r: float,
    nest_start: NDArray[np.int64],
    nest_row: NDArray[np.int64],
    nest_cap: NDArray[np.int64],
    used: NDArray[np.int64],
    turned_away: NDArray[np.float64],
) -> None:
    """Note the first value that each full nested set turns away."""
    if nest_start.size > 1:
        for k in range(nest_start[i], nest_start[i + 1]):
            row = nest_row[k]
            if used[row] >= nest_cap[row] and turned_away[row] == 0.0:
                turned_away[row] = r


@compiled
def _greedy_of_block(
    n: int,
    cap: int,
    best: NDArray[np.float64],
    place: NDArray[np.int64],
    nest_start: NDArray[np.int64],
    nest_row: NDArray[np.int64],
    nest_cap: NDArray[np.int64],
    used: NDArray[np.int64],
    turned_away: NDArray[np.float64],
) -> tuple[int, float]:
    """Accept tuples in falling order of reduced value while every set that holds them has room.

    Accepted tuples move to the front of `best` and `place`. The first value that a full set turns away is its
    threshold: with those of the sets around it, it prices the set's cap.
    """
    order = np.argsort(-best[:n], kind="mergesort")
    ordered_best, ordered_place = best[:n][order].copy(), place[:n][order].copy()
    for i in ordered_place:
        _set_used(i, nest_start, nest_row, used, 0, 0)
    taken, low = 0, 0.0
    for index in range(n):
        i, r = ordered_place[index], ordered_best[index]
        if taken < cap and _has_room(i, nest_start, nest_row, nest_cap, used):
            best[taken], place[taken] = r, i
            taken += 1
            _set_used(i, nest_start, nest_row, used, 1, 1)
            continue
        if taken >= cap and low == 0.0:
            low = r
        _turn_away(i, r, nest_start, nest_row, nest_cap, used, turned_away)
    return taken, low


@compiled
def choose_in_blocks(
    value: NDArray[np.float64],
    price: NDArray[np.float64],
    pattern: NDArray[np.int32],
    worth: NDArray[np.float64],
    m0: float,
    limit: float,
    start: NDArray[np.int64],
    cap: NDArray[np.int64],
    nest_start: NDArray[np.int64],
    nest_row: NDArray[np.int64],
    nest_cap: NDArray[np.int64],
    first: int,
    last: int,
    counts: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    turned_away: NDArray[np.float64],
) -> tuple[float, float]:
    """Solve the inner problems of blocks `first` to `last`.

    Args:
        value: (N,), tuples of a block side by side.
        price: (N,).
        pattern: which global rows a tuple is in, (N,).
        worth: price of each pattern under the rows' multipliers, (Q,).
        m0: multiplier of the budget.
        limit: tuples of a larger price are never chosen.
        start: where blocks begin, (C + 1,).
        cap: most tuples of a block, (C,); the block's size where there is no cap.
        nest_start: where each tuple's nested sets begin, (N + 1,); of length 1 without any.
        nest_row: nested sets, the smallest first.
        nest_cap: (V,).
        first: block to begin with.
        last: block to end before.
        counts: how many tuples of each pattern were chosen, (Q,); added to.
        chosen: (N,), to be filled; of length 0 where not wanted, like the next three.
        high: smallest chosen reduced value of a block that is full, otherwise 0, (C,).
        low: largest value that the block's cap turned away, 0 where none, (C,).
        turned_away: the same of the nested sets, (V,), zeros to begin with.

    Returns:
        Sum of the chosen reduced values, and of the chosen prices.
    """
    largest = 0
    for block in range(first, last):
        largest = max(largest, start[block + 1] - start[block])
    best, place = np.empty(largest + 1), np.empty(largest + 1, np.int64)
    used = np.zeros(nest_cap.size, np.int64)
    nested, keep = nest_start.size > 1, chosen.size > 0
    scratch = np.zeros(nest_cap.size) if not keep else turned_away
    gain, spend = 0.0, 0.0
    for block in range(first, last):
        begin, end, most = start[block], start[block + 1], cap[block]
        least = 0.0
        if not nested and most < end - begin and most <= _SHORT:
            n = _best_of_block(value, price, pattern, worth, m0, limit, begin, end, most, best, place)
            if n > most:
                least, n = best[most], most
        else:
            n = _positive_of_block(value, price, pattern, worth, m0, limit, begin, end, best, place)
            if nested or n > most:
                n, least = _greedy_of_block(n, most, best, place, nest_start, nest_row, nest_cap, used, scratch)
        subtotal = 0.0
        for j in range(n):
            i = place[j]
            subtotal += best[j]
            spend += price[i]
            counts[pattern[i]] += 1
        gain += subtotal
        if keep:
            chosen[begin:end] = False
            for j in range(n):
                chosen[place[j]] = True
            high[block] = best[n - 1] if n == most and n > 0 else 0.0
            low[block] = least
    return gain, spend


@compiled
def losses(
    value: NDArray[np.float64],
    price: NDArray[np.float64],
    pattern: NDArray[np.int32],
    worth: NDArray[np.float64],
    m0: float,
    limit: float,
    start: NDArray[np.int64],
    nest_start: NDArray[np.int64],
    nest_row: NDArray[np.int64],
    accumulated: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    loss: NDArray[np.float64],
) -> None:
    """How much the bound falls at least where a tuple is decided the other way.

    Args:
        value: (N,), and so on as in `choose_in_blocks`.
        price: (N,).
        pattern: (N,).
        worth: (Q,).
        m0: multiplier of the budget.
        limit: tuples of a larger price lose everything.
        start: (C + 1,).
        nest_start: (N + 1,) or of length 1.
        nest_row: nested sets of each tuple, the smallest first.
        accumulated: price of the caps of a nested set and of all sets around it, (V,).
        chosen: (N,).
        high: (C,).
        low: (C,).
        loss: (N,), filled.
    """
    nested = nest_start.size > 1
    for block in range(start.size - 1):
        for i in range(start[block], start[block + 1]):
            if price[i] > limit:
                loss[i] = np.inf
                continue
            r = value[i] - m0 * price[i] - worth[pattern[i]]
            if nested and nest_start[i + 1] > nest_start[i]:
                loss[i] = abs(r - accumulated[nest_row[nest_start[i]]])
            elif nested:
                loss[i] = abs(r - low[block])
            elif chosen[i]:
                loss[i] = r - low[block]
            else:
                loss[i] = high[block] - r
