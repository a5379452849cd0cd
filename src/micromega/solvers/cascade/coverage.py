"""Maximum coverage: which nodes are in the most reverse-reachable sets, greedily, with a bound on the best.

Shapes: N nodes, R sets, L members of all sets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.random_numbers import compiled
from micromega.solvers.cascade.reverse import ReverseSets

Integers = NDArray[np.int64]
Small = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cover:
    """Nodes chosen to cover sets.

    Attributes:
        chosen: in the order of choice, (k,).
        covered: sets that hold one of them.
        most: no choice that is allowed covers more sets than this.
    """

    chosen: Integers
    covered: int
    most: float


def cover_greedily(sets: ReverseSets, allowed: NDArray[np.bool_], k: int) -> Cover:
    """Choose k nodes, each the one in most sets not yet covered; of equals the lowest number.

    They cover at least 1 - 1/e of what the best k do. The bound is the smallest over all prefixes of the choice of
    sets covered plus the k largest gains left (Tang et al. 2018, eq. 5), which is mostly far closer.

    Args:
        sets: R sets.
        allowed: which nodes may be chosen, (N,); k of them at least.
        k: how many.
    """
    chosen, covered, most = _greedy(sets.start, sets.node, *sets.by_node(), allowed, k)
    return Cover(chosen=chosen, covered=int(covered), most=float(most))


@compiled
def take(
    v: int, start: Integers, node: Small, begin: Integers, held: Small, gain: Integers, done: NDArray[np.bool_]
) -> int:
    """Cover the sets of v: lower the gains of their members, and give how many sets were new."""
    new = 0
    for i in range(begin[v], begin[v + 1]):
        s = held[i]
        if not done[s]:
            done[s] = True
            new += 1
            for j in range(start[s], start[s + 1]):
                gain[node[j]] -= 1
    return new


@compiled
def _largest(gain: Integers, usable: NDArray[np.bool_], k: int) -> tuple[int, int]:
    """The usable node of largest gain, of equals the lowest number, -1 without any; and the sum of the k largest."""
    best = -1
    for v in range(len(gain)):
        if usable[v] and (best < 0 or gain[v] > gain[best]):
            best = v
    if best < 0:
        return best, 0
    nodes_with = np.zeros(gain[best] + 1, np.int64)
    for v in range(len(gain)):
        if usable[v]:
            nodes_with[gain[v]] += 1
    total, left = 0, k
    for size in range(gain[best], 0, -1):
        many = min(left, nodes_with[size])
        total += many * size
        left -= many
        if not left:
            break
    return best, total


@compiled
def _greedy(
    start: Integers, node: Small, begin: Integers, held: Small, allowed: NDArray[np.bool_], k: int
) -> tuple[Integers, int, float]:
    gain = np.diff(begin)
    done = np.zeros(len(start) - 1, np.bool_)
    open_to_choice = allowed.copy()
    chosen = np.empty(k, np.int64)
    covered = 0
    most = np.inf
    for pick in range(k + 1):
        best, top = _largest(gain, open_to_choice, k)
        most = min(most, covered + top)
        if pick < k:
            chosen[pick] = best
            open_to_choice[best] = False
            covered += take(best, start, node, begin, held, gain, done)
    return chosen, covered, most
