"""What can be bought, and for which occasions: prices and events from settings or market."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.creators import Creators, MarketTables, unknown

RATE_CARD = {"post": 10.0}
"""Currency per 1,000 followers, where neither the market nor the user names a price."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Occasions:
    """Events of a brand.

    Attributes:
        event_id: (E,).
        date: calendar days, (E,); NaT without one.
        location: (E,), "" where unknown.
        genre: (E,), "" where unknown.
        notes: where they come from.
    """

    event_id: NDArray[Any]
    date: NDArray[np.datetime64]
    location: NDArray[Any]
    genre: NDArray[Any]
    notes: tuple[str, ...] = ()


def offers(
    config: CampaignConfig, creators: Creators, market: MarketTables
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64], tuple[str, ...]]:
    """List what can be bought.

    Args:
        config: the brand's wishes.
        creators: C of them.
        market: prices, where it has them.

    Returns:
        Place of the creator, content type, price, (O,) each; notes.
    """
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
    kept = ~np.isnan(price) & wanted_types(config, content_type)
    if lost := len(creators) - len(np.unique(place[kept])):
        notes += (f"{lost:,} creators left out: without a price.",)
    return place[kept], content_type[kept], price[kept], notes


def wanted_types(config: CampaignConfig, content_type: NDArray[Any]) -> NDArray[np.bool_]:
    """Which offers are of a kind that the settings want, (O,).

    Raises:
        ConfigError: a kind has no price.
    """
    known = np.unique(content_type).tolist()
    for kind in config.content_types:
        if kind not in known:
            raise ConfigError(f"problem.content_types: no price for {unknown(kind, known)}")
    return np.isin(content_type, np.array(config.content_types or known, str))


def _from_table(prices: pa.Table, creators: Creators) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]:
    place = pc.index_in(prices["creator_id"], value_set=pa.array(creators.creator_id.tolist(), pa.string()))
    offered = pc.is_valid(place)
    prices = prices.filter(offered)
    return (
        place.filter(offered).to_numpy().astype(np.int64),
        np.array(prices["content_type"].to_pylist(), str),
        prices["price"].to_numpy().astype(np.float64),
    )


def occasions(config: CampaignConfig, brand_id: str, market: MarketTables) -> Occasions:
    """List the events. The user's own come first, then the market's, then one without a date.

    Events of the market on or before the day of its last post are history, for the effectiveness model to learn from.

    Args:
        config: the brand's wishes.
        brand_id: which brand.
        market: events, where it has them, and posts.
    """
    notes: tuple[str, ...] = ()
    listed = [(event.event_id, event.date, event.location, event.genre) for event in config.events]
    if not listed:
        listed, notes = _upcoming(brand_id, market)
    if not listed:
        listed = [("campaign", None, None, None)]
        kind = "upcoming events" if notes else "events"
        notes += (f"The brand has no {kind}: the plan is for one campaign without a date.",)
    names = [name for name, *_ in listed]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"problem.events: {', '.join(repeated)} stands there twice.")
    return Occasions(
        event_id=np.array(names, str),
        date=np.array([date for _, date, _, _ in listed], "datetime64[D]"),
        location=np.array([location or "" for _, _, location, _ in listed], str),
        genre=np.array([genre or "" for *_, genre in listed], str),
        notes=notes,
    )


def _upcoming(
    brand_id: str, market: MarketTables
) -> tuple[list[tuple[str, dt.date | None, str | None, str | None]], tuple[str, ...]]:
    """List the brand's events after the market's last post; a note says how many are past."""
    if "events" not in market.tables:
        return [], ()
    table = market.tables["events"]
    table = table.filter(pc.equal(table["brand_id"], brand_id))
    none = pa.nulls(table.num_rows, pa.string())
    columns = [table["event_id"], pc.cast(table["date"], pa.date32())]
    columns += [table[name] if name in table.column_names else none for name in ("location", "genre")]
    listed = list(zip(*(column.to_pylist() for column in columns), strict=True))
    last = last_day(market)
    if last is None:
        return listed, ()
    upcoming = [event for event in listed if event[1] > last]
    if past := len(listed) - len(upcoming):
        what = "1 event of the brand is" if past == 1 else f"{past:,} events of the brand are"
        return upcoming, (f"{what} left out: not after the market's last post ({last:%Y-%m-%d}).",)
    return upcoming, ()


def last_day(market: MarketTables) -> dt.date | None:
    """Day of the market's last post; None where no time is known."""
    posts = market.tables.get("posts")
    last = None if posts is None or "posted_at" not in posts.column_names else pc.max(posts["posted_at"]).as_py()
    return None if last is None else last.date()
