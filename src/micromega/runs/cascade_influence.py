"""Seeds that reach most accounts: k of them, or as many as a budget pays for."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.market.market import Market
from micromega.report.cascade_content import InfluenceReport
from micromega.runs.planning import PlanningRun, check_certificate
from micromega.solvers.cascade.answer import seeds_table
from micromega.solvers.cascade.certificate_influence import certify_influence
from micromega.solvers.cascade.competition import STEPS_SHOWN
from micromega.solvers.cascade.expected import Spread
from micromega.solvers.cascade.from_market import SocialNetwork
from micromega.solvers.cascade.influence import maximise_influence, maximise_influence_within
from micromega.solvers.cascade.opim import derived_seed
from micromega.solvers.cascade.simulate import activation_by_step, simulate

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
_CHECK = 102
"""Stream of the certificate's random numbers."""


def plan_influence(run: PlanningRun, social: SocialNetwork) -> float:
    """Choose seeds for the largest expected spread, with a guarantee.

    Args:
        run: the planning run.
        social: its network.

    Returns:
        Mean accounts that the seeds reach, by simulations that had no part in the choice.

    Raises:
        ConfigError: neither or both of `seeds` and `budget`, or more seeds than creators.
        InfeasibleError: nobody is within the budget.
        MicromegaError: the answer does not pass the independent check.
    """
    from micromega.report.cascade import render_influence  # noqa: PLC0415  (matplotlib is behind it)

    config, seed, network = run.request.problem, run.request.seed, social.network
    if (config.seeds is None) == (config.budget is None):
        raise ConfigError("problem.seeds, problem.budget: objective=influence takes one of them, and not both.")
    out = social.positions(config.unavailable)
    allowed = np.setdiff1d(social.creators, out)
    prices = _prices(run.market, social)
    if config.budget is not None:
        run.market.table("prices")  # says how to make it where there is none
        allowed = allowed[np.isfinite(prices[allowed])]
    barred = np.setdiff1d(np.arange(network.nodes), allowed)
    facts = run.begin(objective=config.objective)
    edges = np.column_stack([network.source, network.target])
    common = {"nodes": network.nodes, "epsilon": config.epsilon, "seed": seed, "steps": config.steps}
    if config.budget is None:
        found = maximise_influence(
            edges, network.probability, config.seeds, unavailable=barred, simulations=config.simulations, **common
        )
    else:
        found = maximise_influence_within(
            edges,
            network.probability,
            np.nan_to_num(prices),
            config.budget,
            unavailable=barred,
            simulations=config.simulations,
            **common,
        )
    check = derived_seed(seed, _CHECK)
    certificate = certify_influence(
        network,
        found,
        allowed=allowed,
        most=config.seeds,
        prices=prices,
        budget=config.budget,
        simulations=config.simulations,
        seed=check,
        steps=config.steps,
    )
    check_certificate(certificate, "cascade")
    firsts = [
        simulate(network, found.seeds[: i + 1], config.simulations, check, config.steps).mean()
        for i in range(len(found.seeds))
    ]
    alone = [Spread.of(simulate(network, [v], config.simulations, check, config.steps)) for v in found.seeds.tolist()]
    steps = min(network.nodes, STEPS_SHOWN) if config.steps is None else config.steps
    by_step = activation_by_step(network, found.seeds, config.simulations, check, steps) / config.simulations
    report = InfluenceReport(
        market=run.market.name,
        social=social,
        found=found,
        reached=by_step[-1],
        growth=np.array(firsts),
        by_step=by_step.sum(axis=1),
        alone=np.array([one.mean for one in alone]),
        price=prices[found.seeds],
        currency=run.market.currency,
        certificate=certificate,
    )
    table = seeds_table(found, social.account_id, alone, prices)
    run.finish(table, certificate, lambda: render_influence(report, facts=facts), str(certificate.status))
    log.info("%d seeds reach %.1f of %d accounts.", len(found.seeds), found.spread.mean, network.nodes)
    return found.spread.mean


def _prices(market: Market, social: SocialNetwork) -> Floats:
    """What each account asks for the cheapest of its content types, NaN without a price, (N,)."""
    prices = np.full(social.network.nodes, np.nan)
    if market_prices := market.tables.get("prices"):
        cheapest = market_prices.group_by("creator_id").aggregate([("price", "min")])
        place = pc.index_in(cheapest["creator_id"].combine_chunks(), value_set=pa.array(social.account_id))
        known = np.asarray(pc.is_valid(place))
        prices[np.asarray(place.drop_null())] = np.asarray(cheapest["price_min"])[known]
    return prices
