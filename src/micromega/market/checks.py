"""Vectorised checks of market tables, and errors that name file, column, count, first bad rows and the remedy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError, some_of
from micromega.market.loss import DropNote
from micromega.market.schemas import REFERENCE_TABLE, TEXTS, Column, TableSchema

OnBadRows = Literal["error", "drop"]
_SHOWN = 5
_LARGEST = 2**62
_DROP = "Drop or correct those rows, or import with `market.on_bad_rows=drop`, which reports how many went."


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a table's rows come from, for messages."""

    file: str
    numbers: NDArray[np.int64]
    """(N,) number of each row in the file."""
    word: str = "row"
    """What is numbered: row (of a Parquet file, the first is 0) or line (of a text file, the first is 1)."""
    table: str = ""
    """Table that the rows fill, to count what is dropped by; "" counts by file."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Rows that break one rule."""

    column: str
    bad: NDArray[np.bool_]
    """(N,) which rows."""
    what: str
    """What the values are, singular and plural separated by "|"."""
    rule: str
    """The rule they break, as a sentence."""


Check = Callable[[pa.Table], Iterator[Problem]]


def rows_of(table: pa.Table, file: str) -> Origin:
    """Number a table's rows as they lie in a Parquet file."""
    return Origin(file=file, numbers=np.arange(table.num_rows))


def conform(table: pa.Table, schema: TableSchema, file: str) -> pa.Table:
    """Bring a table to its schema: column order, exact types, absent optional columns filled.

    Lossless differences of type (dictionary or large strings, narrower integers, other time units) are converted.
    Anything else is an error, as is a required column that is missing and a column that the schema does not know.

    Args:
        table: as read.
        schema: what it should be.
        file: name for messages.

    Returns:
        The table with exactly the schema's columns.

    Raises:
        DataError: naming file and column.
    """
    names = table.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f'{file}: column "{twice[0]}" appears more than once. Keep one of them.')
    for name in names:
        if name not in schema.columns:
            guess = get_close_matches(name, schema.columns, 1)
            hint = f'Did you mean "{guess[0]}"? ' if guess else ""
            allowed = ", ".join(schema.columns)
            raise DataError(f'{file}: unknown column "{name}". {hint}Columns of {schema.name} are: {allowed}.')
    for name, column in schema.columns.items():
        if column.required and name not in names:
            raise DataError(
                f'{file}: column "{name}" ({column.type}: {column.doc}) is missing. The file has: {some_of(names)}.'
            )
    columns = [_converted(table, name, column, file) for name, column in schema.columns.items()]
    return pa.Table.from_arrays(columns, schema=schema.arrow)


def enforce(
    table: pa.Table, check: Check, origin: Origin, on_bad_rows: OnBadRows
) -> tuple[pa.Table, Origin, tuple[str, ...]]:
    """Run a check; raise at its first problem, or drop bad rows until none is left.

    Args:
        table: table to check, N rows.
        check: yields problems, cheapest and most basic first.
        origin: row numbers for messages.
        on_bad_rows: what to do.

    Returns:
        The table without bad rows, its row numbers, and one note (a `DropNote`) per kind of row that went.

    Raises:
        DataError: bad rows with `on_bad_rows="error"`, or no row left.
    """
    notes: list[str] = []
    while problem := next(check(table), None):
        if on_bad_rows == "error":
            raise DataError(describe(table, problem, origin) + f"\n{problem.rule} {_DROP}")
        text = "Dropped: " + describe(table, problem, origin)
        count = int(problem.bad.sum())
        notes.append(DropNote(text, where=origin.table or origin.file, rows=count, of=table.num_rows))
        keep = ~problem.bad
        table = table.filter(pa.array(keep))
        origin = replace(origin, numbers=origin.numbers[keep])
    if not table.num_rows:
        why = " left after dropping bad ones" if notes else ""
        raise DataError(f"{origin.file}: the table holds no rows{why}. Fill it, or remove the file if there are none.")
    return table, origin, tuple(notes)


def describe(table: pa.Table, problem: Problem, origin: Origin) -> str:
    """Say which rows break a rule: file, column, count, first rows and values."""
    rows = np.flatnonzero(problem.bad)
    shown = rows[:_SHOWN]
    found = table.column(problem.column).take(pa.array(shown))
    try:
        listed = found.to_pylist()
    except OverflowError:  # years that Python's calendar does not have
        listed = found.cast(pa.string()).to_pylist()
    values = ", ".join(map(_short, listed))
    singular, plural = problem.what.split("|")
    word = origin.word + ("s" if len(rows) > 1 else "")
    numbers = ", ".join(str(number) for number in origin.numbers[shown])
    more = f"first {len(shown)} {word}" if len(rows) > len(shown) else word
    what = singular if len(rows) == 1 else plural
    return f'{origin.file}: column "{problem.column}" holds {len(rows):,} {what} ({more} {numbers}: {values}).'


def schema_check(schema: TableSchema, known: Mapping[str, pa.Array]) -> Check:
    """All row checks of one table.

    Args:
        schema: table to check.
        known: ids known so far, by what they are (`REFERENCE_TABLE`); empty while accounts themselves are checked.

    Returns:
        A check to hand to `enforce`.

    Raises:
        DataError: the table refers to a table that is not there.
    """
    for name, column in schema.columns.items():
        if column.refers_to and column.refers_to not in known:
            missing = REFERENCE_TABLE[column.refers_to]
            raise DataError(
                f'{schema.name}.parquet: column "{name}" refers to {missing}, but the market has no table {missing}. '
                f"Add {missing}.parquet, or leave {schema.name} out."
            )

    def check(table: pa.Table) -> Iterator[Problem]:
        for name, column in schema.columns.items():
            yield from _column_problems(table.column(name), name, column)
        yield from _duplicates(table, schema.key)
        for name, column in schema.columns.items():
            if column.refers_to:
                yield from _unknown(table.column(name), name, column.refers_to, known)
        if schema.name == "mentions":
            yield from _reversed(table)

    return check


def _column_problems(values: pa.ChunkedArray, name: str, column: Column) -> Iterator[Problem]:
    if column.required:
        yield from _problem(name, pc.is_null(values), "null value|null values", "This column is never null.")
        if pa.types.is_string(column.type):
            yield from _problem(name, pc.equal(values, ""), "empty id|empty ids", "This column is never empty.")
    if pa.types.is_floating(column.type):
        bad = pc.invert(pc.is_finite(values))
        yield from _problem(name, bad, "value that is not finite|values that are not finite", "Numbers are finite.")
    if column.minimum is not None:
        bad = pc.less(values, pa.scalar(column.minimum, column.type))
        yield from _problem(name, bad, *_minimum_words(column))
    if column.maximum is not None:
        bad = pc.greater(values, pa.scalar(column.maximum, column.type))
        what = f"value above {column.maximum:g}|values above {column.maximum:g}"
        yield from _problem(name, bad, what, f"The largest value is {column.maximum:g}.")
    if column.choices:
        bad = pc.invert(pc.is_in(values, pa.array(column.choices)))
        yield from _problem(name, bad, "unknown value|unknown values", f"Allowed: {', '.join(column.choices)}.")
    if column.type == TEXTS:
        rule = "A list may be empty; its elements are never null."
        yield from _problem(name, _null_inside(values), "list with null elements|lists with null elements", rule)


def _minimum_words(column: Column) -> tuple[str, str]:
    if column.minimum == 0:
        kind = "Counts are non-negative integers." if pa.types.is_integer(column.type) else "It is 0 or more."
        return "negative value|negative values", kind
    return (
        f"value below {column.minimum:g}|values below {column.minimum:g}",
        f"The smallest value is {column.minimum:g}.",
    )


def _null_inside(values: pa.ChunkedArray) -> NDArray[np.bool_]:
    lists = values.combine_chunks()
    bad = np.zeros(len(lists), dtype=bool)
    inner = pc.is_null(pc.list_flatten(lists))
    bad[np.asarray(pc.list_parent_indices(lists).filter(inner))] = True
    return bad


def repeated(columns: Sequence[pa.ChunkedArray]) -> NDArray[np.bool_]:
    """Find rows whose values in all columns have stood in an earlier row; null equals null.

    Args:
        columns: (N,) each.

    Returns:
        (N,) True for every row but the first of its kind.
    """
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    possible = 1
    for values in columns:
        encoded = values.combine_chunks().dictionary_encode()
        own = np.asarray(pc.fill_null(encoded.indices, -1), dtype=np.int64) + 1
        size = len(encoded.dictionary) + 1
        if possible * size > _LARGEST:  # three ids of a million values each would overflow
            codes, possible = np.unique(codes, return_inverse=True)[1], len(codes)
        codes, possible = codes * size + own, possible * size
    bad = np.ones(len(codes), dtype=bool)
    bad[np.unique(codes, return_index=True)[1]] = False
    return bad


def _duplicates(table: pa.Table, key: tuple[str, ...]) -> Iterator[Problem]:
    rule = f"Each {' + '.join(key)} appears once."
    yield from _problem(key[0], repeated([table.column(name) for name in key]), "repeated key|repeated keys", rule)


def _unknown(values: pa.ChunkedArray, name: str, kind: str, known: Mapping[str, pa.Array]) -> Iterator[Problem]:
    bad = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, known[kind])))
    article = "an" if kind[0] in "ae" else "a"
    table = REFERENCE_TABLE[kind]
    what = f"account_id of {article} {kind}" if table == "accounts" else f"{kind}_id"
    rule = f"Each value is the {what} in {table}.parquet."
    yield from _problem(name, bad, f"id that is no known {kind}|ids that are no known {kind}", rule)


def _reversed(table: pa.Table) -> Iterator[Problem]:
    bad = pc.greater(table.column("first_at"), table.column("last_at"))
    what = "time later than last_at|times later than last_at"
    yield from _problem("first_at", bad, what, "The first mention is not later than the last one.")


def _problem(column: str, bad: Any, what: str, rule: str) -> Iterator[Problem]:
    if not isinstance(bad, np.ndarray):
        bad = np.asarray(pc.fill_null(bad, fill_value=False).combine_chunks(), dtype=bool)
    if bad.any():
        yield Problem(column=column, bad=bad, what=what, rule=rule)


def _converted(table: pa.Table, name: str, column: Column, file: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        values = pa.chunked_array([pa.nulls(table.num_rows, column.type)])
    else:
        values = table.column(name)
        if not _compatible(values.type, column.type):
            zone = " Times carry the time zone UTC." if pa.types.is_timestamp(column.type) else ""
            raise DataError(
                f'{file}: column "{name}" has type {values.type}, expected {column.type} ({column.doc}).{zone}'
            )
        try:
            values = values.cast(column.type)
        except pa.ArrowException as error:
            raise DataError(f'{file}: column "{name}" does not fit {column.type} ({column.doc}): {error}') from error
    if column.type == TEXTS and values.null_count:
        values = pc.coalesce(values, pa.scalar([], TEXTS))
    return values


def _compatible(found: pa.DataType, wanted: pa.DataType) -> bool:
    kinds = pa.types
    if found == wanted or kinds.is_null(found):
        return True
    if kinds.is_dictionary(found):
        return _compatible(found.value_type, wanted)
    if kinds.is_list(wanted) and (kinds.is_list(found) or kinds.is_large_list(found)):
        return _compatible(found.value_type, wanted.value_type)
    if kinds.is_timestamp(wanted):
        return bool(kinds.is_timestamp(found) and found.tz is not None)
    lossless = (
        (kinds.is_string, (kinds.is_large_string, kinds.is_string_view)),
        (kinds.is_int64, (kinds.is_integer,)),
        (kinds.is_float64, (kinds.is_floating, kinds.is_integer)),
        (kinds.is_date32, (kinds.is_date64,)),
    )
    return any(is_wanted(wanted) and any(is_found(found) for is_found in others) for is_wanted, others in lossless)


def _short(value: object) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
