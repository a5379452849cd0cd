"""0/1 columns that say whether anything of a set is chosen: a creator who is booked, a category that occurs.

Switch k is on exactly where a tuple of its set is chosen. Rows may use it; two kinds of links make it so in linear
terms, each only where a row would gain from a lie:

    Σ y_n <= z_k over tuples of the set of which at most one may be chosen      (off only if nothing is chosen)
    z_k <= Σ y_n over the set                                                   (on only if something is chosen)

Rows that allow one tuple of many, such as a frequency cap of 1, make the first kind few and tight; a tuple in none of
them has a link of its own.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.solvers.campaign.rows import LinearRows, freeze

LINK = "(switch)"
"""Setting of link rows: they say what a switch is and limit nothing themselves."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Switches:
    """Columns after the tuples; switch k stands at column N + k.

    Attributes:
        start: where each switch's tuples begin, (K + 1,).
        members: tuple indices, (start[-1],).
        names: what is on where the switch is, in the user's words, (K,).
    """

    start: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    members: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze(self, "start", self.start, np.int64)
        freeze(self, "members", self.members, np.int64)
        rises = len(self.start) == len(self.names) + 1 and self.start[0] == 0 and bool(np.all(np.diff(self.start) >= 0))
        if not rises or self.start[-1] != len(self.members):
            raise DataError(
                f"Switches: start has {len(self.start)} entries for {len(self.names)} names and {len(self.members)} "
                "members. It needs one more than names and rises from 0 to the number of members."
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def switch_of(self) -> NDArray[np.int64]:
        """Switch of each entry of `members`."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.start))

    def on(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Work out the switches by their definition.

        Args:
            y: of each tuple, (N,).

        Returns:
            1 where a tuple of the set is chosen, (K,).
        """
        chosen = np.bincount(self.switch_of, weights=y[self.members], minlength=len(self))
        return (chosen > 0).astype(np.float64)

    def links(self, rows: LinearRows, tuples: int) -> LinearRows:
        """Make the links that rows need, so that no row gains from a switch in the wrong place.

        Args:
            rows: of the problem, without links.
            tuples: how many tuples the problem has; columns from there on are switches.
        """
        below, above = rows.binds_below[rows.row_of], rows.binds_above[rows.row_of]
        rising, used = rows.coefficient > 0, rows.members >= tuples
        wants_on, wants_off = np.zeros((2, len(self)), bool)
        wants_on[rows.members[used & np.where(rising, below, above)] - tuples] = True
        wants_off[rows.members[used & np.where(rising, above, below)] - tuples] = True
        return LinearRows.stack([self._not_off(wants_off, rows, tuples), self._not_on(wants_on, tuples)])

    def _not_off(self, wanted: NDArray[np.bool_], rows: LinearRows, tuples: int) -> LinearRows:
        """Σ y_n - z_k <= 0, over sets of which at most one is chosen."""
        ones = _at_most_one(rows, tuples)
        covers = ones @ self._matrix(tuples).T if len(ones.indptr) > 1 else ones
        inside = covers.tocoo()
        whole = inside.data == np.diff(ones.indptr)[inside.row]
        of: dict[int, list[int]] = {}
        for row, switch in zip(inside.row[whole].tolist(), inside.col[whole].tolist(), strict=True):
            of.setdefault(switch, []).append(row)
        sets: list[NDArray[np.int64]] = []
        switches: list[int] = []
        for switch in np.flatnonzero(wanted).tolist():
            found = _cover(self.members[self.start[switch] : self.start[switch + 1]], ones, of.get(switch, []))
            sets += [np.append(part, switch + tuples) for part in found]
            switches += [switch] * len(found)
        start = np.concatenate([[0], np.cumsum([len(part) for part in sets], dtype=np.int64)])
        coefficient = np.ones(start[-1])
        coefficient[start[1:] - 1] = -1.0
        names = tuple(f"a post means that {self.names[switch]}" for switch in switches)
        return _links(start, np.concatenate([np.zeros(0, np.int64), *sets]), coefficient, names)

    def _matrix(self, tuples: int) -> sp.csr_array:
        return sp.csr_array((np.ones(len(self.members)), self.members, self.start), shape=(len(self), tuples))

    def _not_on(self, wanted: NDArray[np.bool_], tuples: int) -> LinearRows:
        """z_k - Σ y_n <= 0."""
        kept = np.flatnonzero(wanted)
        sizes = np.diff(self.start)[kept]
        entries = np.flatnonzero(wanted[self.switch_of])
        start = np.concatenate([[0], np.cumsum(sizes + 1)])
        members = np.insert(self.members[entries], (np.cumsum(sizes) - sizes), kept + tuples)
        coefficient = np.insert(np.full(len(entries), -1.0), (np.cumsum(sizes) - sizes), 1.0)
        names = tuple(f"{self.names[k]} only with a post" for k in kept.tolist())
        return _links(start, members, coefficient, names)

    @classmethod
    def by_key(cls, keys: NDArray[Any], *, name: str) -> "Switches":
        """Make one switch per distinct key, in sorted order.

        Args:
            keys: key of each tuple, (N,).
            name: what is on, with {key} for the key.
        """
        distinct, code = np.unique(keys, return_inverse=True)
        counts = np.bincount(code, minlength=len(distinct))
        return cls(
            start=np.concatenate([[0], np.cumsum(counts)]),
            members=np.argsort(code, kind="stable"),
            names=tuple(name.format(key=key) for key in distinct.tolist()),
        )

    @classmethod
    def stack(cls, parts: "list[Switches]") -> "Switches":
        """Put several sets of switches behind one another."""
        ends = np.cumsum([0, *(len(part.members) for part in parts)])
        return cls(
            start=np.concatenate([[0], *(part.start[1:] + end for part, end in zip(parts, ends, strict=False))]),
            members=np.concatenate([np.zeros(0, np.int64), *(part.members for part in parts)]),
            names=tuple(name for part in parts for name in part.names),
        )


def _at_most_one(rows: LinearRows, tuples: int) -> sp.csr_array:
    """Rows that allow one of several tuples, as a 0/1 matrix."""
    kept = (rows.upper == 1) & (np.diff(rows.start) > 1)
    odd = (rows.coefficient != 1) | (rows.members >= tuples)
    kept &= np.bincount(rows.row_of, weights=odd, minlength=len(rows)) == 0
    found = rows.where(kept)
    return sp.csr_array((np.ones(len(found.members)), found.members, found.start), shape=(len(found), tuples))


def _cover(members: NDArray[np.int64], ones: sp.csr_array, rows: list[int]) -> list[NDArray[np.int64]]:
    """Cover a set by rows that allow one of several, the largest first, and by single tuples."""
    left = set(members.tolist())
    found = []
    for row in sorted(rows, key=lambda row: (-(ones.indptr[row + 1] - ones.indptr[row]), row)):
        part = ones.indices[ones.indptr[row] : ones.indptr[row + 1]]
        before = len(left)
        left.difference_update(part.tolist())
        if len(left) < before:
            found.append(part.astype(np.int64))
    return found + [np.array([single]) for single in sorted(left)]


def _links(
    start: NDArray[np.int64], members: NDArray[np.int64], coefficient: NDArray[np.float64], names: tuple[str, ...]
) -> LinearRows:
    return LinearRows(
        start=start,
        members=members,
        coefficient=coefficient,
        lower=np.full(len(names), -np.inf),
        upper=np.zeros(len(names)),
        names=names,
        settings=(LINK,) * len(names),
    )
