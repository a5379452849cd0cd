"""`optimize.py`: scores and constraints in; a plan, its certificate and a report out, or a clear no."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from micromega.config.schema import RunConfig, dotted
from micromega.config.signature import run_name, signature
from micromega.config.validate import resolve_target
from micromega.errors import ConfigError, MicromegaError
from micromega.files import write_atomically, write_text_atomically
from micromega.market.market import Market
from micromega.market.open import open_market
from micromega.report.page import render
from micromega.runs import record
from micromega.runs.brief import Sources, campaign_report
from micromega.runs.lock import locked
from micromega.scores import Scores, read_scores
from micromega.solvers.campaign.frontier import budget_curve
from micromega.solvers.campaign.infeasible import explain
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.campaign.table import plan_table
from micromega.solvers.plan import Certificate, Plan, Status

log = logging.getLogger(__name__)
PLAN, CERTIFICATE, REPORT = "plan.parquet", "certificate.json", "report.html"
CURVE_SECONDS, CURVE_GAP = 1.0, 2e-3  # per budget: the curve is for looking at


def run(request: RunConfig, config: DictConfig, folder: Path) -> float | None:
    """Plan a campaign from the scores that evaluate.py wrote for the same request (or `scores`).

    Args:
        request: the validated configuration.
        config: the configuration as composed.
        folder: the run folder.

    Returns:
        Objective of the plan if `optimized_metric` is "objective"; else None.

    Raises:
        InfeasibleError: no plan exists; names the conflicting constraints and the budget that would work.
        ScoreError: the score table is missing, damaged, of another market, or not in units that add up.
        MicromegaError: the solver's answer does not pass the independent check. In none of these cases a plan is left.
    """
    with locked(folder):
        market = open_market(request.market, Path(request.paths.markets))
        evaluated = Path(request.paths.runs) / "evaluate" / run_name(config, "evaluate")
        scores = _read(request, evaluated, market)
        brand_id = _brand(request.problem.brand, scores, market)
        record.write_config(folder, config)
        facts = record.lineage(
            signature=signature(config, "optimize"),
            seed=request.seed,
            tags=request.tags,
            overrides=list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else [],
            market=market,
        )
        record.update_record(
            folder, task="optimize", status="running", scores=str(scores.path), brand=brand_id, **facts
        )
        for name in (PLAN, CERTIFICATE, REPORT):  # an earlier plan from other scores must not stand beside a failure
            (folder / name).unlink(missing_ok=True)
        build = resolve_target(dotted(type(request.problem).config_target))
        problem: CampaignProblem = build(request.problem, brand_id=brand_id, scores=scores.table, market=market)
        plan, certificate = _solve(request.solver, problem)
        curve = budget_curve(problem, time_limit_s=CURVE_SECONDS, relative_gap=CURVE_GAP)
        trained = Path(request.paths.runs) / "train" / run_name(config, "train")
        sources = Sources(
            market=market,
            brand_id=brand_id,
            scores=scores,
            evaluated=None if request.scores else evaluated,
            trained=None if request.scores or request.ckpt_path else trained,
        )
        table = plan_table(problem, plan)
        page = render(campaign_report(sources, problem, plan, certificate, curve, facts))
        write_text_atomically(folder / CERTIFICATE, certificate.to_json())
        write_text_atomically(folder / REPORT, page)
        write_atomically(folder / PLAN, lambda file: _write_table(table, file))  # last: no plan without its certificate
        record.update_record(folder, status="done", plan_status=str(plan.status), finished_at=record.now())
        _log_plan(problem, plan, certificate, _name_of(brand_id, market))
        log.info("Plan, certificate and report: %s", folder)
        log.info("Open the report: %s", folder / REPORT)
    return plan.objective if request.optimized_metric == "objective" else None


def _read(request: RunConfig, evaluated: Path, market: Market) -> Scores:
    path = Path(request.scores) if request.scores else evaluated / record.AFFINITY
    accounts = market.table("accounts")
    ids = {
        f"{kind}_id": accounts.filter(pc.equal(accounts["kind"], kind))["account_id"].combine_chunks()
        for kind in ("brand", "creator")
    }
    return read_scores(
        path,
        market_fingerprint=market.fingerprint,
        allow_other_market=request.allow_other_market,
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
    if not certificate.ok:
        broken = "; ".join(check.words for check in certificate.checks if not check.ok)
        msg = f"{plan.solver} gave a plan that fails the independent check, so it is not written: {broken}"
        raise MicromegaError(msg)
    return plan, certificate


def _write_table(table: pa.Table, file: Any) -> None:
    pq.write_table(table, file, write_page_checksum=True)


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
