"""The map of columns: a YAML file, checked key by key."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from micromega.errors import DataError
from micromega.market.importers.mapped.values import read_values, rule
from micromega.market.importers.times import ISO
from micromega.market.schemas import DATE, SCHEMAS, TEXTS, TIME, Column

_TOP = ("name", "currency", "source", "tables")
_TABLE = ("file", "columns", "constants", "lists", "times", "values", "delimiter", "decimal", "encoding")
DERIVED = {"posts": ("post_id",), "accounts": ("kind",), "orders": ("merchant_id",)}
"""Required columns that need not be mapped, because they can be made."""


@dataclass(frozen=True, kw_only=True)
class TableMap:
    """Where one table's values come from."""

    table: str
    file: str
    """Path, relative to the map."""
    columns: Mapping[str, str]
    """Column of the market -> column of the file."""
    constants: Mapping[str, str]
    """Column of the market -> the one value of all rows."""
    lists: Mapping[str, str]
    """Column of lists -> separator."""
    times: Mapping[str, str]
    """Column of times or days -> strptime pattern, or "unix", "unix_ms", "iso"."""
    values: Mapping[str, Mapping[str, str]]
    """Column of the market -> cell of the file, in lower case -> what it means; an empty text: nothing."""
    delimiter: str
    decimal: str
    """Empty where the map does not say."""
    encoding: str


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """A whole market."""

    folder: Path
    """Folder of the map."""
    name: str
    currency: str
    source: str
    tables: Mapping[str, TableMap]


def read_map(path: Path) -> ColumnMap:
    """Read and check a map.

    Args:
        path: YAML file.

    Returns:
        The map.

    Raises:
        DataError: naming the key at fault and what it may be.
    """
    if not path.is_file():
        raise DataError(f"{path.name}: there is no such file in {path.parent}. Set market.path to your map of columns.")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path.name}: not readable as YAML ({' '.join(str(error).split())}).") from error
    top = _mapping(path, "the file", found, _TOP)
    for key in ("name", "currency"):
        if not isinstance(top.get(key), str) or not top[key].strip():
            raise DataError(
                f'{path.name}: "{key}" is missing or no text (got {top.get(key)!r}), for instance {key}: eur.'
            )
    tables = _mapping(path, "tables", top.get("tables"), tuple(SCHEMAS))
    if not tables:
        raise DataError(f"{path.name}: tables: name at least one of {', '.join(SCHEMAS)}.")
    return ColumnMap(
        folder=path.parent,
        name=top["name"],
        currency=top["currency"],
        source=str(top.get("source") or ""),
        tables={name: _table(path, name, content) for name, content in tables.items()},
    )


def _table(path: Path, table: str, content: Any) -> TableMap:
    where = f"tables.{table}"
    keys = _mapping(path, where, content, _TABLE)
    schema = SCHEMAS[table].columns
    texts = {key: _texts(path, f"{where}.{key}", keys.get(key), tuple(schema)) for key in _TABLE[1:5]}
    plain = {
        key: _text(path, f"{where}.{key}", keys.get(key, default))
        for key, default in (("file", ""), ("delimiter", ","), ("decimal", ""), ("encoding", "utf8"))
    }
    if not plain["file"]:
        raise DataError(f"{path.name}: {where}.file is missing: name a CSV or Parquet file.")
    if len(plain["delimiter"]) != 1 or plain["decimal"] not in {"", ".", ","}:
        raise DataError(f'{path.name}: {where}: "delimiter" is one character, "decimal" is "." or ",".')
    _check_encoding(path, where, plain["encoding"])
    for column in texts["columns"]:
        if column in texts["constants"]:
            raise DataError(f'{path.name}: {where}: "{column}" is under columns and under constants. Keep one of them.')
    for key, kinds, what in (("lists", (TEXTS,), "a list"), ("times", (TIME, DATE), "a time or day")):
        for column in texts[key]:
            if schema[column].type not in kinds:
                raise DataError(f'{path.name}: {where}.{key}: "{column}" is not {what} but {schema[column].type}.')
            if column not in texts["columns"]:
                raise DataError(f'{path.name}: {where}.{key}: "{column}" is not under {where}.columns.')
    values = _all_values(path, where, keys.get("values"), table, texts)
    _check_required(path, table, plain["file"], {*texts["columns"], *texts["constants"]})
    return TableMap(
        table=table,
        file=plain["file"],
        columns=texts["columns"],
        constants=texts["constants"],
        lists=texts["lists"],
        times=texts["times"],
        values=values,
        delimiter=plain["delimiter"],
        decimal=plain["decimal"],
        encoding=plain["encoding"],
    )


def _all_values(
    path: Path, where: str, found: Any, table: str, texts: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Check translations of cells: what they are to mean must be something that the column can hold."""
    schema = SCHEMAS[table].columns
    columns = {} if found is None else _mapping(path, f"{where}.values", found, tuple(schema))
    made = {}
    for column, words in columns.items():
        here = f"{where}.values.{column}"
        if column not in texts["columns"]:
            raise DataError(f'{path.name}: {where}.values: "{column}" is not under {where}.columns.')
        if not isinstance(words, dict):
            raise DataError(f"{path.name}: {here}: expected cells and what they mean, got {words!r}.")
        made[column] = _translations(path, here, words)
        targets = [target for target in made[column].values() if target]
        form = texts["times"].get(column, ISO)
        for target in filter(lambda target: not _is_value(target, schema[column], form), targets):
            raise DataError(f'{path.name}: {here}: "{target}" is no {column}. {rule(schema[column])}')
    return made


def _translations(path: Path, where: str, words: Mapping[Any, Any]) -> dict[str, str]:
    made: dict[str, str] = {}
    for cell, target in words.items():
        if isinstance(cell, bool) or cell is None:
            raise DataError(
                f'{path.name}: {where}: YAML reads a cell as {cell!r}. Put cells in quotation marks: "yes": true.'
            )
        if isinstance(target, dict | list):
            raise DataError(f"{path.name}: {where}.{cell}: expected one value, got {target!r}.")
        text = str(target).lower() if isinstance(target, bool) else "" if target is None else str(target)
        if made.setdefault(key := str(cell).strip().lower(), text) != text:
            raise DataError(f'{path.name}: {where}: "{key}" has two meanings (upper and lower case are the same).')
    return made


def _is_value(target: str, column: Column, form: str) -> bool:
    value = read_values(pa.chunked_array([[target]]), column, trim=True, form=form)[0].as_py()
    return value in column.choices if column.choices else value is not None


def _check_required(path: Path, table: str, file: str, given: set[str]) -> None:
    for column, what in SCHEMAS[table].columns.items():
        if what.required and column not in {*given, *DERIVED.get(table, ())}:
            raise DataError(
                f'{path.name}: tables.{table}.columns: "{column}" ({what.doc}) is required: say which column of {file} '
                "holds it, or give it one value under constants."
            )


def _mapping(path: Path, where: str, found: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise DataError(f"{path.name}: {where}: expected keys and values, got {type(found).__name__}.")
    for key in found:
        if key not in known:
            guess = get_close_matches(str(key), known, 1)
            hint = f' Did you mean "{guess[0]}"?' if guess else ""
            raise DataError(f'{path.name}: {where}: unknown key "{key}".{hint} It may have: {", ".join(known)}.')
    return found


def _texts(path: Path, where: str, found: Any, known: tuple[str, ...]) -> dict[str, str]:
    if found is None:
        return {}
    return {key: _text(path, f"{where}.{key}", value) for key, value in _mapping(path, where, found, known).items()}


def _text(path: Path, where: str, value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        raise DataError(f"{path.name}: {where}: expected one value, got {value!r}.")
    return str(value)


def _check_encoding(path: Path, where: str, encoding: str) -> None:
    try:
        "a".encode(encoding)
    except (LookupError, ValueError) as error:
        raise DataError(
            f'{path.name}: {where}.encoding: "{encoding}" is unknown, for instance utf8, cp1252.'
        ) from error
