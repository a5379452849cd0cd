"""From every setting to the plan it leads to, on a market small enough to check by hand."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError, ScoreError
from micromega.scores import Lineage, ScoreKind, write_scores
from micromega.solvers.campaign import build_problem, explain, plan_table, solve, verify
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.constraints import weeks
from micromega.solvers.plan import Status

ACCOUNTS = pa.table(
    {
        "account_id": ["nike", "adidas", "ann", "bob", "cy", "dee"],
        "kind": ["brand", "brand", "creator", "creator", "creator", "creator"],
        "category": ["sports", "sports", "food", "food", "travel", None],
        "followers": pa.array([None, None, 900, 5000, 20_000, 80_000], pa.int64()),
    }
)
EVENTS = pa.table(
    {
        "event_id": ["launch", "run", "theirs"],
        "brand_id": ["nike", "nike", "adidas"],
        "date": pa.array([dt.date(2024, 5, 1), dt.date(2024, 5, 7), dt.date(2024, 5, 2)], pa.date32()),
        "location": ["Rome", "Oslo", "Rome"],
        "genre": ["fair", "sport", "fair"],
    }
)
MENTIONS = pa.table(
    {
        "creator_id": ["cy", "bob", "dee"],
        "brand_id": ["adidas", "adidas", "nike"],
        "posts": [1, 2, 1],
        "last_at": pa.array([dt.datetime(2024, 4, 20), dt.datetime(2024, 1, 1), None], pa.timestamp("us", "UTC")),
    }
)
CREATORS, OFFSETS = ("ann", "bob", "cy", "dee"), (-6, 0)
WORTH = dict(zip(CREATORS, (10.0, 40.0, 70.0, 100.0), strict=True))
ROWS = [(creator, event, offset) for creator in CREATORS for event in ("launch", "run", "theirs") for offset in OFFSETS]
PREDICTED = pa.table(
    {
        "creator_id": [creator for creator, _, _ in ROWS],
        "content_type": ["post"] * len(ROWS),
        "event_id": [event for _, event, _ in ROWS],
        "offset_days": pa.array([offset for *_, offset in ROWS], pa.int64()),
        "mean": [WORTH[creator] + (event == "run") + offset / 10 for creator, event, offset in ROWS],
        "std": pa.array([None if creator == "ann" else 1.0 for creator, _, _ in ROWS], pa.float64()),
        "price": [WORTH[creator] / 2 for creator, _, _ in ROWS],
    }
)


def market(**tables: pa.Table) -> SimpleNamespace:
    content = {"accounts": ACCOUNTS, "events": EVENTS, "mentions": MENTIONS} | tables
    return SimpleNamespace(currency="USD", tables=content, table=content.__getitem__, fingerprint="f")


def build(kind: str = "impressions", brand: str = "nike", **config: object):
    settings = CampaignConfig(**({"budget": 1000.0, "max_posts_per_creator": None} | config))
    return build_problem(settings, brand_id=brand, scores=PREDICTED, market=market(), kind=kind)


def booked(**config: object) -> list[tuple[str, str, int]]:
    problem = build(**config)
    plan = solve(problem)
    assert plan.status is Status.OPTIMAL
    assert verify(problem, plan).ok
    chosen = np.flatnonzero(plan.chosen)
    return [(str(problem.creator_id[i]), str(problem.event_id[i]), int(problem.offset_days[i])) for i in chosen]


def test_predictions_are_taken_as_they_are() -> None:
    problem = build()
    assert len(problem) == 4 * 2 * 2, "the brand's events, all offsets of the table"
    assert set(problem.event_id.tolist()) == {"launch", "run"}
    place = (problem.creator_id == "cy") & (problem.event_id == "run") & (problem.offset_days == -6)
    assert problem.effectiveness[place].tolist() == [70.4]
    assert problem.price[place].tolist() == [35.0]
    assert problem.date[place].astype(str).tolist() == ["2024-05-01"]
    assert problem.std[problem.creator_id == "ann"].tolist() == [0.0] * 4
    assert problem.unit == "impressions"
    assert build(offsets=(0,)).offset_days.tolist() == [0] * 8
    assert build("currency").unit == "USD of value"
    valued = build(objective="value", weights={"impressions": 0.5})
    assert valued.effectiveness == pytest.approx(0.5 * problem.effectiveness)
    assert valued.std == pytest.approx(0.5 * problem.std)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"objective": "engagement"}, "predicts impressions, not"),
        ({"objective": "value"}, "needs weights {impressions"),
        ({"objective": "value", "weights": {"engagement": 1}}, "needs weights {impressions"),
        ({"budget_per_event": {"lunch": 5.0}}, 'problem.budget_per_event: nothing to plan has "lunch". Known: launch'),
        ({"budget_per_week": {"2024-W01": 5.0}}, "Known: 2024-W1[789]"),
        ({"posts_per_location": {"Roma": {"max": 1}}}, 'posts_per_location: nothing to plan has "Roma". Known: Rome'),
        ({"posts_per_category": {"fod": {"max": 1}}}, 'no creator category "fod"'),
        ({"share_caps": [{"of": "genre", "share": 0.5, "only": ["fete"]}]}, 'share_caps.genre: nothing .* "fete"'),
        ({"competitors": {"nike": ["puma"]}}, 'problem.competitors: no brand "puma"'),
        ({"spend_levels": [{"price": 1, "effect": 1}, {"price": 1, "effect": 2}]}, "stands there twice"),
        ({"spend_levels": [{"price": 2}]}, "give the effect of each level"),
        ({"min_gap_days": 2, "events": [{"event_id": "launch"}]}, "min_gap_days: event launch has no date"),
    ],
)
def test_settings_that_cannot_be(config: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build(**config)


def test_a_table_without_the_brand_s_events() -> None:
    with pytest.raises(
        ScoreError, match="no row for brand nike: it holds events launch, run, theirs, the plan is for x"
    ):
        build(events=[{"event_id": "x"}])


def test_frequency() -> None:
    assert len(booked()) == 16
    assert len(booked(max_posts_per_creator=3)) == 12
    assert len(booked(max_posts_per_creator_and_event=1)) == 8
    # run - 6 days and launch fall on one day
    days = booked(max_posts_per_creator_and_day=1)
    assert len(days) == 12
    assert not {("dee", "launch", 0), ("dee", "run", -6)} <= set(days)
    assert len(booked(min_gap_days=7)) == 8, "25 April and 1 May are 6 days apart, 25 April and 7 May 12"
    assert len(booked(min_gap_days=6)) == 12


def test_money() -> None:
    assert weeks(np.array(["2024-05-01", "2021-01-01"], "datetime64[D]")).tolist() == ["2024-W18", "2020-W53"]
    problem = build(budget_per_event={"run": 50.0})
    plan = solve(problem)
    assert problem.price[plan.chosen & (problem.event_id == "run")].sum() == 50.0
    assert plan.chosen[problem.event_id == "launch"].all()
    problem = build(budget_per_week=55.0)
    plan = solve(problem)
    week = weeks(problem.date)
    assert {name: problem.price[plan.chosen & (week == name)].sum() for name in set(week.tolist())} == pytest.approx(
        {"2024-W17": 55.0, "2024-W18": 55.0, "2024-W19": 55.0}
    )
    few = booked(min_spend_per_creator=75.0, budget=90.0)
    assert {creator for creator, *_ in few} == {"bob"}, "four posts for 80; dee at 100 and cy at 105 cost too much"
    assert len(few) == 4


def test_counts_and_shares() -> None:
    tiers = booked(posts_per_tier={"sub-nano": {"max": 1}, "mid-tier": {"max": 0}, "micro": {"max": 2}})
    assert [sum(creator == name for creator, *_ in tiers) for name in CREATORS] == [1, 4, 2, 0]
    assert len(booked(posts_per_location={"Oslo": {"max": 3}}, posts_per_genre={"fair": {"max": 2}})) == 5
    assert len(booked(posts_per_content_type={"post": {"max": 7}}, posts_at_events={"run": {"min": 7}})) == 7
    assert len(booked(posts_per_category={"travel": {"max": 1}})) == 13
    shared = booked(share_caps=[{"of": "event", "share": 0.5}], posts_at_events={"launch": {"max": 3}})
    assert len(shared) == 6
    assert len({creator for creator, *_ in booked(budget=110.0, min_distinct={"creator": 4})}) == 4


def test_competitors_of_the_past() -> None:
    assert set(build(competitors={"nike": ["adidas"]}).creator_id.tolist()) == {"ann", "dee"}
    problem = build(competitors={"nike": ["adidas"]}, competitor_days=10)
    assert set(problem.creator_id.tolist()) == {"ann", "bob", "dee"}, "the first day is 25 April"
    assert "1 creators left out: worked for a competitor of nike within 10 days." in problem.notes
    past = {
        "campaign_id": ["x"],
        "creator_id": ["dee"],
        "event_id": ["theirs"],
        "posted_on": pa.array([dt.date(2024, 4, 24)], pa.date32()),
    }
    settings = CampaignConfig(competitors={"nike": ["adidas"]}, competitor_days=3)
    world = market(campaigns=pa.table(past))
    problem = build_problem(settings, brand_id="nike", scores=PREDICTED, market=world, kind="impressions")
    assert set(problem.creator_id.tolist()) == {"ann", "bob", "cy"}


def test_several_brands_share_creators() -> None:
    wishes = {"brands": {"nike": 60.0, "adidas": 60.0}, "max_posts_per_creator": 2, "budget": 100.0}
    problem = build(**wishes)
    assert set(zip(problem.brand_id.tolist(), problem.event_id.tolist(), strict=True)) == {
        ("nike", "launch"), ("nike", "run"), ("adidas", "theirs"),
    }  # fmt: skip
    plan = solve(problem)
    assert verify(problem, plan).ok
    spent = {name: problem.price[plan.chosen & (problem.brand_id == name)].sum() for name in ("nike", "adidas")}
    assert max(spent.values()) <= 60
    assert sum(spent.values()) <= 100
    table = plan_table(problem, plan)
    assert set(table["brand_id"].to_pylist()) == {"nike", "adidas"}
    worked = set(zip(table["creator_id"].to_pylist(), table["brand_id"].to_pylist(), strict=True))
    assert len(worked) > len({creator for creator, _ in worked}), "without a rule somebody works for both"
    apart = {"adidas": ["nike"]}
    strict = build(**wishes, competitors=apart)
    chosen = solve(strict).chosen
    pairs = set(zip(strict.creator_id[chosen].tolist(), strict.brand_id[chosen].tolist(), strict=True))
    assert len(pairs) == len({creator for creator, _ in pairs}), "with it nobody does"
    assert not {"dee"} & set(strict.creator_id[strict.brand_id == "adidas"].tolist()), "dee mentioned nike"


def test_spend_levels() -> None:
    levels = [{"price": 0.5, "effect": 0.7}, {"price": 1, "effect": 1}, {"price": 3, "effect": 1.2}]
    problem = build(spend_levels=levels, budget=100.0, max_posts_per_creator=1)
    plan = solve(problem)
    assert verify(problem, plan).ok
    levels_of = dict(zip(problem.creator_id[plan.chosen].tolist(), problem.level[plan.chosen].tolist(), strict=True))
    # half price brings 7/10: 55 buys everybody, and the 45 left raise dee (25), cy (17.5) and ann (2.5) to the usual
    assert levels_of == {"ann": 1.0, "bob": 0.5, "cy": 1.0, "dee": 1.0}
    assert "level" in plan_table(problem, plan).column_names
    assert any(name.startswith("at most one spend level for post by ann, launch") for name in problem.rows.names)


def test_spend_levels_from_a_response_curve(tmp_path) -> None:
    """log impressions = 2 + 0.5 log followers: four times the price brings twice the impressions."""
    at = np.log([100.0, 1e6])
    table = pa.table({"subject_id": ["all", "all"], "log_followers": at, "log_impressions": 2 + 0.5 * at})
    empty = pa.array([None, None], pa.float64())
    table = table.append_column("elasticity", pa.array([0.5, 0.5])).append_column("lower", empty)
    table = table.append_column("upper", empty)
    lineage = Lineage(score_kind=ScoreKind.LOG_IMPRESSIONS, model="m", market_fingerprint="f", config_signature="s")
    write_scores(table, tmp_path / "response.parquet", name="response", lineage=lineage)
    problem = build(spend_levels=[{"price": 1}, {"price": 4}], response=str(tmp_path / "response.parquet"))
    once, four = problem.level == 1, problem.level == 4
    assert problem.effectiveness[four] == pytest.approx(2 * problem.effectiveness[once])
    assert problem.price[four] == pytest.approx(4 * problem.price[once])


def test_a_smaller_budget_that_works_is_named_for_new_rules() -> None:
    problem = build(budget=10.0, min_distinct={"creator": 2}, min_spend_per_creator=12.0)
    assert solve(problem).status is Status.INFEASIBLE
    conflict = explain(problem)
    assert conflict is not None
    assert set(conflict.settings) == {"min_distinct.creator", "budget"}
    assert conflict.smallest_budget == 35.0, "three posts of ann at 5, one of bob at 20"
    assert "min_distinct.creator: at least 2 different creators" in conflict.message()
