"""What one column holds: missing values, range, frequent values, histogram."""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_EPOCH = dt.date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
Kind = Literal["count", "number", "time", "day", "yes/no", "text", "list", "other"]
BINS = 24
BINS_PER_DECADE = 4  # more would leave gaps between small counts
SHOWN_VALUES, FREQUENT = 3, 0.02  # values are shown where the first has this share
_LOG_FROM, _LOG_SPAN = 100, 10  # counts that reach this are drawn on a log scale, if they span this factor


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How often values fall between `low` and `high`, in bins of equal width on the scale.

    Attributes:
        counts: values in each bin.
        low: lower edge of the first bin; log scale: above 0.
        high: upper edge of the last bin.
        log: whether the bins are equal on a log scale.
        zeros: values that are 0 or less and have no place on a log scale.
    """

    counts: tuple[int, ...]
    low: float
    high: float
    log: bool = False
    zeros: int = 0


@dataclass(frozen=True, kw_only=True)
class ColumnCard:
    """What one column holds.

    Attributes:
        name: of the column.
        kind: of the values.
        doc: meaning and unit.
        rows: of the table.
        missing: rows without a value; lists: empty ones.
        distinct: different values; lists: different items; numbers: not counted.
        low: smallest value; texts: characters, lists: items.
        median: as `low`.
        high: as `low`.
        top: most frequent values of a text that repeats, with their counts; yes/no: both.
        histogram: of numbers and times.
    """

    name: str
    kind: Kind
    doc: str = ""
    rows: int
    missing: int
    distinct: int | None = None
    low: float | dt.date | None = None
    median: float | dt.date | None = None
    high: float | dt.date | None = None
    top: tuple[tuple[str, int], ...] = ()
    histogram: Histogram | None = None

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing


def column_card(name: str, values: pa.ChunkedArray, doc: str = "") -> ColumnCard:
    """Describe a column.

    Args:
        name: of the column.
        values: (N,) of any type.
        doc: meaning and unit.

    Returns:
        Its card; a column without any value has neither range nor histogram.
    """
    kind, missing = kind_of(values.type), values.null_count
    if kind == "list":
        lengths = _integers(pc.fill_null(pc.list_value_length(values), 0))
        missing = int((lengths == 0).sum())
        items = pa.chunked_array([pc.list_flatten(chunk) for chunk in values.chunks], type=values.type.value_type)
        distinct, top = _frequent(items)
        return _ranged(name, kind, doc, len(values), missing, lengths[lengths > 0], distinct=distinct, top=top)
    if kind == "text":
        distinct, top = _frequent(values)
        lengths = _integers(pc.utf8_length(values.drop_null()))
        return _ranged(name, kind, doc, len(values), missing, lengths, distinct=distinct, top=top)
    if kind == "yes/no":
        yes = int(pc.sum(values).as_py() or 0)
        top = (("yes", yes), ("no", len(values) - missing - yes)) if missing < len(values) else ()
        return ColumnCard(name=name, kind=kind, doc=doc, rows=len(values), missing=missing, top=top)
    if kind == "other":
        return ColumnCard(name=name, kind=kind, doc=doc, rows=len(values), missing=missing)
    return _ranged(name, kind, doc, len(values), missing, numbers_of(values.drop_null()))


def kind_of(found: pa.DataType) -> Kind:
    """Name a type in the words of the card."""
    kinds = pa.types
    tests: tuple[tuple[Kind, Any], ...] = (
        ("count", kinds.is_integer),
        ("number", lambda kind: kinds.is_floating(kind) or kinds.is_decimal(kind)),
        ("time", kinds.is_timestamp),
        ("day", kinds.is_date),
        ("yes/no", kinds.is_boolean),
        ("text", lambda kind: kinds.is_string(kind) or kinds.is_large_string(kind)),
        ("list", lambda kind: kinds.is_list(kind) and kinds.is_string(kind.value_type)),
    )
    return next((kind for kind, holds in tests if holds(found)), "other")


def numbers_of(values: pa.ChunkedArray) -> NDArray[Any]:
    """Numbers, days and times as numpy: int64 where exact (times in microseconds, days as such), else float64."""
    kinds = pa.types
    if kinds.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us", tz=values.type.tz), safe=False).cast(pa.int64())
    elif kinds.is_date(values.type):
        values = values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    elif kinds.is_integer(values.type) and values.type != pa.uint64():
        values = values.cast(pa.int64())
    else:
        values = values.cast(pa.float64(), safe=False)
    found = np.asarray(values.to_numpy())
    return found[np.isfinite(found)] if found.dtype.kind == "f" else found


def histogram(values: NDArray[Any], *, counts: bool) -> Histogram | None:
    """Count values in bins; on a log scale if they span orders of magnitude.

    Args:
        values: (N,) finite.
        counts: whether they are counts, which are drawn on a log scale from 100 up.

    Returns:
        The histogram; None for fewer than two different values, and where floating point cannot part the range.
    """
    if not len(values) or values.min() == values.max():
        return None
    low, high = float(values.min()), float(values.max())
    if not 2 * BINS * np.spacing(max(abs(low), abs(high))) < high - low < math.inf:
        return None
    positive = values[values > 0]
    heavy = low >= 0 and len(positive) > 0 and high > 50 * max(float(np.median(positive)), 1e-300)
    first = float(positive.min()) if len(positive) else high
    if low >= 0 and ((counts and high >= _LOG_FROM) or heavy) and high >= _LOG_SPAN * first:
        logs = np.log10(positive)
        bins = min(BINS, math.ceil(BINS_PER_DECADE * (logs.max() - logs.min())))
        found, _ = np.histogram(logs, bins=bins, range=(logs.min(), logs.max()))
        zeros = len(values) - len(positive)
        return Histogram(counts=tuple(found.tolist()), low=first, high=high, log=True, zeros=zeros)
    if counts:  # whole numbers: bins of a whole width
        width = math.ceil((high - low + 1) / BINS)
        bins = math.ceil((high - low + 1) / width)
        low, high = low - 0.5, low - 0.5 + bins * width
    else:
        bins = BINS
    found, _ = np.histogram(values, bins=bins, range=(low, high))
    return Histogram(counts=tuple(found.tolist()), low=low, high=high)


def _ranged(
    name: str, kind: Kind, doc: str, rows: int, missing: int, values: NDArray[Any],
    *, distinct: int | None = None, top: tuple[tuple[str, int], ...] = (),
) -> ColumnCard:  # fmt: skip
    if not len(values):
        return ColumnCard(name=name, kind=kind, doc=doc, rows=rows, missing=missing, distinct=distinct, top=top)
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    low, median, high = (_value(value, kind) for value in (values.min(), middle, values.max()))
    return ColumnCard(
        name=name, kind=kind, doc=doc, rows=rows, missing=missing, distinct=distinct, top=top,
        low=low, median=median, high=high,
        histogram=histogram(values, counts=kind == "count") if kind not in ("text", "list") else None,
    )  # fmt: skip


def _value(value: Any, kind: Kind) -> float | dt.date:
    if kind == "time":
        day, rest = divmod(int(value), _DAY_US)
        return dt.datetime.combine(day_of(day), dt.time(), dt.UTC) + dt.timedelta(microseconds=rest)
    return day_of(int(value)) if kind == "day" else float(value)


def day_of(days: int) -> dt.date:
    """Day by its number, 0 being 1 January 1970; days before the year 1 or after 9999 as the first or last of them."""
    return dt.date.fromordinal(min(max(days + _EPOCH, 1), dt.date.max.toordinal()))


def _integers(values: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(values.to_numpy(), dtype=np.int64)


def _frequent(values: pa.ChunkedArray) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Number of different texts, and the most frequent ones where texts repeat."""
    values = values.drop_null()
    if not len(values):
        return 0, ()
    found = pc.value_counts(values.cast(pa.large_string()))
    counts = np.asarray(found.field("counts"))
    if 2 * len(counts) > len(values):
        return len(counts), ()
    first = np.argsort(-counts, kind="stable")[:SHOWN_VALUES]
    if counts[first[0]] < FREQUENT * len(values):
        return len(counts), ()
    texts = found.field("values").take(pa.array(first)).to_pylist()
    return len(counts), tuple(zip(texts, counts[first].tolist(), strict=True))
