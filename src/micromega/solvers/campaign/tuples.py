"""The candidates of a plan, one row each: who could post what, when, for whom, and what it brings and costs."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, ScoreError
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.creators import MarketTables, find_creators, predicted_creators
from micromega.solvers.campaign.offers import Occasions, occasions, offers, wanted_types
from micromega.tiers import TIERS, tier_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuples:
    """N candidates.

    Attributes:
        creator_id: (N,).
        content_type: (N,).
        event_id: (N,).
        offset_days: (N,).
        date: calendar day of the post, (N,); NaT without one.
        brand_id: (N,).
        level: price as a multiple of the usual one, (N,).
        effectiveness: (N,).
        std: (N,).
        price: (N,).
        category: of the creator, (N,); "" where unknown.
        tier: of the creator, (N,); "" where unknown.
        followers: of the creator, (N,); NaN where unknown.
        location: of the event, (N,); "" where unknown.
        genre: of the event, (N,); "" where unknown.
    """

    creator_id: NDArray[Any]
    content_type: NDArray[Any]
    event_id: NDArray[Any]
    offset_days: NDArray[np.int64]
    date: NDArray[np.datetime64]
    brand_id: NDArray[Any]
    level: NDArray[np.float64]
    effectiveness: NDArray[np.float64]
    std: NDArray[np.float64]
    price: NDArray[np.float64]
    category: NDArray[Any]
    tier: NDArray[Any]
    followers: NDArray[np.float64]
    location: NDArray[Any]
    genre: NDArray[Any]

    def __len__(self) -> int:
        return len(self.creator_id)

    def take(self, places: NDArray[Any]) -> "Tuples":
        """Some of them, by index or mask."""
        return replace(self, **{field.name: getattr(self, field.name)[places] for field in fields(self)})

    @classmethod
    def join(cls, parts: Sequence["Tuples"]) -> "Tuples":
        """Put several behind one another."""
        return cls(**{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)})


def from_affinities(
    config: CampaignConfig, *, brand_id: str, scores: pa.Table, market: MarketTables
) -> tuple[Tuples, tuple[str, ...]]:
    """Every offer of every creator who has a score, in every slot.

    The effectiveness is the probability that the creator fits the brand times what a post of the creator usually
    brings. It does not depend on event and offset.

    Args:
        config: the brand's wishes.
        brand_id: which brand.
        scores: affinity table whose scores are probabilities of fit.
        market: accounts, posts and, where it has them, prices and events.
    """
    creators, notes = find_creators(config, brand_id=brand_id, scores=scores, market=market)
    place, content_type, price, price_notes = offers(config, creators, market)
    events = occasions(config, brand_id, market)
    offsets = np.unique(np.array(config.offsets or (0,), np.int64))
    offer, event, offset = (axis.ravel() for axis in np.indices((len(place), len(events.event_id), len(offsets))))
    creator = place[offer]
    tuples = Tuples(
        creator_id=creators.creator_id[creator],
        content_type=content_type[offer],
        offset_days=offsets[offset],
        brand_id=np.full(len(offer), brand_id),
        level=np.ones(len(offer)),
        effectiveness=(creators.fit * creators.engagement)[creator],
        std=(creators.fit_std * creators.engagement)[creator],
        price=price[offer],
        category=creators.category[creator],
        tier=_tiers(creators.followers)[creator],
        followers=creators.followers[creator],
        **_slots(events, event, offsets[offset]),
    )
    return tuples, notes + price_notes + events.notes


def from_predictions(
    config: CampaignConfig, *, brand_id: str, scores: pa.Table, kind: str, market: MarketTables
) -> tuple[Tuples, tuple[str, ...]]:
    """The rows of an effectiveness table that are for the brand's events and that the settings allow.

    Args:
        config: the brand's wishes.
        brand_id: which brand.
        scores: effectiveness table (creator_id, content_type, event_id, offset_days, mean, std, price).
        kind: its unit: impressions, engagement or currency.
        market: accounts and, where it has them, events.

    Raises:
        ScoreError: the table holds none of the brand's events.
    """
    events = occasions(config, brand_id, market)
    event = _places(scores["event_id"], events.event_id)
    kept = event >= 0
    if config.offsets is not None:
        kept &= np.isin(scores["offset_days"].to_numpy(), np.array(config.offsets, np.int64))
    if not kept.any():
        held = pc.unique(scores["event_id"]).to_pylist()
        raise ScoreError(
            f"the effectiveness table has no row for brand {brand_id}: it holds events {', '.join(held[:5])}"
            f"{', …' if len(held) > 5 else ''}, the plan is for {', '.join(events.event_id[:5].tolist())} with offsets "
            f"{'of the table' if config.offsets is None else list(config.offsets)}. Evaluate with this brand's events."
        )
    rows, event = scores.filter(pa.array(kept)), event[kept]
    creators, notes = predicted_creators(config, creator_id=pc.unique(rows["creator_id"]).to_pylist(), market=market)
    place = _places(rows["creator_id"], creators.creator_id)
    content_type = _strings(rows["content_type"])
    kept = (place >= 0) & wanted_types(config, content_type)
    rows, event, place, content_type = rows.filter(pa.array(kept)), event[kept], place[kept], content_type[kept]
    offset = rows["offset_days"].to_numpy().astype(np.int64)
    weight = prediction_weight(config, kind)
    tuples = Tuples(
        creator_id=creators.creator_id[place],
        content_type=content_type,
        offset_days=offset,
        brand_id=np.full(len(place), brand_id),
        level=np.ones(len(place)),
        effectiveness=weight * rows["mean"].to_numpy(),
        std=weight * np.nan_to_num(rows["std"].to_numpy(zero_copy_only=False).astype(np.float64), nan=0.0),
        price=rows["price"].to_numpy().astype(np.float64),
        category=creators.category[place],
        tier=_tiers(creators.followers)[place],
        followers=creators.followers[place],
        **_slots(events, event, offset),
    )
    absent = sorted(set(events.event_id.tolist()) - set(tuples.event_id.tolist()))
    if absent:
        notes += (f"Events without predictions, hence without posts: {', '.join(absent)}.",)
    return tuples, notes + events.notes


def prediction_weight(config: CampaignConfig, kind: str) -> float:
    """What one unit of an effectiveness table is worth to the objective.

    Args:
        config: the brand's wishes.
        kind: unit of the table: impressions, engagement or currency.

    Raises:
        ConfigError: the objective is not in the table.
    """
    own = "value" if kind == "currency" else kind
    if config.objective in (None, own) and not config.weights:
        return 1.0
    if config.objective in ("value", "weighted") and own != "value":
        weights = {str(outcome): weight for outcome, weight in (config.weights or {}).items()}
        if set(weights) == {own}:
            return float(weights[own])
        raise ConfigError(
            f'problem.weights: the effectiveness table predicts {kind}, so objective "{config.objective}" needs '
            f"weights {{{own}: ...}} and no others."
        )
    raise ConfigError(
        f'problem.objective: the effectiveness table predicts {kind}, not "{config.objective or own}" by weights. '
        f'Leave objective and weights out, or give the table of a model of "{config.objective}".'
    )


def _slots(events: Occasions, event: NDArray[np.int64], offset: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {
        "event_id": events.event_id[event],
        "date": events.date[event] + offset,
        "location": events.location[event],
        "genre": events.genre[event],
    }


def _tiers(followers: NDArray[np.float64]) -> NDArray[Any]:
    known = ~np.isnan(followers)
    return np.where(known, np.array(TIERS)[tier_of(np.where(known, followers, 0.0))], "")


def _places(column: pa.ChunkedArray, values: NDArray[Any]) -> NDArray[np.int64]:
    """Position of each entry among values, -1 where it is none of them."""
    found = pc.index_in(column, value_set=pa.array(values.tolist(), pa.string())).fill_null(-1)
    return np.asarray(found.to_numpy(), np.int64)


def _strings(column: pa.ChunkedArray) -> NDArray[Any]:
    coded = column.combine_chunks().dictionary_encode()
    found: NDArray[Any] = np.array(coded.dictionary.to_pylist() or [""], str)[coded.indices.to_numpy()]
    return found
