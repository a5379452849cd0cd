"""The words of the training posts alone, the same numbers for the same words, and stores that are found again."""

import logging
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import DataError
from micromega.features.text import hashed_vectors
from micromega.files import WriteError
from micromega.market.arrays import open_array
from micromega.models.vsvae import vocabulary
from micromega.models.vsvae.config import VSVAEDataConfig
from micromega.models.vsvae.vocabulary import FOLDER, stored_texts, text_column, training_words, word_vectors

CAPTIONS = ["soup bread soup", "bread soup tea", None, "tea tea tea tea", "soup, #Soup! @bread", "milk"]
SPEECH = ["milk soup", None, "milk bread", "wine wine wine", "", "..."]
TRAIN = np.array([0, 1, 2, 4])
CONFIG = VSVAEDataConfig(min_count=1, max_words=100, max_length=3)


def counted(rows):
    texts = [text for column in (CAPTIONS, SPEECH) for row in rows if (text := column[row])]
    words = Counter(
        word.strip("#!,.").lower()
        for text in texts
        for word in text.split()
        if not word.startswith("@") and word != "..."
    )
    return sorted(words, key=lambda word: (-words[word], word)), words


def columns():
    return [pa.chunked_array([CAPTIONS[:2], CAPTIONS[2:]], pa.string()), pa.chunked_array([SPEECH], pa.string())]


@pytest.fixture
def market(make_market):
    return make_market({"caption": CAPTIONS, "speech_text": SPEECH})


def sequences(found, text, ids):
    array = open_array(found.folder, f"text_{text}")
    words = found.words.to_pylist()
    rows = array.rows_of(ids)
    return [[words[number] for number in array.take(np.array([row]))] if row >= 0 else [] for row in rows]


def test_words_of_training_posts_by_count(monkeypatch):
    monkeypatch.setattr(vocabulary, "_ROWS", 2)  # several blocks
    words, counts = counted(TRAIN)
    assert training_words(columns(), TRAIN, min_count=1, most=100).to_pylist() == words
    assert "wine" not in words
    frequent = [word for word in words if counts[word] >= 2]
    assert training_words(columns(), TRAIN, min_count=2, most=100).to_pylist() == frequent
    assert training_words(columns(), TRAIN, min_count=1, most=3).to_pylist() == words[:2]  # and <unk>


def test_no_frequent_word_is_an_error():
    with pytest.raises(DataError, match=r"data\.min_count=9.*Lower it"):
        training_words(columns(), TRAIN, min_count=9, most=100)


def test_texts_of_all_posts_in_words_of_the_training_posts(market):
    found = stored_texts(market, ["caption", "speech"], TRAIN, CONFIG)
    ids = market.table("posts")["post_id"]
    assert found.words[0].as_py() == "<unk>"
    unk = "<unk>"
    assert sequences(found, "caption", ids) == [
        ["soup", "bread", "soup"], ["bread", "soup", "tea"], [], ["tea"] * 3, ["soup", "soup"], ["milk"],
    ]  # fmt: skip
    assert sequences(found, "speech", ids) == [["milk", "soup"], [], ["milk", "bread"], [unk] * 3, [], []]
    assert not (found.folder / "text_sticker").exists()


def test_stored_once_for_the_same_posts_and_settings(market, monkeypatch, caplog):
    first = stored_texts(market, ["caption"], TRAIN, CONFIG)
    monkeypatch.setattr(vocabulary, "training_words", None)
    with caplog.at_level(logging.INFO):
        again = stored_texts(market, ["caption"], TRAIN, CONFIG)
    assert "stored ones" in caplog.text
    assert again.folder == first.folder
    assert again.words.equals(first.words)
    monkeypatch.undo()
    monkeypatch.setattr(vocabulary, "write_texts", None)
    same = stored_texts(market, ["caption"], TRAIN[:-1], CONFIG, words=first.words.to_pylist())
    assert same.folder == first.folder  # a checkpoint's words were numbered in training
    monkeypatch.undo()
    others = [
        stored_texts(market, *arguments)
        for arguments in (
            (["caption", "speech"], TRAIN, CONFIG),
            (["caption"], TRAIN[1:], CONFIG),
            (["caption"], TRAIN, VSVAEDataConfig(min_count=2, max_words=100, max_length=3)),
            (["caption"], TRAIN, VSVAEDataConfig(min_count=1, max_words=3, max_length=3)),
            (["caption"], TRAIN, VSVAEDataConfig(min_count=1, max_words=100, max_length=2)),
        )
    ]
    assert [len(other.words) for other in others] == [5, 4, 3, 3, 4]
    assert len({other.folder for other in [first, *others]}) == 4  # two pairs came to the same words
    assert not any(path.name.startswith(".") for path in (market.path / FOLDER).iterdir())


def test_another_split_counts_again(market):
    first = stored_texts(market, ["caption"], TRAIN, CONFIG)
    second = stored_texts(market, ["caption"], np.array([0, 1, 5]), CONFIG)
    assert "milk" not in first.words.to_pylist()
    assert "milk" in second.words.to_pylist()


def test_damaged_store_is_made_again(market, caplog):
    first = stored_texts(market, ["caption"], TRAIN, CONFIG)
    (first.folder / "text_caption" / "values.npy").write_bytes(b"\x93NUMPY")
    again = stored_texts(market, ["caption"], TRAIN, CONFIG)
    assert "damaged" in caplog.text
    assert len(sequences(again, "caption", ["p0"])[0]) == 3


def test_words_of_a_checkpoint(market):
    given = ("<unk>", "wine", "tea", "soup")
    found = stored_texts(market, ["caption", "speech"], TRAIN, CONFIG, words=given)
    assert tuple(found.words.to_pylist()) == given
    assert sequences(found, "speech", ["p0", "p3"]) == [["<unk>", "soup"], ["wine"] * 3]
    assert open_array(found.folder, "text_caption").take(np.array([0])).tolist() == [3, 0, 3]
    turned = stored_texts(market, ["caption"], TRAIN, CONFIG, words=("<unk>", "soup", "tea", "wine"))
    assert open_array(turned.folder, "text_caption").take(np.array([0])).tolist() == [1, 0, 1]


def test_market_that_cannot_be_written_to(market, tmp_path):
    shutil.rmtree(market.path)
    found = stored_texts(market, ["caption"], TRAIN, CONFIG)
    assert tmp_path not in found.folder.parents
    assert sequences(found, "caption", ["p1"]) == [["bread", "soup", "tea"]]
    assert not Path(market.path).exists()


def test_of_two_writers_the_first_stays(market, monkeypatch):
    first = stored_texts(market, ["caption"], TRAIN, CONFIG)
    whole, asked = vocabulary._is_whole, []

    def late(folder, arrays):  # the second begins before the first has ended
        asked.append(folder)
        return asked.count(folder) > 1 and whole(folder, arrays)

    monkeypatch.setattr(vocabulary, "_is_whole", late)
    second = stored_texts(market, ["caption"], TRAIN, CONFIG)
    assert first.folder == second.folder
    assert len(asked) == 4
    assert len(list((market.path / FOLDER).iterdir())) == 2
    assert sequences(second, "caption", ["p1"]) == [["bread", "soup", "tea"]]


def test_full_disk_is_told_and_leaves_nothing(market, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vocabulary, "write_texts", full)
    with pytest.raises(WriteError, match="No space left"):
        stored_texts(market, ["caption"], TRAIN, CONFIG)
    assert [path.name.split("-")[0] for path in (market.path / FOLDER).iterdir()] == ["vocabulary"]


def test_hashtags_stand_for_captions_only_where_there_are_none(make_market, market):
    hashtags = pa.array([["hot", "soup"], [], None], pa.list_(pa.string()))
    bare = make_market({"hashtags": hashtags}, folder="bare").table("posts")
    assert [text or "" for text in text_column(bare, "caption").to_pylist()] == ["hot soup", "", ""]
    assert text_column(market.table("posts"), "caption").to_pylist() == CAPTIONS


def test_vectors_of_words(tmp_path):
    words = pa.array(["<unk>", "soup", "soupe"])
    hashed = word_vectors(words, VSVAEDataConfig(hashed_size=16), trained=False)
    assert np.array_equal(hashed[1:], hashed_vectors(words.slice(1), 16))
    assert not hashed[0].any()
    path = tmp_path / "vectors.txt"
    path.write_text("soup 1 2 4\nbread 0 1 0\n")
    read = word_vectors(words, VSVAEDataConfig(word_vectors=str(path)), trained=False)
    assert read.tolist() == [[1, 2, 4]] * 3  # the mean of those known stands for the others
    lost = VSVAEDataConfig(word_vectors=str(tmp_path / "lost.txt"), hashed_size=16)
    assert np.array_equal(word_vectors(words, lost, trained=True), hashed)
    with pytest.raises(DataError, match="no such word-vector file"):
        word_vectors(words, lost, trained=False)
