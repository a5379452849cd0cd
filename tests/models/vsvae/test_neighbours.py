"""Neighbours in r-space against scikit-learn and counting by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from micromega.errors import MissingExtraError
from micromega.models.vsvae import neighbours
from micromega.models.vsvae.neighbours import focal_rows, hashtags, nearest, neighbourhood, same_hashtag


def clusters(posts=600, groups=12, spread=0.3, seed=0, size=8):
    random = np.random.default_rng(seed)
    group = random.integers(0, groups, posts)
    middles = 3 * random.standard_normal((groups, size))
    return (middles[group] + spread * random.standard_normal((posts, size))).astype(np.float32), group


def table(group, captions=None):
    posts = len(group)
    return pa.table(
        {
            "post_id": [f"p{row}" for row in range(posts)],
            "hashtag": pa.array([None if number < 0 else f"tag{number}" for number in group], pa.string()),
            "caption": captions or pa.nulls(posts, pa.string()),
            "media_path": pa.array([f"media/{row}.mp4" for row in range(posts)]),
        }
    )


def check(vectors, asked, k, **options):
    found = nearest(vectors, asked, k, **options)
    reference = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(vectors.astype(np.float64))
    distances, rows = reference.kneighbors(vectors[asked].astype(np.float64))
    np.testing.assert_allclose(found.distances, distances[:, 1:], rtol=1e-6)
    np.testing.assert_array_equal(found.rows, rows[:, 1:])
    return found


@pytest.mark.parametrize("shift", [0.0, 1_000.0])
def test_neighbours_are_the_exact_ones(shift):
    vectors = np.random.default_rng(0).standard_normal((800, 16)).astype(np.float32) + np.float32(shift)
    assert check(vectors, np.arange(0, 800, 3), 5).search == "every post compared"


def test_vectors_of_very_different_lengths():
    random = np.random.default_rng(1)
    vectors = random.standard_normal((500, 4)) * np.exp(2 * random.standard_normal((500, 1)))
    check(vectors, np.arange(500), 3)


def test_an_index_finds_them_too():
    vectors, _ = clusters(posts=5_000, spread=0.5)
    found = nearest(vectors, np.arange(500), 3, index_from=1)
    exact = nearest(vectors, np.arange(500), 3)
    assert "lists read" in found.search
    assert (found.rows[:, :, None] == exact.rows[:, None, :]).any(axis=2).mean() > 0.98


def test_without_faiss_every_post_is_compared(monkeypatch):
    def missing(*_, **__):
        raise MissingExtraError("no")

    monkeypatch.setattr(neighbours.CreatorIndex, "build", missing)
    vectors, _ = clusters()
    assert check(vectors, np.arange(50), 3, index_from=1).search == "every post compared (FAISS is not installed)"


def test_an_index_that_misses_too_many_is_not_used():
    vectors = np.random.default_rng(0).standard_normal((20_000, 48)).astype(np.float32)
    found = nearest(vectors, np.arange(100), 3, index_from=1)
    assert "an index would find 0." in found.search
    np.testing.assert_array_equal(found.rows, nearest(vectors, np.arange(100), 3).rows)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=30), st.integers(1, 4))
def test_ties_and_twins(points, k):
    vectors = np.array(points, dtype=np.float64)
    found = nearest(vectors, np.arange(len(vectors)), k)
    assert found.rows.shape == (len(vectors), min(k, len(vectors) - 1))
    for row, (rows, distances) in enumerate(zip(found.rows, found.distances, strict=True)):
        true = np.linalg.norm(vectors - vectors[row], axis=1)
        assert row not in rows
        assert len(set(rows)) == len(rows)
        np.testing.assert_allclose(distances, true[rows])
        np.testing.assert_allclose(distances, np.sort(np.delete(true, row))[: len(rows)])


def test_neighbours_among_some_posts_only():
    vectors, group = clusters(posts=300)
    among = np.random.default_rng(2).permutation(300)[:120]
    asked = among[:20]
    found = nearest(vectors, asked, 4, among_N=among)
    inside = np.sort(among)
    local = nearest(vectors[inside], np.searchsorted(inside, asked), 4)
    np.testing.assert_array_equal(found.rows, inside[local.rows])
    shown = neighbourhood(vectors, posts=table(group), held_out=asked, k=4, focal_posts=1, most=99, among=among)
    assert shown.candidates == 120
    same = [np.mean(group[inside] == group[row]) * 120 - 1 for row in asked]
    assert shown.same_hashtag_by_chance == pytest.approx(np.mean(same) / 119)


def test_one_post_has_no_neighbours():
    assert nearest(np.ones((1, 3)), np.array([0]), 3).rows.shape == (1, 0)


def test_shares_by_hand():
    hashtag = np.array([0, 0, 0, 1, 1, -1])
    rows = np.array([[1, 3], [4, 5]])
    share, chance = same_hashtag(rows, np.array([0, 3]), hashtag)
    assert share == pytest.approx((1 + 1) / 4)
    assert chance == pytest.approx((2 / 5 + 1 / 5) / 2)


def test_posts_without_a_hashtag_never_match():
    share, _ = same_hashtag(np.array([[1]]), np.array([0]), np.array([0, -1, 0]))
    assert share == 0


def test_chance_is_what_random_neighbours_give():
    random = np.random.default_rng(0)
    hashtag = random.integers(-1, 5, 400)
    asked = np.flatnonzero(hashtag >= 0)
    rows = (asked[:, None] + random.integers(1, 400, (len(asked), 50))) % 400
    share, chance = same_hashtag(rows, asked, hashtag)
    assert share == pytest.approx(chance, abs=0.01)


def test_focal_posts_are_of_different_hashtags_and_held_out():
    hashtag = np.array([0] * 90 + [1] * 5 + [2] * 5 + [-1] * 20)
    held_out = np.arange(0, 120, 2)
    drawn = focal_rows(held_out, hashtag, 3, seed=1)
    assert set(hashtag[drawn]) == {0, 1, 2}
    assert set(drawn) <= set(held_out)
    assert len(focal_rows(held_out, hashtag, 9)) == 3
    assert set(np.concatenate([focal_rows(held_out, hashtag, 1, seed=seed) for seed in range(30)])) & {90, 92, 94}


def test_the_neighbourhood_of_clusters_is_its_own_hashtag():
    vectors, group = clusters()
    noise = np.random.default_rng(1).standard_normal(vectors.shape)
    found = neighbourhood(
        vectors, posts=table(group), held_out=np.arange(100), k=3, focal_posts=2, most=80, pca_MD=noise, seed=3
    )
    assert (found.posts, found.k, found.candidates) == (80, 3, 600)
    assert found.same_hashtag > 0.99
    assert found.by_pca == pytest.approx(found.same_hashtag_by_chance, abs=0.08)
    one, other = found.focal
    assert one.hashtag != other.hashtag
    assert [near.hashtag for near in one.neighbours] == [one.hashtag] * 3
    row = int(one.post_id[1:])
    reference = np.sort(np.linalg.norm(vectors.astype(np.float64) - vectors[row].astype(np.float64), axis=1))[1:4]
    np.testing.assert_allclose([near.distance for near in one.neighbours], reference, rtol=1e-5)
    assert one.media_path == f"media/{row}.mp4"
    assert one.caption == ""


def test_posts_without_hashtags_are_not_asked_about():
    vectors, group = clusters(posts=60)
    group[:30] = -1
    found = neighbourhood(vectors, posts=table(group), held_out=np.arange(40), k=2, focal_posts=1, most=99)
    assert found.posts == 10


def test_a_market_without_hashtags_still_shows_neighbours():
    vectors, group = clusters(posts=60)
    found = neighbourhood(
        vectors, posts=table(np.full(60, -1)), held_out=np.arange(40), k=2, focal_posts=3, most=9, pca_MD=vectors
    )
    assert math.isnan(found.same_hashtag)
    assert found.by_pca is None
    assert len(found.focal) == 3
    assert group[int(found.focal[0].post_id[1:])] == group[int(found.focal[0].neighbours[0].post_id[1:])]


def test_the_first_hashtag_stands_in_where_none_is_listed():
    posts = pa.table(
        {
            "hashtag": pa.nulls(4, pa.string()),
            "hashtags": pa.array([["a", "b"], [], None, ["c"]], pa.list_(pa.string())),
        }
    )
    assert hashtags(posts).to_pylist() == ["a", "", "", "c"]
    listed = posts.set_column(0, "hashtag", pa.array(["x", None, None, "y"]))
    assert hashtags(listed).to_pylist() == ["x", "", "", "y"]
