"""Which pairs the trees learn from: per brand its partners, and creators drawn from the others.

Shapes: B brands, M creators, P pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.models.mir.accounts import Accounts

Ints = NDArray[np.int64]
_BLOCK = 1 << 22
"""Pairs of brands and creators looked at a time."""


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Some brands' pairs, brand after brand.

    Attributes:
        brand_view: (P,) view of the brand that the creator is compared with.
        creator: (P,) row of the creator.
        label: (P,) 1 for a partner, 0 for others.
        sizes: (B,) pairs of each brand.
    """

    brand_view: Ints
    creator: Ints
    label: NDArray[np.float32]
    sizes: Ints


def sample_queries(
    accounts: Accounts, brands: Ints, candidates: Ints, negatives: int | None, seed: int
) -> Iterator[Queries]:
    """Draw pairs, block by block of brands.

    Within a brand the pairs stand in random order: with the partners first, ties would be sorted in their favour, one
    constant tree would have a perfect NDCG, and no tree more would be kept. Each creator is shown the view of the
    brand that it is shown in scoring (`Accounts.shown_views`).

    Args:
        accounts: the market.
        brands: (B,) rows of brands.
        candidates: (C,) ascending rows of the creators to draw from; partners of the brands are among them.
        negatives: how many per brand; None for all.
        seed: random seed.

    Yields:
        Brands in the order given.
    """
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // len(accounts.creator_ids))
    for block in np.split(brands, range(step, len(brands), step)):
        row = np.full(len(accounts.brand_ids), -1)
        row[block] = np.arange(len(block))
        mine = row[accounts.pair_brand] >= 0
        partner = np.zeros((len(block), len(accounts.creator_ids)), dtype=bool)
        partner[row[accounts.pair_brand[mine]], accounts.pair_creator[mine]] = True
        partner = partner[:, candidates]
        counts = partner.sum(axis=1)
        sizes = np.minimum(len(candidates), counts + (len(candidates) if negatives is None else negatives))
        # Partners get the smallest keys and are taken first, then the others by chance.
        order = np.argsort(generator.random(partner.shape) - partner, axis=1)
        query, place = np.nonzero(np.arange(len(candidates)) < sizes[:, None])
        shuffled = np.lexsort((generator.random(len(query)), query))
        column = order[query, place][shuffled]  # `query` is ascending, so it is the same after the shuffle
        views, shown = accounts.shown_views(block)
        yield Queries(
            brand_view=views[shown[query, candidates[column]]],
            creator=candidates[column],
            label=partner[query, column].astype(np.float32),
            sizes=sizes,
        )
