"""Creators whose awareness fits the needs in the simulated process, where the closed form may be far off.

The closed form proposes sets, for the needs and for needs that are corrected by what it was wrong about before;
simulation decides, and then tries exchanges of one creator. All sets meet the same drawn luck.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.solvers.cascade.awareness import awareness, cost, efficiency
from micromega.solvers.cascade.competition import compete
from micromega.solvers.cascade.needs import STARTS, Match, checked, handed_out, match_needs
from micromega.solvers.cascade.network import Network
from micromega.solvers.plan import Status

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Trial = Callable[[Integers, int], tuple[Floats, Floats]]
SIMULATIONS, ROUGH = 4_000, 64
"""Simulations of a set that may be the best, and of one that is looked at."""
ROUNDS, TRIED, KEPT = 4, 200, 8
"""Corrections of the closed form, creators that an exchange tries roughly, and those that it then tries well."""


def match_process(
    network: Network,
    rows: Integers,
    activation: ArrayLike,
    needs: ArrayLike,
    *,
    seed: int = 0,
    unavailable: Sequence[int] = (),
    starts: int = STARTS,
    steps: int | None = None,
    simulations: int = SIMULATIONS,
    exchanges: bool = True,
) -> Match:
    """Choose one creator for each need so that the simulated process is nearest to it (eq. 9 of its mean).

    Args:
        network: that the process runs on.
        rows: account of each row of `activation`, (K,).
        activation: G_P, by which sets are proposed, (K, N).
        needs: V, (J,).
        seed: of the search and of the simulations.
        unavailable: rows that must not be chosen.
        starts: local searches of each proposal.
        steps: the process ends after so many; None: when nobody is new.
        simulations: of sets that may be the best.
        exchanges: whether to try exchanges of one creator after the proposals of the closed form.

    Returns:
        The match; its awareness and cost are of the simulations that chose it, so somewhat too good: simulate it anew.
        FEASIBLE, since nothing is proved.

    Raises:
        DataError, ConfigError: as `match_needs` and `compete`.
    """
    chances, wanted = checked(activation, needs)
    began = time.process_time()

    def simulated(chosen: Integers, many: int) -> Floats:
        return compete(network, rows[chosen], simulations=many, seed=seed, steps=steps).awareness

    def tried(sets: Integers, many: int) -> tuple[Floats, Floats]:
        aware = np.stack([simulated(chosen, many) for chosen in sets])
        return aware, np.abs(np.sort(wanted) - np.sort(aware, axis=1)).sum(axis=1)

    shift, best, best_cost, looked = np.zeros(len(wanted)), rows[:0], np.inf, 0
    for turn in range(ROUNDS):
        proposed = match_needs(
            chances, np.maximum(wanted + shift, 0), seed=seed + turn, unavailable=unavailable, starts=starts
        ).found[:KEPT]
        aware, costs = tried(proposed, simulations)
        at = int(np.argmin(costs))
        looked += len(proposed)
        if costs[at] < best_cost:
            best, best_cost = proposed[at], float(costs[at])
        chosen = handed_out(aware[at], wanted, proposed[at])
        shift = awareness(chances, chosen) - np.sort(aware[at])[np.argsort(np.argsort(wanted, kind="stable"))]
    allowed = np.setdiff1d(np.arange(len(chances)), np.asarray(unavailable, np.int64))
    if exchanges:
        best, more = _exchanged(best, best_cost, allowed, tried, simulations, np.random.default_rng(seed))
        looked += more
    chosen = handed_out(simulated(best, simulations), wanted, best)
    aware_of = simulated(chosen, simulations)
    total = float(cost(wanted, aware_of))
    return Match(
        creators=chosen,
        awareness=aware_of,
        cost=total,
        efficiency=efficiency(total, wanted),
        status=Status.FEASIBLE,
        method="local_search",
        looked=looked,
        seconds=time.process_time() - began,
        found=chosen[None],
    )


def _exchanged(
    chosen: Integers, best_cost: float, allowed: Integers, tried: Trial, simulations: int, rng: np.random.Generator
) -> tuple[Integers, int]:
    """Exchange one creator at a time: try many roughly, the best of them well, until no slot gains."""
    slot, quiet, looked = 0, 0, 0
    while quiet < len(chosen):
        free = np.setdiff1d(allowed, chosen)
        free = rng.choice(free, min(TRIED, len(free)), replace=False)
        if not len(free):
            break
        sets = np.repeat(chosen[None], len(free), axis=0)
        sets[:, slot] = free
        sets = sets[np.argsort(tried(sets, ROUGH)[1], kind="stable")[:KEPT]]
        costs = tried(sets, simulations)[1]
        looked += len(free)
        quiet += 1
        at = int(np.argmin(costs))
        if costs[at] < best_cost:
            chosen, best_cost, quiet = sets[at], float(costs[at]), 1
        slot = (slot + 1) % len(chosen)
    return chosen, looked
