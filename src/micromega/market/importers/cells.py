"""Cells of public sources, read as text, turned into values: whole columns at a time."""

import ast
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.market.schemas import COUNT, REAL, TEXT, TEXTS

_UNITS = {"K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
_MENTION = re.compile(r"@([0-9a-f]{12})(?![0-9a-f])|\x00")
_HASHTAG = re.compile(r"#(\w+)|\x00")


def parse_short_counts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn counts as apps show them into integers.

    Args:
        values: (N,) texts such as 454, 21.9K, 2.1m, 1B, or null.

    Returns:
        (N,) integers: 454, 21900, 2100000, 1000000000; null where null.
    """
    shown = pc.utf8_upper(values)
    unit = pc.utf8_slice_codeunits(shown, -1)
    factor = pa.scalar(1, COUNT)
    for letter, size in _UNITS.items():
        factor = pc.if_else(pc.equal(unit, letter), pa.scalar(size, COUNT), factor)
    number = pc.replace_substring_regex(shown, "[KMB]$", "")
    plain = pc.match_substring_regex(shown, "^[0-9]+$")
    # Integers of 18 digits do not fit a floating-point number: the two kinds go separate ways.
    whole = pc.if_else(plain, number, pa.scalar("0")).cast(COUNT)
    scaled = pc.multiply(pc.if_else(plain, pa.scalar("0"), number).cast(REAL), factor.cast(REAL))
    return pc.if_else(plain, whole, pc.round(scaled).cast(COUNT))


def parse_minutes(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn texts such as 01:05 (minutes, seconds) into seconds."""
    parts = pc.split_pattern(values, ":")
    minutes, seconds = (pc.list_element(parts, place).cast(REAL) for place in (0, 1))
    return pc.add(pc.multiply(minutes, 60.0), seconds)


def or_null(values: pa.ChunkedArray, nothing: str = "") -> pa.ChunkedArray:
    """Make a text that says "nothing" null."""
    return pc.if_else(pc.equal(values, nothing), pa.scalar(None, TEXT), values)


def python_value(text: str) -> Any:
    """Read a literal as Python prints it.

    Raises:
        ValueError: it is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an unknown escape such as "\\d" is a warning, and no print of Python's
            return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError, Warning) as error:
        raise ValueError(str(error)) from error


def parse_lists(values: pa.ChunkedArray, parse: Callable[[str], Any] = json.loads) -> pa.Array:
    """Turn texts that `bad_text_lists` has found sound into lists of strings, (N,) to (N,)."""
    encoded = values.combine_chunks().dictionary_encode()  # many cells are alike: []
    return pa.array(parse(_joined(encoded.dictionary.to_pylist())), TEXTS).take(encoded.indices)


def bad_text_lists(values: pa.ChunkedArray, parse: Callable[[str], Any] = json.loads) -> NDArray[np.bool_]:
    """Find values that are no lists of strings; the whole column is parsed at once where it is sound.

    Args:
        values: (N,) strings.
        parse: reads one value; raises ValueError where it cannot.

    Returns:
        (N,) True where bad.
    """
    encoded = values.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    bad = np.zeros(len(texts), dtype=bool)
    framed = np.asarray(pc.match_substring_regex(encoded.dictionary, r"^\[(.|\n)*\]$"), dtype=bool).all()
    if not framed or not _all_lists(texts, parse):
        bad[:] = [not _all_lists([text], parse) for text in texts]
    found: NDArray[np.bool_] = bad[np.asarray(encoded.indices)]
    return found


def mentions_in(captions: pa.ChunkedArray) -> pa.Array:
    """Find the pseudonymised handles (@ and 12 hexadecimal digits) of captions.

    Args:
        captions: (N,) texts, or null.

    Returns:
        (N,) lists: each handle once, in order of first appearance.
    """
    rows, ids = _found(captions, _MENTION)
    places = pa.table({"row": rows, "id": pa.array(ids, pa.string()), "place": np.arange(len(ids))})
    once = places.group_by(["row", "id"], use_threads=False).aggregate([("place", "min")]).sort_by("place_min")
    return _lists(once["row"].to_numpy(), once["id"].combine_chunks(), len(captions))


def hashtags_in(captions: pa.ChunkedArray) -> pa.Array:
    """Find the hashtags of captions: (N,) texts to (N,) lists without "#", in order, repeated ones kept."""
    rows, tags = _found(captions, _HASHTAG)
    return _lists(rows, pa.array(tags, pa.string()), len(captions))


def tidy_hashtags(lists: pa.Array) -> pa.Array:
    """Strip white space around hashtags and leave out empty ones (a lone "#")."""
    rows, tags = pc.list_parent_indices(lists), pc.utf8_trim_whitespace(lists.flatten())
    kept = pc.not_equal(tags, "")
    return _lists(np.asarray(rows.filter(kept)), tags.filter(kept), len(lists))


def first_brand(mentioned: pa.Array, authors: pa.Array, brand_ids: pa.Array) -> pa.Array:
    """Find the brand that each post promotes: the first brand mentioned that is not the author.

    Args:
        mentioned: (N,) lists of ids.
        authors: (N,) ids.
        brand_ids: ids of all brands.

    Returns:
        (N,) ids, null where there is none.
    """
    row, ids = pc.list_parent_indices(mentioned), mentioned.flatten()
    is_ad = pc.and_(pc.is_in(ids, brand_ids), pc.not_equal(ids, authors.take(row)))
    rows, first = np.unique(np.asarray(row.filter(is_ad)), return_index=True)
    chosen = np.full(len(mentioned), -1, dtype=np.int64)
    chosen[rows] = first
    return ids.filter(is_ad).take(pa.array(chosen, mask=chosen < 0))


def newest(rows: pa.Table, key: str, time: str) -> pa.Table:
    """Keep one row for each key: the one with the latest time; of equals the first in the file.

    Args:
        rows: N rows.
        key: column of keys.
        time: column of times.

    Returns:
        The rows, sorted by key.
    """
    numbered = rows.append_column("__row", pa.array(np.arange(rows.num_rows)))
    ordered = numbered.sort_by([(key, "ascending"), (time, "descending"), ("__row", "ascending")])
    keys = np.asarray(ordered[key].combine_chunks().dictionary_encode().indices)
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return ordered.take(pa.array(first)).drop_columns(["__row"])


def _joined(texts: list[str]) -> str:
    return "[" + ",\n".join(texts) + "]"  # a line break ends every open quotation, so no cell can reach into the next


def _all_lists(texts: list[str], parse: Callable[[str], Any]) -> bool:
    try:
        parsed = parse(_joined(texts))
        pa.array(parsed, TEXTS)
    except (ValueError, TypeError, RecursionError, pa.ArrowException):
        return False
    return len(parsed) == len(texts) and all(isinstance(item, list) and None not in item for item in parsed)


def _found(texts: pa.ChunkedArray, pattern: re.Pattern[str]) -> tuple[Any, list[str]]:
    # All texts as one, so that one search finds everything; NUL, which no text keeps, parts them.
    plain = pc.replace_substring(pc.fill_null(texts, ""), "\x00", " ")
    found = [match.group(1) for match in pattern.finditer("\x00".join(plain.to_pylist()))]
    breaks = np.array([item is None for item in found], dtype=bool)
    return np.cumsum(breaks)[~breaks], [item for item in found if item is not None]


def _lists(rows: Any, values: pa.Array, count: int) -> pa.Array:
    """Gather values into lists: those of row 0, those of row 1, …; `rows` may be unsorted but keeps its order."""
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.take(pa.array(order))).cast(TEXTS)
