"""Figures of a cascade: awareness beside need, reach, time and the decision framework; the network is cascade_map's."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from micromega.report import words
from micromega.report.cascade_content import InfluenceReport, NeedsReport
from micromega.report.cascade_map import colour, dot, network_of_influence, network_of_needs
from micromega.report.drawing import ACCENT, GRID, INK, MUTED, PAPER, WARM, WIDE, svg
from micromega.solvers.cascade.certificate import Z95

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.ticker import MaxNLocator  # isort: skip

Floats = NDArray[np.float64]
TALL = (WIDE[0], 4.6)


def awareness(report: NeedsReport) -> str:
    """Each need: what is needed, what the closed form says, what the process does."""
    evidence, many = report.evidence, len(report.names)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        place = np.arange(many)[::-1]
        axes.barh(place, report.needs, height=0.62, color=GRID, label="needed")
        axes.plot(
            evidence.closed_form, place + 0.14, "D", color=ACCENT, markersize=7, label="closed form (eq. 8)", zorder=3
        )
        axes.errorbar(
            evidence.process,
            place - 0.14,
            xerr=Z95 * evidence.process_error,
            fmt="o",
            color=WARM,
            markersize=7,
            capsize=4,
            label="simulated process, 95 %",
            zorder=3,
        )
        axes.set_yticks(place, [words.shorten(name, 30) for name in report.names])
        axes.set_xlabel("accounts that donate it")
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=3)

    described = " ".join(
        f"{name}: {need:g} needed, {closed:.1f} by the closed form, {mean:.1f} in the process."
        for name, need, closed, mean in zip(
            report.names, report.needs.tolist(), evidence.closed_form, evidence.process, strict=True
        )
    )
    size = (WIDE[0], 1.7 + 0.55 * many)
    return svg(draw, name="awareness", size=size, title="Awareness and need", described=described)


def influence(report: NeedsReport) -> str:
    """Figure 2: the chance of every account to be activated by each creator alone, most likely accounts first."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rows = -np.sort(-report.influence, axis=1)
        reached = max(int((rows > 0.005).sum(axis=1).max()), 2)
        for j, row in enumerate(rows):
            axes.plot(np.arange(1, reached + 1), row[:reached], color=colour(j), drawstyle="steps-mid")
        axes.set_xlim(0.5, reached + 0.5)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("accounts, the most likely first")
        axes.set_ylabel("chance to be activated")
        _need_legend(figure, report.names)

    described = " ".join(
        f"{name}: {row.sum():.1f} accounts in expectation."
        for name, row in zip(report.names, report.influence, strict=True)
    )
    return svg(draw, name="influence", size=TALL, title="Influence of each creator alone", described=described)


def diffusion(report: NeedsReport) -> str:
    """Figure 3: accounts that donate each need, by time: closed form and process."""
    panels = ((report.by_bound, "closed form within so many steps"), (report.evidence.by_step, "simulated process"))
    # both end where nothing changes any more
    shown = max(_settled(of) for of, _ in panels)

    def draw(figure: Figure) -> None:
        for axes, (of, title) in zip(np.atleast_1d(figure.subplots(1, 2)), panels, strict=True):
            upto = min(len(of), shown + 1)
            for j in range(len(report.names)):
                axes.plot(range(upto), of[:upto, j], color=colour(j), marker="o", markersize=4)
                axes.axhline(report.needs[j], color=colour(j), linewidth=1, linestyle=(0, (1, 3)))
            axes.set_title(title, color=MUTED)
            axes.set_xlabel("steps")
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        figure.axes[0].set_ylabel("accounts that donate it")
        _need_legend(figure, report.names)

    described = " ".join(
        f"{name}: {of:.1f} accounts after {len(report.evidence.by_step) - 1} steps of the process."
        for name, of in zip(report.names, report.evidence.by_step[-1], strict=True)
    )
    return svg(draw, name="diffusion", size=TALL, title="Diffusion over time", described=described)


def framework(report: NeedsReport) -> str:
    """Figure 4: sets of creators by time bound and cost; the first choice of each bound is filled."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        span = max(one.cost for bound in report.bounds for one in bound.sets)
        for x, bound in enumerate(report.bounds):
            costs = [one.cost for one in bound.sets]
            for i, (one, beside) in enumerate(zip(bound.sets, _beside(costs, 0.085 * span), strict=True)):
                cost, first, at = one.cost, one.first, x + 0.13 * beside
                axes.plot(
                    [at],
                    [cost],
                    "o",
                    markersize=17,
                    color=ACCENT if first else PAPER,
                    markeredgecolor=ACCENT if first else MUTED,
                )
                axes.text(
                    at,
                    cost,
                    str(i + 1),
                    ha="center",
                    va="center_baseline",
                    fontsize=10.5,
                    color=PAPER if first else INK,
                )
        labels = [bound.words + ("\n(the plan)" if bound.own else "") for bound in report.bounds]
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.4, len(labels) - 0.2)
        axes.set_ylim(-0.09 * span, 1.12 * span or 1.0)
        axes.set_xlabel("time bound")
        axes.set_ylabel("cost (eq. 9), accounts")
        axes.grid(visible=False, axis="x")

    described = " ".join(
        f"{bound.words}: {', '.join(f'{one.cost:.2f}' for one in bound.sets)}." for bound in report.bounds
    )
    return svg(draw, name="framework", size=TALL, title="Decision framework", described=described)


def growth(report: InfluenceReport) -> str:
    """Accounts that are reached by the first seeds, and by all of them over time."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.plot(range(1, len(report.growth) + 1), report.growth, color=ACCENT, marker="o", markersize=4)
        left.set_title("by the first seeds", color=MUTED)
        left.set_xlabel("seeds")
        left.set_ylabel("accounts that are reached")
        steps = _settled(report.by_step[:, None]) + 1
        right.plot(range(steps), report.by_step[:steps], color=WARM, marker="o", markersize=4)
        right.set_title("by all seeds, over time", color=MUTED)
        right.set_xlabel("steps")
        for axes in (left, right):
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))

    described = f"All {len(report.growth)} seeds reach {report.growth[-1]:.1f} accounts."
    return svg(draw, name="growth", size=TALL, title="Reach by seeds and by time", described=described)


def _beside(costs: Sequence[float], room: float) -> list[int]:
    """Column of each circle, so that none covers another of the same column."""
    columns: list[int] = []
    for i, cost in enumerate(costs):
        taken = {column for column, other in zip(columns, costs[:i], strict=True) if abs(cost - other) < room}
        columns.append(next(column for column in range(i + 1) if column not in taken))
    return columns


def _need_legend(figure: Figure, names: Sequence[str]) -> None:
    marks = [dot(colour(j)) for j in range(len(names))]
    labels = [words.shorten(name, 24) for name in names]
    figure.legend(marks, labels, loc="outside upper left", ncols=min(len(names), 6), handletextpad=0.3)


def _settled(by_step: Floats) -> int:
    """Step from which less than a thousandth of the end is missing."""
    missing = (np.abs(by_step[-1] - by_step) > 1e-3 * np.maximum(by_step[-1], 1e-9)).any(axis=1)
    return int(np.flatnonzero(missing).max(initial=0)) + 1


NEEDS_FIGURES: dict[str, Callable[[NeedsReport], str]] = {
    "network": network_of_needs,
    "awareness": awareness,
    "influence": influence,
    "diffusion": diffusion,
    "framework": framework,
}
INFLUENCE_FIGURES: dict[str, Callable[[InfluenceReport], str]] = {"network": network_of_influence, "growth": growth}
