"""From scores and market to the problem, on a market small enough to check by hand."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from micromega.errors import ConfigError, ScoreError
from micromega.solvers.campaign import build_problem, explain, plan_table, solve, verify
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.creators import median_engagement
from micromega.solvers.plan import Status

ACCOUNTS = pa.table(
    {
        "account_id": ["nike", "ann", "bob", "cy", "dee"],
        "kind": ["brand", "creator", "creator", "creator", "creator"],
        "category": pa.array(["sports", "food", "food", "travel", None]),
        "followers": pa.array([None, 1000, 20_000, 5000, 8000], pa.int64()),
    }
)
POSTS = pa.table(
    {
        "post_id": [f"p{i}" for i in range(8)],
        "account_id": ["ann", "ann", "ann", "bob", "bob", "cy", "nike", "cy"],
        "likes": pa.array([10, 30, 20, 100, 200, 50, 10**6, None], pa.int64()),
        "comments": pa.array([1, None, 2, 10, 20, 5, 10**5, 3], pa.int64()),
    }
)
SCORES = pa.table(
    {
        "brand_id": ["nike"] * 4 + ["other"],
        "creator_id": ["ann", "bob", "cy", "dee", "ann"],
        "score": [0.5, 0.1, 0.8, 0.9, 0.3],
        "score_std": pa.array([0.05, 0.01, None, 0.1, 0.0]),
        "rank": [3, 4, 2, 1, 1],
    }
)
PRICES = pa.table(
    {
        "creator_id": ["ann", "ann", "bob", "cy", "ghost"],
        "content_type": ["post", "story", "post", "post", "post"],
        "price": [12.0, 4.0, 90.0, 30.0, 1.0],
    }
)
EVENTS = pa.table(
    {
        "event_id": ["launch", "run", "theirs"],
        "brand_id": ["nike", "nike", "other"],
        "date": pa.array([dt.date(2024, 5, 1), dt.date(2024, 6, 1), dt.date(2024, 7, 1)], pa.date32()),
    }
)


def market(**tables):
    content = {"accounts": ACCOUNTS, "posts": POSTS} | tables
    return SimpleNamespace(currency="USD", tables=content, table=content.__getitem__, fingerprint="f")


def build(config=None, scores=SCORES, brand_id="nike", **tables):
    return build_problem(CampaignConfig(**(config or {})), brand_id=brand_id, scores=scores, market=market(**tables))


def test_effectiveness_is_fit_times_median_engagement():
    """ann: 11, 30 and 22, median 22; bob: 110 and 220, median 165; cy: 55 (the post of unknown likes is out)."""
    problem = build()
    assert problem.creator_id.tolist() == ["ann", "bob", "cy"]
    assert problem.effectiveness == pytest.approx([0.5 * 22, 0.1 * 165, 0.8 * 55])
    assert problem.std == pytest.approx([0.05 * 22, 0.01 * 165, 0.0])
    assert problem.price == pytest.approx([10.0, 200.0, 50.0]), "rate card: 10 per 1,000 followers"
    assert problem.event_id.tolist() == ["campaign"] * 3
    assert np.isnat(problem.date).all()
    assert problem.unit == "engagements that fit"
    assert problem.notes == (
        "1 creators left out: without posts, hence without a usual engagement.",
        "The market has no prices: they follow a rate card, per 1,000 followers 10 USD for a post.",
        "The brand has no events: the plan is for one campaign without a date.",
    )


def test_objective_fit_needs_no_posts():
    problem = build({"objective": "fit"})
    assert problem.creator_id.tolist() == ["ann", "bob", "cy", "dee"]
    assert problem.effectiveness.tolist() == [0.5, 0.1, 0.8, 0.9]
    assert problem.unit == "posts that fit"


def test_prices_and_events_of_the_market():
    problem = build({"offsets": [-1, 0]}, prices=PRICES, events=EVENTS)
    assert len(problem) == 4 * 2 * 2
    ann = (problem.creator_id == "ann") & (problem.content_type == "story")
    assert set(problem.price[ann]) == {4.0}
    assert set(problem.event_id.tolist()) == {"launch", "run"}
    assert sorted(problem.date[ann].astype(str)) == ["2024-04-30", "2024-05-01", "2024-05-31", "2024-06-01"]
    assert "rate card" not in " ".join(problem.notes)
    plan = solve(problem)
    assert verify(problem, plan).ok
    assert plan_table(problem, plan)["creator_id"].to_pylist() == ["cy", "bob", "ann"]


def test_user_s_events_come_before_the_market_s():
    problem = build({"events": [{"event_id": "mine", "date": "2024-01-02"}]}, events=EVENTS)
    assert set(problem.event_id.tolist()) == {"mine"}
    assert str(problem.date[0]) == "2024-01-02"


def test_content_types_and_rate_card():
    problem = build({"rate_card": {"post": 10.0, "reel": 20.0}, "content_types": ["reel"]})
    assert problem.content_type.tolist() == ["reel"] * 3
    assert problem.price == pytest.approx([20.0, 400.0, 100.0])


def test_unknown_followers_have_no_rate():
    accounts = ACCOUNTS.set_column(3, "followers", pa.array([None, None, 20_000, 5000, 8000], pa.int64()))
    problem = build(accounts=accounts)
    assert problem.creator_id.tolist() == ["bob", "cy"]
    assert "1 creators left out: without a price." in problem.notes


def test_rules_in_words():
    problem = build(
        {
            "coverage": {"food": 2},
            "posts_per_event": {"min": 1, "max": 3},
            "must_include": ["cy"],
            "max_posts_per_creator": 2,
        },
        events=EVENTS,
    )
    assert problem.rows.names == (
        "at most 2 posts by creator ann",
        "at most 2 posts by creator bob",
        "at most 2 posts by creator cy",
        "between 1 and 3 posts for event launch",
        "between 1 and 3 posts for event run",
        "at least 2 posts by creators of category food",
        "at least 1 post by creator cy",
    )
    assert dict.fromkeys(problem.rows.settings) == dict.fromkeys(
        ["max_posts_per_creator", "posts_per_event", "coverage.food", "must_include.cy"]
    )


def test_followers_and_exclusions():
    assert build({"min_followers": 2000}).creator_id.tolist() == ["bob", "cy"]
    assert build({"max_followers": 5000}).creator_id.tolist() == ["ann", "cy"]
    assert build({"must_exclude": ["cy"]}).creator_id.tolist() == ["ann", "bob"]
    assert "1 creators left out: excluded by must_exclude." in build({"must_exclude": ["cy"]}).notes


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"must_include": ["bobb"]}, r'problem.must_include: no creator "bobb"\. Known: bob'),
        ({"must_exclude": ["nike"]}, r'problem.must_exclude: no creator "nike"'),
        ({"must_include": ["cy"], "must_exclude": ["cy"]}, "stand in must_include and in must_exclude"),
        ({"must_include": ["dee"]}, "must_include: dee cannot be planned.*without posts"),
        ({"coverage": {"foods": 1}}, r'problem.coverage: no creator category "foods"\. Known: food'),
        ({"coverage": {"sports": 1}}, r'no creator category "sports"\. Known: food, travel'),
        ({"content_types": ["story"]}, r'problem.content_types: no price for "story"\. Known: post'),
        ({"min_followers": 10**6}, "no creator is left to choose from.*below min_followers"),
        ({"posts_per_event": {"min": 3, "max": 1}}, "the minimum 3 is above the maximum 1"),
        ({"events": [{"event_id": "x"}, {"event_id": "x"}]}, "x stand"),
    ],
)
def test_settings_that_cannot_be(config, words):
    with pytest.raises(ConfigError, match=words):
        build(config)


def test_a_shortlist_is_enough_but_for_creators_without_a_score():
    """Tables of `retrieve=` hold ranks 1 … k of each brand."""
    listed = SCORES.filter(pc.less_equal(SCORES["rank"], 2))
    assert build(scores=listed).creator_id.tolist() == ["cy"]  # dee has no posts
    words = (
        "must_include: bob cannot be planned, as the score table has 2 creators for this brand.*evaluation.shortlist"
    )
    with pytest.raises(ConfigError, match=words):
        build({"must_include": ["bob"]}, scores=listed)


def test_unknown_brand():
    with pytest.raises(ConfigError, match=r'problem.brand: no scores for "nikee"\. Known: nike'):
        build(brand_id="nikee")


def test_logits_are_refused():
    scores = SCORES.set_column(2, "score", pa.array([0.5, -3.0, 0.8, 0.9, 0.1]))
    with pytest.raises(ScoreError, match="Calibrate first"):
        build(scores=scores)


def test_scores_of_another_market():
    with pytest.raises(ScoreError, match="1 creators that the market does not have"):
        build(accounts=ACCOUNTS.filter(pc.not_equal(ACCOUNTS["account_id"], "cy")))


def test_infeasible_wishes_are_explained_in_the_user_s_words():
    problem = build({"coverage": {"food": 2}, "budget": 100.0})
    assert solve(problem).status is Status.INFEASIBLE
    message = explain(problem).message()
    assert "coverage.food: at least 2 posts by creators of category food" in message
    assert "The smallest budget that works is 210.00 USD." in message


def test_median_against_numpy():
    rng = np.random.default_rng(0)
    owner, likes, comments = rng.integers(0, 40, 900), rng.integers(0, 99, 900), rng.integers(0, 9, 900)
    posts = pa.table({"account_id": pa.array(owner.astype(str)), "likes": likes, "comments": comments})
    creators = pa.chunked_array([[str(i) for i in range(45)]])
    ours = median_engagement(posts, creators)
    theirs = [np.median((likes + comments)[owner == i]) if np.any(owner == i) else np.nan for i in range(45)]
    assert ours == pytest.approx(theirs, nan_ok=True)
