"""The known effectiveness of any post in a simulated market; for tests, evaluation and benchmarks, never for models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.market.simulated.campaigns import city_codes, occasions_of
from micromega.market.simulated.outcomes import Drivers, Outcome, expected_outcome
from micromega.market.simulated.trends import Trends
from micromega.market.simulated.vocabulary import CITIES, CONTENT_TYPES, EVENT_GENRES


def true_outcome(
    market: Market,
    *,
    creator_id: Sequence[str],
    content_type: Sequence[str],
    event_id: Sequence[str],
    offset_days: Sequence[int],
) -> Outcome:
    """Expected outcome of posts, for events past and to come: the f(i, c, e, t) that a predictor is to find.

    Args:
        market: a simulated market with campaigns.
        creator_id: (N,) who posts.
        content_type: (N,) post, story or video.
        event_id: (N,) event of the market; the post is for the event's brand.
        offset_days: (N,) day of publication minus day of the event.

    Returns:
        Expected impressions, engagement and revenue, each (N,).

    Raises:
        DataError: the market has no such truth, or an id is unknown.

    Example:
        >>> from micromega.market import simulate
        >>> market = simulate(seed=1, brands=12, creators=30, posts=4)
        >>> outcome = true_outcome(
        ...     market, creator_id=["c000003"] * 2, content_type=["post", "video"], event_id=["e00000"] * 2,
        ...     offset_days=[0, -7],
        ... )
        >>> outcome.impressions.shape
        (2,)
    """
    creators = market.truth("campaign_creators")["creator_id"]
    return expected_outcome(
        drivers_of(market),
        creator=_places(creator_id, creators, "creator_id"),
        content_type=_places(content_type, pa.array(list(CONTENT_TYPES)), "content_type"),
        event=_places(event_id, market.table("events")["event_id"], "event_id"),
        offset_days=np.asarray(offset_days, np.int64),
    )


def drivers_of(market: Market) -> Drivers:
    """Collect what drives the outcomes of campaigns from a simulated market's truth.

    Args:
        market: a simulated market with campaigns.

    Returns:
        The drivers; events in the order of the events table, brands and creators in that of the accounts table.

    Raises:
        DataError: the market has no such truth.
    """
    creators, brands = market.truth("campaign_creators"), market.truth("campaign_brands")
    accounts = market.table("accounts")
    place = _places(creators["creator_id"].to_pylist(), accounts["account_id"], "creator_id")
    city = np.array([name or "" for name in accounts["location"].take(pa.array(place)).to_pylist()], dtype=str)
    brand_ids = np.array(brands["brand_id"].to_pylist(), dtype=str)
    engagements = market.truth("affinity")["expected_engagements"].to_numpy()
    return Drivers(
        impressions=creators["impressions"].to_numpy(),
        engagements=engagements.reshape(len(brand_ids), creators.num_rows),
        skill=_matrix(creators["skill"]),
        genre_fit=_matrix(creators["genre_fit"]),
        city=city_codes(city),
        value=brands["value_per_engagement"].to_numpy(),
        occasions=occasions_of(market.table("events"), brand_ids),
        trends=_trends(market.truth("trends")),
    )


def _trends(true: pa.Table) -> Trends:
    shape = -1, len(EVENT_GENRES), len(CITIES.split())
    first: np.datetime64 = np.asarray(true["date"].to_numpy(), "datetime64[D]")[0]
    return Trends(first=first, log_index=np.log(true["index"].to_numpy()).reshape(shape))


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(pc.list_flatten(column).to_numpy(), np.float64).reshape(len(column), -1)


def _places(names: Sequence[str], known: Any, column: str) -> NDArray[np.int64]:
    place = pc.index_in(pa.array(names, pa.string()), value_set=known)
    if place.null_count:
        missing = sorted({name for name, row in zip(names, place.to_pylist(), strict=True) if row is None})
        raise DataError(f"{column}: the simulated market has no {', '.join(missing[:5])}.")
    return np.asarray(place.to_numpy(), np.int64)
