"""What creators ask for, and the events that brands hold."""

import numpy as np
import pyarrow as pa

from micromega.market.simulated.people import People
from micromega.market.simulated.posts import DAYS, START
from micromega.market.simulated.vocabulary import CITIES, CONTENT_TYPES, EVENT_GENRES, EVENT_TYPES

PRICE_PER_THOUSAND = 10.0
"""Price of a post per 1,000 followers at 20,000 followers, in the market's currency."""
PRICE_ELASTICITY = 0.9
"""Price grows as followers to this power."""
PRICE_SD = 0.35
"""Spread of log prices between creators of one size."""
PRICE_OF_ENGAGEMENT = 0.5
"""How far (log on log) prices follow a creator's engagement: some of it, so that bargains exist."""
ROUND = 5.0
EVENTS = 1.5
"""Mean number of events per brand beyond the first."""
HORIZON_DAYS = 90
"""Events to come take place within so many days, which begin a week after the last posts."""
PAST_EVENTS = 7.0
"""Mean number of past events per brand beyond the first."""
EARLIEST, LATEST = 700, 8
"""Past events took place so many days before the last post, so that all posts about them lie between the two."""


def prices_table(rng: np.random.Generator, people: People) -> pa.Table:
    """Prices of every creator and content type."""
    creators = slice(people.brands, None)
    followers_C = people.followers[creators].astype(np.float64)
    at_anchor = PRICE_PER_THOUSAND * 20.0
    price_C = at_anchor * (followers_C / 20_000.0) ** PRICE_ELASTICITY
    price_C *= np.exp(PRICE_OF_ENGAGEMENT * people.log_engagement[creators] + PRICE_SD * rng.normal(size=len(price_C)))
    factors = np.array(list(CONTENT_TYPES.values()))
    price_CM = price_C[:, None] * factors * np.exp(0.1 * rng.normal(size=(len(price_C), len(factors))))
    price_CM = np.maximum(np.round(price_CM / ROUND) * ROUND, ROUND)
    return pa.table(
        {
            "creator_id": np.repeat(people.ids[creators], len(factors)),
            "content_type": np.tile(np.array(list(CONTENT_TYPES)), len(price_C)),
            "price": price_CM.ravel(),
        }
    )


def events_table(rng: np.random.Generator, people: People) -> pa.Table:
    """Events of every brand, after the last posts."""
    first = START.astype("datetime64[D]") + DAYS + 7
    return _events(rng, people, prefix="e", mean=EVENTS, first=first, days=HORIZON_DAYS)


def past_events_table(rng: np.random.Generator, people: People, *, last_day: np.datetime64) -> pa.Table:
    """Events of every brand in the two years before a day.

    Args:
        rng: random stream.
        people: the accounts.
        last_day: day of the market's last post.

    Returns:
        As `events_table`, with ids of their own.
    """
    days = EARLIEST - LATEST + 1
    return _events(rng, people, prefix="h", mean=PAST_EVENTS, first=last_day - EARLIEST, days=days)


def _events(
    rng: np.random.Generator, people: People, *, prefix: str, mean: float, first: np.datetime64, days: int
) -> pa.Table:
    times_B = 1 + rng.poisson(mean, people.brands)
    brand_E = np.repeat(np.arange(people.brands), times_B)
    count = len(brand_E)
    return pa.table(
        {
            "event_id": np.char.mod(prefix + "%05d", np.arange(count)),
            "brand_id": people.ids[brand_E],
            "date": pa.array(first + rng.integers(0, days, count).astype("timedelta64[D]")),
            "location": rng.choice(CITIES.split(), count),
            "genre": rng.choice(EVENT_GENRES, count),
            "scale": np.round(np.exp(rng.normal(7.0, 1.0, count))),
            "type": rng.choice(EVENT_TYPES, count, p=[0.6, 0.2, 0.2]),
        }
    )
