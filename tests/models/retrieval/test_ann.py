"""The index: claims of recall against brute force, exact scores, the same twice, back from disk, honest when weak."""

import builtins
import logging

import numpy as np
import pytest

from micromega.errors import DataError, MissingExtraError
from micromega.files import WriteError
from micromega.models.retrieval import CreatorIndex, shortlist
from micromega.models.retrieval.shortlists import recall

pytest.importorskip("faiss", reason="the extra `retrieval` is not installed")


def clustered(creators, brands, *, dimension=16, centres=50, seed=0, lengths=0.0):
    """Vectors around common centres, of different lengths if asked for."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(centres, dimension))
    vectors = centre[rng.integers(0, centres, creators + brands)] + 0.3 * rng.normal(
        size=(creators + brands, dimension)
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors *= np.exp(lengths * rng.normal(size=(creators + brands, 1)))
    return vectors[:brands].astype(np.float32), vectors[brands:].astype(np.float32)


def without_structure(creators, brands, *, dimension=64, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(creators + brands, dimension)).astype(np.float32)
    return vectors[:brands], vectors[brands:]


def truth(queries, creators, k):
    return np.argsort(-(queries.astype(np.float64) @ creators.astype(np.float64).T), axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("lengths", [0.0, 0.5])
def test_the_stated_recall_is_the_recall(lengths):
    queries, creators = clustered(20_000, 60, lengths=lengths)
    found = shortlist(queries, creators, 20, mode="ann")
    assert (found.facts.asked, found.facts.served, found.facts.warning) == ("ann", "ann", None)
    expected = truth(queries, creators, 10)
    hits = [
        len(set(mine) & set(best)) / 10
        for mine, best in zip(found.rows[:, :10].tolist(), expected.tolist(), strict=True)
    ]
    assert found.facts.recall_at_10 == pytest.approx(np.mean(hits))
    assert found.facts.recall_at_10 >= 0.99
    assert (found.facts.recall_brands, found.facts.recall_standard_error) == (60, 0)
    assert found.facts.probes < found.facts.lists == 141
    assert found.facts.library.startswith("faiss ")


def test_scores_and_order_are_exact():
    queries, creators = clustered(5_000, 40)
    found = shortlist(queries, creators, 30, mode="ann")
    scores = np.take_along_axis(queries.astype(np.float64) @ creators.astype(np.float64).T, found.rows, axis=1)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-12)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    assert all(len(set(row)) == 30 for row in found.rows.tolist())


def test_recall_on_a_sample_leaves_room_for_chance(monkeypatch):
    monkeypatch.setattr("micromega.models.retrieval.shortlists.MEASURED", 50)
    queries, creators = clustered(20_000, 400)
    facts = shortlist(queries, creators, 10, mode="ann").facts
    assert (facts.brands, facts.recall_brands) == (400, 50)
    assert facts.recall_at_10 - 2 * facts.recall_standard_error >= 0.99


def test_effort_rises_until_recall_is_enough():
    queries, creators = clustered(30_000, 50, centres=3000)
    index = CreatorIndex.build(creators)
    few = recall(index.search(queries, 10, probes=8)[0], truth(queries, creators, 10)).mean()
    assert few < 0.99
    facts = shortlist(queries, creators, 10, mode="ann").facts
    assert facts.served == "ann"
    assert facts.probes > 8
    assert facts.recall_at_10 >= 0.99


def test_vectors_without_clusters_are_answered_exactly_with_a_warning(caplog):
    queries, creators = without_structure(20_000, 30)
    with caplog.at_level(logging.WARNING):
        found = shortlist(queries, creators, 10, mode="ann")
    assert (found.facts.asked, found.facts.served, found.index) == ("ann", "exact", None)
    assert "reading 35 of 141 lists" in caplog.text
    assert found.facts.warning in caplog.text
    np.testing.assert_array_equal(found.rows, truth(queries, creators, 10))


@pytest.mark.parametrize("creators", [1, 2, 9, 40, 300])
def test_few_creators_are_all_found(creators):
    queries, vectors = without_structure(creators, 6, dimension=4)
    found = shortlist(queries, vectors, 12, mode="ann")
    assert found.facts.served == "ann"
    np.testing.assert_array_equal(found.rows, truth(queries, vectors, 12))


def test_queries_whose_lists_hold_too_few_are_answered_from_all_creators():
    queries, creators = without_structure(400, 10, dimension=4)
    rows, _ = CreatorIndex.build(creators).search(queries, 200, probes=1)
    np.testing.assert_array_equal(rows, truth(queries, creators, 200))


def test_the_same_seed_gives_the_same_index(tmp_path):
    _, creators = clustered(3_000, 1)
    for name, seed in (("a", 0), ("b", 0), ("c", 2**32 - 1)):
        CreatorIndex.build(creators, seed=seed).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_blocks_and_memory_maps_change_nothing(tmp_path):
    queries, creators = clustered(3_000, 20)
    np.save(tmp_path / "creators.npy", creators)
    whole = CreatorIndex.build(creators).search(queries, 10, probes=4)
    mapped = np.load(tmp_path / "creators.npy", mmap_mode="r")
    parts = CreatorIndex.build(mapped, block=257).search(queries, 10, probes=4)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])


def test_an_index_comes_back_from_disk(tmp_path):
    queries, creators = clustered(3_000, 20)
    index = CreatorIndex.build(creators)
    index.save(tmp_path / "creators.faiss")
    loaded = CreatorIndex.load(tmp_path / "creators.faiss", creators)
    for mine, theirs in zip(index.search(queries, 10, probes=3), loaded.search(queries, 10, probes=3), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [path.name for path in tmp_path.iterdir()] == ["creators.faiss"]


def test_an_index_that_cannot_be_used_is_refused(tmp_path):
    _, creators = clustered(3_000, 1)
    path = tmp_path / "creators.faiss"
    with pytest.raises(DataError, match="no such file"):
        CreatorIndex.load(path, creators)
    CreatorIndex.build(creators).save(path)
    with pytest.raises(DataError, match=r"3,000 vectors of length 16, not these \(2999, 16\)"):
        CreatorIndex.load(path, creators[:-1])
    whole = path.read_bytes()
    flipped = [bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]]) for at in (5, len(whole) // 2, len(whole) - 1)]
    for damaged in (b"", b"text", whole[: len(whole) // 2], *flipped):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged or no index of ours"):
            CreatorIndex.load(path, creators)


def test_a_full_disk_leaves_the_old_index(tmp_path, monkeypatch):
    _, creators = clustered(500, 1)
    path = tmp_path / "creators.faiss"
    CreatorIndex.build(creators).save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("micromega.files.os.fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        CreatorIndex.build(creators, seed=1).save(path)
    assert path.read_bytes() == before


def test_vectors_that_cannot_be_indexed_are_named():
    creators = np.ones((100, 4), np.float32)
    creators[63, 2] = np.nan
    with pytest.raises(DataError, match=r"not finite .* \(first row 63\)"):
        CreatorIndex.build(creators)
    with pytest.raises(DataError, match="no brands"):
        shortlist(np.ones((0, 4), np.float32), np.ones((5, 4), np.float32), 3, mode="ann")


def test_without_the_library_the_message_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "faiss":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"micromega\[retrieval\]"):
        CreatorIndex.build(np.ones((5, 2), np.float32))
