"""The report of a cascade as one HTML file: nothing to load, no script, every text escaped."""

import math
from collections.abc import Mapping
from typing import Any

from micromega.report import words
from micromega.report.cascade_content import Bound, InfluenceReport, NeedsReport
from micromega.report.cascade_map import drawn_of_influence, drawn_of_needs
from micromega.report.cascade_plots import INFLUENCE_FIGURES, NEEDS_FIGURES
from micromega.report.environment import environment
from micromega.report.sizing import lineage_rows
from micromega.solvers.cascade.certificate import Z95
from micromega.solvers.plan import Status

from markupsafe import Markup  # isort: skip  # comes with jinja2

_FILTERS: dict[str, Any] = {
    "number": words.number,
    "percent": words.percent,
    "plural": words.plural,
    "shorten": words.shorten,
    "money": words.money,
}


def render_needs(report: NeedsReport, *, facts: Mapping[str, Any]) -> str:
    """Write the report of creators for needs as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same plan gives the same text.

    Args:
        report: all that is to be shown.
        facts: of this run: signature, seed, git_commit, packages, started_at.

    Returns:
        The text of an HTML file; write it as UTF-8.
    """
    templates = environment(**_FILTERS)
    return templates.get_template("cascade_needs.html").render(
        report=report,
        evidence=report.evidence,
        needed=float(report.needs.sum()),
        badge=_badge(report),
        rows=_rows(report),
        bounds=[_ranked(report, bound) for bound in report.bounds],
        drawn=drawn_of_needs(report),
        figures={name: Markup(draw(report)) for name, draw in NEEDS_FIGURES.items()},  # noqa: S704 (escaped by both)
        lineage=lineage_rows(facts),
    )


def render_influence(report: InfluenceReport, *, facts: Mapping[str, Any]) -> str:
    """Write the report of influence maximisation as HTML; else as `render_needs`."""
    templates = environment(**_FILTERS)
    rows = [
        {
            "creator": report.social.name[v],
            "id": report.social.account_id[v],
            "growth": float(report.growth[i]),
            "alone": float(report.alone[i]),
            "price": None if math.isnan(report.price[i]) else float(report.price[i]),
        }
        for i, v in enumerate(report.found.seeds.tolist())
    ]
    return templates.get_template("cascade_influence.html").render(
        report=report,
        spread=report.found.spread,
        guarantee=report.found.guarantee,
        rows=rows,
        priced=any(row["price"] is not None for row in rows),
        drawn=drawn_of_influence(report),
        figures={name: Markup(draw(report)) for name, draw in INFLUENCE_FIGURES.items()},  # noqa: S704 (as above)
        lineage=lineage_rows(facts),
    )


def _badge(report: NeedsReport) -> tuple[str, str, str]:
    """What the certificate says: (tone, a few words, one sentence)."""
    if not report.certificate.ok:
        return "bad", "Do not use", "The independent check rejects this plan."
    kept = "Awareness, cost and efficiency were recomputed by code that did not make the plan."
    if report.certificate.status is Status.OPTIMAL:
        return "good", "Certified best", f"{kept} No other set of available creators costs less by the closed form."
    if report.every_set:
        least = f"{kept} No set of the {len(report.candidates):,} creators considered costs less"
        least += " by the cascades that were sampled: other samples may say otherwise." if report.sampled else "."
        left_out = report.available - len(report.candidates)
        more = f" {left_out:,} available creators were left out (problem.candidates)." if left_out else ""
        return "good", f"Best of the {len(report.candidates):,} considered", least + more
    return "good", "Certified", f"{kept} A better set may exist: the search proves nothing."


def _rows(report: NeedsReport) -> list[dict[str, Any]]:
    evidence = report.evidence
    return [
        {
            "place": j + 1,
            "need": name,
            "volume": float(report.needs[j]),
            "creator": report.social.name[v],
            "id": report.social.account_id[v],
            "closed": float(evidence.closed_form[j]),
            "process": float(evidence.process[j]),
            "half": Z95 * float(evidence.process_error[j]),
            "alone": float(evidence.alone[j]),
        }
        for j, (name, v) in enumerate(zip(report.names, report.creators.tolist(), strict=True))
    ]


def _ranked(report: NeedsReport, bound: Bound) -> dict[str, Any]:
    """One time bound as rows; who differs from the first choice is told apart."""
    names = [report.social.name[v] for v in report.candidates.tolist()]
    first = set(bound.first.creators.tolist())
    sets = [
        {
            "rank": i + 1,
            "cost": one.cost,
            "efficiency": one.efficiency,
            "creators": [(names[row], row not in first) for row in one.creators.tolist()],
            "without": [names[row] for row in one.without],
            "first": one.first,
        }
        for i, one in enumerate(bound.sets)
    ]
    return {
        "words": bound.words,
        "own": bound.own,
        "sets": sets,
        "cheaper": sum(one.cost < bound.first.cost for one in bound.sets),
        "irreplaceable": [names[row] for row in bound.irreplaceable],
    }
