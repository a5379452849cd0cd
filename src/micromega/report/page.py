"""The campaign report as one HTML file: nothing to load, no script, every text escaped."""

import math
from typing import Any

from micromega.report import campaign_plots, plots, words
from micromega.report.content import CampaignReport, Evaluation
from micromega.report.environment import environment  # says what to install before markupsafe is missed

from markupsafe import Markup  # isort: skip  # comes with jinja2

SHOWN_EXAMPLES = 2  # past posts per creator


def render(report: CampaignReport) -> str:
    """Write the report as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same report gives the same text.

    Args:
        report: all that is to be shown.

    Returns:
        The text of an HTML file; write it as UTF-8.

    Example:
        >>> page = render(CampaignReport(brand="Acme", market="demo", currency="EUR", budget=100.0, planned=()))
        >>> "Book nobody" in page
        True
    """
    templates = environment(
        number=words.number,
        about=words.about,
        percent=words.percent,
        day=words.day,
        plural=words.plural,
        shorten=words.shorten,
    )
    return templates.get_template("campaign.html").render(
        report=report,
        verdict=words.verdict(report),
        badge=words.badge(report.certificate),
        money=lambda value, digits=None: words.money(value, report.currency, digits),
        amount=lambda value: words.amount(value, report.currency),
        cents=_cents(report),
        figures=_figures(report),
        metrics=_metric_table(report.evaluation) if report.evaluation else None,
        shown_examples=SHOWN_EXAMPLES,
    )


def _cents(report: CampaignReport) -> int:
    """Digits after the point that all prices of a table share: none if every price is a whole number."""
    prices = [post.price for post in report.planned]
    return 0 if all(float(price).is_integer() for price in prices) else 2


def _figures(report: CampaignReport) -> dict[str, Any]:
    """The figures, as markup that must not be escaped a second time; None where there is nothing to draw."""
    drawn: dict[str, str | None] = dict.fromkeys(
        ("budget", "offers", "loss", "validation", "calibration", "calendar", "spend", "risk")
    )
    unit = report.value_unit
    if any(post.date for post in report.planned):
        drawn["calendar"] = campaign_plots.calendar(report.planned)
    if report.planned:
        drawn["spend"] = campaign_plots.spend(report.planned, currency=report.currency)
    if len(report.risk) > 1:
        drawn["risk"] = campaign_plots.risk(report.risk, unit=unit)
    if report.budget_curve is not None and len(report.budget_curve.budgets) > 1:
        drawn["budget"] = plots.budget_curve(
            report.budget_curve, budget=report.budget, currency=report.currency, unit=unit
        )
    if report.offers is not None and len(report.offers.price):
        drawn["offers"] = plots.offers_plot(
            report.offers, currency=report.currency, unit=unit, marginal_value=report.marginal_value
        )
    if report.training:
        drawn["loss"], drawn["validation"] = plots.training_plot(report.training, metric=report.validation_metric)
    if report.calibration is not None:
        drawn["calibration"] = plots.calibration_plot(report.calibration)
    # matplotlib and ElementTree have escaped every text in these figures.
    return {name: None if svg is None else Markup(svg) for name, svg in drawn.items()}  # noqa: S704


def _metric_table(evaluation: Evaluation) -> dict[str, Any]:
    """Columns, and rows of (method, ours, [(text, whether it is the best)])."""
    columns = list(dict.fromkeys(name for method in evaluation.methods for name in method.metrics))
    best = {}
    for name in columns:
        means = [m.metrics[name][0] for m in evaluation.methods if name in m.metrics]
        held = [mean for mean in means if not math.isnan(mean)]
        if len(held) > 1:
            best[name] = min(held) if name in evaluation.lower_is_better else max(held)
    rows = []
    for method in evaluation.methods:
        cells = []
        for name in columns:
            mean, deviation = method.metrics.get(name, (float("nan"), None))
            digits = 1 if name in evaluation.lower_is_better else 3
            text = words.number(mean, digits)
            if deviation is not None and not math.isnan(mean):
                text += f" ± {words.number(deviation, digits)}"
            cells.append((text, name in best and mean == best[name]))
        rows.append((method.method, method.ours, cells))
    return {"columns": columns, "rows": rows}
