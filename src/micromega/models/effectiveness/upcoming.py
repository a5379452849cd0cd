"""All posts that could be bought for events to come, predicted block by block.

Shapes: S slots (event and offset), O offers (creator and content type with a price), S·O tuples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.models.effectiveness.catalog import Ints, Reals, Tuples, codes, days, places
from micromega.models.effectiveness.config import EffectivenessEvaluationConfig
from micromega.models.effectiveness.data import EffectivenessData
from micromega.models.effectiveness.module import EffectivenessModule


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """What can be bought: every offer for every slot."""

    plan_day: int
    """The day after the market's last post: nothing of this day or later is known."""
    event: Ints
    """(S,) codes."""
    offset: Ints
    """(S,) days from the event."""
    creator: Ints
    """(O,) codes."""
    content_type: Ints
    """(O,) codes."""
    price: Reals
    """(O,) in the market's currency."""
    past_slots: int
    """Slots left out: their day is before that of the plan."""

    @property
    def rows(self) -> int:
        """How many tuples there are."""
        return len(self.event) * len(self.creator)


def find_upcoming(config: EffectivenessEvaluationConfig, data: EffectivenessData) -> Upcoming:
    """List slots and offers.

    Args:
        config: brands and offsets.
        data: market and catalog.

    Returns:
        What can be bought.

    Raises:
        ConfigError: a brand is unknown.
        DataError: there are no prices, or no events to come.
    """
    catalog, market = data.catalog, data.market
    prices = market.table("prices")
    last = int(max(data.past.tuples.posted.max(), _last_post(data)))
    if unknown := sorted(set(config.brands) - set(catalog.brands)):
        raise ConfigError(f"evaluation.brands: {', '.join(unknown)} is not a brand of this market.")
    wanted = codes(pa.chunked_array([pa.array(config.brands, pa.string())]), catalog.brands)
    chosen = (catalog.events.day > last) & (np.isin(catalog.events.brand, wanted) if len(wanted) else True)
    events = np.flatnonzero(chosen)
    if not len(events):
        raise DataError(
            f"events.parquet: none of the events is after the market's last post ({np.datetime64(last, 'D')}), so that "
            "there is nothing to plan. Add events to come, or set evaluation.export=false."
        )
    offsets = np.unique(np.array(config.offsets, np.int64))
    event, offset = np.repeat(events, len(offsets)), np.tile(offsets, len(events))
    in_time = catalog.events.day[event] + offset > last
    creator = places(prices["creator_id"], catalog.creators.ids)
    kind = codes(prices["content_type"], catalog.content_types)
    price = np.asarray(prices["price"].to_numpy(), np.float64)
    offered = np.flatnonzero((creator >= 0) & (kind >= 0) & ~np.isnan(price))
    if not len(offered) or not in_time.any():
        what = "no creator has a price" if not len(offered) else "every day of evaluation.offsets is over"
        raise DataError(f"Nothing can be bought for events to come: {what}.")
    return Upcoming(
        plan_day=last + 1,
        event=event[in_time],
        offset=offset[in_time],
        creator=creator[offered],
        content_type=kind[offered],
        price=price[offered],
        past_slots=int((~in_time).sum()),
    )


def tuples_of(upcoming: Upcoming, data: EffectivenessData, rows: NDArray[np.int64]) -> Tuples:
    """Posts by their numbers: all offers for the first slot, then for the second, and so on."""
    slot, offer = np.divmod(rows, len(upcoming.creator))
    event = upcoming.event[slot]
    day = data.catalog.events.day[event]
    return Tuples(
        creator=upcoming.creator[offer],
        content_type=upcoming.content_type[offer],
        event=event,
        event_day=day,
        posted=day + upcoming.offset[slot],
        known_before=np.full(len(rows), upcoming.plan_day, np.int64),
        price=upcoming.price[offer],
    )


def predict_upcoming(
    upcoming: Upcoming, module: EffectivenessModule, data: EffectivenessData, *, batch_rows: int
) -> Iterator[pa.Table]:
    """Predict block by block; memory is that of a block.

    Args:
        upcoming: what can be bought.
        module: trained.
        data: of its market.
        batch_rows: of a block.

    Yields:
        Rows of the table effectiveness.
    """
    for first in range(0, upcoming.rows, batch_rows):
        rows = np.arange(first, min(first + batch_rows, upcoming.rows))
        yield predict_rows(upcoming, module, data, rows)


def predict_rows(
    upcoming: Upcoming, module: EffectivenessModule, data: EffectivenessData, rows: NDArray[np.int64]
) -> pa.Table:
    """Predict posts by their numbers (`tuples_of`): rows of the table effectiveness."""
    catalog, posts = data.catalog, tuples_of(upcoming, data, rows)
    found = module.predict(data.describer.describe(posts), data.tiers(posts.creator))
    columns = {
        "creator_id": catalog.creators.ids.take(pa.array(posts.creator)),
        "content_type": pa.array(catalog.content_types, pa.string()).take(pa.array(posts.content_type)),
        "event_id": catalog.events.ids.take(pa.array(posts.event)),
        "offset_days": pa.array(posts.posted - posts.event_day),
        "mean": pa.array(found.mean),
        "std": pa.array(found.deviation),
        "price": pa.array(posts.price),
    }
    return pa.table(columns)


def _last_post(data: EffectivenessData) -> int:
    posts = data.market.tables.get("posts")
    if posts is None or posts["posted_at"].null_count == posts.num_rows:
        return int(data.past.tuples.posted.max())
    return int(days(posts["posted_at"].filter(pc.is_valid(posts["posted_at"]))).max())
