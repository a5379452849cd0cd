"""The certificate of a matching, written without looking at the algorithms: numpy over all pairs at once.

Shapes: C creators, P products, V merchants, M pairs, K pairs that are carried out, B blocking pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.solvers.matching.game import Game
from micromega.solvers.matching.lists import owners, places, whole_numbers

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchingCheck:
    """What was recomputed from game and matching.

    Attributes:
        unwanted: creators with a product that is not on their list, or of a merchant that does not list them.
        over_product: products that have more creators than their quota.
        over_merchant: the same of merchants.
        over_creator: creators who have more products than their quota.
        blocking: (B, 2) creator and product of every blocking pair.
        size: creators with a product.
        creator_ranks: how many first, second, … choices were obtained, (L,); equal choices share a place.
        merchant_ranks: how many of the matched stand at each place of their merchant's list, (L,).
    """

    unwanted: Integers
    over_product: Integers
    over_merchant: Integers
    over_creator: Integers
    blocking: Integers
    size: int
    creator_ranks: Integers
    merchant_ranks: Integers

    @property
    def feasible(self) -> bool:
        """Whether everybody got something wanted, and no quota is exceeded."""
        return not (len(self.unwanted) or len(self.over_product) or len(self.over_merchant) or len(self.over_creator))

    @property
    def stable(self) -> bool:
        """Whether it is feasible and no pair blocks it."""
        return self.feasible and not len(self.blocking)


def verify(game: Game, matching: ArrayLike) -> MatchingCheck:
    """Check a matching: feasibility, and every blocking pair as the paper defines it.

    A pair of creator f and product p of merchant v blocks if f wants p, would rather have it than what it has, and
    (a) p and v have room; or (b) p has room, v is full, and f is with v already or v prefers f to the worst it has; or
    (c) p is full, and v prefers f to the worst that p has. With ties "rather" and "prefers" are strict (weak stability;
    Cooper & Manlove 2018). A creator of quota b would rather have p than what it has if it has fewer than b products or
    a worse one; "with v already" is then: with a product of v that f likes less than p.

    Args:
        game: lists and quotas.
        matching: product of each creator, -1 without, (C,); or an array of creator and product of each pair, (K, 2).

    Raises:
        DataError: the matching has another length, or names a creator or product that there is not.
    """
    creator, product = _pairs_of(game, matching)
    place = game.product_rank if len(game.product_rank) else places(game.start)
    with_creator = np.bincount(creator, minlength=game.creators)
    alone = not game.several and with_creator.max(initial=0) <= 1  # faster: nobody has several products
    held, owner, unwanted = _found(game, creator, product, alone=alone)
    rank_of = _ranks(game)
    rank = rank_of(owner, game.merchant[game.product[held]])
    unwanted = np.unique(np.concatenate([unwanted, owner[rank < 0]]))
    held, owner, rank = held[rank >= 0], owner[rank >= 0], rank[rank >= 0]

    quota = game.creator_quota if game.several else np.ones(game.creators, np.int64)
    with_product = np.bincount(product, minlength=game.products)
    with_merchant = np.bincount(game.merchant[product], minlength=game.merchants)
    worst_of_creator = _worst(owner, place[held], game.creators)
    worst_of_product = _worst(game.product[held], rank, game.products)
    worst_of_merchant = _worst(game.merchant[game.product[held]], rank, game.merchants)

    # Only pairs that the creator would rather have can block: those better than what it has, all if it has room.
    room = np.bincount(owner, minlength=game.creators) < quota
    before = np.where(room, np.iinfo(np.int64).max, worst_of_creator)
    asked = np.flatnonzero(place < np.repeat(before, np.diff(game.start)))
    asked = asked if alone else asked[~np.isin(asked, held)]
    who = np.searchsorted(game.start, asked, side="right") - 1
    p, v = game.product[asked], game.merchant[game.product[asked]]
    own = rank_of(who, v)
    product_room = (with_product < game.product_quota)[p]
    merchant_room = (with_merchant < game.merchant_quota)[v]
    better = own < np.where(product_room, worst_of_merchant[v], worst_of_product[p])
    blocks = (product_room & merchant_room) | better
    with_it = np.flatnonzero(product_room & ~blocks)
    likes_less = _likes_less(game, owner, game.merchant[game.product[held]], place[held])
    blocks[with_it] = likes_less(who[with_it], v[with_it], place[asked[with_it]])
    blocks &= own >= 0
    return MatchingCheck(
        unwanted=unwanted,
        over_product=np.flatnonzero(with_product > game.product_quota),
        over_merchant=np.flatnonzero(with_merchant > game.merchant_quota),
        over_creator=np.flatnonzero(with_creator > quota),
        blocking=np.column_stack([who[blocks], p[blocks]]),
        size=int(np.count_nonzero(with_creator)),
        creator_ranks=np.bincount(place[held]),
        merchant_ranks=np.bincount(rank),
    )


def merchant_ranks(game: Game) -> Integers:
    """Rank of each pair's creator on its merchant's list, -1 where the merchant does not list them, (M,)."""
    return _ranks(game)(owners(game.start), game.merchant[game.product])


def _pairs_of(game: Game, matching: ArrayLike) -> tuple[Integers, Integers]:
    """Creator and product of each pair, whichever form the matching has."""
    if isinstance(matching, np.ndarray) and matching.ndim == 2 and matching.shape[1] == 2:
        both = whole_numbers(matching.ravel(), "matching").reshape(-1, 2)
        creator, product = both[:, 0], both[:, 1]
        if both.size and (both.min() < 0 or creator.max() >= game.creators or product.max() >= game.products):
            raise DataError(f"matching: creators are 0 to {game.creators - 1}, products 0 to {game.products - 1}.")
        if len(np.unique(creator * max(game.products, 1) + product)) < len(both):
            raise DataError("matching: a pair of creator and product stands there twice.")
        return creator, product
    matched = whole_numbers(matching, "matching")
    if matched.shape != (game.creators,) or (matched.size and not -1 <= matched.min() <= matched.max() < game.products):
        raise DataError(f"matching: one product, 0 to {game.products - 1} or -1, for each of {game.creators} creators.")
    creator = np.flatnonzero(matched >= 0)
    return creator, matched[creator]


def _found(game: Game, creator: Integers, product: Integers, *, alone: bool) -> tuple[Integers, Integers, Integers]:
    """Pairs of the lists that are carried out, their creators, and creators with a product that is on no list."""
    if not alone:
        owner = owners(game.start)
        keys, wanted = owner * max(game.products, 1) + game.product, creator * max(game.products, 1) + product
        held = np.flatnonzero(np.isin(keys, wanted))
        return held, owner[held], creator[~np.isin(wanted, keys)]
    matched = np.full(game.creators, -1)
    matched[creator] = product
    held = np.flatnonzero(np.repeat(matched, np.diff(game.start)) == game.product)
    owner = np.searchsorted(game.start, held, side="right") - 1
    found = np.zeros(game.creators, bool)
    found[owner] = True
    return held, owner, creator[~found[creator]]


def _worst(group: Integers, rank: Integers, groups: int) -> Integers:
    """Largest rank held in each group, -1 where nobody is, (G,)."""
    found = np.full(groups, -1)
    np.maximum.at(found, group, rank)
    return found


def _likes_less(
    game: Game, owner: Integers, merchant: Integers, place: Integers
) -> Callable[[Integers, Integers, Integers], NDArray[np.bool_]]:
    """Say of creators, merchants and places whether the creator holds a product of the merchant beyond that place."""
    many = max(game.merchants, 1)
    order = np.lexsort((place, owner * many + merchant))
    key, worst = (owner * many + merchant)[order], place[order]

    def beyond(who: Integers, whose: Integers, than: Integers) -> NDArray[np.bool_]:
        if not len(key):
            return np.zeros(len(who), bool)
        last = np.searchsorted(key, who * many + whose, side="right") - 1  # of equal keys the worst place
        found: NDArray[np.bool_] = (last >= 0) & (key[last] == who * many + whose) & (worst[last] > than)
        return found

    return beyond


def _ranks(game: Game) -> Callable[[Integers, Integers], Integers]:
    """Say of creators and merchants the creator's rank on the merchant's list, -1 where it is not there."""
    if len(game.shared_order):
        place = np.full(game.creators, -1)
        place[game.shared_order] = np.arange(len(game.shared_order))
        return lambda creator, merchant: place[creator]
    # Transposed, the lists are sorted by creator and merchant, and what is asked nearly so: fast to search.
    entry = np.arange(len(game.creator), dtype=np.int32 if len(game.creator) < 2**31 else np.int64)
    shape = game.merchants, game.creators
    listed = sp.csr_array((entry, game.creator, game.merchant_start), shape=shape).tocsc()
    keys = owners(listed.indptr.astype(np.int64)) * game.merchants + listed.indices
    rank = game.creator_rank if len(game.creator_rank) else places(game.merchant_start)

    def ranks(creator: Integers, merchant: Integers) -> Integers:
        if not len(keys):
            return np.full(len(creator), -1)
        wanted = creator * game.merchants + merchant
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[found] == wanted, rank[listed.data[found]], -1)

    return ranks
