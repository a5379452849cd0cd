"""Planning a campaign: scores and constraints in; a plan, its certificate and a report out, or a clear no."""

import dataclasses
import logging
from typing import Any

import pyarrow.compute as pc

from micromega.config.schema import dotted
from micromega.config.validate import resolve_target
from micromega.errors import ConfigError, MicromegaError
from micromega.market.market import Market
from micromega.report.page import render
from micromega.runs import record
from micromega.runs.brief import Sources, campaign_report
from micromega.runs.planning import PlanningRun, check_certificate
from micromega.scores import Scores, read_scores
from micromega.solvers.campaign.frontier import budget_curve
from micromega.solvers.campaign.infeasible import explain
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.campaign.table import plan_table
from micromega.solvers.plan import Certificate, Plan, Status

log = logging.getLogger(__name__)
CURVE_SECONDS, CURVE_GAP = 1.0, 2e-3  # per budget: the curve is for looking at


def plan_campaign(run: PlanningRun) -> float | None:
    """Plan a campaign from affinities.

    Args:
        run: the planning run.

    Returns:
        Objective of the plan.

    Raises:
        InfeasibleError: no plan exists; names the conflicting constraints and the budget that would work.
        ScoreError: the score table is missing, damaged, of another market, or not in units that add up.
        MicromegaError: the solver's answer does not pass the independent check. In none of these cases a plan is left.
    """
    request, market, scores = run.request, run.market, _read(run)
    brand_id = _brand(request.problem.brand, scores, market)
    facts = run.begin(scores=str(scores.path), brand=brand_id)
    build = resolve_target(dotted(type(request.problem).config_target))
    problem: CampaignProblem = build(request.problem, brand_id=brand_id, scores=scores.table, market=market)
    plan, certificate = _solve(request.solver, problem)
    curve = budget_curve(problem, time_limit_s=CURVE_SECONDS, relative_gap=CURVE_GAP)
    sources = Sources(
        market=market,
        brand_id=brand_id,
        scores=scores,
        evaluated=None if request.scores else run.evaluated,
        trained=None if request.scores or request.ckpt_path else run.trained,
    )
    table = plan_table(problem, plan)
    page = render(campaign_report(sources, problem, plan, certificate, curve, facts))
    run.finish(table, certificate, lambda: page, str(plan.status))
    _log_plan(problem, plan, certificate, _name_of(brand_id, market))
    return plan.objective


def _read(run: PlanningRun) -> Scores:
    market = run.market
    accounts = market.table("accounts")
    ids = {
        f"{kind}_id": accounts.filter(pc.equal(accounts["kind"], kind))["account_id"].combine_chunks()
        for kind in ("brand", "creator")
    }
    return read_scores(
        run.scores_at(record.AFFINITY),
        market_fingerprint=market.fingerprint,
        allow_other_market=run.request.allow_other_market,
        known_ids=ids,
        require_additive=True,
    )


def _brand(wanted: str | None, scores: Scores, market: Market) -> str:
    """Find the brand by id or by name; the first scored one where none is named."""
    scored = scores.table["brand_id"].unique().to_pylist()
    if wanted is None:
        return str(scored[0])
    if wanted in scored:
        return wanted
    accounts = market.table("accounts")
    named = accounts.filter(pc.and_(pc.equal(accounts["kind"], "brand"), pc.equal(accounts["name"], wanted)))
    for found in named["account_id"].to_pylist():
        if found in scored:
            return str(found)
    names = dict(zip(accounts["account_id"].to_pylist(), accounts["name"].to_pylist(), strict=True))
    known = ", ".join(sorted(names[item] or item for item in scored))
    seen = ""
    if len(named) or wanted in names:
        seen = (
            " It is in the market, but only held-out brands are scored: add evaluation.brands=all to evaluate.py and "
            "optimize.py (scores of brands seen in training are too good: docs/ranker.md)."
        )
    msg = f"problem.brand: {wanted!r} has no scores.{seen} Scored: {known}."
    raise ConfigError(msg)


def _name_of(brand_id: str, market: Market) -> str:
    accounts = market.table("accounts")
    names = accounts.filter(pc.equal(accounts["account_id"], brand_id))["name"].to_pylist()
    return next((str(name) for name in names if name), brand_id)


def _solve(config: Any, problem: CampaignProblem) -> tuple[Plan, Certificate]:
    from micromega.solvers.campaign import verify  # noqa: PLC0415  (beside its use: the check is not the solver's)

    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    plan: Plan = resolve_target(dotted(type(config).config_target))(problem, **settings)
    if plan.status is Status.INFEASIBLE and (conflict := explain(problem)) is not None:
        raise conflict.error()
    if not plan.status.has_plan:
        msg = f"No plan: {plan.status} after {plan.seconds:.1f} s. {' '.join(plan.notes)} Raise solver.time_limit_s."
        raise MicromegaError(msg)
    certificate = verify(problem, plan, relative_gap=config.relative_gap)
    check_certificate(certificate, plan.solver)
    return plan, certificate


def _log_plan(problem: CampaignProblem, plan: Plan, certificate: Certificate, brand: str) -> None:
    log.info(
        "Brand %s: %d posts, %s %s of %s %s, %s %s (%s, proven gap %.3g %%).",
        brand,
        int(plan.chosen.sum()),
        f"{certificate.spend:,.0f}",
        problem.currency,
        f"{problem.budget:,.0f}",
        problem.currency,
        f"{certificate.objective:,.0f}",
        problem.unit,
        plan.status,
        100 * certificate.gap,
    )
