"""Checks of whole tables of a user's files: what is wrong is told together, in the user's own names and lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.market.checks import Origin, Problem, enforce, schema_check
from micromega.market.importers.blocks import REMEDY, tell
from micromega.market.importers.mapped.read import Rows
from micromega.market.importers.mapped.values import rule
from micromega.market.loss import DropNote
from micromega.market.market import account_ids
from micromega.market.schemas import REFERENCE_TABLE, SCHEMAS, TEXT

_MOST = 7
"""Kinds of bad rows that a message names."""
_NULL = "null value|null values"


def checked(tables: Mapping[str, Rows]) -> tuple[dict[str, pa.Table], list[str]]:
    """Check whole tables as `market.validate` does, and leave out bad rows.

    Args:
        tables: as read.

    Returns:
        The tables that are left, and a note for each kind of row that went.

    Raises:
        DataError: no row of a table is left.
    """
    valid: dict[str, pa.Table] = {}
    notes: list[str] = []
    known: dict[str, pa.Array] = {}
    for name, rows in _in_order(tables):
        found, _, dropped = enforce(rows.table, schema_check(SCHEMAS[name], known), _origin(name, rows), "drop")
        valid[name] = found
        notes += [_renamed(note, rows) for note in dropped]
        known |= _ids(name, found)
    return valid, notes


def raise_faults(tables: Mapping[str, Rows]) -> None:
    """Check whole tables as `market.validate` does, with the line numbers of the files that they come from.

    A cell is named once: one that cannot be read is not empty too, and an account whose kind is unknown may be any.

    Args:
        tables: as read; bad cells are null.

    Raises:
        DataError: naming all kinds of bad rows of all files.
    """
    faults = [text for rows in tables.values() for text in rows.undecided]
    forgivable: list[str] = []
    files = {f"{name}.parquet": rows.file for name, rows in tables.items()}
    known: dict[str, pa.Array] = {}
    for name, rows in _in_order(tables):
        told = {column: np.isin(rows.numbers, lines) for column, lines in rows.bad.items()}
        forgivable += rows.errors
        forgivable += [_sentence(rows, problem, name, files) for problem in _problems(name, rows, known, told)]
        known |= _ids(name, rows.table)
        if name == "accounts" and "kind" in told:
            unsure = rows.table["account_id"].filter(pa.array(told["kind"])).combine_chunks()
            known |= {kind: pa.concat_arrays([known[kind], unsure]) for kind in ("creator", "brand")}
    if faults or forgivable:
        raise together(faults, forgivable)


def together(faults: Sequence[str], forgivable: Sequence[str]) -> DataError:
    """One error for all that is wrong.

    Args:
        faults: what must be put right.
        forgivable: what is wrong with rows that could be dropped.

    Returns:
        The error, of at most nine lines or so.
    """
    lines = [*faults, *forgivable]
    more = len(lines) - _MOST
    if more > 0:
        lines = [*lines[:_MOST], f"… and {more} more {'kind' if more == 1 else 'kinds'} of bad rows."]
    if forgivable:
        lines.append(REMEDY)
    return DataError("\n".join(lines))


def _in_order(tables: Mapping[str, Rows]) -> Iterator[tuple[str, Rows]]:
    return ((name, tables[name]) for name in SCHEMAS if name in tables)


def _ids(name: str, table: pa.Table) -> dict[str, pa.Array]:
    """Ids that other tables may refer to, by what they are."""
    if name == "accounts":
        return account_ids(table)
    return {kind: table[f"{kind}_id"].combine_chunks() for kind, home in REFERENCE_TABLE.items() if home == name}


def _problems(
    name: str, rows: Rows, known: Mapping[str, pa.Array], told: dict[str, NDArray[np.bool_]]
) -> Iterator[Problem]:
    """Problems of one table without the cells that were told of before; `told` grows."""
    schema, table = SCHEMAS[name], rows.table
    for column in schema.key:  # keys are compared, which takes whole ones
        missing = np.asarray(pc.is_null(table[column]).combine_chunks(), dtype=bool)
        if missing.any():
            yield from _new(Problem(column=column, bad=missing, what=_NULL, rule="A key is never empty."), told)
            table = table.set_column(table.column_names.index(column), column, _filled(table[column], rows.numbers))
    for problem in schema_check(schema, known)(table):
        bad = problem.bad.copy()
        for column in schema.key if problem.column == schema.key[0] else ():
            bad &= ~told.get(column, np.zeros_like(bad))
        yield from _new(replace(problem, bad=bad), told)


def _new(problem: Problem, told: dict[str, NDArray[np.bool_]]) -> Iterator[Problem]:
    before = told.get(problem.column, np.zeros_like(problem.bad))
    told[problem.column] = before | problem.bad
    bad = problem.bad & ~before
    if bad.any():
        yield replace(problem, bad=bad)


def _filled(values: pa.ChunkedArray, numbers: NDArray[np.int64]) -> pa.ChunkedArray:
    """A key's column with something in the place of nulls; ids that no row has."""
    if values.type != TEXT:
        return pc.fill_null(values, pa.scalar(1, pa.int32()).cast(values.type))
    return pc.coalesce(values, pc.binary_join_element_wise("\x00", pa.array(numbers).cast(TEXT), ""))


def _sentence(rows: Rows, problem: Problem, name: str, files: Mapping[str, str]) -> str:
    column = SCHEMAS[name].columns[problem.column]
    expected = rule(column) if column.choices and problem.what.startswith("unknown") else problem.rule
    for whole, own in files.items():
        expected = expected.replace(whole, own)
    return _in_own_names(tell(rows.table, problem, _origin(name, rows)), rows) + f" {expected}"


def _renamed(note: str, rows: Rows) -> str:
    text = _in_own_names(note, rows)
    if isinstance(note, DropNote):
        return DropNote(text, where=note.where, rows=note.loss.rows, of=note.loss.of)
    return text


def _in_own_names(text: str, rows: Rows) -> str:
    for name, own in rows.names.items():
        if name != own:
            text = text.replace(f'{rows.file}: column "{name}"', f'{rows.file}: column "{own}" ({name})', 1)
    return text


def _origin(name: str, rows: Rows) -> Origin:
    return Origin(file=rows.file, numbers=rows.numbers, word=rows.word, table=name)
