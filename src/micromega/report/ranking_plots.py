"""The figures of a ranker's report (`drawing.py` says how they are drawn)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from micromega.models.evaluation import SelfSimilarity
from micromega.report.drawing import ACCENT, INK, MUTED, WARM, WIDE, svg
from micromega.report.ranking_words import metric_name
from micromega.report.words import plural, shorten

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.ticker import MaxNLocator  # isort: skip

_ROW, _EDGES = 0.42, 1.0  # inches: height of a row, and of what stands above and below all rows
LONGEST_METHOD, LONGEST_CATEGORY = 26, 30


def forest_plot(
    metrics: Mapping[str, Mapping[str, float]],
    intervals: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    shown: Sequence[str],
    baselines: Sequence[str],
) -> str:
    """One panel per metric, one row per method: its value and the interval.

    Args:
        metrics: method -> metric -> value; the model itself comes first.
        intervals: method -> metric -> interval; may lack any.
        shown: metrics of the panels.
        baselines: methods that are drawn muted.

    Returns:
        SVG text.
    """
    methods = list(metrics)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained", wspace=0.05)
        for panel, (axes, name) in enumerate(
            zip(figure.subplots(1, len(shown), sharey=True, squeeze=False)[0], shown, strict=True)
        ):
            for row, method in enumerate(methods):
                value = metrics[method].get(name, math.nan)
                if not math.isfinite(value):
                    continue
                colour = ACCENT if row == 0 else MUTED if method in baselines else WARM
                low, high = intervals.get(method, {}).get(name, (value, value))
                axes.hlines(row, low, high, color=colour, linewidth=2.2 if row == 0 else 1.6)
                axes.plot([value], [row], color=colour, marker="o", markersize=8 if row == 0 else 6)
            mine = metrics[methods[0]].get(name, math.nan)
            if math.isfinite(mine):
                axes.axvline(mine, color=ACCENT, linewidth=1, linestyle=(0, (2, 3)), alpha=0.7, zorder=0)
            axes.set_ylim(len(methods) - 0.5, -0.5)
            axes.set_yticks(range(len(methods)), [shorten(method, LONGEST_METHOD) for method in methods])
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, prune="both"))
            axes.grid(visible=False, axis="y")
            axes.spines["left"].set_visible(False)
            axes.set_title(metric_name(name), color=MUTED)
            if panel == 0:
                for label in axes.get_yticklabels():
                    label.set_color(INK)

    height = _EDGES + _ROW * len(methods)
    panels = ", ".join(map(metric_name, shown))
    described = f"{panels} of {plural(len(methods), 'method')}, with 95 % intervals over brands."
    return svg(draw, name="forest", size=(WIDE[0], height), title="Metrics by method", described=described)


def self_similarity_plot(alike: SelfSimilarity) -> str:
    """Two bars a category, average and weighted pooling, the most alike category first.

    Args:
        alike: mean cosines.

    Returns:
        SVG text.
    """
    order = np.argsort(-alike.average, kind="stable")
    place = np.arange(len(order))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.barh(place - 0.19, alike.average[order], height=0.34, color=ACCENT, label="average pooling (S1-AP)")
        axes.barh(place + 0.19, alike.weighted[order], height=0.34, color=WARM, label="weighted pooling (S2-WAP)")
        for value, colour in zip(alike.between, (ACCENT, WARM), strict=True):
            if math.isfinite(value):
                axes.axvline(value, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_yticks(place, [shorten(str(name), LONGEST_CATEGORY) for name in alike.categories[order]])
        for label in axes.get_yticklabels():
            label.set_color(INK)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("mean cosine between two brands of the category")
        figure.legend(loc="outside upper left", ncols=2)

    size = (WIDE[0], _EDGES + 0.5 + 0.5 * len(order))
    described = f"{plural(len(order), 'category', 'categories')}; dashed lines: brands of different categories."
    return svg(draw, name="self-similarity", size=size, title="Self-similarity of categories", described=described)
