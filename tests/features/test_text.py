"""Captions to vectors."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import ConfigError, DataError
from micromega.features import sequences
from micromega.features.text import hashed_vectors, text_features, tokenise
from micromega.features.word_vectors import WordVectors, load_word_vectors
from micromega.market.arrays import open_array


def words_of(captions, *names):
    tokens = tokenise(pa.array(captions, pa.string()) if isinstance(captions, list) else captions, *names)
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


def test_hashtags_of_names_go_whatever_their_case_and_signs():
    captions = pa.chunked_array(
        [
            ["Love #Nike and #NIKE_x, #calvin_klein! nike#nike", None, "nike first #a", "", "#nike"],
            [],
            ["＃Nike's #nikes ##nike https://a.b/#nike x #", "no tag #café_noir"],
        ],
        pa.string(),
    )
    names = pa.array(["nike", "Calvin.Klein", None, "Café Noir", ".."])
    left = ["love", "and", "nike", "x", "nike"], [], ["nike", "first", "a"], [], [], ["'s", "nikes", "x"], ["no", "tag"]
    assert words_of(captions, names) == list(left)
    assert words_of(captions.slice(2, 4), names) == list(left[2:6])
    assert words_of(captions.chunk(0).slice(2), names) == list(left[2:5])
    assert words_of(captions)[0] == ["love", "nike", "and", "nike", "x", "calvin", "klein", "nike", "nike"]
    assert words_of([], names) == []


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("#＃ab_. @\n", max_size=12), max_size=5))
def test_names_that_nobody_tags_change_nothing(texts):
    captions = pa.array(texts, pa.string())
    assert words_of(captions, pa.array(["c", "aaaabbbbaaaab"])) == words_of(captions)


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


@pytest.mark.realdata
def test_real_glove_knows_that_king_minus_man_plus_woman_is_queen(public_data):
    table = load_word_vectors(public_data / "glove-6b-50d-subset" / "glove.6B.50d.top9163.txt.gz")
    assert table.vectors.shape == (9163, 50)
    row = {word: i for i, word in enumerate(table.words.to_pylist())}
    wanted = table.vectors[row["king"]] - table.vectors[row["man"]] + table.vectors[row["woman"]]
    cosine = table.vectors @ wanted / np.linalg.norm(table.vectors, axis=1)
    cosine[[row["king"], row["man"], row["woman"]]] = -1
    assert table.words[int(cosine.argmax())].as_py() == "queen"


# Sequences: text_caption, text_sticker, text_speech and their vocabulary.

POSTS = {
    "post_id": ["a", "b", "c", "d"],
    "caption": ["Red bag! #red", None, "💄", "bag bag the red"],
    "sticker_text": ["SALE red", None, None, "  "],
    "speech_text": pa.nulls(4, pa.string()),
}


def test_words_are_counted_over_all_columns_by_falling_count(monkeypatch):
    monkeypatch.setattr(sequences, "_ROWS", 3)
    columns = [pa.chunked_array([POSTS[name]], pa.string()) for name in ("caption", "sticker_text")]
    words, counts = sequences.count_words(columns)
    assert dict(zip(words.to_pylist(), counts.tolist(), strict=True)) == {"red": 4, "bag": 3, "sale": 1, "the": 1}
    assert words.to_pylist() == ["red", "bag", "sale", "the"]  # ties by alphabet


def test_texts_become_word_ids_and_what_is_missing_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(sequences, "_ROWS", 3)
    table = WordVectors(words=pa.array(["red", "sale"]), vectors=np.array([[1, 2], [3, 6]], np.float32))
    words = sequences.vocabulary(pa.array(["red", "bag", "sale"]), table, size=0)
    assert words.words.to_pylist() == ["<unk>", "red", "bag", "sale"]
    np.testing.assert_allclose(words.vectors, [[2, 4], [1, 2], [2, 4], [3, 6]])
    rows = sequences.write_texts(pa.table(POSTS), words, tmp_path, longest=3, source="test")
    assert rows == {"text_caption": 2, "text_sticker": 1, "vocabulary": 4}
    caption = open_array(tmp_path, "text_caption")
    assert caption.ids.to_pylist() == ["a", "d"]
    assert caption.lengths.tolist() == [3, 3]
    assert caption.take(np.array([0, 1])).tolist() == [1, 2, 1, 2, 2, 0]
    vectors = open_array(tmp_path, "vocabulary")
    assert (vectors.key, vectors.ids.to_pylist()) == ("word", words.words.to_pylist())
    np.testing.assert_array_equal(vectors.take(np.arange(4)), words.vectors)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.none() | st.text(max_size=60), max_size=12), longest=st.integers(1, 6))
def test_sequences_are_the_tokens_of_a_loop(texts, longest):
    known = ["<unk>", "a", "b", "0"]
    ids, lengths = sequences.word_ids(pa.array(texts, pa.string()), pa.array(known), longest)
    words = words_of(texts) if texts else []
    expected = [[known.index(word) if word in known else 0 for word in one[:longest]] for one in words]
    assert lengths.tolist() == [len(one) for one in expected]
    assert ids.tolist() == [i for one in expected for i in one]


def test_hashed_vocabulary_and_a_market_without_text(tmp_path):
    words = sequences.vocabulary(pa.array(["red", "bag"]), None, size=8)
    np.testing.assert_array_equal(words.vectors[0], 0)
    np.testing.assert_array_equal(words.vectors[1:], hashed_vectors(pa.array(["red", "bag"]), 8))
    empty = dict.fromkeys(("caption", "sticker_text", "speech_text"), POSTS["speech_text"])
    with pytest.raises(DataError, match="all empty"):
        sequences.write_texts(pa.table(POSTS | empty), words, tmp_path, longest=3, source="test")
    assert not list(tmp_path.iterdir())


def test_a_file_pasted_into_a_caption_is_cut(tmp_path):
    caption = pa.chunked_array([["long " * 2_000_000]])
    words, counts = sequences.count_words([caption])
    assert words.to_pylist() == ["long"]
    assert counts[0] <= 4000
