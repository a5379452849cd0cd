"""The known effectiveness, read back from a market's folder."""

import doctest

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import DataError
from micromega.market import Market, simulate, write_market
from micromega.market.simulated import known
from micromega.market.simulated.known import drivers_of, true_outcome

NAMES = ("creator_id", "content_type", "event_id", "offset_days")


@pytest.fixture(scope="module")
def market(world, tmp_path_factory) -> Market:
    people = world.people
    kinds = ["brand"] * people.brands + ["creator"] * (len(people.ids) - people.brands)
    places = [None] * people.brands + world.city.tolist()
    accounts = pa.table({"account_id": people.ids, "kind": kinds, "location": pa.array(places, pa.string())})
    affinity = pa.table({"expected_engagements": world.engagements.ravel()})
    return write_market(
        tmp_path_factory.mktemp("known") / "market",
        {"accounts": accounts, **world.tables},
        name="simulated-test",
        currency="USD",
        truth={**world.truth, "affinity": affinity},
    )


def outcome_of(market: Market, rows: list[dict[str, object]]):
    return true_outcome(market, **{name: [row[name] for row in rows] for name in NAMES})


def check_past(market: Market) -> None:
    found = outcome_of(market, market.table("campaigns").to_pylist())
    truth = market.truth("campaigns")
    assert truth["campaign_id"].equals(market.table("campaigns")["campaign_id"].cast(pa.string()))
    for name in ("impressions", "engagement", "revenue"):
        assert getattr(found, name) == pytest.approx(truth[f"expected_{name}"].to_numpy(), rel=1e-9)


def test_past_campaigns_give_their_truth(market):
    check_past(market)


def test_posts_to_come_and_what_moves_them(market):
    """A local creator at an event in person; the day that suits a video; more visitors."""
    drivers = drivers_of(market)
    events = market.table("events").to_pylist()
    place, event = next(
        (i, row) for i, row in enumerate(events) if row["type"] == "in person" and row["event_id"].startswith("e")
    )
    local = int(np.flatnonzero(drivers.city == drivers.occasions.city[place])[0])
    rows = [
        {"creator_id": f"c{local:06d}", "content_type": "video", "event_id": event["event_id"], "offset_days": day}
        for day in (-7, -30, 25)
    ]
    best, early, late = outcome_of(market, rows).impressions
    week = np.log(market.truth("trends")["index"].to_numpy()).std() * 0.7 * 6  # trends differ between the days
    assert best > early * np.exp(0.45 - week)
    assert best > late * np.exp(0.45 - week)
    assert np.isfinite([best, early, late]).all()
    ratio = outcome_of(market, rows).engagement / outcome_of(market, rows).impressions
    brand = int(event["brand_id"][1:])
    expected = drivers.engagements[brand, local] / drivers.impressions[local] * np.exp(0.2 + 0.15)
    assert ratio == pytest.approx(np.full(3, expected))


def test_unknown_names_are_errors(market):
    row = {"creator_id": "c000001", "content_type": "post", "event_id": "e00000", "offset_days": 0}
    for name, wrong in (("creator_id", "nobody"), ("content_type", "poster"), ("event_id", "e99999")):
        with pytest.raises(DataError, match=f"{name}: the simulated market has no {wrong}"):
            outcome_of(market, [row | {name: wrong}])


def test_a_whole_simulated_market_keeps_its_truth():
    market = simulate(seed=2, brands=6, creators=40, posts=4)
    check_past(market)
    last = max(market.table("posts")["posted_at"].to_pylist()).date()
    assert max(market.table("campaigns")["posted_on"].to_pylist()) <= last
    assert max(market.table("trends")["date"].to_pylist()) <= last
    assert max(market.table("orders")["ordered_at"].to_pylist()).date() <= last
    for row in market.table("events").to_pylist():
        assert (row["date"] > last) == row["event_id"].startswith("e")
    authors = dict(zip(*(market.table("posts")[name].to_pylist() for name in ("post_id", "account_id")), strict=True))
    first = {}
    for row in sorted(market.table("exposures").to_pylist(), key=lambda row: row["at"]):
        first.setdefault(row["post_id"], row["source_id"])
    assert all(authors[post] == source for post, source in first.items())


def test_docstring_examples_run():
    result = doctest.testmod(known)
    assert result.attempted
    assert not result.failed
