"""Groups of posts, against the tables row by row."""

import dataclasses
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError
from micromega.market import simulate
from micromega.market.arrays import FOLDER, ArrayWriter
from micromega.models.deepiv.config import DeepIVEvaluationConfig
from micromega.models.deepiv.from_market import causal_inputs
from micromega.models.deepiv.groups import LEAST, groupings


def changed(market, **columns):
    posts = market.table("posts")
    for name, values in columns.items():
        place = posts.column_names.index(name)
        posts = posts.set_column(place, name, pa.array(values, posts.schema.field(name).type))
    return dataclasses.replace(market, tables={**market.tables, "posts": posts})


@pytest.fixture(scope="module")
def market():
    """About 300 posts under tags of falling frequency, some of them sponsored."""
    small = simulate(seed=0, brands=4, creators=60, posts=5, audience="tiktok", products=0, follows=0)
    rows = small.table("posts").num_rows
    tags = [f"Tag{int(3 * (place % 25) ** 0.5) % 12}" for place in range(rows)]
    return changed(
        small, hashtag=tags, sponsored=[tag in {"Tag1", "Tag9"} and place % 5 < 2 for place, tag in enumerate(tags)]
    )


@pytest.fixture(scope="module")
def inputs(market):
    return causal_inputs(market)


def found(market, inputs, rows=None, **settings):
    absent = []
    rows = np.arange(len(inputs.treatment)) if rows is None else rows
    return groupings(DeepIVEvaluationConfig(**settings), market, inputs, rows, absent), absent


def test_hashtags_are_named_as_they_are_the_largest_first(market, inputs):
    (tags,), absent = found(market, inputs, groups=("hashtag",), hashtags=4)
    count = Counter(row["hashtag"] for row in market.table("posts").to_pylist())
    assert [count[name] for name in tags.names] == sorted(count.values(), reverse=True)[:4]
    assert min(count[name] for name in tags.names) >= LEAST
    for name in ("not shown", *tags.names):
        here = tags.code == (tags.names.index(name) if name in tags.names else -1)
        assert set(inputs.hashtag[here]) <= ({name} if name in tags.names else set(count) - set(tags.names))
    assert absent == []
    few, said = found(market, inputs, np.arange(25), groups=("hashtag",))
    assert few == ()
    assert said == ["No hashtag has a curve of its own: none has 30 posts among those looked at."]


def test_campaigns_are_hashtags_with_a_sponsored_post(market, inputs):
    (campaigns,), _ = found(market, inputs, groups=("campaign",))
    rows = market.table("posts").to_pylist()
    paid = {row["hashtag"] for row in rows if row["sponsored"]}
    count = Counter(row["hashtag"] for row in rows)
    wanted = {f"campaign: {tag}" for tag in paid if count[tag] >= LEAST}
    assert set(campaigns.names) == wanted
    assert len(wanted) > 1
    for place, name in enumerate(campaigns.names):
        assert set(inputs.hashtag[campaigns.code == place]) == {name.removeprefix("campaign: ")}


def test_sponsored_posts_that_are_listed_nowhere_are_their_brand_s(market):
    rows = market.table("posts").num_rows
    brand = market.table("posts")["brand_id"].drop_null()[0].as_py()
    other = changed(
        market,
        hashtag=[None] * rows,
        sponsored=[place < 40 for place in range(rows)],
        brand_id=[brand] * rows,
    )
    inputs = causal_inputs(other)
    (campaigns,), absent = found(other, inputs, groups=("campaign", "hashtag"))
    assert campaigns.names == (f"campaign: {brand}",)
    paid = {row["post_id"] for row in other.table("posts").to_pylist() if row["sponsored"]}
    assert set(inputs.post_ids[campaigns.code == 0]) == paid & set(inputs.post_ids)
    assert absent == ["No curves by hashtag: no post is listed under one (posts.hashtag)."]


def test_what_a_market_lacks_is_said(market, inputs):
    organic = changed(market, sponsored=[False] * market.table("posts").num_rows)
    ways, absent = found(organic, inputs)
    assert [way.kind for way in ways] == ["hashtag"]
    assert len(absent) == 3
    for words in ("evaluation.tactics", "features.topics.word_vectors", "which posts are sponsored"):
        assert any(words in sentence for sentence in absent), words


def test_tactics_come_from_a_file(market, inputs, tmp_path):
    tags = sorted(set(inputs.hashtag))[:9]
    file = tmp_path / "tactics.csv"
    named = {tag: ("informational", "entertaining", "socializing")[place % 3] for place, tag in enumerate(tags)}
    lines = "".join(f"#{tag.upper()},{tactic}\n" for tag, tactic in named.items())
    file.write_text(f"hashtag,tactic\n{lines}nobody,socializing\n", encoding="utf-8")
    (tactics,), absent = found(market, inputs, groups=("tactic",), tactics=str(file))
    assert absent == []
    assert set(tactics.names) == {"tactic: informational", "tactic: entertaining", "tactic: socializing"}
    for tag, code in zip(inputs.hashtag, tactics.code, strict=True):
        assert (tactics.names[code] if code >= 0 else None) == (f"tactic: {named[tag]}" if tag in named else None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tag,tactic\na,b\n", "needs the columns hashtag and tactic"),
        ("hashtag,tactic\nA,b\n#a,c\n", "calls '#a' both 'b' and 'c'"),
        (None, "there is no file"),
    ],
)
def test_a_file_of_tactics_that_cannot_be_used(market, inputs, tmp_path, text, words):
    file = tmp_path / "tactics.csv"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        found(market, inputs, groups=("tactic",), tactics=str(file))


def test_a_file_that_names_other_hashtags_is_said(market, inputs, tmp_path):
    file = tmp_path / "tactics.csv"
    file.write_text("hashtag,tactic\nnobody,socializing\n", encoding="utf-8")
    ways, absent = found(market, inputs, groups=("tactic",), tactics=str(file))
    assert ways == ()
    assert "no post is listed under a hashtag of" in absent[0]


def test_topics_come_from_features_and_are_named_by_their_nearest_hashtag(market, inputs, tmp_path):
    own = dataclasses.replace(market, path=tmp_path)
    topic_of = {name: place % 3 for place, name in enumerate(inputs.post_ids[:150])}
    write(own, "post_topic", "post_id", list(topic_of), np.array(list(topic_of.values()), np.int32))
    (topics,), _ = found(own, inputs, groups=("topic",))
    assert set(topics.names) == {"topic: 0", "topic: 1", "topic: 2"}
    tags, centre = ["near0", "far0", "far1", "near1", "only2"], [[0.1], [1.0], [9.0], [5.1], [7.0]]
    write(own, "hashtag_topic", "hashtag", tags, np.array([0, 0, 1, 1, 2], np.int32))
    write(own, "hashtag_vector", "hashtag", tags, np.array(centre, np.float32))
    (topics,), _ = found(own, inputs, groups=("topic",))
    assert {name[:8] for name in topics.names} == {"topic: 0", "topic: 1", "topic: 2"}
    assert "topic: 2 (only2)" in topics.names
    for name, code in zip(inputs.post_ids, topics.code, strict=True):
        assert (topics.names[code][:8] if code >= 0 else None) == (
            f"topic: {topic_of[name]}" if name in topic_of else None
        )


def write(market, name, key, ids, values):
    folder = market.path / FOLDER
    with ArrayWriter(
        folder, name=name, key=key, shape=values.shape[1:], dtype=values.dtype.name, source="a test"
    ) as out:
        out.append(pa.array(ids, pa.string()), values)
