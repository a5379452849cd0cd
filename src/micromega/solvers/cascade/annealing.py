"""Simulated annealing over sets of creators: exchanges that cost more are taken ever more rarely."""

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.local_search import draw_set, is_chosen, others, receive, sorted_cost
from micromega.solvers.cascade.random_numbers import compiled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
HOT, COLD = 0.1, 1e-5
"""First and last temperature, as a share of all that is needed."""


@compiled
def anneal(
    activation: Floats, rising: Floats, allowed: Integers, repeats: bool, iterations: int, seed: int
) -> Integers:
    """Exchange one drawn creator for another again and again, the temperature falling evenly in its logarithm.

    Args:
        activation: G_P, (K, N).
        rising: needs in rising order, (J,).
        allowed: rows that may be chosen, (A,).
        repeats: whether one may be chosen twice.
        iterations: exchanges that are tried.
        seed: of the draws.

    Returns:
        The best set that was seen, (J,).
    """
    np.random.seed(seed)  # noqa: NPY002 (numba's own generator)
    size = len(rising)
    work, aware = np.empty((3, activation.shape[1])), np.empty((2, size))
    chosen = np.empty(size, np.int64)
    draw_set(chosen, 0, allowed, repeats)
    others(activation, chosen, 0, work[0], work[1])
    receive(activation, chosen, 0, chosen[0], work[0], work[1], work[2], aware[0])
    cost = sorted_cost(aware[0], rising, aware[1])
    best, best_cost = chosen.copy(), cost
    needed = max(rising.sum(), 1e-9)
    for i in range(iterations):
        temperature = needed * HOT * (COLD / HOT) ** (i / iterations)
        slot = np.random.randint(size)  # noqa: NPY002
        candidate = allowed[np.random.randint(len(allowed))]  # noqa: NPY002
        if not repeats and is_chosen(chosen, candidate):
            continue
        others(activation, chosen, slot, work[0], work[1])
        receive(activation, chosen, slot, candidate, work[0], work[1], work[2], aware[0])
        found = sorted_cost(aware[0], rising, aware[1])
        if found <= cost or np.random.random() < np.exp((cost - found) / temperature):  # noqa: NPY002
            chosen[slot], cost = candidate, found
            if cost < best_cost:
                best[:], best_cost = chosen, cost
    return best
