"""Plain sparse rows, and which tuples are in the same rows: a million tuples share a few hundred patterns."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.solvers.campaign.inner import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Rows(NamedTuple):
    """Plain sparse rows: lower[r] <= Σ coefficient·y[members] <= upper[r]; all coefficients are 1 where there are none.

    `size` is what a solver should divide a row by, so that one tolerance fits all; 1 for rows that count.
    """

    start: Ints
    members: NDArray[np.integer]
    coefficient: Floats
    lower: Floats
    upper: Floats
    size: Floats

    @classmethod
    def of(
        cls, start: Ints, members: NDArray[np.integer], lower: Floats, upper: Floats, coefficient: Floats | None = None
    ) -> "Rows":
        """Rows given as plain arrays; without coefficients they count."""
        size = np.ones(len(lower))
        if coefficient is not None:
            limits = np.stack([np.abs(lower), np.abs(upper)])
            size = np.max(np.where(np.isfinite(limits), limits, 0.0), axis=0)
            size = np.where(size > 0, size, np.max(np.abs(coefficient), initial=0.0) or 1.0)
        return cls(start, members, np.zeros(0) if coefficient is None else coefficient, lower, upper, size)

    def matrix(self, tuples: int) -> sp.csr_array:
        """As a sparse matrix, (rows, tuples)."""
        weights = self.coefficient if len(self.coefficient) else np.ones(len(self.members))
        return sp.csr_array((weights, self.members, self.start), shape=(len(self.lower), tuples))

    def where(self, kept: NDArray[np.bool_]) -> "Rows":
        """Keep some of them."""
        sizes = np.diff(self.start)
        entries = np.repeat(kept, sizes)
        weights = self.coefficient[entries] if len(self.coefficient) else self.coefficient
        start = np.concatenate([[0], np.cumsum(sizes[kept])])
        return Rows(start, self.members[entries], weights, self.lower[kept], self.upper[kept], self.size[kept])


NO_ROWS = Rows(np.zeros(1, np.int64), np.zeros(0, np.int64), *np.zeros((4, 0)))


def patterns(rows: Rows, tuples: int) -> tuple[NDArray[np.int32], sp.csr_array]:
    """Find which tuples are in the same rows with the same coefficients.

    Args:
        rows: P rows.
        tuples: how many there are.

    Returns:
        Pattern of each tuple, (N,), and the patterns' coefficients, (Q, P).
    """
    count = len(rows.lower)
    keys = np.random.default_rng(0).integers(1, 2**63, count, dtype=np.uint64)
    bits = np.zeros(0, np.uint64)
    if len(rows.coefficient) and np.any(rows.coefficient != 1):
        bits = (rows.coefficient + 0.0).view(np.uint64)
    hashes = np.zeros(tuples, np.uint64)
    _hash_rows(rows.start, rows.members, bits, keys, np.ones(count, bool), hashes)
    pattern, slots = np.empty(tuples, np.int32), 1 << 12
    while True:
        example = np.empty(slots // 2 + 1, np.int64)
        found = _number_patterns(hashes, slots, pattern, example)
        if found >= 0:
            break
        slots <<= 4
    del hashes
    return pattern, _columns(rows, example[:found])


def _columns(rows: Rows, tuples: Ints) -> sp.csr_array:
    """Coefficients of a few tuples, (len(tuples), rows), without turning all rows around."""
    data, members, start = [], [], [0]
    order = np.argsort(tuples)
    ordered = tuples[order]
    for row in range(len(rows.lower)):
        part = slice(rows.start[row], rows.start[row + 1])
        inside = rows.members[part]
        place = np.searchsorted(inside, ordered) if _rises(inside) else None
        if place is None:
            sorter = np.argsort(inside, kind="stable")
            place = np.searchsorted(inside, ordered, sorter=sorter)
            place = np.where(place < len(inside), sorter[np.minimum(place, len(inside) - 1)], len(inside))
        hit = np.flatnonzero(place < len(inside))
        hit = hit[inside[place[hit]] == ordered[hit]]
        members.append(order[hit])
        data.append(rows.coefficient[part][place[hit]] if len(rows.coefficient) else np.ones(len(hit)))
        start.append(start[-1] + len(hit))
    none = np.zeros(0)
    matrix = (np.concatenate([none, *data]), np.concatenate([none, *members]).astype(np.int64), np.array(start))
    return sp.csr_array(matrix, shape=(len(rows.lower), len(tuples))).T.tocsr()


def _rises(numbers: NDArray[np.integer]) -> bool:
    return bool(np.all(numbers[1:] > numbers[:-1]))


@compiled
def _hash_rows(
    start: NDArray[np.int64],
    members: NDArray[np.integer],
    bits: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    wanted: NDArray[np.bool_],
    hashes: NDArray[np.uint64],
) -> None:
    """Give tuples in the same rows with the same coefficients the same number: a sum of mixed 64-bit keys."""
    for row in range(start.size - 1):
        if not wanted[row]:
            continue
        for k in range(start[row], start[row + 1]):
            mixed = keys[row]
            if bits.size:
                mixed = (mixed ^ bits[k]) * np.uint64(0xBF58476D1CE4E5B9)
                mixed ^= mixed >> np.uint64(31)
            hashes[members[k]] += mixed


@compiled
def _number_patterns(
    hashes: NDArray[np.uint64], slots: int, pattern: NDArray[np.int32], example: NDArray[np.int64]
) -> int:
    """Number distinct hashes in the order of their first tuple; `slots` is a power of two.

    Returns:
        How many there are, or -1 if there are more than half as many as slots.
    """
    code = np.full(slots, -1, np.int32)
    mask, found = np.uint64(slots - 1), 0
    for i in range(hashes.size):
        slot = (hashes[i] ^ (hashes[i] >> np.uint64(32))) & mask
        while code[slot] >= 0 and hashes[example[code[slot]]] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        if code[slot] < 0:
            if 2 * found >= slots:
                return -1
            code[slot] = found
            example[found] = i
            found += 1
        pattern[i] = code[slot]
    return found
