"""Writing a score table: checked first, then atomically, with checksums and lineage."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from micromega.files import write_atomically
from micromega.scores.check import check_table
from micromega.scores.digest import DIGEST_KEY, content_digest
from micromega.scores.schema import METADATA_PREFIX, Lineage, table_spec

TABLE_KEY = METADATA_PREFIX + "table"


def write_scores(table: pa.Table, path: Path | str, *, name: str = "affinity", lineage: Lineage) -> Path:
    """Check a score table and write it to a Parquet file.

    The file appears under its name only when it is complete: it is written beside its place, flushed to disk and then
    renamed. Apart from `lineage.created_at` the bytes depend on the input alone.

    Args:
        table: the scores, with the columns of `TABLES[name]` in any order.
        path: file to write; its folder is made if need be.
        name: which of the score tables this is.
        lineage: where the scores come from and what unit they have.

    Returns:
        The path of the file.

    Raises:
        ScoreError: the table breaks the contract. Nothing is written then.
    """
    path = Path(path)
    spec = table_spec(name, file=path.name)
    table = check_table(table, spec, lineage, file=path.name)
    metadata = lineage.to_metadata() | {TABLE_KEY: name}
    metadata[DIGEST_KEY] = content_digest(table, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = table.replace_schema_metadata(metadata)
    write_atomically(path, lambda file: pq.write_table(table, file, compression="zstd", write_page_checksum=True))
    return path
