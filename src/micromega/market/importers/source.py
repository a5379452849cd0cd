"""Reading the text files of public sources: every cell first as text, bad lines named by their line number."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from micromega.errors import DataError
from micromega.market.checks import OnBadRows, Origin, Problem, enforce
from micromega.market.schemas import TEXTS

log = logging.getLogger(__name__)


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
            bad: from values (N,) to booleans (N,).
        """

        def check(rows: pa.Table) -> Iterator[Problem]:
            mask = np.asarray(bad(rows.column(column)), dtype=bool)
            if mask.any():
                yield Problem(column=column, bad=mask, what=what, rule=rule)

        self.rows, self.origin, notes = enforce(self.rows, check, self.origin, self.on_bad_rows)
        self.notes.extend(notes)

    def pattern(self, column: str, pattern: str, what: str, rule: str) -> pa.ChunkedArray:
        """Require that all values match a regular expression; give the column."""
        self.require(column, what, rule, lambda values: pc.invert(pc.match_substring_regex(values, pattern)))
        return self.rows.column(column)

    def count(self, column: str) -> None:
        """Require non-negative integers of at most 18 digits."""
        what = "value that is no count|values that are no counts"
        self.pattern(column, r"^[0-9]{1,18}$", what, "Counts are non-negative integers.")

    def text_lists(self, column: str) -> None:
        """Require JSON lists of strings."""
        what = "value that is no JSON list of texts|values that are no JSON lists of texts"
        self.require(column, what, 'Such a value looks like ["a", "b"].', bad_text_lists)

    def unique(self, column: str) -> None:
        """Require that no value comes twice; of repeated ones the first is kept."""

        def repeated(values: pa.ChunkedArray) -> NDArray[np.bool_]:
            codes = np.asarray(values.combine_chunks().dictionary_encode().indices)
            bad = np.ones(len(codes), dtype=bool)
            bad[np.unique(codes, return_index=True)[1]] = False
            return bad

        self.require(column, "repeated key|repeated keys", f"Each {column} appears once.", repeated)

    def known(self, column: str, ids: pa.Array, where: str) -> None:
        """Require that all values are among ids."""
        what = "id that is not known|ids that are not known"
        rule = f"Each value appears in {where}."
        self.require(column, what, rule, lambda values: pc.invert(pc.is_in(values, ids)))

    def integers(self, column: str) -> pa.ChunkedArray:
        """Give a column that `count` has checked as integers."""
        return self.rows.column(column).cast(pa.int64())

    def lists(self, column: str) -> pa.Array:
        """Give a column that `text_lists` has checked as lists."""
        return pa.array(json.loads("[" + ",".join(self.rows.column(column).to_pylist()) + "]"), TEXTS)


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
    if not path.is_file():
        raise DataError(
            f"{path.name}: there is no such file in {path.parent}. Set market.path to the folder of the source."
        )
    broken: list[csv.InvalidRow] = []

    def skip(row: csv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    try:
        with pa.input_stream(path, compression="gzip" if path.suffix == ".gz" else None) as stream:
            content = stream.read()
        names = _header(content)
        table = csv.read_csv(
            pa.BufferReader(content),
            read_options=csv.ReadOptions(use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path.name}: not a readable CSV file, or damaged ({reason}). Folder: {path.parent}."
        ) from error
    for column in columns:
        if column not in names:
            raise DataError(f'{path.name}: column "{column}" is missing. The file has: {", ".join(names)}.')
    lines = _line_numbers(table)
    source = SourceTable(
        rows=table.select(columns),
        origin=Origin(file=path.name, numbers=lines, word="line"),
        on_bad_rows=on_bad_rows,
    )
    if broken:
        _report_broken(path.name, broken, len(names), source)
    return source


def bad_text_lists(values: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Find values that are no JSON lists of strings; the whole column is parsed at once where it is sound.

    Args:
        values: (N,) strings.

    Returns:
        (N,) True where bad.
    """
    texts = values.to_pylist()
    bad = np.zeros(len(texts), dtype=bool)
    if not np.asarray(pc.match_substring_regex(values, r"^\[(.|\n)*\]$"), dtype=bool).all() or not _all_lists(texts):
        bad[:] = [not _all_lists([text]) for text in texts]
    return bad


def _all_lists(texts: list[str]) -> bool:
    try:
        parsed = json.loads("[" + ",".join(texts) + "]")
        pa.array(parsed, TEXTS)
    except (ValueError, TypeError, RecursionError, pa.ArrowException):
        return False
    return len(parsed) == len(texts) and all(item is not None and None not in item for item in parsed)


def _header(content: bytes) -> list[str]:
    options = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda row: "skip")
    names: list[str] = csv.open_csv(pa.BufferReader(content), parse_options=options).schema.names
    return names


def _line_numbers(table: pa.Table) -> NDArray[np.int64]:
    """Line in the file on which each row begins; the header is line 1 and has no line break in it."""
    breaks = np.zeros(table.num_rows, dtype=np.int64)
    for name in table.column_names:
        breaks += np.asarray(pc.count_substring(table.column(name), "\n"), dtype=np.int64)
    before = np.concatenate([[0], np.cumsum(breaks + 1)[:-1]]) if len(breaks) else breaks
    return 2 + before


def _report_broken(file: str, broken: list[csv.InvalidRow], width: int, source: SourceTable) -> None:
    first = broken[0]
    text = first.text if len(first.text) <= 60 else first.text[:59] + "…"
    what = (
        f"{file}: {len(broken):,} row{'s' if len(broken) > 1 else ''} without exactly {width} values "
        f"(the first has {first.actual_columns}: {text!r})."
    )
    if source.on_bad_rows == "error":
        raise DataError(
            f"{what}\nCorrect the file, or import with `market.on_bad_rows=drop`, which reports how many went."
        )
    source.notes.append(f"Dropped: {what} Line numbers after such a row are too small.")
