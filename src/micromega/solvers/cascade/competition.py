"""All needs spread over one network at once: the process itself, where equations 4 to 6 only multiply chances.

Each need's creator is active with it at step 0. Whoever became active at step t tries each target that is not active
once, and what succeeds activates it at step t + 1 with the need of whoever succeeded; of several who succeed at the
same step each is as likely (the tie rule). An active account donates, and passes on, that one need for good.

Shapes: N accounts, M edges, J needs, S simulations, T steps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.random_numbers import compiled, stream, uniform
from micromega.solvers.cascade.simulate import checked

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_EDGE = np.uint64(0xD1342543DE82EF95)
"""An odd number: parts the random numbers of edges."""
STEPS_SHOWN = 32
"""Steps of which the course is kept; what comes later counts as the last."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a simulation of the process found.

    Attributes:
        counts: accounts that donate each need in each simulation, (S, J).
        by_step: mean number of accounts that donate each need after 0, 1, … steps, (T + 1, J).
    """

    counts: Integers | Floats
    by_step: Floats

    @property
    def awareness(self) -> Floats:
        """Mean number of accounts that donate each need, (J,)."""
        return np.asarray(self.counts.mean(axis=0))

    @property
    def standard_error(self) -> Floats:
        """Of `awareness`, (J,); infinite for one simulation."""
        many = len(self.counts)
        if many < 2:
            return np.full(self.counts.shape[1], np.inf)
        return np.asarray(self.counts.std(axis=0, ddof=1) / np.sqrt(many))


def compete(
    network: Network, creators: ArrayLike, *, simulations: int = 10_000, seed: int = 0, steps: int | None = None
) -> Outcome:
    """Let all needs spread at once.

    A simulation draws for each edge one number that depends on seed, simulation and edge alone, so that different
    creators meet the same luck and their difference is known better than either.

    Args:
        network: who can activate whom.
        creators: account that starts with each need, all different, (J,).
        simulations: S.
        seed: of the random numbers.
        steps: the process ends after so many; None: when nobody is new.

    Returns:
        Who donates what.

    Raises:
        DataError: a creator is not in the network.
        ConfigError: a creator has two needs, simulations below 1, steps or seed below 0.

    Example:
        >>> network = Network.of([[0, 2], [1, 2]], [1.0, 1.0], nodes=3)
        >>> compete(network, [0, 1], simulations=10_000, seed=1).awareness.round(1).tolist()
        [1.5, 1.5]
    """
    given = np.atleast_1d(np.asarray(creators))
    distinct, many, limit = checked(network, given, simulations, seed, steps)
    if len(distinct) != len(given):
        raise ConfigError(
            "creators: one has several needs. In the process an account donates one need, so each takes a creator of "
            "its own."
        )
    last = min(limit, STEPS_SHOWN)
    counts, by_step = _run(
        network.start, network.target, network.probability, given.astype(np.int64), many, seed, limit, last
    )
    return Outcome(counts=counts, by_step=np.cumsum(by_step, axis=0) / many)


@compiled
def _run(
    start: Integers,
    target: Integers,
    probability: Floats,
    creators: Integers,
    simulations: int,
    seed: int,
    limit: int,
    last: int,
) -> tuple[Integers, Integers]:
    """Counts (S, J), and how many became active with each need at step 0, 1, … `last` (last + 1, J)."""
    nodes = len(start) - 1
    need = np.full(nodes, -1, np.int64)
    luck = np.empty(nodes)
    queue = np.empty(nodes, np.int64)
    counts = np.zeros((simulations, len(creators)), np.int64)
    by_step = np.zeros((last + 1, len(creators)), np.int64)
    for s in range(simulations):
        base = stream(seed, s)
        for j in range(len(creators)):
            queue[j], need[creators[j]] = creators[j], j
        head, tail, step = 0, len(creators), 0
        begin = 0
        while True:
            for i in range(begin, tail):
                counts[s, need[queue[i]]] += 1
                by_step[min(step, last), need[queue[i]]] += 1
            begin = tail
            if head == tail or step >= limit:
                break
            step += 1
            while head < begin:
                tail = _try_all(start, target, probability, queue[head], base, need, luck, queue, tail)
                head += 1
            for i in range(begin, tail):
                need[queue[i]] = -need[queue[i]] - 2
        for i in range(tail):
            need[queue[i]] = -1
    return counts, by_step


@compiled
def _try_all(
    start: Integers,
    target: Integers,
    probability: Floats,
    v: int,
    base: np.uint64,
    need: Integers,
    luck: Floats,
    queue: Integers,
    tail: int,
) -> int:
    """Let v try its targets. -1: not active; a need j that came at this very step stands as -j - 2: it may yet change.

    Given that u < p, u / p is uniform: of all who succeed at one step the smallest is each with the same probability.
    """
    for k in range(start[v], start[v + 1]):
        w = target[k]
        if need[w] >= 0:
            continue
        u = uniform(base + np.uint64(k) * _EDGE)
        if u < probability[k]:
            if need[w] == -1:
                queue[tail] = w
                tail += 1
                luck[w] = 2.0
            if u / probability[k] < luck[w]:
                luck[w] = u / probability[k]
                need[w] = -need[v] - 2
    return tail
