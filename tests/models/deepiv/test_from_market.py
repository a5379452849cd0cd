"""Arrays for Deep IV, against the tables row by row."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import DataError, ScoreError
from micromega.market import simulate
from micromega.models.deepiv.from_market import STATISTICS, causal_inputs
from micromega.models.deepiv.instrument import PAST_SUCCESS
from micromega.scores import Lineage, ScoreKind, embedding_table, write_scores


@pytest.fixture(scope="module")
def market():
    return simulate(seed=0, brands=12, creators=60, posts=5, audience="tiktok", products=0, follows=0)


def changed(market, **columns):
    posts = market.table("posts")
    for name, values in columns.items():
        place = posts.column_names.index(name)
        posts = posts.set_column(place, name, pa.array(values, posts.schema.field(name).type))
    return dataclasses.replace(market, tables={**market.tables, "posts": posts})


def written(market, path, ids, vectors, fingerprint=None):
    lineage = Lineage(
        score_kind=ScoreKind.VECTOR,
        model="vsvae",
        checkpoint_sha256="0" * 64,
        market_fingerprint=fingerprint or market.fingerprint,
        config_signature="0" * 12,
        git_commit=None,
        currency="USD",
    )
    write_scores(embedding_table(subject_ids=ids, vectors=vectors), path, name="embedding", lineage=lineage)
    return path


def test_rows_are_those_of_the_tables(market):
    found = causal_inputs(market)
    posts = {row["post_id"]: row for row in market.table("posts").to_pylist()}
    verified = {row["account_id"]: row["verified"] for row in market.table("accounts").to_pylist()}
    rows = [posts[name] for name in found.post_ids]
    np.testing.assert_allclose(found.treatment, [np.log(row["author_followers"]) for row in rows])
    np.testing.assert_allclose(found.instrument[:, 0], [np.log(1 + row["past_hearts"]) for row in rows])
    np.testing.assert_allclose(found.outcome, [np.log(row["impressions"]) for row in rows])
    control = dict(zip(found.names, found.controls.T, strict=True))
    np.testing.assert_allclose(control["num_hashtags"], [len(row["hashtags"]) for row in rows])
    np.testing.assert_allclose(control["log_ranking"], [np.log(1 + row["ranking"]) for row in rows])
    np.testing.assert_allclose(control["is_verified"], [verified[row["account_id"]] for row in rows])
    same = np.array([row["account_id"] for row in rows])
    np.testing.assert_array_equal(found.author[:, None] == found.author, same[:, None] == same)
    assert set(found.names) | set(found.left_out) == set(STATISTICS)


def test_content_is_joined_by_post_and_posts_without_are_counted(market, tmp_path):
    ids = market.table("posts")["post_id"].to_pylist()[::-1][5:]
    vectors = np.arange(3 * len(ids), dtype=np.float32).reshape(-1, 3)
    found = causal_inputs(market, statistics=(), embedding=written(market, tmp_path / "e.parquet", ids, vectors))
    assert found.names == ("r0", "r1", "r2")
    place = [ids.index(name) for name in found.post_ids]
    np.testing.assert_array_equal(found.controls, vectors[place])
    assert found.dropped["no vector of content"] == 5


def test_content_of_another_market_is_refused(market, tmp_path):
    ids = market.table("posts")["post_id"].to_pylist()
    path = written(market, tmp_path / "e.parquet", ids, np.ones((len(ids), 2)), fingerprint="1" * 64)
    with pytest.raises(ScoreError, match="was made from market"):
        causal_inputs(market, embedding=path)
    assert len(causal_inputs(market, embedding=path, allow_other_market=True).names) > 2


def test_posts_without_impressions_followers_or_instrument_are_left_out(market):
    posts = market.table("posts")
    shown, hearts = posts["impressions"].to_pylist(), posts["past_hearts"].to_pylist()
    shown[0], shown[1], hearts[2] = 0, None, None
    found = causal_inputs(changed(market, impressions=shown, past_hearts=hearts))
    assert found.dropped == {"no impressions": 2, "no instrument (posts.past_hearts)": 1}
    assert len(found.post_ids) == len(posts) - 3
    assert np.isfinite(found.outcome).all()


def test_followers_of_today_stand_in_for_those_at_publication(market):
    unknown = [None] * len(market.table("posts"))
    followers = {row["account_id"]: row["followers"] for row in market.table("accounts").to_pylist()}
    author = dict(zip(*(market.table("posts")[name].to_pylist() for name in ("post_id", "account_id")), strict=True))
    found = causal_inputs(changed(market, author_followers=unknown))
    np.testing.assert_allclose(found.treatment, [np.log(followers[author[name]]) for name in found.post_ids])


def test_instruments_without_the_post_itself(market):
    posts = market.table("posts")
    accounts = {row["account_id"]: row for row in market.table("accounts").to_pylist()}
    rows = posts.to_pylist()
    others = PAST_SUCCESS["other_posts"][1](market, posts)
    earlier = PAST_SUCCESS["earlier_posts"][1](market, posts)
    for row, mean, before in zip(rows, others, earlier, strict=True):
        account = accounts[row["account_id"]]
        if account["hearts"] is not None and account["videos"] > 1:
            assert mean == pytest.approx((account["hearts"] - row["likes"]) / (account["videos"] - 1))
        own = [r["likes"] for r in rows if r["account_id"] == row["account_id"] and r["posted_at"] < row["posted_at"]]
        assert before == pytest.approx(np.mean(own) if own else np.nan, nan_ok=True)


def test_the_post_itself_is_in_no_instrument_where_its_likes_or_its_order_are_unknown(market):
    posts = market.table("posts")
    busiest = max(posts["account_id"].to_pylist(), key=posts["account_id"].to_pylist().count)
    own = [row for row, account in enumerate(posts["account_id"].to_pylist()) if account == busiest]
    likes, times = posts["likes"].to_pylist(), posts["posted_at"].to_pylist()
    first, *same = sorted(own, key=lambda row: times[row])[:3]
    times[same[0]] = times[same[1]]
    assert times[first] < times[same[0]]
    together = changed(market, posted_at=times)
    earlier = PAST_SUCCESS["earlier_posts"][1](together, together.table("posts"))
    np.testing.assert_allclose(earlier[same], likes[first])
    likes[first] = None
    unknown = changed(market, likes=likes)
    others = PAST_SUCCESS["other_posts"][1](unknown, unknown.table("posts"))
    assert np.isnan(others[first])
    assert np.isfinite(others[same]).all()
    likes[first], likes[same[0]] = 7, None
    without = changed(market, likes=likes)
    earlier = PAST_SUCCESS["earlier_posts"][1](without, without.table("posts"))
    assert earlier[same[0]] == 7, "its own likes are not needed"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"instrument": "luck"}, "data.instrument: there is no luck"),
        ({"statistics": ("likes",)}, "data.statistics: there is no likes"),
    ],
)
def test_unknown_names_are_refused(market, settings, words):
    with pytest.raises(DataError, match=words):
        causal_inputs(market, **settings)


def test_a_statistic_that_is_asked_for_must_say_something(market):
    same = [False] * len(market.table("posts"))
    assert "is_trending" in causal_inputs(changed(market, is_trending=same)).left_out
    with pytest.raises(DataError, match=r"is_trending cannot be used: posts\.is_trending is the same for all posts"):
        causal_inputs(changed(market, is_trending=same), statistics=("is_trending",))


def test_a_market_without_impressions_says_so(market):
    with pytest.raises(DataError, match='column "impressions"'):
        causal_inputs(changed(market, impressions=[None] * len(market.table("posts"))))
