"""Every post in one split, the shares in all and in each hashtag, and the same chance for all."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micromega.errors import DataError
from micromega.models.vsvae.splits import split_posts


def hashtags(sizes):
    names = [None if number == 0 else f"tag{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return pa.array(np.random.default_rng(1).permutation(np.array(names, object)).tolist(), pa.string())


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(lambda sizes: sum(sizes) >= 30),
    shares=st.sampled_from([(0.1, 0.1), (0.2, 0.05), (0.3, 0.3)]),
    seed=st.integers(0, 2**31),
)
def test_all_posts_once_and_shares_within_one_post_of_each_hashtag(sizes, shares, seed):
    column = hashtags(sizes)
    splits = split_posts(column, *shares, seed)
    posts = len(column)
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(posts))
    held, test = round(sum(shares) * posts), round(shares[1] * posts)
    assert len(splits["test"]) == test
    assert len(splits["validation"]) == held - test
    names = column.to_pylist()
    for tag in set(names):
        size = names.count(tag)
        count = {name: sum(names[row] == tag for row in rows) for name, rows in splits.items()}
        out = count["validation"] + count["test"]
        assert abs(out - size * held / posts) < 1 + 1e-9
        assert abs(count["test"] - out * test / held) < 1 + 1e-9


def test_paper_s_shares_hold_exactly_where_they_can():
    column = hashtags([20, 30, 50, 100])
    splits = split_posts(column, 0.1, 0.1, 3)
    for name, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        found = column.take(splits[name]).to_pylist()
        assert [found.count(tag) for tag in (None, "tag1", "tag2", "tag3")] == [
            share * size for size in (20, 30, 50, 100)
        ]


def test_posts_of_rare_hashtags_are_held_out_as_often_as_others():
    """Alone under a hashtag (remainder 0.2) or one of three (0.6): largest remainders would hold out the latter."""
    column = pa.array([f"alone{n}" for n in range(60)] + [f"three{n // 3}" for n in range(60)])
    seeds = 300
    held = np.zeros(120)
    tested = np.zeros(120)
    for seed in range(seeds):
        splits = split_posts(column, 0.1, 0.1, seed)
        held[splits["validation"]] += 1
        held[splits["test"]] += 1
        tested[splits["test"]] += 1
    for posts in (slice(0, 60), slice(60, 120)):
        assert held[posts].mean() / seeds == pytest.approx(0.2, abs=0.012)  # 0.2 / sqrt(60 · 300) · 4
        assert tested[posts].mean() / seeds == pytest.approx(0.1, abs=0.01)
    assert (held > 0).all()


def test_seed_decides():
    column = hashtags([30, 30])
    first, same, other = (split_posts(column, 0.1, 0.1, seed) for seed in (0, 0, 1))
    assert all((first[name] == same[name]).all() for name in first)
    assert (first["test"] != other["test"]).any()


def test_too_few_posts_are_an_error():
    with pytest.raises(DataError, match=r"4 posts are too few for a validation split.*Change the shares"):
        split_posts(pa.array(["a"] * 4), 0.05, 0.3, 0)
    with pytest.raises(DataError, match="train"):
        split_posts(pa.array(["a"] * 40), 0.5, 0.5, 0)
