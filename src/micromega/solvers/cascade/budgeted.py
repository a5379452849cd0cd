"""Coverage within a budget: every node has a price.

Greedy+Max (Yaroslavtsev, Zhou & Avdiukhin 2020): go on taking the node that covers most per price of those that still
fit; at each stage see what the single node that covers most would add, and keep the best set of seeds seen. That covers
at least half of what the best affordable seeds do, more than the (1 - 1/√e) of ratio greedy or best single node.

Shapes: N nodes, R sets, L members of all sets.
"""

import math

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.coverage import Cover, take
from micromega.solvers.cascade.random_numbers import compiled
from micromega.solvers.cascade.reverse import ReverseSets

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
Small = NDArray[np.int32]
RATIO = 0.5
_ROUNDING = 1e-10
"""Share of the budget that sums of prices may be above it, since sums are rounded."""
_BOUND_EVERY = 8
"""Each bound sorts all nodes, so not every stage gets one."""


def cover_within(sets: ReverseSets, allowed: NDArray[np.bool_], price: Reals, budget: float) -> Cover:
    """Choose nodes whose prices sum to the budget at most.

    The bound is the smallest over stages of sets covered plus the best fractional use of the whole budget on the gains
    left.

    Args:
        sets: R sets.
        allowed: which nodes may be chosen, (N,).
        price: of each node, 0 or more, (N,).
        budget: of all.
    """
    chosen, covered, most = _greedy(
        sets.start, sets.node, *sets.by_node(), allowed & (price <= budget), price, budget * (1 + _ROUNDING)
    )
    return Cover(chosen=chosen, covered=int(covered), most=float(most))


def most_seeds(price: Reals, budget: float) -> int:
    """How many of these prices the budget pays at most."""
    return int(np.searchsorted(np.cumsum(np.sort(price)), budget * (1 + _ROUNDING), side="right"))


def log_choices(nodes: int, k: int) -> float:
    """Logarithm of the number of choices of k of N nodes or fewer, or a little more."""
    if 2 * k >= nodes:
        return nodes * math.log(2)
    return math.log(k + 1) + math.lgamma(nodes + 1) - math.lgamma(k + 1) - math.lgamma(nodes - k + 1)


@compiled
def _fractional(gain: Integers, price: Reals, usable: NDArray[np.bool_], budget: float) -> float:
    """The most gain that the budget buys if nodes could be bought in part."""
    places = np.flatnonzero(usable & (gain > 0))
    per_price = np.empty(len(places))
    for i in range(len(places)):
        v = places[i]
        per_price[i] = -gain[v] / price[v] if price[v] > 0.0 else -np.inf
    left, total = budget, 0.0
    for i in np.argsort(per_price):
        v = places[i]
        if price[v] > left:
            total += gain[v] * left / price[v]
            break
        left -= price[v]
        total += gain[v]
    return total


@compiled
def _best_of(gain: Integers, price: Reals, fits: NDArray[np.bool_]) -> tuple[int, int]:
    """Nodes of most gain per price, and of most gain; -1 where nobody gains. Of equals the lowest number."""
    dense = rich = -1
    for v in range(len(gain)):
        if not fits[v] or gain[v] <= 0:
            continue
        if rich < 0 or gain[v] > gain[rich]:
            rich = v
        if dense < 0 or gain[v] * price[dense] > gain[dense] * price[v]:
            dense = v
    return dense, rich


@compiled
def _greedy(
    start: Integers,
    node: Small,
    begin: Integers,
    held: Small,
    usable: NDArray[np.bool_],
    price: Reals,
    budget: float,
) -> tuple[Integers, int, float]:
    nodes = len(begin) - 1
    gain = np.diff(begin)
    done = np.zeros(len(start) - 1, np.bool_)
    fits = usable.copy()
    chosen = np.empty(nodes, np.int64)
    picks = covered = 0
    best_picks, best_extra, best_covered = 0, -1, 0
    left, most = budget, np.inf
    while True:
        for v in range(nodes):
            fits[v] &= price[v] <= left
        dense, rich = _best_of(gain, price, fits)
        if dense < 0 or picks % _BOUND_EVERY == 0:
            most = min(most, covered + _fractional(gain, price, usable, budget))
        if dense < 0:
            break
        if covered + gain[rich] > best_covered:
            best_picks, best_extra, best_covered = picks, rich, covered + gain[rich]
        chosen[picks] = dense
        picks += 1
        fits[dense] = False
        left -= price[dense]
        covered += take(dense, start, node, begin, held, gain, done)
    if covered >= best_covered:
        return chosen[:picks].copy(), covered, most
    chosen[best_picks] = best_extra
    return chosen[: best_picks + 1].copy(), best_covered, most
