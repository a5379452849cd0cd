"""Captions to vectors."""

import gzip

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError, DataError
from micromega.features.text import WordVectors, hashed_vectors, load_word_vectors, text_features, tokenise


def words_of(captions):
    tokens = tokenise(pa.array(captions))
    words = tokens.words.to_pylist()
    return [[words[w] for w in tokens.word[tokens.text == text]] for text in range(tokens.texts)]


def test_mentions_addresses_and_punctuation_go_and_hashtags_stay_as_words():
    captions = [
        "Love my @0a1b2c3d4e5f bag! #ootd http://x.y/z?a=1 <email>",
        None,
        "",
        "Café, don't—STOP 💄 @some.brand_x",
    ]
    assert words_of(captions) == [["love", "my", "bag", "ootd"], [], [], ["café", "don't", "stop"]]


def test_text_is_the_mean_of_known_words_and_the_table_mean_where_none_is_known():
    table = WordVectors(words=pa.array(["red", "bag"]), vectors=np.array([[1.0, 0.0], [0.0, 3.0]], np.float32))
    found = text_features(tokenise(pa.array(["red red bag", "unknown", "bag zzz"])), table, hashed=0)
    np.testing.assert_allclose(found, [[2 / 3, 1.0], [0.5, 1.5], [0.0, 3.0]])


def test_hashed_vectors_are_fixed_unit_signs_and_nearly_orthogonal():
    words = pa.array([f"word{i}" for i in range(200)])
    vectors = hashed_vectors(words, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(vectors[7], hashed_vectors(pa.array(["word7"]), 512)[0])
    cosines = (vectors @ vectors.T)[np.triu_indices(200, 1)]
    assert abs(cosines.mean()) < 0.005
    assert cosines.std() == pytest.approx(1 / np.sqrt(512), rel=0.1)  # what independent signs give


def signs_in_plain_python(word, dimension):
    """FNV-1a, then splitmix64, bit by bit, as their authors publish them."""
    mask = 2**64 - 1
    state = 0xCBF29CE484222325
    for byte in word.encode():
        state = ((state ^ byte) * 0x100000001B3) & mask
    signs = []
    while len(signs) < dimension:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        signs += [1 if z >> bit & 1 else -1 for bit in range(64)]
    return signs[:dimension]


@pytest.mark.parametrize("word", ["a", "café", "お茶", "averyveryverylongword" * 5])
def test_hashed_vectors_are_the_published_hashes(word):
    # A checkpoint trained on hashed captions must score them alike on every machine and for ever.
    found = hashed_vectors(pa.array([word, "other"]), 100)[0] * np.sqrt(100)
    np.testing.assert_allclose(found, signs_in_plain_python(word, 100), rtol=1e-6)


def test_both_parts_stand_side_by_side_and_none_is_an_error():
    tokens = tokenise(pa.array(["red", ""]))
    table = WordVectors(words=pa.array(["red"]), vectors=np.ones((1, 3), np.float32))
    both = text_features(tokens, table, hashed=8)
    assert both.shape == (2, 11)
    np.testing.assert_array_equal(both[1, 3:], 0)
    with pytest.raises(ConfigError, match="hashed_size"):
        text_features(tokens, None, hashed=0)


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz"])
def test_glove_text_format_is_read_plain_and_gzipped(tmp_path, name):
    text = 'the 0.5 -1e-3\n" 1 2\n, 3 4\n'
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    table = load_word_vectors(path)
    assert table.words.to_pylist() == ["the", '"', ","]
    np.testing.assert_allclose(table.vectors, [[0.5, -0.001], [1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a 1 2\nb 1\n", "GloVe"), (b"a 1 x\nb 1 y\n", "GloVe"), (b"a 1 nan\n", "line 1"), (b"", "GloVe")],
)
def test_a_broken_vector_file_is_named(tmp_path, content, message):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load_word_vectors(path)
    assert "vectors.txt" in str(error.value)


def test_a_truncated_gzip_file_is_named(tmp_path):
    path = tmp_path / "vectors.txt.gz"
    path.write_bytes(gzip.compress(b"a 1 2\n" * 1000)[:30])
    with pytest.raises(DataError, match="vectors"):
        load_word_vectors(path)


def test_a_missing_vector_file_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="word_vectors"):
        load_word_vectors(tmp_path / "none.txt")


@pytest.mark.realdata
def test_real_glove_knows_that_king_minus_man_plus_woman_is_queen(public_data):
    table = load_word_vectors(public_data / "glove-6b-50d-subset" / "glove.6B.50d.top9163.txt.gz")
    assert table.vectors.shape == (9163, 50)
    row = {word: i for i, word in enumerate(table.words.to_pylist())}
    wanted = table.vectors[row["king"]] - table.vectors[row["man"]] + table.vectors[row["woman"]]
    cosine = table.vectors @ wanted / np.linalg.norm(table.vectors, axis=1)
    cosine[[row["king"], row["man"], row["woman"]]] = -1
    assert table.words[int(cosine.argmax())].as_py() == "queen"
