"""Reverse-reachable sets: who would have activated a node drawn at random (Borgs et al. 2014).

A set holds the nodes from which its root can be reached in one world of live edges, within the steps allowed. A set of
seeds meets it with probability spread / N, which makes the spread of any seeds a coverage of these sets. They are drawn
backwards from the root: in Independent Cascade by arrivals on the in-edges, which skips dead edges (as SUBSIM does, Guo
et al. 2020, there by geometric jumps); in linear threshold by a walk, since a node has one live in-edge at most.

Set number i depends on the seed and i alone. Shapes: N nodes, M edges, R sets, L members of all sets.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.arrivals import Arrivals, activate
from micromega.solvers.cascade.expected import check_model
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.random_numbers import compiled, following, stream, uniform
from micromega.solvers.cascade.threshold import check_weights

Integers = NDArray[np.int64]
Small = NDArray[np.int32]
_FIRST_ROOM = 1 << 16


class Backwards(NamedTuple):
    """In-edges as sets are drawn from them.

    Attributes:
        edges: for Independent Cascade.
        start: where each node's in-edges begin, (N + 1,).
        source: who activates, (M,).
        summed: weights of the node's in-edges up to this one, (M,).
        walk: whether to walk (linear threshold).
    """

    edges: Arrivals
    start: Integers
    source: Integers
    summed: NDArray[np.float64]
    walk: bool


def backwards_of(network: Network, model: str) -> Backwards:
    """Lay out a network's in-edges; raises as `check_weights` and `check_model`."""
    check_model(model)
    back = network.reverse
    if model == "ic":
        return Backwards(back.arrivals, back.start, back.target, np.zeros(0), False)
    check_weights(network)
    total = np.concatenate([[0.0], np.cumsum(back.probability)])
    summed = total[1:] - np.repeat(total[back.start[:-1]], np.diff(back.start))
    return Backwards(Network.of([], 0.0, network.nodes).arrivals, back.start, back.target, summed, True)


class ReverseSets:
    """A growing collection of sets.

    Attributes:
        start: where each set begins, (R + 1,).
        node: members, (L,); the first of each set is its root.
        full: whether the last call of `grow` stopped early for want of memory.
    """

    def __init__(self, network: Network, model: str, seed: int, steps: int | None, memory: int) -> None:
        """Start empty; members take `memory` bytes at most."""
        self.nodes = network.nodes
        self.full = False
        self._back = backwards_of(network, model)
        self._seed = seed
        self._limit = network.nodes if steps is None else steps
        self._room = max(memory // 4, network.nodes)
        self._start = np.zeros(1, np.int64)
        self._node = np.empty(min(_FIRST_ROOM, self._room), np.int32)

    def __len__(self) -> int:
        """R."""
        return len(self._start) - 1

    @property
    def start(self) -> Integers:
        """Where each set begins, (R + 1,)."""
        return self._start

    @property
    def node(self) -> Small:
        """Members, (L,)."""
        return self._node[: self._start[-1]]

    def grow(self, wanted: int) -> None:
        """Draw sets until there are so many, or memory is full."""
        start = np.concatenate([self._start, np.empty(max(0, wanted - len(self)), np.int64)])
        many = len(self)
        while many < wanted:
            many = _fill(self._back, self._seed, self._limit, many, wanted, start, self._node)
            if many < wanted:
                if len(self._node) >= self._room:
                    self.full = True
                    break
                larger = np.empty(min(2 * len(self._node), self._room), np.int32)
                larger[: start[many]] = self._node[: start[many]]
                self._node = larger
        self._start = start[: many + 1]

    def by_node(self) -> tuple[Integers, Small]:
        """The sets that each node is in: where each node's begin, (N + 1,), and the sets, (L,)."""
        return _transposed(self._start, self.node, self.nodes)


def sets_met(network: Network, model: str, seeds: Integers, *, seed: int, sets: int, steps: int | None = None) -> int:
    """How many of R fresh sets hold a seed; a set is left as soon as it does, and none is kept."""
    member = np.zeros(network.nodes, np.uint8)
    member[seeds] = 1
    return int(_met(backwards_of(network, model), seed, network.nodes if steps is None else steps, sets, member))


@compiled
def _walked(
    back: Backwards, v: int, state: np.uint64, active: NDArray[np.uint8], queue: Small, tail: int
) -> tuple[np.uint64, int]:
    """Go on from v along its live in-edge, if it has one that leads to a node not yet seen."""
    begin, end = back.start[v], back.start[v + 1]
    state = following(state)
    u = uniform(state)
    if begin < end and u < back.summed[end - 1]:
        e = begin + np.searchsorted(back.summed[begin:end], u, side="right")
        w = back.source[e]
        if not active[w]:
            active[w] = 1
            queue[tail] = w
            tail += 1
    return state, tail


@compiled
def _drawn(
    back: Backwards, state: np.uint64, limit: int, member: NDArray[np.uint8], active: NDArray[np.uint8], queue: Small
) -> tuple[int, bool]:
    """Draw a set into the queue; give its size and whether it holds a member, at which it stops."""
    node, target, other, keep = back.edges
    state = following(state)
    root = np.int64(uniform(state) * len(member))
    queue[0] = root
    active[root] = 1
    head, step, last, tail = 0, 0, 1, 1
    while head < tail:
        if head == last:
            step += 1
            last = tail
        v = queue[head]
        head += 1
        if member[v]:
            return tail, True
        if step < limit:
            if back.walk:
                state, tail = _walked(back, v, state, active, queue, tail)
            else:
                state, tail = activate(node, target, other, keep, v, state, active, queue, tail)
    return tail, False


@compiled
def _fill(back: Backwards, seed: int, limit: int, first: int, wanted: int, start: Integers, members: Small) -> int:
    """Draw sets `first` to `wanted` - 1 as far as there is room; give how many there are then."""
    nodes = len(back.start) - 1
    active = np.zeros(nodes, np.uint8)
    nobody = np.zeros(nodes, np.uint8)
    queue = np.empty(nodes + 1, np.int32)
    for s in range(first, wanted):
        tail, _ = _drawn(back, stream(seed, s), limit, nobody, active, queue)
        fits = start[s] + tail <= len(members)
        for i in range(tail):
            active[queue[i]] = 0
            if fits:
                members[start[s] + i] = queue[i]
        if not fits:
            return s
        start[s + 1] = start[s] + tail
    return wanted


@compiled
def _met(back: Backwards, seed: int, limit: int, sets: int, member: NDArray[np.uint8]) -> int:
    active = np.zeros(len(member), np.uint8)
    queue = np.empty(len(member) + 1, np.int32)
    met = 0
    for s in range(sets):
        tail, hit = _drawn(back, stream(seed, s), limit, member, active, queue)
        met += hit
        for i in range(tail):
            active[queue[i]] = 0
    return met


@compiled
def _transposed(start: Integers, node: Small, nodes: int) -> tuple[Integers, Small]:
    begin = np.zeros(nodes + 1, np.int64)
    for v in node:
        begin[v + 1] += 1
    for v in range(nodes):
        begin[v + 1] += begin[v]
    fill = begin[:-1].copy()
    held = np.empty(len(node), np.int32)
    for s in range(len(start) - 1):
        for i in range(start[s], start[s + 1]):
            held[fill[node[i]]] = s
            fill[node[i]] += 1
    return begin, held
