"""Choosing the size of a creator: a response curve and prices in; sizes, certificate and report out."""

import logging

from micromega.config.schema import dotted
from micromega.config.validate import resolve_target
from micromega.runs.planning import PlanningRun, check_certificate
from micromega.runs.response import RESPONSE
from micromega.scores import read_scores
from micromega.solvers.sizing import direct_effects, heatmap, plan_table, solve, verify

log = logging.getLogger(__name__)


def plan_size(run: PlanningRun) -> float | None:
    """Choose how popular the sponsored creator should be.

    Args:
        run: the planning run.

    Returns:
        Profit of the size that is recommended, 0 where none pays.

    Raises:
        ScoreError: the response table is missing, damaged or of another market.
        ConfigError: a setting names something unknown.
        MicromegaError: the answer does not pass the independent check; no plan is left.
    """
    from micromega.report.sizing import render_sizing  # noqa: PLC0415  (matplotlib is behind it)

    request = run.request
    scores = read_scores(
        run.scores_at(RESPONSE),
        name="response",
        market_fingerprint=run.market.fingerprint,
        allow_other_market=request.allow_other_market,
    )
    facts = run.begin(scores=str(scores.path))
    problem = resolve_target(dotted(type(request.problem).config_target))(
        request.problem,
        scores=scores,
        market=run.market,
    )
    plan = solve(problem)
    certificate = verify(problem, plan)
    check_certificate(certificate, "sizing")
    sizes = heatmap(problem, values=request.problem.heatmap_values, costs=request.problem.heatmap_costs)
    direct = direct_effects(problem)
    run.finish(
        plan_table(plan),
        certificate,
        lambda: render_sizing(problem, plan, certificate, sizes, direct, market=run.market.name, facts=facts),
        str(plan.status),
    )
    best = plan.recommended
    if best is None:
        log.info("For %s no size of creator pays at these prices.", problem.subject)
        return 0.0
    log.info(
        "For %s the best creator has %s followers (%s): %s impressions, profit %s %s (%s).",
        problem.subject,
        f"{best.followers:,.0f}",
        best.tier,
        f"{best.impressions:,.0f}",
        f"{best.profit:,.0f}",
        problem.currency,
        plan.standing,
    )
    return float(best.profit)
