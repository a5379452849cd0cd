"""The report of a VS-VAE as one HTML file: nothing to load, no script, every text escaped."""

import math
from typing import Any

from micromega.report import representation_plots, representation_words, words
from micromega.report.environment import environment
from micromega.report.representation_content import RepresentationReport

from markupsafe import Markup  # isort: skip  # comes with jinja2


def render_representation(report: RepresentationReport) -> str:
    """Write the report as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same report gives the same text.

    Args:
        report: all that is to be shown.

    Returns:
        The text of an HTML file; write it as UTF-8.

    Example:
        >>> from micromega.models.vsvae.result import RepresentationEvaluation, Reconstruction, table
        >>> audio = Reconstruction(part="audio", measure="mse", model=0.97, no_information=3.96, posts=9)
        >>> result = RepresentationEvaluation(metrics=table((audio,)), reconstruction=(audio,))
        >>> "explains 76" in render_representation(RepresentationReport(market="demo", result=result))
        True
    """
    result = report.result
    templates = environment(
        number=words.number,
        percent=words.percent,
        plural=words.plural,
        shorten=words.shorten,
        part=representation_words.part_name,
        score=representation_words.score,
        nats=representation_words.nats,
    )
    return templates.get_template("representation.html").render(
        report=report,
        result=result,
        verdict=representation_words.verdict(result),
        badge=representation_words.badge(result),
        words=representation_words,
        by_pca=any(row.pca is not None for row in result.reconstruction),
        numeric=any(row.measure == "mse" for row in result.reconstruction),
        unknown=[row for row in result.reconstruction if row.unknown],
        compared=list(dict.fromkeys(name for probe in result.probes for name in probe.scores)),
        has_hashtags=result.neighbourhood is not None and math.isfinite(result.neighbourhood.same_hashtag),
        figures=_figures(report),
    )


def _figures(report: RepresentationReport) -> dict[str, Any]:
    """The figures, as markup that must not be escaped a second time; None where there is nothing to draw."""
    result = report.result
    drawn: dict[str, str | None] = dict.fromkeys(("restored", "divergence"))
    if any(row.measure == "accuracy" or math.isfinite(row.r_squared) for row in result.reconstruction):
        drawn["restored"] = representation_plots.restored_plot(result.reconstruction, model=result.model)
    if result.latent is not None and len(result.latent.divergence):
        drawn["divergence"] = representation_plots.divergence_plot(result.latent)
    # matplotlib and ElementTree have escaped every text in these figures.
    return {name: None if svg is None else Markup(svg) for name, svg in drawn.items()}  # noqa: S704
