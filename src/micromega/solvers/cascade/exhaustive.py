"""All sets of creators, for few needs: what comes out is proved best."""

import math

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.local_search import others, receive, sorted_cost
from micromega.solvers.cascade.random_numbers import compiled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
MOST_WORK = 10**11
"""Multiplications; half a minute or so on one core."""


def best_of_all(activation: Floats, rising: Floats, allowed: Integers, *, allow_repeats: bool) -> tuple[Integers, int]:
    """Look at every set.

    Args:
        activation: G_P, (K, N).
        rising: needs in rising order, (J,).
        allowed: rows that may be chosen, (A,).
        allow_repeats: whether one may be chosen twice.

    Returns:
        The set of lowest cost, (J,), and how many sets there are.

    Raises:
        ConfigError: there are too many.
    """
    many, size = len(allowed), len(rising)
    sets = math.comb(many + size - 1, size) if allow_repeats else math.comb(many, size)
    if sets * size * activation.shape[1] > MOST_WORK:
        raise ConfigError(
            f"{size} of {many:,} creators make {sets:,} sets: too many to look at all. Use method=local_search "
            "(problem.method in a run), or offer fewer creators (problem.candidates)."
        )
    chosen = _best(activation, rising, allowed, allow_repeats)
    return chosen, sets


@compiled
def _best(activation: Floats, rising: Floats, allowed: Integers, repeats: bool) -> Integers:
    """Count through all rising rows of J places in `allowed`; the last place runs fastest."""
    size = len(rising)
    step = 0 if repeats else 1
    place = np.empty(size, np.int64)
    for s in range(size):
        place[s] = s * step
    work, aware = np.empty((3, activation.shape[1])), np.empty((2, size))
    chosen, best, best_cost = allowed[place], allowed[place], np.inf
    last = size - 1
    while True:
        chosen[:] = allowed[place]
        others(activation, chosen, last, work[0], work[1])
        for a in range(place[last], len(allowed)):
            receive(activation, chosen, last, allowed[a], work[0], work[1], work[2], aware[0])
            cost = sorted_cost(aware[0], rising, aware[1])
            if cost < best_cost:
                best_cost = cost
                best[:] = chosen
                best[last] = allowed[a]
        s = last - 1
        while s >= 0 and place[s] + 1 + (last - s) * step > len(allowed) - 1:
            s -= 1
        if s < 0:
            return best
        place[s] += 1
        for later in range(s + 1, size):
            place[later] = place[later - 1] + step
