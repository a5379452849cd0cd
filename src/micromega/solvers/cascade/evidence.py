"""What the certificate of creators for needs recomputes, without looking at the algorithms.

G_P's rows by relaxing all edges until nothing changes (the solver runs Dijkstra), or from fresh cascades of each
creator alone; equations 3 to 10 from them; and the process with all needs at once. Shapes: N accounts, M edges,
J needs, S simulations.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.competition import Outcome, compete
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.simulate import activation_counts, simulate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What was recomputed of a plan.

    Attributes:
        closed_form: awareness by equations 3 to 8, (J,).
        cost: eq. 9 of it.
        efficiency: eq. 10 of it.
        process: mean accounts that donate each need in the simulated process, (J,).
        process_error: its standard error, (J,).
        process_cost: eq. 9 of it.
        process_efficiency: eq. 10 of it.
        alone: mean accounts that each creator reaches without the others, (J,).
        alone_error: its standard error, (J,).
        by_step: accounts that donate each need after 0, 1, … steps of the process, (T + 1, J).
        simulations: S.
    """

    closed_form: Floats
    cost: float
    efficiency: float
    process: Floats
    process_error: Floats
    process_cost: float
    process_efficiency: float
    alone: Floats
    alone_error: Floats
    by_step: Floats
    simulations: int


def gather(
    network: Network,
    creators: Integers,
    needs: Floats,
    *,
    monte_carlo: bool = False,
    simulations: int = 10_000,
    seed: int = 0,
    steps: int | None = None,
) -> Evidence:
    """Recompute a plan from network, creators and needs alone.

    Args:
        network: who can activate whom.
        creators: account of each need's creator, (J,).
        needs: V, (J,).
        monte_carlo: whether the closed form takes its chances from cascades; else from best paths.
        simulations: S, of the process and of each creator alone.
        seed: of the simulations; take another than the solver's.
        steps: time bound.
    """
    sizes = np.stack([simulate(network, [v], simulations, seed + 1, steps) for v in creators.tolist()])
    if monte_carlo:
        counts = [activation_counts(network, [v], simulations, seed + 1, steps) for v in creators.tolist()]
        chance = np.stack(counts) / simulations
    else:
        chance = _relaxed(network, creators, steps)
    closed = _shared_out(chance)
    process = _process(network, creators, simulations, seed, steps)
    needed = float(needs.sum())
    costs = [math.fsum(abs(v - d) for v, d in zip(needs, of, strict=True)) for of in (closed, process.awareness)]
    shares = [1 - of / needed if needed else math.nan for of in costs]
    return Evidence(
        closed_form=closed,
        cost=costs[0],
        efficiency=shares[0],
        process=process.awareness,
        process_error=process.standard_error,
        process_cost=costs[1],
        process_efficiency=shares[1],
        alone=sizes.mean(axis=1),
        alone_error=sizes.std(axis=1, ddof=1) / math.sqrt(simulations),
        by_step=process.by_step,
        simulations=simulations,
    )


def _relaxed(network: Network, creators: Integers, steps: int | None) -> Floats:
    """Best-path rows of G_P, (J, N): let every edge improve its target, again and again, steps times at most."""
    into = network.reverse
    has = np.flatnonzero(np.diff(into.start))
    best = np.zeros((len(creators), network.nodes))
    best[np.arange(len(creators)), creators] = 1.0
    for _ in range(network.nodes if steps is None else steps):
        if not len(has):
            break
        offered = np.maximum.reduceat(best[:, into.target] * into.probability, into.start[has], axis=1)
        better = best.copy()
        better[:, has] = np.maximum(best[:, has], offered)
        if np.array_equal(better, best):
            break
        best = better
    return best


def _shared_out(chance: Floats) -> Floats:
    """Equations 4 to 8, account by account that anybody reaches, (J,)."""
    aware = np.zeros(len(chance))
    for account in np.flatnonzero(chance.any(axis=0)).tolist():
        of = chance[:, account]
        aware += (1 - math.prod((1 - of).tolist())) * of / of.sum()
    return aware


def _process(network: Network, creators: Integers, simulations: int, seed: int, steps: int | None) -> Outcome:
    """The joint process; a creator with several needs stands for each in equal parts."""
    distinct, place, times = np.unique(creators, return_inverse=True, return_counts=True)
    found = compete(network, distinct, simulations=simulations, seed=seed, steps=steps)
    parts = times[place]
    return Outcome(counts=found.counts[:, place] / parts, by_step=found.by_step[:, place] / parts)
