"""Embedding tables from arrays, and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from micromega.errors import ScoreError
from micromega.scores.schema import TABLES

_CHUNK = 1 << 18  # vectors per chunk: one chunk may not hold more than 2³¹ numbers


def embedding_table(
    *, subject_ids: Sequence[str] | npt.NDArray[np.str_] | pa.Array, vectors: npt.NDArray[np.floating[Any]]
) -> pa.Table:
    """Build the embedding table.

    Args:
        subject_ids: (N,) what each vector stands for.
        vectors: (N, D) vectors of any float type, in memory or memory-mapped; the table holds float32.

    Returns:
        The embedding table: subject_id, vector.

    Raises:
        ScoreError: ids and vectors differ in number, or vectors are not of two dimensions.

    Example:
        >>> table = embedding_table(subject_ids=["x", "y"], vectors=np.eye(2))
        >>> vectors_of(table).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    if vectors.ndim != 2 or len(subject_ids) != len(vectors):
        raise ScoreError(
            f"embedding_table: one vector per id is needed, got {len(subject_ids):,} ids and vectors of shape "
            f"{vectors.shape}."
        )
    chunks = []
    for first in range(0, len(vectors), _CHUNK):
        part_ND = np.ascontiguousarray(vectors[first : first + _CHUNK], dtype=np.float32)
        offsets = np.arange(len(part_ND) + 1, dtype=np.int32) * part_ND.shape[1]
        chunks.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(part_ND.ravel())))
    schema = TABLES["embedding"].schema
    columns = [pa.array(subject_ids, pa.string()), pa.chunked_array(chunks, schema.field("vector").type)]
    return pa.table(columns, schema=schema)


def vectors_of(table: pa.Table) -> npt.NDArray[np.float32]:
    """Vectors of an embedding table that passed its checks, (N, D), in row order."""
    chunks = [chunk for chunk in table.column("vector").chunks if len(chunk)]
    return np.concatenate([pc.list_flatten(chunk).to_numpy().reshape(len(chunk), -1) for chunk in chunks])
