"""A first map of columns, guessed from the headers of files."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from micromega.errors import DataError
from micromega.market.importers.mapped.column_map import DERIVED
from micromega.market.importers.mapped.look import Look
from micromega.market.importers.mapped.read import PARQUET
from micromega.market.importers.mapped.synonyms import SYNONYMS
from micromega.market.importers.stream import csv_header
from micromega.market.importers.times import ISO
from micromega.market.schemas import COUNT, DATE, SCHEMAS, TIME

ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt", *PARQUET)
_TABLES = ("orders", "follows", "prices", "campaigns", "events", "views", "mentions", "posts", "accounts", "products")
"""Tables that a file may be, the most particular first."""
_FEWEST = 2
"""Columns that must fit before a table is named."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What a file looks like."""

    table: str
    """The table that it fills best; empty if none."""
    columns: dict[str, str]
    """Column of the market -> column of the file."""
    unused: tuple[str, ...]
    """Columns of the file that fit nothing."""
    missing: tuple[str, ...]
    """Required columns of the table that no column of the file fits."""


def suggest_map(path: Path | str, some: Sequence[Path] = ()) -> str:
    """Write a first map of columns for a file, or for all files of a folder.

    Args:
        path: CSV or Parquet file, or a folder of such.
        some: those of the folder's files that shall be in the map; all by default.

    Returns:
        YAML text, to be put beside the files and corrected by hand.

    Raises:
        DataError: there is no such file, or it is unreadable.
    """
    place = Path(path)
    files = list(some) or (sorted(filter(_is_table, place.iterdir())) if place.is_dir() else [place])
    if not files:
        raise DataError(f"{place}: there is no CSV or Parquet file in this folder.")
    name = place.name if place.is_dir() else place.name.split(".")[0]
    lines = [f"name: {_scalar(name)}", "currency: EUR  # correct this", "tables:"]
    guesses = {file: guess_table(columns_of(file)) for file in files}
    for file, guess in guesses.items():
        rivals = {other: len(found.columns) for other, found in guesses.items() if found.table == guess.table}
        best = max(rivals, key=lambda other: rivals[other])
        lines += _table_lines(file, guess, best)
    return "\n".join(lines) + "\n"


def guess_table(names: list[str]) -> Guess:
    """Guess which table a file fills, by the names of its columns.

    Args:
        names: columns of the file.

    Returns:
        The table whose required columns are all there and that takes most columns; else the one that takes most. None
        where no table takes two.
    """
    guesses = [_guess(table, names) for table in _TABLES]
    best = max(guesses, key=lambda guess: (not guess.missing, len(guess.columns)))
    if len(best.columns) < _FEWEST:
        return Guess(table="", columns={}, unused=tuple(names), missing=())
    return best


def columns_of(path: Path) -> list[str]:
    """Names of the columns of a CSV or Parquet file.

    Raises:
        DataError: there is no such file, or it is unreadable.
    """
    if path.suffix.lower() not in PARQUET:
        return csv_header(path, delimiter=delimiter_of(path))
    try:
        names: list[str] = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name}: not a readable Parquet file ({str(error).splitlines()[0]}).") from error
    return names


def delimiter_of(path: Path) -> str:
    """The character that parts the header's names: comma, semicolon, tab or bar."""
    names = csv_header(path)
    header = names[0] if len(names) == 1 else ""
    return max(",;\t|", key=header.count) if header else ","


def _guess(table: str, names: list[str]) -> Guess:
    columns: dict[str, str] = {}
    plain = {name: _plain(name) for name in names}
    schema = SCHEMAS[table].columns
    for known_as in (_itself, _synonyms, _counted):  # a column's own name beats a synonym
        for column in schema:
            known = known_as(column)
            free = (name for name in names if name not in columns.values() and plain[name] in known)
            if column not in columns and (name := next(free, None)) is not None:
                columns[column] = name
    ordered = {column: columns[column] for column in schema if column in columns}
    missing = [column for column, what in schema.items() if what.required and column not in columns]
    return Guess(
        table=table,
        columns=ordered,
        unused=tuple(name for name in names if name not in columns.values()),
        missing=tuple(column for column in missing if column not in DERIVED.get(table, ())),
    )


def _itself(column: str) -> set[str]:
    return {column}


def _synonyms(column: str) -> set[str]:
    return set(SYNONYMS.get(column, ()))


def _counted(column: str) -> set[str]:
    return {
        f"{prefix}_{name}" for name in (column, *_synonyms(column)) for prefix in ("n", "num", "number", "number_of")
    }


def _plain(name: str) -> str:
    """A name in ASCII and lower case with underscores: "Like Count" and "likeCount" are like_count."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    bare = unicodedata.normalize("NFKD", spaced.lower().replace("ß", "ss"))
    bare = "".join(sign for sign in bare if not unicodedata.combining(sign))  # é is e
    return re.sub(r"[^a-z0-9]+", "_", bare).strip("_")


def _table_lines(file: Path, guess: Guess, best: Path) -> list[str]:
    if not guess.table:
        return [
            f"  # {file.name}: could not guess what it holds, because fewer than two of its columns have a known name.",
            f"  # It has: {', '.join(map(_one_line, guess.unused))}.",
        ]
    lines = [f"  {guess.table}:", f"    file: {_scalar(file.name)}"]
    if file != best:
        return [f"  # {file.name} looks like {guess.table} too, as {best.name} does, which has more of its columns."]
    if file.suffix.lower() not in PARQUET and (delimiter := delimiter_of(file)) != ",":
        lines.append(f"    delimiter: {_scalar(delimiter)}")
    look = Look(file=file, delimiter=delimiter_of(file)) if file.suffix.lower() not in PARQUET else None
    lines += _decimal_line(look, guess)
    lines.append("    columns:")
    lines += [f"      {column}: {_scalar(name)}" for column, name in guess.columns.items()]
    doc = SCHEMAS[guess.table].columns
    lines += [f"      # {column}: ?  required: {doc[column].doc}" for column in guess.missing]
    if times := {column: form for column, name in guess.columns.items() if (form := _time_form(look, guess, column))}:
        lines += ["    times:", *(f"      {column}: {form}" for column, form in times.items())]
    if guess.unused:
        lines.append(f"    # not used: {', '.join(map(_one_line, guess.unused))}")
    return lines


def _time_form(look: Look | None, guess: Guess, column: str) -> str:
    """Form of a column of times for the map, with what is doubtful about it; empty if it is plain ISO 8601."""
    if look is None or SCHEMAS[guess.table].columns[column].type not in {TIME, DATE}:
        return ""
    found = look.time_form(guess.columns[column])
    if found is None or (found.form == ISO and not found.misfits):
        return ""
    doubts = [f"or {_scalar(found.rival)}: correct this"] if found.rival else []
    if found.misfits:
        verb = "does" if found.misfits == 1 else "do"
        doubts.append(f"{found.misfits:,} of {found.values:,} values {verb} not fit, for instance {found.example!r}")
    return _scalar(found.form) + (f"  # {'; '.join(doubts)}" if doubts else "")


def _decimal_line(look: Look | None, guess: Guess) -> list[str]:
    """What the map says about points and commas in numbers, if the file leaves a doubt or has decimal commas."""
    schema = SCHEMAS[guess.table].columns
    if look is None:
        return []
    for column, name in guess.columns.items():
        sign, example = look.decimal(name, schema[column].type)
        if sign:
            read = f"{example} in {name!r} is then"
            what = f"{read} {example.replace('.', '')}" if sign == "," else f"{read} {example.split('.')[0]}"
            if schema[column].type == COUNT:
                other = "." if sign == "," else ","
                return [f"    decimal: {_scalar(sign)}  # {_one_line(what)}; if not, write '{other}'"]
            return [f"    decimal: {_scalar(sign)}  # because of {_one_line(example)} in {_one_line(name)!r}"]
    return []


def _one_line(text: str) -> str:
    """Text for a comment."""
    return " ".join(text.split())


def _is_table(file: Path) -> bool:
    return file.is_file() and file.name.lower().endswith(ENDINGS)


def _scalar(text: str) -> str:
    """Text as YAML writes it, quoted where it must be."""
    style = '"' if text.strip() != text or not text.strip() else None
    return yaml.safe_dump(text, default_style=style, allow_unicode=True, width=10_000).split("\n")[0]
