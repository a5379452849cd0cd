"""Groups of each class of curve, one of them in full: Table 5 and Figures 9 to 11 of Tian et al. (2022)."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from micromega.report.drawing import ACCENT, INK, MUTED, WARM, WIDE, svg
from micromega.report.response_plots import band, curve, impressions_axis, size_axis, slope_axis
from micromega.report.response_words import short_name
from micromega.report.words import plural, shorten

if TYPE_CHECKING:
    from micromega.models.deepiv.result import CausalEvaluation, Subject

from matplotlib.figure import Figure  # isort: skip  # drawing.py has said what to install if it is missing

MOST_NAMES = 8
_HEIGHT, _LONGEST = 2.9, 40


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """A class of curves.

    Attributes:
        shape: its name.
        names: groups of the class, those with most posts first, and how many more there are.
        more: how many are not named.
        example: one of them.
        caption: of its post with most impressions.
    """

    shape: str
    names: tuple[str, ...]
    more: int
    example: str
    caption: str | None


def of_campaigns(result: "CausalEvaluation") -> tuple["Subject", ...]:
    """Campaigns; the other groups where there is none."""
    groups = result.subjects[1:]
    return tuple(subject for subject in groups if subject.kind == "campaign") or groups


def class_rows(result: "CausalEvaluation") -> list[ClassRow]:
    """One row for each class of curve that was found (Table 5)."""
    by_class: dict[str, list[Subject]] = {}
    for subject in of_campaigns(result):
        by_class.setdefault(str(subject.elasticity.shape), []).append(subject)
    return [
        ClassRow(
            shape=shape,
            names=tuple(short_name(subject) for subject in found[:MOST_NAMES]),
            more=max(0, len(found) - MOST_NAMES),
            example=short_name(found[0]),
            caption=found[0].example,
        )
        for shape, found in sorted(by_class.items(), key=lambda of: -len(of[1]))
    ]


def examples(result: "CausalEvaluation") -> tuple["Subject", ...]:
    """The group with most posts of each class that was found."""
    first: dict[str, Subject] = {}
    for subject in of_campaigns(result):
        first.setdefault(str(subject.elasticity.shape), subject)
    return tuple(first.values())


def cases_plot(result: "CausalEvaluation") -> str:
    """FEI and expected impressions of one group of each class (Figures 9 to 11).

    Args:
        result: with one group at least.

    Returns:
        SVG text.
    """
    u, support, shown = result.log_followers, result.support, examples(result)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained", wspace=0.05, hspace=0.08)
        grid = figure.subplots(len(shown), 2, sharex=True, squeeze=False)
        for (left, right), subject in zip(grid, shown, strict=True):
            fei = subject.elasticity
            band(left, u, fei.lower, fei.upper, support)
            naive = [] if subject.correlational is None else [subject.correlational]
            for values in naive:
                curve(left, u, values, support, WARM, width=1.3)
            curve(left, u, fei.elasticity, support, ACCENT)
            slope_axis(left, u, support, [fei.elasticity, fei.lower, fei.upper, *naive])
            band(right, u, np.exp(subject.lower), np.exp(subject.upper), support)
            curve(right, u, subject.log_impressions, support, ACCENT, read=np.exp)
            impressions_axis(right)
            for axes in (left, right):
                size_axis(axes, u, support)
            left.set_title(shorten(short_name(subject), _LONGEST), color=INK, fontsize=11.5)
            left.set_title(f"{fei.shape}: elasticity", loc="right", color=MUTED, fontsize=9.5)
            right.set_title("expected impressions", loc="right", color=MUTED, fontsize=9.5)
        for axes in grid[-1]:
            axes.set_xlabel("followers")

    size = (WIDE[0], 0.4 + _HEIGHT * max(1, math.ceil(len(shown))))
    return svg(draw, name="cases", size=size, title="Elasticity and expected impressions of a group of each class",
               described=f"{plural(len(shown), 'group')}; dotted: limits of the six tiers.")  # fmt: skip
