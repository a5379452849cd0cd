"""Stable allocation in numba: deferred acceptance from either side, linear in the lists (Abraham et al. 2007).

Shapes: C creators, P products, V merchants, M pairs of a creator and a product of its list. A pair's number is its
place in the creators' lists, so that of one creator's pairs the smaller is preferred.
"""

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

from micromega.solvers.matching.pairs import Shorts, pair_ranks, projected_lists

Integers = NDArray[np.int64]
Propose = Callable[[Integers, Integers, Integers, Integers, Integers, Integers, Integers], Integers]
"""start, product, merchant_start, creator, merchant, product_quota, merchant_quota -> pair of each creator, or -1."""
_NOBODY = -1


@numba.njit(cache=True)
def creator_optimal(
    start: Integers, product: Integers, merchant_start: Integers, creator: Integers,
    merchant: Integers, product_quota: Integers, merchant_quota: Integers,
) -> Integers:  # fmt: skip
    """Creators propose: every creator gets the best product of any stable matching.

    A product or merchant that is full remembers the worst place it holds; worse ones are refused from then on, and the
    search for the next worst only moves up the list, so that all lists are walked once.

    Returns:
        Pair that each creator gets, -1 without, (C,).
    """
    rank = pair_ranks(start, product, merchant, merchant_start, creator)
    begin, _, wanting = projected_lists(start, product, rank, len(merchant))
    creators, last = len(start) - 1, len(creator)
    product_limit, merchant_limit = np.full(len(merchant), last), np.full(len(merchant_quota), last)
    product_limit[product_quota == 0] = _NOBODY
    merchant_limit[merchant_quota == 0] = _NOBODY
    product_worst, merchant_worst = begin[1:] - 1, merchant_start[1:] - 1
    product_size, merchant_size = np.zeros(len(merchant), np.int64), np.zeros(len(merchant_quota), np.int64)
    held, following = np.full(creators, _NOBODY), start[:-1].copy()
    # The same by product and by merchant: short arrays that stay in the cache.
    product_of, merchant_of = np.full(creators, _NOBODY, np.int32), np.full(creators, _NOBODY, np.int32)
    free = np.arange(creators)[::-1].copy()
    many = creators
    while many:
        many -= 1
        c = free[many]
        while following[c] < start[c + 1]:
            pair = following[c]
            following[c] += 1
            p, r = product[pair], rank[pair]
            v = merchant[p]
            if r < 0 or r > product_limit[p] or r > merchant_limit[v]:
                continue
            held[c], product_of[c], merchant_of[c] = pair, p, v
            product_size[p] += 1
            merchant_size[v] += 1
            out = np.int64(_NOBODY)
            if product_size[p] > product_quota[p]:
                out = np.int64(wanting[_worst(product_worst, p, wanting, product_of)])
            elif merchant_size[v] > merchant_quota[v]:
                out = np.int64(creator[_worst(merchant_worst, v, creator, merchant_of)])
            if out >= 0:
                product_size[product_of[out]] -= 1
                merchant_size[v] -= 1
                held[out] = product_of[out] = merchant_of[out] = _NOBODY
                free[many] = out
                many += 1
            if product_size[p] == product_quota[p]:
                worst_pair = held[wanting[_worst(product_worst, p, wanting, product_of)]]
                product_limit[p] = rank[worst_pair]
            if merchant_size[v] == merchant_quota[v]:
                merchant_limit[v] = _worst(merchant_worst, v, creator, merchant_of) - merchant_start[v]
            break
    return held


@numba.njit(cache=True)
def _worst(worst: Integers, of: int, order: Integers | Shorts, held: Shorts) -> int:
    """Place of the last creator of an order who holds this product, or merchant."""
    at = worst[of]
    while held[order[at]] != of:
        at -= 1
    worst[of] = at
    return int(at)


@numba.njit(cache=True)
def merchant_optimal(  # noqa: C901, PLR0912, PLR0915  (one loop over one state, which numba cannot close over)
    start: Integers, product: Integers, merchant_start: Integers, creator: Integers,
    merchant: Integers, product_quota: Integers, merchant_quota: Integers,
) -> Integers:  # fmt: skip
    """Merchants offer: every merchant gets the best creators of any stable matching.

    A merchant with room offers to the first creator on its list who would rather have one of its products with room
    than what they hold, and the best such product of theirs. Each product waits in its merchant's heap under its next
    candidate, a place that only moves down the list.

    Returns:
        Pair that each creator gets, -1 without, (C,).
    """
    rank = pair_ranks(start, product, merchant, merchant_start, creator)
    begin, pairs, wanting = projected_lists(start, product, rank, len(merchant))
    total = max(len(product), 1)
    merchants, products = len(merchant_quota), len(merchant)
    heap_start = np.zeros(merchants + 1, np.int64)
    for p in range(products):
        heap_start[merchant[p] + 1] += 1
    for v in range(merchants):
        heap_start[v + 1] += heap_start[v]
    heap, heap_size = np.empty(products, np.int64), np.zeros(merchants, np.int64)
    key, inside = np.empty(products, np.int64), np.zeros(products, np.bool_)
    following = begin[:-1].copy()
    product_size, merchant_size = np.zeros(products, np.int64), np.zeros(merchants, np.int64)
    held = np.full(len(start) - 1, _NOBODY)
    waiting, is_waiting = np.empty(merchants, np.int64), np.ones(merchants, np.bool_)
    for p in range(products):
        if product_quota[p] > 0 and following[p] < begin[p + 1]:
            key[p] = np.int64(rank[pairs[following[p]]]) * total + pairs[following[p]]
            push(heap, heap_size, heap_start, key, merchant[p], p)
            inside[p] = True
    many = merchants
    for v in range(merchants):
        waiting[v] = v
    while many:
        v = waiting[many - 1]
        if merchant_size[v] >= merchant_quota[v] or heap_size[v] == 0:
            many -= 1
            is_waiting[v] = False
            continue
        p = heap[heap_start[v]]
        pop(heap, heap_size, heap_start, key, v)
        inside[p] = False
        while following[p] < begin[p + 1]:
            had = held[wanting[following[p]]]
            if had < 0 or had > pairs[following[p]]:
                break
            following[p] += 1  # holds this or better, for good
        if following[p] == begin[p + 1] or product_size[p] >= product_quota[p]:
            continue
        pair = pairs[following[p]]
        now = np.int64(rank[pair]) * total + pair
        if now > key[p]:  # somebody else may come before
            key[p] = now
            push(heap, heap_size, heap_start, key, v, p)
            inside[p] = True
            continue
        c = wanting[following[p]]
        if held[c] >= 0:
            other = product[held[c]]
            left = merchant[other]
            product_size[other] -= 1
            merchant_size[left] -= 1
            if not inside[other]:
                push(heap, heap_size, heap_start, key, left, other)
                inside[other] = True
            if not is_waiting[left]:
                waiting[many] = left
                many += 1
                is_waiting[left] = True
        held[c] = pair
        product_size[p] += 1
        merchant_size[v] += 1
        if product_size[p] < product_quota[p] and not inside[p]:
            push(heap, heap_size, heap_start, key, v, p)
            inside[p] = True
    return held


@numba.njit(cache=True)
def push(heap: Integers, size: Integers, start: Integers, key: Integers, v: int, p: int) -> None:
    """Put product p into the heap of merchant v, the smallest key on top."""
    base, at = start[v], size[v]
    size[v] += 1
    while at > 0:
        above = (at - 1) // 2
        if key[heap[base + above]] <= key[p]:
            break
        heap[base + at] = heap[base + above]
        at = above
    heap[base + at] = p


@numba.njit(cache=True)
def pop(heap: Integers, size: Integers, start: Integers, key: Integers, v: int) -> None:
    """Take the product with the smallest key from the heap of merchant v."""
    base = start[v]
    size[v] -= 1
    moved, at = heap[base + size[v]], 0
    while 2 * at + 1 < size[v]:
        below = 2 * at + 1
        if below + 1 < size[v] and key[heap[base + below + 1]] < key[heap[base + below]]:
            below += 1
        if key[moved] <= key[heap[base + below]]:
            break
        heap[base + at] = heap[base + below]
        at = below
    heap[base + at] = moved


@numba.njit(cache=True)
def serial_dictatorship(
    order: Integers, start: Integers, product: Integers, merchant: Integers,
    product_quota: Integers, merchant_quota: Integers, creator_quota: Integers,
) -> Integers:  # fmt: skip
    """Creators choose in an order, each the best products with room: the one stable matching where merchants agree.

    Args:
        order: creators, the first chooser first.
        start: where each creator's list begins, (C + 1,).
        product: of the lists, (M,).
        merchant: of each product, (P,).
        product_quota: (P,).
        merchant_quota: (V,).
        creator_quota: products that each creator takes, (C,); empty: one each.

    Returns:
        Pairs that are carried out, by chooser, (K,).
    """
    product_left, merchant_left = product_quota.copy(), merchant_quota.copy()
    found = np.empty(len(product), np.int64)
    many = 0
    for c in order:
        left = creator_quota[c] if len(creator_quota) else 1
        for pair in range(start[c], start[c + 1]):
            if not left:
                break
            p = product[pair]
            if product_left[p] > 0 and merchant_left[merchant[p]] > 0:
                product_left[p] -= 1
                merchant_left[merchant[p]] -= 1
                found[many] = pair
                many += 1
                left -= 1
    return found[:many]
