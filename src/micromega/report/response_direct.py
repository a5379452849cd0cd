"""How much hangs on the instrument's exclusion: the mean elasticity by a direct effect of the instrument."""

from typing import TYPE_CHECKING

from micromega.report.drawing import ACCENT, INK, MUTED, WARM, WIDE, svg, ticks
from micromega.report.response_words import slope

if TYPE_CHECKING:
    from micromega.models.deepiv.result import CausalEvaluation

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing

_FAINT = 0.12


def direct_plot(result: "CausalEvaluation") -> str:
    """Mean elasticity by direct effect; shaded where the average curve has another class.

    Args:
        result: whose diagnostics have a direct effect.

    Returns:
        SVG text.
    """
    found = result.diagnostics.direct
    assert found is not None
    first, last = float(found.deltas[0]), float(found.deltas[-1])

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        below, above = found.changes
        for start, end in ((first, below), (above, last)):
            if start is not None and end is not None:
                axes.axvspan(start, end, color=WARM, alpha=_FAINT, linewidth=0, zorder=0)
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.plot(found.deltas, found.mean, color=ACCENT, linewidth=2)
        axes.plot([0], [found.mean[len(found.mean) // 2]], "o", color=ACCENT, markersize=6)
        if found.zero is not None and first <= found.zero <= last:
            axes.plot([found.zero], [0], "o", color=INK, markersize=6)
        axes.set_xlim(first, last)
        axes.set_xlabel("direct effect δ: change of log impressions for one standard deviation of the instrument")
        axes.set_title("average elasticity that would be left", color=MUTED)
        for which in ("x", "y"):
            ticks(axes, which, lambda value: slope(value, 2))

    return svg(draw, name="direct", size=(WIDE[0], 3.4), title="Average elasticity by direct effect of the instrument",
               described="Falls as the direct effect grows; shaded where the curve has another class.")  # fmt: skip
