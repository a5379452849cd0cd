"""Creators who start a cascade: a network in; who spreads what, a certificate and a report out."""

import pyarrow as pa

from micromega.runs.cascade_influence import plan_influence
from micromega.runs.cascade_needs import plan_needs
from micromega.runs.planning import PlanningRun
from micromega.scores.read import read_scores
from micromega.solvers.cascade.config import CascadeConfig
from micromega.solvers.cascade.from_market import SocialNetwork, social_network

ACTIVATION = "activation.parquet"


def plan_cascade(run: PlanningRun) -> float | None:
    """Choose creators so that awareness fits the needs, or seeds that reach most accounts.

    Args:
        run: the planning run.

    Returns:
        Efficiency (eq. 10) by the objective that was asked for; of influence, mean accounts reached.

    Raises:
        ConfigError: needs, unavailable accounts or readings of the network that do not fit.
        DataError: the market has no follows, or not the probabilities that are asked for.
        ScoreError: the activation table that is asked for is missing or of another market.
        MicromegaError: the answer does not pass the independent check; no plan is left.
    """
    config: CascadeConfig = run.request.problem
    social = _social(run, config)
    return plan_influence(run, social) if config.objective == "influence" else plan_needs(run, social)


def _social(run: PlanningRun, config: CascadeConfig) -> SocialNetwork:
    """The network of the market, or of the activation scores."""
    market = run.market
    accounts = market.table("accounts")
    if config.chances == "learned":
        ids = accounts["account_id"].combine_chunks()
        edges: pa.Table = read_scores(
            run.scores_at(ACTIVATION),
            name="activation",
            market_fingerprint=market.fingerprint,
            allow_other_market=run.request.allow_other_market,
            known_ids={"source_id": ids, "target_id": ids},
        ).table
    else:
        edges = market.table("follows")
    return social_network(accounts, edges, chances=config.chances, chance=config.chance, seed=run.request.seed)
