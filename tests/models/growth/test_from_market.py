"""The simulated market: its tables as arrays, and its truth."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from growth_draws import covered

from micromega.errors import ConfigError, DataError
from micromega.market import simulate
from micromega.market.simulated.growth import DAY_SD
from micromega.models.growth import fit_growth, growth_inputs
from micromega.models.growth.from_market import COVARIATES
from micromega.models.growth.groups import commonest


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


def fitted(inputs, noise):
    return fit_growth(
        inputs.impressions, inputs.days, inputs.hashtag, inputs.covariates, noise=noise, initial="log", tolerance=0.01
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_the_fit_recovers_the_truth_of_the_market_and_its_intervals_cover_it(tiktok_market, seed):
    market = tiktok_market
    if seed:
        market = simulate(seed=seed, brands=12, creators=300, posts=5, audience="tiktok", products=0, follows=0)
    inputs = growth_inputs(
        market, covariates=["log_followers", "num_trending", "is_trending", "log_ranking", "log_age"]
    )
    truth = Truth(market, inputs.post_ids)
    fit = fitted(inputs, "cumulative")
    assert fit.converged
    assert fit.tau == pytest.approx(np.sqrt(np.expm1(DAY_SD**2)), rel=0.04)
    assert np.corrcoef(fit.a, truth.a)[0, 1] > 0.999
    assert np.corrcoef(fit.b, truth.b)[0, 1] > 0.99
    for share in covered(fit, truth):
        assert 0.92 < share < 0.98
    assert fit.bayesian_r2(common=True).b == pytest.approx(0.56, abs=0.1)  # followers and statistics; docs/simulator.md


def test_noise_that_forgets_a_day_misses_the_truth_of_counts_that_accumulate(tiktok_market):
    inputs = growth_inputs(tiktok_market)
    assert max(covered(fitted(inputs, "relative"), Truth(tiktok_market, inputs.post_ids))) < 0.7


def test_counts_of_later_days_lie_in_the_intervals_of_what_goes_on(tiktok_market):
    inputs = growth_inputs(tiktok_market)
    fit = fit_growth(
        inputs.impressions[:, :10], inputs.days[:10], inputs.hashtag, inputs.covariates,
        noise="cumulative", initial="log", tolerance=0.01,
    )  # fmt: skip
    later, counts = fit.predict(inputs.days[10:]), inputs.impressions[:, 10:]
    inside = ((later.lower <= counts) & (counts <= later.upper)).mean(axis=0)
    assert inside == pytest.approx(np.full(4, 0.95), abs=0.025)


def test_groups(tiktok_market):
    posts = tiktok_market.table("posts").to_pylist()
    carried = Counter(tag for row in posts for tag in {tag.lower() for tag in row["hashtags"]})
    by_tag = growth_inputs(tiktok_market, group="commonest_hashtag")
    with_tags = [row for row in posts if row["hashtags"]]
    assert by_tag.post_ids.tolist() == [row["post_id"] for row in with_tags]
    assert by_tag.dropped == {"no hashtag": len(posts) - len(with_tags)}
    for row, group in zip(with_tags, by_tag.hashtag, strict=True):
        tags = {tag.lower() for tag in row["hashtags"]}
        best = max(carried[tag] for tag in tags)
        assert group == min(tag for tag in tags if carried[tag] == best)
    by_author = growth_inputs(tiktok_market, group="author")
    assert by_author.hashtag.tolist() == [row["account_id"] for row in posts]
    with pytest.raises(ConfigError, match='group="topic" is none of'):
        growth_inputs(tiktok_market, group="topic")
    with pytest.raises(DataError, match='column "hashtags"'):
        growth_inputs(without(tiktok_market, "posts", "hashtags"), group="commonest_hashtag")


def test_the_commonest_hashtag_by_hand():
    tags = pa.chunked_array(
        [[["Fyp", "dance"], ["fyp", "FYP"], [], None], [["dance"], ["cat", "ant"], ["Dance", "fyp"]]]
    )
    assert commonest(tags).to_pylist() == ["dance", "fyp", None, None, "dance", "ant", "dance"]


def test_days_from_the_first_that_is_listed(tiktok_market):
    views = tiktok_market.table("views")
    shift = 1 + np.arange(len(views)) // 14 % 5  # of each post by its own number of days
    later = views.set_column(1, views.schema.field("day"), pa.array(views["day"].to_numpy() + shift))
    market = replace(without(tiktok_market, "posts", "age_days"), tables={
        **without(tiktok_market, "posts", "age_days").tables, "views": later.take(np.arange(len(views))[::-1]),
    })  # fmt: skip
    usual, found = growth_inputs(tiktok_market), growth_inputs(market, clock="first_listed")
    assert found.days.tolist() == usual.days.tolist()
    assert np.array_equal(found.impressions, usual.impressions)
    age = found.covariates[:, found.names.index("log_age")]
    assert age == pytest.approx(np.log1p(shift[::14]))
    assert len(growth_inputs(market).days) == 18
    ages = growth_inputs(replace(tiktok_market, tables={**tiktok_market.tables, "views": later}), clock="first_listed")
    assert np.array_equal(ages.covariates, usual.covariates)  # known ages stay
    with pytest.raises(ConfigError, match='clock="age" is none of: views, first_listed'):
        growth_inputs(market, clock="age")


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
    counts = views["impressions"].to_numpy().copy()
    counts[8 * 14 : 9 * 14] = 0
    views = views.set_column(2, views.schema.field("impressions"), pa.array(counts))
    market = replace(
        tiktok_market, tables={**tiktok_market.tables, "posts": changed, "views": views.filter(pa.array(listed))}
    )
    inputs = growth_inputs(market)
    assert inputs.dropped == {"no views": 1, "never shown": 1, "no hashtag": 3, "no log_age": 2}
    assert len(inputs.post_ids) == len(posts) - 7
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
