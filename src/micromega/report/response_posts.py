"""What the posts are, in the report of a response: Tables 1 and 6, Figures 2 and 3 of Tian et al. (2022)."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from micromega.report.drawing import ACCENT, INK, MUTED, WIDE, svg
from micromega.report.response_plots import impressions_axis, size_axis
from micromega.report.words import number, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from micromega.models.deepiv.describe import Description, Histogram, Summary
    from micromega.models.deepiv.result import CausalEvaluation

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing

_FACTOR = math.exp(0.02)


def summary_rows(description: "Description") -> list[tuple[str, list[str]]]:
    """Name and cells (posts, mean, standard deviation, least, median, most) of Tables 1 and 6."""
    return [(row.name, _cells(row)) for row in (description.treatment, description.outcome, *description.statistics)]


def _cells(row: "Summary") -> list[str]:
    values = (row.mean, row.deviation, row.minimum, row.median, row.maximum)
    return [number(row.posts), *(_cell(value) for value in values)]


def _cell(value: float) -> str:
    """Three digits after the point, as in the paper's Table 6; none for large and for whole numbers."""
    rounded = round(value, 3)
    return number(value, 0 if abs(value) >= 1_000 or rounded == int(rounded) else 3)


def distribution_plot(result: "CausalEvaluation") -> str:
    """Histograms of followers and impressions on logarithmic axes (Figure 2).

    Args:
        result: with a description.

    Returns:
        SVG text.
    """
    found = result.description
    assert found is not None

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained", wspace=0.06)
        left, right = figure.subplots(1, 2)
        for axes, histogram, name in (
            (left, found.log_followers, "followers of the creator"),
            (right, found.log_impressions, "impressions"),
        ):
            _bars(axes, histogram)
            size_axis(axes, histogram.edges, None, lines=False)
            axes.set_title(f"posts by {name}", color=MUTED)

    return svg(draw, name="distribution", size=(WIDE[0], 3.2), title="Posts by followers and by impressions",
               described=f"Two histograms of {plural(found.treatment.posts, 'post')}, logarithmic.")  # fmt: skip


def _bars(axes: "Axes", histogram: "Histogram") -> None:
    edges = np.exp(histogram.edges)
    axes.stairs(histogram.counts, edges, fill=True, color=ACCENT, alpha=0.55)
    axes.set_ylim(0)


def scatter_plot(result: "CausalEvaluation") -> str:
    """Impressions and followers of some posts, with a smooth line: what goes together, not what causes (Figure 3).

    Args:
        result: with a description.

    Returns:
        SVG text.
    """
    found = result.description
    assert found is not None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        points = np.exp(found.points)
        axes.plot(points[:, 0], points[:, 1], ".", color=MUTED, alpha=0.5, markersize=4, markeredgewidth=0)
        axes.plot(np.exp(result.log_followers), np.exp(found.smooth), color=INK, linewidth=2)
        low, high = (float(end) for end in np.quantile(found.points[:, 1], [0.0, 1.0]))
        axes.set_ylim(math.exp(low) / _FACTOR, math.exp(high) * _FACTOR)
        impressions_axis(axes)
        size_axis(axes, _wide(result.log_followers), result.support, tiers=True)
        axes.set_xlabel("followers")
        axes.set_title("impressions of posts", color=MUTED, pad=24)

    return svg(draw, name="scatter", size=(WIDE[0], 4.4), title="Impressions and followers of posts",
               described=f"{plural(len(found.points), 'post')}; line: what is usual at each size.")  # fmt: skip


def _wide(log_followers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ends of an axis with a little room around what is drawn."""
    room = 0.01 * float(log_followers[-1] - log_followers[0])
    return np.array([log_followers[0] - room, log_followers[-1] + room])
