"""Weakly stable matchings with ties, of at least two thirds of the largest size (Cooper & Manlove 2018, numba).

With ties weakly stable matchings differ in size, and the largest is NP-hard to find. Király's idea: creators propose;
who runs out of wishes goes through the list a second time and then wins ties; and whoever could have something equally
good that is free gives way. Shapes: C creators, P products, V merchants, M pairs of a creator and a product of its
list. Linear in the lists but for the heaps' logarithm.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from micromega.solvers.matching.game import Game
from micromega.solvers.matching.lists import owners, places
from micromega.solvers.matching.pairs import pair_ranks

Integers = NDArray[np.int64]
_NOBODY = -1


def largest_weakly_stable(game: Game) -> Integers:
    """Find a weakly stable matching that has at least two thirds of the creators of the largest one.

    Args:
        game: lists with or without ties; creators with one product each.

    Returns:
        Pair that each creator gets, -1 without, (C,); the same for the same game.
    """
    rank = pair_ranks(game.start, game.product, game.merchant, game.merchant_start, game.creator).astype(np.int64)
    if len(game.creator_rank):
        first = game.merchant_start[:-1][game.merchant[game.product]]
        at = np.where(rank >= 0, first + rank, 0)
        rank = np.where(rank >= 0, game.creator_rank[at], _NOBODY)
    wish = game.product_rank if len(game.product_rank) else places(game.start)
    owner = owners(game.start)
    held = _propose(game.start, game.product, wish, rank, owner, game.merchant, game.product_quota, game.merchant_quota)
    _promote(held, game.product, wish, rank, owner, game.merchant, game.product_quota)
    return held


@numba.njit(cache=True)
def _propose(  # noqa: C901, PLR0912, PLR0915  (one loop over one state, which numba cannot close over)
    start: Integers, product: Integers, wish: Integers, rank: Integers, owner: Integers,
    merchant: Integers, product_quota: Integers, merchant_quota: Integers,
) -> Integers:  # fmt: skip
    """Pair that each creator holds when nobody applies any more, (C,)."""
    creators, pairs = len(start) - 1, len(product)
    of_product, of_merchant = _room(product, len(merchant)), _room(merchant[product], len(merchant_quota))
    product_size, merchant_size = np.zeros(len(merchant), np.int64), np.zeros(len(merchant_quota), np.int64)
    # Who is held, the worst on top; and who was taken while there was room, and may have equally good room elsewhere.
    product_heap, merchant_heap = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    in_product, in_merchant = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    product_stack, merchant_stack = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    product_top, merchant_top = of_product[:-1].copy(), of_merchant[:-1].copy()
    badness = np.empty(pairs, np.int64)
    refused = rank < 0
    again = np.zeros(creators, np.bool_)  # second time through the list
    tie, open_at, left_at = start[:-1].copy(), start[:-1].copy(), start[:-1].copy()
    held = np.full(creators, _NOBODY)
    free = np.arange(creators)[::-1].copy()
    many = creators
    while many:
        many -= 1
        c = free[many]
        while held[c] < 0:
            # The creator's best tie with a product that has not refused: first one with room, else any.
            pair = _NOBODY
            while tie[c] < start[c + 1]:
                pair = _open(c, start, wish, tie, open_at, product, merchant, refused, product_size, product_quota,
                             merchant_size, merchant_quota)  # fmt: skip
                if pair >= 0:
                    break
                while left_at[c] < start[c + 1] and wish[left_at[c]] == wish[tie[c]] and refused[left_at[c]]:
                    left_at[c] += 1
                if left_at[c] < start[c + 1] and wish[left_at[c]] == wish[tie[c]]:
                    pair = left_at[c]
                    break
                tie[c] = open_at[c] = left_at[c]
            if pair < 0:
                if again[c]:
                    break
                again[c] = True
                tie[c] = open_at[c] = left_at[c] = start[c]
                for i in range(start[c], start[c + 1]):
                    refused[i] = rank[i] < 0
                continue
            p = product[pair]
            v = merchant[p]
            badness[pair] = 2 * np.int64(rank[pair]) + (0 if again[c] else 1)
            with_room = product_size[p] < product_quota[p] and merchant_size[v] < merchant_quota[v]
            if with_room:
                product_stack[product_top[p]] = pair
                product_top[p] += 1
                merchant_stack[merchant_top[v]] = pair
                merchant_top[v] += 1
            else:
                by_product = product_size[p] >= product_quota[p]
                stack, top, base, at = (
                    (product_stack, product_top, of_product[p], p)
                    if by_product
                    else (merchant_stack, merchant_top, of_merchant[v], v)
                )
                out = _NOBODY
                while top[at] > base and out < 0:  # who could have something equally good gives way
                    top[at] -= 1
                    other = stack[top[at]]
                    if held[owner[other]] == other and _open(
                        owner[other], start, wish, tie, open_at, product, merchant, refused, product_size,
                        product_quota, merchant_size, merchant_quota,
                    ) >= 0:  # fmt: skip
                        out = other
                if out < 0:  # else the worst, if this one is better
                    size = product_size[p] if by_product else merchant_size[v]
                    worst = _NOBODY
                    if size:
                        worst = product_heap[of_product[p]] if by_product else merchant_heap[of_merchant[v]]
                    if worst < 0 or badness[pair] >= badness[worst]:
                        refused[pair] = True
                        continue
                    refused[worst] = True
                    out = worst
                lost = product[out]
                _remove(product_heap, of_product[lost], product_size, lost, in_product, badness, out)
                _remove(merchant_heap, of_merchant[v], merchant_size, v, in_merchant, badness, out)
                held[owner[out]] = _NOBODY
                free[many] = owner[out]
                many += 1
            held[c] = pair
            _add(product_heap, of_product[p], product_size, p, in_product, badness, pair)
            _add(merchant_heap, of_merchant[v], merchant_size, v, in_merchant, badness, pair)
    return held


@numba.njit(cache=True)
def _open(
    c: int, start: Integers, wish: Integers, tie: Integers, open_at: Integers, product: Integers, merchant: Integers,
    refused: NDArray[np.bool_], product_size: Integers, product_quota: Integers, merchant_size: Integers,
    merchant_quota: Integers,
) -> int:  # fmt: skip
    """First pair of the creator's present tie whose product and merchant have room, or -1.

    What is full once is full for good, or its merchant is, so that the search goes on where it stopped.
    """
    end = start[c + 1]
    while open_at[c] < end and wish[open_at[c]] == wish[tie[c]]:
        pair = open_at[c]
        p = product[pair]
        v = merchant[p]
        if not refused[pair] and product_size[p] < product_quota[p] and merchant_size[v] < merchant_quota[v]:
            return int(pair)
        open_at[c] += 1
    return _NOBODY


@numba.njit(cache=True)
def _room(group: Integers, groups: int) -> Integers:
    """Where the part of each group begins in an array with a place for every pair, (G + 1,)."""
    begin = np.zeros(groups + 1, np.int64)
    for of in group:
        begin[of + 1] += 1
    for of in range(groups):
        begin[of + 1] += begin[of]
    return begin


@numba.njit(cache=True)
def _add(heap: Integers, base: int, size: Integers, of: int, where: Integers, badness: Integers, pair: int) -> None:
    heap[base + size[of]] = pair
    where[pair] = size[of]
    size[of] += 1
    _rise(heap, base, where, badness, pair)


@numba.njit(cache=True)
def _rise(heap: Integers, base: int, where: Integers, badness: Integers, pair: int) -> None:
    at = where[pair]
    while at > 0:
        above = (at - 1) // 2
        other = heap[base + above]
        if badness[other] >= badness[pair]:
            break
        heap[base + at] = other
        where[other] = at
        at = above
    heap[base + at] = pair
    where[pair] = at


@numba.njit(cache=True)
def _remove(heap: Integers, base: int, size: Integers, of: int, where: Integers, badness: Integers, pair: int) -> None:
    size[of] -= 1
    at, moved = where[pair], heap[base + size[of]]
    if moved == pair:
        heap[base + at] = moved
    where[moved] = at
    while 2 * at + 1 < size[of]:  # sink
        below = 2 * at + 1
        if below + 1 < size[of] and badness[heap[base + below + 1]] > badness[heap[base + below]]:
            below += 1
        other = heap[base + below]
        if badness[other] <= badness[moved]:
            break
        heap[base + at] = other
        where[other] = at
        heap[base + below] = moved
        where[moved] = below
        at = below
    _rise(heap, base, where, badness, moved)


@numba.njit(cache=True)
def _promote(
    held: Integers, product: Integers, wish: Integers, rank: Integers, owner: Integers, merchant: Integers,
    product_quota: Integers,
) -> None:  # fmt: skip
    """Move creators to better products of the merchant that they are with, while such have room."""
    products = len(merchant)
    begin = _room(product, products)
    fill = begin[:-1].copy()
    pairs = np.empty(len(product), np.int64)
    for pair in range(len(product)):
        pairs[fill[product[pair]]] = pair
        fill[product[pair]] += 1
    size = np.zeros(products, np.int64)
    for c in range(len(held)):
        if held[c] >= 0:
            size[product[held[c]]] += 1
    following = begin[:-1].copy()
    waiting, is_waiting = np.arange(products)[::-1].copy(), np.ones(products, np.bool_)
    many = products
    while many:
        many -= 1
        p = waiting[many]
        is_waiting[p] = False
        while size[p] < product_quota[p] and following[p] < begin[p + 1]:
            pair = pairs[following[p]]
            following[p] += 1  # who does not want it now never will: creators only move up
            had = held[owner[pair]]
            if rank[pair] < 0 or had < 0 or merchant[product[had]] != merchant[p] or wish[pair] >= wish[had]:
                continue
            other = product[had]
            held[owner[pair]] = pair
            size[p] += 1
            size[other] -= 1
            if not is_waiting[other]:
                waiting[many] = other
                many += 1
                is_waiting[other] = True
