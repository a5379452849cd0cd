"""The picture of a network with those who start the cascade, and the accounts that they reach."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from micromega.report import words
from micromega.report.cascade_content import InfluenceReport, NeedsReport
from micromega.report.cascade_layout import layout
from micromega.report.drawing import ACCENT, GRID, MUTED, PAPER, WARM, WIDE, svg
from micromega.solvers.cascade.from_market import SocialNetwork
from micromega.solvers.cascade.network import Network

from matplotlib.axes import Axes  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.figure import Figure  # isort: skip
from matplotlib.lines import Line2D  # isort: skip
from matplotlib.patches import PathPatch  # isort: skip
from matplotlib.path import Path  # isort: skip

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
NEEDS = ("#1f9e89", "#d9730d", "#3f7fd9", "#a25fd0", "#d6475b", "#8a8f1f", "#d15fa6", "#a9744f")
"""Colours of needs that show on white and on black; from the ninth need on they return."""
MOST_NODES, MOST_EDGES = 4_500, 6_000
"""In the picture of the network."""
CLASSES = ((0.05, 0.35), (0.25, 0.55), (0.5, 0.75), (0.75, 1.0))
"""From which chance on an account is drawn with which opacity."""
SIZE = (WIDE[0], 7.4)


def colour(j: int) -> str:
    """Of need j."""
    return NEEDS[j % len(NEEDS)]


def dot(of: str) -> Line2D:
    """A mark for a legend."""
    return Line2D([], [], marker="o", linestyle="none", color=of, markersize=8)


def network_of_needs(report: NeedsReport) -> str:
    """All accounts, each in the colour of the need that it most likely donates."""
    chance = report.donation.sum(axis=0)
    likely = report.donation.argmax(axis=0)
    labels = [
        f"{j + 1}  {words.shorten(name, 24)}: {words.shorten(report.social.name[v], 24)}"
        for j, (name, v) in enumerate(zip(report.names, report.creators.tolist(), strict=True))
    ]
    described = (
        f"{report.social.network.nodes:,} accounts; creators of {len(report.names)} needs and the accounts that they "
        f"reach; {int((chance >= 0.5).sum()):,} accounts are reached more likely than not. " + drawn_of_needs(report)
    )
    return _network(report.social, report.creators, chance, likely, labels, "Network and creators", described)


def network_of_influence(report: InfluenceReport) -> str:
    """All accounts, darker where the seeds reach them more likely."""
    seeds = report.found.seeds
    described = f"{report.social.network.nodes:,} accounts; {len(seeds)} seeds and the accounts that they reach. "
    described += drawn_of_influence(report)
    nobody = np.zeros(report.social.network.nodes, np.int64)
    return _network(report.social, seeds, report.reached, nobody, [], "Network and seeds", described)


def drawn_of_needs(report: NeedsReport) -> str:
    """What `network_of_needs` leaves out, a sentence; empty if nothing."""
    return _drawn(report.social.network, report.creators, report.donation.sum(axis=0))


def drawn_of_influence(report: InfluenceReport) -> str:
    """What `network_of_influence` leaves out, a sentence; empty if nothing."""
    return _drawn(report.social.network, report.found.seeds, report.reached)


def _drawn(network: Network, chosen: Integers, chance: Floats) -> str:
    shown, _, pairs = _picture(network, chosen, chance)
    parts = []
    if len(shown) < network.nodes:
        parts.append(f"{len(shown):,} of {network.nodes:,} accounts (those most likely reached)")
    if len(pairs) > MOST_EDGES:
        parts.append(f"{MOST_EDGES:,} of {len(pairs):,} links between them (at random)")
    return f"Drawn: {' and '.join(parts)}." if parts else ""


def _picture(network: Network, chosen: Integers, chance: Floats) -> tuple[Integers, Integers, Integers]:
    """Accounts in the picture (S,), number of each account in it or -1 (N,), and links by these numbers (L, 2)."""
    shown = _shown(network.nodes, chosen, chance, np.diff(network.start) + np.diff(network.reverse.start))
    number = np.full(network.nodes, -1)
    number[shown] = np.arange(len(shown))
    pairs = np.column_stack([number[network.source], number[network.target]])
    return shown, number, np.unique(np.sort(pairs[(pairs >= 0).all(axis=1)], axis=1), axis=0)


def _network(
    social: SocialNetwork,
    chosen: Integers,
    chance: Floats,
    likely: Integers,
    labels: Sequence[str],
    title: str,
    described: str,
) -> str:
    shown, number, pairs = _picture(social.network, chosen, chance)
    at = layout(len(shown), pairs)
    drawn = pairs
    if len(pairs) > MOST_EDGES:
        drawn = pairs[np.sort(np.random.default_rng(0).choice(len(pairs), MOST_EDGES, replace=False))]
    size = float(np.interp(len(shown), [50, 400, 4_000], [9.0, 5.0, 2.8]))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_axis_off()
        _draw_edges(axes, at, drawn)
        of, need = chance[shown], likely[shown]
        idle = of < CLASSES[0][0]
        axes.plot(*at[idle].T, "o", color=MUTED, alpha=0.35, markersize=0.6 * size, markeredgewidth=0)
        for i, (least, opacity) in enumerate(CLASSES):
            most = CLASSES[i + 1][0] if i + 1 < len(CLASSES) else np.inf
            for j in np.unique(need).tolist():
                inside = (of >= least) & (of < most) & (need == j)
                if inside.any():
                    axes.plot(
                        *at[inside].T,
                        "o",
                        color=colour(j) if labels else ACCENT,
                        alpha=opacity,
                        markersize=size,
                        markeredgewidth=0,
                    )
        for j, (x, y) in enumerate(_apart(at[number[chosen]], 0.033).tolist()):
            axes.plot([x], [y], "o", color=colour(j) if labels else WARM, markersize=15, markeredgecolor=PAPER)
            axes.text(x, y, str(j + 1), color="#ffffff", ha="center", va="center_baseline", fontsize=10.5)
        axes.margins(0.03)
        if labels:
            marks = [dot(colour(j)) for j in range(len(labels))]
            figure.legend(marks, labels, loc="outside lower left", ncols=3, handletextpad=0.3)

    return svg(draw, name="network", size=SIZE, title=title, described=described)


def _shown(nodes: int, chosen: Integers, chance: Floats, degree: Integers) -> Integers:
    """Accounts in the picture, rising: of too many the chosen, then those most likely reached, then the best linked."""
    if nodes <= MOST_NODES:
        return np.arange(nodes)
    rank = chance.round(2) + 0.004 * degree / max(1, int(degree.max()))
    rank[chosen] = np.inf
    return np.sort(np.argsort(-rank, kind="stable")[:MOST_NODES])


def _draw_edges(axes: Axes, at: Floats, pairs: Integers) -> None:
    """All edges as one path: a path each would make the page large."""
    if len(pairs):
        codes = np.tile(np.array([Path.MOVETO, Path.LINETO], np.uint8), len(pairs))
        path = Path(at[pairs.ravel()].round(4), codes)
        axes.add_patch(PathPatch(path, fill=False, edgecolor=GRID, linewidth=0.5 if len(pairs) > 1_000 else 1.2))


def _apart(at: Floats, least: float) -> Floats:
    """Move marks that would cover each other apart, (J, 2)."""
    at = at + 1e-6 * np.arange(len(at))[:, None]  # marks in one place part along their order
    for _ in range(50):
        gap = at[:, None] - at[None]
        far = np.hypot(gap[..., 0], gap[..., 1]) + 10 * np.eye(len(at))
        if far.min() >= least:
            break
        at = at + 0.2 * least * ((far < least)[..., None] * gap / far[..., None]).sum(axis=1)
    return at
