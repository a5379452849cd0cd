"""Figures of a campaign's plan: who posts when, where the money goes, risk against return (`drawing.py` says how)."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from micromega.report.content import PlannedPost, RiskPoint
from micromega.report.drawing import ACCENT, INK, MUTED, PAPER, WARM, WIDE, svg
from micromega.report.words import money, number, shorten

from matplotlib.axes import Axes  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num  # isort: skip
from matplotlib.figure import Figure  # isort: skip

MOST_BARS, MOST_ROWS = 12, 40
LONGEST, LONGEST_CURRENCY = 28, 8  # characters
_SHADES = (1.0, 0.55, 0.3)


def calendar(planned: Sequence[PlannedPost]) -> str:
    """Draw posts by day and creator, the first post on top; of many creators the first 40.

    Args:
        planned: the plan; posts without a day are left out.

    Returns:
        SVG text.
    """
    dated = sorted((post for post in planned if post.date is not None), key=lambda post: (post.date, post.creator))
    creators = list(dict.fromkeys(post.creator for post in dated))[:MOST_ROWS]
    places = {creator: place for place, creator in enumerate(creators)}
    dated = [post for post in dated if post.creator in places]
    events = list(dict.fromkeys(post.event for post in dated))
    colours = dict(zip(events, _colours(len(events)), strict=True))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for event in events:
            mine = [post for post in dated if post.event == event]
            axes.scatter(
                [date2num(_day(post)) for post in mine],  # type: ignore[no-untyped-call]
                [places[post.creator] for post in mine],
                s=46,
                color=colours[event][0],
                alpha=colours[event][1],
                edgecolors=PAPER,
                linewidths=1,
                zorder=3,
                label=shorten(event, LONGEST).lstrip("_"),  # matplotlib hides labels that begin so
            )
        axes.set_yticks(range(len(creators)), [shorten(creator, LONGEST) for creator in creators], fontsize=10)
        axes.invert_yaxis()
        axes.margins(x=0.05)
        locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        if 1 < len(events) <= 2 * len(_SHADES):
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=10)

    height = 1.0 + 0.3 * len(creators)
    described = f"{len(dated)} posts of {len(creators)} creators for {len(events)} events."
    return svg(draw, name="calendar", size=(WIDE[0], max(1.8, height)), title="Posts by day", described=described)


def spend(planned: Sequence[PlannedPost], *, currency: str) -> str:
    """Draw what goes to each creator and to each event, the largest first.

    Args:
        planned: the plan.
        currency: code or sign.

    Returns:
        SVG text.
    """
    by = [_sums(planned, "creator"), _sums(planned, "event")]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for axes, sums, what in ((left, by[0], "creator"), (right, by[1], "event")):
            _bars(axes, sums, shorten(currency, LONGEST_CURRENCY), what)

    described = f"{len(by[0])} creators and {len(by[1])} events."
    height = 1.0 + 0.34 * max(len(by[0]), len(by[1]))
    return svg(draw, name="spend", size=(WIDE[0], max(1.8, height)), title="Spend", described=described)


def risk(points: Sequence[RiskPoint], *, unit: str) -> str:
    """Draw the expected total against its standard deviation.

    Args:
        points: by aversion to risk.
        unit: of both, in words.

    Returns:
        SVG text.
    """
    order = sorted(points, key=lambda point: point.rho)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        deviation, expected = ([getattr(point, name) for point in order] for name in ("deviation", "expected"))
        axes.plot(deviation, expected, color=ACCENT, linewidth=1.2, marker="o", markersize=5)
        for point in order:
            if point.used:
                axes.scatter([point.deviation], [point.expected], s=120, color=WARM, edgecolors=PAPER, zorder=4)
        for at, label in _labels(order):
            axes.annotate(label, at, xytext=(7, -10), textcoords="offset points", color=INK, fontsize=10)
        axes.margins(0.09)
        axes.set_xlabel("standard deviation of the total")
        axes.set_title(f"{shorten(unit, LONGEST)} of the plan", color=MUTED)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: number(value))

    described = f"From ρ = {order[0].rho:g} to ρ = {order[-1].rho:g}."
    return svg(draw, name="risk", size=WIDE, title="Risk against return", described=described)


def _labels(points: Sequence[RiskPoint]) -> list[tuple[tuple[float, float], str]]:
    """Where labels go, and what they say; points that can hardly be told apart share one."""
    places = np.array([(point.deviation, point.expected) for point in points])
    near = 0.03 * np.maximum(np.ptp(places, axis=0), 1e-12)
    found: list[tuple[NDArray[np.float64], list[str]]] = []
    for place, point in zip(places, points, strict=True):
        if found and np.all(np.abs(place - found[-1][0]) <= near):
            found[-1][1].append(f"{point.rho:g}")
        else:
            found.append((place, [f"{point.rho:g}"]))
    return [((float(at[0]), float(at[1])), f"ρ = {', '.join(rhos)}") for at, rhos in found]


def _sums(planned: Sequence[PlannedPost], what: str) -> list[tuple[str, float]]:
    total: dict[str, float] = {}
    for post in planned:
        key = str(getattr(post, what))
        total[key] = total.get(key, 0.0) + post.price
    found = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    if len(found) > MOST_BARS:
        rest = found[MOST_BARS - 1 :]
        found = [*found[: MOST_BARS - 1], (f"{len(rest)} others", sum(value for _, value in rest))]
    return found


def _bars(axes: Axes, sums: Sequence[tuple[str, float]], currency: str, what: str) -> None:
    places = np.arange(len(sums))
    values = [value for _, value in sums]
    axes.barh(places, values, color=ACCENT, height=0.62)
    axes.set_yticks(places, [shorten(name, LONGEST) for name, _ in sums], fontsize=10)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.set_xlim(0, 1.35 * max(values, default=1.0) or 1.0)
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            money(value, currency), (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=10
        )
    axes.set_title(f"by {what}", color=MUTED)
    axes.grid(visible=False)


def _colours(many: int) -> list[tuple[str, float]]:
    """Two colours in three strengths; beyond six events, all alike."""
    if many > 2 * len(_SHADES):
        return [(ACCENT, 1.0)] * many
    return [((ACCENT, WARM)[place % 2], _SHADES[place // 2]) for place in range(many)]


def _day(post: PlannedPost) -> dt.datetime:
    assert post.date is not None
    return dt.datetime.combine(post.date, dt.time())
