"""Figures as inline SVG that follow the page: its fonts, and its colours in light, dark and print.

Drawn with matplotlib's object interface. The same numbers give the same bytes; ids are unique to each figure; a title
and a description are there for screen readers.
"""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

from micromega.errors import MissingExtraError
from micromega.report.content import Calibration, Offers, TrainingRun
from micromega.report.words import money, number, percent, shorten

if TYPE_CHECKING:
    from micromega.solvers.campaign.frontier import BudgetCurve

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
except ImportError as error:
    raise MissingExtraError('The report needs matplotlib. Run: pip install "micromega[report]"') from error

# Stand-ins that the page's CSS variables replace.
INK, MUTED, GRID, ACCENT, WARM, PAPER = (f"#00000{i}" for i in range(1, 7))
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "rule", ACCENT: "accent", WARM: "warm", PAPER: "paper"}

WIDE, HALF = (11.2, 4.0), (5.5, 3.8)  # inches; text comes out at about 14 CSS pixels on a full-width page
LONGEST_LABEL = 48  # characters
MOST_POINTS = 1_500  # of offers that were not chosen: more make a heavy page and no better picture

_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a currency may be "$"
    "font.size": 11.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 12.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.linewidth": 2,
}


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
    return _svg(draw, name="budget-curve", size=WIDE, title="Value of the best plan by budget", described=described)


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
    return _svg(draw, name="offers", size=WIDE, title="Price and expected value of every offer", described=described)


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
        return _svg(draw, name=name, size=HALF, title=f"{title} by epoch", described=f"{runs_word}.")

    first = panel("training-loss", "training loss", loss)
    return first, (panel("training-validation", f"validation {_label(metric)}", validation) if validation else None)


def calibration_plot(calibration: Calibration) -> str:
    """Observed share against predicted probability, with 95 % intervals and the diagonal.

    Args:
        calibration: the curve and its error.

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
        _ticks(axes, "x", lambda value: percent(value, 0 if top > 0.2 else 1))
        _ticks(axes, "y", lambda value: percent(value, 0 if top > 0.2 else 1))

    described = f"{len(curve.count)} groups of pairs; expected calibration error {number(calibration.error)}."
    return _svg(draw, name="calibration", size=HALF, title="Predicted and observed fit", described=described)


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


def _ticks(axes: Axes, which: str, words: Callable[[float], str]) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.set_minor_formatter(NullFormatter())


def _count_axis(axes: Axes, which: str) -> None:
    _ticks(axes, which, number)


def _svg(draw: Callable[[Figure], None], *, name: str, size: tuple[float, float], title: str, described: str) -> str:
    """Draw and make the result fit for a page."""
    with mpl.rc_context(), warnings.catch_warnings():
        # The reader's fonts draw the text; matplotlib only measures it, and need not know every script.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        mpl.rcdefaults()  # the bytes depend on nobody's matplotlibrc
        mpl.rcParams.update(_STYLE | {"svg.hashsalt": name})
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        text = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(text, metadata=metadata)  # type: ignore[no-untyped-call]
    return _for_page(text.getvalue(), name=name, title=title, described=described)


def _for_page(svg: str, *, name: str, title: str, described: str) -> str:
    """Strip what a page does not need, make ids unique, exchange colours for CSS variables."""
    root = ET.fromstring(svg)  # noqa: S314 (nothing but what matplotlib has just drawn)
    for parent in root.iter():
        parent.tag = parent.tag.split("}")[-1]
        for child in list(parent):
            if child.tag.split("}")[-1] in {"metadata", "style"}:
                parent.remove(child)
        parent.attrib = {key.split("}")[-1]: _attribute(key, value, name) for key, value in parent.attrib.items()}
    box = root.attrib["viewBox"]
    root.attrib = {
        "viewBox": box,
        "class": "plot",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
    }
    for position, (tag, words) in enumerate((("title", title), ("desc", described))):
        element = ET.Element(tag, {"id": f"{name}-{tag}"})
        element.text = words
        root.insert(position, element)
    return ET.tostring(root, encoding="unicode")


def _attribute(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{name}-", 1)
    value = value.replace("url(#", f"url(#{name}-")
    if key == "style":
        value = re.sub(r"font(-family)?:[^;]*;?\s*", _size_only, value)
    return re.sub(r"#00000[1-6]", lambda match: f"var(--{_VARIABLES[match[0]]})", value)


def _size_only(match: "re.Match[str]") -> str:
    """Keep the size of a font and leave its family to the page."""
    size = re.search(r"[\d.]+px", match[0])
    return f"font-size: {size[0]}; " if size else ""
