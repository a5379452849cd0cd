"""What estimators may rely on: the confounder biases a regression, the instrument does not, the truth is the truth."""

import numpy as np
import pyarrow.compute as pc
import pytest

from micromega.market import Market, simulate
from micromega.market.simulated.hashtags import CHALLENGES, SPONSORED_KINDS


@pytest.fixture(scope="module")
def tiktok() -> Market:
    return simulate(seed=3, brands=12, creators=12_000, posts=4, audience="tiktok", products=0, follows=0)


@pytest.fixture(scope="module")
def micro() -> Market:
    return simulate(seed=3, brands=12, creators=3_000, posts=10, products=0, follows=0)


def joined(market: Market) -> dict[str, np.ndarray]:
    """Posts of creators with the truth about them and their authors."""
    posts, truth = market.table("posts"), market.truth("posts")
    accounts = market.truth("accounts")
    assert truth["post_id"].equals(posts["post_id"])
    mine = np.asarray(pc.starts_with(posts["account_id"], "c"))
    author = pc.index_in(posts["account_id"], value_set=accounts["account_id"].combine_chunks()).to_numpy()[mine]
    return {
        "author": author,
        "t": np.log(posts["author_followers"].to_numpy()[mine]),
        "y": np.log(posts["impressions"].to_numpy()[mine]),
        "z": np.log(posts["past_hearts"].to_numpy()[mine]),
        "reactions": pc.add(posts["likes"], posts["comments"]).to_numpy()[mine],
        "impressions": posts["impressions"].to_numpy()[mine],
        "kind": np.array(truth["kind"].to_pylist())[mine],
        "quality": truth["quality"].to_numpy()[mine],
        "mean": truth["log_impressions"].to_numpy()[mine],
        "fei": truth["fei"].to_numpy()[mine],
        "expected": truth["expected_engagements"].to_numpy()[mine],
        "u": accounts["cross_posting"].to_numpy()[author],
        "ad": np.asarray(pc.is_valid(posts["brand_id"]))[mine],
    }


def slopes(found: dict[str, np.ndarray]) -> tuple[float, float, float]:
    """Naive and instrumented elasticity of linear posts, quality held fixed, and the truth."""
    linear = found["kind"] == "linear"
    y, t, z, q = (found[name][linear] for name in ("y", "t", "z", "quality"))
    ones = np.ones(len(y))
    naive = np.linalg.lstsq(np.column_stack([t, q, ones]), y, rcond=None)[0][0]
    exogenous = np.column_stack([z, q, ones])
    fitted = exogenous @ np.linalg.lstsq(exogenous, t, rcond=None)[0]
    instrumented = np.linalg.lstsq(np.column_stack([fitted, q, ones]), y, rcond=None)[0][0]
    return naive, instrumented, found["fei"][linear].mean()


@pytest.mark.parametrize("audience", ["tiktok", "micro"])
def test_a_regression_is_biased_and_the_instrument_is_not(audience, request):
    naive, instrumented, truth = slopes(joined(request.getfixturevalue(audience)))
    assert naive > truth + 0.07
    assert abs(instrumented - truth) < 0.05


def test_the_instrument_is_as_strong_as_in_the_paper(tiktok):
    found = joined(tiktok)
    first = np.unique(found["author"], return_index=True)[1]
    correlation = np.corrcoef(found["z"][first], found["t"][first])[0, 1]
    assert abs(correlation - 0.736) < 0.02
    assert abs(correlation**2 - 0.542) < 0.03
    assert abs(np.corrcoef(found["z"][first], found["u"][first])[0, 1]) < 0.04


def test_followers_and_impressions_are_those_of_the_paper(tiktok):
    found = joined(tiktok)
    followers = np.exp(found["t"])
    assert np.median(followers) == pytest.approx(60_102, rel=0.10)
    assert followers.mean() == pytest.approx(486_169, rel=0.15)
    assert followers.std() == pytest.approx(1_335_649, rel=0.25)
    assert followers.min() >= 2
    assert followers.max() <= 71_000_679
    assert found["impressions"].mean() == pytest.approx(1_038_728, rel=0.15)
    assert found["impressions"].std() == pytest.approx(2_468_832, rel=0.35)
    assert np.median(found["impressions"]) == pytest.approx(444_450, rel=0.10)
    assert found["impressions"].min() >= 109


@pytest.mark.parametrize(("audience", "noise"), [("tiktok", 0.64), ("micro", 0.40)])
def test_noise_is_what_is_left(audience, noise, request):
    found = joined(request.getfixturevalue(audience))
    left = found["y"] - found["mean"]
    assert abs(left.mean()) < 0.01
    assert left.std() == pytest.approx(noise, rel=0.02)
    for name in ("t", "z", "u", "quality"):
        assert abs(np.corrcoef(left, found[name])[0, 1]) < 0.02


def test_micro_creators_reach_about_045_of_their_followers(micro):
    found = joined(micro)
    assert np.median(found["impressions"] / np.exp(found["t"])) == pytest.approx(0.45, rel=0.06)
    assert (found["reactions"] == found["impressions"]).mean() < 1e-3


@pytest.mark.parametrize("audience", ["tiktok", "micro"])
def test_expected_engagements_are_unbiased_and_below_impressions(audience, request):
    found = joined(request.getfixturevalue(audience))
    assert (found["reactions"] <= found["impressions"]).all()
    for some in (~found["ad"], found["ad"]):
        authors, place = np.unique(found["author"][some], return_inverse=True)
        ratio = np.bincount(place, (found["reactions"] / found["expected"])[some]) / np.bincount(place)
        assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(authors)) + 0.005


def test_expected_impressions_of_creators_are_unbiased(tiktok):
    found = joined(tiktok)
    organic = ~found["ad"]
    expected = tiktok.truth("campaign_creators")["impressions"].to_numpy()
    ratio = (found["impressions"] / expected[found["author"] - 12])[organic]
    by_author = np.bincount(found["author"][organic], ratio) / np.maximum(np.bincount(found["author"][organic]), 1)
    by_author = by_author[12:]
    assert abs(by_author.mean() - 1) < 5 * by_author.std() / np.sqrt(len(by_author)) + 0.005
    popular = np.argsort(expected)[-3_000:]  # and not only on average
    assert abs(by_author[popular].mean() - 1) < 5 * by_author[popular].std() / np.sqrt(3_000) + 0.01


@pytest.mark.parametrize("audience", ["tiktok", "micro"])
def test_the_table_of_curves_agrees_with_posts(audience, request):
    market = request.getfixturevalue(audience)
    found, curves = joined(market), market.truth("curves")
    for kind in ("s-shaped", "linear", "concave"):
        rows = curves.filter(pc.equal(curves["kind"], kind))
        grid, fei = rows["log_followers"].to_numpy(), rows["fei"].to_numpy()
        here = found["kind"] == kind
        assert np.interp(found["t"][here], grid, fei) == pytest.approx(found["fei"][here], abs=2e-3)
        slope = np.gradient(rows["log_impressions"].to_numpy(), grid)
        assert slope[1:-1] == pytest.approx(fei[1:-1], abs=3e-3)


def test_challenges_have_one_kind_and_topic_each(tiktok):
    hashtags = tiktok.truth("hashtags").to_pylist()
    assert len({row["hashtag"] for row in hashtags}) == CHALLENGES == 216
    sponsored = [row["kind"] for row in hashtags if row["sponsored"]]
    assert tuple(sponsored.count(kind) for kind in ("s-shaped", "linear", "concave")) == SPONSORED_KINDS
    kind_of = {row["hashtag"]: row["kind"] for row in hashtags}
    of_brands = {row["hashtag"] for row in hashtags if row["sponsored"]}
    posts, kinds = tiktok.table("posts").to_pylist(), tiktok.truth("posts")["kind"].to_pylist()
    for row, kind in zip(posts[::7], kinds[::7], strict=True):
        assert kind_of[row["hashtag"]] == kind
        assert (row["hashtag"] in row["hashtags"]) or not row["hashtags"]
        assert len(set(row["hashtags"])) == len(row["hashtags"])
        assert row["trending_hashtags"] <= len(row["hashtags"])
    assert all(row["hashtag"] in of_brands for row in posts if row["brand_id"])
    share = np.mean([row["brand_id"] is not None for row in posts])
    assert 0.0004 < share < 0.003


def test_micro_posts_are_listed_under_their_first_topical_hashtag_or_nowhere(micro):
    known = set(micro.truth("hashtags")["hashtag"].to_pylist())
    for row in micro.table("posts").to_pylist()[::5]:
        if row["hashtag"] is None:
            assert row["ranking"] is row["hashtag_age_days"] is row["is_trending"] is row["age_days"] is None
            assert not known & set(row["hashtags"])
        else:
            assert row["hashtag"] == row["hashtags"][0]
            assert row["hashtag"] in known
            assert row["ranking"] >= 1


@pytest.mark.parametrize("audience", ["tiktok", "micro"])
def test_views_end_at_the_impressions_of_the_post(audience, request):
    market = request.getfixturevalue(audience)
    posts, views = market.table("posts"), market.table("views")
    seen = views["impressions"].to_numpy().reshape(-1, 14)
    assert np.array_equal(views["day"].to_numpy().reshape(-1, 14), np.tile(np.arange(1, 15), (len(posts), 1)))
    assert views["post_id"].take(np.arange(0, len(views), 14)).to_pylist() == posts["post_id"].to_pylist()
    assert (np.diff(seen, axis=1) >= 0).all()
    assert np.array_equal(seen[:, -1], posts["impressions"].to_numpy())


def test_two_weeks_bring_in_nine_tenths_of_a_month(tiktok):
    truth = tiktok.truth("posts")
    rate, begin = np.exp(truth["log_rate"].to_numpy()), np.exp(truth["log_start"].to_numpy())
    month = rate * np.log(30) + begin
    assert 0.90 < tiktok.table("posts")["impressions"].to_numpy().sum() / month.sum() < 0.95


def test_growth_has_hashtags_and_content_in_it(tiktok):
    truth, posts = tiktok.truth("posts"), tiktok.table("posts")
    logit = truth["log_start"].to_numpy() - truth["log_rate"].to_numpy() - np.log(np.log(14))
    effect = dict(zip(*(tiktok.truth("hashtags")[name].to_pylist() for name in ("hashtag", "start")), strict=True))
    known = np.array([effect[name] for name in posts["hashtag"].to_pylist()])
    design = np.column_stack([known, truth["quality"].to_numpy(), np.ones(len(known))])
    of_hashtag, of_quality, _ = np.linalg.lstsq(design, logit, rcond=None)[0]
    assert of_hashtag == pytest.approx(1.0, abs=0.05)
    assert of_quality == pytest.approx(-0.2, abs=0.02)


def test_chunks_are_a_matter_of_writing_alone(tiktok):
    assert tiktok.table("posts")["post_id"].to_pylist() == [f"p{i:08d}" for i in range(12_012 * 4)]
    ids = tiktok.table("posts")["account_id"].to_pylist()
    assert ids == sorted(ids)
    assert set(ids) == set(tiktok.table("accounts")["account_id"].to_pylist())


def test_parts_can_be_left_out_without_changing_the_others():
    sizes = {"seed": 5, "brands": 6, "creators": 30, "posts": 5}
    whole = simulate(**sizes, scale=0.002)
    bare = simulate(**sizes, view_days=0, products=0, follows=0)
    assert {"views", "products", "merchants", "orders", "follows", "exposures"} == set(whole.tables) - set(bare.tables)
    for name in bare.tables:
        assert bare.table(name).equals(whole.table(name)), name
    assert whole.feature_names
    assert not bare.feature_names
    assert "log_rate" not in bare.truth("posts").column_names
    ids = set(whole.table("posts")["post_id"].to_pylist())
    for name in whole.feature_names:
        assert set(whole.features(name).ids.to_pylist()) <= ids


def test_hearts_are_those_of_a_crawl_after_the_posts(tiktok):
    posts, accounts = tiktok.table("posts"), tiktok.table("accounts")
    of_posts: dict[str, list[tuple[float, int]]] = {}
    for row in posts.select(["account_id", "past_hearts", "likes"]).to_pylist():
        of_posts.setdefault(row["account_id"], []).append((row["past_hearts"], row["likes"]))
    for row in accounts.to_pylist():
        mine = of_posts[row["account_id"]]
        before = row["videos"] - len(mine)
        assert row["hearts"] == round(mine[0][0] * before) + sum(likes for _, likes in mine)
