"""Hashtags to words: capitals, digits, the most probable words, other scripts, broken word lists."""

import gzip
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import DataError
from micromega.features.hashtags import load_frequencies, segment_hashtags, segmenter

pytest.importorskip("wordsegment")
SMALL = {"hand": 50, "wash": 40, "challenge": 30, "ch": 1, "all": 300, "enge": 1, "han": 3, "dwash": 1, "tiktok": 5}


@pytest.fixture(scope="module")
def english():
    return segmenter()


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("handwashchallenge", "hand wash challenge"),
        ("#HomeOffice", "home office"),
        ("MakeMomSmile", "make mom smile"),
        ("Yoga101", "yoga 101"),
        ("Christmas2020", "christmas 2020"),
        ("unwrap_the_deals", "unwrap the deals"),
        ("healthycooking", "healthy cooking"),
        ("＃4you", "4 you"),
        ("xuhướng", "xuhướng"),
        ("お茶", "お茶"),
        ("", ""),
        ("#", ""),
        ("___", ""),
    ],
)
def test_tags_of_the_paper_and_odd_ones(english, tag, words):
    assert english(tag) == words.split()


def test_a_users_list_decides_and_a_known_tag_stays_whole():
    split = segmenter(SMALL)
    assert split("handwashchallenge") == ["hand", "wash", "challenge"]
    assert split("TikTok") == ["tiktok"]
    assert segmenter({**SMALL, "handwash": 500})("HandwashChallenge") == ["handwash", "challenge"]


def best_by_brute_force(word, counts):
    """All ways to cut a word, scored by the library's published rule: count / N, or 10 / (N · 10^length) if unknown."""
    total, best = sum(counts.values()), None
    for size in range(len(word)):
        for cuts in combinations(range(1, len(word)), size):
            parts = [word[a:b] for a, b in zip((0, *cuts), (*cuts, len(word)), strict=True)]
            score = sum(np.log10(counts[p] / total) if p in counts else 1 - np.log10(total) - len(p) for p in parts)
            best = max(best, (score, parts)) if best else (score, parts)
    return best


@settings(max_examples=60, deadline=None)
@given(
    word=st.text("abc", min_size=1, max_size=9),
    counts=st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(1, 1000), min_size=3),
)
def test_the_words_are_the_most_probable_ones(word, counts):
    counts = {key: float(value) for key, value in counts.items()} | {"a" * 9: 1.0}  # no limit on the length of words
    parts = segmenter(counts)(word)
    assert "".join(parts) == word
    total = sum(counts.values())
    score = sum(np.log10(counts[p] / total) if p in counts else 1 - np.log10(total) - len(p) for p in parts)
    if word not in counts:  # a known tag stays whole, probable or not
        assert score == pytest.approx(best_by_brute_force(word, counts)[0])


def test_each_different_tag_is_split_once():
    asked = []
    split = segmenter(SMALL)
    found = segment_hashtags(
        pa.array(["handwash", None, "wash", "handwash"]), lambda tag: asked.append(tag) or split(tag)
    )
    assert found.to_pylist() == [["hand", "wash"], [], ["wash"], ["hand", "wash"]]
    assert sorted(asked) == ["handwash", "wash"]


def test_a_very_long_tag_ends(english):
    assert len("".join(english("a" * 100_000))) == 100


def test_word_lists_with_counts_and_by_rank(tmp_path):
    path = tmp_path / "counts.txt"
    path.write_text("the 100\nThe 20\n\nhand 5.5\n", encoding="utf-8-sig")
    assert load_frequencies(path) == {"the": 120.0, "hand": 5.5}
    ranked = tmp_path / "ranked.txt.gz"
    ranked.write_bytes(gzip.compress(b"the\nof\nhand\n"))
    found = load_frequencies(ranked)
    np.testing.assert_allclose(np.array(list(found.values())) / found["the"], [1, 1 / 2, 1 / 3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"the 10\nof\n", "line 2 is not a word and a positive count"),
        (b"the\nof 3\n", "line 2 is not a word"),
        (b"the 10\nof many\n", "line 2"),
        (b"the 10\nof -3\n", "line 2"),
        (b"the 10\nof nan\n", "line 2"),
        (b"\n\n", "no words"),
        (b"\xff\xfe\xff", "not a readable word list"),
    ],
)
def test_broken_word_lists_are_named(tmp_path, content, message):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_frequencies(path)
    with pytest.raises(DataError, match="no such word list"):
        load_frequencies(tmp_path / "none.txt")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("opensubtitles_2016_en_50k.txt.gz", 50_000),
        ("symspell_frequency_dictionary_en_82_765.txt.gz", 82_834),
        ("wordninja_words.txt.gz", 126_136),
    ],
)
def test_public_word_lists(public_data, name, rows):
    counts = load_frequencies(public_data / "word-frequencies" / name)
    assert rows - 1000 < len(counts) <= rows  # a few differ in capitals alone
    split = segmenter(counts)
    assert split("handwashchallenge") == ["hand", "wash", "challenge"]
    assert split("#WeekendVibes") == ["weekend", "vibes"]
    assert split("unwrapthedeals") == ["unwrap", "the", "deals"]
