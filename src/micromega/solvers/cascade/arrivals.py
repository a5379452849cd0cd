"""Which of a node's edges are live, in time that grows with the live ones instead of with all.

An edge of probability p gets Poisson arrivals of rate λ = -log(1 - p), so it gets at least one with probability p. All
edges of a node together get Poisson arrivals of rate Λ = Σ λ, and each arrival falls on an edge in proportion to λ: by
a plain index where all of the node's edges are equal, by Walker's alias table (Vose 1991) otherwise. Any number of
arrivals on an edge counts as one, hence edges are live independently with exactly their probabilities, and a node costs
1 + Λ draws, without logarithms. Edges above `STRONG` would get too many arrivals: they are drawn one by one.

Shapes: N nodes, M edges of positive probability.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.random_numbers import compiled, following, inlined, uniform

STRONG = 0.6
"""Edges of higher probability are drawn one by one; here λ = 0.92, so arrivals never cost more than that."""
_PIECE = 16.0
"""Arrivals of higher rate are drawn in several pieces, so that exp(-rate) stays well above the smallest number."""
_MOST_ARRIVALS = 160
"""A piece has more with probability below 1e-100; this ends the search where rounding would not."""
NODE = np.dtype(
    [("begin", "i4"), ("weak_end", "i4"), ("end", "i4"), ("pieces", "i4"), ("rate", "f8"), ("none", "f8")], align=True
)
"""A node's weak edges, then its strong ones; into how many pieces the weak ones' Λ is cut, the rate of a piece and the
probability that a piece has no arrival."""
_INVERSE = 1.0 / np.maximum(np.arange(_MOST_ARRIVALS + 1), 1)

Nodes = NDArray[np.void]


class Arrivals(NamedTuple):
    """Edges in the order in which they are drawn; compiled loops take it as it is.

    Attributes:
        node: records of `NODE`, (N,).
        target: (M,).
        other: where an arrival goes that the edge does not keep, (M,); empty where each node's weak edges are equal.
        keep: share of its arrivals that an edge keeps; of a strong edge its probability, (M,).
    """

    node: Nodes
    target: NDArray[np.int32]
    other: NDArray[np.int32]
    keep: NDArray[np.float64]


def arrivals_of(start: NDArray[np.int64], target: NDArray[np.int64], probability: NDArray[np.float64]) -> Arrivals:
    """Lay out a network's edges; those of probability 0 are left out."""
    nodes = len(start) - 1
    source = np.repeat(np.arange(nodes), np.diff(start))
    possible = probability > 0
    source, chance = source[possible], probability[possible]
    strong = chance > STRONG
    order = np.lexsort((target[possible], strong, source))
    source, chance, strong = source[order], chance[order], strong[order]
    to: NDArray[np.int32] = target[possible][order].astype(np.int32)
    rate = np.where(strong, 0.0, -np.log1p(-np.where(strong, 0.0, chance)))
    node = np.zeros(nodes, NODE)
    ends = np.cumsum(np.bincount(source, minlength=nodes))
    node["end"] = ends
    node["begin"][1:] = ends[:-1]
    node["weak_end"] = node["begin"] + np.bincount(source[~strong], minlength=nodes)
    whole = np.bincount(source, weights=rate, minlength=nodes)
    node["pieces"] = np.ceil(whole / _PIECE)
    node["rate"] = whole / np.maximum(node["pieces"], 1)
    node["none"] = np.exp(-node["rate"])
    keep = np.where(strong, chance, 1.0)
    if _even(source, chance, strong):
        return Arrivals(node=node, target=to, other=np.zeros(0, np.int32), keep=keep)
    other = to.copy()
    _fill_alias(node, rate, to, other, keep)
    return Arrivals(node=node, target=to, other=other, keep=keep)


def _even(source: NDArray[np.int64], chance: NDArray[np.float64], strong: NDArray[np.bool_]) -> bool:
    """Whether each node's weak edges have one probability."""
    beside = (source[1:] == source[:-1]) & ~strong[1:]
    return bool(np.all(chance[1:][beside] == chance[:-1][beside]))


@compiled
def _fill_alias(
    node: Nodes,
    rate: NDArray[np.float64],
    target: NDArray[np.int32],
    other: NDArray[np.int32],
    keep: NDArray[np.float64],
) -> None:
    """Vose's tables: edges below the node's mean rate give the rest of their share to one above it."""
    small = np.empty(len(target), np.int32)
    large = np.empty(len(target), np.int32)
    for v in range(len(node)):
        begin, end = node[v].begin, node[v].weak_end
        total = 0.0
        for e in range(begin, end):
            total += rate[e]
        few = many = 0
        for e in range(begin, end):
            keep[e] = rate[e] * (end - begin) / total
            if keep[e] < 1.0:
                small[few] = e
                few += 1
            else:
                large[many] = e
                many += 1
        while few and many:
            few -= 1
            e, giver = small[few], large[many - 1]
            other[e] = target[giver]
            keep[giver] -= 1.0 - keep[e]
            if keep[giver] < 1.0:
                many -= 1
                small[few] = giver
                few += 1
        while few:  # what rounding has left over
            few -= 1
            keep[small[few]] = 1.0


@compiled
def _arrived(state: np.uint64, rate: float, none: float) -> int:
    """Poisson number of arrivals by inversion."""
    u = uniform(state)
    many = 0
    term = up_to = none
    while u >= up_to and many < _MOST_ARRIVALS:
        many += 1
        term *= rate * _INVERSE[many]
        up_to += term
    return many


@inlined
def activate(
    node: Nodes,
    target: NDArray[np.int32],
    other: NDArray[np.int32],
    keep: NDArray[np.float64],
    v: int,
    state: np.uint64,
    active: NDArray[np.uint8],
    queue: NDArray[np.int32],
    tail: int,
) -> tuple[np.uint64, int]:
    """Let node v try all its edges: mark whom it activates and put them at the end of the queue.

    The queue has room for one node more than there are: a node is written first and counted if it is new, which
    spares the processor a branch that it cannot foresee. The arrays come one by one, since taking them out of a tuple
    in a loop counts references.

    Returns:
        The state of the random numbers and the end of the queue.
    """
    begin, rate, none = node[v].begin, node[v].rate, node[v].none
    width = node[v].weak_end - begin
    for _ in range(node[v].pieces):
        state = following(state)
        for _ in range(_arrived(state, rate, none)):
            state = following(state)
            place = uniform(state) * width
            slot = np.int64(place)
            w = target[begin + slot]
            if len(other) and place - slot >= keep[begin + slot]:
                w = other[begin + slot]
            queue[tail] = w
            tail += 1 - active[w]
            active[w] = 1
    for e in range(begin + width, node[v].end):
        state = following(state)
        if uniform(state) < keep[e]:
            w = target[e]
            queue[tail] = w
            tail += 1 - active[w]
            active[w] = 1
    return state, tail
