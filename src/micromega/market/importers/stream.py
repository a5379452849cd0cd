"""Reading large CSV files block by block: every cell first as text, lines numbered exactly."""

import codecs
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from micromega.errors import DataError, some_of
from micromega.market.checks import Problem
from micromega.market.importers.blocks import WHOLE_LINE, BadRows, Block

BLOCK = 16 << 20
"""Bytes of text that are in memory at a time, and the longest row."""
_WIDTHS = 3
"""Wrong numbers of values that a message names."""


def csv_blocks(
    path: Path, columns: tuple[str, ...], bad: BadRows, *, delimiter: str = ",", encoding: str = "utf8"
) -> Iterator[Block]:
    """Read a CSV file (gzip if it ends in .gz) block by block; header in line 1, line breaks allowed in quotes.

    Args:
        path: file.
        columns: columns that are needed; others are left out.
        bad: collects lines of a wrong number of values, and what the caller finds.
        delimiter: character between values.
        encoding: of the text.

    Yields:
        Blocks of rows. Blank lines are no rows.

    Raises:
        DataError: the file is missing, damaged, of another encoding, lacks a column, or has broken lines.
    """
    broken = _Broken()
    names = csv_header(path, delimiter=delimiter, encoding=encoding)
    try:
        _check_text(path, encoding)  # pyarrow cannot hand over a broken row that is no text
        _check_names(path, columns, names)
        with opened(path) as stream:
            reader = csv.open_csv(
                stream,
                read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK, encoding=encoding),
                parse_options=csv.ParseOptions(
                    delimiter=delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,  # so that line numbers stay right; they come as rows of empty values
                    invalid_row_handler=broken.skip,
                ),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            )
            last = yield from _blocks(reader, columns, bad, broken)
        if "\n" in last and not _last_bytes(path).rstrip(b"\r\n").endswith(b'"'):
            raise ValueError(f"the quotation that begins with {last[:40]!r} never ends and swallows the lines after it")
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        raise unreadable(path, error, encoding) from error


def csv_header(path: Path, *, delimiter: str = ",", encoding: str = "utf8") -> list[str]:
    """Names of the columns of a CSV file.

    Raises:
        DataError: the file is missing, empty or unreadable.
    """
    try:
        with opened(path) as stream:
            content = stream.read(BLOCK)
        codecs.getincrementaldecoder(encoding)().decode(content)
        options = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=lambda row: "skip")
        read = csv.ReadOptions(use_threads=False, block_size=BLOCK, encoding=encoding)
        names: list[str] = csv.open_csv(pa.BufferReader(content), read_options=read, parse_options=options).schema.names
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        raise unreadable(path, error, encoding) from error
    return names


@dataclass
class _Broken:
    """Rows without the right number of values; pyarrow hands them out one by one, a block ahead."""

    numbers: list[int] = field(default_factory=list)
    """Place among all rows; the header is 1."""
    texts: list[str] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    """Line breaks inside each."""
    widths: list[int] = field(default_factory=list)
    """Values in each."""
    lines: list[int] = field(default_factory=list)
    """Line of each row, as far as known."""

    def skip(self, row: csv.InvalidRow) -> str:
        self.numbers.append(row.number)
        self.texts.append(row.text)
        self.breaks.append(row.text.count("\n"))
        self.widths.append(row.actual_columns)
        return "skip"


@dataclass
class _Position:
    """How far a file has been read."""

    rows: int = 0
    """Good rows."""
    breaks: int = 0
    """Line breaks inside their values."""

    def lines(self, table: pa.Table, broken: _Broken) -> NDArray[np.int64]:
        """Give the line on which each row of the next block begins, and locate the broken rows among them.

        A row's line is one more than the rows and the line breaks inside values before it.
        """
        inside = np.zeros(table.num_rows, dtype=np.int64)
        for name in table.column_names:
            inside += np.asarray(pc.count_substring(table.column(name), "\n"), dtype=np.int64)
        within = self.breaks + np.concatenate([[0], np.cumsum(inside)])
        skipped = np.asarray(broken.numbers, dtype=np.int64)
        good_before = skipped - 2 - np.arange(len(skipped))
        skipped_breaks = np.concatenate([[0], np.cumsum(np.asarray(broken.breaks, dtype=np.int64))])
        place = self.rows + np.arange(table.num_rows)
        before = np.searchsorted(good_before, place, side="right")
        lines: NDArray[np.int64] = 2 + place + before + skipped_breaks[before] + within[:-1]
        new = np.arange(len(broken.lines), len(skipped))
        new = new[good_before[new] - self.rows <= table.num_rows]
        broken.lines += (skipped[new] + skipped_breaks[new] + within[good_before[new] - self.rows]).tolist()
        self.rows, self.breaks = self.rows + table.num_rows, int(within[-1])
        return lines


def _blocks(reader: Any, columns: tuple[str, ...], bad: BadRows, broken: _Broken) -> Generator[Block, None, str]:
    """Give the blocks; the value returned is the last one of the last row."""
    position, last = _Position(), ""
    names = reader.schema.names
    for batch in reader:
        table = pa.Table.from_batches([batch])
        lines = position.lines(table, broken)
        last = table.column(len(names) - 1)[-1].as_py() if table.num_rows else last
        if broken.lines and bad.on_bad_rows == "error" and bad.at_once:
            _report(broken, len(names), bad)
        blank = np.ones(table.num_rows, dtype=bool)
        for name in names:
            blank &= np.asarray(pc.equal(table.column(name), ""), dtype=bool)
        block = Block(rows=table.select(columns).filter(pa.array(~blank)), lines=lines[~blank], bad=bad)
        if block.rows.num_rows:
            yield block
    position.lines(reader.schema.empty_table(), broken)
    if broken.numbers:
        _report(broken, len(names), bad)
    return last


def _report(broken: _Broken, width: int, bad: BadRows) -> None:
    count = len(broken.lines)
    bad.seen += count  # they are in no block
    widths = [str(found) for found in sorted(set(broken.widths[:count]))]
    if len(widths) > _WIDTHS:
        widths = ["fewer or more"]
    listed = " or ".join(filter(None, (", ".join(widths[:-1]), widths[-1])))
    values = "value" if widths == ["1"] else "values"
    problem = Problem(
        column=WHOLE_LINE,
        bad=np.ones(count, dtype=bool),
        what="|".join(f"{lines} with {listed} {values} instead of {width}" for lines in ("line", "lines")),
        rule=f"The header names {width} {'column' if width == 1 else 'columns'}.",
    )
    bad.refuse(pa.table({WHOLE_LINE: broken.texts[:count]}), np.asarray(broken.lines, dtype=np.int64), problem)


def opened(path: Path) -> Any:
    """Open a file for reading, gzip unpacked.

    Raises:
        DataError: there is no such file.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the file.")
    if not path.is_file():
        raise DataError(
            f"{path.name}: there is no such file in {path.parent}. Set market.path to where the source lies."
        )
    return pa.input_stream(path, compression="gzip" if path.suffix.lower() == ".gz" else None)


def _last_bytes(path: Path) -> bytes:
    tail = b""
    with opened(path) as stream:
        while chunk := stream.read(BLOCK):
            tail = (tail + chunk)[-16:]
    return tail


def _check_names(path: Path, columns: tuple[str, ...], names: list[str]) -> None:
    missing = [column for column in dict.fromkeys(columns) if column not in names]
    twice = [column for column in dict.fromkeys(columns) if names.count(column) > 1]
    for found, one, many in ((missing, "is missing", "are missing"), (twice, "appears", "appear")):
        if found:
            listed = ", ".join(f'"{column}"' for column in found)
            what = f"column {listed} {one}" if len(found) == 1 else f"columns {listed} {many}"
            more = " more than once" if found is twice else ""
            raise DataError(f"{path.name}: {what}{more}. The file has: {some_of(names)}.")


def unreadable(path: Path, error: Exception, encoding: str) -> DataError:
    """Error for a file that cannot be read; names the first line that is no text."""
    if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
        try:
            _check_text(path, encoding)
        except (pa.ArrowException, OSError, ValueError, EOFError) as first:
            error = first
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "straddling" in reason:
        reason = f"a row is longer than {BLOCK:,} bytes"
    return DataError(f"{path.name}: not readable, or damaged ({reason}). Folder: {path.parent}.")


def _check_text(path: Path, encoding: str) -> None:
    """Find the first line that is no text.

    Raises:
        ValueError: naming it.
    """
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with opened(path) as stream:
        while True:
            chunk = stream.read(1 << 20)
            held = decoder.getstate()[0]
            try:
                line += decoder.decode(chunk, final=not chunk).count("\n")
            except UnicodeDecodeError as error:
                line += (held + chunk)[: error.start].count(b"\n")
                name = "UTF-8" if encoding == "utf8" else encoding
                raise ValueError(f"line {line:,} is no {name} text; save the file as UTF-8") from error
            if not chunk:
                return
