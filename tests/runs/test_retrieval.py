"""What `retrieve` leaves in the run folder: shortlists, and vectors whose inner products are their scores."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from tables import SCORED

from micromega.errors import ScoreError
from micromega.models.evaluation import Retrieved
from micromega.models.retrieval import CreatorIndex, shortlist, top_k_exact
from micromega.runs import evaluate, optimize, train
from micromega.runs.retrieval import BRANDS, CREATORS, FACTS, INDEX, write_retrieval
from micromega.scores import Lineage, ScoreKind, read_scores, vectors_of

LINEAGE = Lineage(
    score_kind=ScoreKind.PROBABILITY, model="mir", market_fingerprint="f", config_signature="s", notes=("A note.",)
)


def made(mode, creator_vectors=None, creator_ids=None):
    rng = np.random.default_rng(0)
    brands, creators = rng.normal(size=(2, 5, 8)).astype(np.float32)[0], rng.normal(size=(400, 8)).astype(np.float32)
    creators = creators if creator_vectors is None else creator_vectors
    return Retrieved(
        brand_ids=np.array([f"b{n}" for n in range(5)]),
        creator_ids=np.array([f"c{n:03}" for n in range(399)] + ["b0"]) if creator_ids is None else creator_ids,
        brands=brands,
        creators=creators,
        shortlists=shortlist(brands, creators, 7, mode=mode),
        deviation=None,
    )


@pytest.mark.parametrize("mode", ["exact", "ann"])
def test_vectors_and_facts_are_written(tmp_path, mode):
    if mode == "ann":
        pytest.importorskip("faiss", reason="the extra `retrieval` is not installed")
    found = made(mode)
    facts = write_retrieval(tmp_path, found, LINEAGE)
    brands, creators = (read_scores(tmp_path / file, name="embedding") for file in (BRANDS, CREATORS))
    assert brands.table["subject_id"].to_pylist() == found.brand_ids.tolist()
    assert creators.table["subject_id"].to_pylist() == found.creator_ids.tolist()
    assert brands.lineage.score_kind is creators.lineage.score_kind is ScoreKind.VECTOR
    assert brands.lineage.notes[-1] == "A note."
    np.testing.assert_array_equal(vectors_of(creators.table), found.creators)
    scores = vectors_of(brands.table).astype(np.float64) @ vectors_of(creators.table).astype(np.float64).T
    best = np.argsort(-scores, axis=1)[:, :7]
    np.testing.assert_array_equal(found.shortlists.rows, best)
    np.testing.assert_allclose(found.shortlists.scores, np.take_along_axis(scores, best, axis=1), rtol=1e-12)
    assert json.loads((tmp_path / FACTS).read_text()) == facts
    sizes = [facts[name] for name in ("served", "brands", "creators", "dimension", "shortlist")]
    assert sizes == [mode, 5, 400, 8, 7]


def test_a_new_brand_is_served_from_the_files(tmp_path):
    pytest.importorskip("faiss", reason="the extra `retrieval` is not installed")
    facts = write_retrieval(tmp_path, made("ann"), LINEAGE)
    vectors = vectors_of(read_scores(tmp_path / CREATORS, name="embedding").table)
    brand = np.random.default_rng(1).normal(size=(1, 8))
    rows, scores = CreatorIndex.load(tmp_path / INDEX, vectors).search(brand, 3, probes=facts["lists"])
    expected_rows, expected_scores = top_k_exact(brand, vectors, 3)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(scores, expected_scores)


def test_an_index_of_other_vectors_does_not_stay(tmp_path):
    (tmp_path / INDEX).write_bytes(b"of an earlier run")
    write_retrieval(tmp_path, made("exact"), LINEAGE)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([BRANDS, CREATORS, FACTS])


def test_memory_mapped_halves_are_written_as_they_are(tmp_path):
    np.save(tmp_path / "vectors.npy", made("exact").creators.astype(np.float16))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    write_retrieval(tmp_path / "run", made("exact", mapped), LINEAGE)
    np.testing.assert_array_equal(vectors_of(read_scores(tmp_path / "run" / CREATORS, name="embedding").table), mapped)


def test_ids_that_do_not_fit_are_refused(tmp_path):
    ids = made("exact").creator_ids
    with pytest.raises(ScoreError, match="one vector per id is needed, got 399 ids"):
        write_retrieval(tmp_path, made("exact", creator_ids=ids[1:]), LINEAGE)
    ids[9] = ids[4]
    with pytest.raises(ScoreError, match=f"{CREATORS}: .* keys that an earlier row has already"):
        write_retrieval(tmp_path, made("exact", creator_ids=ids), LINEAGE)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_shortlists_are_the_score_table_and_enough_to_plan_from(request_of, tmp_path):
    settings = (*SCORED, "evaluation.uncertainty_samples=3", "evaluation.bootstrap_samples=0")
    train.run(*request_of(*settings))
    tables = {}
    for how in ((), ("retrieve=exact", "evaluation.shortlist=9")):
        request = request_of(*settings, *how, task="evaluate")
        evaluate.run(*request)
        tables[how] = read_scores(request[2] / "affinity.parquet", require_additive=True)
    full, short = tables.values()
    assert full.path.parent != short.path.parent
    assert any("the first 9 of" in note for note in short.lineage.notes)
    best = [row for row in full.table.to_pylist() if row["rank"] <= 9]
    listed = short.table.to_pylist()
    for name in ("brand_id", "creator_id", "rank"):
        assert [row[name] for row in listed] == [row[name] for row in best]
    np.testing.assert_allclose(short.table["score"], [row["score"] for row in best], rtol=1e-3)
    assert min(row["score_std"] for row in listed) > 0
    request = request_of(*settings, *how, "problem.budget=3000", task="optimize")
    optimize.run(*request)
    plan = pq.read_table(request[2] / "plan.parquet")
    brand = listed[0]["brand_id"]
    assert set(plan["creator_id"].to_pylist()) <= {row["creator_id"] for row in listed if row["brand_id"] == brand}
    assert "the first 9 of" in (request[2] / "report.html").read_text()
