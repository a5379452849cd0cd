"""Shares of words, counted one by one."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from mir_markets import hand_made
from scipy import sparse

from micromega.features.text import tokenise, word_hashes
from micromega.models.mir.build import build_accounts
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.single_posts import single_posts
from micromega.models.mir.words import word_shares

CAPTIONS = ["Red shoes, red hat", "shoes @brand", "", "a hat for you", None]
MEMBERS = sparse.csr_matrix(np.array([[1, 1, 0, 0, 0], [0, 0, 1, 0, 1], [1, 0, 0, 1, 0], [1, 1, 1, 1, 1]], np.float32))


def bucket(word, buckets):
    return int(word_hashes(pa.array([word]))[0] % np.uint64(buckets))


def test_shares_are_counted_over_all_posts_of_a_view():
    found = word_shares(tokenise(pa.array(CAPTIONS)), MEMBERS, 97)
    texts = [["red", "shoes", "red", "hat"], ["shoes"], [], ["a", "hat", "for", "you"], []]
    for view, row in enumerate(MEMBERS.toarray()):
        words = [word for post, inside in enumerate(row) if inside for word in texts[post]]
        expected = np.zeros(97)
        for word, count in Counter(words).items():
            expected[bucket(word, 97)] += count / len(words)
        np.testing.assert_allclose(found[view], np.sqrt(expected), rtol=1e-5)


def test_rows_have_length_one_or_are_zero():
    found = word_shares(tokenise(pa.array(CAPTIONS)), MEMBERS, 8192)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 0, 1, 1], rtol=1e-5)


def test_words_land_in_the_same_places_in_any_market():
    here = word_shares(tokenise(pa.array(["shoes hat"])), sparse.csr_matrix([[1.0]]), 512)
    there = word_shares(tokenise(pa.array(["zebra apple", "hat shoes"])), sparse.csr_matrix([[0.0, 1.0]]), 512)
    np.testing.assert_array_equal(here, there)


def tagged(tag):
    """Organic posts of c0, and one that mentions b0, with a tag; b0 and b1 have three partners each."""
    ads = [(f"c{n}", f"an ad {tag}", [brand]) for brand in ("b0", "b1", "b2") for n in range(4)]
    organic = [(f"c{n}", f"my day {n} {tag if n == 0 else ''}", []) for n in range(4) for _ in range(2)]
    market = hand_made([*ads, *organic])
    market.tables["accounts"] = market.tables["accounts"].set_column(4, "name", [["Big Shoes", *[None] * 6]])
    return market


SETTINGS = {"brand_posts": "mentions", "min_positives": 3, "list_length": 2, "hashed_size": 16, "word_buckets": 64}


@pytest.mark.parametrize("tag", ["#b0", "#B0!", "#big_shoes", "＃BigShoes #b1"])
def test_a_hashtag_that_names_a_brand_describes_nobody(tag, tmp_path):
    config = MIRDataConfig(**SETTINGS, modalities=("text", "words", "account"), keep_posts=True)
    found = []
    for place, market in (("tagged", tagged(tag)), ("plain", tagged(""))):
        market.path = tmp_path / place
        accounts = build_accounts(market, config)
        found.append({**accounts.features, **single_posts(market, accounts, config).features})
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name], err_msg=name)


def test_other_hashtags_are_words(tmp_path):
    config = MIRDataConfig(**SETTINGS, modalities=("words",))
    market, plain = tagged("#shoes"), tagged("")
    market.path, plain.path = tmp_path / "tagged", tmp_path / "plain"
    first = build_accounts(market, config)
    words = first.features["words"][first.creator_view]
    assert words[0, bucket("shoes", 64)] > 0
    np.testing.assert_array_equal(words[1:], build_accounts(plain, config).features["words"][first.creator_view][1:])
