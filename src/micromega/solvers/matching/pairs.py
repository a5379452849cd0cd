"""Pairs of a creator and a product of its list, ordered as merchants see them (numba).

Shapes: C creators, P products, V merchants, M pairs of a creator and a product of its list. A pair's number is its
place in the creators' lists, so that of one creator's pairs the smaller is preferred (or tied).
"""

import numba
import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Shorts = NDArray[np.int32]
_NOBODY = -1


@numba.njit(cache=True)
def pair_ranks(
    start: Integers, product: Integers, merchant: Integers, merchant_start: Integers, creator: Integers
) -> Shorts:
    """Place of each pair's creator in its merchant's list, (M,); -1 where the merchant does not list them."""
    creators, merchants = len(start) - 1, len(merchant_start) - 1
    # The merchants' lists, transposed: who lists each creator, and where.
    begin = np.zeros(creators + 1, np.int64)
    for who in creator:
        begin[who + 1] += 1
    for c in range(creators):
        begin[c + 1] += begin[c]
    fill = begin[:-1].copy()
    listed_by, place = np.empty(len(creator), np.int32), np.empty(len(creator), np.int32)
    for v in range(merchants):
        for i in range(merchant_start[v], merchant_start[v + 1]):
            c = creator[i]
            listed_by[fill[c]] = v
            place[fill[c]] = i - merchant_start[v]
            fill[c] += 1
    rank = np.full(len(product), _NOBODY, np.int32)
    of_merchant = np.full(merchants, _NOBODY, np.int32)
    for c in range(creators):
        for i in range(begin[c], begin[c + 1]):
            of_merchant[listed_by[i]] = place[i]
        for pair in range(start[c], start[c + 1]):
            rank[pair] = of_merchant[merchant[product[pair]]]
        for i in range(begin[c], begin[c + 1]):
            of_merchant[listed_by[i]] = _NOBODY
    return rank


@numba.njit(cache=True)
def projected_lists(start: Integers, group: Integers, rank: Shorts, groups: int) -> tuple[Integers, Integers, Shorts]:
    """Pairs of each product (or merchant) in the merchant's order (ν_k^j of the paper), by two counting sorts.

    Args:
        start: where each creator's list begins, (C + 1,).
        group: product, or merchant, of each pair, (M,).
        rank: of each pair's creator with its merchant, -1 where refused, (M,).
        groups: how many products, or merchants, there are.

    Returns:
        Where the list of each group begins (G + 1,), its pairs, and their creators.
    """
    begin = starts(group, rank, groups)
    count = starts(rank, rank, int(np.max(rank)) + 1 if len(rank) else 0)
    many = begin[groups]
    pair_by_rank = np.empty(many, np.int64)
    group_by_rank, creator_by_rank = np.empty(many, np.int32), np.empty(many, np.int32)  # short: half the traffic
    for c in range(len(start) - 1):
        for pair in range(start[c], start[c + 1]):
            if rank[pair] >= 0:
                at = count[rank[pair]]
                count[rank[pair]] += 1
                pair_by_rank[at] = pair
                group_by_rank[at] = group[pair]
                creator_by_rank[at] = c
    fill = begin[:-1].copy()
    pairs, creators = np.empty(many, np.int64), np.empty(many, np.int32)
    for i in range(many):
        at = fill[group_by_rank[i]]
        fill[group_by_rank[i]] += 1
        pairs[at] = pair_by_rank[i]
        creators[at] = creator_by_rank[i]
    return begin, pairs, creators


@numba.njit(cache=True)
def starts(group: Integers | Shorts, rank: Shorts, groups: int) -> Integers:
    """Where each group begins when the pairs that are not refused are sorted by it, (G + 1,)."""
    begin = np.zeros(groups + 1, np.int64)
    for pair in range(len(rank)):
        if rank[pair] >= 0:
            begin[group[pair] + 1] += 1
    for g in range(groups):
        begin[g + 1] += begin[g]
    return begin
