"""The figures of the effectiveness report (`drawing.py` says how they are drawn)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from micromega.models.effectiveness.result import Calibration, EffectivenessEvaluation
from micromega.report.drawing import ACCENT, HALF, INK, MUTED, WARM, WIDE, svg, ticks
from micromega.report.words import about, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.ticker import MaxNLocator  # isort: skip

_ROW, _EDGES = 0.34, 1.1  # inches: height of a row, and of what stands above and below all rows


def calibration_plot(calibration: Calibration, *, outcome: str) -> str:
    """Mean outcome against mean prediction by tenths of the test rows, with 95 % intervals and the diagonal.

    Args:
        calibration: the groups.
        outcome: what is predicted.

    Returns:
        SVG text.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        predicted, found, reach = calibration.predicted, calibration.found, 1.96 * calibration.error
        ends = np.array([min(predicted.min(), found.min()), max(predicted.max(), found.max())])
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.vlines(predicted, np.maximum(found - reach, 0), found + reach, color=ACCENT, linewidth=1.4, alpha=0.5)
        axes.plot(predicted, found, color=ACCENT, marker="o", markersize=5, linewidth=1.2, label="came")
        if calibration.expected is not None:
            axes.plot(predicted, calibration.expected, color=WARM, linewidth=1.2, label="was to be expected")
            axes.legend(loc="upper left")
        axes.set_xlabel(f"predicted mean {outcome}")
        axes.set_title(f"mean {outcome} of the group", color=MUTED)
        for which in ("x", "y"):
            ticks(axes, which, about)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))

    described = f"{len(calibration.predicted)} groups of campaigns by prediction; points on the diagonal are right."
    return svg(draw, name="calibration", size=HALF, title="Predicted and found", described=described)


def coverage_plot(result: EffectivenessEvaluation) -> str:
    """Coverage by tier with 95 % intervals, and the level wanted.

    Args:
        result: of the evaluation.

    Returns:
        SVG text.
    """
    rows = result.coverage

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        share = np.array([row.coverage for row in rows])
        reach = 1.96 * np.sqrt(share * (1 - share) / np.array([row.rows for row in rows]))
        place = np.arange(len(rows))
        axes.axvline(result.level, color=WARM, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.hlines(place, share - reach, np.minimum(share + reach, 1), color=ACCENT, linewidth=1.6, alpha=0.5)
        axes.plot(share, place, linestyle="none", marker="o", markersize=6, color=ACCENT)
        _names(axes, [f"{row.tier} ({row.rows:,})" for row in rows])
        low = float(min((share - reach).min(), result.level))
        axes.set_xlim(max(0.0, low - 0.03), 1.005)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        ticks(axes, "x", lambda value: percent(value, 0))
        axes.set_title("outcomes inside their interval", color=MUTED)

    described = f"Wanted: {percent(result.level, 0)}. Lines: 95 % intervals of the shares found."
    return svg(draw, name="coverage", size=HALF, title="Coverage by size of creator", described=described)


def bars_plot(values: Mapping[str, float], *, name: str, title: str, described: str) -> str:
    """A horizontal bar for each name, largest first as given.

    Args:
        values: name -> mean absolute contribution, log units.
        name: prefix of ids.
        title: of the figure, for screen readers.
        described: more of it.

    Returns:
        SVG text.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        held = np.array(list(values.values()))
        axes.barh(np.arange(len(held)), held, height=0.6, color=ACCENT)
        for place, value in enumerate(held):
            axes.annotate(
                about(float(value)), (value, place), (5, 0), textcoords="offset points", va="center", color=MUTED,
                fontsize=9.5,
            )  # fmt: skip
        _names(axes, [text.replace("_", " ") for text in values])
        axes.set_xlim(0, 1.12 * max(float(held.max(initial=0)), 1e-9))
        axes.set_title("mean absolute contribution, log units", color=MUTED)

    size = (WIDE[0], _EDGES + _ROW * len(values))
    return svg(draw, name=name, size=size, title=title, described=f"{described} {plural(len(values), 'bar')}.")


def _names(axes: "Axes", names: list[str]) -> None:
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        label.set_color(INK)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
