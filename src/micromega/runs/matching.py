"""Matching creators with merchants' products: orders in; who advertises what, a certificate and a report out."""

import logging

from micromega.report.matching_content import MatchingReport, Side
from micromega.runs.planning import PlanningRun, check_certificate
from micromega.solvers.matching.answer import certify, choices, plan_table
from micromega.solvers.matching.efficiency import best_allocation, satisfaction, total_weight
from micromega.solvers.matching.orders import Measure, game_from_orders

log = logging.getLogger(__name__)
MEASURES: tuple[Measure, ...] = ("spending", "frequency")


def plan_matching(run: PlanningRun) -> float | None:
    """Match by the measure that is asked for; the report shows both.

    Args:
        run: the planning run.

    Returns:
        Number of creators with a product.

    Raises:
        DataError: the market has no orders that name customers and merchants.
        MicromegaError: the answer does not pass the independent check; no plan is left.
    """
    from micromega.report.matching import render_matching  # noqa: PLC0415  (matplotlib is behind it)

    request, config = run.request, run.request.problem
    orders = run.market.table("orders")
    facts = run.begin(measure=config.measure)
    sides = []
    for measure in MEASURES:
        game = game_from_orders(
            orders, measure=measure, places=config.places, longest=config.longest, seed=request.seed
        )
        matching = game.solve(seed=request.seed)
        free = None
        if config.flow:
            weight = satisfaction(matching.game)
            best = best_allocation(matching.game, weight)
            free = total_weight(matching.game, best, weight), int((best >= 0).sum())
            own = total_weight(matching.game, matching.product, weight)
        side = Side(
            measure=measure,
            game=game,
            matching=matching,
            choices=choices(game, matching),
            satisfaction=own if free else None,
            best_satisfaction=free[0] if free else None,
            most_matched=free[1] if free else None,
        )
        sides.append(side)
        if measure == config.measure:
            chosen, certificate = side, certify(game, matching)
            check_certificate(certificate, "matching")
    report = MatchingReport(market=run.market.name, sides=tuple(sides), chosen=chosen, certificate=certificate)
    run.finish(
        plan_table(chosen.game, chosen.matching),
        certificate,
        lambda: render_matching(report, facts=facts),
        str(certificate.status),
    )
    size = chosen.matching.check.size
    log.info("%d of %d creators have a product, by %s; no pair blocks.", size, len(chosen.choices), config.measure)
    return float(size)
