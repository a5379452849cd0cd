"""What may mislead: dates that cannot be, constant columns, rounding, outliers, ids that differ by case, gaps."""

import datetime as dt
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.market.inspect.columns import kind_of, numbers_of
from micromega.market.inspect.finding import EXAMPLES, Finding, floats, mask_of, rows_found

Tables = Mapping[str, pa.Table]
_PAST = {  # tables and columns of things that have happened
    "posts": "posted_at", "mentions": "last_at", "orders": "ordered_at", "exposures": "at", "campaigns": "posted_on",
    "panel": "date",
}  # fmt: skip
_DAY = 86_400_000_000
FEW_ROWS = 10
"""Columns of fewer rows are not judged."""
ROUNDED_FROM, ROUNDED_SHARE = 10_000, 0.5
OUTLIER, OUTLIER_ROWS = 6.0, 100
"""Robust standard deviations of log(1 + x) from the median: of a normal distribution two in 10⁹ lie beyond."""
_MAD = 1.4826
_OFTEN_CONSTANT = (
    "kind", "platform", "content_type", "activated", "source_id", "merchant_id", "creator_id", "brand_id", "split",
)  # fmt: skip


def habits(tables: Tables, now: dt.datetime) -> Iterator[Finding]:
    """Look for what may mislead.

    Args:
        tables: of a market, each with all columns of its schema.
        now: later dates lie in the future.

    Yields:
        Findings.
    """
    for name, column in _PAST.items():
        if name in tables:
            yield from _dates(name, tables[name], column, now)
    for name, table in tables.items():
        if table.num_rows >= FEW_ROWS:
            yield from _constant(name, table)
            yield from _rounded(name, table)
            for column in table.column_names:
                yield from _outliers(name, table, column)
    yield from _case(tables)
    yield from _gaps(tables)


def _dates(name: str, table: pa.Table, column: str, now: dt.datetime) -> Iterator[Finding]:
    unit = _DAY if kind_of(table[column].type) == "day" else 1
    known = mask_of(pc.is_valid(table[column]))
    when = np.zeros(table.num_rows, dtype=np.int64)
    when[known] = numbers_of(table[column].drop_null()) * unit
    end = int(now.timestamp()) * 1_000_000
    yield from rows_found(
        "serious", name, table, known & (when > end), column=column, shown=(column,), total=int(known.sum()),
        what="date in the future|dates in the future",
        remedy="Check the format (day and month, milliseconds for seconds) and the time zone.",
    )  # fmt: skip
    early = known & (when < 365 * _DAY)
    yield from rows_found(
        "serious", name, table, early, column=column, shown=(column,), total=int(known.sum()),
        what="date of 1970 or earlier|dates of 1970 or earlier",
        remedy="1 January 1970 stands for an unknown time: leave it empty.",
    )  # fmt: skip
    if unit == 1 and known.sum() >= FEW_ROWS and (when[known] % _DAY == 0).all():
        yield Finding(
            severity="note", table=name, column=column, what="All times are midnight: only days are known",
            count=int(known.sum()), remedy="Nothing to do; hours of the day say nothing here.",
        )  # fmt: skip


def _constant(name: str, table: pa.Table) -> Iterator[Finding]:
    """Columns of one value; not those where that is usual."""
    constant = []
    for column in table.column_names:
        values = table[column].drop_null()
        if kind_of(values.type) == "list" or column in _OFTEN_CONSTANT or len(values) < FEW_ROWS:
            continue
        ends = pc.min_max(values)
        if ends["min"].as_py() == ends["max"].as_py():
            constant.append(f"{column}: {_short(ends['min'].as_py())}")
    if constant:
        yield Finding(
            severity="note", table=name, count=len(constant),
            what="column that holds one value only|columns that hold one value only", examples=tuple(constant),
            remedy="They tell a model nothing; if they should vary, look at the import.",
        )  # fmt: skip


def _rounded(name: str, table: pa.Table) -> Iterator[Finding]:
    """Columns whose large counts are shown as 541.2K by the source."""
    rounded = []
    for column in table.column_names:
        if kind_of(table[column].type) == "count":
            values = numbers_of(table[column].drop_null())
            large = values[values >= ROUNDED_FROM]
            share = (large % 100 == 0).mean() if len(large) >= FEW_ROWS else 0.0
            if share > ROUNDED_SHARE:
                rounded.append(f"{column}: {share:.0%} of {len(large):,} values")
    if rounded:
        yield Finding(
            severity="note", table=name, count=len(rounded),
            what=f"column whose values from {ROUNDED_FROM:,} up are rounded to hundreds or more|columns whose values "
            f"from {ROUNDED_FROM:,} up are rounded to hundreds or more",
            examples=tuple(rounded), remedy="The source shows them as 541.2K: read nothing into small differences.",
        )  # fmt: skip


def _outliers(name: str, table: pa.Table, column: str) -> Iterator[Finding]:
    values = floats(table[column]) if kind_of(table[column].type) in ("count", "number") else np.zeros(0)
    far = far_out(values)
    yield from rows_found(
        "check", name, table, far, column=column, shown=(column,), total=int((~np.isnan(values)).sum()),
        what=f"value of {column} far from all others|values of {column} far from all others",
        remedy="Look at the examples; a wrong unit or a wrong account shows here first.",
    )  # fmt: skip


def far_out(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find values whose logarithm is far from the median, in robust standard deviations.

    Args:
        values: (N,) NaN where unknown.

    Returns:
        (N,) True where far out; nowhere if fewer than 100 are known, one is negative, half are equal, or more than
        0.1 % lie out there (heavy tails are the rule, not a mistake).
    """
    far = np.zeros(len(values), dtype=bool)
    known = values[~np.isnan(values)]
    if len(known) < OUTLIER_ROWS or known.min() < 0:
        return far
    logs = np.log1p(known)
    centre = np.median(logs)
    spread = _MAD * np.median(np.abs(logs - centre))
    if spread == 0:
        return far
    with np.errstate(invalid="ignore"):
        far = np.abs(np.log1p(values) - centre) > OUTLIER * spread
    return far if far.sum() <= max(1, 0.001 * len(known)) else np.zeros(len(values), dtype=bool)


def _case(tables: Tables) -> Iterator[Finding]:
    """Names that differ only in case and outer blanks: two for one thing."""
    for name, column in (("accounts", "account_id"), ("posts", "post_id"), ("products", "product_id"),
                         ("merchants", "merchant_id"), ("accounts", "category"), ("accounts", "location"),
                         ("products", "category"), ("prices", "content_type")):  # fmt: skip
        if name not in tables:
            continue
        values = pc.unique(tables[name][column].drop_null())
        plain = pc.utf8_lower(pc.utf8_trim_whitespace(values))
        code = np.asarray(plain.dictionary_encode().indices, dtype=np.int64)
        several = np.flatnonzero(np.bincount(code, minlength=1)[code] > 1)
        if not len(several):
            continue
        several = several[np.argsort(code[several], kind="stable")]
        noun = "id" if column.endswith("_id") else "value"
        yield Finding(
            severity="serious" if noun == "id" else "check", table=name, column=column, count=len(several),
            total=len(values), examples=tuple(map(repr, values.take(pa.array(several[:EXAMPLES])).to_pylist())),
            what=f"{noun} that differs from another only in case or blanks|{noun}s that differ from another only in "
            "case or blanks",
            remedy="They count as different things. Write them in one way before the import.",
        )  # fmt: skip


def _gaps(tables: Tables) -> Iterator[Finding]:
    accounts = tables["accounts"]
    creators = accounts.filter(pc.equal(accounts["kind"], "creator"))
    followers = mask_of(pc.is_null(creators["followers"]))
    if not followers.all():
        yield from rows_found(
            "check", "accounts", creators, followers, column="followers",
            what="creator without a follower count|creators without a follower count",
            remedy="The ranker gives them the mean; plans with a rate card leave them out.",
        )  # fmt: skip
    if "posts" in tables:
        silent = ~mask_of(pc.is_in(creators["account_id"], value_set=pc.unique(tables["posts"]["account_id"])))
        yield from rows_found(
            "note", "accounts", creators, silent,
            what="creator without any post|creators without any post",
            remedy="They are no candidates: nothing is known of what they post.",
        )  # fmt: skip


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
