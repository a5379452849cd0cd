"""Reading large text files whose lines have one form: edge lists, fixed columns, no header."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.importers.blocks import BadRows, Block
from micromega.market.importers.stream import BLOCK, opened, unreadable

_IDLE = r"^([#%].*)?$"
"""Lines that say nothing: blank, or a comment."""


def text_blocks(path: Path, pattern: str, looks_like: str, bad: BadRows, *, header: str = "") -> Iterator[Block]:
    """Read a text file (gzip if it ends in .gz) whose lines have one form; blank lines and comments are left out.

    Args:
        path: file.
        pattern: regular expression of a whole line with one named group per column.
        looks_like: how a line looks, for messages.
        bad: collects lines of another form.
        header: regular expression of the first line, if that is no row.

    Yields:
        Blocks with one text column per group.

    Raises:
        DataError: the file is missing, damaged, no UTF-8, or has lines of another form.
    """
    first = 1
    for lines in _line_arrays(path):
        count = len(lines)
        table = pa.table({"line": pc.utf8_trim_whitespace(lines)})
        idle = np.asarray(pc.match_substring_regex(table.column("line"), _IDLE), dtype=bool)
        if header and first == 1:
            idle[0] |= bool(re.search(header, table["line"][0].as_py()))
        block = Block(rows=table.filter(pa.array(~idle)), lines=np.arange(first, first + count)[~idle], bad=bad)
        block.pattern("line", pattern, "unreadable line|unreadable lines", f"A line looks like {looks_like}.")
        parts = pc.extract_regex(block.rows.column("line"), pattern)
        names = [part.name for part in parts.type]
        block.rows = pa.table({name: pc.struct_field(parts, name) for name in names})
        first += count
        if block.rows.num_rows:
            yield block


def _line_arrays(path: Path) -> Iterator[pa.Array]:
    """Lines of a file, some millions of bytes at a time."""
    rest = b""
    try:
        with opened(path) as stream:
            while chunk := stream.read(BLOCK):
                whole, line_break, tail = (rest + chunk).rpartition(b"\n")
                if len(tail) > BLOCK:
                    raise ValueError(f"a line is longer than {BLOCK:,} bytes")
                if line_break:
                    yield _split(whole + b"\n")
                rest = tail
            if rest:
                yield _split(rest + b"\n")
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        raise unreadable(path, error, "utf8") from error


def _split(content: bytes) -> pa.Array:
    """Cut text at its line breaks, without a copy: the text itself is the array's data."""
    ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == 10)
    offsets = np.concatenate([[0], ends + 1]).astype("<i4")
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(content))
    lines.validate(full=True)
    return lines
