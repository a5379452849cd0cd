"""Seeds that reach most accounts: k of them, or as many as a budget pays for."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError, InfeasibleError
from micromega.market.market import Market
from micromega.report.cascade_content import INFLUENCE_LIMITS, InfluenceReport
from micromega.runs.planning import PlanningRun, check_certificate
from micromega.solvers.cascade import budgeted
from micromega.solvers.cascade.answer import seeds_table
from micromega.solvers.cascade.certificate_influence import certify_influence
from micromega.solvers.cascade.competition import STEPS_SHOWN
from micromega.solvers.cascade.config import CascadeConfig
from micromega.solvers.cascade.expected import Spread, sizes_of
from micromega.solvers.cascade.from_market import SocialNetwork
from micromega.solvers.cascade.imm import RATIO
from micromega.solvers.cascade.influence import Influence, maximise_influence, maximise_influence_within
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.opim import derived_seed
from micromega.solvers.cascade.simulate import activation_by_step
from micromega.solvers.cascade.threshold import check_weights, threshold_by_step

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_CHECK = 102
"""Stream of the certificate's random numbers."""
_ROUGH = 1_000
"""Simulations at most of each seed alone and of the first 1, 2, … seeds: there are 2k of these."""
_THRESHOLD_LIMITS = (
    "Everybody is assumed to become active once enough of those whom they follow are, at a threshold of their own that "
    "is as likely anywhere from 0 to 1.",
    *INFLUENCE_LIMITS[1:],
)


def plan_influence(run: PlanningRun, social: SocialNetwork) -> float:
    """Choose seeds for the largest expected spread, with a guarantee.

    Args:
        run: the planning run.
        social: its network.

    Returns:
        Mean accounts that the seeds reach, by simulations that had no part in the choice.

    Raises:
        ConfigError: neither or both of `seeds` and `budget`, more seeds than creators, or settings out of range.
        DataError: with model=lt weights into an account that sum to more than 1.
        InfeasibleError: nobody is within the budget.
        MicromegaError: the answer does not pass the independent check.
    """
    from micromega.report.cascade import render_influence  # noqa: PLC0415  (matplotlib is behind it)

    config, seed, network = run.request.problem, run.request.seed, social.network
    _check_settings(config, network)
    out = social.positions(config.unavailable)
    allowed = np.setdiff1d(social.creators, out)
    prices = _prices(run.market, social)
    if config.budget is not None:
        run.market.table("prices")  # says how to make it where there is none
        allowed = allowed[np.isfinite(prices[allowed])]
    _check_amount(config, prices[allowed])
    facts = run.begin(objective=config.objective)
    found = _solve(config, network, allowed, prices, seed)
    check = derived_seed(seed, _CHECK)
    certificate = certify_influence(
        network,
        found,
        allowed=allowed,
        most=config.seeds,
        prices=prices,
        budget=config.budget,
        model=config.model,
        simulations=config.simulations,
        seed=check,
        steps=config.steps,
    )
    check_certificate(certificate, "cascade")
    growth, alone, by_step = _course(config, network, found.seeds, check)
    report = InfluenceReport(
        market=run.market.name,
        social=social,
        found=found,
        reached=by_step[-1],
        growth=growth,
        by_step=by_step.sum(axis=1),
        alone=np.array([one.mean for one in alone]),
        price=prices[found.seeds],
        currency=run.market.currency,
        certificate=certificate,
        limits=_THRESHOLD_LIMITS if config.model == "lt" else INFLUENCE_LIMITS,
    )
    table = seeds_table(found, social.account_id, alone, prices)
    run.finish(table, certificate, lambda: render_influence(report, facts=facts), str(certificate.status))
    log.info("%d seeds reach %.1f of %d accounts.", len(found.seeds), found.spread.mean, network.nodes)
    return found.spread.mean


def _check_settings(config: CascadeConfig, network: Network) -> None:
    if (config.seeds is None) == (config.budget is None):
        raise ConfigError("problem.seeds, problem.budget: objective=influence takes one of them, and not both.")
    if config.budget is not None and config.algorithm not in (None, "opim_c"):
        raise ConfigError(
            f"problem.algorithm={config.algorithm} is for problem.seeds. With problem.budget leave it out: OPIM-C "
            "alone keeps to prices."
        )
    most = RATIO if config.budget is None else budgeted.RATIO
    if config.epsilon >= most:
        raise ConfigError(
            f"problem.epsilon is {config.epsilon:g}. Give less than {most:.3f}: the guarantee is {most:.3f} - epsilon."
        )
    if config.model == "lt":
        try:
            check_weights(network)
        except DataError as error:
            raise DataError(f"problem.model=lt: {error} Try problem.chances=in_degree.") from None


def _check_amount(config: CascadeConfig, prices: Floats) -> None:
    """Refuse more seeds than there are creators, and a budget below all prices of those who are available, (A,)."""
    many = len(prices)
    if config.seeds is not None and config.seeds > many:
        raise ConfigError(
            f"problem.seeds is {config.seeds}; {many} creators are available. Give {many} or fewer"
            + (", or take some out of problem.unavailable." if config.unavailable else ".")
        )
    if config.budget is not None and not (prices <= config.budget).any():
        least = f"; the cheapest costs {prices.min():g}" if many else "; no available creator has a price"
        raise InfeasibleError(f"problem.budget: nobody is within the budget of {config.budget:g}{least}.")


def _solve(config: CascadeConfig, network: Network, allowed: Integers, prices: Floats, seed: int) -> Influence:
    edges = np.column_stack([network.source, network.target])
    barred = np.setdiff1d(np.arange(network.nodes), allowed)
    if config.budget is not None:
        return maximise_influence_within(
            edges,
            network.probability,
            np.nan_to_num(prices),
            config.budget,
            nodes=network.nodes,
            model=config.model,
            epsilon=config.epsilon,
            seed=seed,
            steps=config.steps,
            unavailable=barred,
            simulations=config.simulations,
        )
    return maximise_influence(
        edges,
        network.probability,
        config.seeds or 0,
        nodes=network.nodes,
        method=config.algorithm or "opim_c",
        model=config.model,
        epsilon=config.epsilon,
        seed=seed,
        steps=config.steps,
        unavailable=barred,
        simulations=config.simulations,
    )


def _course(config: CascadeConfig, network: Network, seeds: Integers, seed: int) -> tuple[Floats, list[Spread], Floats]:
    """What the first 1, 2, … seeds reach, (k,), each alone, k, and who is reached after 0, 1, … steps, (T + 1, N)."""
    rough = min(config.simulations, _ROUGH)

    def sizes(some: Integers) -> Integers:
        return sizes_of(network, some, rough, seed, config.model, config.steps)

    growth = np.array([sizes(seeds[: i + 1]).mean() for i in range(len(seeds))])
    alone = [Spread.of(sizes(seeds[i : i + 1])) for i in range(len(seeds))]
    last = min(network.nodes, STEPS_SHOWN) if config.steps is None else config.steps
    by_step = threshold_by_step if config.model == "lt" else activation_by_step
    counts = by_step(network, seeds, config.simulations, seed, config.steps, last)
    return growth, alone, counts / config.simulations


def _prices(market: Market, social: SocialNetwork) -> Floats:
    """What each account asks for the cheapest of its content types, NaN without a price, (N,)."""
    prices = np.full(social.network.nodes, np.nan)
    if market_prices := market.tables.get("prices"):
        cheapest = market_prices.group_by("creator_id").aggregate([("price", "min")])
        place = pc.index_in(cheapest["creator_id"].combine_chunks(), value_set=pa.array(social.account_id))
        known = np.asarray(pc.is_valid(place))
        prices[np.asarray(place.drop_null())] = np.asarray(cheapest["price_min"])[known]
    return prices
