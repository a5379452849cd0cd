"""Past campaigns and trends, against formulas written anew, regressions and frequencies."""

import datetime as dt
import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.market.checks import conform
from micromega.market.market import validate
from micromega.market.schemas import SCHEMAS
from micromega.market.simulated.outcomes import Outcome, draw_outcome
from micromega.market.simulated.terms import past_events_table
from micromega.market.simulated.trends import draw_trends

LAST = dt.date(2024, 6, 30)


def column(table, name):
    return np.array(table[name].to_pylist())


def accounts_of(people):
    kinds = ["brand"] * people.brands + ["creator"] * (len(people.ids) - people.brands)
    return pa.table({"account_id": people.ids, "kind": kinds})


def test_sizes_and_references(world):
    tables = {"accounts": accounts_of(world.people), "prices": world.prices, **world.tables}
    valid, notes = validate(tables)
    assert notes == ()
    assert 2_850 <= valid["campaigns"].num_rows <= 3_000
    assert valid["trends"].num_rows == 105 * 7 * 20
    assert 380 < sum(name.startswith("h") for name in valid["events"]["event_id"].to_pylist()) < 580


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), brands=st.integers(1, 14), creators=st.integers(1, 12))
def test_any_size_is_valid(new_world, seed, brands, creators):
    world = new_world(seed, brands=brands, creators=creators)
    validate({"accounts": accounts_of(world.people), **world.tables})
    assert np.isfinite(world.truth["campaigns"]["expected_revenue"].to_numpy()).all()


def test_same_stream_same_tables(new_world):
    first, again = (new_world(5, brands=3, creators=9) for _ in range(2))
    assert all(first.tables[name].equals(again.tables[name]) for name in first.tables)
    assert all(first.truth[name].equals(again.truth[name]) for name in first.truth)


def test_what_comes_is_kept_and_what_is_past_is_over(world):
    events = world.tables["events"]
    assert events.slice(0, world.events.num_rows).equals(world.events)
    past = events.slice(world.events.num_rows)
    assert set(past["brand_id"].to_pylist()) == set(world.people.ids[:60])
    assert max(past["date"].to_pylist()) < LAST
    assert min(past["date"].to_pylist()) > LAST - dt.timedelta(730)
    assert set(world.tables["campaigns"]["event_id"].to_pylist()) <= set(past["event_id"].to_pylist())


def test_campaigns_agree_with_events_prices_and_themselves(world):
    campaigns = world.tables["campaigns"].to_pylist()
    dates = {row["event_id"]: row["date"] for row in world.tables["events"].to_pylist()}
    asked = {(row["creator_id"], row["content_type"]): row["price"] for row in world.prices.to_pylist()}
    for row in campaigns:
        assert row["posted_on"] == dates[row["event_id"]] + dt.timedelta(row["offset_days"])
        assert LAST - dt.timedelta(730) <= row["posted_on"] <= LAST
        assert row["engagement"] <= row["impressions"]
        assert 0.6 * asked[row["creator_id"], row["content_type"]] - 5 <= row["price"]
        assert row["price"] <= 1.3 * asked[row["creator_id"], row["content_type"]] + 5
    keys = {(row["creator_id"], row["content_type"], row["event_id"], row["offset_days"]) for row in campaigns}
    assert len(keys) == len(campaigns), "nobody buys the same post twice"


def test_brands_book_creators_who_fit(world):
    creator = np.searchsorted(world.people.ids[60:], column(world.tables["campaigns"], "creator_id"))
    brands = dict(zip(*(column(world.tables["events"], name) for name in ("event_id", "brand_id")), strict=True))
    brand = np.array([int(brands[event][1:]) for event in column(world.tables["campaigns"], "event_id")])
    booked = world.affinity[brand, creator]
    assert booked.mean() > world.affinity.mean() + 1.5 * world.affinity.std()
    assert len(np.unique(creator)) > 300, "some are picked at random, so that others are seen too"


def test_expected_outcome_is_the_documented_formula(world):
    """One row at a time, in plain Python, from the tables alone."""
    creators = {row["creator_id"]: row for row in world.truth["campaign_creators"].to_pylist()}
    values = {
        row["brand_id"]: (i, row["value_per_engagement"])
        for i, row in enumerate(world.truth["campaign_brands"].to_pylist())
    }
    events = {row["event_id"]: row for row in world.tables["events"].to_pylist()}
    index = {(row["date"], row["genre"], row["location"]): row["index"] for row in world.truth["trends"].to_pylist()}
    genres = ["launch", "festival", "fair", "exhibition", "concert", "charity", "sport"]
    kinds = {
        "post": (0, 0.0, -3, 4, 0.0, 0.0),
        "story": (1, -0.4, 0, 2, -0.5, 0.35),
        "video": (2, 0.3, -7, 5, 0.2, 0.1),
    }
    rows = list(zip(world.tables["campaigns"].to_pylist(), world.truth["campaigns"].to_pylist(), strict=True))
    for row, truth in rows[::13]:
        creator, event = creators[row["creator_id"]], events[row["event_id"]]
        place, reach, best, width, rate, worth = kinds[row["content_type"]]
        c = int(row["creator_id"][1:])
        monday = row["posted_on"] - dt.timedelta(row["posted_on"].weekday())
        local = world.city[c] == event["location"]
        log_effect = reach + creator["skill"][place] + 0.2 * creator["genre_fit"][genres.index(event["genre"])]
        log_effect += 0.12 * (math.log(max(event["scale"], 1)) - 7)
        log_effect += {"in person": 0.35, "online": 0.0, "hybrid": 0.2}[event["type"]] * local
        log_effect += 0.5 * (math.exp(-0.5 * ((row["offset_days"] - best) / width) ** 2) - 0.4)
        log_effect += 0.7 * math.log(index[monday, event["genre"], event["location"]])
        impressions = world.impressions[c] * math.exp(log_effect)
        brand, value = values[event["brand_id"]]
        share = world.engagements[brand, c] / world.impressions[c]
        share = min(share * math.exp(rate + 0.15 * (local and event["type"] != "online")), 0.5)
        assert truth["expected_impressions"] == pytest.approx(impressions)
        assert truth["expected_engagement"] == pytest.approx(impressions * share)
        assert truth["expected_revenue"] == pytest.approx(impressions * share * value * math.exp(worth))


@pytest.mark.parametrize("name", ["impressions", "engagement", "revenue"])
def test_outcomes_are_unbiased(new_world, name):
    world = new_world(1, brands=40, creators=4_000)
    ratio = world.tables["campaigns"][name].to_numpy() / world.truth["campaigns"][f"expected_{name}"].to_numpy()
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))
    assert 0.2 < ratio.std() < 1.2, "neither certain nor hopeless"


def test_mean_of_many_draws_is_the_expectation():
    """Small counts, large counts, and engagement close to its cap."""
    expected = np.array([[3.0, 0.5, 2.0], [40_000.0, 800.0, 950.0], [900.0, 450.0, 30.0]])
    repeats = 100_000
    rows = np.repeat(expected, repeats, axis=0)
    found = draw_outcome(
        np.random.default_rng(0), Outcome(impressions=rows[:, 0], engagement=rows[:, 1], revenue=rows[:, 2])
    )
    for place, drawn in enumerate((found.impressions, found.engagement, found.revenue)):
        values = drawn.reshape(3, repeats)
        error = values.std(axis=1) / np.sqrt(repeats)
        assert (np.abs(values.mean(axis=1) - expected[:, place]) < 4.5 * error).all()


def test_effects_can_be_learned_from_history(new_world):
    """A linear regression on what the tables show finds the effects of trend, scale, city and type."""
    world = new_world(2, brands=60, creators=6_000)
    campaigns, events = world.tables["campaigns"], world.tables["events"]
    order = pc.index_in(campaigns["event_id"], value_set=events["event_id"])
    of_event = {name: column(events.take(order), name) for name in ("genre", "location", "scale", "type")}
    trends = {
        (row["date"], row["genre"], row["location"]): math.log(row["index"])
        for row in world.tables["trends"].to_pylist()
    }
    days = campaigns["posted_on"].to_pylist()
    mondays = [day - dt.timedelta(day.weekday()) for day in days]
    trend = [trends[key] for key in zip(mondays, of_event["genre"], of_event["location"], strict=True)]
    creator = np.searchsorted(world.people.ids[60:], column(campaigns, "creator_id"))
    local = (world.city[creator] == of_event["location"]) & (of_event["type"] == "in person")
    kind = column(campaigns, "content_type")
    design = np.column_stack(
        [np.ones(len(kind)), trend, np.log(np.maximum(of_event["scale"], 1)), local, kind == "story", kind == "video"]
    )
    log_reach = np.log(np.maximum(campaigns["impressions"].to_numpy(), 1) / world.impressions[creator])
    found = np.linalg.lstsq(design, log_reach, rcond=None)[0]
    assert found[1] == pytest.approx(0.7, abs=0.06)
    assert found[2] == pytest.approx(0.12, abs=0.02)
    assert found[3] == pytest.approx(0.35, abs=0.08)
    assert found[4] < -0.3
    assert found[5] > 0.2


def test_trends_have_seasons_regions_and_little_error(world):
    observed = world.tables["trends"]
    table = conform(observed, SCHEMAS["trends"], "trends.parquet")
    index = table["index"].to_numpy().reshape(105, 7, 20)
    days = table["date"].to_pylist()[:: 7 * 20]
    assert all(day.weekday() == 0 for day in days)
    assert [(later - day).days for day, later in itertools.pairwise(days)] == [7] * 104
    assert days[-1] <= LAST < days[-1] + dt.timedelta(7)
    true = world.truth["trends"].slice(0, observed.num_rows)
    for name in ("date", "genre", "location"):
        assert true[name].to_pylist() == observed[name].to_pylist()
    error = np.log(index.ravel() / true["index"].to_numpy())
    assert np.std(error) == pytest.approx(0.05, rel=0.05)
    angle = 2 * np.pi * np.array([day.timetuple().tm_yday for day in days]) / 365.25
    waves = np.column_stack([np.ones(105), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    mean_WG = np.log(index[:, :, :14]).mean(axis=2)  # northern cities
    left = mean_WG - waves @ np.linalg.lstsq(waves, mean_WG, rcond=None)[0]
    assert 1 - left.var() / mean_WG.var() > 0.8
    level_GK = np.log(index).mean(axis=0)
    assert (level_GK - level_GK.mean(axis=1, keepdims=True)).std() > 0.08


def test_southern_seasons_are_half_a_year_off():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(30):
        trends, _ = draw_trends(rng, last_day=np.datetime64("2024-06-30"), horizon=np.datetime64("2024-09-30"))
        seasons = trends.log_index[:, :, [0, 17]]  # London, Sydney
        seasons = seasons - seasons.mean(axis=0)
        found.append(np.mean(seasons[:, :, 0] * seasons[:, :, 1]))
    assert np.mean(found) < -0.02


def test_trend_of_a_day_is_that_of_its_week(world):
    trends, observed = draw_trends(
        np.random.default_rng(0), last_day=np.datetime64("2024-06-30"), horizon=np.datetime64("2024-12-01")
    )
    assert str(trends.first) == "2022-06-27"
    assert len(observed) == 105
    days = np.array(["2022-06-27", "2022-07-03", "2022-07-04", "2024-12-01"], "datetime64[D]")
    at = trends.at(days, np.full(4, 2), np.full(4, 5))
    assert at == pytest.approx([trends.log_index[week, 2, 5] for week in (0, 0, 1, -1)])


def test_past_events_do_not_touch_those_to_come(world):
    past = past_events_table(np.random.default_rng(0), world.people, last_day=np.datetime64("2024-01-05"))
    assert max(past["date"].to_pylist()) <= dt.date(2023, 12, 28)
    assert not set(past["event_id"].to_pylist()) & set(world.events["event_id"].to_pylist())
