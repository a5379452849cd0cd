"""Stable allocation in numba: deferred acceptance from either side, linear in the lists (Abraham et al. 2007).

Shapes: C creators, P products, V merchants, M pairs of a creator and a product of its list. A pair's number is its
place in the creators' lists, so that of one creator's pairs the smaller is preferred.
"""

import numba
import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
_NOBODY = -1


@numba.njit(cache=True)
def pair_ranks(
    start: Integers, product: Integers, merchant: Integers, merchant_start: Integers, creator: Integers
) -> Integers:
    """Place of each pair's creator in its merchant's list, (M,); -1 where the merchant does not list them."""
    creators, merchants = len(start) - 1, len(merchant_start) - 1
    # The merchants' lists, transposed: who lists each creator, and where.
    begin = np.zeros(creators + 1, np.int64)
    for who in creator:
        begin[who + 1] += 1
    for c in range(creators):
        begin[c + 1] += begin[c]
    fill = begin[:-1].copy()
    listed_by = np.empty(len(creator), np.int64)
    place = np.empty(len(creator), np.int64)
    for v in range(merchants):
        for i in range(merchant_start[v], merchant_start[v + 1]):
            c = creator[i]
            listed_by[fill[c]] = v
            place[fill[c]] = i - merchant_start[v]
            fill[c] += 1
    rank = np.full(len(product), _NOBODY, np.int64)
    of_merchant = np.full(merchants, _NOBODY, np.int64)
    for c in range(creators):
        for i in range(begin[c], begin[c + 1]):
            of_merchant[listed_by[i]] = place[i]
        for pair in range(start[c], start[c + 1]):
            rank[pair] = of_merchant[merchant[product[pair]]]
        for i in range(begin[c], begin[c + 1]):
            of_merchant[listed_by[i]] = _NOBODY
    return rank


@numba.njit(cache=True)
def projected_lists(product: Integers, rank: Integers, products: int) -> tuple[Integers, Integers]:
    """Pairs of each product in its merchant's order (ν_k^j of the paper): where each begins (P + 1,), and the pairs."""
    top = 0
    for r in rank:
        top = max(top, r + 1)
    count = np.zeros(top + 1, np.int64)
    for r in rank:
        if r >= 0:
            count[r + 1] += 1
    for r in range(top):
        count[r + 1] += count[r]
    by_rank = np.empty(count[top], np.int64)
    for pair in range(len(rank)):
        if rank[pair] >= 0:
            by_rank[count[rank[pair]]] = pair
            count[rank[pair]] += 1
    begin = np.zeros(products + 1, np.int64)
    for pair in by_rank:
        begin[product[pair] + 1] += 1
    for p in range(products):
        begin[p + 1] += begin[p]
    fill = begin[:-1].copy()
    pairs = np.empty(len(by_rank), np.int64)
    for pair in by_rank:
        pairs[fill[product[pair]]] = pair
        fill[product[pair]] += 1
    return begin, pairs


@numba.njit(cache=True)
def owners(start: Integers) -> Integers:
    """Creator of each pair, (M,)."""
    found = np.empty(start[-1], np.int64)
    for c in range(len(start) - 1):
        found[start[c] : start[c + 1]] = c
    return found


@numba.njit(cache=True)
def creator_optimal(
    start: Integers, product: Integers, merchant_start: Integers, creator: Integers,
    merchant: Integers, product_quota: Integers, merchant_quota: Integers,
) -> Integers:  # fmt: skip
    """Creators propose: every creator gets the best product of any stable matching.

    A product or merchant that is full remembers the worst place it holds; worse ones are refused from then on, and the
    search for the next worst only moves up the list, so that all lists are walked once.

    Returns:
        Product of each creator, -1 without, (C,).
    """
    rank = pair_ranks(start, product, merchant, merchant_start, creator)
    begin, pairs = projected_lists(product, rank, len(merchant))
    owner, creators = owners(start), len(start) - 1
    last = len(creator)
    product_limit, merchant_limit = np.full(len(merchant), last), np.full(len(merchant_quota), last)
    product_limit[product_quota == 0] = _NOBODY
    merchant_limit[merchant_quota == 0] = _NOBODY
    product_worst, merchant_worst = begin[1:] - 1, merchant_start[1:] - 1
    product_size, merchant_size = np.zeros(len(merchant), np.int64), np.zeros(len(merchant_quota), np.int64)
    held, following = np.full(creators, _NOBODY), start[:-1].copy()
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
            held[c] = pair
            product_size[p] += 1
            merchant_size[v] += 1
            out = _NOBODY
            if product_size[p] > product_quota[p]:
                out = owner[pairs[_worst_of_product(product_worst, p, pairs, held, owner)]]
            elif merchant_size[v] > merchant_quota[v]:
                out = creator[_worst_of_merchant(merchant_worst, v, creator, held, product, merchant)]
            if out >= 0:
                product_size[product[held[out]]] -= 1
                merchant_size[v] -= 1
                held[out] = _NOBODY
                free[many] = out
                many += 1
            if product_size[p] == product_quota[p]:
                product_limit[p] = rank[pairs[_worst_of_product(product_worst, p, pairs, held, owner)]]
            if merchant_size[v] == merchant_quota[v]:
                worst = _worst_of_merchant(merchant_worst, v, creator, held, product, merchant)
                merchant_limit[v] = worst - merchant_start[v]
            break
    return _products_of(held, product)


@numba.njit(cache=True)
def _worst_of_product(worst: Integers, p: int, pairs: Integers, held: Integers, owner: Integers) -> int:
    at = worst[p]
    while held[owner[pairs[at]]] != pairs[at]:
        at -= 1
    worst[p] = at
    return int(at)


@numba.njit(cache=True)
def _worst_of_merchant(
    worst: Integers, v: int, creator: Integers, held: Integers, product: Integers, merchant: Integers
) -> int:
    at = worst[v]
    while held[creator[at]] < 0 or merchant[product[held[creator[at]]]] != v:
        at -= 1
    worst[v] = at
    return int(at)


@numba.njit(cache=True)
def _products_of(held: Integers, product: Integers) -> Integers:
    found = np.full(len(held), _NOBODY)
    for c in range(len(held)):
        if held[c] >= 0:
            found[c] = product[held[c]]
    return found


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
        Product of each creator, -1 without, (C,).
    """
    rank = pair_ranks(start, product, merchant, merchant_start, creator)
    begin, pairs = projected_lists(product, rank, len(merchant))
    owner, total = owners(start), max(len(product), 1)
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
            key[p] = rank[pairs[following[p]]] * total + pairs[following[p]]
            _push(heap, heap_size, heap_start, key, merchant[p], p)
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
        _pop(heap, heap_size, heap_start, key, v)
        inside[p] = False
        while following[p] < begin[p + 1]:
            pair = pairs[following[p]]
            if held[owner[pair]] < 0 or held[owner[pair]] > pair:
                break
            following[p] += 1  # holds this or better, for good
        if following[p] == begin[p + 1] or product_size[p] >= product_quota[p]:
            continue
        pair = pairs[following[p]]
        now = rank[pair] * total + pair
        if now > key[p]:  # somebody else may come before
            key[p] = now
            _push(heap, heap_size, heap_start, key, v, p)
            inside[p] = True
            continue
        c = owner[pair]
        if held[c] >= 0:
            other = product[held[c]]
            left = merchant[other]
            product_size[other] -= 1
            merchant_size[left] -= 1
            if not inside[other]:
                _push(heap, heap_size, heap_start, key, left, other)
                inside[other] = True
            if not is_waiting[left]:
                waiting[many] = left
                many += 1
                is_waiting[left] = True
        held[c] = pair
        product_size[p] += 1
        merchant_size[v] += 1
        if product_size[p] < product_quota[p] and not inside[p]:
            _push(heap, heap_size, heap_start, key, v, p)
            inside[p] = True
    return _products_of(held, product)


@numba.njit(cache=True)
def _push(heap: Integers, size: Integers, start: Integers, key: Integers, v: int, p: int) -> None:
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
def _pop(heap: Integers, size: Integers, start: Integers, key: Integers, v: int) -> None:
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
    product_quota: Integers, merchant_quota: Integers,
) -> Integers:  # fmt: skip
    """Creators choose in an order, each the best product with room: the one stable matching where all merchants agree.

    Returns:
        Product of each creator, -1 without, (C,).
    """
    product_left, merchant_left = product_quota.copy(), merchant_quota.copy()
    found = np.full(len(start) - 1, _NOBODY)
    for c in order:
        for pair in range(start[c], start[c + 1]):
            p = product[pair]
            if product_left[p] > 0 and merchant_left[merchant[p]] > 0:
                product_left[p] -= 1
                merchant_left[merchant[p]] -= 1
                found[c] = p
                break
    return found
