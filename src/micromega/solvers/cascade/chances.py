"""Readings of a network that comes without probabilities: how likely each edge activates.

All are pure functions of edges (M, 2), from source to target, each edge once; they give (M,) probabilities in the
order of the edges.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.network import checked_edges, checked_probability

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
Reading = Literal["uniform", "in_degree", "source_degree", "trivalency", "given"]
LEVELS = (0.1, 0.01, 0.001)


def edge_probability(
    edges: ArrayLike,
    nodes: int,
    reading: Reading,
    *,
    value: float | None = None,
    given: ArrayLike | None = None,
    seed: int = 0,
) -> Reals:
    """Probability of each edge by a named reading.

    Args:
        edges: (M, 2).
        nodes: N.
        reading: `uniform`: `value` everywhere; `in_degree`: `value` (1 if left out) over the in-degree of the target,
            the weighted cascade; `source_degree`: `value` x degree of the source / largest degree; `trivalency`: one of
            0.1, 0.01, 0.001, drawn with `seed`; `given`: the numbers in `given`, learned or known.
        value: see reading.
        given: (M,), for `given` alone.
        seed: of trivalency.

    Raises:
        ConfigError: an unknown reading, or a value that is missing or gives probabilities outside [0, 1].
        DataError: malformed edges or given probabilities.
    """
    if reading == "given":
        if given is None:
            raise ConfigError('The reading "given" needs probabilities. Give them, or choose another reading.')
        return checked_probability(given, len(checked_edges(edges, nodes)))
    if reading == "trivalency":
        return trivalency(edges, nodes, seed=seed)
    if reading == "in_degree":
        return over_in_degree(edges, nodes, scale=1.0 if value is None else value)
    if reading not in ("uniform", "source_degree"):
        raise ConfigError(
            f'The reading of probabilities is "{reading}". '
            "Choose uniform, in_degree, source_degree, trivalency or given."
        )
    if value is None:
        raise ConfigError(f'The reading "{reading}" needs a value from 0 to 1.')
    return uniform_chance(edges, nodes, value) if reading == "uniform" else by_source_degree(edges, nodes, most=value)


def uniform_chance(edges: ArrayLike, nodes: int, value: float) -> Reals:
    """The same probability on every edge."""
    return np.full(len(checked_edges(edges, nodes)), _chance(value))


def over_in_degree(edges: ArrayLike, nodes: int, *, scale: float = 1.0, multiplicity: ArrayLike | None = None) -> Reals:
    """Weighted cascade (Kempe et al. 2003): 1 / in-degree of the target, times `scale`, 1 at most.

    Args:
        edges: (M, 2).
        nodes: N.
        scale: above 0.
        multiplicity: how often each edge was seen, (M,); then an edge's share of all that lead to its target.
    """
    if not scale > 0:
        raise ConfigError(f"The scale of 1 / in-degree is {scale}. Give a number above 0.")
    pairs = checked_edges(edges, nodes)
    count = np.ones(len(pairs)) if multiplicity is None else np.asarray(multiplicity, np.float64)
    return np.minimum(1.0, scale * count / np.bincount(pairs[:, 1], weights=count, minlength=nodes)[pairs[:, 1]])


def by_source_degree(edges: ArrayLike, nodes: int, *, most: float) -> Reals:
    """Proportional to how many targets the source has: p = most · degree / largest degree."""
    pairs = checked_edges(edges, nodes)
    degree = np.bincount(pairs[:, 0], minlength=nodes)
    chance: Reals = _chance(most) * degree[pairs[:, 0]] / max(1, degree.max())
    return chance


def trivalency(edges: ArrayLike, nodes: int, *, seed: int, levels: tuple[float, ...] = LEVELS) -> Reals:
    """One of a few levels for each edge, all equally likely (Chen, Wang & Wang 2010).

    Drawn in the order of source and target, so that shuffled edges keep their levels.
    """
    pairs = checked_edges(edges, nodes)
    found = np.empty(len(pairs))
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    chances = np.array([_chance(level) for level in levels])
    found[order] = chances[np.random.default_rng(seed).integers(0, len(levels), len(pairs))]
    return found


def distinct_edges(edges: ArrayLike, nodes: int, *, both_directions: bool = False) -> tuple[Integers, Integers]:
    """Merge repeated edges and drop self-loops.

    Args:
        edges: (M, 2), repeats allowed.
        nodes: N.
        both_directions: whether the edges are undirected: each is then taken both ways.

    Returns:
        Distinct edges sorted by source and target, (D, 2), and how often each was given, (D,).
    """
    pairs = checked_edges(edges, nodes)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    if both_directions:
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
    code, count = np.unique(pairs[:, 0] * nodes + pairs[:, 1], return_counts=True)
    return np.stack(np.divmod(code, nodes), axis=1), count.astype(np.int64)


def _chance(value: float) -> float:
    if not 0 <= value <= 1:
        raise ConfigError(f"A probability of edges is {value}. Give a number from 0 to 1.")
    return float(value)
