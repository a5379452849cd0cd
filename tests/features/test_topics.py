"""Topics of hashtags: planted topics are found, small ones refused, the arrays hold what they say."""

import ast
import csv
import gzip
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError, DataError
from micromega.features.hashtags import segment_hashtags, segmenter
from micromega.features.request import Topics as TopicsConfig
from micromega.features.topics import hashtag_topics, mean_vectors, write_topics
from micromega.features.word_vectors import WordVectors, load_word_vectors
from micromega.market import write_market

pytest.importorskip("sklearn")


def planted(per_topic, spread=0.1, d=6, seed=0):
    """Words around far-apart centres; each hashtag joins two words of one topic."""
    rng = np.random.default_rng(seed)
    words, vectors, hashtags, lists, truth = [], [], [], [], []
    for topic, count in enumerate(per_topic):
        centre = 10 * np.eye(d)[topic]
        names = [f"t{topic}w{i}" for i in range(8)]
        words += names
        vectors += [centre + spread * rng.normal(size=d) for _ in names]
        for number in range(count):
            lists.append([names[number % 8], names[number // 8 % 8]])
            hashtags.append(f"tag{topic}x{number}")
            truth.append(topic)
    table = WordVectors(words=pa.array(words), vectors=np.array(vectors, np.float32))
    return table, pa.array(hashtags), pa.array(lists), np.array(truth)


def test_mean_vectors_are_those_of_a_loop():
    table, _, lists, _ = planted([5, 5])
    lists = pa.array([*lists.to_pylist(), [], ["nowhere"], ["t0w1", "nowhere", "t0w1", "t1w3"]])
    row = {word: i for i, word in enumerate(table.words.to_pylist())}
    means, known = mean_vectors(lists, table)
    for number, words in enumerate(lists.to_pylist()):
        rows = [row[word] for word in words if word in row]
        assert known[number] == bool(rows)
        np.testing.assert_allclose(means[number], table.vectors[rows].mean(axis=0) if rows else 0, rtol=1e-5)


def test_planted_topics_are_found_and_numbered_by_size():
    table, hashtags, lists, truth = planted([20, 40, 30])
    lists = pa.array([*lists.to_pylist(), ["nowhere"]])
    found = hashtag_topics(pa.concat_arrays([hashtags, pa.array(["odd"])]), lists, table, topics=3)
    assert found.unknown.to_pylist() == ["odd"]
    assert np.bincount(found.topic).tolist() == [40, 30, 20]
    np.testing.assert_array_equal(found.topic, np.array([2, 0, 1])[truth])
    np.testing.assert_array_equal(found.assign(found.vectors), found.topic)
    for topic, names in enumerate(found.exemplars(3)):
        assert {found.topic[found.hashtags.to_pylist().index(name)] for name in names} == {topic}
    again = hashtag_topics(hashtags, lists[:-1], table, topics=3)
    np.testing.assert_array_equal(again.topic, found.topic)


def test_topics_have_at_least_so_many_hashtags():
    table, hashtags, lists, _ = planted([40, 40, 3])  # the best clustering sets the three apart
    assert np.bincount(hashtag_topics(hashtags, lists, table, topics=3, min_exemplars=1).topic).min() == 3
    with_minimum = hashtag_topics(hashtags, lists, table, topics=2, min_exemplars=40)
    assert np.bincount(with_minimum.topic).min() >= 40
    with pytest.raises(DataError, match="no 3 topics of at least 27"):
        hashtag_topics(hashtags, lists, table, topics=3, min_exemplars=27)
    with pytest.raises(DataError, match="90 hashtags with known words, there are 83"):
        hashtag_topics(hashtags, lists, table, topics=3, min_exemplars=30)


@pytest.fixture
def glove(tmp_path):
    table, *_ = planted([1, 1])
    lines = [f"{word} {' '.join(map(str, vector))}" for word, vector in zip(table.words, table.vectors, strict=True)]
    (tmp_path / "glove.txt").write_text("\n".join(lines))
    (tmp_path / "counts.txt").write_text("".join(f"{word} 1\n" for word in table.words))
    return {"word_vectors": str(tmp_path / "glove.txt"), "word_counts": str(tmp_path / "counts.txt")}


def market(folder, **posts):
    posts = {"post_id": ["p1", "p2", "p3", "p4"], "account_id": ["a"] * 4, **posts}
    accounts = {"account_id": ["a"], "kind": ["creator"]}
    return write_market(folder, {"accounts": pa.table(accounts), "posts": pa.table(posts)}, name="m", currency="EUR")


def test_posts_take_the_topic_of_their_hashtag(tmp_path, glove):
    mine = market(tmp_path / "m", hashtag=["t0w1", "t1w2", None, "t0w3"])
    rows = write_topics(mine, TopicsConfig(topics=2, min_exemplars=1, **glove))
    assert rows == {"hashtag_vector": 3, "hashtag_topic": 3, "post_topic": 3}
    topics = mine.features("post_topic")
    assert topics.ids.to_pylist() == ["p1", "p2", "p4"]
    assert topics.take(np.arange(3)).tolist() == [0, 1, 0]
    assert mine.features("hashtag_vector").shape == (6,)
    assert mine.features("hashtag_topic").key == "hashtag"


def test_posts_with_lists_take_the_nearest_topic_of_their_mean(tmp_path, glove):
    mine = market(tmp_path / "m", hashtags=[["t0w1", "t0w2", "t1w2"], ["t1w2"], [], ["rare", "t1w2", "t0w1"]])
    write_topics(mine, TopicsConfig(topics=2, min_exemplars=1, min_posts=2, **glove))  # t0w2 and rare are too rare
    assert mine.features("hashtag_topic").ids.to_pylist() == ["t0w1", "t1w2"]
    assert mine.features("post_topic").ids.to_pylist() == ["p1", "p2", "p4"]


def test_no_vectors_and_no_hashtags_are_said(tmp_path, glove):
    mine = market(tmp_path / "m")
    with pytest.raises(ConfigError, match=r"features\.topics\.word_vectors"):
        write_topics(mine, TopicsConfig())
    with pytest.raises(DataError, match="no hashtags"):
        write_topics(mine, TopicsConfig(**glove))


@pytest.mark.realdata
def test_five_topics_of_real_hashtags(public_data):
    counts = Counter()
    with gzip.open(public_data / "tiktok-creators-2020" / "videos.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            counts.update({tag.lower() for tag in ast.literal_eval(row["hashtags"] or "[]")})
    hashtags = pa.array([tag for tag, _ in counts.most_common(500)])
    table = load_word_vectors(public_data / "glove-6b-50d-subset" / "glove.6B.50d.top9163.txt.gz")
    found = hashtag_topics(hashtags, segment_hashtags(hashtags, segmenter()), table)
    sizes = np.bincount(found.topic)
    assert len(sizes) == 5
    assert sizes.min() >= 15
    assert len(found.unknown) < 200
    topic = dict(zip(found.hashtags.to_pylist(), found.topic.tolist(), strict=True))
    for one, other in (("dogsoftiktok", "catsoftiktok"), ("dog", "dogs"), ("tiktokindia", "tiktok_india")):
        assert topic[one] == topic[other], (one, other)
    distance = np.linalg.norm(found.vectors[:, None] - found.centres, axis=2)
    np.testing.assert_array_equal(distance.argmin(axis=1), found.topic)
