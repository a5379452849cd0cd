"""Linear limits on a plan, as sparse rows over its columns (eq. 5 and 12)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError

TOLERANCE = 1e-9
"""Relative room for the rounding of sums; a budget of 1,000,000 may be missed by 0.001."""

AT_ZERO = 0.1
"""Share of the largest coefficient that rows with a limit of 0 are measured by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearRows:
    """Limits on sums over chosen tuples (eq. 5 and 12): frequency, coverage, diversity, money.

    Row r says lower[r] <= Σ coefficient·y[members] <= upper[r], over start[r]:start[r + 1].

    Attributes:
        start: where each row's members begin, (R + 1,); a sparse matrix in CSR form.
        members: columns of the problem, (M,), each at most once in a row: tuples, then switches.
        coefficient: (M,); 1 where left out, so that a row counts.
        lower: (R,), -infinite where there is none (0 is none where no coefficient is negative).
        upper: (R,), infinite where there is none.
        names: what each row limits, in the user's words, (R,).
        settings: the setting that each row comes from, (R,); rows of one setting are reported together.
        room: how far a sum may pass its limits for rounding, (R,); where left out, 0 for rows that count and
            `TOLERANCE` of the limit (a tenth of that of the largest coefficient where the limit is 0) for others.
    """

    start: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    members: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    coefficient: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    lower: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    upper: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    names: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    room: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        freeze(self, "start", self.start, np.int64)
        freeze(self, "members", self.members, np.int64)
        weights = self.coefficient if len(self.coefficient) else np.ones(len(self.members))
        freeze(self, "coefficient", weights, np.float64)
        freeze(self, "lower", self.lower, np.float64)
        freeze(self, "upper", self.upper, np.float64)
        rows = len(self.names)
        if not (len(self.settings) == len(self.lower) == len(self.upper) == len(self.start) - 1 == rows):
            raise DataError(
                f"LinearRows: start has {len(self.start)} entries, lower {len(self.lower)}, upper {len(self.upper)}, "
                f"names {rows}, settings {len(self.settings)}. start needs one more than rows, the others one each."
            )
        if self.start[0] != 0 or np.any(np.diff(self.start) < 0) or self.start[-1] != len(self.members):
            raise DataError("LinearRows: start does not rise from 0 to the number of members.")
        if self.coefficient.shape != self.members.shape or not np.all(np.isfinite(self.coefficient)):
            raise DataError("LinearRows: coefficient needs one finite number for each member.")
        self._check_limits()
        freeze(self, "room", self.room if len(self.room) else self._room(), np.float64)
        if self.room.shape != (rows,):
            raise DataError(f"LinearRows: room has shape {self.room.shape}, there are {rows} rows.")
        repeated = self._first_repeated()
        if repeated is not None:
            raise DataError(f'LinearRows: "{self.names[repeated]}" holds the same tuple twice. Name each member once.')

    def _check_limits(self) -> None:
        for name, limits in (("lower", self.lower), ("upper", self.upper)):
            wrong = np.flatnonzero(np.isnan(limits))
            if wrong.size:
                raise ConfigError(
                    f"{self.names[wrong[0]]}: the {name} limit is not a number. Give one or leave it out."
                )
        wrong = np.flatnonzero(self.lower > self.upper)
        if wrong.size:
            row = wrong[0]
            raise ConfigError(
                f"{self.names[row]}: the minimum {self.lower[row]:g} is above the maximum {self.upper[row]:g}. "
                f"Change {self.settings[row]}."
            )

    def _room(self) -> NDArray[np.float64]:
        """`TOLERANCE` of each row's size; rows that count need none, as whole numbers add up exactly."""
        rows = len(self.names)
        limits = np.stack([np.abs(self.lower), np.abs(self.upper), np.zeros(rows)])
        size = np.max(np.where(np.isfinite(limits), limits, 0.0), axis=0)
        largest = np.zeros(rows)
        np.maximum.at(largest, self.row_of, np.abs(self.coefficient))
        counts = self._sums(np.abs(self.coefficient) != 1) == 0
        return np.where(counts, 0.0, TOLERANCE * np.where(size > 0, size, AT_ZERO * largest))

    def _first_repeated(self) -> int | None:
        order = np.lexsort((self.members, self.row_of))
        row, member = self.row_of[order], self.members[order]
        same = np.flatnonzero((np.diff(row) == 0) & (np.diff(member) == 0))
        return int(row[same[0]]) if same.size else None

    def _sums(self, entries: ArrayLike) -> NDArray[np.float64]:
        return np.bincount(self.row_of, weights=np.asarray(entries, np.float64), minlength=len(self)).astype(float)

    @property
    def row_of(self) -> NDArray[np.int64]:
        """Row of each entry of `members`."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.start))

    @property
    def size(self) -> NDArray[np.float64]:
        """What a solver should divide each row by, (R,): 1 where a row counts."""
        return np.where(self.room > 0, self.room / TOLERANCE, 1.0)

    @property
    def binds_below(self) -> NDArray[np.bool_]:
        """Rows whose lower limit some choice of columns breaks, (R,)."""
        return self.lower > self._sums(np.minimum(self.coefficient, 0.0))

    @property
    def binds_above(self) -> NDArray[np.bool_]:
        """Rows whose upper limit some choice of columns breaks, (R,)."""
        return self.upper < self._sums(np.maximum(self.coefficient, 0.0))

    def activity(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Sum of each row.

        Args:
            y: value of every column.

        Returns:
            Σ coefficient·y[members], (R,).
        """
        return self._sums(self.coefficient * y[self.members])

    def where(self, kept: NDArray[np.bool_]) -> "LinearRows":
        """Keep some of the rows.

        Args:
            kept: (R,).
        """
        entries = kept[self.row_of]
        return LinearRows(
            start=np.concatenate([[0], np.cumsum(np.diff(self.start)[kept])]),
            members=self.members[entries],
            coefficient=self.coefficient[entries],
            lower=self.lower[kept],
            upper=self.upper[kept],
            names=tuple(name for name, keep in zip(self.names, kept, strict=True) if keep),
            settings=tuple(setting for setting, keep in zip(self.settings, kept, strict=True) if keep),
            room=self.room[kept],
        )

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(
        cls,
        rows: Iterable[tuple[str, str, ArrayLike, float, float] | tuple[str, str, ArrayLike, float, float, ArrayLike]],
    ) -> "LinearRows":
        """Collect rows given one by one.

        Args:
            rows: (setting, name, members, lower, upper) of each row, and its coefficients where they are not all 1.
        """
        listed = list(rows)
        sets = [np.asarray(row[2], np.int64).ravel() for row in listed]
        weights = [
            np.broadcast_to(np.asarray(row[5] if len(row) > 5 else 1.0, np.float64), members.shape)
            for row, members in zip(listed, sets, strict=True)
        ]
        return cls(
            start=np.concatenate([[0], np.cumsum([len(members) for members in sets], dtype=np.int64)]),
            members=np.concatenate([np.zeros(0, np.int64), *sets]),
            coefficient=np.concatenate([np.zeros(0), *weights]),
            lower=np.array([row[3] for row in listed], np.float64),
            upper=np.array([row[4] for row in listed], np.float64),
            names=tuple(row[1] for row in listed),
            settings=tuple(row[0] for row in listed),
        )

    @classmethod
    def by_key(
        cls,
        keys: NDArray[Any],
        *,
        setting: str,
        name: str,
        lower: float = 0.0,
        upper: float = np.inf,
        coefficient: ArrayLike | None = None,
    ) -> "LinearRows":
        """Make one row per distinct key, for instance per creator.

        Args:
            keys: key of each tuple, (N,).
            setting: where the limit comes from.
            name: what each row limits, with {key} for the key.
            lower: least sum per key.
            upper: largest sum per key.
            coefficient: of each tuple, (N,), for instance its price; 1 where left out.
        """
        distinct, code = np.unique(keys, return_inverse=True)
        counts = np.bincount(code, minlength=len(distinct))
        members = np.argsort(code, kind="stable")
        return cls(
            start=np.concatenate([[0], np.cumsum(counts)]),
            members=members,
            coefficient=np.zeros(0) if coefficient is None else np.asarray(coefficient, np.float64)[members],
            lower=np.full(len(distinct), lower),
            upper=np.full(len(distinct), upper),
            names=tuple(name.format(key=key) for key in distinct.tolist()),
            settings=(setting,) * len(distinct),
        )

    @classmethod
    def stack(cls, parts: Sequence["LinearRows"]) -> "LinearRows":
        """Put several sets of rows below one another."""
        ends = np.cumsum([0, *(len(part.members) for part in parts)])
        none = np.zeros(0)
        return cls(
            start=np.concatenate([[0], *(part.start[1:] + end for part, end in zip(parts, ends, strict=False))]),
            members=np.concatenate([np.zeros(0, np.int64), *(part.members for part in parts)]),
            coefficient=np.concatenate([none, *(part.coefficient for part in parts)]),
            lower=np.concatenate([none, *(part.lower for part in parts)]),
            upper=np.concatenate([none, *(part.upper for part in parts)]),
            names=tuple(name for part in parts for name in part.names),
            settings=tuple(setting for part in parts for setting in part.settings),
            room=np.concatenate([none, *(part.room for part in parts)]),
        )


def freeze(holder: object, name: str, values: Any, dtype: Any) -> None:
    """Store a read-only copy of an array in a frozen dataclass."""
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    object.__setattr__(holder, name, array)
