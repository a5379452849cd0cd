"""Preference lists as arrays: from lists, nested lists (ties), data frames or arrays, each checked."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError

Integers = NDArray[np.int64]
Lists = Sequence[Sequence[Any]] | tuple[ArrayLike, ...]
"""One list for each agent, best first, in which a list stands for a tie; or the same as (indptr, indices) or, with
ties, (indptr, indices, ranks)."""
_MOST = 2**53
"""Whole numbers below this are exact as floats too."""
_TIE = (list, tuple, set, frozenset, np.ndarray)


def whole_numbers(values: ArrayLike, name: str) -> Integers:
    """Check that values are one row of whole numbers; DataError otherwise."""
    if np.ma.is_masked(values):
        raise DataError(f"{name} has masked entries. Give one whole number each.")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name}: give one whole number each ({error}).") from None
    if array.ndim != 1:
        raise DataError(f"{name} has {array.ndim} dimensions. Give one number each.")
    if array.size and array.dtype.kind not in "iu":
        if array.dtype.kind != "f" or not np.all((np.abs(array) < _MOST) & (np.floor(array) == array)):
            raise DataError(f"{name} holds {array.dtype} values. Give whole numbers.")
    elif array.size and array.max() >= _MOST:
        raise DataError(f"{name} holds {array.max()}, which is too large.")
    return array.astype(np.int64)


def read_lists(given: Any, name: str, many: int | None, what: str) -> tuple[Integers, Integers, Integers]:
    """Turn preference lists into CSR arrays.

    Args:
        given: lists, nested lists, a data frame with a row for each agent and a column for each choice, or arrays.
        name: of the argument, for errors.
        many: how many there are to choose from; None: as many as are named, each at least once.
        what: in words, for errors.

    Returns:
        Where each list begins (A + 1,), what stands there, and the rank of each: 0, 1, 2, … along the list, equal
        within a tie; no ranks where no list has a tie.

    Raises:
        DataError: malformed lists; names the list.
    """
    start, values, rank = _csr(given, name)
    if many is None:
        many = int(values.max(initial=-1)) + 1
        if many > len(values):
            raise DataError(f"{name} names {many - 1}, but fewer {what} than that. Number them from 0 without gaps.")
    _check(start, values, many, name, what)
    if len(rank) and not np.any((rank[1:] == rank[:-1]) & ~_begins(start, len(values))[1:]):
        rank = rank[:0]  # nobody is tied
    return start, values, dense_ranks(start, rank)


def dense_ranks(start: Integers, value: NDArray[Any]) -> Integers:
    """Rank of each entry of lists in order of a value: 0, 1, 2, … along the list, up where the value changes, (M,)."""
    if not len(value):
        return np.zeros(0, np.int64)
    first = _begins(start, len(value))
    step = np.cumsum(first | np.concatenate([[True], value[1:] != value[:-1]]))
    rank: Integers = step - np.repeat(step[np.minimum(start[:-1], len(value) - 1)], np.diff(start))
    return rank


def drawn_order(seed: int, many: int) -> Integers:
    """Numbers 0 to many - 1 in an order drawn with a seed; DataError unless this is a whole number, 0 or more."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise DataError(f"seed is {seed!r}. Give a whole number, 0 or more.")
    return np.random.default_rng(seed).permutation(many)


def places(start: Integers) -> Integers:
    """Place on its list of all that stands there, the first 0."""
    return np.arange(start[-1]) - np.repeat(start[:-1], np.diff(start))


def owners(start: Integers) -> Integers:
    """Whose list each entry stands on."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start))


def _csr(given: Any, name: str) -> tuple[Integers, Integers, Integers]:
    none = np.zeros(0, np.int64)
    if isinstance(given, tuple) and len(given) in (2, 3) and all(isinstance(part, np.ndarray) for part in given):
        return _arrays(given, name)
    if hasattr(given, "to_numpy") and hasattr(given, "columns"):
        try:
            table = np.asarray(given.to_numpy(dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise DataError(f"{name}: give numbers, with nothing where a list ends ({error}).") from None
        known = ~np.isnan(table)
        return np.concatenate([[0], known.sum(axis=1).cumsum()]), whole_numbers(table[known], name), none
    try:
        sizes = np.fromiter(map(len, given), np.int64, len(given))
        flat = list(chain.from_iterable(given))
    except TypeError as error:
        raise DataError(f"{name}: give a list of whole numbers for each ({error}).") from None
    start = np.concatenate([[0], np.cumsum(sizes)])
    if not flat:
        return start, none, none
    try:
        values = np.array(flat)
    except (ValueError, OverflowError):  # lists of several lengths, or of one and numbers: ties
        values = none
    if values.shape == (len(flat),) and values.dtype != object:
        return start, whole_numbers(values, name), none
    return _with_ties(start, flat, name)


def _with_ties(start: Integers, flat: list[Any], name: str) -> tuple[Integers, Integers, Integers]:
    """CSR of lists in which some entries are lists themselves."""
    groups = [entry if isinstance(entry, _TIE) else (entry,) for entry in flat]
    size = np.fromiter((np.size(of) if isinstance(of, np.ndarray) else len(of) for of in groups), np.int64, len(groups))
    owner = owners(start)
    many = np.bincount(owner, weights=size, minlength=len(start) - 1).astype(np.int64)
    entries = [entry for of in groups for entry in (sorted(of, key=str) if isinstance(of, set | frozenset) else of)]
    if any(isinstance(entry, _TIE) for entry in entries):
        raise DataError(f"{name}: a tie holds a list. Give whole numbers, and a list of them for a tie.")
    try:
        values = np.array(entries) if entries else np.zeros(0, np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{name}: give a list of whole numbers for each ({error}).") from None
    rank = np.repeat(places(start), size)
    return np.concatenate([[0], np.cumsum(many)]), whole_numbers(values, name), rank


def _arrays(given: tuple[Any, ...], name: str) -> tuple[Integers, Integers, Integers]:
    start, values = whole_numbers(given[0], f"{name}[0]"), whole_numbers(given[1], f"{name}[1]")
    if not len(start) or start[0] != 0 or np.any(np.diff(start) < 0) or start[-1] != len(values):
        raise DataError(f"{name}: indptr must rise from 0 to the number of indices, {len(values)}.")
    if len(given) == 2:
        return start, values, np.zeros(0, np.int64)
    rank = whole_numbers(given[2], f"{name}[2]")
    if len(rank) != len(values):
        raise DataError(f"{name}: {len(rank)} ranks for {len(values)} indices. Give one each.")
    falls = np.flatnonzero((rank[1:] < rank[:-1]) & ~_begins(start, len(values))[1:]) if len(rank) else rank
    if falls.size:
        of = int(np.searchsorted(start, falls[0], side="right")) - 1
        raise DataError(f"{name}: ranks fall within list {of}. Give each list best first, equal ranks for a tie.")
    return start, values, rank


def _begins(start: Integers, size: int) -> NDArray[np.bool_]:
    """Which entries are the first of their list."""
    found = np.zeros(size, bool)
    found[start[:-1][start[:-1] < size]] = True
    return found


def _check(start: Integers, values: Integers, many: int, name: str, what: str) -> None:
    def owner(at: int) -> int:
        return int(np.searchsorted(start, at, side="right")) - 1

    if values.size and not (values.min() >= 0 and values.max() < many):
        at = int(np.flatnonzero((values < 0) | (values >= many))[0])
        raise DataError(f"{name}[{owner(at)}] names {values[at]}. There are {many} {what}: 0 to {many - 1}.")
    at = _first_repeated(start, values, many)
    if at >= 0:
        raise DataError(f"{name}[{owner(at)}] names {values[at]} twice. Name each once.")


@numba.njit(cache=True)
def _first_repeated(start: Integers, values: Integers, many: int) -> int:
    """Place of the first value that stands twice in a list; -1 where none does."""
    last = np.full(many, -1, np.int64)
    for agent in range(len(start) - 1):
        for at in range(start[agent], start[agent + 1]):
            if last[values[at]] == agent:
                return at
            last[values[at]] = agent
    return -1
