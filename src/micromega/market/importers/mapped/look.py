"""A look at the first values of a CSV file, to guess how its times and numbers are written."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.importers.blocks import BadRows
from micromega.market.importers.mapped.values import MISSING, read_either_way
from micromega.market.importers.stream import csv_blocks
from micromega.market.importers.times import ISO, parse_times
from micromega.market.schemas import COUNT, REAL

_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d")
_CLOCKS = ("", " %H:%M", " %H:%M:%S")
_FORMS = (ISO, *(day + clock for day in _DAYS for clock in _CLOCKS), "unix", "unix_ms")
_VALUES = 1_000
"""Values that are looked at."""
_MAJORITY = 0.8
"""Share of the values that a form must fit; the rest are slips."""
_COMMAS = r"^[+-]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+$|^[+-]?[0-9]+,([0-9]{1,2}|[0-9]{4,})$"
"""Numbers that have a decimal comma."""


@dataclass(frozen=True, kw_only=True)
class TimeForm:
    """How times seem to be written."""

    form: str
    """See `parse_times`."""
    rival: str
    """Another order of day and month that fits as many; empty if none."""
    values: int
    """How many were looked at."""
    misfits: int
    """How many of them do not fit."""
    example: str
    """The first of those."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The first values of a file."""

    file: Path
    delimiter: str

    def time_form(self, name: str) -> TimeForm | None:
        """The form that fits most of a column's first values, or None if it does not fit four in five."""
        texts = self._texts(name)
        fits = {form: pc.is_valid(parse_times(texts, form)) for form in _FORMS} if len(texts) else {}
        counts = {form: pc.sum(fit).as_py() for form, fit in fits.items()}
        best = max(counts, key=lambda form: counts[form], default="")
        if not best or counts[best] < _MAJORITY * len(texts):
            return None
        rivals = [form for form in counts if counts[form] == counts[best] and form[1] != best[1]]
        slips = texts.filter(pc.invert(fits[best]))
        return TimeForm(
            form=best,
            rival=next(iter(rivals), ""),
            values=len(texts),
            misfits=len(slips),
            example=slips[0].as_py() if len(slips) else "",
        )

    def decimal(self, name: str, kind: pa.DataType) -> tuple[str, str]:
        """What parts the fraction of numbers, where that is worth saying.

        Args:
            name: column of the file.
            kind: counts or real numbers; others have no such sign.

        Returns:
            Sign and an example of a number, or twice nothing. Counts such as 12.000 and 310 in one column are
            thousands; where all end in .000 a program has written whole numbers with three decimals.
        """
        texts = self._texts(name) if kind in {COUNT, REAL} else pa.chunked_array([[]], pa.string())
        if kind == REAL:
            commas = texts.filter(pc.match_substring_regex(texts, _COMMAS))
            return (",", commas[0].as_py()) if len(commas) else ("", "")
        either = texts.filter(read_either_way(texts))
        if not len(either):
            return "", ""
        three_decimals = pc.all(pc.match_substring_regex(texts, r"^[0-9]+\.000$")).as_py() and len(texts) > 1
        return ("." if three_decimals else ","), either[0].as_py()

    def _texts(self, name: str) -> pa.ChunkedArray:
        """Values that say something, without blanks around them."""
        bad = BadRows(file=self.file.name, on_bad_rows="drop")
        blocks = csv_blocks(self.file, (name,), bad, delimiter=self.delimiter)
        empty = pa.chunked_array([[]], pa.string())
        texts = next((block.rows[name].slice(0, _VALUES) for block in blocks), empty)
        texts = pc.utf8_trim_whitespace(texts)
        return texts.filter(pc.invert(pc.match_substring_regex(texts, MISSING)))
