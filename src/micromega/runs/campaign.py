"""Planning a campaign: scores and constraints in; a plan, its certificate and a report out, or a clear no."""

import dataclasses
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from micromega.config.schema import dotted
from micromega.config.validate import resolve_target
from micromega.errors import ConfigError, MicromegaError
from micromega.market.market import Market
from micromega.report.page import render
from micromega.runs import record
from micromega.runs.brief import Sources, campaign_report, names_of
from micromega.runs.overlapping import Overlapping
from micromega.runs.planning import PlanningRun, check_certificate
from micromega.runs.what_if import what_if
from micromega.scores import Scores, read_scores
from micromega.scores.write import TABLE_KEY
from micromega.solvers.campaign.frontier import budget_curve
from micromega.solvers.campaign.infeasible import explain
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.campaign.table import plan_table
from micromega.solvers.plan import Certificate, Plan, Status

log = logging.getLogger(__name__)
EFFECTIVENESS = "effectiveness"
CURVE_SECONDS, CURVE_GAP = 1.0, 2e-3  # per budget: the curve is for looking at


def plan_campaign(run: PlanningRun) -> float | None:
    """Plan a campaign from affinities or from an effectiveness table.

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
    named = request.problem.brand or next(iter(request.problem.brands or ()), None)
    brand_id = _brand(named, scores, market)
    facts = run.begin(scores=str(scores.path), brand=brand_id)
    build = resolve_target(dotted(type(request.problem).config_target))
    kind = str(scores.lineage.score_kind)
    problem: CampaignProblem = build(request.problem, brand_id=brand_id, scores=scores.table, market=market, kind=kind)
    if request.problem.overlap:
        overlapping = Overlapping.of(request.problem, problem, market)
        plan, certificate = _solve(request.solver, problem, overlapping)
        curve = overlapping.curve(seconds=CURVE_SECONDS, gap=CURVE_GAP)
        problem = overlapping.shown(plan)
    else:
        overlapping = None
        plan, certificate = _solve(request.solver, problem)
        curve = budget_curve(problem, time_limit_s=CURVE_SECONDS, relative_gap=CURVE_GAP)
    sources = Sources(
        market=market,
        brand_id=brand_id,
        scores=scores,
        evaluated=None if request.scores or scores.name == EFFECTIVENESS else run.evaluated,
        trained=None if request.scores or request.ckpt_path or scores.name == EFFECTIVENESS else run.trained,
    )
    table = plan_table(problem, plan)
    beside = what_if(request.problem, problem, plan, names_of(market), overlapping)
    page = render(campaign_report(sources, problem, plan, certificate, curve, facts, beside))
    run.finish(table, certificate, lambda: page, str(plan.status))
    _log_plan(problem, plan, certificate, _name_of(brand_id, market))
    return plan.objective


def _read(run: PlanningRun) -> Scores:
    market = run.market
    accounts = market.table("accounts")
    path, name = _table(run)
    ids = {
        f"{kind}_id": accounts.filter(pc.equal(accounts["kind"], kind))["account_id"].combine_chunks()
        for kind in (("brand", "creator") if name == "affinity" else ("creator",))
    }
    return read_scores(
        path,
        name=name,
        market_fingerprint=market.fingerprint,
        allow_other_market=run.request.allow_other_market,
        known_ids=ids,
        require_additive=True,
    )


def _table(run: PlanningRun) -> tuple[Path, str]:
    """Find the score table, and say which of the two kinds it is: the file itself knows."""
    path, other = run.scores_at(record.AFFINITY), run.scores_at(f"{EFFECTIVENESS}.parquet")
    if not path.is_file() and other.is_file():
        path = other
    try:
        written = (pq.read_schema(path).metadata or {}).get(TABLE_KEY.encode(), b"")
    except (OSError, pa.ArrowException):
        written = b""  # reading it says what is wrong
    return path, EFFECTIVENESS if written == EFFECTIVENESS.encode() else "affinity"


def _scored(scores: Scores, market: Market) -> list[str]:
    """Brands that a plan can be made for; with an effectiveness table those of its events."""
    if scores.name == "affinity":
        return list(scores.table["brand_id"].unique().to_pylist())
    events = market.table("events")
    held = pc.is_in(events["event_id"], pc.unique(scores.table["event_id"]))
    return list(events["brand_id"].filter(held).unique().to_pylist())


def _brand(wanted: str | None, scores: Scores, market: Market) -> str:
    """Find the brand by id or by name; the first scored one where none is named."""
    scored = _scored(scores, market)
    if not scored:
        msg = f"{scores.path.name}: none of its events is in the market. Score this market (evaluate.py)."
        raise ConfigError(msg)
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


def _solve(config: Any, problem: CampaignProblem, overlapping: Overlapping | None = None) -> tuple[Plan, Certificate]:
    from micromega.solvers.campaign import verify  # noqa: PLC0415  (beside its use: the check is not the solver's)

    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    target: Callable[..., Plan] = resolve_target(dotted(type(config).config_target))
    check: Callable[[], Certificate]
    if overlapping is None:
        plan = target(problem, **settings)
        check = partial(verify, problem, plan, relative_gap=config.relative_gap)
    else:

        def linear(part: CampaignProblem, seconds: float) -> Plan:
            return target(part, **{**settings, "time_limit_s": seconds})

        found = overlapping.solve(linear, time_limit_s=config.time_limit_s, relative_gap=config.relative_gap)
        plan = found.plan
        check = partial(overlapping.check, found, relative_gap=config.relative_gap)
    if plan.status is Status.INFEASIBLE and (conflict := explain(problem)) is not None:
        raise conflict.error()
    if not plan.status.has_plan:
        msg = f"No plan: {plan.status} after {plan.seconds:.1f} s. {' '.join(plan.notes)} Raise solver.time_limit_s."
        raise MicromegaError(msg)
    certificate = check()
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
