"""The five figures of Gomes & Dias for a market, one panel a measure (`drawing.py` says how)."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from micromega.report.drawing import ACCENT, MUTED, WIDE, svg
from micromega.report.matching_content import Side

from matplotlib.axes import Axes  # isort: skip  # drawing.py has said what to install if it is missing
from matplotlib.figure import Figure  # isort: skip
from matplotlib.ticker import MaxNLocator  # isort: skip

BINS = 20
MOST_POINTS = 4_000
MOST_CHOICES = 12
SIZE = (WIDE[0], 3.4)


def merchant_use(sides: Sequence[Side]) -> str:
    """Figures 1 and 6: how many merchants use which share of their quota."""
    return _shares(sides, "merchant-use", "Merchant utilisation", "merchants", lambda side: side.merchant_use)


def free_slots(sides: Sequence[Side]) -> str:
    """Figures 2 and 7: how many merchants have how many places left."""

    def panel(axes: Axes, side: Side) -> None:
        slots = side.free_slots
        most = max(int(slots.max(initial=0)), 4)
        edges = np.arange(most + 2) - 0.5 if most < BINS else np.linspace(0, most, BINS + 1)
        axes.hist(slots, bins=edges.tolist(), color=ACCENT, rwidth=0.9)
        axes.set_xlabel("places left")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))

    return _panels(sides, "free-slots", "Free slots", "merchants", panel)


def product_use(sides: Sequence[Side]) -> str:
    """Figures 3 and 8: how many products use which share of their advertisements."""
    return _shares(sides, "product-use", "Use of advertisements", "products", lambda side: side.product_use)


def choice_obtained(sides: Sequence[Side]) -> str:
    """Figures 4 and 9: how many creators got which of their choices."""

    def panel(axes: Axes, side: Side) -> None:
        longest = int(np.diff(side.game.start).max(initial=1))
        if longest > MOST_CHOICES:
            longest = int(side.choices.max(initial=2))
        first = np.arange(1, longest + 1)
        if longest > MOST_CHOICES:  # 1, 2, 3–4, 5–8, …
            first = np.concatenate([[1], 2 ** np.arange(int(np.ceil(np.log2(longest)))) + 1])
        last = np.append(first[1:] - 1, longest)
        bars = np.arange(len(first))
        axes.bar(bars, np.histogram(side.choices, [*first, longest + 1])[0], color=ACCENT, width=0.8)
        axes.bar([len(bars) + 0.4], [side.creators - side.matched], color=MUTED, width=0.8)
        labels = [str(low) if low == high else f"{low}–{high}" for low, high in zip(first, last, strict=True)]
        axes.set_xticks([*bars, len(bars) + 0.4], [*labels, "none"])
        axes.set_xlabel("choice")
        if longest > MOST_CHOICES:
            axes.tick_params(axis="x", rotation=45)  # "33–64" beside its neighbours, in three panels

    return _panels(sides, "choice", "Creators by the choice they got", "creators", panel)


def rank_and_choice(sides: Sequence[Side]) -> str:
    """Figures 5 and 10: the choice that creators got, by their place in the order of reputation."""

    def panel(axes: Axes, side: Side) -> None:
        shown = slice(None, None, max(1, -(-len(side.choices) // MOST_POINTS)))
        axes.scatter(side.standing[shown], side.choices[shown], s=18, color=ACCENT, alpha=0.5, linewidths=0)
        axes.set_xlabel("place by reputation" if side.game.by_reputation else "place on the merchant's list")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_ylim(0, 1.1 * side.choices.max(initial=1))

    by = "reputation" if sides[0].game.by_reputation else "place on the merchant's list"
    return _panels(sides, "rank-choice", f"Choice obtained by {by}", "choice", panel)


def _shares(
    sides: Sequence[Side], name: str, title: str, what: str, share: Callable[[Side], NDArray[np.float64]]
) -> str:
    def panel(axes: Axes, side: Side) -> None:
        axes.hist(share(side), bins=np.linspace(0, 1, BINS + 1).tolist(), color=ACCENT, rwidth=0.9)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("share of the quota that is used")

    return _panels(sides, name, title, what, panel)


def _panels(sides: Sequence[Side], name: str, title: str, what: str, panel: Callable[[Axes, Side], None]) -> str:
    def draw(figure: Figure) -> None:
        for axes, side in zip(np.atleast_1d(figure.subplots(1, len(sides))), sides, strict=True):
            panel(axes, side)
            axes.set_title(f"{what}, {side.words}", color=MUTED)
            axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))

    described = " ".join(
        f"{side.words[:1].upper()}{side.words[1:]}: {side.matched:,} creators have a product." for side in sides
    )
    return svg(draw, name=name, size=SIZE, title=title, described=described)
