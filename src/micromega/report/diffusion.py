"""The report of the diffusion model as one HTML file: nothing to load, no script, every text escaped."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from micromega.report import diffusion_plots, diffusion_words, words
from micromega.report.environment import environment

if TYPE_CHECKING:
    from micromega.models.diffusion.result import DiffusionEvaluation

from markupsafe import Markup  # isort: skip  # comes with jinja2


def render_diffusion(
    result: "DiffusionEvaluation", *, market: str, lineage: Mapping[str, str], notice: str | None = None
) -> str:
    """Write the report as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same result gives the same text.

    Args:
        result: what evaluation has found; its first method is the model.
        market: name of the market.
        lineage: label -> value: fingerprints, commit, versions, seed, signature, time.
        notice: what a reader must know first, for instance that the market is simulated.

    Returns:
        The text of an HTML file; write it as UTF-8.
    """
    templates = environment(
        number=words.number, about=words.about, percent=words.percent, plural=words.plural, shorten=words.shorten
    )
    return templates.get_template("diffusion.html").render(
        result=result,
        market=market,
        notice=notice,
        own=result.metrics[result.model],
        verdict=diffusion_words.verdict(result),
        baselines=diffusion_words.baselines(result) if len(result.metrics) > 1 else "",
        badge=diffusion_words.badge(result),
        table=metric_table(result),
        seen=seen_table(result),
        figures=_figures(result),
        report={"limits": diffusion_words.LIMITS, "facts": diffusion_words.fact_rows(result), "lineage": lineage},
    )


def metric_table(result: "DiffusionEvaluation") -> Mapping[str, Any]:
    """Columns, and rows of (title, ours, [(text, whether it is the best)])."""
    shown = [column for column in diffusion_words.COLUMNS if any(column.name in v for v in result.metrics.values())]
    rows = []
    for title, values in result.metrics.items():
        cells = []
        for column in shown:
            held = [v[column.name] for v in result.metrics.values() if math.isfinite(v.get(column.name, math.nan))]
            best = (max(held) if column.larger else min(held)) if held else math.nan
            value = values.get(column.name, math.nan)
            cells.append((words.number(value, column.digits), value == best))
        rows.append((title, title == result.model, cells))
    return {"columns": [column.title for column in shown], "rows": rows}


def seen_table(result: "DiffusionEvaluation") -> Mapping[str, Any]:
    """Columns, and rows of (group, edges, exposures, [(text, whether it is the best)]).

    The values are root mean squared errors where the truth is known, else log losses.
    """
    known = any(group.error for group in result.seen)
    titles, rows = list(result.metrics), []
    for group in result.seen:
        values = group.error if known else group.log_loss
        held = [values[title] for title in titles if math.isfinite(values.get(title, math.nan))]
        cells = [
            (words.number(values.get(title), 4), bool(held) and values.get(title) == min(held)) for title in titles
        ]
        rows.append((group.name, group.edges, group.exposures, cells))
    return {"columns": titles, "rows": rows, "known": known}


def _figures(result: "DiffusionEvaluation") -> dict[str, Any]:
    """The figures, as markup that must not be escaped a second time; None where there is nothing to draw."""
    error = result.metrics[result.model]["calibration_error"]
    drawn: dict[str, str | None] = {
        "reliability": diffusion_plots.reliability_plot(result.reliability[result.model], error=error),
        "histogram": None if result.exported is None else diffusion_plots.histogram_plot(result.exported),
        "truth": None if result.against_truth is None else diffusion_plots.truth_plot(result.against_truth),
        "seen": None,
    }
    if any(group.error for group in result.seen):
        others = [t for t in (diffusion_words.ALONE, diffusion_words.RATE) if t in result.metrics and t != result.model]
        drawn["seen"] = diffusion_plots.seen_plot(result, (result.model, *others))
    # matplotlib and ElementTree have escaped every text in these figures.
    return {name: None if svg is None else Markup(svg) for name, svg in drawn.items()}  # noqa: S704
