"""Rows of a large file, a block at a time, and what is wrong with them, counted over the whole file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.market.checks import OnBadRows, Origin, Problem, describe

_REMEDY = "Correct the file, or import with `market.on_bad_rows=drop`, which reports how many went."


@dataclass(kw_only=True)
class BadRows:
    """What was wrong in one file, collected over its blocks."""

    file: str
    on_bad_rows: OnBadRows
    word: str = "line"
    """What is numbered: line of a text file, row of a Parquet file."""
    _found: dict[tuple[str, str], list[tuple[pa.ChunkedArray, NDArray[np.int64]]]] = field(default_factory=dict)

    def refuse(self, table: pa.Table, lines: NDArray[np.int64], problem: Problem) -> None:
        """Raise, or remember rows that are dropped.

        Args:
            table: (n,) rows of a block.
            lines: (n,) their line numbers.
            problem: which rows, and why.

        Raises:
            DataError: with `on_bad_rows="error"`; reading stops at the first block with a bad row.
        """
        if self.on_bad_rows == "error":
            seen = f" (counted up to {self.word} {lines[-1]:,}, where reading stopped)" if len(lines) else ""
            text = describe(table, problem, Origin(file=self.file, numbers=lines, word=self.word))
            raise DataError(f"{text}\n{problem.rule} {_REMEDY}{seen}")
        values = table.column(problem.column).filter(pa.array(problem.bad))
        self._found.setdefault((problem.column, problem.what), []).append((values, lines[problem.bad]))

    @property
    def notes(self) -> tuple[str, ...]:
        """One note per kind of row that was dropped."""
        notes = []
        for (column, what), found in self._found.items():
            numbers = np.concatenate([lines for _, lines in found])
            table = pa.table({column: pa.chunked_array([chunk for values, _ in found for chunk in values.chunks])})
            problem = Problem(column=column, bad=np.ones(len(numbers), dtype=bool), what=what, rule="")
            notes.append(
                "Dropped: " + describe(table, problem, Origin(file=self.file, numbers=numbers, word=self.word))
            )
        return tuple(notes)


@dataclass(kw_only=True)
class Block:
    """Some rows of a file, all values text."""

    rows: pa.Table
    lines: NDArray[np.int64]
    """(n,) line of the file on which each row begins; the first is 1."""
    bad: BadRows

    def require(self, column: str, what: str, rule: str, bad: Callable[[pa.ChunkedArray], Any]) -> None:
        """Refuse (or drop) rows by the value of one column.

        Args:
            column: column of the file.
            what: what a bad value is, singular and plural separated by "|".
            rule: what is expected, as a sentence.
            bad: from values (n,) to booleans (n,).
        """
        self.refuse(column, what, rule, bad(self.rows.column(column)))

    def refuse(self, column: str, what: str, rule: str, bad: Any) -> None:
        """Refuse (or drop) rows, see `require`; `bad` are booleans (n,)."""
        mask = np.asarray(bad, dtype=bool)
        if mask.any():
            self.bad.refuse(self.rows, self.lines, Problem(column=column, bad=mask, what=what, rule=rule))
            self.keep(~mask)

    def pattern(self, column: str, pattern: str, what: str, rule: str) -> None:
        """Require that all values match a regular expression."""
        self.require(column, what, rule, lambda values: pc.invert(pc.match_substring_regex(values, pattern)))

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Leave the other rows out; the caller counts them."""
        self.rows, self.lines = self.rows.filter(pa.array(mask)), self.lines[mask]


def no_rows(file: str, bad: BadRows) -> DataError:
    """Error for a file without a usable row."""
    why = " left after dropping bad ones" if bad.notes else ""
    return DataError(f"{file}: the file holds no rows{why}.")
