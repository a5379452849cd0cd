"""The figure of a sizing report (`drawing.py` says how it is drawn)."""

import math
from typing import TYPE_CHECKING

import numpy as np

from micromega.report.drawing import ACCENT, INK, MUTED, PAPER, WARM, WIDE, svg, ticks
from micromega.report.response_plots import band, curve, impressions_axis, size_axis
from micromega.report.response_words import compact, within
from micromega.report.words import about, plural, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from micromega.solvers.sizing.answer import SizingPlan

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.ticker import MaxNLocator  # isort: skip

_LONGEST_CURRENCY = 12
_DEEP = 0.6
"""How far below zero the profit is drawn, as a share of the highest: the losses of giants would flatten the rest."""


def sizing_plot(plan: "SizingPlan") -> str:
    """Expected impressions above, profit below, on one axis of followers.

    Marked: the band, what was observed, the tiers, the best observed size with its interval, all first-order roots,
    the curve's own optimum where it was not observed, and the choices to compare with.

    Args:
        plan: the answer.

    Returns:
        SVG text.
    """
    problem = plan.problem
    u, support, shift = problem.log_followers, problem.support, problem.shift
    currency = shorten(problem.currency, _LONGEST_CURRENCY)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained", hspace=0.05)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.25))
        size_axis(above, u, support, tiers=True)
        size_axis(below, u, support)
        if problem.lower is not None and problem.upper is not None:
            band(above, u, np.exp(problem.lower + shift), np.exp(problem.upper + shift), support)
        curve(above, u, problem.log_impressions + shift, support, ACCENT, read=np.exp)
        impressions_axis(above)
        above.set_title("expected impressions", color=MUTED, pad=24)
        if plan.profit_lower is not None and plan.profit_upper is not None:
            band(below, u, plan.profit_lower, plan.profit_upper, support)
        curve(below, u, plan.profit, support, ACCENT)
        below.axhline(0, color=INK, linewidth=0.9, zorder=0.7)
        low, high = _profit_range(plan)
        below.set_ylim(low, high)
        below.yaxis.set_major_locator(MaxNLocator(nbins=6))
        ticks(below, "y", compact)
        below.set_title(f"profit ({currency})" if currency else "profit", color=MUTED)
        below.set_xlabel("followers")
        _mark_sizes(above, below, plan)
        if below.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper left", ncols=4)

    best = plan.supported.followers
    described = f"The best observed size is {about(best)} followers; {plural(len(plan.roots), 'first-order root')}."
    title = "Expected impressions and profit by followers"
    return svg(draw, name="sizing", size=(WIDE[0], 7.8), title=title, described=described)


def is_cut(plan: "SizingPlan") -> bool:
    """Whether some of the profit curve lies outside the figure."""
    low, high = _profit_range(plan)
    return bool(np.min(plan.profit) < low or np.max(plan.profit) > high)


def _profit_range(plan: "SizingPlan") -> tuple[float, float]:
    """Range of the profit axis: the tops in full, losses as far as they can be told apart."""
    inside = within(plan.problem.log_followers, plan.profit, plan.problem.support)[1]
    top = max(plan.supported.profit, 0.0, float(inside.max()))
    if plan.profit_upper is not None:
        hull = within(plan.problem.log_followers, plan.profit_upper, plan.problem.support)[1]
        top = min(float(max(top, hull.max())), 2.5 * top if top > 0 else top)
    bottom = min(0.0, float(plan.profit.min()))
    if top > 0:
        bottom = max(bottom, -_DEEP * top)
    else:
        bottom = max(bottom, 6 * plan.supported.profit) if plan.supported.profit < 0 else bottom
    room = 0.08 * (top - bottom) or 1.0
    return bottom - (room if bottom < 0 else 0), top + room


def _mark_sizes(above: "Axes", below: "Axes", plan: "SizingPlan") -> None:
    """The dots, the interval of the best size, and a line through both panels."""
    best = plan.supported
    for axes in (above, below):
        axes.axvline(best.followers, color=ACCENT, linewidth=1, alpha=0.7, zorder=1.5)
        if plan.interval is not None:
            axes.axvspan(*plan.interval.followers, color=ACCENT, alpha=0.09, linewidth=0, zorder=0.2)
    for kind, marker, colour in (("maximum", "o", ACCENT), ("minimum", "v", WARM)):
        roots = [root.size for root in plan.roots if root.kind == kind]
        if roots:
            below.plot(
                [size.followers for size in roots], [size.profit for size in roots], linestyle="none", marker=marker,
                markersize=7, markerfacecolor=PAPER, markeredgecolor=colour, markeredgewidth=1.6, zorder=4,
                label=f"local {kind}",
            )  # fmt: skip
    for axes, y in ((above, best.impressions), (below, best.profit)):
        axes.plot([best.followers], [y], marker="o", markersize=9, color=ACCENT, markeredgecolor=PAPER, zorder=6)
    _label(above, best.followers, best.impressions, f"{compact(best.impressions)} impressions", rising=True)
    _label(below, best.followers, best.profit, f"{compact(best.followers)} followers: {compact(best.profit)}")
    bottom, top = below.get_ylim()
    if plan.inside_support is False:
        beyond = plan.optimum  # a guess that the axis need not reach
        for axes, y in ((above, beyond.impressions), (below, min(beyond.profit, top))):
            axes.plot(
                [beyond.followers], [y], linestyle="none", marker="X", markersize=9, color=WARM, zorder=5,
                clip_on=False, label="highest of the curve, not observed" if axes is below else None,
            )  # fmt: skip
    choices = [one.choice for one in plan.comparisons]
    if choices:
        for axes, values in (
            (above, [c.impressions for c in choices]),
            (below, [min(max(c.profit, bottom), top) for c in choices]),
        ):
            axes.plot(
                [choice.followers for choice in choices], values, linestyle="none", marker="D", markersize=7,
                color=INK, markeredgecolor=PAPER, zorder=5, clip_on=False,
                label="to compare with" if axes is below else None,
            )  # fmt: skip


def _label(axes: "Axes", x: float, y: float, text: str, *, rising: bool = False) -> None:
    """Text beside a dot, on the side with more room; off a rising curve: left of it and above, or right and below."""
    first, last = (math.log(end) for end in axes.get_xlim())
    left = math.log(x) > (first + last) / 2
    down = rising and not left
    axes.annotate(
        text, (x, y), (-9 if left else 9, -8 if down else 7), textcoords="offset points",
        ha="right" if left else "left", va="top" if down else "bottom", color=ACCENT, zorder=7,
    )  # fmt: skip
