"""The figures of a representation's report (`drawing.py` says how they are drawn)."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from micromega.models.vsvae.result import ACTIVE, LatentUse, Reconstruction
from micromega.report.drawing import ACCENT, INK, MUTED, WARM, WIDE, svg, ticks
from micromega.report.representation_words import part_name
from micromega.report.words import percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.patches import Patch  # isort: skip
from matplotlib.ticker import MaxNLocator  # isort: skip

_BAR, _GAP = 0.3, 0.36  # height of a bar, and of the space that it takes, in rows
_ROW, _EDGES = 0.62, 1.25  # inches: height of a row, and of what stands above and below all rows


def restored_plot(rows: Sequence[Reconstruction], *, model: str) -> str:
    """Bars by part: the model, PCA and no information; texts by accuracy, numbers by R² (no information is 0 there).

    Args:
        rows: by part.
        model: its name.

    Returns:
        SVG text.
    """
    texts = [row for row in rows if row.measure == "accuracy"]
    numbers = [row for row in rows if math.isfinite(row.r_squared)]
    by_pca = any(row.pca is not None for row in rows)
    panels = [
        (title, held, values)
        for title, held, values in (
            ("R² of numbers", numbers, [(row.r_squared, row.r_squared_of_pca, math.nan) for row in numbers]),
            ("accuracy of words", texts, [(row.model, _or_nan(row.pca), row.no_information) for row in texts]),
        )
        if held
    ]

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained", wspace=0.06)
        for axes, (title, held, values) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _bars(axes, np.array(values), [part_name(row.part) for row in held])
            axes.set_title(title, color=MUTED)
        names = [(model, ACCENT), *([("PCA", WARM)] if by_pca else []), *([("no information", MUTED)] if texts else [])]
        figure.legend(
            handles=[Patch(color=colour, label=name) for name, colour in names], loc="outside upper left", ncols=3
        )

    size = (WIDE[0], _EDGES + _ROW * max(len(held) for _, held, _ in panels))
    described = f"{plural(len(rows), 'part')} of held-out posts; longer bars are better."
    return svg(draw, name="restored", size=size, title="How well each part is restored", described=described)


def _bars(axes: "Axes", values: "np.typing.NDArray[np.float64]", names: Sequence[str]) -> None:
    """One row per part, its finite values (rows, 3) under each other with the number at the end."""
    for row, value in enumerate(values):
        shown = [(one, colour) for one, colour in zip(value, (ACCENT, WARM, MUTED), strict=True) if math.isfinite(one)]
        for place, (one, colour) in enumerate(shown):
            y = row + (place - (len(shown) - 1) / 2) * _GAP * 2 / max(len(shown), 2)
            axes.barh(y, one, height=_BAR * 2 / max(len(shown), 2), color=colour)
            text = percent(one, 0 if abs(one) >= 0.1 else 1).replace("-", "−")
            axes.annotate(
                text, (max(one, 0), y), (5, 0), textcoords="offset points", va="center", color=MUTED, fontsize=9.5
            )
    low, high = min(0.0, float(np.nanmin(values))), max(0.0, float(np.nanmax(values)))
    axes.set_xlim(1.05 * low, low + 1.16 * (high - low) if high > low else 1)
    axes.set_ylim(len(values) - 0.45, -0.55)
    axes.set_yticks(range(len(values)), names)
    for label in axes.get_yticklabels():
        label.set_color(INK)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    ticks(axes, "x", lambda value: percent(value, 0).replace("-", "−"))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def divergence_plot(latent: LatentUse) -> str:
    """A bar per number of r, those that say most first; those that hardly vary over posts muted.

    Args:
        latent: use of r.

    Returns:
        SVG text.
    """
    order = np.argsort(-latent.divergence, kind="stable")
    place = np.arange(len(order)) + 1
    active = latent.is_active[order]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        width = 0.8 if len(order) < 100 else 1.0
        for which, colour, name in ((active, ACCENT, "active"), (~active, MUTED, "not active")):
            if which.any():
                axes.bar(place[which], latent.divergence[order][which], width=width, color=colour, label=name)
        axes.set_xlim(0.4, len(order) + 0.6)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("numbers of r, by what they say")
        axes.set_title("divergence from the prior, nats per post", color=MUTED)
        figure.legend(loc="outside upper right", ncols=2)

    described = f"{latent.active} of {len(order)} vary over posts by more than {ACTIVE}."
    return svg(draw, name="divergence", size=WIDE, title="Divergence by number of r", described=described)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
