"""The certificate of a matching, written without looking at the algorithms: numpy over all pairs at once.

Shapes: C creators, P products, V merchants, M pairs, B blocking pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.solvers.matching.game import Game, whole_numbers

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchingCheck:
    """What was recomputed from game and matching.

    Attributes:
        unwanted: creators with a product that is not on their list, or of a merchant that does not list them.
        over_product: products that have more creators than their quota.
        over_merchant: the same of merchants.
        blocking: (B, 2) creator and product of every blocking pair.
        size: creators with a product.
        creator_ranks: how many creators got their first, second, … choice, (L,).
        merchant_ranks: how many of the matched stand at each place of their merchant's list, (L,).
    """

    unwanted: Integers
    over_product: Integers
    over_merchant: Integers
    blocking: Integers
    size: int
    creator_ranks: Integers
    merchant_ranks: Integers

    @property
    def feasible(self) -> bool:
        """Whether everybody got something wanted, and no quota is exceeded."""
        return not (len(self.unwanted) or len(self.over_product) or len(self.over_merchant))

    @property
    def stable(self) -> bool:
        """Whether it is feasible and no pair blocks it."""
        return self.feasible and not len(self.blocking)


def verify(game: Game, product: ArrayLike) -> MatchingCheck:
    """Check a matching: feasibility, and every blocking pair as the paper defines it.

    A pair of creator f and product p of merchant v blocks if f wants p, would rather have it than what it has, and
    (a) p and v have room; or (b) p has room, v is full, and f is with v already or v prefers f to the worst it has; or
    (c) p is full, and v prefers f to the worst that p has.

    Args:
        game: lists and quotas.
        product: of each creator, -1 without, (C,).

    Raises:
        DataError: the matching has another length, or names a product that there is not.
    """
    matched = whole_numbers(product, "matching")
    if matched.shape != (game.creators,) or (matched.size and not -1 <= matched.min() <= matched.max() < game.products):
        raise DataError(f"matching: one product, 0 to {game.products - 1} or -1, for each of {game.creators} creators.")
    owner = np.repeat(np.arange(game.creators), np.diff(game.start))
    place = np.arange(len(game.product)) - game.start[owner]
    rank = _merchant_rank(game, owner, game.merchant[game.product])
    has = matched >= 0
    taken = (matched[owner] == game.product) & has[owner] & (rank >= 0)
    own_place = np.full(game.creators, np.iinfo(np.int64).max)
    own_place[owner[taken]] = place[taken]
    valid = np.zeros(game.creators, bool)
    valid[owner[taken]] = True

    with_product = np.bincount(matched[has], minlength=game.products)
    merchant_of = np.where(has, game.merchant[np.where(has, matched, 0)] if game.products else -1, -1)
    with_merchant = np.bincount(merchant_of[has], minlength=game.merchants)
    worst_of_product = np.full(game.products, -1)
    np.maximum.at(worst_of_product, game.product[taken], rank[taken])
    worst_of_merchant = np.full(game.merchants, -1)
    np.maximum.at(worst_of_merchant, game.merchant[game.product[taken]], rank[taken])

    p, v = game.product, game.merchant[game.product]
    prefers = (rank >= 0) & (place < own_place[owner])
    product_room = with_product[p] < game.product_quota[p]
    merchant_room = with_merchant[v] < game.merchant_quota[v]
    both = product_room & merchant_room
    merchant_full = product_room & ~merchant_room & ((merchant_of[owner] == v) | (rank < worst_of_merchant[v]))
    product_full = ~product_room & (rank < worst_of_product[p])
    blocks = prefers & (both | merchant_full | product_full)
    return MatchingCheck(
        unwanted=np.flatnonzero(has & ~valid),
        over_product=np.flatnonzero(with_product > game.product_quota),
        over_merchant=np.flatnonzero(with_merchant > game.merchant_quota),
        blocking=np.column_stack([owner[blocks], p[blocks]]),
        size=int(has.sum()),
        creator_ranks=np.bincount(place[taken]),
        merchant_ranks=np.bincount(rank[taken]),
    )


def acceptable(game: Game) -> NDArray[np.bool_]:
    """Pairs of the creators' lists whose merchant lists the creator, (M,)."""
    owner = np.repeat(np.arange(game.creators), np.diff(game.start))
    return _merchant_rank(game, owner, game.merchant[game.product]) >= 0


def _merchant_rank(game: Game, creator: Integers, merchant: Integers) -> Integers:
    """Place of creators in merchants' lists by a sorted search, -1 where they are not listed."""
    if len(game.shared_order):
        place = np.full(game.creators, -1)
        place[game.shared_order] = np.arange(len(game.shared_order))
        return place[creator]
    lister = np.repeat(np.arange(game.merchants), np.diff(game.merchant_start))
    keys = lister * max(game.creators, 1) + game.creator
    if not len(keys):
        return np.full(len(creator), -1)
    wanted = merchant * max(game.creators, 1) + creator
    order, asked = np.argsort(keys), np.argsort(wanted)  # both sorted: a search in order stays in the cache
    found = np.empty(len(wanted), np.int64)
    found[asked] = order[np.minimum(np.searchsorted(keys, wanted[asked], sorter=order), len(keys) - 1)]
    return np.where(keys[found] == wanted, found - game.merchant_start[merchant], -1)
