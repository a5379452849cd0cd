"""The activation matrix G_P: how likely each account activates each other one (eq. 1).

Two readings of "the chance of each node to activate any other one": the best path (as in the document's Figure 1, the
product along one path; of several paths the largest), or the Independent Cascade itself, sampled. Either can be bounded
in time: a path of at most t edges, a cascade of at most t steps. Shapes: N accounts, M edges, K sources.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.random_numbers import compiled, following, stream, uniform

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.uint64]
Method = Literal["best_path", "monte_carlo"]
LARGEST = 2**28
"""Entries of a matrix: 2 GB."""
_ONE, _NONE, _ALL = np.uint64(1), np.uint64(0), np.uint64(2**64 - 1)
WORD = 64
"""Cascades that are sampled at once, one in each bit of a word."""


def activation_matrix(
    edges: ArrayLike,
    probability: ArrayLike,
    *,
    nodes: int,
    method: Method = "best_path",
    steps: int | None = None,
    simulations: int = 1024,
    seed: int = 0,
    sources: ArrayLike | None = None,
) -> Floats:
    """Chance of each account to activate each other one; its own is 1 (eq. 1).

    Args:
        edges: (source, target), source activates target, (M, 2).
        probability: of each edge, in [0, 1], (M,).
        nodes: N.
        method: "best_path", the largest product of probabilities along a path; or "monte_carlo", the share of
            simulated Independent Cascades that get there (standard error at most 0.5 / √simulations).
        steps: edges of a path, or steps of a cascade, at most; None: no limit.
        simulations: for "monte_carlo"; rounded up to a multiple of 64.
        seed: for "monte_carlo". All rows share the same drawn cascades.
        sources: accounts whose rows are wanted; None: all.

    Returns:
        (N, N), or (K, N) for K sources.

    Raises:
        DataError: edges, probabilities or sources do not fit.
        ConfigError: steps or seed below 0, simulations below 1, or a matrix that would not fit into memory.

    Example:
        >>> activation_matrix([[0, 1], [1, 2], [0, 2]], [0.5, 0.4, 0.1], nodes=3)[0].tolist()
        [1.0, 0.5, 0.2]
    """
    return network_activation(
        Network.of(edges, probability, nodes=nodes),
        method=method,
        steps=steps,
        simulations=simulations,
        seed=seed,
        sources=sources,
    )


def network_activation(
    network: Network,
    *,
    method: Method = "best_path",
    steps: int | None = None,
    simulations: int = 1024,
    seed: int = 0,
    sources: ArrayLike | None = None,
) -> Floats:
    """Give the activation matrix of a network; see `activation_matrix`."""
    nodes = network.nodes
    if steps is not None and steps < 0:
        raise ConfigError(f"steps is {steps}. Give 0 or more, or nothing for no limit.")
    if simulations < 1:
        raise ConfigError(f"simulations is {simulations}. Give 1 or more.")
    if not 0 <= seed < 2**63:
        raise ConfigError(f"seed is {seed}. Give a whole number from 0 to 2^63 - 1.")
    rows = np.arange(nodes) if sources is None else np.asarray(sources, np.int64)
    if rows.ndim != 1 or (rows.size and not 0 <= rows.min() <= rows.max() < nodes):
        raise DataError(f"sources: give one row of accounts, 0 to {nodes - 1}.")
    if len(rows) * nodes > LARGEST:
        raise ConfigError(
            f"An activation matrix of {len(rows):,} rows and {nodes:,} columns does not fit: at most {LARGEST:,} "
            f"entries. Name at most {LARGEST // nodes:,} sources (problem.candidates in a run)."
        )
    limit = -1 if steps is None else steps
    if method == "monte_carlo":
        words = -(-simulations // WORD)
        return _sampled(network.start, network.target, network.probability, rows, words, seed, limit)
    if method != "best_path":
        raise ConfigError(f'method is "{method}". Allowed: best_path, monte_carlo.')
    if steps is None:
        return _best_paths(network.start, network.target, network.probability, rows)
    return _short_paths(network.start, network.target, network.probability, rows, limit)


@compiled
def _best_paths(start: Integers, target: Integers, probability: Floats, rows: Integers) -> Floats:
    """Dijkstra from each row with products in place of sums; a heap whose outdated entries are skipped."""
    found = np.zeros((len(rows), len(start) - 1))
    chance = np.empty(len(target) + 1)
    node = np.empty(len(target) + 1, np.int64)
    for i in range(len(rows)):
        best = found[i]
        best[rows[i]] = 1.0
        chance[0], node[0], size = 1.0, rows[i], 1
        while size:
            p, v = chance[0], node[0]
            size -= 1
            _sink(chance, node, size)
            if p < best[v]:
                continue
            for k in range(start[v], start[v + 1]):
                q = p * probability[k]
                if q > best[target[k]]:
                    best[target[k]] = q
                    _rise(chance, node, size, q, target[k])
                    size += 1
    return found


@compiled
def _sink(chance: Floats, node: Integers, last: int) -> None:
    """Take the top off a heap of last + 1 entries: the last entry sinks from there to its place."""
    p, v = chance[last], node[last]
    at, child = 0, 1
    while child < last:
        if child + 1 < last and chance[child + 1] > chance[child]:
            child += 1
        if chance[child] <= p:
            break
        chance[at], node[at] = chance[child], node[child]
        at, child = child, 2 * child + 1
    chance[at], node[at] = p, v


@compiled
def _rise(chance: Floats, node: Integers, size: int, p: float, v: int) -> None:
    """Put an entry into a heap of `size` entries."""
    at = size
    while at and chance[(at - 1) // 2] < p:
        chance[at], node[at] = chance[(at - 1) // 2], node[(at - 1) // 2]
        at = (at - 1) // 2
    chance[at], node[at] = p, v


@compiled
def _short_paths(start: Integers, target: Integers, probability: Floats, rows: Integers, steps: int) -> Floats:
    """Best paths of at most `steps` edges: from what the step before improved, by its values alone."""
    nodes = len(start) - 1
    found = np.zeros((len(rows), nodes))
    now, then = np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    value = np.empty(nodes)
    listed = np.zeros(nodes, np.int64)
    stamp = 0
    for i in range(len(rows)):
        best = found[i]
        best[rows[i]] = 1.0
        now[0], size = rows[i], 1
        for _ in range(steps):
            for a in range(size):
                value[a] = best[now[a]]
            stamp += 1
            more = 0
            for a in range(size):
                for k in range(start[now[a]], start[now[a] + 1]):
                    w, q = target[k], value[a] * probability[k]
                    if q > best[w]:
                        best[w] = q
                        if listed[w] != stamp:
                            listed[w] = stamp
                            then[more] = w
                            more += 1
            now, then, size = then, now, more
            if not size:
                break
    return found


@compiled
def _sampled(
    start: Integers, target: Integers, probability: Floats, rows: Integers, words: int, seed: int, steps: int
) -> Floats:
    """Share of cascades from each row that get to each account: 64 drawn graphs a word, walked together."""
    nodes = len(start) - 1
    counts = np.zeros((len(rows), nodes), np.int64)
    live = np.empty(len(target), np.uint64)
    bits = np.zeros((3, nodes), np.uint64)
    lists = np.empty((3, nodes), np.int64)
    for word in range(words):
        _draw(probability, stream(seed, word), live)
        for i in range(len(rows)):
            _walk(start, target, live, rows[i], steps, bits, lists, counts[i])
    return counts / (64.0 * words)


@compiled
def _walk(
    start: Integers,
    target: Integers,
    live: Words,
    source: int,
    steps: int,
    bits: Words,
    lists: Integers,
    counts: Integers,
) -> None:
    """Add to each account's count in how many of 64 drawn graphs it is reached; leaves `bits` at 0."""
    reached, fresh, coming = bits[0], bits[1], bits[2]
    now, then, seen = lists[0], lists[1], lists[2]
    reached[source], fresh[source] = _ALL, _ALL
    now[0], seen[0], size, known, step = source, source, 1, 1, 0
    while size and step != steps:
        step += 1
        more = 0
        for a in range(size):
            for k in range(start[now[a]], start[now[a] + 1]):
                w = target[k]
                new = fresh[now[a]] & live[k] & ~reached[w]
                if new and not coming[w]:
                    then[more] = w
                    more += 1
                coming[w] |= new
            fresh[now[a]] = _NONE
        for a in range(more):
            w = then[a]
            if not reached[w]:
                seen[known] = w
                known += 1
            fresh[w] = coming[w]
            reached[w] |= coming[w]
            coming[w] = _NONE
        now, then, size = then, now, more
    for a in range(known):
        counts[seen[a]] += _ones(reached[seen[a]])
        reached[seen[a]], fresh[seen[a]] = _NONE, _NONE


@compiled
def _draw(probability: Floats, state: np.uint64, live: Words) -> None:
    """Draw which edges carry in 64 cascades."""
    for k in range(len(live)):
        bits = _NONE
        for bit in range(64):
            state = following(state)
            if uniform(state) < probability[k]:
                bits |= _ONE << np.uint64(bit)
        live[k] = bits


@compiled
def _ones(word: np.uint64) -> int:
    count = 0
    while word:
        word &= word - _ONE
        count += 1
    return count
