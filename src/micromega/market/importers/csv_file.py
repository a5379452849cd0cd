"""One CSV file as a table of texts, each row with the line on which it begins."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from micromega.errors import DataError


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """What a file holds."""

    table: pa.Table
    """Rows with the right number of values, all as text."""
    lines: NDArray[np.int64]
    """(N,) line in the file on which each row begins; the header is line 1."""
    broken: str = ""
    """Rows with another number of values: how many, the first of them, their lines; empty if there are none."""
    broken_rows: int = 0
    """Number of them."""


def read_csv_file(path: Path) -> CsvFile:
    """Read a CSV file (gzip if it ends in .gz), header in line 1, values with line breaks allowed in quotes.

    Args:
        path: file.

    Returns:
        Its rows.

    Raises:
        DataError: the file is missing, damaged, no UTF-8, or names a column twice.
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
            content: bytes = stream.read()
        str(content, "utf-8")  # the reader would look at the values only, and late
        # One block, since a row may be longer than any fixed size (captions).
        options = csv.ReadOptions(use_threads=False, block_size=min(max(len(content), 1 << 20), 2**31 - 1))
        names = _header(content)
        table = csv.read_csv(
            pa.BufferReader(content),
            read_options=options,
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
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f'{path.name}: column "{twice[0]}" appears more than once. Keep one of them.')
    lines, lines_broken = _line_numbers(table, broken)
    words = _words(path.name, broken, lines_broken, len(names))
    return CsvFile(table=table, lines=lines, broken=words, broken_rows=len(broken))


def _header(content: bytes) -> list[str]:
    line = content[: content.find(b"\n") + 1 or None]
    names: list[str] = csv.read_csv(pa.BufferReader(line)).column_names
    return names


def _line_numbers(table: pa.Table, broken: list[csv.InvalidRow]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lines on which sound and broken rows begin; the header has no line break in it."""
    breaks = np.zeros(table.num_rows + len(broken), dtype=np.int64)
    is_broken = np.zeros(len(breaks), dtype=bool)
    is_broken[[row.number - 2 for row in broken]] = True  # rows are numbered from 1, the header's
    breaks[is_broken] = [row.text.count("\n") for row in broken]
    for name in table.column_names:
        breaks[~is_broken] += np.asarray(pc.count_substring(table.column(name), "\n"), dtype=np.int64)
    begins = 2 + np.cumsum(breaks + 1) - (breaks + 1)
    return begins[~is_broken], begins[is_broken]


def _words(file: str, broken: list[csv.InvalidRow], lines: NDArray[np.int64], width: int) -> str:
    if not broken:
        return ""
    first, many = broken[0], "s" if len(broken) > 1 else ""
    text = first.text if len(first.text) <= 60 else first.text[:59] + "…"
    shown = ", ".join(str(line) for line in lines[:5]) + (", …" if len(lines) > 5 else "")
    return (
        f"{file}: {len(broken):,} row{many} without exactly {width} values "
        f"(the first has {first.actual_columns}: {text!r}; line{many} {shown})."
    )
