"""OPIM-C: double the sets until the seeds are proven good enough (Tang, Tang, Xiao & Yuan 2018).

Two independent collections of θ sets: the first chooses the seeds and bounds the best from above, the second bounds
their spread from below. With ratio r of the greedy choice (1 - 1/e of k nodes), no more than

    θ_max = 2 N (r √ln(6/δ) + √(r (ln choices + ln(6/δ))))² / (ε² least)

sets are needed, where `choices` counts the sets of seeds that are allowed and `least` is a spread that the best has for
sure. Both bounds of all rounds hold together with probability 1 - 2δ/3, and θ_max fails with δ/3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.coverage import Cover
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.reverse import ReverseSets, sets_met

CHOOSING, JUDGING = 0, 1
"""Independent streams of random numbers of the two collections."""


AMPLE = 2**21
"""Members of sets that are drawn anyway: a proof may need fewer, but more choose better and cost a second or so."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How reverse-reachable sets are drawn.

    Attributes:
        network: who can activate whom.
        model: "ic" or "lt".
        steps: cascades end after so many; None: when nobody is new.
        seed: of the random numbers.
        memory: bytes that the members of stored sets may take.
    """

    network: Network
    model: str
    steps: int | None
    seed: int
    memory: int

    def sets(self, stream: int) -> ReverseSets:
        """An empty collection."""
        return ReverseSets(self.network, self.model, derived_seed(self.seed, stream), self.steps, self.memory)

    def met(self, seeds: NDArray[np.int64], stream: int, sets: int) -> int:
        """How many of the first R sets of a stream hold one of the seeds."""
        seed = derived_seed(self.seed, stream)
        return sets_met(self.network, self.model, seeds, seed=seed, sets=sets, steps=self.steps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Seeds and what is proven of them.

    Attributes:
        chosen: (k,).
        ratio: their spread is at least this share of the best's, with the probability asked for.
        lower: of their expected spread, nan where the method has none.
        upper: of the best's expected spread, nan where the method has none.
        sets: drawn in all.
        full: whether memory, not accuracy, ended the search.
    """

    chosen: NDArray[np.int64]
    ratio: float
    lower: float = math.nan
    upper: float = math.nan
    sets: int
    full: bool = False


def opim_c(
    sampling: Sampling,
    choose: Callable[[ReverseSets], Cover],
    *,
    ratio: float,
    epsilon: float,
    delta: float,
    log_choices: float,
    least: float,
) -> Found:
    """Choose seeds whose spread is at least (ratio - ε) of the best's with probability 1 - δ.

    Args:
        sampling: of the sets.
        choose: seeds that cover at least `ratio` of what the best allowed ones do, and a bound on these.
        ratio: r.
        epsilon: ε, in (0, ratio).
        delta: δ, in (0, 1).
        log_choices: logarithm of the number of allowed sets of seeds, or more.
        least: the best seeds' expected spread is at least this.

    Returns:
        Seeds; the ratio is what was proven, mostly above r - ε, and below it only where memory was full.

    Raises:
        ConfigError: not even the first sets fit into memory.
    """
    nodes = sampling.network.nodes
    log_six = math.log(6 / delta)
    scale = (ratio * math.sqrt(log_six) + math.sqrt(ratio * (log_choices + log_six))) ** 2
    theta = math.ceil(2 * scale)
    rounds = math.ceil(math.log2(nodes / (epsilon**2 * least))) + 1
    eta = math.log(3 * rounds / delta)
    sets = sampling.sets(CHOOSING)
    found: Found | None = None
    for _ in range(rounds):
        sets.grow(theta)
        if sets.full:
            break
        cover = choose(sets)
        met = sampling.met(cover.chosen, JUDGING, theta)
        lower = max(_at_least(met, eta) * nodes / theta, float(len(cover.chosen)))
        upper = min(_at_most(cover.most, eta) * nodes / theta, float(nodes))
        proven = min(1.0, lower / upper)
        found = Found(chosen=cover.chosen, ratio=proven, lower=lower, upper=upper, sets=2 * theta)
        if proven >= ratio - epsilon and len(sets.node) >= AMPLE:
            return found
        theta *= 2
    if found is None:
        raise ConfigError(
            f"The memory allowed, {sampling.memory:,} bytes, holds {len(sets):,} of the first {theta:,} "
            "reverse-reachable sets. Give more, or fewer steps."
        )
    if sets.full:
        return replace(found, full=found.ratio < ratio - epsilon)
    return replace(found, ratio=max(found.ratio, ratio - epsilon))


def _at_least(met: float, eta: float) -> float:
    """Lower bound of the expected number of sets met (eq. 1 of Tang et al. 2018, times θ / N), probability 1 - e^-η."""
    return max(0.0, (math.sqrt(met + 2 * eta / 9) - math.sqrt(eta / 2)) ** 2 - eta / 18)


def _at_most(met: float, eta: float) -> float:
    """Upper bound of the expected number of sets met (eq. 2), with probability 1 - e^-η."""
    return (math.sqrt(met + eta / 2) + math.sqrt(eta / 2)) ** 2


def derived_seed(seed: int, stream: int) -> int:
    """Seed of an independent stream."""
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> np.uint64(1))
