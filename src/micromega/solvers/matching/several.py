"""Creators who take several products: pairwise-stable matchings by deferred acceptance (Fleiner 2003, numba).

A creator of quota b chooses its b best products. A merchant chooses pairs of a creator and a product in the order of
its list (of one creator's pairs the one the creator likes better) while product and merchant have room: the greedy
choice of a laminar matroid, which is substitutable, so that deferred acceptance ends in the pairwise-stable matching
that is best for the side that proposes. With b = 1 this is student-project allocation. Shapes: C creators, P products,
V merchants, M pairs of a creator and a product of its list.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from micromega.solvers.matching.algorithms import pop, push
from micromega.solvers.matching.game import Game
from micromega.solvers.matching.lists import owners
from micromega.solvers.matching.pairs import Shorts, pair_ranks, projected_lists

Integers = NDArray[np.int64]
Marks = NDArray[np.bool_]
_NOBODY = -1


def creator_optimal_pairs(game: Game) -> Integers:
    """Creators propose. Returns the pairs that are carried out, ascending, (K,)."""
    return _solve(game, _creators_propose)


def merchant_optimal_pairs(game: Game) -> Integers:
    """Merchants propose. Returns the pairs that are carried out, ascending, (K,)."""
    return _solve(game, _merchants_propose)


def _solve(game: Game, propose: numba.core.dispatcher.Dispatcher) -> Integers:
    rank = pair_ranks(game.start, game.product, game.merchant, game.merchant_start, game.creator)
    quota = game.creator_quota if game.several else np.ones(game.creators, np.int64)
    return np.flatnonzero(
        propose(
            game.start, game.product, rank, owners(game.start), game.merchant, game.product_quota,
            game.merchant_quota, quota,
        )
    )  # fmt: skip


@numba.njit(cache=True)
def _creators_propose(
    start: Integers, product: Integers, rank: Shorts, owner: Integers, merchant: Integers, product_quota: Integers,
    merchant_quota: Integers, creator_quota: Integers,
) -> Marks:  # fmt: skip
    of_product, product_list, _ = projected_lists(start, product, rank, len(merchant))
    of_merchant, merchant_list, _ = projected_lists(start, merchant[product], rank, len(merchant_quota))
    in_product, in_merchant = _places(product_list, len(product)), _places(merchant_list, len(product))
    product_limit, merchant_limit = of_product[1:].copy(), of_merchant[1:].copy()
    product_limit[product_quota == 0] = _NOBODY
    merchant_limit[merchant_quota == 0] = _NOBODY
    product_worst, merchant_worst = of_product[1:] - 1, of_merchant[1:] - 1
    product_size, merchant_size = np.zeros(len(merchant), np.int64), np.zeros(len(merchant_quota), np.int64)
    creators = len(start) - 1
    held, size, following = np.zeros(len(product), np.bool_), np.zeros(creators, np.int64), start[:-1].copy()
    free, is_free = np.arange(creators)[::-1].copy(), np.ones(creators, np.bool_)
    many = creators
    while many:
        many -= 1
        c = free[many]
        is_free[c] = False
        while size[c] < creator_quota[c] and following[c] < start[c + 1]:
            pair = following[c]
            following[c] += 1
            p = product[pair]
            v = merchant[p]
            if rank[pair] < 0 or in_product[pair] > product_limit[p] or in_merchant[pair] > merchant_limit[v]:
                continue
            held[pair] = True
            size[c] += 1
            product_size[p] += 1
            merchant_size[v] += 1
            out = _NOBODY
            if product_size[p] > product_quota[p]:
                out = product_list[_worst(product_worst, p, product_list, held)]
            elif merchant_size[v] > merchant_quota[v]:
                out = merchant_list[_worst(merchant_worst, v, merchant_list, held)]
            if out >= 0:
                held[out] = False
                size[owner[out]] -= 1
                product_size[product[out]] -= 1
                merchant_size[v] -= 1
                if owner[out] != c and not is_free[owner[out]]:
                    free[many] = owner[out]
                    many += 1
                    is_free[owner[out]] = True
            if product_size[p] == product_quota[p]:
                product_limit[p] = _worst(product_worst, p, product_list, held)
            if merchant_size[v] == merchant_quota[v]:
                merchant_limit[v] = _worst(merchant_worst, v, merchant_list, held)
    return held


@numba.njit(cache=True)
def _places(order: Integers, many: int) -> Integers:
    found = np.full(many, _NOBODY)
    for at in range(len(order)):
        found[order[at]] = at
    return found


@numba.njit(cache=True)
def _worst(worst: Integers, of: int, order: Integers, held: Marks) -> int:
    at = worst[of]
    while not held[order[at]]:
        at -= 1
    worst[of] = at
    return int(at)


@numba.njit(cache=True)
def _merchants_propose(  # noqa: C901, PLR0912, PLR0915  (one loop over one state, which numba cannot close over)
    start: Integers, product: Integers, rank: Shorts, owner: Integers, merchant: Integers, product_quota: Integers,
    merchant_quota: Integers, creator_quota: Integers,
) -> Marks:  # fmt: skip
    begin, pairs, _ = projected_lists(start, product, rank, len(merchant))
    total, merchants, products = max(len(product), 1), len(merchant_quota), len(merchant)
    heap_start = np.zeros(merchants + 1, np.int64)
    for p in range(products):
        heap_start[merchant[p] + 1] += 1
    for v in range(merchants):
        heap_start[v + 1] += heap_start[v]
    heap, heap_size = np.empty(products, np.int64), np.zeros(merchants, np.int64)
    key, inside = np.empty(products, np.int64), np.zeros(products, np.bool_)
    following = begin[:-1].copy()
    product_size, merchant_size = np.zeros(products, np.int64), np.zeros(merchants, np.int64)
    held, size, worst = np.zeros(len(product), np.bool_), np.zeros(len(start) - 1, np.int64), start[1:] - 1
    for p in range(products):
        if product_quota[p] > 0 and following[p] < begin[p + 1]:
            key[p] = np.int64(rank[pairs[following[p]]]) * total + pairs[following[p]]
            push(heap, heap_size, heap_start, key, merchant[p], p)
            inside[p] = True
    waiting, is_waiting = np.arange(merchants), np.ones(merchants, np.bool_)
    many = merchants
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
            pair = pairs[following[p]]
            c = owner[pair]
            full = size[c] >= creator_quota[c]
            if full and creator_quota[c]:
                while not held[worst[c]]:
                    worst[c] -= 1
            if not held[pair] and (not full or (creator_quota[c] > 0 and worst[c] > pair)):
                break
            following[p] += 1  # holds this or enough that is better, for good
        if following[p] == begin[p + 1] or product_size[p] >= product_quota[p]:
            continue
        pair = pairs[following[p]]
        now = np.int64(rank[pair]) * total + pair
        if now > key[p]:  # somebody else may come before
            key[p] = now
            push(heap, heap_size, heap_start, key, v, p)
            inside[p] = True
            continue
        c = owner[pair]
        if size[c] >= creator_quota[c]:
            out = worst[c]
            other = product[out]
            left = merchant[other]
            held[out] = False
            size[c] -= 1
            product_size[other] -= 1
            merchant_size[left] -= 1
            if not inside[other]:
                push(heap, heap_size, heap_start, key, left, other)
                inside[other] = True
            if not is_waiting[left]:
                waiting[many] = left
                many += 1
                is_waiting[left] = True
        held[pair] = True
        size[c] += 1
        product_size[p] += 1
        merchant_size[v] += 1
        if product_size[p] < product_quota[p] and not inside[p]:
            push(heap, heap_size, heap_start, key, v, p)
            inside[p] = True
    return held
