"""The best size by a direct effect of the instrument, as words and as a figure (`solvers/sizing/direct.py`)."""

import math
from typing import TYPE_CHECKING

import numpy as np

from micromega.report.drawing import ACCENT, MUTED, WIDE, svg, ticks
from micromega.report.response_words import compact, signed, slope
from micromega.report.words import about, amount
from micromega.tiers import TIERS, tier_of

if TYPE_CHECKING:
    from micromega.solvers.sizing.direct import DirectEffects
    from micromega.solvers.sizing.problem import SizingProblem

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.ticker import MaxNLocator  # isort: skip


def direct_words(direct: "DirectEffects", problem: "SizingProblem") -> str:
    """What the best size would be at the δ where the curve's mean slope is 0, or the last before, and at half of it."""
    flat = math.isclose(direct.deltas[-1], direct.zero)
    remark = ", where the average slope of this page’s curve would be 0" if flat else ""
    half, end = len(direct.deltas) // 2, len(direct.deltas) - 1
    first, second = (f"{_best(direct, at, problem)} with {_delta(direct, at)}" for at in (half, end))
    return (
        "If past success acted on impressions by itself, by δ in log impressions for one standard deviation, "
        f"{first}, and {second}{remark}. The plan takes δ to be 0."
    )


def _delta(direct: "DirectEffects", at: int) -> str:
    return f"δ = {signed(float(direct.deltas[at]))}".replace(" ", "\N{NO-BREAK SPACE}")


def _best(direct: "DirectEffects", at: int, problem: "SizingProblem") -> str:
    if direct.profit[at] <= 0:
        return "no size would pay"
    followers = float(direct.followers[at])
    earned = amount(float(direct.profit[at]), problem.currency)
    return f"the best size would be {about(followers)} followers ({TIERS[int(tier_of(followers))]}; profit {earned})"


def direct_plot(direct: "DirectEffects", currency: str) -> str:
    """Draw the best observed size and its profit by direct effect, SVG text; grey where no size pays."""
    pays = np.where(direct.profit > 0, 1.0, np.nan)

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True)
        titles = ("best size, followers", f"its profit ({currency})" if currency else "its profit")
        for axes, values, title in zip((above, below), (direct.followers, direct.profit), titles, strict=True):
            axes.plot(direct.deltas, values, color=MUTED, linewidth=1.3)
            axes.plot(direct.deltas, values * pays, color=ACCENT, linewidth=2)
            axes.plot([0], values[:1], "o", color=ACCENT, markersize=8, clip_on=False, zorder=4)
            axes.set_title(title, color=MUTED)
            axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        if direct.followers.max() > 10 * direct.followers.min():
            above.set_yscale("log")
        below.axhline(0, color=MUTED, linewidth=1)
        below.set_xlim(*sorted(direct.deltas[[0, -1]].tolist()))
        below.set_xlabel("direct effect δ: change of log impressions for one standard deviation of the instrument")
        for axes in (above, below):
            ticks(axes, "y", compact)
        ticks(below, "x", lambda value: slope(value, 2))

    title = "Best size and profit by direct effect of the instrument"
    return svg(draw, name="direct", size=(WIDE[0], 4.6), title=title, described="The plan itself is at 0.")
