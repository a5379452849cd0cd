"""The figures of a response to followers, and the axis of followers that sizing shares (`drawing.py` says how)."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from micromega.report.drawing import ACCENT, INK, MUTED, WARM, WIDE, svg, ticks
from micromega.report.response_words import compact, errors_by_kind, short_name, slope, within
from micromega.report.words import plural, shorten
from micromega.tiers import TIER_EDGES, TIERS, tier_ranges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from micromega.models.deepiv.result import CausalEvaluation, Subject

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator  # isort: skip

Reals = NDArray[np.float64]
Support = tuple[float, float] | None

BAND, OUTSIDE = 0.18, 0.12
"""Opacity of a band, and of what was not observed."""
DASHED, DOTTED = (0, (5, 3)), (0, (1, 2.5))
_COLUMNS, _PANEL = 3, 2.15  # of small multiples: how many side by side, and their height in inches
_LONGEST_PANEL = 22


def size_axis(axes: "Axes", log_followers: Reals, support: Support, *, tiers: bool = False, lines: bool = True) -> None:
    """Make x an axis of followers: logarithmic, grey where nothing was observed, the six tiers marked.

    Args:
        axes: to be marked; what is drawn on it has followers as x.
        log_followers: of the curve, rising, (G,).
        support: first and last log followers that were observed; None: unknown.
        tiers: whether their names stand above the axes.
        lines: whether lines stand between tiers.
    """
    low, high = float(log_followers[0]), float(log_followers[-1])
    axes.set_xscale("log")
    axes.set_xlim(math.exp(low), math.exp(high))
    axes.xaxis.set_major_locator(FixedLocator(_marks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    ticks(axes, "x", compact)
    axes.grid(visible=False, axis="x")
    if support is not None:
        for start, end in ((low, min(support[0], high)), (max(support[1], low), high)):
            if start < end:
                axes.axvspan(math.exp(start), math.exp(end), color=MUTED, alpha=OUTSIDE, linewidth=0, zorder=0)
    for edge in TIER_EDGES if lines else ():
        if low < math.log(edge) < high:
            axes.axvline(edge, color=MUTED, linewidth=0.8, linestyle=DOTTED, alpha=0.8, zorder=0.5)
    if not tiers:
        return
    for name, (start, end) in zip(TIERS, tier_ranges(low, high), strict=True):
        if not math.isnan(start) and (end - start) / (high - low) > 0.055:  # else the name is wider than the tier
            axes.annotate(
                name, (math.exp((start + end) / 2), 1), (0, 4), xycoords=axes.get_xaxis_transform(),
                textcoords="offset points", ha="center", va="bottom", color=MUTED, fontsize=9.5,
            )  # fmt: skip


def _marks(low: float, high: float) -> list[float]:
    """Powers of ten in a range of logs, with 2 and 5 between them where there are few."""
    steps = (1, 2, 5) if high - low < 2.3 * math.log(10) else (1,)
    powers = range(math.floor(low / math.log(10)), math.ceil(high / math.log(10)) + 1)
    room = 1e-6
    marks = [step * 10.0**power for power in powers for step in steps]
    return [mark for mark in marks if low - room <= math.log(mark) <= high + room]


def band(axes: "Axes", u: Reals, lower: Reals, upper: Reals, support: Support) -> None:
    """Fill between two curves of log followers: in colour where sizes were observed, grey beyond."""
    if not np.isfinite(lower).any():
        return
    if support is not None:
        axes.fill_between(np.exp(u), lower, upper, color=MUTED, alpha=OUTSIDE, linewidth=0, zorder=0.8)
    (inner, low), (_, high) = within(u, lower, support), within(u, upper, support)
    axes.fill_between(np.exp(inner), low, high, color=ACCENT, alpha=BAND, linewidth=0, zorder=1)


def curve(
    axes: "Axes", u: Reals, values: Reals, support: Support, colour: str, *, label: str | None = None, width: float = 2,
    read: Callable[[Reals], Reals] | None = None,
) -> None:  # fmt: skip
    """Draw a curve of log followers: in colour where sizes were observed, grey beyond.

    Args:
        axes: to draw on.
        u: log followers, rising, (G,).
        values: (G,).
        support: see `size_axis`.
        colour: inside it.
        label: for the legend.
        width: of the line.
        read: applied to the values after the ends of the support are found; None: nothing.
    """
    read = read or (lambda found: found)
    if support is not None:
        axes.plot(np.exp(u), read(values), color=MUTED, linewidth=width * 0.65, zorder=2)
    inner, inside = within(u, values, support)
    axes.plot(np.exp(inner), read(inside), color=colour, linewidth=width, label=label, zorder=3)


def average_plot(result: "CausalEvaluation") -> str:
    """Average FEI with its interval beside the correlational curve; below it counterfactual impressions (Figure 6).

    Args:
        result: with one subject at least.

    Returns:
        SVG text.
    """
    every, u, support = result.subjects[0], result.log_followers, result.support
    model = shorten(next(iter(result.metrics), "Deep IV"), _LONGEST_PANEL)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained", hspace=0.05)
        above, below = figure.subplots(2, 1, sharex=True)
        size_axis(above, u, support, tiers=True)
        size_axis(below, u, support)
        fei = every.elasticity
        band(above, u, fei.lower, fei.upper, support)
        if np.isfinite(result.correlational).all():
            curve(
                above, u, result.correlational, support, WARM, label="correlational: followers as they come", width=1.6
            )
        curve(above, u, fei.elasticity, support, ACCENT, label=f"causal: {model}, with its band")
        slope_axis(above, u, support, [fei.elasticity, fei.lower, fei.upper, result.correlational])
        above.set_title("average elasticity: % more impressions for 1 % more followers", color=MUTED, pad=24)
        band(below, u, np.exp(every.lower), np.exp(every.upper), support)
        curve(below, u, every.log_impressions, support, ACCENT, read=np.exp)
        impressions_axis(below)
        below.set_title("expected impressions of the same posts, by size of the creator", color=MUTED)
        below.set_xlabel("followers")
        handles, names = above.get_legend_handles_labels()
        figure.legend(handles[::-1], names[::-1], loc="outside upper left", ncols=2)

    described = f"{plural(every.elasticity.posts, 'post')}; grey where hardly any were observed."
    title = "Average elasticity and expected impressions by followers"
    return svg(draw, name="average", size=(WIDE[0], 7.4), title=title, described=described)


def group_plot(result: "CausalEvaluation", subjects: Sequence["Subject"], *, name: str = "groups") -> str:
    """A panel per group: its average FEI with its interval and its correlational curve (Figures 7 and 8).

    Args:
        result: with one subject at least.
        subjects: groups to show, one at least.
        name: of the figure, unique in the page.

    Returns:
        SVG text.
    """
    every, u, support = result.subjects[0].elasticity, result.log_followers, result.support

    def draw(figure: Figure) -> None:
        drawn = [every.elasticity, *_drawn(subjects)]
        for axes, subject in zip(_panels(figure, len(subjects)), subjects, strict=True):
            fei = subject.elasticity
            band(axes, u, fei.lower, fei.upper, support)
            axes.plot(np.exp(u), every.elasticity, color=MUTED, linewidth=1.2, linestyle=DASHED)
            if subject.correlational is not None:
                curve(axes, u, subject.correlational, support, WARM, width=1.2)
            curve(axes, u, fei.elasticity, support, ACCENT)
            size_axis(axes, u, support, lines=False)
            _panel_title(axes, short_name(subject), str(fei.shape))
            slope_axis(axes, u, support, drawn)

    described = f"{plural(len(subjects), 'group')}; dashed: all posts."
    size = (WIDE[0], 0.3 + _PANEL * math.ceil(len(subjects) / _COLUMNS))
    return svg(draw, name=name, size=size, title="Average elasticity by group of posts", described=described)


def truth_plot(result: "CausalEvaluation") -> str:
    """A panel per kind of post: the true mean FEI and the estimate.

    Args:
        result: with a truth.

    Returns:
        SVG text.
    """
    u, support, kinds = result.log_followers, result.support, list(result.truth)
    errors = errors_by_kind(result)

    def draw(figure: Figure) -> None:
        drawn = [*result.truth.values(), *result.estimated.values()]
        for axes, kind in zip(_panels(figure, len(kinds)), kinds, strict=True):
            if kind in result.estimated:
                curve(axes, u, result.estimated[kind], support, ACCENT)
            axes.plot(np.exp(u), result.truth[kind], color=INK, linewidth=1.5, linestyle=DASHED, zorder=4)
            size_axis(axes, u, support, lines=False)
            own = next(iter(errors[kind].values()), math.nan)
            _panel_title(axes, kind, f"error {slope(own)}" if math.isfinite(own) else "")
            slope_axis(axes, u, support, drawn)

    described = f"{plural(len(kinds), 'kind')} of posts; dashed: the truth; line: the estimate."
    size = (WIDE[0], 0.3 + _PANEL * math.ceil(len(kinds) / _COLUMNS))
    return svg(draw, name="truth", size=size, title="True and estimated elasticity", described=described)


def _panels(figure: Figure, count: int) -> list["Axes"]:
    """Axes of small multiples that share their scales; numbers only at the left and under the last of each column."""
    columns = min(count, _COLUMNS) if count > 1 else 2  # one panel must not become a banner
    rows = math.ceil(count / columns)
    figure.set_layout_engine("constrained", wspace=0.04, hspace=0.06)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for place, axes in enumerate(panels):
        axes.tick_params(labelsize=9.5, labelbottom=count - columns <= place < count)
        axes.set_visible(place < count)
    return panels[:count]


def _panel_title(axes: "Axes", name: str, more: str) -> None:
    axes.set_title(shorten(name, _LONGEST_PANEL), color=INK, fontsize=11, pad=6)
    axes.set_title(more, loc="right", color=MUTED, fontsize=9.5, pad=6)


def _drawn(subjects: Iterable["Subject"]) -> list[Reals]:
    found = []
    for subject in subjects:
        found += [subject.elasticity.elasticity, subject.elasticity.lower, subject.elasticity.upper]
        found += [] if subject.correlational is None else [subject.correlational]
    return found


def slope_axis(axes: "Axes", u: Reals, support: Support, drawn: Sequence[Reals]) -> None:
    """Make y hold 0 and what is drawn inside the support; outside, a guess must not flatten the rest."""
    inside = np.concatenate([within(u, values, support)[1] for values in drawn])
    inside = inside[np.isfinite(inside)]
    low, high = min(0.0, float(inside.min())), max(0.0, float(inside.max()))
    room = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - (room if low < 0 else 0), high + room)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    ticks(axes, "y", lambda value: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
    if low < 0:
        axes.axhline(0, color=MUTED, linewidth=1, zorder=0.6)


def impressions_axis(axes: "Axes") -> None:
    """Make y a logarithmic axis of impressions."""
    axes.set_yscale("log")
    low, high = (math.log(end) for end in axes.get_ylim())
    axes.yaxis.set_major_locator(FixedLocator(_marks(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    ticks(axes, "y", compact)
    axes.set_ylim(math.exp(low), math.exp(high))
