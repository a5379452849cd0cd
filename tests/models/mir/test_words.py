"""Shares of words, counted one by one."""

from collections import Counter

import numpy as np
import pyarrow as pa
from scipy import sparse

from micromega.features.text import tokenise, word_hashes
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
