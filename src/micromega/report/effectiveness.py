"""The report of the effectiveness model as one HTML file: nothing to load, no script, every text escaped."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from micromega.report import effectiveness_plots, effectiveness_words, words
from micromega.report.environment import environment

if TYPE_CHECKING:
    from micromega.models.effectiveness.result import EffectivenessEvaluation

from markupsafe import Markup  # isort: skip  # comes with jinja2


def render_effectiveness(
    result: "EffectivenessEvaluation", *, market: str, lineage: Mapping[str, str], notice: str | None = None
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
    return templates.get_template("effectiveness.html").render(
        result=result,
        market=market,
        notice=notice,
        own=result.metrics[result.model],
        verdict=effectiveness_words.verdict(result),
        badge=effectiveness_words.badge(result),
        table=metric_table(result),
        domains=list(result.importance.domains),
        factor=effectiveness_words.factor,
        constant=effectiveness_words.constant(result),
        figures=_figures(result),
        report={
            "limits": effectiveness_words.LIMITS,
            "facts": effectiveness_words.fact_rows(result),
            "lineage": lineage,
        },
    )


def metric_table(result: "EffectivenessEvaluation") -> Mapping[str, Any]:
    """Columns, and rows of (title, ours, [(text, whether it is the best)])."""
    shown = [column for column in effectiveness_words.COLUMNS if any(column.name in v for v in result.metrics.values())]
    best = {column.name: _best(column, result) for column in shown}
    rows = []
    for title, values in result.metrics.items():
        cells = []
        for column in shown:
            value = values.get(column.name, math.nan)
            text = words.percent(value) if column.share else words.number(value, column.digits)
            cells.append((text, value == best[column.name]))
        rows.append((title, title == result.model, cells))
    return {"columns": [column.title for column in shown], "rows": rows}


def _best(column: "effectiveness_words.MetricColumn", result: "EffectivenessEvaluation") -> float:
    held: Sequence[float] = [values[column.name] for values in result.metrics.values() if column.name in values]
    held = [value for value in held if math.isfinite(value)]
    if not held:
        return math.nan
    wanted = result.level if column.share else column.wanted
    if wanted is not None:
        return min(held, key=lambda value: abs(value - wanted))
    return max(held) if column.larger else min(held)


def _figures(result: "EffectivenessEvaluation") -> dict[str, Any]:
    """The figures, as markup that must not be escaped a second time; None where there is nothing to draw."""
    drawn: dict[str, str | None] = {
        "calibration": effectiveness_plots.calibration_plot(result.calibration, outcome=result.outcome),
        "coverage": effectiveness_plots.coverage_plot(result),
        "domains": effectiveness_plots.bars_plot(
            result.importance.domains, name="domains", title="What predictions rest on", described="By domain."
        ),
        "columns": None,
    }
    if result.importance.columns:
        drawn["columns"] = effectiveness_plots.bars_plot(
            result.importance.columns, name="columns", title="What the trees rest on", described="By column."
        )
    # matplotlib and ElementTree have escaped every text in these figures.
    return {name: None if svg is None else Markup(svg) for name, svg in drawn.items()}  # noqa: S704
