"""The columns that all models see: categories and numbers, each of one domain (creator, history, market).

Shapes: N posts, K categories, F numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.market.market import Market
from micromega.models.effectiveness.catalog import Catalog, Past, Reals, Tuples
from micromega.models.effectiveness.config import EffectivenessDataConfig
from micromega.models.effectiveness.extra import extra_columns, read_extras
from micromega.models.effectiveness.history import CREATOR_MEAN, history_columns, read_history
from micromega.models.effectiveness.posts import post_columns, read_posts
from micromega.models.effectiveness.trends import market_columns, read_trends
from micromega.models.effectiveness.usual import is_local

DOMAINS = ("creator", "history", "market")
"""D_I, D_H, D_M of eq. 13, in the order of g_I, g_H, g_M."""
CATEGORIES = ("creator", "content_type", "location", "genre", "event_type", "creator_category")
"""All of the first domain: influencer record, content type and event attributes stand together in eq. 14. The brand is
none: it holds few events, and what these brought would be taken for its own. Its history has shrunken means instead."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns are.

    Attributes:
        sizes: (K,) how many values each category has, beside "unknown".
        names: (F,) names of the numbers.
        domains: (F,) index in `DOMAINS` of each number.
    """

    sizes: tuple[int, ...]
    names: tuple[str, ...]
    domains: tuple[int, ...]

    @property
    def creator_mean(self) -> int:
        """Place of the creator's plain mean among the numbers."""
        return self.names.index(CREATOR_MEAN)


@dataclass(frozen=True, kw_only=True)
class Features:
    """Described posts.

    Attributes:
        categories: (N, K) codes from 1, 0 where unknown.
        numbers: (N, F), NaN where missing.
    """

    categories: NDArray[np.int64]
    numbers: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.int64] | slice) -> "Features":
        """Some of the rows."""
        return Features(categories=self.categories[rows], numbers=self.numbers[rows])


@dataclass(frozen=True, kw_only=True)
class Describer:
    """Turns posts into columns; it holds the whole past and uses of it what each post's plan could know."""

    columns: Columns
    describe: Callable[[Tuples], Features]


def make_describer(config: EffectivenessDataConfig, market: Market, catalog: Catalog, past: Past) -> Describer:
    """Prepare all sources of a market.

    Args:
        config: which sources, and when things become known.
        market: the market.
        catalog: of the market.
        past: its campaigns.

    Returns:
        The describer.
    """
    history = read_history(catalog, past, settle_days=config.settle_days, shrinkage=config.shrinkage)
    trends = read_trends(catalog, market.tables.get("trends"), trend_days=config.trend_days)
    posts = read_posts(catalog, market.tables.get("posts"), settle_days=config.settle_days)
    extras = read_extras(config, market, catalog)

    def numbers(tuples: Tuples) -> tuple[dict[str, Reals], ...]:
        creator = (
            creator_columns(catalog, tuples) | post_columns(posts, tuples) | extra_columns(extras, catalog, tuples)
        )
        return creator, history_columns(history, tuples), market_columns(trends, catalog, tuples)

    def describe(tuples: Tuples) -> Features:
        found = [value for domain in numbers(tuples) for value in domain.values()]
        return Features(categories=categories(catalog, tuples), numbers=_stack(found))

    named = [(name, place) for place, domain in enumerate(numbers(past.tuples.take(np.arange(1)))) for name in domain]
    columns = Columns(
        sizes=(
            len(catalog.creators.ids), len(catalog.content_types), len(catalog.locations), len(catalog.genres),
            len(catalog.types), len(catalog.categories),
        ),
        names=tuple(name for name, _ in named),
        domains=tuple(place for _, place in named),
    )  # fmt: skip
    return Describer(columns=columns, describe=describe)


def categories(catalog: Catalog, tuples: Tuples) -> NDArray[np.int64]:
    """Codes of `CATEGORIES` from 1, 0 where unknown, (N, K)."""
    events, has_event = catalog.events, tuples.event >= 0
    of_event = (np.where(has_event, of[tuples.event], -1) for of in (events.location, events.genre, events.type))
    own = np.where(tuples.creator >= 0, catalog.creators.category[tuples.creator], -1)
    return np.column_stack([tuples.creator, tuples.content_type, *of_event, own]) + 1


def creator_columns(catalog: Catalog, tuples: Tuples) -> dict[str, Reals]:
    """Numbers of creator, price, event and day: what has no date, or is the post's own, (N,) each."""
    creators, events = catalog.creators, catalog.events
    known, has_event = tuples.creator >= 0, tuples.event >= 0
    record = np.where(known[:, None], creators.numbers[tuples.creator], np.nan)
    brand = np.where(has_event, events.brand[tuples.event], -1)
    theirs = np.where(brand >= 0, catalog.brand_category[brand], -1) if len(catalog.brands) else brand
    own = np.where(known, creators.category[tuples.creator], -1)
    offset = (tuples.posted - tuples.event_day).astype(np.float64)
    price = np.log1p(tuples.price)
    return {
        "log_price": price,
        "log_followers": record[:, 0],
        "log_hearts": record[:, 1],
        "log_videos": record[:, 2],
        "verified": record[:, 3],
        "price_for_followers": price - record[:, 0],
        "same_place": is_local(catalog, tuples),
        "same_category": ((own == theirs) & (own >= 0)).astype(np.float64),
        "log_scale": np.where(has_event, events.log_scale[tuples.event], np.nan),
        "offset_days": offset,
        "days_from_event": np.abs(offset),
    }


def _stack(values: Sequence[Reals]) -> NDArray[np.float32]:
    table = np.empty((len(values[0]), len(values)), np.float32)
    for place, value in enumerate(values):
        table[:, place] = value
    return table
