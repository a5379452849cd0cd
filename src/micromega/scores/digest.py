"""A hash of a score table's content and metadata, independent of how Parquet lays them out.

Page checksums guard the pages of a file but neither its schema nor its metadata: a flipped bit in the fingerprint or in
the unit would go unseen. The digest, stored beside the lineage, covers all of it.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGEST_KEY = "micromega.content_sha256"


def content_digest(table: pa.Table, metadata: Mapping[str, str]) -> str:
    """SHA-256 over metadata, column names, types and values in row order.

    Args:
        table: a table with the contract's types (string, int64, float64, list of float32).
        metadata: the metadata that go into the file; the digest's own key is passed over.

    Returns:
        Hexadecimal digest.
    """
    digest = hashlib.sha256()
    for key in sorted(metadata):
        if key != DIGEST_KEY:
            digest.update(f"{key}\0{metadata[key]}\0".encode())
    update_digest(digest, table)
    return digest.hexdigest()


def update_digest(digest: "hashlib._Hash", table: pa.Table) -> None:
    """Add a table's columns to a hash: names, types, number of rows, values."""
    for column in table.schema:
        digest.update(f"{column.name}\0{column.type}\0{table.num_rows}\0".encode())
        _update(digest, table.column(column.name))


def _update(digest: "hashlib._Hash", column: pa.ChunkedArray) -> None:
    digest.update(column.is_null().to_numpy().tobytes())
    if pa.types.is_string(column.type):
        column = column.fill_null("")
        digest.update(pc.binary_length(column).to_numpy().astype("<i8").tobytes())
        for chunk in column.chunks:
            start, end = np.frombuffer(chunk.buffers()[1], dtype=np.int32)[[chunk.offset, chunk.offset + len(chunk)]]
            digest.update(memoryview(chunk.buffers()[2] or b"")[start:end])
    elif pa.types.is_list(column.type):
        digest.update(pc.list_value_length(column).fill_null(0).to_numpy().astype("<i8").tobytes())
        for chunk in column.chunks:
            digest.update(pc.list_flatten(chunk).to_numpy().astype("<f4", copy=False).data)
    else:
        little = "<i8" if pa.types.is_integer(column.type) else "<f8"
        digest.update(column.fill_null(0).to_numpy().astype(little).tobytes())
