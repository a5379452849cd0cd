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
from micromega.market.loss import DropNote

REMEDY = "Correct the file, or import with `market.on_bad_rows=drop`, which reports how many went."
"""What to do about rows that may be dropped."""
SHOWN = 5
"""Lines named in a message."""


WHOLE_LINE = "whole line"
"""Stands for a column where a line as a whole is wrong."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One kind of bad row, over all blocks."""

    what: str
    rule: str
    meaning: str
    forgivable: bool
    values: list[pa.Array] = field(default_factory=list)
    lines: list[NDArray[np.int64]] = field(default_factory=list)


@dataclass(kw_only=True)
class BadRows:
    """What was wrong in one file, collected over its blocks."""

    file: str
    on_bad_rows: OnBadRows
    word: str = "line"
    """What is numbered: line of a text file, row of a Parquet file."""
    at_once: bool = True
    """With `on_bad_rows="error"`: raise at the first bad row; else the reader is to raise all `errors`."""
    table: str = ""
    """Table that the rows fill, to count what is dropped by (`Market.dropped`); "" counts by file."""
    seen: int = 0
    """Rows read so far, bad ones included."""
    _found: dict[tuple[str, str], _Kind] = field(default_factory=dict)

    def refuse(
        self,
        table: pa.Table,
        lines: NDArray[np.int64],
        problem: Problem,
        *,
        meaning: str = "",
        forgivable: bool = True,
    ) -> None:
        """Raise, or remember rows.

        Args:
            table: (n,) rows of a block.
            lines: (n,) their line numbers.
            problem: which rows, and why.
            meaning: column of the market that the file's column is meant for.
            forgivable: whether such rows may be dropped; else they are an error in any case, see `undecided`.

        Raises:
            DataError: with `on_bad_rows="error"` and `at_once`; reading stops at the first block with a bad row.
        """
        if self.on_bad_rows == "error" and self.at_once:
            seen = f" (counted up to {self.word} {lines[-1]:,}, where reading stopped)" if len(lines) else ""
            text = tell(table, problem, Origin(file=self.file, numbers=lines, word=self.word), meaning)
            raise DataError(f"{text}\n{problem.rule} {REMEDY}{seen}")
        kind = _Kind(what=problem.what, rule=problem.rule, meaning=meaning, forgivable=forgivable)
        kind = self._found.setdefault((problem.column, problem.what), kind)
        kind.values.extend(table.column(problem.column).filter(pa.array(problem.bad)).chunks)
        kind.lines.append(lines[problem.bad])

    def lines_of(self, meaning: str) -> NDArray[np.int64]:
        """Numbers of the rows whose cell for one column of the market is bad."""
        found = [lines for kind in self._found.values() if kind.meaning == meaning for lines in kind.lines]
        return np.concatenate([np.empty(0, dtype=np.int64), *found])

    @property
    def notes(self) -> tuple[str, ...]:
        """One note (a `DropNote`) per kind of row that was dropped; complete when all blocks have been read."""
        return tuple(
            DropNote(f"Dropped: {text}", where=self.table or self.file, rows=sum(map(len, kind.lines)), of=self.seen)
            for text, kind in self._told()
            if kind.forgivable
        )

    @property
    def errors(self) -> tuple[str, ...]:
        """One sentence per kind of row that may be dropped but was not, with the rule."""
        told = self._told() if self.on_bad_rows == "error" else []
        return tuple(f"{text} {kind.rule}" for text, kind in told if kind.forgivable)

    @property
    def undecided(self) -> tuple[str, ...]:
        """One sentence per kind of row that is an error in any case, with the rule."""
        return tuple(f"{text} {kind.rule}" for text, kind in self._told() if not kind.forgivable)

    def _told(self) -> list[tuple[str, _Kind]]:
        told = []
        for (column, what), kind in self._found.items():
            numbers = np.concatenate(kind.lines)
            table = pa.table({column: pa.chunked_array(kind.values)})
            problem = Problem(column=column, bad=np.ones(len(numbers), dtype=bool), what=what, rule="")
            origin = Origin(file=self.file, numbers=numbers, word=self.word)
            told.append((tell(table, problem, origin, kind.meaning), kind))
        return told


def tell(table: pa.Table, problem: Problem, origin: Origin, meaning: str = "") -> str:
    """Say which rows break a rule, as `checks.describe` does, in the words of the file's owner.

    Args:
        table: rows.
        problem: which of them, and why.
        origin: their numbers.
        meaning: column of the market that the file's column is meant for, if it has another name.

    Returns:
        A sentence; lines that are wrong as a whole are counted without a column or their text.
    """
    if problem.column == WHOLE_LINE:
        numbers = origin.numbers[problem.bad]
        what = problem.what.split("|")[len(numbers) > 1]
        shown = ", ".join(str(number) for number in numbers[:SHOWN])
        word = origin.word + ("s" if len(numbers) > 1 else "")
        first = f"first {SHOWN} " if len(numbers) > SHOWN else ""
        return f"{origin.file}: {len(numbers):,} {what} ({first}{word} {shown})."
    text = describe(table, problem, origin)
    if meaning and meaning != problem.column:
        text = text.replace(f'column "{problem.column}"', f'column "{problem.column}" ({meaning})', 1)
    return text


@dataclass(kw_only=True)
class Block:
    """Some rows of a file, all values text."""

    rows: pa.Table
    lines: NDArray[np.int64]
    """(n,) line of the file on which each row begins; the first is 1."""
    bad: BadRows

    def __post_init__(self) -> None:
        self.bad.seen += self.rows.num_rows

    def require(self, column: str, what: str, rule: str, bad: Callable[[pa.ChunkedArray], Any]) -> None:
        """Refuse (or drop) rows by the value of one column.

        Args:
            column: column of the file.
            what: what a bad value is, singular and plural separated by "|".
            rule: what is expected, as a sentence.
            bad: from values (n,) to booleans (n,).
        """
        self.refuse(column, what, rule, bad(self.rows.column(column)))

    def refuse(
        self, column: str, what: str, rule: str, bad: Any, *, meaning: str = "", forgivable: bool = True
    ) -> None:
        """Refuse rows, drop them or remember them, see `require` and `BadRows.refuse`; `bad` are booleans (n,)."""
        mask = np.asarray(bad, dtype=bool)
        if mask.any():
            problem = Problem(column=column, bad=mask, what=what, rule=rule)
            self.bad.refuse(self.rows, self.lines, problem, meaning=meaning, forgivable=forgivable)
            if forgivable and self.bad.on_bad_rows == "drop":
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
    return DataError("\n".join([f"{file}: the file holds no rows{why}.", *bad.notes]))
