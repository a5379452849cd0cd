"""Exact activation probabilities of small networks: every world of live edges, weighted by its probability.

A world fixes beforehand which edges are live (Kempe et al. 2003): in Independent Cascade each edge by itself, in
linear threshold one in-edge of a node at most, by its weight. Who is active after t steps is then who can be reached
from the seeds over t live edges. Independent Cascade has 2^M worlds, linear threshold Π (in-degree + 1).

Shapes: N nodes, M edges of probability above 0, W worlds of a batch.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.network import Network, checked_nodes
from micromega.solvers.cascade.threshold import check_weights

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]
MOST_WORLDS = 2**22
_BATCH = 2**14


def exact_activation(network: Network, seeds: ArrayLike, model: str = "ic", steps: int | None = None) -> Reals:
    """Probability that each node is active at the end, (N,).

    Args:
        network: small: 4 million worlds at most.
        seeds: nodes active from the start.
        model: "ic" or "lt".
        steps: a cascade ends after so many; None: when nobody is new.

    Raises:
        ConfigError: too many worlds, or an unknown model.
        DataError: a seed is not in the network, or weights into a node sum to more than 1 (lt).

    Example:
        >>> network = Network.of([[0, 1], [1, 2]], 0.5, nodes=3)
        >>> exact_activation(network, [0]).tolist()
        [1.0, 0.5, 0.25]
    """
    chosen = checked_nodes(seeds, network.nodes, "seeds")
    limit = network.nodes if steps is None else steps
    possible = np.flatnonzero(network.probability > 0)
    source, target, probability = network.source[possible], network.target[possible], network.probability[possible]
    total = np.zeros(network.nodes)
    for live, weight in worlds(network, target, probability, model):
        active = np.zeros((len(live), network.nodes), bool)
        active[:, chosen] = True
        for _ in range(limit):
            before = active.copy()
            for edge in range(len(source)):
                active[:, target[edge]] |= before[:, source[edge]] & live[:, edge]
            if np.array_equal(active, before):
                break
        total += weight @ active
    return total


def exact_spread(network: Network, seeds: ArrayLike, model: str = "ic", steps: int | None = None) -> float:
    """Expected number of active nodes at the end; arguments and errors as of `exact_activation`."""
    return float(exact_activation(network, seeds, model, steps).sum())


def worlds(
    network: Network, target: NDArray[np.int64], probability: Reals, model: str
) -> Iterator[tuple[Flags, Reals]]:
    """Give batches of worlds: which edges are live, (W, M), and how likely each world is, (W,)."""
    if model == "ic":
        choices = [2] * len(target)
    elif model == "lt":
        check_weights(network)
        into = [np.flatnonzero(target == node) for node in np.unique(target)]
        choices = [len(edges) + 1 for edges in into]
    else:
        raise ConfigError(f'model is "{model}". Choose ic or lt.')
    many = math.prod(choices)
    if many > MOST_WORLDS:
        raise ConfigError(f"There are {many:,} worlds, {MOST_WORLDS:,} at most can be listed. Simulate instead.")
    for begin in range(0, many, _BATCH):
        number = np.arange(begin, min(begin + _BATCH, many))
        digits = np.stack(np.unravel_index(number, choices), axis=1) if choices else np.zeros((1, 0), np.int64)
        if model == "ic":
            live = digits.astype(bool)
            yield live, np.where(live, probability, 1 - probability).prod(axis=1)
        else:
            yield _one_in_edge_each(digits, into, probability)


def _one_in_edge_each(
    digits: NDArray[np.intp], into: list[NDArray[np.intp]], probability: Reals
) -> tuple[Flags, Reals]:
    """Worlds of linear threshold: digit 0 is no live in-edge, digit i the i-th one."""
    live = np.zeros((len(digits), len(probability)), bool)
    weight = np.ones(len(digits))
    for place, edges in enumerate(into):
        none = max(0.0, 1.0 - probability[edges].sum())
        weight *= np.concatenate([[none], probability[edges]])[digits[:, place]]
        for i, edge in enumerate(edges):
            live[:, edge] = digits[:, place] == i + 1
    return live, weight
