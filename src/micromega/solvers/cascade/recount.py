"""The process with all needs at once, a second time: numpy over simulations and edges, for the certificate.

Slower than `competition.compete`, and sharing nothing with it but the rule. Shapes: N accounts, M edges, J needs, S
simulations.
"""

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.network import Network

Integers = NDArray[np.int64]
_ROOM = 4_000_000
"""Edges times simulations that are held at once."""
_LEAST, _MOST = 25, 1_000


def recount(network: Network, creators: Integers, *, seed: int, steps: int | None = None) -> Integers:
    """Count accounts that donate each need, in as many simulations as memory allows.

    Args:
        network: who can activate whom.
        creators: account that starts with each need, all different, (J,).
        seed: of the random numbers.
        steps: the process ends after so many; None: when nobody is new.

    Returns:
        (S, J), S from 25 to 1,000.
    """
    into, rng = network.reverse, np.random.default_rng(seed)
    many = int(np.clip(_ROOM // max(1, len(into.target)), _LEAST, _MOST))
    need = np.full((many, network.nodes), -1)
    need[:, creators] = np.arange(len(creators))
    fresh = need >= 0
    reached = np.flatnonzero(np.diff(into.start))
    degree = np.diff(into.start)[reached]
    target = np.repeat(reached, degree)
    live = rng.random((many, len(target))) < into.probability
    for _ in range(network.nodes if steps is None else steps):
        hit = live & fresh[:, into.target] & (need[:, target] < 0)
        if not hit.any():
            break
        rank = np.where(hit, rng.random(hit.shape), -1.0)
        best = np.maximum.reduceat(rank, into.start[reached], axis=1)
        simulation, edge = np.nonzero(hit & (rank == np.repeat(best, degree, axis=1)))
        fresh = np.zeros_like(fresh)
        fresh[simulation, target[edge]] = True
        need[simulation, target[edge]] = need[simulation, into.target[edge]]
    return np.stack([(need == j).sum(axis=1) for j in range(len(creators))], axis=1)
