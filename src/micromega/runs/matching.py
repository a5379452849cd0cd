"""Matching creators with merchants' products: orders or scores in; who advertises what, certificate and report out."""

import logging
from typing import Any, get_args

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.report.matching_content import OPTIMAL_WORDS, MatchingReport, Side, limits_of
from micromega.runs import record
from micromega.runs.planning import PlanningRun, check_certificate
from micromega.scores import read_scores
from micromega.solvers.matching.allocation import Matching, Optimum
from micromega.solvers.matching.answer import certify, choices, plan_table
from micromega.solvers.matching.efficiency import best_allocation, satisfaction
from micromega.solvers.matching.lists import owners
from micromega.solvers.matching.named import NamedGame
from micromega.solvers.matching.orders import STANDING_WORDS, Measure, game_from_orders
from micromega.solvers.matching.scores import game_from_scores

Integers = NDArray[np.int64]
log = logging.getLogger(__name__)
MEASURES: tuple[Measure, ...] = ("spending", "frequency")
EFFECTIVENESS = "effectiveness.parquet"


def plan_matching(run: PlanningRun) -> float | None:
    """Match, and show beside it what else could have been: the other measure, or the other stable matchings.

    Args:
        run: the planning run.

    Returns:
        Number of creators with a product.

    Raises:
        DataError: the market has no orders that name customers and merchants, or lacks a table.
        ScoreError: a score table is missing, damaged, of another market or not of probabilities.
        ConfigError: settings that do not go together.
        MicromegaError: the answer does not pass the independent check; no plan is left.
    """
    from micromega.report.matching import render_matching  # noqa: PLC0415  (matplotlib is behind it)

    config = run.request.problem
    check_settings(config)
    sides, facts = (_by_orders if config.preferences == "orders" else _by_scores)(run)
    chosen = sides[0]
    if ignored := without_effect(config, quotas_given=chosen.game.quotas_given):
        log.warning("These settings have no effect here: %s.", "; ".join(ignored))
    certificate = certify(
        chosen.game,
        chosen.matching,
        product_least=config.least_per_product,
        merchant_least=config.least_per_merchant,
    )
    check_certificate(certificate, "matching")
    report = MatchingReport(
        market=run.market.name,
        sides=sides,
        chosen=chosen,
        certificate=certificate,
        limits=limits_of(chosen.game, config.ties, config.creator_quota),
    )
    run.finish(
        plan_table(chosen.game, chosen.matching),
        certificate,
        lambda: render_matching(report, facts=facts),
        str(certificate.status),
    )
    for check in certificate.checks:
        if check.ok and check.slack < 0:
            log.warning("%s: %s", check.name, check.words)
    log.info("%d of %d creators have a product, %s; no pair blocks.", chosen.matched, chosen.creators, chosen.words)
    return float(chosen.matched)


def check_settings(config: Any) -> None:
    """Refuse settings that do not go together (ConfigError)."""
    if config.ties == "kept" and config.creator_quota > 1:
        raise ConfigError("problem.ties=kept does not go with problem.creator_quota above 1. Choose drawn.")
    if config.ties == "kept" and config.optimal_for != "creators":
        raise ConfigError(
            f"problem.ties=kept does not go with problem.optimal_for={config.optimal_for}: with ties no stable "
            "matching is best for a side. Leave it out, or choose problem.ties=drawn."
        )
    if config.creator_quota > 1 and config.optimal_for == "minimum_regret":
        raise ConfigError("problem.optimal_for=minimum_regret needs problem.creator_quota=1.")


def without_effect(config: Any, *, quotas_given: bool) -> list[str]:
    """Settings that were set and play no part, each with why.

    Args:
        config: the settings.
        quotas_given: whether quotas are those of the market's tables.
    """
    orders, ranked_by = config.preferences == "orders", config.merchants_rank_by
    by_effectiveness = not orders and ranked_by == "effectiveness"
    by_scores = "problem.preferences=scores"
    cases = (
        ("optimal_for", orders and config.optimal_for != "creators", "by reputation one matching is stable"),
        ("merchants_rank_by", orders and ranked_by != "affinity", f"needs {by_scores}"),
        (
            "effectiveness",
            config.effectiveness is not None and not by_effectiveness,
            f"needs {by_scores} and problem.merchants_rank_by=effectiveness",
        ),
        (
            "measure",
            not orders and ranked_by != "reputation" and config.measure != "spending",
            "needs orders or problem.merchants_rank_by=reputation",
        ),
        ("quotas", not orders and config.quotas != "sales", "with scores the tables' quotas hold if they are complete"),
        ("places", config.places is not None and quotas_given, "the tables give the quotas"),
        ("flow_time_limit_s", not config.flow and config.flow_time_limit_s != 60.0, "problem.flow=false"),
    )
    return [f"problem.{name} ({why})" for name, ignored, why in cases if ignored]


def _by_orders(run: PlanningRun) -> tuple[tuple[Side, ...], dict[str, Any]]:
    """The plan's measure first, then the other."""
    config, market = run.request.problem, run.market
    orders = market.table("orders")
    quotas = (market.table("merchants"), market.table("products")) if config.quotas == "tables" else None
    facts = run.begin(measure=config.measure)
    sides = []
    for measure in sorted(MEASURES, key=lambda of: of != config.measure):
        game = game_from_orders(
            orders, measure=measure, places=config.places, longest=config.longest, quotas=quotas, seed=run.request.seed
        )
        matching = game.solve(ties=config.ties, creator_quota=config.creator_quota, seed=run.request.seed)
        sides.append(_side(f"by {STANDING_WORDS[measure]}", game, matching, _best(run, matching)))
    return tuple(sides), facts


def _by_scores(run: PlanningRun) -> tuple[tuple[Side, ...], dict[str, Any]]:
    """The plan's stable matching first, then the others that theory gives."""
    config, market, request = run.request.problem, run.market, run.request
    accounts = market.table("accounts")
    ids = {
        f"{kind}_id": accounts.filter(pc.equal(accounts["kind"], kind))["account_id"].combine_chunks()
        for kind in ("brand", "creator")
    }

    def read(name: str, path: Any) -> Any:
        return read_scores(
            path,
            name=name,
            market_fingerprint=market.fingerprint,
            allow_other_market=request.allow_other_market,
            known_ids={
                key: ids[key] for key in (("brand_id", "creator_id") if name == "affinity" else ("creator_id",))
            },
            require_additive=True,
        )

    scores = read("affinity", run.scores_at(record.AFFINITY))
    effectiveness = None
    if config.merchants_rank_by == "effectiveness":
        effectiveness = read("effectiveness", config.effectiveness or run.evaluated / EFFECTIVENESS).table
    facts = run.begin(scores=str(scores.path), merchants_rank_by=config.merchants_rank_by)
    game = game_from_scores(
        scores.table,
        market,
        merchants_rank_by=config.merchants_rank_by,
        effectiveness=effectiveness,
        measure=config.measure,
        places=config.places,
        longest=config.longest,
        seed=request.seed,
    )
    settings = {"ties": config.ties, "creator_quota": config.creator_quota, "seed": request.seed}
    if config.ties == "kept":
        matching = game.solve(**settings)
        return (_side("with ties kept", game, matching, _best(run, matching)),), facts
    others: tuple[Optimum, ...] = get_args(Optimum) if config.creator_quota == 1 else ("creators", "merchants")
    found = {
        of: game.solve(optimal_for=of, **settings) for of in sorted(others, key=lambda of: of != config.optimal_for)
    }
    best = _best(run, found[config.optimal_for])  # of all: it depends on lists and quotas alone
    return tuple(_side(OPTIMAL_WORDS[of], game, matching, best) for of, matching in found.items()), facts


def _best(run: PlanningRun, matching: Matching) -> Integers | None:
    """Pairs of the best allocation without stability, None if it was not asked for or not found."""
    config, game = run.request.problem, matching.game
    if not config.flow:
        return None
    best = best_allocation(game, satisfaction(game), time_limit_s=config.flow_time_limit_s)
    if best is None:
        log.warning(
            "The price of stability is not known: %s pairs are too many, or %s s too short "
            "(problem.flow_time_limit_s).",
            f"{len(game.product):,}",
            f"{config.flow_time_limit_s:g}",
        )
    return best


def _side(words: str, game: NamedGame, matching: Matching, best: Integers | None) -> Side:
    weight = satisfaction(matching.game)
    return Side(
        words=words,
        game=game,
        matching=matching,
        choices=choices(matching),
        satisfaction=float(weight[matching.pair].sum()),
        best_satisfaction=None if best is None else float(weight[best].sum()),
        most_matched=None if best is None else len(np.unique(owners(matching.game.start)[best])),
    )
