"""The figures of the campaign report, as inline SVG that follow the page (`drawing.py` says how)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from micromega.report.content import Calibration, Offers, TrainingRun
from micromega.report.drawing import ACCENT, HALF, MUTED, PAPER, WARM, WIDE, svg, ticks
from micromega.report.words import money, number, percent, shorten

if TYPE_CHECKING:
    from micromega.solvers.campaign.frontier import BudgetCurve

from matplotlib.axes import Axes  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.figure import Figure  # isort: skip
from matplotlib.ticker import MaxNLocator  # isort: skip

LONGEST_LABEL = 48  # characters
MOST_POINTS = 1_500  # of offers that were not chosen: more make a heavy page and no better picture


def budget_curve(curve: "BudgetCurve", *, budget: float, currency: str, unit: str) -> str:
    """Value of the best plan against the budget, with the budget in use marked.

    Args:
        curve: budgets and the best plan's value at each; budgets without a plan (NaN) are left out.
        budget: the budget in use.
        currency: code or sign.
        unit: of the values, in words.

    Returns:
        SVG text.
    """
    currency, unit = _label(currency), _label(unit)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        held = np.isfinite(curve.objective)
        axes.plot(curve.budgets[held], curve.objective[held], color=ACCENT, marker="o", markersize=4)
        axes.axvline(budget, color=WARM, linewidth=1.2, linestyle=(0, (4, 3)))
        left = budget > (curve.budgets.min() + curve.budgets.max()) / 2
        axes.annotate(
            f"your budget: {money(budget, currency)}",
            (budget, 0.04),
            xycoords=("data", "axes fraction"),
            xytext=(-6 if left else 6, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            color=WARM,
        )
        axes.set_xlabel(f"budget ({currency})" if currency else "budget")
        axes.set_title(f"{unit} of the best plan", color=MUTED)
        axes.set_ylim(bottom=min(0.0, float(np.nanmin(curve.objective))) if held.any() else 0.0)
        _count_axis(axes, "x")
        _count_axis(axes, "y")

    described = f"From {money(float(curve.budgets.min()), currency)} to {money(float(curve.budgets.max()), currency)}."
    return svg(draw, name="budget-curve", size=WIDE, title="Value of the best plan by budget", described=described)


def offers_plot(offers: Offers, *, currency: str, unit: str, marginal_value: float | None = None) -> str:
    """Price against value of all offers, the chosen ones filled.

    Args:
        offers: prices, values and which were chosen.
        currency: code or sign.
        unit: of the values, in words.
        marginal_value: value that one unit of currency buys at the margin; drawn as a line.

    Returns:
        SVG text.
    """
    currency, unit = _label(currency), _label(unit)
    positive = bool(offers.price.size and offers.price.min() > 0 and offers.value.min() > 0)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rest = np.flatnonzero(~offers.chosen)
        rest = rest[:: max(1, -(-rest.size // MOST_POINTS))]
        axes.scatter(offers.price[rest], offers.value[rest], s=14, color=MUTED, alpha=0.35, linewidths=0)
        bought = offers.chosen
        axes.scatter(
            offers.price[bought], offers.value[bought], s=46, color=ACCENT, edgecolors=PAPER, linewidths=1.2, zorder=3
        )
        if positive:
            axes.set_xscale("log")
            axes.set_yscale("log")
        limits = axes.get_xlim(), axes.get_ylim()
        if marginal_value is not None and marginal_value > 0:
            price = np.linspace(*limits[0], 200) if not positive else np.geomspace(*limits[0], 200)
            axes.plot(price, marginal_value * price, color=WARM, linewidth=1.2, linestyle=(0, (4, 3)))
            axes.set_xlim(limits[0])
            axes.set_ylim(limits[1])
        axes.set_xlabel(f"price ({currency})" if currency else "price")
        axes.set_title(f"{unit} per post", color=MUTED)
        _count_axis(axes, "x")
        _count_axis(axes, "y")

    described = f"{offers.price.size:,} offers, of which {int(offers.chosen.sum()):,} are in the plan."
    return svg(draw, name="offers", size=WIDE, title="Price and expected value of every offer", described=described)


def training_plot(runs: Sequence[TrainingRun], *, metric: str) -> tuple[str, str | None]:
    """Training loss and validation metric by epoch; each run thin, their mean thick.

    Args:
        runs: one or more runs.
        metric: name of the validation metric.

    Returns:
        SVG text of the loss, and of the metric (None where no run has one).
    """
    loss = [(run.epoch, run.loss) for run in runs]
    validation = [(run.epoch, run.validation) for run in runs if run.validation is not None]

    def panel(name: str, title: str, lines: Sequence[tuple[Any, Any]]) -> str:
        def draw(figure: Figure) -> None:
            axes = figure.subplots()
            for epoch, values in lines:
                held = np.isfinite(values)
                alone = len(lines) == 1
                axes.plot(
                    epoch[held], values[held], color=ACCENT, alpha=1 if alone else 0.4, linewidth=2 if alone else 1
                )
            if len(lines) > 1:
                axes.plot(*_mean_line(lines), color=ACCENT)
            axes.set_title(title, color=MUTED)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))

        runs_word = "one run" if len(lines) == 1 else f"{len(lines)} runs and their mean"
        return svg(draw, name=name, size=HALF, title=f"{title} by epoch", described=f"{runs_word}.")

    first = panel("training-loss", "training loss", loss)
    return first, (panel("training-validation", f"validation {_label(metric)}", validation) if validation else None)


def calibration_plot(calibration: Calibration, *, name: str = "calibration") -> str:
    """Observed share against predicted probability, with 95 % intervals and the diagonal.

    Args:
        calibration: the curve and its error.
        name: prefix of ids, where a page has several.

    Returns:
        SVG text.
    """
    curve = calibration.curve

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        top = min(1.0, 1.15 * float(max(curve.predicted.max(), curve.observed.max(), 1e-3)))
        axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.vlines(curve.predicted, curve.lower, np.minimum(curve.upper, 1.0), color=ACCENT, linewidth=1.4, alpha=0.5)
        axes.plot(curve.predicted, curve.observed, color=ACCENT, marker="o", markersize=5, linewidth=1.2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_xlim(0, top)
        axes.set_ylim(0, min(1.02, max(top, float(curve.upper.max()) * 1.05)))
        axes.set_xlabel("predicted probability of fit")
        axes.set_title("share that did fit", color=MUTED)
        ticks(axes, "x", lambda value: percent(value, 0 if top > 0.2 else 1))
        ticks(axes, "y", lambda value: percent(value, 0 if top > 0.2 else 1))

    described = f"{len(curve.count)} groups of pairs; expected calibration error {number(calibration.error)}."
    return svg(draw, name=name, size=HALF, title="Predicted and observed fit", described=described)


def _label(text: str) -> str:
    """Text that leaves room for the figure."""
    return shorten(text, LONGEST_LABEL)


def _mean_line(lines: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Mean over runs at each epoch that any run has a value for."""
    epoch = np.concatenate([line_epoch for line_epoch, _ in lines])
    value = np.concatenate([line_value for _, line_value in lines])
    held = np.isfinite(value)
    distinct, code = np.unique(epoch[held], return_inverse=True)
    return distinct, np.bincount(code, weights=value[held]) / np.bincount(code)


def _count_axis(axes: Axes, which: str) -> None:
    ticks(axes, which, number)
