"""Parquet files and market.yaml on disk: checksummed, forced to disk, and never a traceback when damaged."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from micromega import __version__
from micromega.errors import DataError
from micromega.files import sync_folder
from micromega.market.loss import Loss

DESCRIPTION = "market.yaml"
_KNOWN = ("name", "currency", "source", "created_by", "notes", "dropped", "tables")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What market.yaml says."""

    name: str
    currency: str
    source: str = ""
    created_by: str = ""
    notes: tuple[str, ...] = ()
    dropped: Mapping[str, Loss] = field(default_factory=dict)
    """Table, or file of the source -> how many of its bad rows were dropped."""
    tables: Mapping[str, str]
    """Table name -> its fingerprint when it was written; empty where a person made the folder."""


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file, page checksums verified, values validated (offsets, UTF-8).

    Raises:
        DataError: the file is missing, no Parquet, truncated or damaged.
    """
    if not path.is_file():
        raise DataError(f"{path.name}: there is no such file in {path.parent}.")
    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path.name}: not a readable Parquet file, or damaged ({reason}). Folder: {path.parent}.\n"
            "Restore it from a backup or make it again."
        ) from error
    return table.replace_schema_metadata(None)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table with page checksums and force it to disk."""
    with path.open("wb") as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)
        file.flush()
        os.fsync(file.fileno())


def read_description(folder: Path) -> Description:
    """Read and check market.yaml.

    Raises:
        DataError: the folder or file is missing, not YAML, or lacks name or currency.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: there is no such folder. A market is a folder with {DESCRIPTION} and Parquet tables."
        )
    path = folder / DESCRIPTION
    remedy = f'It needs at least "name: …" and "currency: …" (for instance USD). File: {path}.'
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{DESCRIPTION} is missing in {folder}. {remedy}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{DESCRIPTION}: not readable as YAML ({str(error).splitlines()[0]}). {remedy}") from error
    if not isinstance(found, dict):
        raise DataError(f"{DESCRIPTION}: expected keys and values, got {type(found).__name__}. {remedy}")
    if unknown := [str(key) for key in found if key not in _KNOWN]:
        raise DataError(f'{DESCRIPTION}: unknown key "{unknown[0]}". Known keys: {", ".join(_KNOWN)}. File: {path}.')
    for key in ("name", "currency"):
        if not isinstance(found.get(key), str) or not found[key].strip():
            raise DataError(f'{DESCRIPTION}: "{key}" is missing or no text (got {found.get(key)!r}). {remedy}')
    notes, tables = found.get("notes") or [], found.get("tables") or {}
    if not isinstance(notes, list) or not isinstance(tables, dict):
        raise DataError(f'{DESCRIPTION}: "notes" is a list and "tables" maps names to fingerprints. File: {path}.')
    return Description(
        name=found["name"],
        currency=found["currency"],
        source=str(found.get("source") or ""),
        created_by=str(found.get("created_by") or ""),
        notes=tuple(str(note) for note in notes),
        dropped=_losses(found.get("dropped") or {}, path),
        tables={str(name): str(value) for name, value in tables.items()},
    )


def _losses(found: Any, path: Path) -> dict[str, Loss]:
    try:
        losses = {str(where): Loss(**counts) for where, counts in found.items()}
        sound = all(isinstance(loss.rows, int) and 0 <= loss.rows <= loss.of and loss.of for loss in losses.values())
    except (AttributeError, TypeError):
        sound = False
    if not sound:
        raise DataError(
            f'{DESCRIPTION}: "dropped" maps tables to "rows" and "of", for instance "posts: {{rows: 3, of: 80}}". '
            f"File: {path}."
        )
    return losses


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a temporary folder beside `path`; it gets that name, whole and forced to disk, when the block ends well.

    Args:
        path: folder to make.

    Yields:
        The temporary folder. It is removed if the block raises.

    Raises:
        FileExistsError: `path` exists already, possibly made by another process meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        sync_folder(temporary)
        try:
            if path.exists():  # renaming over an empty folder would succeed
                raise FileExistsError(path)
            temporary.rename(path)
        except OSError as error:
            if path.exists():
                raise FileExistsError(path) from error
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(path.parent)


class ParquetFile:
    """A Parquet file that is written in chunks, with page checksums."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = path.open("wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd", write_page_checksum=True)

    def append(self, table: pa.Table) -> None:
        """Add rows."""
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file and force it to disk."""
        try:
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()


def write_description(description: Description, path: Path) -> None:
    """Write market.yaml and force it to disk."""
    dropped = {where: asdict(loss) for where, loss in description.dropped.items()}
    content = {
        "name": description.name,
        "currency": description.currency,
        "source": description.source,
        "created_by": description.created_by or f"micromega {__version__}",
        "notes": list(description.notes),
        **({"dropped": dropped} if dropped else {}),  # nearly all markets have none
        "tables": dict(description.tables),
    }
    with path.open("w", encoding="utf-8") as file:
        yaml.safe_dump(content, file, sort_keys=False, allow_unicode=True, width=120)
        file.flush()
        os.fsync(file.fileno())
