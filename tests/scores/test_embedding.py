"""Embedding tables: arrays and back, in any chunks, with the same checks and checksum."""

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ScoreError
from micromega.scores import Lineage, ScoreKind, embedding_table, read_scores, vectors_of, write_scores
from micromega.scores.digest import content_digest

LINEAGE = Lineage(score_kind=ScoreKind.VECTOR, model="mir", market_fingerprint="f", config_signature="s")
IDS = [f"c{n}" for n in range(7)]


@pytest.fixture(params=[1, 3, 1000])
def chunk(request, monkeypatch):
    monkeypatch.setattr("micromega.scores.embedding._CHUNK", request.param)
    return request.param


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_come_back(tmp_path, chunk, dtype):
    vectors = np.random.default_rng(0).normal(size=(7, 4)).astype(dtype)[:, ::-1]  # rows that are not contiguous
    table = embedding_table(subject_ids=IDS, vectors=vectors)
    assert table["vector"].num_chunks == -(-7 // chunk)
    read = read_scores(write_scores(table, tmp_path / "e.parquet", name="embedding", lineage=LINEAGE), name="embedding")
    assert read.table["subject_id"].to_pylist() == IDS
    np.testing.assert_array_equal(vectors_of(read.table), vectors.astype(np.float32))


def test_chunks_do_not_change_the_checksum(chunk):
    table = embedding_table(subject_ids=IDS, vectors=np.random.default_rng(0).normal(size=(7, 4)))
    assert content_digest(table, {}) == content_digest(table.combine_chunks(), {})
    other = embedding_table(subject_ids=IDS, vectors=np.random.default_rng(0).normal(size=(7, 4)) + 1e-3)
    assert content_digest(other, {}) != content_digest(table, {})


def test_bad_rows_are_counted_over_chunks(tmp_path, chunk):
    vectors = np.ones((7, 4))
    vectors[5, 1] = np.nan
    with pytest.raises(ScoreError, match=r"1 vectors with values that are not finite \(row 5"):
        write_scores(
            embedding_table(subject_ids=IDS, vectors=vectors), tmp_path / "e.parquet", name="embedding", lineage=LINEAGE
        )
    ragged = pa.table({"subject_id": IDS, "vector": [[1.0, 2.0]] * 6 + [[1.0]]})
    with pytest.raises(ScoreError, match="not of length 2"):
        write_scores(ragged, tmp_path / "e.parquet", name="embedding", lineage=LINEAGE)


def test_ids_and_vectors_must_fit():
    with pytest.raises(ScoreError, match=r"got 7 ids and vectors of shape \(6, 4\)"):
        embedding_table(subject_ids=IDS, vectors=np.ones((6, 4)))
    with pytest.raises(ScoreError, match=r"vectors of shape \(7,\)"):
        embedding_table(subject_ids=IDS, vectors=np.ones(7))
