"""The campaign problem as frozen arrays: one entry per tuple (creator, content type, event, offset)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError

TOLERANCE = 1e-9
"""Relative room in the budget for the rounding of sums; a budget of 1,000,000 may be missed by 0.001."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CountRows:
    """Limits on how many tuples are chosen out of given sets (eq. 5 and 12): frequency, coverage, diversity.

    Row r says lower[r] <= number of chosen tuples among members[start[r]:start[r + 1]] <= upper[r].

    Attributes:
        start: where each row's members begin, (R + 1,); a sparse 0/1 matrix in CSR form.
        members: tuple indices, (start[-1],), each at most once in a row.
        lower: (R,), 0 where there is none.
        upper: (R,), infinite where there is none.
        names: what each row limits, in the user's words, (R,).
        settings: the setting that each row comes from, (R,); rows of one setting are reported together.
    """

    start: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    members: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    lower: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    upper: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    names: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze(self, "start", self.start, np.int64)
        freeze(self, "members", self.members, np.int64)
        freeze(self, "lower", self.lower, np.float64)
        freeze(self, "upper", self.upper, np.float64)
        rows = len(self.names)
        if not (len(self.settings) == len(self.lower) == len(self.upper) == len(self.start) - 1 == rows):
            raise DataError(
                f"CountRows: start has {len(self.start)} entries, lower {len(self.lower)}, upper {len(self.upper)}, "
                f"names {rows}, settings {len(self.settings)}. start needs one more than rows, the others one each."
            )
        if self.start[0] != 0 or np.any(np.diff(self.start) < 0) or self.start[-1] != len(self.members):
            raise DataError("CountRows: start does not rise from 0 to the number of members.")
        self._check_limits()
        repeated = self._first_repeated()
        if repeated is not None:
            raise DataError(f'CountRows: "{self.names[repeated]}" holds the same tuple twice. Name each member once.')

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

    def _first_repeated(self) -> int | None:
        order = np.lexsort((self.members, self.row_of))
        row, member = self.row_of[order], self.members[order]
        same = np.flatnonzero((np.diff(row) == 0) & (np.diff(member) == 0))
        return int(row[same[0]]) if same.size else None

    @property
    def row_of(self) -> NDArray[np.int64]:
        """Row of each entry of `members`."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.start))

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, ArrayLike, float, float]]) -> "CountRows":
        """Collect rows given one by one.

        Args:
            rows: (setting, name, member indices, lower, upper) of each row.
        """
        listed = list(rows)
        sets = [np.asarray(members, np.int64).ravel() for _, _, members, _, _ in listed]
        return cls(
            start=np.concatenate([[0], np.cumsum([len(members) for members in sets], dtype=np.int64)]),
            members=np.concatenate([np.zeros(0, np.int64), *sets]),
            lower=np.array([row[3] for row in listed], np.float64),
            upper=np.array([row[4] for row in listed], np.float64),
            names=tuple(row[1] for row in listed),
            settings=tuple(row[0] for row in listed),
        )

    @classmethod
    def by_key(
        cls, keys: NDArray[Any], *, setting: str, name: str, lower: float = 0.0, upper: float = np.inf
    ) -> "CountRows":
        """Make one row per distinct key, for instance per creator.

        Args:
            keys: key of each tuple, (N,).
            setting: where the limit comes from.
            name: what each row limits, with {key} for the key.
            lower: least number chosen per key.
            upper: most number chosen per key.
        """
        distinct, code = np.unique(keys, return_inverse=True)
        counts = np.bincount(code, minlength=len(distinct))
        return cls(
            start=np.concatenate([[0], np.cumsum(counts)]),
            members=np.argsort(code, kind="stable"),
            lower=np.full(len(distinct), lower),
            upper=np.full(len(distinct), upper),
            names=tuple(name.format(key=key) for key in distinct.tolist()),
            settings=(setting,) * len(distinct),
        )

    @classmethod
    def stack(cls, parts: Sequence["CountRows"]) -> "CountRows":
        """Put several sets of rows below one another."""
        ends = np.cumsum([0, *(len(part.members) for part in parts)])
        return cls(
            start=np.concatenate([[0], *(part.start[1:] + end for part, end in zip(parts, ends, strict=False))]),
            members=np.concatenate([np.zeros(0, np.int64), *(part.members for part in parts)]),
            lower=np.concatenate([np.zeros(0), *(part.lower for part in parts)]),
            upper=np.concatenate([np.zeros(0), *(part.upper for part in parts)]),
            names=tuple(name for part in parts for name in part.names),
            settings=tuple(setting for part in parts for setting in part.settings),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class CampaignProblem:
    """Choose tuples of the largest total value whose prices stay within the budget (eq. 6 and 7).

    The coupling is b = p·y, so that the spend is Σ p·y: with b <= p·y as eq. 4 writes it, b = 0 satisfies everything
    and the budget never binds.

    Attributes:
        creator_id: (N,) strings.
        content_type: (N,) strings; all "post" where left out.
        event_id: (N,) strings; all "campaign" where left out.
        offset_days: days from the event to the post, (N,); 0 where left out.
        date: calendar day of the post, (N,) datetime64[D]; NaT where left out.
        effectiveness: predicted effect of each tuple, additive, in `unit`, (N,).
        std: its uncertainty, same unit, (N,); 0 where left out.
        price: (N,), in `currency`.
        budget: in `currency`.
        rho: aversion to risk: the value of a tuple is effectiveness - rho·std (eq. 7), unitless.
        rows: limits on counts.
        currency: code or name.
        unit: of effectiveness, in words.
        notes: what happened while the problem was built, in words.
    """

    creator_id: NDArray[Any]
    content_type: NDArray[Any] = field(default_factory=lambda: np.zeros(0, str))
    event_id: NDArray[Any] = field(default_factory=lambda: np.zeros(0, str))
    offset_days: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    date: NDArray[np.datetime64] = field(default_factory=lambda: np.zeros(0, "datetime64[D]"))
    effectiveness: NDArray[np.float64]
    std: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    price: NDArray[np.float64]
    budget: float
    rho: float = 0.0
    rows: CountRows = field(default_factory=CountRows)
    currency: str = ""
    unit: str = "units of effect"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.creator_id)
        freeze(self, "creator_id", self.creator_id, np.str_)
        freeze(self, "content_type", _or_default(self.content_type, n, "post"), np.str_)
        freeze(self, "event_id", _or_default(self.event_id, n, "campaign"), np.str_)
        freeze(self, "offset_days", _or_default(self.offset_days, n, 0), np.int64)
        freeze(self, "date", _or_default(self.date, n, np.datetime64("NaT")), "datetime64[D]")
        freeze(self, "effectiveness", self.effectiveness, np.float64)
        freeze(self, "std", _or_default(self.std, n, 0.0), np.float64)
        freeze(self, "price", self.price, np.float64)
        for name in ("content_type", "event_id", "offset_days", "date", "effectiveness", "std", "price"):
            shape = getattr(self, name).shape
            if shape != (n,):
                raise DataError(f"campaign problem: {name} has shape {shape}, creator_id has ({n},).")
        for name, least in (("effectiveness", -np.inf), ("std", 0.0), ("price", 0.0)):
            self._check_numbers(name, least)
        for name in ("budget", "rho"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}. It must be a number that is finite and not negative.")
        if self.rows.members.size and (self.rows.members.min() < 0 or self.rows.members.max() >= n):
            raise DataError(f"campaign problem: a row names a tuple outside 0..{n - 1}.")
        self._check_keys()

    def _check_numbers(self, name: str, least: float) -> None:
        values = getattr(self, name)
        wrong = np.flatnonzero(~np.isfinite(values) | (values < least))
        if wrong.size:
            first = ", ".join(f"{self.creator_id[i]}: {values[i]:g}" for i in wrong[:3])
            allowed = "finite" if least == -np.inf else "finite and not negative"
            raise DataError(
                f"campaign problem: {name} holds {wrong.size} values that are not {allowed} (creator {first}). "
                "Correct them where they come from, or leave those creators out with must_exclude."
            )

    def _check_keys(self) -> None:
        columns = (self.creator_id, self.content_type, self.event_id, self.offset_days)
        codes = np.stack([np.unique(column, return_inverse=True)[1] for column in columns])
        order = np.lexsort(codes)
        same = np.flatnonzero(np.all(np.diff(codes[:, order], axis=1) == 0, axis=0))
        if same.size:
            key = ", ".join(str(column[order[same[0]]]) for column in columns)
            raise DataError(
                f"campaign problem: {same.size} tuples are given twice, the first is ({key}). "
                "A creator, content type, event and offset together name one post."
            )

    def __len__(self) -> int:
        return len(self.creator_id)

    @property
    def value(self) -> NDArray[np.float64]:
        """What the objective sums: effectiveness - rho·std (eq. 7), (N,)."""
        return self.effectiveness - self.rho * self.std

    @property
    def spending_limit(self) -> float:
        """The budget with the room for rounding that every check grants."""
        return self.budget * (1 + TOLERANCE)


def freeze(holder: object, name: str, values: Any, dtype: Any) -> None:
    """Store a read-only copy of an array in a frozen dataclass."""
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    object.__setattr__(holder, name, array)


def _or_default(values: NDArray[Any], n: int, default: Any) -> NDArray[Any]:
    return np.full(n, default) if len(values) == 0 else values
