"""Independent Cascade by simulation (Kempe, Kleinberg & Tardos 2003).

Seeds are active at step 0. Whoever became active at step t tries each of its targets once and activates it at step
t + 1 with the edge's probability, whatever others do. A cascade ends when nobody is new, or after a number of steps.

Shapes: N nodes, S simulations, T steps.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.arrivals import Arrivals, activate
from micromega.solvers.cascade.network import Network, checked_nodes
from micromega.solvers.cascade.random_numbers import compiled, stream

Integers = NDArray[np.int64]


def simulate(network: Network, seeds: ArrayLike, simulations: int, seed: int, steps: int | None = None) -> Integers:
    """Number of active nodes at the end of each of S cascades, seeds included.

    Args:
        network: who can activate whom.
        seeds: nodes active from the start; a node that is named twice counts once.
        simulations: S, at least 1.
        seed: of the random numbers; simulation s draws the same whatever S is.
        steps: a cascade ends after so many; None: when nobody is new.

    Returns:
        (S,) counts.

    Raises:
        DataError: a seed is not in the network.
        ConfigError: simulations below 1, steps below 0 or a seed below 0.

    Example:
        >>> network = Network.of([[0, 1], [1, 2]], 1.0, nodes=4)
        >>> simulate(network, [0], 3, seed=0).tolist(), simulate(network, [0], 1, seed=0, steps=1).tolist()
        ([3, 3, 3], [2])
    """
    chosen, many, limit = checked(network, seeds, simulations, seed, steps)
    return _sizes(network.arrivals, chosen, many, seed, limit)


def activation_counts(
    network: Network, seeds: ArrayLike, simulations: int, seed: int, steps: int | None = None
) -> Integers:
    """In how many of S cascades each node became active, (N,); arguments, errors and cascades as of `simulate`."""
    chosen, many, limit = checked(network, seeds, simulations, seed, steps)
    counts: Integers = _counts(network.arrivals, chosen, many, seed, limit, 0)[0]
    return counts


def activation_by_step(
    network: Network, seeds: ArrayLike, simulations: int, seed: int, steps: int | None, last: int | None = None
) -> Integers:
    """In how many of S cascades each node was active after 0, 1, … T steps, (T + 1, N).

    T is `last`, after which all that is active later counts, or the time bound `steps`; without either N. Else as
    `simulate`.
    """
    chosen, many, limit = checked(network, seeds, simulations, seed, steps)
    told = limit if last is None else last
    counts: Integers = np.cumsum(_counts(network.arrivals, chosen, many, seed, limit, told), axis=0)
    return counts


def checked(
    network: Network, seeds: ArrayLike, simulations: int, seed: int, steps: int | None
) -> tuple[Integers, int, int]:
    """Give seeds, number of simulations and most steps, or raise what `simulate` says."""
    if simulations < 1:
        raise ConfigError(f"simulations is {simulations}. Give 1 or more.")
    if steps is not None and steps < 0:
        raise ConfigError(f"steps is {steps}. Give 0 or more, or nothing for no limit.")
    if not 0 <= seed < 2**63:
        raise ConfigError(f"seed is {seed}. Give a whole number from 0 to 2^63 - 1.")
    return checked_nodes(seeds, network.nodes, "seeds"), simulations, network.nodes if steps is None else steps


@compiled
def run_cascade(
    edges: Arrivals,
    seeds: Integers,
    state: np.uint64,
    limit: int,
    active: NDArray[np.uint8],
    queue: NDArray[np.int32],
    ends: Integers,
) -> int:
    """Run one cascade; leave the active nodes in the queue by step, and its length after each step in `ends`."""
    node, target, other, keep = edges
    tail = 0
    for v in seeds:
        queue[tail] = v
        active[v] = 1
        tail += 1
    ends[0] = tail
    head = step = 0
    while head < tail and step < limit:
        step += 1
        last = tail
        while head < last:
            state, tail = activate(node, target, other, keep, queue[head], state, active, queue, tail)
            head += 1
        if step < len(ends):
            ends[step] = tail
    for later in range(step + 1, len(ends)):
        ends[later] = tail
    return tail


@compiled
def _sizes(
    edges: Arrivals,
    seeds: Integers,
    simulations: int,
    seed: int,
    limit: int,
) -> Integers:
    active = np.zeros(len(edges.node), np.uint8)
    queue = np.empty(len(edges.node) + 1, np.int32)
    ends = np.zeros(1, np.int64)
    sizes = np.empty(simulations, np.int64)
    for s in range(simulations):
        sizes[s] = run_cascade(edges, seeds, stream(seed, s), limit, active, queue, ends)
        for i in range(sizes[s]):
            active[queue[i]] = 0
    return sizes


@compiled
def _counts(
    edges: Arrivals,
    seeds: Integers,
    simulations: int,
    seed: int,
    limit: int,
    last: int,
) -> Integers:
    """How often each node became active at step 0, 1, … `last`, (last + 1, N); later ones count as the last."""
    active = np.zeros(len(edges.node), np.uint8)
    queue = np.empty(len(edges.node) + 1, np.int32)
    ends = np.zeros(last + 1, np.int64)
    counts = np.zeros((last + 1, len(edges.node)), np.int64)
    for s in range(simulations):
        tail = run_cascade(edges, seeds, stream(seed, s), limit, active, queue, ends)
        ends[last] = tail
        i = 0
        for step in range(last + 1):
            while i < ends[step]:
                counts[step, queue[i]] += 1
                active[queue[i]] = 0
                i += 1
    return counts
