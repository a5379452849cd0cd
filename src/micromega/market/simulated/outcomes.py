"""What a post for an event brings: the known f(i, c, e, t) of the simulated market.

Shapes: B brands, C creators, M content types, G genres, E events, N posts for events ("tuples").

Expected impressions are the product of what the creator usually reaches and of effects of the content type (and the
creator's skill at it), the event (its genre, scale and city, against the creator's), the day (before or after the
event) and the market (the trend of that genre in that city in that week). Engagement is a share of impressions,
revenue a value per engagement. Creator and content type, creator and genre, creator and city, and content type and day
interact, so that no sum over creator, history and market (Influencer Campaign Optimization, eq. 13) is exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.market.simulated.trends import Trends

TYPE_REACH = np.array([0.0, -0.4, 0.3])
"""(M,) log impressions of a post, a story, a video, against an ordinary post."""
GENRE_REACH = 0.2
"""Log impressions per standard deviation of the creator's fit to the event's genre."""
SCALE_REACH, USUAL_SCALE = 0.12, 7.0
"""Elasticity of impressions in the visitors expected, against log visitors of a usual event."""
LOCAL_REACH = np.array([0.35, 0.0, 0.2])
"""Log impressions won where creator and event are in one city: in person, online, hybrid."""
DAY_REACH, USUAL_DAY = 0.5, 0.4
"""Log impressions won on the best day, against days far from the event; an ordinary day has this share of it."""
BEST_DAY, DAY_WIDTH = np.array([-3.0, 0.0, -7.0]), np.array([4.0, 2.0, 5.0])
"""(M,) best day relative to the event, and how fast (days) the advantage fades."""
TREND_REACH = 0.7
"""Elasticity of impressions in the trend index."""
TYPE_RATE = np.array([0.0, -0.5, 0.2])
"""(M,) log engagement per impression."""
LOCAL_RATE = 0.15
"""Log engagement per impression won by a local creator at an event with visitors."""
MAX_RATE = 0.5
"""Engagement stays below this share of impressions on average."""
TYPE_VALUE = np.array([0.0, 0.35, 0.1])
"""(M,) log revenue per engagement: a story carries a link."""
REACH_SD = 0.35
"""Spread of log impressions around what is expected."""
RATE_SHAPE, VALUE_SHAPE = 12.0, 4.0
"""Noise of engagement per impression and of revenue per engagement varies by 1 / sqrt(shape)."""


@dataclass(frozen=True, kw_only=True)
class Occasions:
    """E events."""

    event_id: NDArray[np.str_]
    brand: NDArray[np.int64]
    """(E,) index among the brands."""
    date: NDArray[np.datetime64]
    """(E,) day."""
    city: NDArray[np.int64]
    """(E,) index in `CITIES`."""
    genre: NDArray[np.int64]
    """(E,) index in `EVENT_GENRES`."""
    scale: NDArray[np.float64]
    """(E,) visitors expected, above 0."""
    type: NDArray[np.int64]
    """(E,) index in `EVENT_TYPES`."""


@dataclass(frozen=True, kw_only=True)
class Drivers:
    """What drives the outcomes; brands and creators in the order of the accounts table."""

    impressions: NDArray[np.float64]
    """(C,) expected impressions of an ordinary post, above 0."""
    engagements: NDArray[np.float64]
    """(B, C) expected engagements of an ordinary advertisement, above 0."""
    skill: NDArray[np.float64]
    """(C, M) log impressions that the creator wins or loses with a content type."""
    genre_fit: NDArray[np.float64]
    """(C, G) fit of creator and genre, mean 0 and variance 1 over creators."""
    city: NDArray[np.int64]
    """(C,) index in `CITIES`, -1 elsewhere."""
    value: NDArray[np.float64]
    """(B,) revenue of an engagement with a post, in the market's currency."""
    occasions: Occasions
    trends: Trends


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What N posts bring, each (N,)."""

    impressions: NDArray[np.float64]
    engagement: NDArray[np.float64]
    revenue: NDArray[np.float64]


def expected_outcome(
    drivers: Drivers,
    *,
    creator: NDArray[np.int64],
    content_type: NDArray[np.int64],
    event: NDArray[np.int64],
    offset_days: NDArray[np.int64],
) -> Outcome:
    """Expected outcome of each tuple: the f(i, c, e, t) that an effectiveness model is to find.

    Args:
        drivers: what drives the outcomes.
        creator: (N,) index among the creators.
        content_type: (N,) index in `CONTENT_TYPES`.
        event: (N,) index among `drivers.occasions`.
        offset_days: (N,) day of publication minus day of the event.

    Returns:
        Exact expectations of impressions, engagement and revenue.
    """
    events, trends = drivers.occasions, drivers.trends
    kind, city, genre, brand = events.type[event], events.city[event], events.genre[event], events.brand[event]
    local = (drivers.city[creator] == city).astype(np.float64)
    distance = (offset_days - BEST_DAY[content_type]) / DAY_WIDTH[content_type]
    log_effect = (
        TYPE_REACH[content_type]
        + drivers.skill[creator, content_type]
        + GENRE_REACH * drivers.genre_fit[creator, genre]
        + SCALE_REACH * (np.log(events.scale[event]) - USUAL_SCALE)
        + LOCAL_REACH[kind] * local
        + DAY_REACH * (np.exp(-(distance**2) / 2) - USUAL_DAY)
        + TREND_REACH * trends.at(events.date[event] + offset_days.astype("timedelta64[D]"), genre, city)
    )
    impressions = drivers.impressions[creator] * np.exp(log_effect)
    usual_rate = drivers.engagements[brand, creator] / drivers.impressions[creator]
    rate = usual_rate * np.exp(TYPE_RATE[content_type] + LOCAL_RATE * local * (LOCAL_REACH[kind] > 0))
    engagement = impressions * np.clip(rate, 1e-9, MAX_RATE)
    revenue = engagement * drivers.value[brand] * np.exp(TYPE_VALUE[content_type])
    return Outcome(impressions=impressions, engagement=engagement, revenue=revenue)


def draw_outcome(rng: np.random.Generator, expected: Outcome) -> Outcome:
    """Draw outcomes around their expectations: log-normal reach, beta engagement rate, gamma value, then counts.

    Args:
        rng: random stream.
        expected: expectations, all above 0.

    Returns:
        Whole impressions and engagement (at most the impressions), and revenue to the cent; the mean of each over
        many draws is its expectation.
    """
    count = len(expected.impressions)
    reach = np.exp(REACH_SD * rng.normal(size=count) - REACH_SD**2 / 2)
    impressions = rng.poisson(expected.impressions * reach)
    rate = expected.engagement / expected.impressions
    share = rng.beta(RATE_SHAPE, RATE_SHAPE * (1 - rate) / rate)
    engagement = rng.binomial(impressions, share)
    value = expected.revenue / expected.engagement * rng.gamma(VALUE_SHAPE, 1 / VALUE_SHAPE, count)
    return Outcome(
        impressions=impressions.astype(np.float64),
        engagement=engagement.astype(np.float64),
        revenue=np.round(engagement * value, 2),
    )
