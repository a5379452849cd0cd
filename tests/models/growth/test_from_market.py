"""The simulated market: its tables as arrays, and its truth."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from growth_draws import covered, rmse

from micromega.errors import DataError
from micromega.models.growth import fit_growth, growth_inputs
from micromega.models.growth.from_market import COVARIATES


class Truth:
    def __init__(self, market, post_ids):
        table = market.truth("posts")
        row = {post: row for row, post in enumerate(table["post_id"].to_pylist())}
        rows = [row[post] for post in post_ids]
        self.a, self.b = (table[name].to_numpy()[rows] for name in ("log_rate", "log_start"))


def without(market, table, *columns):
    """The market with these columns empty."""
    changed = market.tables[table]
    for column in columns:
        at = changed.column_names.index(column)
        changed = changed.set_column(
            at, changed.schema.field(at), pa.nulls(len(changed), changed.schema.field(at).type)
        )
    return replace(market, tables={**market.tables, table: changed})


def test_arrays_are_those_of_the_tables(tiktok_market):
    inputs = growth_inputs(tiktok_market)
    posts = tiktok_market.table("posts").to_pylist()
    views = {(row["post_id"], row["day"]): row["impressions"] for row in tiktok_market.table("views").to_pylist()}
    accounts = {row["account_id"]: row for row in tiktok_market.table("accounts").to_pylist()}
    assert inputs.days.tolist() == list(range(1, 15))
    assert inputs.post_ids.tolist() == [row["post_id"] for row in posts if row["hashtag"] is not None]
    assert set(inputs.names) | set(inputs.left_out) == set(COVARIATES)
    of = {row["post_id"]: row for row in posts}
    for n in range(0, len(inputs.post_ids), 97):
        post = of[inputs.post_ids[n]]
        assert inputs.impressions[n].tolist() == [views[post["post_id"], day] for day in range(1, 15)]
        assert inputs.hashtag[n] == post["hashtag"]
        x = dict(zip(inputs.names, inputs.covariates[n], strict=True))
        assert x["log_followers"] == pytest.approx(np.log1p(post["author_followers"]))
        assert x["num_hashtags"] == len(post["hashtags"])
        assert x["num_trending"] == post["trending_hashtags"]
        assert x["has_fyp"] == ("fyp" in post["hashtags"])
        assert x["log_hashtag_age"] == pytest.approx(np.log1p(post["hashtag_age_days"]))
        assert x["is_trending"] == post["is_trending"]
        assert x["log_ranking"] == pytest.approx(np.log1p(post["ranking"]))
        assert x["log_age"] == pytest.approx(np.log1p(post["age_days"]))
        assert x["is_verified"] == accounts[post["account_id"]]["verified"]


def test_the_fit_recovers_the_truth_of_the_market(tiktok_market):
    inputs = growth_inputs(
        tiktok_market, covariates=["log_followers", "num_trending", "is_trending", "log_ranking", "log_age"]
    )
    truth = Truth(tiktok_market, inputs.post_ids)
    fit = fit_growth(
        inputs.impressions,
        inputs.days,
        inputs.hashtag,
        inputs.covariates,
        noise="relative",
        initial="log",
        tolerance=0.01,
    )
    assert fit.converged
    assert np.corrcoef(fit.a, truth.a)[0, 1] > 0.99
    assert np.corrcoef(fit.b, truth.b)[0, 1] > 0.995
    assert rmse(fit.a, truth.a) < 0.13
    assert rmse(fit.b, truth.b) < 0.07
    # A day's gain in the simulator stays for good, which is not the model's independent noise: intervals are too short.
    assert 0.1 < min(covered(fit, truth)) < 0.5
    assert fit.bayesian_r2(common=True).b == pytest.approx(0.56, abs=0.1)  # followers and statistics; docs/simulator.md


def test_what_is_missing_is_named(tiktok_market):
    no_views = replace(tiktok_market, tables={k: v for k, v in tiktok_market.tables.items() if k != "views"})
    with pytest.raises(DataError, match="no table views"):
        growth_inputs(no_views)
    with pytest.raises(DataError, match='column "hashtag"'):
        growth_inputs(without(tiktok_market, "posts", "hashtag"))
    bare = without(tiktok_market, "posts", "ranking")
    assert growth_inputs(bare).left_out == {"log_ranking": "posts.ranking holds no value"}
    with pytest.raises(DataError, match=r"log_ranking cannot be used: posts\.ranking holds no value"):
        growth_inputs(bare, covariates=["log_ranking"])
    with pytest.raises(DataError, match="no covariate called followers"):
        growth_inputs(tiktok_market, covariates=["followers"])


def test_followers_of_the_account_stand_in(tiktok_market):
    instead = growth_inputs(without(tiktok_market, "posts", "author_followers"), covariates=["log_followers"])
    usual = growth_inputs(tiktok_market, covariates=["log_followers"])
    assert instead.covariates == pytest.approx(usual.covariates)  # constant in the simulator


def test_posts_that_lack_something_are_counted(tiktok_market):
    posts, views = tiktok_market.table("posts"), tiktok_market.table("views")
    hashtags = posts["hashtag"].to_pylist()
    hashtags[:3] = [None] * 3
    ages = posts["age_days"].to_pylist()
    ages[2:5] = [None] * 3
    changed = posts.set_column(posts.column_names.index("hashtag"), posts.schema.field("hashtag"), pa.array(hashtags))
    changed = changed.set_column(posts.column_names.index("age_days"), posts.schema.field("age_days"), pa.array(ages))
    listed = np.ones(len(views), dtype=bool)
    listed[-14:] = False
    listed[5 * 14] = False  # the first day of the sixth post
    market = replace(
        tiktok_market, tables={**tiktok_market.tables, "posts": changed, "views": views.filter(pa.array(listed))}
    )
    inputs = growth_inputs(market)
    assert inputs.dropped == {"no views": 1, "no hashtag": 3, "no log_age": 2}
    assert len(inputs.post_ids) == len(posts) - 6
    assert np.isnan(inputs.impressions[0, 0])
    assert np.isfinite(inputs.impressions[0, 1:]).all()
    with pytest.raises(DataError, match="has no post with views"):
        growth_inputs(replace(market, tables={**market.tables, "views": views.slice(0, 14)}))


def test_a_covariate_that_is_constant_among_the_posts_that_are_left_is_left_out(tiktok_market):
    posts = tiktok_market.tables["posts"]
    trending = posts["is_trending"].to_numpy(zero_copy_only=False).astype(bool)
    ranking = pa.array(posts["ranking"].to_pylist(), pa.int64(), mask=~trending).cast(
        posts.schema.field("ranking").type
    )
    at = posts.column_names.index("ranking")
    changed = posts.set_column(at, posts.schema.field(at), ranking)  # ranked where trending only
    market = replace(tiktok_market, tables={**tiktok_market.tables, "posts": changed})
    inputs = growth_inputs(market)
    assert (
        inputs.left_out["is_trending"] == "posts.is_trending is the same for all posts that have the other covariates"
    )
    assert "is_trending" not in inputs.names
    assert np.ptp(inputs.covariates, axis=0).all()
    with pytest.raises(DataError, match="Covariate is_trending cannot be used"):
        growth_inputs(market, covariates=["log_ranking", "is_trending"])
