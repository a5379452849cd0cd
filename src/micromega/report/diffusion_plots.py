"""The figures of the diffusion report (`drawing.py` says how they are drawn)."""

from typing import TYPE_CHECKING

import numpy as np

from micromega.report.drawing import ACCENT, HALF, MUTED, WARM, svg, ticks
from micromega.report.words import number, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from micromega.models.diffusion.result import AgainstTruth, DiffusionEvaluation, Exported
    from micromega.scores import Reliability

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator  # isort: skip

_SQUARE = (HALF[0], 4.6)  # inches
_ROUND = np.outer(10.0 ** np.arange(-5, 1), [1, 2, 5]).ravel()


def reliability_plot(curve: "Reliability", *, error: float) -> str:
    """Observed share against predicted probability, with 95 % intervals and the diagonal.

    Args:
        curve: of the model on the test window.
        error: its calibration error.

    Returns:
        SVG text.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        top = 1.08 * float(max(curve.predicted.max(), curve.upper.max(), 1e-3))
        axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.vlines(curve.predicted, curve.lower, curve.upper, color=ACCENT, linewidth=1.4, alpha=0.5)
        axes.plot(curve.predicted, curve.observed, color=ACCENT, marker="o", markersize=5, linewidth=1.2)
        axes.set_xlim(0, 1.08 * float(max(curve.predicted.max(), 1e-3)))
        axes.set_ylim(0, top)
        axes.set_xlabel("predicted probability")
        axes.set_title("share that was activated", color=MUTED)
        for which, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
            axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
            ticks(axes, which, lambda value: percent(value, 0 if top > 0.05 else 1))

    described = f"{plural(len(curve.count), 'group')} of test outcomes; expected calibration error {number(error, 4)}."
    return svg(draw, name="reliability", size=HALF, title="Predicted and observed activation", described=described)


def histogram_plot(exported: "Exported") -> str:
    """How the exported probabilities are spread.

    Args:
        exported: the score table.

    Returns:
        SVG text.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.bar(exported.bounds[:-1], exported.edges, width=np.diff(exported.bounds) * 0.9, align="edge", color=ACCENT)
        axes.axvline(exported.mean, color=WARM, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            f"mean {percent(exported.mean)}", (exported.mean, 0.97), (6, 0), xycoords=("data", "axes fraction"),
            textcoords="offset points", va="top", color=WARM, fontsize=9.5,
        )  # fmt: skip
        axes.set_xlim(0, float(exported.bounds[-1]))
        axes.set_xlabel("probability")
        axes.set_title("follows", color=MUTED)
        axes.grid(visible=False, axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        ticks(axes, "x", lambda value: percent(value, 0 if exported.bounds[-1] > 0.05 else 1))
        ticks(axes, "y", number)

    described = f"{plural(exported.rows, 'follow')} in bars of equal width."
    return svg(draw, name="histogram", size=HALF, title="Spread of the probabilities", described=described)


def truth_plot(against: "AgainstTruth") -> str:
    """Edges by the model's probability and the known one, darker where there are more, with groups' means.

    Args:
        against: counts by cell.

    Returns:
        SVG text.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        bounds, counts = against.bounds, against.edges
        first, second = np.nonzero(counts)
        depth = np.sqrt(counts[first, second] / counts.max())
        axes.bar(
            bounds[first], bounds[second + 1] - bounds[second], width=bounds[first + 1] - bounds[first],
            bottom=bounds[second], align="edge", linewidth=0,
            color=[(ACCENT, float(value)) for value in np.round(0.08 + 0.72 * depth, 2)],
        )  # fmt: skip
        ends = bounds[[0, -1]]
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(against.predicted, against.known, color=WARM, marker="o", markersize=4, linewidth=1.2)
        _log_axes(axes, float(ends[0]), float(ends[1]))
        axes.set_xlabel("the model’s probability")
        axes.set_title("known probability", color=MUTED)

    described = f"{plural(int(against.edges.sum()), 'edge')} by probability; line: mean known probability of groups."
    return svg(draw, name="truth", size=_SQUARE, title="Against the truth", described=described)


def seen_plot(result: "DiffusionEvaluation", titles: tuple[str, ...]) -> str:
    """Error against known probabilities by number of exposures in training, one line a model.

    Args:
        result: of the evaluation, with known probabilities.
        titles: models that are drawn, at most three.

    Returns:
        SVG text.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rows = [group for group in result.seen if group.error]
        for title, colour, style in zip(titles, (ACCENT, WARM, MUTED), ("-", "--", ":"), strict=False):
            axes.plot(
                range(len(rows)), [group.error[title] for group in rows], color=colour, linestyle=style, marker="o",
                markersize=5, linewidth=1.5, label=title,
            )  # fmt: skip
        axes.set_xticks(range(len(rows)), [f"{group.name}\n({group.edges:,})" for group in rows])
        axes.set_xlim(-0.3, len(rows) - 0.7)
        axes.set_ylim(0)
        axes.set_xlabel("exposures in training (edges)")
        axes.set_title("RMSE against known probabilities", color=MUTED)
        axes.legend(loc="best")
        ticks(axes, "y", lambda value: number(value, 2))

    return svg(
        draw, name="seen", size=_SQUARE, title="Error by exposures", described="Edges by their exposures in training."
    )


def _log_axes(axes: "Axes", low: float, high: float) -> None:
    """Log scales with round numbers, in per cent."""
    for which, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        getattr(axes, f"set_{which}scale")("log")
        getattr(axes, f"set_{which}lim")(low, high)
        axis.set_major_locator(FixedLocator([v for v in _ROUND.tolist() if low <= v <= high]))
        axis.set_minor_locator(NullLocator())
        ticks(axes, which, lambda value: percent(value, 0 if value >= 0.01 else 1))
