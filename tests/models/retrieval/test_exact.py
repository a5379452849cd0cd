"""Exact top-k: against a full sort in float64, whatever the block, the type and the ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import DataError
from micromega.models.retrieval.exact import rescore, top_k_exact


def sorted_whole(queries, creators, k):
    """Sort all scores, each summed with math.fsum's accuracy by numpy's longdouble; ties by row."""
    scores = np.asarray(queries, np.longdouble) @ np.asarray(creators, np.longdouble).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1).astype(np.float64)


@pytest.mark.parametrize("block", [1, 3, 7, 64, 1000])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equals_a_full_sort(block, dtype):
    rng = np.random.default_rng(0)
    creators, queries = rng.normal(size=(300, 8)).astype(dtype), rng.normal(size=(5, 8)).astype(dtype)
    rows, scores = top_k_exact(queries, creators, 7, block=block)
    expected_rows, expected_scores = sorted_whole(queries, creators, 7)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    creators=st.integers(1, 40),
    k=st.integers(1, 50),
    block=st.integers(1, 45),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e9]),
)
def test_ties_go_to_the_lower_row(seed, creators, k, block, scale):
    rng = np.random.default_rng(seed)
    vectors = (rng.integers(-1, 2, (creators, 3)) * scale).astype(np.float32)  # few distinct scores
    queries = rng.integers(-1, 2, (4, 3)).astype(np.float32)
    rows, scores = top_k_exact(queries, vectors, k, block=block)
    expected_rows, expected_scores = sorted_whole(queries, vectors, k)
    assert rows.shape == (4, min(k, creators))
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-12)


def test_differences_that_float32_cannot_see_still_decide():
    creators = np.array([[1.0, 0.0], [1.0, 1e-9], [1.0, 2e-9], [1.0, -1e-9]])
    rows, _ = top_k_exact(np.array([[1.0, 1.0]]), creators, 4)
    assert rows.tolist() == [[2, 1, 0, 3]]
    assert top_k_exact(np.array([[1.0, 1.0]]), creators, 1, block=1)[0].tolist() == [[2]]


def test_many_queries_go_in_parts(monkeypatch):
    monkeypatch.setattr("micromega.models.retrieval.exact.QUERIES", 3)
    monkeypatch.setattr("micromega.models.retrieval.exact.PAIRS", 16)
    rng = np.random.default_rng(1)
    creators, queries = rng.integers(0, 3, (50, 4)).astype(np.float32), rng.normal(size=(10, 4)).astype(np.float32)
    rows, _ = top_k_exact(queries, creators, 6, block=11)
    np.testing.assert_array_equal(rows, sorted_whole(queries, creators, 6)[0])


def test_reads_a_memory_mapped_file_in_blocks(tmp_path):
    rng = np.random.default_rng(2)
    creators, queries = rng.normal(size=(1000, 4)).astype(np.float16), rng.normal(size=(3, 4)).astype(np.float32)
    np.save(tmp_path / "creators.npy", creators)

    class Counted:
        """Stands for a file too large for memory: notes the largest part that was asked for."""

        mapped, largest = np.load(tmp_path / "creators.npy", mmap_mode="r"), 0
        shape, dtype = mapped.shape, mapped.dtype

        def __len__(self):
            return len(self.mapped)

        def __getitem__(self, rows):
            Counted.largest = max(Counted.largest, len(self.mapped[rows]))
            return self.mapped[rows]

    rows, scores = top_k_exact(queries, Counted(), 5, block=64)
    expected_rows, expected_scores = sorted_whole(queries, creators, 5)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-12)
    assert Counted.largest == 64


def test_rescored_candidates_have_the_scores_of_the_exact_search():
    rng = np.random.default_rng(3)
    creators, queries = rng.normal(size=(200, 8)).astype(np.float32), rng.normal(size=(4, 8)).astype(np.float32)
    rows, scores = top_k_exact(queries, creators, 10)
    shuffled = np.concatenate([rows[:, ::-1], np.full((4, 2), -1)], axis=1)
    again, again_scores = rescore(queries, creators, shuffled, 12)
    np.testing.assert_array_equal(again[:, :10], rows)
    np.testing.assert_array_equal(again_scores[:, :10], scores)  # to the last bit
    assert (again[:, 10:] == -1).all()
    assert np.isneginf(again_scores[:, 10:]).all()


@pytest.mark.parametrize(
    ("queries", "creators", "k", "message"),
    [
        (np.ones((2, 3)), np.ones((4, 2)), 1, r"queries \(2, 3\), creators \(4, 2\)"),
        (np.ones(3), np.ones((4, 3)), 1, "rows of one length"),
        (np.ones((2, 3)), np.ones((0, 3)), 1, "nothing to search"),
        (np.ones((2, 3)), np.ones((4, 3)), 0, "k must be at least 1, got 0"),
        (np.array([[1.0, np.nan]]), np.ones((4, 2)), 1, r"1 queries .* \(first row 0\)"),
        (np.ones((1, 2)), np.array([[1.0, 1], [1, 1], [1, 1], [np.inf, 1]]), 1, r"1 creators .* \(first row 3\)"),
        (np.ones((1, 2)), np.array([[1.0, 1], [1e300, 1], [1, 1], [1, -1e16]]), 1, r"1 creators .* \(first row 1\)"),
    ],
)
def test_what_cannot_be_searched_is_named(queries, creators, k, message):
    with pytest.raises(DataError, match=message):
        top_k_exact(queries, creators, k, block=2)
