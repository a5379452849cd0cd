"""Lazy greedy choice on fixed worlds of live edges (Leskovec et al. 2007; worlds as in Cheng et al. 2013).

The worlds are drawn once and kept, so that gains are counts, submodular without noise: a node's gain can only fall, and
most need not be looked at again. Slow where cascades are large, since every node is tried in every world once.

Shapes: N nodes, W worlds, L live edges of all worlds.
"""

import heapq
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.arrivals import Arrivals, activate
from micromega.solvers.cascade.expected import check_model
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.random_numbers import compiled, following, stream, uniform
from micromega.solvers.cascade.reverse import backwards_of

Integers = NDArray[np.int64]
Small = NDArray[np.int32]
NEVER = np.uint16(65535)


class Worlds(NamedTuple):
    """Live edges of W worlds.

    Attributes:
        start: where each node's live out-edges begin, by world and node, (W · N + 1,).
        target: (L,).
    """

    start: Integers
    target: Small


def draw_worlds(network: Network, model: str, worlds: int, seed: int, memory: int) -> Worlds:
    """Draw which edges are live in each world.

    Raises:
        ConfigError: the worlds do not fit into `memory` bytes, worlds below 1, or an unknown model.
        DataError: as `check_weights` (lt).
    """
    check_model(model)
    if worlds < 1:
        raise ConfigError(f"worlds is {worlds}. Give 1 or more.")
    live = network.probability.sum() if model == "ic" else network.nodes
    needed = worlds * (10 * network.nodes + 4.5 * live)
    if needed > memory:
        raise ConfigError(
            f"{worlds:,} worlds need about {needed / 2**20:,.0f} MiB, more than the {memory / 2**20:,.0f} allowed. "
            "Give fewer worlds or more memory, or choose opim_c."
        )
    if model == "lt":
        back = backwards_of(network, "lt")
        return Worlds(*_choose_in_edges(back.start, back.source, back.summed, worlds, seed))
    room = int(worlds * live + 8 * math.sqrt(worlds * live)) + len(network.target) + network.nodes + 64
    return Worlds(*_draw_out_edges(network.arrivals, worlds, seed, room))


def celf(
    network: Network, worlds: Worlds, allowed: NDArray[np.bool_], k: int, *, steps: int | None = None
) -> tuple[Integers, float]:
    """Choose k nodes, each the one that adds most to the mean spread over the worlds; of equals the lowest number.

    Args:
        network: of the worlds.
        worlds: W of them.
        allowed: which nodes may be chosen, (N,).
        k: how many.
        steps: cascades end after so many (below 65,535 or none).

    Returns:
        The nodes in the order of choice, (k,), and the share of the best possible mean spread over these worlds that
        they have at least: 1 - 1/e, or more if the gains left prove it.
    """
    nodes = network.nodes
    many = (len(worlds.start) - 1) // nodes
    limit, timed = (nodes, False) if steps is None or steps >= nodes else (steps, True)
    if timed and limit >= NEVER:
        raise ConfigError(f"steps is {steps}. CELF takes {NEVER - 1} at most, or none.")
    reached = np.full(many * nodes, NEVER, np.uint16)
    stamp, queue = np.zeros(nodes, np.int64), np.empty(nodes, np.int32)
    clock = 0
    heap = []
    for v in np.flatnonzero(allowed).tolist():
        gain, clock = _gain(worlds, v, limit, timed, False, reached, stamp, clock, queue)
        heap.append((-gain, v, 0))
    heapq.heapify(heap)
    chosen: list[int] = []
    covered, most = 0, math.inf
    while len(chosen) < k:
        negative, v, known = heapq.heappop(heap)
        if known == len(chosen):
            most = min(most, covered - negative - sum(gain for gain, _, _ in heapq.nsmallest(k - 1, heap)))
            gain, clock = _gain(worlds, v, limit, timed, True, reached, stamp, clock, queue)
            covered += gain
            chosen.append(v)
        else:
            gain, clock = _gain(worlds, v, limit, timed, False, reached, stamp, clock, queue)
            heapq.heappush(heap, (-gain, v, len(chosen)))
    return np.array(chosen, np.int64), max(1 - 1 / math.e, min(1.0, covered / most))


@compiled
def _gain(
    worlds: Worlds,
    v: int,
    limit: int,
    timed: bool,
    keep: bool,
    reached: NDArray[np.uint16],
    stamp: Integers,
    clock: int,
    queue: Small,
) -> tuple[int, int]:
    """Nodes that v adds over all worlds; `keep` writes down when they are reached.

    Whoever is reached as early already leads to nobody new. Without a time limit all steps count as 0.
    """
    nodes = len(stamp)
    gain = 0
    for base in range(0, len(reached), nodes):
        clock += 1
        stamp[v] = clock
        queue[0] = v
        head, tail, last, step = 0, 1, 1, 0
        while head < tail:
            if head == last:
                step += 1
                last = tail
            u = queue[head]
            head += 1
            at = step if timed else 0
            if reached[base + u] <= at:
                continue
            gain += reached[base + u] == NEVER
            if keep:
                reached[base + u] = at
            if step < limit:
                for e in range(worlds.start[base + u], worlds.start[base + u + 1]):
                    w = worlds.target[e]
                    if stamp[w] != clock:
                        stamp[w] = clock
                        queue[tail] = w
                        tail += 1
    return gain, clock


@compiled
def _draw_out_edges(edges: Arrivals, worlds: int, seed: int, room: int) -> tuple[Integers, Small]:
    node, forward, other, keep = edges
    nodes = len(node)
    start = np.zeros(worlds * nodes + 1, np.int64)
    target = np.empty(room, np.int32)
    active = np.zeros(nodes, np.uint8)
    tail = 0
    for world in range(worlds):
        state = stream(seed, world)
        for v in range(nodes):
            if tail + node[v].end - node[v].begin + 1 > len(target):
                larger = np.empty(2 * len(target) + nodes, np.int32)
                larger[:tail] = target[:tail]
                target = larger
            begin = tail
            state, tail = activate(node, forward, other, keep, v, state, active, target, tail)
            for i in range(begin, tail):
                active[target[i]] = 0
            start[world * nodes + v + 1] = tail
    return start, target[:tail].copy()


@compiled
def _choose_in_edges(
    begin: Integers, source: Integers, summed: NDArray[np.float64], worlds: int, seed: int
) -> tuple[Integers, Small]:
    nodes = len(begin) - 1
    start = np.zeros(worlds * nodes + 1, np.int64)
    target = np.empty(worlds * nodes, np.int32)
    parent = np.empty(nodes, np.int64)
    fill = np.empty(nodes, np.int64)
    for world in range(worlds):
        state = stream(seed, world)
        base = world * nodes
        for v in range(nodes):
            state = following(state)
            u = uniform(state)
            parent[v] = -1
            if begin[v] < begin[v + 1] and u < summed[begin[v + 1] - 1]:
                parent[v] = source[begin[v] + np.searchsorted(summed[begin[v] : begin[v + 1]], u, side="right")]
                start[base + parent[v] + 1] += 1
        for v in range(nodes):
            start[base + v + 1] += start[base + v]
            fill[v] = start[base + v]
        for v in range(nodes):
            if parent[v] >= 0:
                target[fill[parent[v]]] = v
                fill[parent[v]] += 1
    return start, target[: start[-1]].copy()
