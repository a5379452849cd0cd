"""One table of a user's file, read block by block into the market's types, with the numbers of its rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from micromega.errors import DataError, some_of
from micromega.market.checks import OnBadRows
from micromega.market.importers.blocks import BadRows, Block, no_rows
from micromega.market.importers.mapped.column_map import TableMap
from micromega.market.importers.mapped.values import bad_values, read_either_way, read_values, rule, tidy, translated
from micromega.market.importers.stream import csv_blocks
from micromega.market.importers.times import ISO
from micromega.market.schemas import COUNT, DATE, FLAG, REAL, SCHEMAS, TEXT, TEXTS, TIME, Column

PARQUET = (".parquet", ".pq")
_BATCH = 100_000
_TWO_WAYS = "number that can be read in two ways|numbers that can be read in two ways"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A table of the market as a file gives it."""

    table: pa.Table
    """All columns of the schema."""
    file: str
    numbers: NDArray[np.int64]
    """(N,) number of each row in the file."""
    word: str
    """What is numbered: line of a text file, row of a Parquet file."""
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    """What is wrong with rows that could be dropped; their bad cells are null."""
    undecided: tuple[str, ...] = ()
    """What the map must decide."""
    bad: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Column -> numbers of the rows whose cell is bad."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Column of the market -> column of the file."""


def read_rows(folder: Path, plan: TableMap, on_bad_rows: OnBadRows) -> Rows:
    """Read the file of one table.

    Args:
        folder: where the file's name starts from.
        plan: map of the table.
        on_bad_rows: "error" or "drop".

    Returns:
        Its rows; keys, references and ranges are not checked yet.

    Raises:
        DataError: the file cannot be read, lacks a column or holds no rows. Bad cells are told in the result.
    """
    path = folder / plan.file
    is_parquet = path.suffix.lower() in PARQUET
    word = "row" if is_parquet else "line"
    label = path.name if path.stem == plan.table else f"{path.name} ({plan.table})"
    bad = BadRows(file=label, on_bad_rows=on_bad_rows, word=word, at_once=False, table=plan.table)
    names = tuple(dict.fromkeys(plan.columns.values()))
    if is_parquet:
        blocks = _parquet_blocks(path, names, bad)
    else:
        blocks = csv_blocks(path, names, bad, delimiter=plan.delimiter, encoding=plan.encoding)
    tables, numbers = [], []
    for block in blocks:
        tables.append(_converted(block, plan))
        numbers.append(block.lines)
    if not tables or not sum(map(len, numbers)):
        raise DataError("\n".join(bad.errors)) if bad.errors else no_rows(label, bad)
    table, lines = pa.concat_tables(tables), np.concatenate(numbers)
    notes = list(bad.notes)
    if plan.table == "posts" and "post_id" not in {*plan.columns, *plan.constants}:
        ids = pa.array(lines).cast(TEXT)
        table = table.set_column(table.schema.get_field_index("post_id"), "post_id", ids)
        notes.append(f"posts.post_id is the {word} of {path.name}, because the map names no column for it.")
    return Rows(
        table=table,
        file=label,
        numbers=lines,
        word=word,
        notes=tuple(notes),
        errors=bad.errors,
        undecided=bad.undecided,
        bad={name: bad.lines_of(name) for name in plan.columns},
        names=plan.columns,
    )


def _converted(block: Block, plan: TableMap) -> pa.Table:
    schema = SCHEMAS[plan.table].columns
    for name, source in plan.columns.items():  # first all checks, because each may drop rows
        texts = _texts(block, name, plan)
        if texts is not None and schema[name].type not in {TEXT, TEXTS}:
            either = _either_way(block, name, texts, plan)
            bad = pc.and_not(bad_values(texts, _values(texts, name, schema[name], plan)), either)
            what = f"value that cannot be read as {name}|values that cannot be read as {name}"
            block.refuse(source, _TWO_WAYS, _decide(plan), either, meaning=name, forgivable=False)
            block.refuse(source, what, rule(schema[name]), bad, meaning=name)
    columns = {}
    for name, source in plan.columns.items():
        texts = _texts(block, name, plan)
        typed = texts is None
        columns[name] = _typed(block.rows[source], schema[name]) if typed else _values(texts, name, schema[name], plan)
    count = block.rows.num_rows
    for name, value in plan.constants.items():
        columns[name] = _constant(name, value, schema[name], plan, count)
    arrays = [columns.get(name, pa.nulls(count, column.type)) for name, column in schema.items()]
    return pa.table(arrays, names=list(schema))


def _either_way(block: Block, name: str, texts: pa.ChunkedArray, plan: TableMap) -> pa.ChunkedArray:
    """Cells of counts that the map must decide on: (n,) booleans."""
    written = pa.types.is_string(block.rows[plan.columns[name]].type)
    if written and not plan.decimal and SCHEMAS[plan.table].columns[name].type == COUNT:
        return read_either_way(texts)
    return pa.chunked_array([pa.repeat(pa.scalar(value=False), len(texts))])


def _decide(plan: TableMap) -> str:
    return (
        f'Say in your map, under tables.{plan.table}: decimal: "," reads 12.000 as twelve thousand; '
        'decimal: "." reads it as 12.'
    )


def _constant(name: str, value: str, column: Column, plan: TableMap, count: int) -> pa.Array:
    text = pa.chunked_array([[value]])
    found = _values(text, name, column, plan)
    if found.null_count:
        raise DataError(f"tables.{plan.table}.constants.{name}: {value!r} is no {column.type}. {rule(column)}")
    return pa.repeat(found[0], count) if column.type != TEXTS else pa.array([found[0].as_py()] * count, TEXTS)


def _values(texts: pa.ChunkedArray, name: str, column: Column, plan: TableMap) -> pa.ChunkedArray:
    return read_values(
        texts,
        column,
        trim=bool(column.refers_to or column.choices or name.endswith("_id")),
        form=plan.times.get(name, ISO),
        decimal=plan.decimal or ".",
        separator=plan.lists.get(name, ""),
    )


def _texts(block: Block, name: str, plan: TableMap) -> pa.ChunkedArray | None:
    """A column as text, translated; None where its type in the file fits the market's without."""
    source, column, words = plan.columns[name], SCHEMAS[plan.table].columns[name], plan.values.get(name, {})
    values = block.rows[source]
    if pa.types.is_string(values.type):
        return translated(values, words)
    if not words and _fits(values.type, column, plan.times.get(name, ISO)):
        return None
    return translated(_as_text(values, source, column, block.bad.file), words)


def _as_text(values: pa.ChunkedArray, source: str, column: Column, file: str) -> pa.ChunkedArray:
    if pa.types.is_floating(values.type):
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
        integers = pc.if_else(whole, values, pa.scalar(None, values.type)).cast(pa.int64()).cast(TEXT)
        other = _null_where_nan(values).cast(TEXT)
        return pc.coalesce(integers, other)
    try:
        return values.cast(TEXT)
    except pa.ArrowException as error:
        raise DataError(f'{file}: column "{source}" has type {values.type}, expected {column.type}.') from error


def _fits(found: pa.DataType, column: Column, form: str) -> bool:
    kinds, wanted = pa.types, column.type
    if kinds.is_timestamp(found) or kinds.is_date(found):
        return wanted in {TIME, DATE} and form == ISO
    if kinds.is_list(found) or kinds.is_large_list(found):
        return bool(wanted == TEXTS and not kinds.is_nested(found.value_type))
    if wanted == FLAG:
        return bool(kinds.is_boolean(found))
    return bool(wanted == REAL and (kinds.is_floating(found) or kinds.is_integer(found)))


def _typed(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if column.type == TEXTS:
        return pa.chunked_array([tidy(chunk.cast(TEXTS)) for chunk in values.chunks], TEXTS)
    if column.type == REAL:
        return _null_where_nan(values.cast(REAL, safe=False))  # beyond 2^53 the last digits go
    if pa.types.is_timestamp(values.type) and values.type.tz is None:
        values = pc.assume_timezone(values.cast(pa.timestamp("us"), safe=False), "UTC")
    if pa.types.is_date(values.type) and column.type == TIME:
        values = pc.assume_timezone(values.cast(pa.timestamp("us")), "UTC")
    return values.cast(column.type, safe=False) if column.type != FLAG else values


def _null_where_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _parquet_blocks(path: Path, names: tuple[str, ...], bad: BadRows) -> Iterator[Block]:
    if not path.is_file():
        raise DataError(f"{path.name}: there is no such file in {path.parent}.")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            present = file.schema_arrow.names
            for name in names:
                if name not in present:
                    raise DataError(f'{path.name}: column "{name}" is missing. The file has: {some_of(present)}.')
            first = 0
            for batch in file.iter_batches(_BATCH, columns=list(names)):
                batch.validate(full=True)
                table = _plain(pa.Table.from_batches([batch]))
                yield Block(rows=table, lines=np.arange(first, first + len(batch)), bad=bad)
                first += len(batch)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name}: not a readable Parquet file, or damaged ({reason}).") from error


def _plain(table: pa.Table) -> pa.Table:
    """Dictionaries, other kinds of strings, half floats and nanoseconds as plain columns."""

    def plain(kind: Any) -> Any:
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_large_string(inner) or pa.types.is_string_view(inner):
            return TEXT
        if pa.types.is_timestamp(inner) and inner.unit == "ns":
            return pa.timestamp("us", tz=inner.tz)
        return pa.float32() if pa.types.is_float16(inner) else inner

    return table.cast(pa.schema([(field.name, plain(field.type)) for field in table.schema]), safe=False)
