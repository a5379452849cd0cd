"""Linear threshold as live edges, for the certificate: another way to the same cascades than `threshold`.

Each node takes one of its in-edges at most, each with its weight's probability, and is active once the source of that
edge is (Kempe, Kleinberg & Tardos 2003, claim 2.6). The weights into a node part [0, 1) into one interval for each
edge; a number u, drawn once for each node, says which edge is live: the one whose interval holds it.

Shapes: N nodes, M edges, S simulations.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.random_numbers import compiled, stream, uniform
from micromega.solvers.cascade.simulate import checked
from micromega.solvers.cascade.threshold import check_weights

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
_NODE = np.uint64(0xD1342543DE82EF95)
"""An odd number: parts the random numbers of nodes."""


def live_edge_sizes(
    network: Network, seeds: ArrayLike, simulations: int, seed: int, steps: int | None = None
) -> Integers:
    """Number of active nodes at the end of each of S cascades, (S,); arguments and errors as `simulate_threshold`.

    Example:
        >>> live_edge_sizes(Network.of([[0, 1], [1, 2]], 1.0, nodes=4), [0], 2, seed=0).tolist()
        [3, 3]
    """
    chosen, many, limit = checked(network, seeds, simulations, seed, steps)
    check_weights(network)
    begin, end = _intervals(network)
    return _sizes(network.start, network.target, begin, end, chosen, many, seed, limit)


def _intervals(network: Network) -> tuple[Reals, Reals]:
    """Part [0, 1) of each target among its in-edges: where each edge's interval begins and ends, (M,) each."""
    order = np.argsort(network.target, kind="stable")
    end = np.cumsum(network.probability[order])
    begin = np.concatenate([[0.0], end[:-1]])
    into = network.target[order]
    first = np.searchsorted(into, into)  # place of the target's first in-edge
    found = np.empty((2, len(order)))
    found[:, order] = np.stack([begin, end]) - begin[first]
    return found[0], found[1]


@compiled
def _sizes(
    start: Integers,
    target: Integers,
    begin: Reals,
    end: Reals,
    seeds: Integers,
    simulations: int,
    seed: int,
    limit: int,
) -> Integers:
    nodes = len(start) - 1
    active = np.zeros(nodes, np.bool_)
    queue = np.empty(nodes, np.int64)
    sizes = np.empty(simulations, np.int64)
    for s in range(simulations):
        base = stream(seed, s)
        tail = 0
        for v in seeds:
            active[v] = True
            queue[tail] = v
            tail += 1
        head = step = 0
        while head < tail and step < limit:
            step += 1
            last = tail
            while head < last:
                v = queue[head]
                head += 1
                for e in range(start[v], start[v + 1]):
                    w = target[e]
                    if not active[w] and begin[e] <= uniform(base + np.uint64(w) * _NODE) < end[e]:
                        active[w] = True
                        queue[tail] = w
                        tail += 1
        sizes[s] = tail
        for i in range(tail):
            active[queue[i]] = False
    return sizes
