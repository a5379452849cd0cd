"""Local search over sets of creators: exchange one for the best of all others until none helps, then shake and repeat.

What each creator's need receives (eq. 4 to 8) depends on who is chosen, never on which need a creator got: with the set
given, awareness is J numbers, and handing the largest to the largest need is the cheapest way (eq. 9). So the search is
over sets, J! times fewer than the rows of creators that the document's chromosomes stand for.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.random_numbers import compiled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_FAST = {"reassoc", "contract", "nsz", "arcp"}
"""Sums in any order, so that the compiler may use vectors; the same on every run of one machine."""
_GAIN = 1e-12
"""A smaller gain is rounding."""


@numba.njit(cache=True, fastmath=_FAST)
def others(activation: Floats, chosen: Integers, slot: int, missed: Floats, total: Floats) -> None:
    """Give Π (1 - p) and Σ p of all chosen but the one of `slot`, for each account."""
    missed[:], total[:] = 1.0, 0.0
    for s in range(len(chosen)):
        if s != slot:
            row = activation[chosen[s]]
            for k in range(len(row)):
                missed[k] *= 1.0 - row[k]
                total[k] += row[k]


@numba.njit(cache=True, fastmath=_FAST)
def receive(
    activation: Floats,
    chosen: Integers,
    slot: int,
    candidate: int,
    missed: Floats,
    total: Floats,
    share: Floats,
    aware: Floats,
) -> None:
    """Awareness that each slot has (eq. 8) with `candidate` in one of them; `missed`, `total` are of `others`."""
    row = activation[candidate]
    own = 0.0
    for k in range(len(row)):
        sum_of = total[k] + row[k]
        share[k] = (1.0 - missed[k] * (1.0 - row[k])) / sum_of if sum_of > 0.0 else 0.0
        own += share[k] * row[k]
    for s in range(len(chosen)):
        if s == slot:
            aware[s] = own
        else:
            other = activation[chosen[s]]
            got = 0.0
            for k in range(len(other)):
                got += share[k] * other[k]
            aware[s] = got


@compiled
def sorted_cost(aware: Floats, rising: Floats, held: Floats) -> float:
    """Cost (eq. 9) with the largest awareness for the largest need; `rising` are the needs in order."""
    for s in range(len(aware)):
        value = aware[s]
        at = s
        while at and held[at - 1] > value:
            held[at] = held[at - 1]
            at -= 1
        held[at] = value
    cost = 0.0
    for s in range(len(aware)):
        cost += abs(rising[s] - held[s])
    return cost


@compiled
def descend(
    activation: Floats, chosen: Integers, rising: Floats, allowed: Integers, repeats: bool, work: Floats, aware: Floats
) -> tuple[float, int]:
    """Exchange one creator at a time, each time for the best of all, until none of J in a row helps.

    Args:
        activation: G_P, (K, N).
        chosen: rows of the set, (J,); changed in place.
        rising: needs in rising order, (J,).
        allowed: rows that may be chosen, (A,).
        repeats: whether one may be chosen twice.
        work: room, (3, N).
        aware: room, (2, J).

    Returns:
        Cost, and sets that were looked at.
    """
    missed, total, share = work[0], work[1], work[2]
    others(activation, chosen, 0, missed, total)
    receive(activation, chosen, 0, chosen[0], missed, total, share, aware[0])
    cost = sorted_cost(aware[0], rising, aware[1])
    looked, still, slot = 1, 0, 0
    while still < len(chosen):
        others(activation, chosen, slot, missed, total)
        best, best_cost = -1, cost - _GAIN
        for a in range(len(allowed)):
            candidate = allowed[a]
            if not repeats and is_chosen(chosen, candidate):
                continue
            receive(activation, chosen, slot, candidate, missed, total, share, aware[0])
            found = sorted_cost(aware[0], rising, aware[1])
            looked += 1
            if found < best_cost:
                best, best_cost = candidate, found
        still += 1
        if best >= 0:
            chosen[slot], cost, still = best, best_cost, 1
        slot = (slot + 1) % len(chosen)
    return cost, looked


@compiled
def is_chosen(chosen: Integers, candidate: int) -> bool:
    """Whether a row is in the set."""
    return bool((chosen == candidate).any())


@compiled
def draw_set(chosen: Integers, keep: int, allowed: Integers, repeats: bool) -> None:
    """Draw all creators but the first `keep` anew, from numba's generator."""
    chosen[keep:] = -1
    for s in range(keep, len(chosen)):
        candidate = allowed[np.random.randint(len(allowed))]  # noqa: NPY002 (numba's own generator, seeded by `search`)
        while not repeats and is_chosen(chosen, candidate):
            candidate = allowed[np.random.randint(len(allowed))]  # noqa: NPY002
        chosen[s] = candidate


@compiled
def search(
    activation: Floats,
    rising: Floats,
    allowed: Integers,
    repeats: bool,
    first: Integers,
    starts: int,
    shakes: int,
    replaced: int,
    enough: float,
    seed: int,
) -> tuple[Integers, Floats, int]:
    """Descend from drawn sets, and from the best of each start again after drawing some of its creators anew.

    Args:
        activation: G_P, (K, N).
        rising: needs in rising order, (J,).
        allowed: rows that may be chosen, (A,).
        repeats: whether one may be chosen twice.
        first: sets to begin with, before those that are drawn, (F, J).
        starts: local searches from a new set, F included.
        shakes: how often each is shaken without gain before the next begins.
        replaced: creators that a shake draws anew, at most.
        enough: a cost at which to stop.
        seed: of the draws.

    Returns:
        The local optimum of each start, (S, J); its cost, (S,); sets that were looked at. Fewer starts where one was
        enough.
    """
    np.random.seed(seed)  # noqa: NPY002
    many = len(rising)
    work, aware = np.empty((3, activation.shape[1])), np.empty((2, many))
    sets, costs = np.empty((starts, many), np.int64), np.empty(starts)
    trial = np.empty(many, np.int64)
    looked = 0
    for i in range(starts):
        if i < len(first):
            sets[i] = first[i]
        else:
            draw_set(sets[i], 0, allowed, repeats)
        costs[i], count = descend(activation, sets[i], rising, allowed, repeats, work, aware)
        looked += count
        quiet = 0
        while quiet < shakes and costs[i] > enough:
            trial[:] = sets[i][np.random.permutation(many)]  # noqa: NPY002
            draw_set(trial, many - min(many, 1 + np.random.randint(replaced)), allowed, repeats)  # noqa: NPY002
            cost, count = descend(activation, trial, rising, allowed, repeats, work, aware)
            looked += count
            quiet += 1
            if cost < costs[i] - _GAIN:
                sets[i], costs[i], quiet = trial, cost, 0
        if costs[i] <= enough:
            return sets[: i + 1], costs[: i + 1], looked
    return sets, costs, looked
