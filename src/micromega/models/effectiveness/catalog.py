"""Creators, content types and events of a market as codes and arrays, and the posts that are made of them.

Shapes: C creators, E events, N posts for events ("tuples"), -1 where something is unknown. Days are whole days since
1 January 1970.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.market.market import Market

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
NO_DAY = np.iinfo(np.int64).min
"""In place of a day that is not known."""


@dataclass(frozen=True, kw_only=True)
class Creators:
    """Accounts that can be booked; what is known of them has no date."""

    ids: pa.Array
    """(C,) ids."""
    category: Ints
    """(C,) index in `Catalog.categories`."""
    location: Ints
    """(C,) index in `Catalog.locations`."""
    numbers: Reals
    """(C, 4) log(1 + followers), log(1 + hearts), log(1 + videos), verified; NaN where unknown."""
    followers: Reals
    """(C,) NaN where unknown."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """Occasions, past and to come."""

    ids: pa.Array
    """(E,) ids."""
    brand: Ints
    """(E,) index in `Catalog.brands`."""
    day: Ints
    """(E,) day of the event."""
    location: Ints
    """(E,) index in `Catalog.locations`."""
    genre: Ints
    """(E,) index in `Catalog.genres`."""
    type: Ints
    """(E,) index in `Catalog.types`."""
    log_scale: Reals
    """(E,) log(1 + visitors expected), NaN where unknown."""


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All that tuples refer to; categories are sorted by name, so that codes do not depend on row order."""

    creators: Creators
    events: Events
    content_types: tuple[str, ...]
    brands: tuple[str, ...]
    brand_category: Ints
    """(B,) index in `categories`."""
    categories: tuple[str, ...]
    locations: tuple[str, ...]
    genres: tuple[str, ...]
    types: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Tuples:
    """N posts: who, what, for which event, when, at which price, seen from which day."""

    creator: Ints
    """(N,) index among the creators."""
    content_type: Ints
    """(N,) index in `Catalog.content_types`."""
    event: Ints
    """(N,) index among the events, -1: for none."""
    event_day: Ints
    """(N,) day of the event; of the post where it is for none."""
    posted: Ints
    """(N,) day of the post."""
    known_before: Ints
    """(N,) the day of the plan: nothing of this day or later may be used."""
    price: Reals
    """(N,) NaN where unknown."""

    def __len__(self) -> int:
        return len(self.creator)

    def take(self, rows: NDArray[Any]) -> "Tuples":
        """Some of the rows."""
        return Tuples(**{name: value[rows] for name, value in vars(self).items()})


def read_catalog(market: Market) -> Catalog:
    """Code what campaigns refer to.

    Args:
        market: with accounts, campaigns and events.

    Returns:
        The catalog.

    Raises:
        DataError: a table is missing.
    """
    accounts, events = market.table("accounts"), market.table("events")
    campaigns = market.table("campaigns", needs=["content_type"])
    kinds = [campaigns["content_type"]]
    if "prices" in market.tables:
        kinds.append(market.table("prices")["content_type"])
    places = [accounts["location"], events["location"]]
    is_creator = pc.equal(accounts["kind"], "creator")
    people, brands = accounts.filter(is_creator), accounts.filter(pc.invert(is_creator))
    brands = brands.take(pc.sort_indices(brands["account_id"]))
    categories, locations = _names(accounts["category"]), _names(*places)
    genres, types = _names(events["genre"]), _names(events["type"])
    brand_names = tuple(brands["account_id"].to_pylist())
    followers = _real(people["followers"])
    numbers = [np.log1p(_real(people[name])) for name in ("followers", "hearts", "videos")]
    return Catalog(
        creators=Creators(
            ids=people["account_id"].combine_chunks(),
            category=codes(people["category"], categories),
            location=codes(people["location"], locations),
            numbers=np.column_stack([*numbers, _real(people["verified"])]),
            followers=followers,
        ),
        events=Events(
            ids=events["event_id"].combine_chunks(),
            brand=codes(events["brand_id"], brand_names),
            day=days(events["date"]),
            location=codes(events["location"], locations),
            genre=codes(events["genre"], genres),
            type=codes(events["type"], types),
            log_scale=np.log1p(_real(events["scale"])),
        ),
        content_types=_names(*kinds),
        brands=brand_names,
        brand_category=codes(brands["category"], categories),
        categories=categories,
        locations=locations,
        genres=genres,
        types=types,
    )


@dataclass(frozen=True, kw_only=True)
class Past:
    """Campaigns of the past whose outcome is known."""

    tuples: Tuples
    """`known_before` is not set yet: the day of the post."""
    outcome: Reals
    """(N,) in its own unit."""
    campaign_id: pa.Array
    """(N,) ids."""
    dropped: int
    """Campaigns left out: without outcome, content type or day."""


def read_past(market: Market, catalog: Catalog, outcome: str) -> Past:
    """Read the campaigns, oldest event first.

    Args:
        market: with campaigns.
        catalog: of the same market.
        outcome: column of the campaigns table.

    Returns:
        Those with an outcome, a content type and a day.

    Raises:
        DataError: the market has no such outcome.
    """
    table = market.table("campaigns", needs=["content_type", outcome])
    event = places(table["event_id"], catalog.events.ids)
    posted, offset = days(table["posted_on"]), _real(table["offset_days"])
    event_day = np.where(event >= 0, catalog.events.day[event], NO_DAY)
    counted = (posted == NO_DAY) & (event_day != NO_DAY) & ~np.isnan(offset)
    posted = np.where(counted, event_day + np.nan_to_num(offset).astype(np.int64), posted)
    event_day = np.where(event_day == NO_DAY, posted, event_day)
    content_type, value = codes(table["content_type"], catalog.content_types), _real(table[outcome])
    kept = np.flatnonzero((posted != NO_DAY) & (content_type >= 0) & ~np.isnan(value))
    if not len(kept):
        raise DataError(
            f'campaigns.parquet: no row has content_type, {outcome} and a day of publication. Fill "posted_on", or '
            '"event_id" and "offset_days".'
        )
    order = kept[np.lexsort((np.array(table["campaign_id"].to_pylist())[kept], posted[kept], event_day[kept]))]
    tuples = Tuples(
        creator=places(table["creator_id"], catalog.creators.ids)[order],
        content_type=content_type[order],
        event=event[order],
        event_day=event_day[order],
        posted=posted[order],
        known_before=posted[order],
        price=_real(table["price"])[order],
    )
    ids = table["campaign_id"].take(pa.array(order)).combine_chunks()
    return Past(tuples=tuples, outcome=value[order], campaign_id=ids, dropped=table.num_rows - len(order))


def days(column: pa.ChunkedArray) -> Ints:
    """Days since 1 January 1970 of dates or UTC times, `NO_DAY` where null."""
    day = pc.cast(pc.cast(column, pa.date32()), pa.int32())
    return np.asarray(pc.fill_null(pc.cast(day, pa.int64()), NO_DAY).to_numpy(), np.int64)


def codes(column: pa.ChunkedArray, names: tuple[str, ...]) -> Ints:
    """Places of texts among names, -1 where none."""
    return places(column, pa.array(names, pa.string()))


def places(column: pa.ChunkedArray, ids: pa.Array) -> Ints:
    """Places of ids among others, -1 where none."""
    return np.asarray(pc.fill_null(pc.index_in(column, value_set=ids), -1).to_numpy(), np.int64)


def _names(*columns: pa.ChunkedArray) -> tuple[str, ...]:
    return tuple(sorted({name for column in columns for name in pc.unique(column).to_pylist() if name is not None}))


def _real(column: pa.ChunkedArray) -> Reals:
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
