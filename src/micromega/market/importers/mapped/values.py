"""Cells of a user's file, read as text, turned into the market's types: whole columns at a time."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.importers.cells import parse_short_counts
from micromega.market.importers.times import ISO, parse_times
from micromega.market.schemas import COUNT, DATE, FLAG, REAL, TEXT, TEXTS, TIME, Column

MISSING = r"(?i)^(na|n/a|#n/a|nan|nat|null|none|-|<na>)?$"
"""Cells that say nothing."""
_EITHER = r"^[0-9]{1,3}(\.[0-9]{3})+$"
_TRUE, _FALSE = ("true", "yes", "y", "t", "1", "1.0"), ("false", "no", "n", "f", "0", "0.0")
_RULES = {
    COUNT: "Counts are whole numbers such as 1234, 1,234 or 1.2K.",
    REAL: 'Numbers look like 12.5; if your file has decimal commas (12,5), add decimal: "," to the table in your map.',
    FLAG: "Allowed: true, false, yes, no, 1, 0; translate other words in your map, for instance "
    "values: {verified: {ja: true, nein: false}}.",
    TIME: "Times look like 2024-05-31 or 2024-05-31T12:00:00Z. Name another form in your map, for instance "
    'times: {posted_at: "%d/%m/%Y"}.',
}  # fmt: skip


def rule(column: Column) -> str:
    """What a value of a column looks like, as a sentence."""
    if column.choices:
        return f"Allowed: {', '.join(column.choices)}; translate other words in your map (values, docs/own_data.md)."
    return _RULES[TIME if column.type == DATE else column.type]


def read_values(
    texts: pa.ChunkedArray, column: Column, *, trim: bool, form: str = ISO, decimal: str = ".", separator: str = ""
) -> pa.ChunkedArray:
    """Convert a column.

    Args:
        texts: (N,) cells, or null.
        column: what it is to be.
        trim: remove white space around texts (ids).
        form: of times, see `parse_times`.
        decimal: sign before the fraction; with a comma, points part thousands.
        separator: between the elements of a list; empty: commas, semicolons, bars or blanks, brackets and quotation
            marks ignored.

    Returns:
        (N,) values; null where the cell says nothing, or is no such value.
    """
    if column.type == TEXT:
        texts = pc.utf8_trim_whitespace(texts) if trim else texts
        if column.choices:
            lower = pc.utf8_lower(texts)
            texts = pc.if_else(pc.is_in(lower, value_set=pa.array(column.choices)), lower, texts)
        return _null_if(texts, pc.equal(texts, ""))
    if column.type == TEXTS:
        return _lists(texts, separator)
    cells = pc.utf8_trim_whitespace(texts)
    if column.type in {COUNT, REAL} and decimal == ",":
        cells = _with_points(cells)
    if column.type == COUNT:
        return _counts(cells)
    if column.type == REAL:
        return _reals(cells, grouped_alone=decimal == ",")
    if column.type == FLAG:
        return _flags(cells)
    times = parse_times(cells, form)
    return times.cast(DATE) if column.type == DATE else times


def bad_values(texts: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells that say something, but not what the column holds: (N,) booleans."""
    if values.type in {TEXT, TEXTS}:
        return pa.chunked_array([pa.repeat(pa.scalar(value=False), len(texts))])
    silent = pc.match_substring_regex(pc.utf8_trim_whitespace(texts), MISSING)
    return pc.and_(pc.invert(pc.fill_null(silent, fill_value=True)), pc.is_null(values))


def read_either_way(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells such as 12.000, which is twelve thousand to some and twelve to others: (N,) booleans."""
    return pc.fill_null(pc.match_substring_regex(pc.utf8_trim_whitespace(texts), _EITHER), fill_value=False)


def translated(texts: pa.ChunkedArray, words: Mapping[str, str]) -> pa.ChunkedArray:
    """Put other words in the place of cells; case and blanks around them do not matter.

    Args:
        texts: (N,) cells, or null, which is the same as empty.
        words: cell in lower case -> what it means.

    Returns:
        (N,) cells; those that are not among the words stay.
    """
    if not words:
        return texts
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(texts, "")))
    place = pc.index_in(plain, value_set=pa.array(list(words), TEXT))
    meant = pa.chunked_array([pa.array(list(words.values()), TEXT).take(chunk) for chunk in place.chunks], TEXT)
    return pc.coalesce(meant, texts)


def _null_if(values: pa.ChunkedArray, condition: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(condition, pa.scalar(None, values.type), values)


def _only(cells: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.if_else(pc.match_substring_regex(cells, pattern), cells, pa.scalar(None, TEXT))


def _counts(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    whole = pc.replace_substring_regex(_only(cells, r"^[+-]?[0-9]{1,18}(\.0*)?$"), r"\.0*$", "")
    grouped = pc.replace_substring(_only(cells, r"^[+-]?[0-9]{1,3}(,[0-9]{3}){1,5}$"), ",", "")
    plain = pc.utf8_ltrim(pc.coalesce(whole, grouped), "+").cast(COUNT)
    return pc.coalesce(plain, parse_short_counts(_only(cells, r"^[0-9]{1,6}(\.[0-9]{1,6})?[KkMmBb]$")))


def _with_points(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers with decimal commas as those with decimal points: points and commas change places."""
    for old, new in ((",", "\x00"), (".", ","), ("\x00", ".")):
        cells = pc.replace_substring(cells, old, new)
    return cells


def _reals(cells: pa.ChunkedArray, *, grouped_alone: bool) -> pa.ChunkedArray:
    """Read real numbers; without a fraction, 1,234 is one only if the map says which sign parts thousands."""
    fraction = r"(\.[0-9]+)?" if grouped_alone else r"\.[0-9]+"
    plain = _only(cells, r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$")
    grouped = pc.replace_substring(_only(cells, rf"^[+-]?[0-9]{{1,3}}(,[0-9]{{3}})+{fraction}$"), ",", "")
    return pc.utf8_ltrim(pc.coalesce(plain, grouped), "+").cast(REAL)


def _flags(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    lower = pc.utf8_lower(cells)
    true, false = (pc.is_in(lower, value_set=pa.array(words)) for words in (_TRUE, _FALSE))
    return _null_if(true, pc.invert(pc.or_(true, false)))


def _lists(texts: pa.ChunkedArray, separator: str) -> pa.ChunkedArray:
    """Split cells; elements are trimmed, and a # or @ in front goes, as do empty elements."""
    cells = pc.fill_null(texts, "")
    if separator.strip():
        parts = pc.split_pattern(cells, separator)
    else:
        parts = pc.split_pattern_regex(cells, r"[\s,;|\[\]'\"]+")
    return pa.chunked_array([tidy(chunk) for chunk in parts.chunks], TEXTS)


def tidy(lists: pa.ListArray) -> pa.ListArray:
    """Trim the elements of lists, remove a # or @ in front, and leave out empty ones and nulls."""
    items = pc.fill_null(pc.utf8_trim_whitespace(lists.flatten().cast(TEXT)), "")
    items = pc.replace_substring_regex(items, "^[#@]+", "")
    keep = pc.not_equal(items, "")
    kept_before = pc.cumulative_sum(pc.cast(keep, pa.int32()))
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int32()))
    before = pa.concat_arrays([pa.array([0], pa.int32()), kept_before])
    offsets = before.take(pa.concat_arrays([pa.array([0], pa.int32()), ends]))
    return pa.ListArray.from_arrays(offsets, items.filter(keep)).cast(TEXTS)
