"""Reading the text files of public sources: every cell first as text, bad lines named by their line number."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError, some_of
from micromega.market.checks import OnBadRows, Origin, Problem, describe, enforce, repeated
from micromega.market.importers.cells import (
    bad_text_lists,
    parse_lists,
    parse_short_counts,
    python_value,
)
from micromega.market.importers.csv_file import read_csv_file
from micromega.market.importers.times import parse_times
from micromega.market.loss import DropNote
from micromega.market.schemas import REAL

ACCOUNT_ID = r"^[0-9a-f]{12}$"
POST_ID = r"^[0-9a-f]{16}$"
_NUMBER = r"[0-9]{1,15}(\.[0-9]{1,17})?([eE][-+]?[0-9]{1,2})?$"


@dataclass(kw_only=True)
class SourceTable:
    """Rows of one file that are being turned into market columns.

    `require` drops or refuses rows; columns converted afterwards come from the rows that are left.
    """

    rows: pa.Table
    origin: Origin
    on_bad_rows: OnBadRows
    notes: list[str] = field(default_factory=list)

    def require(self, column: str, what: str, rule: str, bad: Callable[[pa.ChunkedArray], Any]) -> None:
        """Refuse (or drop) rows by the value of one column.

        Args:
            column: column of the file.
            what: what a bad value is, singular and plural separated by "|".
            rule: what is expected, as a sentence.
            bad: from values (N,) to booleans (N,); null is not bad.
        """
        self.require_rows(column, what, rule, lambda rows: bad(rows.column(column)))

    def require_rows(self, column: str, what: str, rule: str, bad: Callable[[pa.Table], Any]) -> None:
        """Refuse (or drop) rows by the values of several columns; the message shows those of `column`."""

        def check(rows: pa.Table) -> Iterator[Problem]:
            mask = _mask(bad(rows))
            if mask.any():
                yield Problem(column=column, bad=mask, what=what, rule=rule)

        self.rows, self.origin, notes = enforce(self.rows, check, self.origin, self.on_bad_rows)
        self.notes.extend(notes)

    def pattern(self, column: str, pattern: str, what: str, rule: str) -> pa.ChunkedArray:
        """Require that all values match a regular expression; give the column."""
        self.require(column, what, rule, lambda values: pc.invert(pc.match_substring_regex(values, pattern)))
        return self.rows.column(column)

    def ids(self, column: str, pattern: str) -> None:
        """Require ids of a form, for instance `ACCOUNT_ID` or `POST_ID`."""
        digits = "16" if pattern == POST_ID else "12"
        self.pattern(column, pattern, "malformed id|malformed ids", f"Ids have {digits} hexadecimal digits.")

    def unknown(self, column: str, pattern: str, what: str) -> None:
        """Make cells that say "not known" null; a note counts them and names the first lines.

        Args:
            column: column of the file.
            pattern: regular expression of such cells.
            what: what such a cell is, singular and plural separated by "|".
        """
        mask = _mask(pc.match_substring_regex(self.rows.column(column), pattern))
        self.tell(column, mask, what)
        self._forget(column, mask)

    def tell(self, column: str, mask: NDArray[np.bool_], what: str) -> None:
        """Note how many cells are something, with the first lines and values."""
        if mask.any():
            problem = Problem(column=column, bad=mask, what=what, rule="")
            self.notes.append(f"Unknown: {describe(self.rows, problem, self.origin)}")

    def blank(self, *columns: str, note: bool = True) -> None:
        """Make empty cells null; a note counts them and names the first lines."""
        for column in columns:
            mask = _mask(pc.equal(self.rows.column(column), ""))
            if mask.any() and note:
                lines = self.origin.numbers[mask]
                shown = ", ".join(str(line) for line in lines[:5])
                many = "s" if len(lines) > 1 else ""
                where = f"line{many} {shown}{', …' if len(lines) > 5 else ''}"
                self.notes.append(
                    f'{self.origin.file}: column "{column}" is empty in {len(lines):,} row{many} ({where}).'
                )
            self._forget(column, mask)

    def _forget(self, column: str, mask: NDArray[np.bool_]) -> None:
        known = pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), self.rows.column(column))
        self.rows = self.rows.set_column(self.rows.schema.get_field_index(column), column, known)

    def choice(self, column: str, values: Sequence[str]) -> None:
        """Require one of some values."""
        rule = f"Allowed: {', '.join(values)}."
        known = pa.array(values)
        self.require(column, "unknown value|unknown values", rule, lambda cells: pc.invert(pc.is_in(cells, known)))

    def count(self, column: str) -> None:
        """Require non-negative integers of at most 18 digits."""
        what = "value that is no count|values that are no counts"
        self.pattern(column, r"^[0-9]{1,18}$", what, "Counts are non-negative integers.")

    def short_count(self, column: str) -> None:
        """Require counts as apps show them: 454, 21.9K, 2.1M, 1B; null stays."""
        what = "value that is no count|values that are no counts"
        pattern = r"^([0-9]{1,18}|[0-9]{1,9}(\.[0-9]{1,3})?[KMBkmb])$"
        self.pattern(column, pattern, what, "Counts look like 454, 21.9K, 2.1M or 1B.")

    def number(self, column: str, *, signed: bool = False) -> None:
        """Require finite numbers of 0 or more (any sign if signed); null stays."""
        what = "value that is no number|values that are no numbers"
        if signed:
            self.pattern(column, "^-?" + _NUMBER, what, "Numbers are finite.")
        else:
            self.pattern(column, "^" + _NUMBER, what, "Such numbers are finite and 0 or more.")

    def whole(self, column: str) -> None:
        """Require counts that may be written with a zero behind the point (637000.0); read them with `numbers`."""
        what = "value that is no count|values that are no counts"
        self.pattern(column, r"^[0-9]{1,15}(\.0)?$", what, "Counts are non-negative integers.")

    def clock_time(self, column: str, form: str) -> None:
        """Require times of a form, for instance "%Y-%m-%d %H:%M:%S"; see `parse_times`."""
        what = "value that is no time|values that are no times"
        rule = f"Times have the form {form}."
        self.require(column, what, rule, lambda values: pc.is_null(parse_times(values, form)))

    def text_lists(self, column: str, *, python: bool = False) -> None:
        """Require lists of strings: in JSON, or as Python prints them."""
        kind = "Python" if python else "JSON"
        what = f"value that is no {kind} list of texts|values that are no {kind} lists of texts"
        parse = python_value if python else json.loads
        rule = "Such a value looks like ['a', 'b']." if python else 'Such a value looks like ["a", "b"].'
        self.require(column, what, rule, lambda values: bad_text_lists(values, parse))

    def unique(self, *columns: str) -> None:
        """Require that no value (or combination of values) comes twice; of repeated ones the first is kept."""

        def again(rows: pa.Table) -> NDArray[np.bool_]:
            return repeated([rows.column(column) for column in columns])

        rule = f"Each {' + '.join(columns)} appears once."
        self.require_rows(columns[-1], "repeated key|repeated keys", rule, again)

    def known(self, column: str, ids: pa.Array, where: str) -> None:
        """Require that all values are among ids."""
        what = "id that is not known|ids that are not known"
        rule = f"Each value appears in {where}."
        self.require(column, what, rule, lambda values: pc.invert(pc.is_in(values, ids)))

    def integers(self, column: str) -> pa.ChunkedArray:
        """Give a column that `count` has checked as integers."""
        return self.rows.column(column).cast(pa.int64())

    def short_counts(self, column: str) -> pa.ChunkedArray:
        """Give a column that `short_count` has checked as integers."""
        return parse_short_counts(self.rows.column(column))

    def numbers(self, column: str) -> pa.ChunkedArray:
        """Give a column that `number` has checked as floating-point numbers."""
        return self.rows.column(column).cast(REAL)

    def times(self, column: str, form: str) -> pa.ChunkedArray:
        """Give a column that `clock_time` has checked as times, UTC."""
        return parse_times(self.rows.column(column), form)

    def flags(self, column: str) -> pa.ChunkedArray:
        """Give a column of the words True and False as truth values."""
        return pc.equal(self.rows.column(column), "True")

    def lists(self, column: str, *, python: bool = False) -> pa.Array:
        """Give a column that `text_lists` has checked as lists."""
        parse = python_value if python else json.loads
        return parse_lists(self.rows.column(column), parse)


def files_of(path: str, names: Sequence[str]) -> list[Path]:
    """Files of a source that are there; what is missing is reported when it is read.

    Args:
        path: the setting `market.path`, the source's folder.
        names: file names.

    Returns:
        Their paths.

    Raises:
        ConfigError: the setting is empty.
    """
    if not path:
        raise ConfigError(f"market.path: the folder with {names[0]} is not given. Add market.path=FOLDER.")
    return [Path(path) / name for name in names if (Path(path) / name).is_file()]


def read_csv(path: Path, columns: tuple[str, ...], on_bad_rows: OnBadRows) -> SourceTable:
    """Read a CSV file (gzip if it ends in .gz), header in line 1, values with line breaks allowed in quotes.

    Args:
        path: file.
        columns: columns that are needed; others are left out.
        on_bad_rows: what to do with lines of a wrong number of values, and later with bad values.

    Returns:
        The rows, all values as text, with line numbers.

    Raises:
        DataError: the file is missing, damaged, no UTF-8, lacks a column, or has broken lines.
    """
    file = read_csv_file(path)
    names = file.table.column_names
    for column in columns:
        if column not in names:
            raise DataError(f'{path.name}: column "{column}" is missing. The file has: {some_of(names)}.')
    notes: list[str] = []
    if count := file.broken_rows:
        rows = file.table.num_rows + count
        notes.append(DropNote(f"Dropped: {file.broken}", where=path.name, rows=count, of=rows))
    if file.broken and on_bad_rows == "error":
        raise DataError(
            f"{file.broken}\nCorrect the file, or import with `market.on_bad_rows=drop`, which reports how many went."
        )
    origin = Origin(file=path.name, numbers=file.lines, word="line")
    return SourceTable(rows=file.table.select(columns), origin=origin, on_bad_rows=on_bad_rows, notes=notes)


def _mask(bad: Any) -> NDArray[np.bool_]:
    """Booleans of a rule; a null breaks none."""
    if isinstance(bad, np.ndarray):
        return bad
    return np.asarray(pc.fill_null(bad, fill_value=False).combine_chunks(), dtype=bool)
