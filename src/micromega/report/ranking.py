"""The report of a ranker as one HTML file: nothing to load, no script, every text escaped."""

import math
from collections.abc import Mapping
from typing import Any

from micromega.report import plots, ranking_plots, ranking_words, words
from micromega.report.environment import environment
from micromega.report.ranking_content import RankingReport

from markupsafe import Markup  # isort: skip  # comes with jinja2

MOST_PANELS = 3  # of the forest plot


def render_ranking(report: RankingReport) -> str:
    """Write the report as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same report gives the same text.

    Args:
        report: all that is to be shown.

    Returns:
        The text of an HTML file; write it as UTF-8.

    Example:
        >>> metrics = {"MIR": {"auc": 0.8}, "RAND": {"auc": 0.5}}
        >>> page = render_ranking(RankingReport(market="demo", brands=9, candidates=90, metrics=metrics))
        >>> "On 9 brands" in page
        True
    """
    templates = environment(
        number=words.number,
        percent=words.percent,
        plural=words.plural,
        shorten=words.shorten,
        metric=ranking_words.metric_name,
    )
    return templates.get_template("ranking.html").render(
        report=report,
        verdict=ranking_words.verdict(report),
        badge=ranking_words.badge(report),
        words=ranking_words,
        columns=_columns(report.metrics),
        category_columns=_columns({row.category: row.metrics for row in report.categories}),
        best=ranking_words.best_methods(report.metrics),
        compared=list(dict.fromkeys(name for tests in report.tests.values() for name in tests)),
        figures=_figures(report),
    )


def _columns(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Metrics that some row has a value of, in order of first appearance."""
    return list(
        dict.fromkeys(name for values in rows.values() for name, value in values.items() if math.isfinite(value))
    )


def _figures(report: RankingReport) -> dict[str, Any]:
    """The figures, as markup that must not be escaped a second time; None where there is nothing to draw."""
    drawn: dict[str, str | None] = dict.fromkeys(("forest", "self_similarity", "before", "after"))
    recalls = [name for name in report.metrics[report.model] if name.startswith("recall_at_")]
    shown = [name for name in ("auc", *recalls) if name in report.metrics[report.model]][:MOST_PANELS]
    if shown and len(report.metrics) > 1:
        drawn["forest"] = ranking_plots.forest_plot(
            report.metrics, report.intervals, shown=shown, baselines=report.baselines
        )
    if report.self_similarity is not None:
        drawn["self_similarity"] = ranking_plots.self_similarity_plot(report.self_similarity)
    if report.before is not None:
        drawn["before"] = plots.calibration_plot(report.before, name="before")
    if report.after is not None:
        drawn["after"] = plots.calibration_plot(report.after, name="after")
    # matplotlib and ElementTree have escaped every text in these figures.
    return {name: None if svg is None else Markup(svg) for name, svg in drawn.items()}  # noqa: S704
