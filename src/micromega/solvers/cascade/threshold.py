"""The linear threshold model by simulation (Kempe, Kleinberg & Tardos 2003).

Each node has a threshold, uniform on [0, 1], and becomes active at step t + 1 once the weights of its in-edges from
nodes active at step t reach it. Weights into a node sum to 1 at most. The same as choosing one live in-edge of each
node at most, by its weight.

Shapes: N nodes, M edges, S simulations, T steps.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.random_numbers import compiled, following, stream, uniform
from micromega.solvers.cascade.simulate import checked

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
_SLACK = 1e-9
"""Rounding allowed above a sum of weights of 1."""
_UNDRAWN, _DONE = 2.0, 3.0
"""In place of a threshold: not drawn yet; the node is active."""


def simulate_threshold(
    network: Network, seeds: ArrayLike, simulations: int, seed: int, steps: int | None = None
) -> Integers:
    """Number of active nodes at the end of each of S cascades, (S,), seeds included.

    Args:
        network: its probabilities are the weights.
        seeds: nodes active from the start.
        simulations: S.
        seed: of the thresholds.
        steps: a cascade ends after so many; None: when nobody is new.

    Raises:
        DataError: weights into a node sum to more than 1, or a seed is not in the network.
        ConfigError: simulations below 1, steps or seed below 0.

    Example:
        >>> simulate_threshold(Network.of([[0, 1], [1, 2]], 1.0, nodes=4), [0], 2, seed=0).tolist()
        [3, 3]
    """
    chosen, many, limit = checked(network, seeds, simulations, seed, steps)
    check_weights(network)
    return _cascades(network.start, network.target, network.probability, chosen, many, seed, limit, 0)[0]


def threshold_by_step(
    network: Network, seeds: ArrayLike, simulations: int, seed: int, steps: int | None, last: int | None = None
) -> Integers:
    """In how many of S cascades each node was active after 0, 1, … T steps, (T + 1, N); T as of `activation_by_step`.

    Else as `simulate_threshold`.
    """
    chosen, many, limit = checked(network, seeds, simulations, seed, steps)
    check_weights(network)
    told = limit if last is None else last
    counts = _cascades(network.start, network.target, network.probability, chosen, many, seed, limit, told)[1]
    return np.asarray(np.cumsum(counts, axis=0))


def check_weights(network: Network) -> None:
    """Raise a DataError that names the first node into which weights sum to more than 1."""
    into = np.bincount(network.target, weights=network.probability, minlength=network.nodes)
    wrong = np.flatnonzero(into > 1 + _SLACK)
    if wrong.size:
        raise DataError(
            f"probability: the weights into node {wrong[0]} sum to {into[wrong[0]]:.6g}, into {len(wrong)} nodes to "
            "more than 1. The linear threshold model needs 1 at most; 1 / in-degree always fits."
        )


@compiled
def _pressed(
    v: int,
    start: Integers,
    target: Integers,
    weight: Reals,
    state: np.uint64,
    threshold: Reals,
    touched: Integers,
    many: int,
    queue: Integers,
    tail: int,
) -> tuple[np.uint64, int, int]:
    """Lower the thresholds of v's targets by their weights; those that sink below 0 are active and join the queue.

    `threshold` is _UNDRAWN before the first active in-edge of a node and _DONE once it is active.
    """
    for e in range(start[v], start[v + 1]):
        w = target[e]
        if threshold[w] == _DONE or weight[e] <= 0.0:
            continue
        if threshold[w] == _UNDRAWN:
            state = following(state)
            threshold[w] = uniform(state)
            touched[many] = w
            many += 1
        threshold[w] -= weight[e]
        if threshold[w] < 0.0:
            threshold[w] = _DONE
            queue[tail] = w
            tail += 1
    return state, many, tail


@compiled
def _cascades(
    start: Integers,
    target: Integers,
    weight: Reals,
    seeds: Integers,
    simulations: int,
    seed: int,
    limit: int,
    last_step: int,
) -> tuple[Integers, Integers]:
    """Sizes, (S,), and how often each node became active at step 0, 1, … `last_step`, (last_step + 1, N)."""
    nodes = len(start) - 1
    threshold = np.full(nodes, _UNDRAWN)
    queue = np.empty(nodes, np.int64)
    touched = np.empty(nodes, np.int64)
    sizes = np.empty(simulations, np.int64)
    counts = np.zeros((last_step + 1, nodes), np.int64)
    for s in range(simulations):
        state = stream(seed, s)
        tail = many = head = step = 0
        for v in seeds:
            queue[tail] = v
            threshold[v] = _DONE
            counts[0, v] += 1
            tail += 1
        while head < tail and step < limit:
            step += 1
            last = tail
            while head < last:
                state, many, tail = _pressed(
                    queue[head], start, target, weight, state, threshold, touched, many, queue, tail
                )
                head += 1
            for i in range(last, tail):
                counts[min(step, last_step), queue[i]] += 1
        sizes[s] = tail
        for i in range(tail):
            threshold[queue[i]] = _UNDRAWN
        for i in range(many):
            threshold[touched[i]] = _UNDRAWN
    return sizes, counts
