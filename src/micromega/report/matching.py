"""The report of a matching as one HTML file: nothing to load, no script, every text escaped."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from micromega.report import matching_plots, words
from micromega.report.environment import environment
from micromega.report.matching_content import MatchingReport, Side
from micromega.report.sizing import lineage_rows

from markupsafe import Markup  # isort: skip  # comes with jinja2

SHOWN = 40
"""Creators in the page's table; all stand in plan.parquet."""
FIGURES = {
    "merchant_use": matching_plots.merchant_use,
    "free_slots": matching_plots.free_slots,
    "product_use": matching_plots.product_use,
    "choice": matching_plots.choice_obtained,
    "rank": matching_plots.rank_and_choice,
}


def render_matching(report: MatchingReport, *, facts: Mapping[str, Any]) -> str:
    """Write the report as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same matching gives the same text.

    Args:
        report: all that is to be shown.
        facts: of this run: signature, seed, git_commit, packages, started_at.

    Returns:
        The text of an HTML file; write it as UTF-8.
    """
    templates = environment(number=words.number, percent=words.percent, plural=words.plural, shorten=words.shorten)
    return templates.get_template("matching.html").render(
        report=report,
        chosen=report.chosen,
        rows=planned(report.chosen),
        hidden=max(0, report.chosen.matched - SHOWN),
        facts=[summary(side) for side in report.sides],
        figures={name: Markup(draw(report.sides)) for name, draw in FIGURES.items()},  # noqa: S704 (escaped by both)
        lineage=lineage_rows(facts),
    )


def planned(side: Side) -> list[dict[str, Any]]:
    """First creators of the plan, by falling reputation."""
    game, product = side.game, side.matching.product
    served = np.flatnonzero(product >= 0)
    served = served[np.lexsort((served, -game.reputation[served]))][:SHOWN]
    return [
        {
            "creator": str(game.creator_id[c]),
            "merchant": str(game.merchant_id[game.merchant[product[c]]]),
            "product": str(game.product_id[product[c]]),
            "choice": int(side.choices[c]),
            "reputation": float(game.reputation[c]),
        }
        for c in served.tolist()
    ]


def summary(side: Side) -> dict[str, Any]:
    """Numbers of one measure."""
    served = side.choices[side.choices > 0]
    price = None
    if side.best_satisfaction:
        price = 1 - (side.satisfaction or 0.0) / side.best_satisfaction
    return {
        "measure": side.words,
        "matched": side.matched,
        "creators": len(side.choices),
        "first": float(np.mean(served == 1)) if served.size else 0.0,
        "used": float(side.matched / max(1, int(side.game.merchant_quota.sum()))),
        "price": price,
        "most": side.most_matched,
    }
