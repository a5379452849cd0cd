"""Past campaigns of the simulated market: who was booked for which event, and what came of it.

Shapes: B brands, C creators, M content types, G genres, E events, N campaigns (one bought piece of content each).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.simulated.outcomes import Drivers, Occasions, Outcome, draw_outcome, expected_outcome
from micromega.market.simulated.people import SUBJECT_DIMS, People
from micromega.market.simulated.terms import ROUND, past_events_table
from micromega.market.simulated.trends import draw_trends, trends_table
from micromega.market.simulated.vocabulary import CITIES, CONTENT_TYPES, EVENT_GENRES, EVENT_TYPES

CAMPAIGNS = 5.0
"""Mean number of campaigns per creator."""
SKILL_SD = 0.25
"""Spread of creators' skills at content types, log impressions."""
RETURN, VALUE_SD = 0.8, 0.3
"""Revenue that an ordinary post for a brand picked at random earns, as a multiple of its price, and the spread of
brands' values (log). Brands pick creators who fit, so that most campaigns pay."""
EXPLORATION = 0.2
"""Share of campaigns whose creator was picked at random; the others follow affinity and past engagement."""
OF_ENGAGEMENT = 0.5
"""Log odds of being picked per unit of log engagement."""
TYPE_SHARES = np.array([0.5, 0.25, 0.25])
"""(M,) how often posts, stories and videos are bought."""
OFFSETS = np.array([-14, -10, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 5, 7])
"""Days relative to the event on which campaigns were published, all equally often."""
DISCOUNT, PRICE_SD = 0.06, 0.05
"""Prices were lower by this share for each year back, and vary by so much (log)."""
_HORIZON = 60
"""Days after the last event for which the truth knows the trends."""

Tables = Mapping[str, pa.Table]


def campaigns_tables(
    rng: np.random.Generator,
    people: People,
    affinity: NDArray[np.float64],
    *,
    city: NDArray[np.str_],
    impressions: NDArray[np.float64],
    engagements: NDArray[np.float64],
    prices: pa.Table,
    events: pa.Table,
    last_day: np.datetime64,
    campaigns: float = CAMPAIGNS,
) -> tuple[Tables, Tables]:
    """Draw two years of campaigns with the events that they served and the trends that they met.

    Args:
        rng: random stream.
        people: the accounts.
        affinity: (B, C) true affinity.
        city: (C,) where each creator lives, from the accounts table.
        impressions: (C,) expected impressions of an ordinary post of each creator.
        engagements: (B, C) expected engagements of one advertisement, the column of truth("affinity").
        prices: what `prices_table` gave.
        events: what `events_table` gave: events still to come.
        last_day: day of the market's last post (datetime64[D]); nothing published is later.
        campaigns: mean number of campaigns per creator; a little fewer come out, as none is bought twice.

    Returns:
        Tables "events" (past ones after those to come), "campaigns", "trends"; truth "campaigns" (expected outcomes),
        "campaign_creators", "campaign_brands", "trends" (the true index, weeks to come included).
    """
    creators = len(people.ids) - people.brands
    past = past_events_table(rng, people, last_day=last_day)
    horizon = np.asarray(events["date"].to_numpy(), "datetime64[D]").max() + _HORIZON
    trends, observed = draw_trends(rng, last_day=last_day, horizon=horizon)
    price_CM = prices["price"].to_numpy().reshape(creators, len(CONTENT_TYPES))
    drivers = Drivers(
        impressions=impressions,
        engagements=engagements,
        skill=SKILL_SD * rng.normal(size=price_CM.shape),
        genre_fit=_genre_fit(rng, people),
        city=city_codes(city),
        value=_values(rng, price_CM[:, 0], engagements),
        occasions=occasions_of(past, people.ids[: people.brands]),
        trends=trends,
    )
    event_N, creator_N, type_N, offset_N = _bookings(rng, people, affinity, drivers.occasions, campaigns)
    expected = expected_outcome(drivers, creator=creator_N, content_type=type_N, event=event_N, offset_days=offset_N)
    found = draw_outcome(rng, expected)
    day_N = drivers.occasions.date[event_N] + offset_N.astype("timedelta64[D]")
    years_N = (last_day - day_N).astype(np.float64) / 365.25
    price_N = price_CM[creator_N, type_N] * (1 - DISCOUNT * years_N) * np.exp(PRICE_SD * rng.normal(size=len(day_N)))
    ids = pa.array(np.char.mod("k%07d", np.arange(len(day_N))))
    table = pa.table(
        {
            "campaign_id": ids,
            "creator_id": people.ids[people.brands :][creator_N],
            "content_type": np.array(list(CONTENT_TYPES))[type_N],
            "event_id": drivers.occasions.event_id[event_N],
            "offset_days": offset_N,
            "posted_on": pa.array(day_N),
            "price": np.maximum(np.round(price_N / ROUND) * ROUND, ROUND),
            "impressions": found.impressions.astype(np.int64),
            "engagement": found.engagement.astype(np.int64),
            "revenue": found.revenue,
        }
    )
    tables = {
        "events": pa.concat_tables([events, past]),
        "campaigns": table,
        "trends": trends_table(trends.first, observed),
    }
    return tables, _truth(people, drivers, ids, expected)


def occasions_of(events: pa.Table, brand_ids: NDArray[Any]) -> Occasions:
    """Turn rows of an events table of the simulated market into codes."""
    return Occasions(
        event_id=_strings(events["event_id"]),
        brand=_codes(_strings(events["brand_id"]), brand_ids),
        date=np.asarray(events["date"].to_numpy(), "datetime64[D]"),
        city=city_codes(_strings(events["location"])),
        genre=_codes(_strings(events["genre"]), np.array(EVENT_GENRES)),
        scale=np.maximum(events["scale"].to_numpy(), 1.0),
        type=_codes(_strings(events["type"]), np.array(EVENT_TYPES)),
    )


def city_codes(names: NDArray[Any]) -> NDArray[np.int64]:
    """Indices in `CITIES`, -1 elsewhere."""
    return _codes(names, np.array(CITIES.split()))


def _codes(names: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int64]:
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, names, sorter=order), len(known) - 1)
    return np.where(known[order[place]] == names, order[place], -1)


def _strings(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.array(column.to_pylist(), dtype=str)


def _genre_fit(rng: np.random.Generator, people: People) -> NDArray[np.float64]:
    """Draw how well creators suit genres: their subjects along a random direction for each genre, standardised."""
    direction_LG = rng.normal(size=(SUBJECT_DIMS, len(EVENT_GENRES)))
    fit_CG = people.subject[people.brands :] @ direction_LG
    centred_CG: NDArray[np.float64] = fit_CG - fit_CG.mean(axis=0)
    centred_CG /= np.maximum(centred_CG.std(axis=0), 1e-9)
    return centred_CG


def _values(
    rng: np.random.Generator, price_C: NDArray[np.float64], engagements: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Draw what an engagement is worth to each brand, such that ordinary posts earn `RETURN` times their price."""
    usual = RETURN * float(np.median(price_C / engagements.mean(axis=0)))
    value_B: NDArray[np.float64] = usual * np.exp(VALUE_SD * rng.normal(size=len(engagements)))
    return value_B


def _bookings(
    rng: np.random.Generator, people: People, affinity: NDArray[np.float64], events: Occasions, campaigns: float
) -> tuple[NDArray[np.int64], ...]:
    """Draw who was booked: event, creator, content type and offset of N different campaigns, by event."""
    brands, creators = affinity.shape
    count = max(1, round(campaigns * creators))
    size_E = np.cumsum(events.scale**0.3)
    event_N = np.sort(np.searchsorted(size_E, rng.random(count) * size_E[-1], side="right"))
    event_N = np.minimum(event_N, len(size_E) - 1)
    odds_BC = affinity + OF_ENGAGEMENT * people.log_engagement[brands:]
    odds_BC = np.exp(odds_BC - odds_BC.max(axis=1, keepdims=True))
    cumulated_BC = np.cumsum(odds_BC / odds_BC.sum(axis=1, keepdims=True), axis=1)
    row_N = events.brand[event_N]
    # Row b lives in [b, b + 1), so that one search serves all rows.
    flat_N = np.searchsorted((cumulated_BC + np.arange(brands)[:, None]).ravel(), row_N + rng.random(count))
    creator_N = np.clip(flat_N - row_N * creators, 0, creators - 1)
    creator_N = np.where(rng.random(count) < EXPLORATION, rng.integers(0, creators, count), creator_N)
    type_N = rng.choice(len(TYPE_SHARES), count, p=TYPE_SHARES)
    offset_N = rng.choice(OFFSETS, count)
    columns = event_N, creator_N, type_N, offset_N - OFFSETS.min()
    code_N = np.ravel_multi_index(columns, tuple(int(column.max()) + 1 for column in columns))
    first = np.unique(code_N, return_index=True)[1]  # nobody buys the same post twice
    return event_N[first], creator_N[first], type_N[first], offset_N[first]


def _truth(people: People, drivers: Drivers, ids: pa.Array, expected: Outcome) -> Tables:
    trends = drivers.trends
    return {
        "campaigns": pa.table(
            {
                "campaign_id": ids,
                "expected_impressions": expected.impressions,
                "expected_engagement": expected.engagement,
                "expected_revenue": expected.revenue,
            }
        ),
        "campaign_creators": pa.table(
            {
                "creator_id": people.ids[people.brands :],
                "impressions": drivers.impressions,
                "skill": _lists(drivers.skill),
                "genre_fit": _lists(drivers.genre_fit),
            }
        ),
        "campaign_brands": pa.table({"brand_id": people.ids[: people.brands], "value_per_engagement": drivers.value}),
        "trends": trends_table(trends.first, np.exp(trends.log_index)),
    }


def _lists(values: NDArray[np.float64]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
