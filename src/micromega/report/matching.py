"""The report of a matching as one HTML file: nothing to load, no script, every text escaped."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from micromega.report import matching_plots, words
from micromega.report.environment import environment
from micromega.report.matching_content import MatchingReport, Side
from micromega.report.sizing import lineage_rows
from micromega.solvers.matching.answer import ordered
from micromega.solvers.matching.lists import owners

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
        hidden=max(0, len(report.chosen.choices) - SHOWN),
        facts=[summary(side) for side in report.sides],
        figures={name: Markup(draw(distinct(report.sides))) for name, draw in FIGURES.items()},  # noqa: S704 (escaped by both)
        lineage=lineage_rows(facts),
    )


def distinct(sides: Sequence[Side]) -> tuple[Side, ...]:
    """Sides without those that repeat another one's game and pairs: where theory leaves one stable matching."""
    kept: list[Side] = []
    for side in sides:
        if not any(side.game is of.game and np.array_equal(side.matching.pair, of.matching.pair) for of in kept):
            kept.append(side)
    return tuple(kept)


def planned(side: Side) -> list[dict[str, Any]]:
    """First pairs of the plan, by falling reputation or score."""
    game = side.game
    pair = ordered(game, side.matching)[:SHOWN]
    creator, product = owners(game.start)[pair], game.product[pair]
    choice = side.choices[np.searchsorted(side.matching.pair, pair)]
    standing = game.standing_of_pairs[pair]
    return [
        {
            "creator": str(game.creator_id[creator[row]]),
            "merchant": str(game.merchant_id[game.merchant[product[row]]]),
            "product": str(game.product_id[product[row]]),
            "choice": int(choice[row]),
            "standing": float(standing[row]),
        }
        for row in range(len(pair))
    ]


def summary(side: Side) -> dict[str, Any]:
    """Numbers of one matching."""
    price = None
    if side.best_satisfaction:
        price = 1 - side.satisfaction / side.best_satisfaction
    return {
        "words": side.words,
        "matched": side.matched,
        "creators": side.creators,
        "first": float(np.mean(side.choices == 1)) if side.choices.size else 0.0,
        "used": float(len(side.choices) / max(1, int(side.game.merchant_quota.sum()))),
        "last": side.regret,
        "price": price,
        "most": side.most_matched,
    }
