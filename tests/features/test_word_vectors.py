"""Word vectors from files of every format, whole and in pieces; what is broken is named."""

import gzip
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import DataError
from micromega.features import word_vectors
from micromega.features.word_vectors import WordVectors, load_word_vectors, nearest_words

WORDS = ["the", '"', ",", "café", "New_York", "12"]
VECTORS = np.array([[0.5, -0.001, 3], [1, 2, 3], [3, 4, 5], [1e-30, 0, 7], [-1, -2, 8], [0.25, 1e6, 9]], np.float32)


def text(words=WORDS, vectors=VECTORS, header=False):
    lines = [f"{len(words)} {vectors.shape[1]}"] if header else []
    lines += [" ".join([word, *map(str, vector.tolist())]) for word, vector in zip(words, vectors, strict=True)]
    return ("\n".join(lines) + "\n").encode()


def binary(words=WORDS, vectors=VECTORS, newline=b"\n"):
    """As word2vec.c writes it: the word, a space, the floats one by one, a newline."""
    data = f"{len(words)} {vectors.shape[1]}\n".encode()
    for word, vector in zip(words, vectors, strict=True):
        data += word.encode() + b" " + struct.pack(f"<{len(vector)}f", *vector) + newline
    return data


FORMATS = {"glove": text(), "word2vec_text": text(header=True), "binary": binary(), "gensim": binary(newline=b"")}


@pytest.mark.parametrize("block", [40, 1 << 24])
@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_table(tmp_path, monkeypatch, form, gzipped, block):
    monkeypatch.setattr(word_vectors, "_BLOCK", max(block, 120) if form in ("glove", "word2vec_text") else block)
    path = tmp_path / ("v.gz" if gzipped else "v")
    path.write_bytes(gzip.compress(FORMATS[form]) if gzipped else FORMATS[form])
    table = load_word_vectors(path)
    assert table.words.to_pylist() == WORDS
    np.testing.assert_array_equal(table.vectors, VECTORS)
    some = load_word_vectors(path, only=pa.array(["12", "nowhere", "café"]))
    assert some.words.to_pylist() == ["café", "12"]
    np.testing.assert_array_equal(some.vectors, VECTORS[[3, 5]])


@settings(max_examples=30, deadline=None)
@given(
    words=st.lists(
        st.text(st.characters(exclude_characters=" \n\r", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30),
        min_size=1,
        max_size=20,
        unique=True,
    ),
    d=st.integers(1, 40),
    seed=st.integers(0, 99),
    block=st.integers(1, 300),
)
def test_binary_files_survive_any_words_and_block_boundaries(tmp_path_factory, words, d, seed, block):
    # Floats hold every byte, spaces and newlines among them.
    vectors = np.random.default_rng(seed).normal(size=(len(words), d)).astype(np.float32)
    path = tmp_path_factory.mktemp("w") / "v.bin"
    path.write_bytes(binary(words, vectors))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_vectors, "_BLOCK", block)
        table = load_word_vectors(path)
    assert table.words.to_pylist() == words
    np.testing.assert_array_equal(table.vectors, vectors)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a 1 2\nb 1 2\nc 1\n", "line 3 has 1 numbers, the first has 2"),
        (b"a 1 2\nb 1 y\n", "line 2 is no UTF-8 word followed by 2 numbers"),
        (b"a 1 2\n\xff\xfe 1 2\n", "line 2 is no UTF-8 word"),
        (b"2 2\na 1 2\nb 1\n", "line 3 has 1 numbers"),
        (b"a 1 2\nb nan 2\n", "line 2"),
        (b"a 1 2\nb 1 inf\n", "line 2"),
        (b"word\n", "GloVe"),
        (b"", "GloVe"),
        (binary()[:-10], "ends after 5 of 6 words"),
        (b"9 3\n" + bytes(20_000), "damaged after 0 words"),
        (b"9 3\n", "ends after 0 of 9"),
    ],
    ids=range(11),
)
def test_what_is_broken_is_named(tmp_path, content, message):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load_word_vectors(path)
    assert "vectors.txt" in str(error.value)


def test_whole_numbers_in_front_do_not_decide_for_those_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(word_vectors, "_BLOCK", 64)
    path = tmp_path / "v.txt"
    path.write_text("".join(f"w{i} {i} 2\n" for i in range(100)) + "last 0.5 1e-3\n")
    np.testing.assert_allclose(load_word_vectors(path).vectors[[7, 100]], [[7, 2], [0.5, 1e-3]])


def test_a_late_bad_line_is_named_by_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(word_vectors, "_BLOCK", 4096)
    lines = [f"word{i} {i}.5 2 3" for i in range(5000)]
    lines[4321] = "word4321 1 2"
    path = tmp_path / "v.txt"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match="line 4322 has 2 numbers, the first has 3"):
        load_word_vectors(path)


def test_truncated_gzip_missing_file_and_no_word_in_common(tmp_path):
    path = tmp_path / "v.gz"
    path.write_bytes(gzip.compress(b"a 1 2\n" * 1000)[:30])
    with pytest.raises(DataError, match=r"v\.gz"):
        load_word_vectors(path)
    with pytest.raises(DataError, match="no such word-vector file"):
        load_word_vectors(tmp_path / "none.txt")
    path.write_bytes(gzip.compress(text()))
    with pytest.raises(DataError, match="none of the words"):
        load_word_vectors(path, only=pa.array(["nowhere"]))


def test_words_with_spaces_and_repeated_words_are_left_out_and_counted(tmp_path, caplog):
    path = tmp_path / "v.txt"
    path.write_bytes(b"a 1 2\nat name@domain.com 3 4\nb 5 6\na 7 8\n")
    table = load_word_vectors(path)
    assert table.words.to_pylist() == ["a", "b"]
    np.testing.assert_array_equal(table.vectors, [[1, 2], [5, 6]])
    assert "1 lines whose word holds spaces are left out (rows 2" in caplog.text
    assert "1 words occur more than once" in caplog.text


def test_nearest_words_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    table = WordVectors(words=pa.array([f"w{i}" for i in range(50)]), vectors=rng.normal(size=(50, 8)).astype("f4"))
    query = rng.normal(size=8)
    cosine = [float(v @ query / np.linalg.norm(v) / np.linalg.norm(query)) for v in table.vectors]
    best = sorted(range(50), key=lambda i: -cosine[i])[:4]
    found = nearest_words(table, query, 4)
    assert [word for word, _ in found] == [f"w{i}" for i in best]
    np.testing.assert_allclose([value for _, value in found], [cosine[i] for i in best], rtol=1e-5)


@pytest.mark.realdata
def test_real_words_have_sensible_neighbours(public_data):
    table = load_word_vectors(public_data / "glove-6b-50d-subset" / "glove.6B.50d.top9163.txt.gz")
    row = {word: i for i, word in enumerate(table.words.to_pylist())}
    for word, near in {"december": "january", "guitar": "piano", "cooking": "food"}.items():
        names = [name for name, _ in nearest_words(table, table.vectors[row[word]], 15)]
        assert names[0] == word
        assert near in names
