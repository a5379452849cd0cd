"""Files that are no market yet: what they look like, which tables they could fill, and which models that unlocks."""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pyarrow import csv

from micromega.errors import DataError
from micromega.market import config as choices
from micromega.market.importers.mapped import suggest_map
from micromega.market.importers.mapped.column_map import DERIVED
from micromega.market.importers.mapped.suggest import ENDINGS, delimiter_of
from micromega.market.inspect.card import DataCard, ModelCard, TableCard, model_card
from micromega.market.inspect.columns import column_card
from micromega.market.inspect.enough import too_few
from micromega.market.inspect.needs import MODELS, Lack, lacking, parts_of_tables
from micromega.market.schemas import SCHEMAS
from micromega.market.storage import DESCRIPTION

SAMPLE = 16 << 20
"""Bytes of a text file that are read to describe it."""
_PACKAGE = "micromega.market.importers."


def is_market(path: Path) -> bool:
    """Whether a path is a market's folder, whole or not."""
    return path.is_dir() and ((path / DESCRIPTION).is_file() or (path / "accounts.parquet").is_file())


def inspect_files(path: Path) -> DataCard:
    """Make the card of a CSV or Parquet file, or of a folder of such.

    Text files are described by their first 16 MiB.

    Args:
        path: file or folder.

    Returns:
        The card, with a column map to start from.

    Raises:
        DataError: there is no such file, or none that can be read.
    """
    files = _files(path)
    cards, notes, sound = [], [], []
    for file in files:
        try:
            card, said = _described(file)
        except DataError as error:
            if len(files) == 1:
                raise
            notes.append(f"Left out: {error}")
            continue
        sound.append(file)
        cards.append(card)
        notes += said
    if not sound:
        raise DataError(f"{path}: none of its {len(files)} files can be read. {notes[0]}")
    suggestion = suggest_map(path, sound)
    specs = yaml.safe_load(suggestion).get("tables") or {}
    mapped = {name: _columns(spec) for name, spec in specs.items()}
    sizes = {card.name: card.rows for card in cards if card.whole}
    rows = {name: sizes[source] for name, spec in specs.items() if (source := Path(spec["file"]).name) in sizes}
    return DataCard(
        name=path.name or str(path),
        kind="files",
        tables=tuple(cards),
        models=tuple(_models(derived(mapped), tuple(_unmapped(mapped)), rows)) if mapped else (),
        notes=(*_known_sources(path, files), *_advice(mapped), *notes),
        suggestion=suggestion if mapped else "",
    )


def derived(mapped: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Add what the import by a column map derives by itself (docs/own_data.md).

    Args:
        mapped: table -> its columns in the map.

    Returns:
        Table -> columns that the market may hold.
    """
    found = {name: set(columns) for name, columns in mapped.items()}
    accounts = found.setdefault("accounts", set()) | {"account_id", "kind"}
    posts = found.get("posts", set())
    if "caption" in posts:
        posts |= {"hashtags", "mentioned_ids"}
    if "author_followers" in posts and "accounts" not in mapped:
        accounts.add("followers")
    found["accounts"] = accounts
    brands = any("brand_id" in columns for columns in found.values()) or "kind" in mapped.get("accounts", ())
    if brands and posts & {"mentioned_ids", "brand_id"}:
        found.setdefault("mentions", {"creator_id", "brand_id", "posts"})
    if "orders" in found:
        found.setdefault("merchants", {"merchant_id"})
        found.setdefault("products", {"product_id", "merchant_id"})
    return found


def importers() -> dict[str, type]:
    """Name -> config class of every importer."""
    found = {}
    for choice in vars(choices).values():
        target = getattr(choice, "config_target", "")
        if isinstance(choice, type) and target.startswith(_PACKAGE):
            found[target.split(":")[0].removeprefix(_PACKAGE)] = choice
    return found


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if not path.name.lower().endswith(ENDINGS):
            raise DataError(f"{path.name}: neither CSV nor Parquet (known endings: {', '.join(ENDINGS)}).")
        return [path]
    if os.path.lexists(path) and not path.is_dir():
        raise DataError(f"{path}: neither a file nor a folder (a link to nothing, or a device).")
    if not path.is_dir():
        near = get_close_matches(path.name, [other.name for other in _listed(path.parent)], 1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise DataError(f"{path}: there is no such file or folder.{hint}")
    files = sorted(file for file in path.iterdir() if file.is_file() and file.name.lower().endswith(ENDINGS))
    if not files:
        raise DataError(
            f"{path}: neither a market ({DESCRIPTION} and accounts.parquet) nor a folder of CSV or Parquet files."
        )
    return files


def _described(file: Path) -> tuple[TableCard, list[str]]:
    """Describe one file, and say how much of it was read."""
    rows, count, skipped = _sample(file)
    if twice := [name for place, name in enumerate(rows.column_names) if name in rows.column_names[:place]]:
        raise DataError(f'{file.name}: column "{twice[0]}" appears more than once. Rename one of them.')
    filled = [name for name in rows.column_names if rows[name].null_count < len(rows)]
    empty = tuple(name for name in rows.column_names if name not in filled)
    columns = tuple(column_card(name, rows[name]) for name in filled)
    notes = []
    if count is None or count > rows.num_rows:
        notes.append(f"{file.name}: described by its first {rows.num_rows:,} rows.")
    if skipped:
        many = "s" if skipped > 1 else ""
        notes.append(
            f"{file.name}: {skipped:,} row{many} without exactly {rows.num_columns} values not described. An import "
            "names their lines."
        )
    total = rows.num_rows if count is None else count
    return TableCard(name=file.name, rows=total, columns=columns, empty=empty, whole=count is not None), notes


def _is_parquet(file: Path) -> bool:
    return file.name.lower().endswith((".parquet", ".pq"))


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _sample(file: Path) -> tuple[pa.Table, int | None, int]:
    """Read the first rows of a file with types guessed.

    Returns:
        The rows; how many the file has, None if that is not known; and how many of those read have another number of
        values than the header, which are not among the rows.
    """
    try:
        if _is_parquet(file):
            opened = pq.ParquetFile(file)
            batch = next(opened.iter_batches(batch_size=100_000), None)
            rows = opened.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])
            return rows, opened.metadata.num_rows, 0
        return _sample_text(file)
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file.name}: not readable, or damaged ({reason}).") from error


def _sample_text(file: Path) -> tuple[pa.Table, int | None, int]:
    broken = []

    def skip(row: csv.InvalidRow) -> str:
        broken.append(row.number)
        return "skip"

    with pa.input_stream(file, compression="gzip" if file.name.lower().endswith(".gz") else None) as stream:
        content = stream.read(SAMPLE)
        whole = not stream.read(1)
    if not content.strip():
        raise DataError(f"{file.name}: the file is empty.")
    if not whole:
        content = content[: content.rfind(b"\n") + 1]
        if not content:
            raise DataError(f"{file.name}: the first line is longer than {SAMPLE:,} bytes; is it a table of rows?")
    read = csv.open_csv(
        pa.BufferReader(content),
        read_options=csv.ReadOptions(use_threads=False, block_size=len(content)),
        parse_options=csv.ParseOptions(delimiter=delimiter_of(file), newlines_in_values=True, invalid_row_handler=skip),
        convert_options=csv.ConvertOptions(strings_can_be_null=True),
    )
    rows = read.read_all()
    return rows, rows.num_rows if whole else None, len(broken)


def _columns(spec: Mapping[str, Any]) -> list[str]:
    return [*(spec.get("columns") or {}), *(spec.get("constants") or {})]


def _unmapped(mapped: Mapping[str, Iterable[str]]) -> Iterable[str]:
    """Required columns that the map still lacks: table.column."""
    for table, columns in mapped.items():
        for name, column in SCHEMAS[table].columns.items():
            if column.required and name not in columns and name not in DERIVED.get(table, ()):
                yield f"{table}.{name}"


def _advice(mapped: Mapping[str, Iterable[str]]) -> Iterable[str]:
    """What is to be done to the map."""
    for part in _unmapped(mapped):
        table, name = part.split(".")
        doc = SCHEMAS[table].columns[name].doc
        yield f"No column looks like {part} ({doc}), which is required: name it in the map."
    if "posts" in mapped and "mentions" not in derived(mapped):
        yield (
            "No column names brands: map posts.brand_id, or a file of accounts with their kind, and who worked with "
            "whom is derived from the posts."
        )


def _models(
    tables: Mapping[str, Iterable[str]], unmapped: tuple[str, ...], rows: Mapping[str, int]
) -> Iterable[ModelCard]:
    """Which models an import unlocks by its columns; none before the map names all required ones, or without rows."""
    parts = parts_of_tables(tables)
    for model in MODELS:
        lacks = lacking(model.needs, parts)
        if unmapped and not lacks:
            remedy = "Without them nothing is imported: name them in the map."
            lacks = (Lack(what="required columns", parts=unmapped, remedy=remedy),)
        wishes = () if lacks else lacking(model.helps, parts)
        stop = "" if lacks else too_few(model.name, rows)
        status: Literal["no", "after import"] = "no" if lacks or stop else "after import"
        yield model_card(model, status=status, advice=stop, lacks=lacks, wishes=wishes)


def _known_sources(path: Path, files: Iterable[Path]) -> list[str]:
    """Public data sets whose files all lie here."""
    folder = path if path.is_dir() else path.parent
    present = {file.name for file in (*files, *_listed(folder))}
    notes = []
    for name in importers():
        wanted = getattr(import_module(_PACKAGE + name), "FILES", ())
        if isinstance(wanted, tuple) and len(wanted) > 1 and present.issuperset(wanted):
            command = f"python -m micromega.market import {name} {folder} my-market"
            notes.append(f"These look like the files of a public data set: {command}")
    return notes
