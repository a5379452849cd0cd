"""Influence maximisation: the seeds from which cascades spread furthest, with what is proven of them."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError, InfeasibleError
from micromega.solvers.cascade import budgeted
from micromega.solvers.cascade.celf import celf, draw_worlds
from micromega.solvers.cascade.coverage import cover_greedily
from micromega.solvers.cascade.expected import Model, Spread, check_model, sizes_of
from micromega.solvers.cascade.imm import RATIO, imm
from micromega.solvers.cascade.network import Network, checked_nodes
from micromega.solvers.cascade.opim import Found, Sampling, derived_seed, opim_c

Method = Literal["opim_c", "imm", "celf"]
_WORLDS, _FINAL = 2, 3
"""Streams of random numbers beside those of the sets."""
MEMORY = 2**30


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What is proven of seeds.

    Attributes:
        ratio: their expected spread is at least this share of the best one possible, …
        confidence: … with this probability; None: it holds on the sampled worlds alone (celf).
        lower: of their expected spread, with that confidence; nan where the method gives none.
        upper: of the best expected spread, with that confidence; nan where the method gives none.
        sets: reverse-reachable sets drawn (opim_c, imm) or worlds (celf).
        full: whether memory ended the search before the accuracy asked for (opim_c).
    """

    ratio: float
    confidence: float | None
    lower: float
    upper: float
    sets: int
    full: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Influence:
    """Seeds for a cascade.

    Attributes:
        seeds: in the order of choice, (k,).
        spread: by simulations that had no part in the choice.
        guarantee: what is proven.
    """

    seeds: NDArray[np.int64]
    spread: Spread
    guarantee: Guarantee


def maximise_influence(
    edges: ArrayLike,
    probability: ArrayLike,
    k: int,
    *,
    nodes: int,
    method: Method = "opim_c",
    model: Model = "ic",
    epsilon: float = 0.1,
    delta: float | None = None,
    seed: int = 0,
    steps: int | None = None,
    unavailable: ArrayLike = (),
    simulations: int = 1_000,
    worlds: int = 1_000,
    memory: int = MEMORY,
) -> Influence:
    """Choose k seeds of large expected spread (Kempe, Kleinberg & Tardos 2003).

    Args:
        edges: source and target of each edge, each pair once, (M, 2).
        probability: of activation along each edge, or its weight (lt), (M,) or one for all.
        k: how many seeds.
        nodes: N.
        method: "opim_c" (Tang et al. 2018), "imm" (Tang et al. 2015, analysis as corrected by Chen 2018): within
            (1 - 1/e - ε) of the best with probability 1 - δ; "celf": lazy greedy on fixed worlds, for small networks.
        model: "ic" or "lt".
        epsilon: ε, in (0, 1 - 1/e).
        delta: δ, in (0, 1); 1/N where left out.
        seed: of the random numbers.
        steps: cascades end after so many; None: when nobody is new.
        unavailable: nodes that may not be seeds; cascades pass through them all the same.
        simulations: for the spread that is stated.
        worlds: of celf.
        memory: bytes for worlds, or for the members of sets (an index of the same size comes on top).

    Returns:
        Seeds, their spread and the guarantee; opim_c's ratio is what was proven for these seeds, imm's the one asked.

    Raises:
        ConfigError: k, epsilon, delta, method or model out of range, or imm or celf beyond the memory allowed.
        DataError: malformed edges, probabilities or nodes.

    Example:
        >>> star = [[0, leaf] for leaf in range(1, 6)] + [[6, 7]]
        >>> found = maximise_influence(star, 0.5, 2, nodes=9)
        >>> sorted(found.seeds.tolist()), found.guarantee.ratio >= 1 - 1 / math.e - 0.1
        ([0, 6], True)
    """
    network = Network.of(edges, probability, nodes)
    allowed = _available(network, unavailable)
    delta = _checked(network, epsilon, delta, RATIO, memory)
    many = int(allowed.sum())
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= many:
        raise ConfigError(f"k is {k}. Give a whole number from 1 to the {many} nodes that are available.")
    check_model(model)
    if method == "celf":
        drawn = draw_worlds(network, model, worlds, derived_seed(seed, _WORLDS), memory)
        chosen, ratio = celf(network, drawn, allowed, int(k), steps=steps)
        proven = Guarantee(ratio=ratio, confidence=None, lower=math.nan, upper=math.nan, sets=worlds)
        return Influence(
            seeds=chosen, spread=_judged(network, chosen, model, steps, seed, simulations), guarantee=proven
        )
    sampling = Sampling(network=network, model=model, steps=steps, seed=seed, memory=memory)
    choices = math.lgamma(many + 1) - math.lgamma(k + 1) - math.lgamma(many - k + 1)
    if method == "imm":
        found = imm(sampling, allowed, int(k), epsilon=epsilon, delta=delta, log_choices=choices)
    elif method == "opim_c":
        found = opim_c(
            sampling,
            lambda sets: cover_greedily(sets, allowed, int(k)),
            ratio=RATIO,
            epsilon=epsilon,
            delta=delta,
            log_choices=choices,
            least=float(k),
        )
    else:
        raise ConfigError(f'method is "{method}". Choose opim_c, imm or celf.')
    return _answer(sampling, found, delta, simulations)


def maximise_influence_within(
    edges: ArrayLike,
    probability: ArrayLike,
    prices: ArrayLike,
    budget: float,
    *,
    nodes: int,
    model: Model = "ic",
    epsilon: float = 0.1,
    delta: float | None = None,
    seed: int = 0,
    steps: int | None = None,
    unavailable: ArrayLike = (),
    simulations: int = 1_000,
    memory: int = MEMORY,
) -> Influence:
    """Choose seeds of large expected spread whose prices sum to a budget at most.

    OPIM-C with Greedy+Max as choice: within (1/2 - ε) of the best affordable seeds with probability 1 - δ.

    Args:
        edges: source and target of each edge, each pair once, (M, 2).
        probability: of activation along each edge, or its weight (lt), (M,) or one for all.
        prices: of each node as a seed, 0 or more, (N,).
        budget: of all, in the same currency.
        nodes: N.
        model: "ic" or "lt".
        epsilon: ε, in (0, 1/2).
        delta: δ, in (0, 1); 1/N where left out.
        seed: of the random numbers.
        steps: cascades end after so many; None: when nobody is new.
        unavailable: nodes that may not be seeds.
        simulations: for the spread that is stated.
        memory: bytes for the members of sets (an index of the same size comes on top).

    Raises:
        InfeasibleError: no available node is within the budget.
        ConfigError, DataError: as `maximise_influence`; prices that are negative or not finite.

    Example:
        >>> star = [[0, leaf] for leaf in range(1, 6)] + [[6, 7]]
        >>> found = maximise_influence_within(star, 1.0, [5, 1, 1, 1, 1, 1, 2, 1], 6.0, nodes=8)
        >>> sorted(found.seeds.tolist()), found.spread.mean
        ([0, 7], 7.0)
    """
    network = Network.of(edges, probability, nodes)
    price = _checked_prices(prices, nodes)
    allowed = _available(network, unavailable)
    delta = _checked(network, epsilon, delta, budgeted.RATIO, memory)
    check_model(model)
    if not math.isfinite(budget):
        raise ConfigError(f"budget is {budget}. Give a finite amount.")
    affordable = allowed & (price <= budget)
    if not affordable.any():
        least = f"; the cheapest costs {price[allowed].min():g}" if allowed.any() else ""
        raise InfeasibleError(f"No available node is within the budget of {budget:g}{least}.")
    most = budgeted.most_seeds(price[affordable], budget)
    sampling = Sampling(network=network, model=model, steps=steps, seed=seed, memory=memory)
    found = opim_c(
        sampling,
        lambda sets: budgeted.cover_within(sets, allowed, price, budget),
        ratio=budgeted.RATIO,
        epsilon=epsilon,
        delta=delta,
        log_choices=budgeted.log_choices(int(affordable.sum()), most),
        least=float(max(1, most)),
    )
    return _answer(sampling, found, delta, simulations)


def _answer(sampling: Sampling, found: Found, delta: float, simulations: int) -> Influence:
    spread = _judged(sampling.network, found.chosen, sampling.model, sampling.steps, sampling.seed, simulations)
    proven = Guarantee(
        ratio=found.ratio,
        confidence=1 - delta,
        lower=found.lower,
        upper=found.upper,
        sets=found.sets,
        full=found.full,
    )
    return Influence(seeds=found.chosen, spread=spread, guarantee=proven)


def _judged(
    network: Network, seeds: NDArray[np.int64], model: str, steps: int | None, seed: int, simulations: int
) -> Spread:
    """Spread by random numbers of its own."""
    return Spread.of(sizes_of(network, seeds, simulations, derived_seed(seed, _FINAL), model, steps))


def _available(network: Network, unavailable: ArrayLike) -> NDArray[np.bool_]:
    allowed = np.ones(network.nodes, bool)
    allowed[checked_nodes(unavailable, network.nodes, "unavailable")] = False
    return allowed


def _checked(network: Network, epsilon: float, delta: float | None, ratio: float, memory: int) -> float:
    """Check ε, δ and memory; give δ."""
    if not 0 < epsilon < ratio:
        raise ConfigError(f"epsilon is {epsilon}. Give a number between 0 and {ratio:.3f}.")
    if delta is not None and not 0 < delta < 1:
        raise ConfigError(f"delta is {delta}. Give a number between 0 and 1.")
    if memory < 1:
        raise ConfigError(f"memory is {memory} bytes. Give more.")
    return 1 / max(2, network.nodes) if delta is None else delta


def _checked_prices(prices: ArrayLike, nodes: int) -> NDArray[np.float64]:
    price = np.asarray(prices, np.float64)
    if price.shape != (nodes,):
        raise DataError(f"prices has the shape {price.shape}. Give one for each of {nodes} nodes.")
    wrong = np.flatnonzero(~(np.isfinite(price) & (price >= 0)))
    if wrong.size:
        raise DataError(f"prices[{wrong[0]}] is {price[wrong[0]]}. Give finite numbers, 0 or more.")
    return price
