"""What `retrieve` leaves in the run folder: vectors whose inner products are the scores of the shortlists."""

import json

import numpy as np
import pytest

from micromega.errors import ScoreError
from micromega.models.retrieval import CreatorIndex, top_k_exact
from micromega.runs.retrieval import BRANDS, CREATORS, FACTS, INDEX, SHORTLIST, write_retrieval
from micromega.scores import Lineage, ScoreKind, read_scores, vectors_of

LINEAGE = Lineage(
    score_kind=ScoreKind.PROBABILITY, model="mir", market_fingerprint="f", config_signature="s", notes=("A note.",)
)


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    brands, creators = rng.normal(size=(5, 8)), rng.normal(size=(400, 8))
    brand_ids, creator_ids = np.array([f"b{n}" for n in range(5)]), np.array([f"c{n:03}" for n in range(399)] + ["b0"])
    return {"brand_ids": brand_ids, "brand_vectors": brands, "creator_ids": creator_ids, "creator_vectors": creators}


@pytest.mark.parametrize("mode", ["exact", "ann"])
def test_the_shortlist_is_what_the_written_vectors_give(tmp_path, sides, mode):
    if mode == "ann":
        pytest.importorskip("faiss", reason="the extra `retrieval` is not installed")
    facts = write_retrieval(tmp_path, mode=mode, **sides, k=7, lineage=LINEAGE)
    brands, creators = (read_scores(tmp_path / file, name="embedding") for file in (BRANDS, CREATORS))
    assert brands.table["subject_id"].to_pylist() == sides["brand_ids"].tolist()
    assert creators.table["subject_id"].to_pylist() == sides["creator_ids"].tolist()
    assert brands.lineage.score_kind is creators.lineage.score_kind is ScoreKind.VECTOR
    np.testing.assert_array_equal(vectors_of(creators.table), sides["creator_vectors"].astype(np.float32))
    written = read_scores(tmp_path / SHORTLIST, name="affinity")
    assert written.lineage.score_kind is ScoreKind.RANK_LOGIT
    assert written.lineage.notes[-1] == "A note."
    scores = vectors_of(brands.table).astype(np.float64) @ vectors_of(creators.table).astype(np.float64).T
    best = np.argsort(-scores, axis=1)[:, :7]
    rows = written.table.to_pylist()
    assert [row["brand_id"] for row in rows] == np.repeat(sides["brand_ids"], 7).tolist()
    assert [row["creator_id"] for row in rows] == sides["creator_ids"][best].ravel().tolist()
    assert [row["rank"] for row in rows] == [*range(1, 8)] * 5
    np.testing.assert_allclose(
        written.table["score"].to_numpy(), np.take_along_axis(scores, best, axis=1).ravel(), rtol=1e-12
    )
    assert json.loads((tmp_path / FACTS).read_text()) == facts
    assert (facts["served"], facts["brands"], facts["creators"], facts["dimension"], facts["shortlist"]) == (
        mode,
        5,
        400,
        8,
        7,
    )


def test_a_new_brand_is_served_from_the_files(tmp_path, sides):
    pytest.importorskip("faiss", reason="the extra `retrieval` is not installed")
    facts = write_retrieval(tmp_path, mode="ann", **sides, k=7, lineage=LINEAGE)
    vectors = vectors_of(read_scores(tmp_path / CREATORS, name="embedding").table)
    brand = np.random.default_rng(1).normal(size=(1, 8))
    rows, scores = CreatorIndex.load(tmp_path / INDEX, vectors).search(brand, 3, probes=facts["lists"])
    expected_rows, expected_scores = top_k_exact(brand, vectors, 3)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(scores, expected_scores)


def test_an_index_of_other_vectors_does_not_stay(tmp_path, sides):
    (tmp_path / INDEX).write_bytes(b"of an earlier run")
    write_retrieval(tmp_path, mode="exact", **sides, k=3, lineage=LINEAGE)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([BRANDS, CREATORS, SHORTLIST, FACTS])


def test_memory_mapped_halves_are_written_as_they_are(tmp_path, sides):
    np.save(tmp_path / "vectors.npy", sides["creator_vectors"].astype(np.float16))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    write_retrieval(tmp_path / "run", mode="exact", **(sides | {"creator_vectors": mapped}), k=3, lineage=LINEAGE)
    np.testing.assert_array_equal(vectors_of(read_scores(tmp_path / "run" / CREATORS, name="embedding").table), mapped)


def test_ids_that_do_not_fit_are_refused(tmp_path, sides):
    with pytest.raises(ScoreError, match="one vector per id is needed, got 399 ids"):
        write_retrieval(
            tmp_path, mode="exact", **(sides | {"creator_ids": sides["creator_ids"][1:]}), k=3, lineage=LINEAGE
        )
    twice = sides["creator_ids"].copy()
    twice[9] = twice[4]
    with pytest.raises(ScoreError, match=f"{CREATORS}: .* keys that an earlier row has already"):
        write_retrieval(tmp_path, mode="exact", **(sides | {"creator_ids": twice}), k=3, lineage=LINEAGE)
