"""Writing a score table that is larger than memory: checked block by block, with the same lineage and checksums."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from micromega.errors import ScoreError
from micromega.files import write_atomically
from micromega.scores.check import check_table
from micromega.scores.digest import DIGEST_KEY, update_digest
from micromega.scores.schema import Lineage, table_spec
from micromega.scores.write import TABLE_KEY


def write_scores_in_blocks(blocks: Iterable[pa.Table], path: Path | str, *, name: str, lineage: Lineage) -> int:
    """Check blocks of a score table and write them to one Parquet file, a row group each.

    As `write_scores`, but for keys: they are checked within a block, and the maker of the blocks answers for keys in
    different ones (the reader checks them all). The file is written once without its digest, hashed column by column,
    and written again with it; memory holds a block, or one column.

    Args:
        blocks: rows with the table's columns in any order.
        path: file to write; its folder is made if need be.
        name: which of the score tables this is.
        lineage: where the scores come from and what unit they have.

    Returns:
        How many rows were written.

    Raises:
        ScoreError: a block breaks the contract, or there is none. No file is left then.
    """
    path = Path(path)
    spec = table_spec(name, file=path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    metadata = lineage.to_metadata() | {TABLE_KEY: name}
    try:
        rows = 0
        with pq.ParquetWriter(draft, spec.schema, compression="zstd", write_page_checksum=True) as writer:
            for block in blocks:
                writer.write_table(check_table(block, spec, lineage, file=path.name))
                rows += block.num_rows
        if not rows:
            raise ScoreError(f"{path.name}: has no rows. Check that the model scored anything, then write it again.")
        metadata[DIGEST_KEY] = _digest(draft, metadata)
        write_atomically(path, lambda file: _copy(draft, file, spec.schema.with_metadata(metadata)))
    finally:
        draft.unlink(missing_ok=True)
    return rows


def _digest(draft: Path, metadata: dict[str, str]) -> str:
    """`content_digest` of a file, one column in memory at a time."""
    digest = hashlib.sha256()
    for key in sorted(metadata):
        digest.update(f"{key}\0{metadata[key]}\0".encode())
    with pq.ParquetFile(draft) as held:
        for column in held.schema_arrow.names:
            update_digest(digest, held.read([column]))
    return digest.hexdigest()


def _copy(draft: Path, file: IO[bytes], schema: pa.Schema) -> None:
    with (
        pq.ParquetFile(draft) as held,
        pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for group in range(held.num_row_groups):
            writer.write_table(held.read_row_group(group).replace_schema_metadata(schema.metadata))
