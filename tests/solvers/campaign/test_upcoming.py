"""Past events of a market are history: no plan is made for them unless the user lists them."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micromega.runs.brief import _events
from micromega.solvers.campaign import build_problem
from micromega.solvers.campaign.config import CampaignConfig

LAST = dt.date(2024, 6, 30)
ACCOUNTS = pa.table(
    {
        "account_id": ["nike", "ann"],
        "kind": ["brand", "creator"],
        "category": ["sports", "food"],
        "followers": [None, 1000],
    }
)
POSTS = pa.table(
    {
        "post_id": ["p0", "p1"],
        "account_id": ["ann", "ann"],
        "likes": [10, 30],
        "comments": [1, 2],
        "posted_at": pa.array(
            [dt.datetime(2024, 1, 1, 8), dt.datetime(2024, 6, 30, 23, 59)], pa.timestamp("us", "UTC")
        ),
    }
)
SCORES = pa.table(
    {"brand_id": ["nike"], "creator_id": ["ann"], "score": [0.5], "score_std": [0.1], "rank": pa.array([1])}
)


def market(dates: list[dt.date], posts: pa.Table = POSTS) -> SimpleNamespace:
    events = {
        "event_id": [f"e{i}" for i in range(len(dates))],
        "brand_id": ["nike"] * len(dates),
        "date": pa.array(dates, pa.date32()),
        "genre": ["fair"] * len(dates),
        "location": ["Rome"] * len(dates),
        "type": ["online"] * len(dates),
    }
    tables = {"accounts": ACCOUNTS, "posts": posts, "events": pa.table(events)}
    return SimpleNamespace(currency="USD", tables=tables, table=tables.__getitem__, fingerprint="f")


def build(world: SimpleNamespace, **config: object):
    return build_problem(CampaignConfig(**config), brand_id="nike", scores=SCORES, market=world)


@given(st.lists(st.integers(-800, 800), min_size=1, max_size=12))
def test_no_plan_for_an_event_before_the_last_post(days):
    world = market([LAST + dt.timedelta(day) for day in days])
    problem = build(world, offsets=[-7, 0])
    upcoming = {f"e{i}" for i, day in enumerate(days) if day > 0}
    assert set(problem.event_id.tolist()) == (upcoming or {"campaign"})
    if upcoming:
        assert (problem.date - problem.offset_days > np.datetime64(LAST)).all()
        assert {event.name for event in _events(problem, world)} == upcoming
    else:
        assert "The brand has no upcoming events: the plan is for one campaign without a date." in problem.notes
    past = len(days) - len(upcoming)
    assert any("not after the market's last post (2024-06-30)" in note for note in problem.notes) == (past > 0)


def test_the_day_of_the_last_post_is_past_and_the_next_is_not():
    problem = build(market([LAST, LAST + dt.timedelta(1)]))
    assert problem.event_id.tolist() == ["e1"]
    assert "1 event of the brand is left out: not after the market's last post (2024-06-30)." in problem.notes


def test_the_user_may_list_a_past_event():
    world = market([LAST - dt.timedelta(9), LAST + dt.timedelta(9)])
    problem = build(world, events=[{"event_id": "e0", "date": "2024-06-21"}])
    assert problem.event_id.tolist() == ["e0"]
    assert str(problem.date[0]) == "2024-06-21"
    assert [event.details for event in _events(problem, world)] == ["fair, Rome, online"]


@pytest.mark.parametrize("times", [None, [None, None]])
def test_without_times_of_posts_all_events_count(times):
    posts = POSTS.drop(["posted_at"])
    if times:
        posts = posts.append_column("posted_at", pa.array(times, pa.timestamp("us", "UTC")))
    problem = build(market([dt.date(2020, 1, 1)], posts))
    assert problem.event_id.tolist() == ["e0"]
