"""From scores, a market and a brand's wishes to a campaign problem."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.creators import Creators, MarketTables, find_creators, unknown
from micromega.solvers.campaign.problem import CampaignProblem, LinearRows

RATE_CARD = {"post": 10.0}
"""Currency per 1,000 followers, where neither the market nor the user names a price."""

_UNITS = {"engagement": "engagements that fit", "fit": "posts that fit"}


def build_problem(config: CampaignConfig, *, brand_id: str, scores: pa.Table, market: MarketTables) -> CampaignProblem:
    """Make the tuples (creator, content type, event, offset) with their values, prices and rules.

    The effectiveness of a tuple is the probability that the creator fits the brand times the creator's median
    engagements per post: the expected number of engagements that fit. It does not depend on event and offset yet.

    Args:
        config: the brand's wishes.
        brand_id: which brand.
        scores: affinity table (brand_id, creator_id, score, score_std) whose scores are probabilities of fit.
        market: accounts, posts and, where it has them, prices and events.

    Returns:
        The problem; its notes say who was left out and where prices and events come from.

    Raises:
        ConfigError: a setting names something unknown, or leaves nobody to choose from.
    """
    creators, notes = find_creators(config, brand_id=brand_id, scores=scores, market=market)
    place, content_type, price, price_notes = _offers(config, creators, market)
    event_id, event_date, event_notes = _occasions(config, brand_id, market)
    notes += price_notes + event_notes
    if not place.size:
        raise ConfigError("problem: no creator is left to choose from. " + " ".join(notes))

    offsets = np.unique(np.array(config.offsets, np.int64))
    shape = (len(place), len(event_id), len(offsets))
    offer, event, offset = (axis.ravel() for axis in np.indices(shape))
    creator = place[offer]
    problem = CampaignProblem(
        creator_id=creators.creator_id[creator],
        content_type=content_type[offer],
        event_id=event_id[event],
        offset_days=offsets[offset],
        date=event_date[event] + offsets[offset],
        effectiveness=(creators.fit * creators.engagement)[creator],
        std=(creators.fit_std * creators.engagement)[creator],
        price=price[offer],
        budget=config.budget,
        rho=config.rho,
        rows=LinearRows.stack(
            list(_rules(config, creators.creator_id[creator], creators.category[creator], event_id[event]))
        ),
        currency=market.currency,
        unit=_UNITS[config.objective],
        notes=notes,
    )
    if lost := sorted(set(config.must_include) - set(problem.creator_id.tolist())):
        raise ConfigError(f"problem.must_include: {', '.join(lost)} cannot be planned. {' '.join(notes)}".strip())
    return problem


def _offers(
    config: CampaignConfig, creators: Creators, market: MarketTables
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64], tuple[str, ...]]:
    """List what can be bought: place of the creator, content type, price, notes."""
    if "prices" in market.tables and market.tables["prices"].num_rows:
        place, content_type, price = _from_table(market.tables["prices"], creators)
        notes: tuple[str, ...] = ()
    else:
        card = config.rate_card or RATE_CARD
        content_type = np.repeat(np.array(list(card), str), len(creators))
        place = np.tile(np.arange(len(creators)), len(card))
        price = np.repeat(np.array(list(card.values())), len(creators)) * creators.followers[place] / 1000
        words = ", ".join(f"{price:g} {market.currency} for a {kind}" for kind, price in card.items())
        notes = (f"The market has no prices: they follow a rate card, per 1,000 followers {words}.",)
    known = np.unique(content_type).tolist()
    for kind in config.content_types:
        if kind not in known:
            raise ConfigError(f"problem.content_types: no price for {unknown(kind, known)}")
    kept = ~np.isnan(price) & np.isin(content_type, np.array(config.content_types or known, str))
    if lost := len(creators) - len(np.unique(place[kept])):
        notes += (f"{lost:,} creators left out: without a price.",)
    return place[kept], content_type[kept], price[kept], notes


def _from_table(prices: pa.Table, creators: Creators) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]:
    place = pc.index_in(prices["creator_id"], value_set=pa.array(creators.creator_id.tolist(), pa.string()))
    offered = pc.is_valid(place)
    prices = prices.filter(offered)
    return (
        place.filter(offered).to_numpy().astype(np.int64),
        np.array(prices["content_type"].to_pylist(), str),
        prices["price"].to_numpy().astype(np.float64),
    )


def _occasions(
    config: CampaignConfig, brand_id: str, market: MarketTables
) -> tuple[NDArray[Any], NDArray[np.datetime64], tuple[str, ...]]:
    """List the events: id, date, notes. The user's own come first, then the market's, then one without a date.

    Events of the market on or before the day of its last post are history, for the effectiveness model to learn from.
    """
    notes: tuple[str, ...] = ()
    listed = [(event.event_id, event.date) for event in config.events]
    if not listed:
        listed, notes = _upcoming(brand_id, market)
    if not listed:
        listed = [("campaign", None)]
        kind = "upcoming events" if notes else "events"
        notes += (f"The brand has no {kind}: the plan is for one campaign without a date.",)
    names = [name for name, _ in listed]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"problem.events: {', '.join(repeated)} stands there twice.")
    return np.array(names, str), np.array([date for _, date in listed], "datetime64[D]"), notes


def _upcoming(brand_id: str, market: MarketTables) -> tuple[list[tuple[str, dt.date | None]], tuple[str, ...]]:
    """List the brand's events after the market's last post; a note says how many are past."""
    if "events" not in market.tables:
        return [], ()
    table = market.tables["events"]
    table = table.filter(pc.equal(table["brand_id"], brand_id))
    listed = list(zip(table["event_id"].to_pylist(), pc.cast(table["date"], pa.date32()).to_pylist(), strict=True))
    posts = market.tables.get("posts")
    last = None if posts is None or "posted_at" not in posts.column_names else pc.max(posts["posted_at"]).as_py()
    if last is None:
        return listed, ()
    upcoming = [(name, date) for name, date in listed if date > last.date()]
    if past := len(listed) - len(upcoming):
        what = "1 event of the brand is" if past == 1 else f"{past:,} events of the brand are"
        return upcoming, (f"{what} left out: not after the market's last post ({last:%Y-%m-%d}).",)
    return upcoming, ()


def _rules(
    config: CampaignConfig, creator_id: NDArray[Any], category: NDArray[Any], event_id: NDArray[Any]
) -> Iterator[LinearRows]:
    """Turn settings into rows: frequency, coverage, posts for each event, wanted creators (eq. 5 and 12)."""
    if (cap := config.max_posts_per_creator) is not None:
        name = f"{_limits(0, cap)} by creator {{key}}"
        yield LinearRows.by_key(creator_id, setting="max_posts_per_creator", name=name, upper=cap)
    least, most = config.posts_per_event.min, config.posts_per_event.max
    if least or most is not None:
        upper = np.inf if most is None else most
        name = f"{_limits(least, most)} for event {{key}}"
        yield LinearRows.by_key(event_id, setting="posts_per_event", name=name, lower=least, upper=upper)
    wanted = [
        (f"coverage.{name}", f"{_limits(least, None)} by creators of category {name}", category == name, least)
        for name, least in (config.coverage or {}).items()
    ]
    wanted += [
        (f"must_include.{name}", f"{_limits(1, None)} by creator {name}", creator_id == name, 1)
        for name in dict.fromkeys(config.must_include)
    ]
    yield LinearRows.of(
        (setting, name, np.flatnonzero(inside), least, np.inf) for setting, name, inside, least in wanted
    )


def _limits(least: int, most: int | None) -> str:
    """Say limits on a number of posts in words."""
    if most is None:
        return f"at least {least} {'post' if least == 1 else 'posts'}"
    if least == 0:
        return f"at most {most} {'post' if most == 1 else 'posts'}"
    return f"between {least} and {most} posts"
