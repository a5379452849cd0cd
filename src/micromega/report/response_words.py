"""Verdicts on a response to followers, and the rows of its tables, in words that a manager reads without help."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from micromega.report.words import about, number, percent, plural
from micromega.tiers import TIERS

if TYPE_CHECKING:
    from micromega.models.deepiv.result import CausalEvaluation, Subject

Reals = NDArray[np.float64]

RESPONSE_LIMITS = (
    "Bands show sampling variability: how far the curves would move with other creators and, where the model has "
    "several members, with other fits. They are not total error: networks smooth, and no known band for them covers "
    "the truth as often as its level says.",
    "That the instrument acts on impressions through followers alone cannot be tested, here or anywhere. Argue for it "
    "before acting on these curves.",
    "Outside the central 99 % of posts by followers curves are grey, and tiers, classes and peaks leave them out: "
    "there the networks guess.",
    "Curves are averages over posts as they are. Hashtags differ in what their posts hold as well as in what they ask "
    "for, and one post may respond unlike its group.",
    "Impressions are exp(curve) times one smearing factor for all sizes and groups; errors that grow with followers "
    "would bend the lower figure. The factor is taken from posts by which the model has chosen its epochs, so that it "
    "may be a little too small.",
)
"""What every report of a response must admit."""

_SHAPES = {
    "s-shaped": "elasticity rises, then falls",
    "linear": "elasticity is roughly constant",
    "concave": "elasticity falls",
    "convex": "elasticity rises",
    "mixed": "none of these",
}
_KINDS = {"hashtag": "Hashtags", "tactic": "Engagement tactics", "topic": "Topics", "campaign": "Campaigns"}
_MINUS, _RANGE = "\N{MINUS SIGN}", "\N{EN DASH}"
CERTAIN = 0.05
"""A p-value below this speaks against something."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Where an average FEI is highest among sizes that were observed.

    Attributes:
        followers: how many, to two significant digits: the grid knows no more.
        end: "smallest" or "largest" where that is the end of what was observed, else "".
    """

    followers: float
    end: str


def compact(value: float, digits: int = 3) -> str:
    """Followers or impressions in a few significant digits, with K, M and B.

    Example:
        >>> compact(1000), compact(12_345), compact(1_500_000), compact(999_999), compact(0.25), compact(3540, 2)
        ('1K', '12.3K', '1.5M', '1M', '0.25', '3.5K')
    """
    if not math.isfinite(value) or value == 0:
        return number(value)
    rounded = float(f"{value:.{digits}g}")
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(rounded) >= size:
            return f"{rounded / size:g}{unit}".replace("-", _MINUS)
    return f"{rounded:g}".replace("-", _MINUS)


def thousands(followers: float) -> str:
    """Followers in thousands, three significant digits.

    Example:
        >>> thousands(162_755), thousands(24_013), thousands(950)
        ('163', '24', '0.95')
    """
    return f"{float(f'{followers / 1000:.3g}'):,g}"


def slope(value: float | None, digits: int = 2) -> str:
    """Elasticity, with a true minus sign.

    Example:
        >>> slope(0.4567), slope(-0.05), slope(float("nan"))
        ('0.46', '−0.05', '–')
    """
    return number(value, digits).replace("-", _MINUS)


def signed(value: float | None) -> str:
    """Three significant digits, with a true minus sign.

    Example:
        >>> signed(-1234.5), signed(0.0234), signed(2.18e-11)
        ('−1,234', '0.0234', '2.2e-11')
    """
    if value is not None and 0 < abs(value) < 1e-4:
        return f"{value:.1e}".replace("-", _MINUS) if value < 0 else f"{value:.1e}"
    return number(value).replace("-", _MINUS)


def p_text(p_value: float) -> str:
    """p-value as text; "" where there is none.

    Example:
        >>> p_text(0.0312), p_text(0.00002), p_text(float("nan"))
        ('p = 0.031', 'p < 0.001', '')
    """
    if math.isnan(p_value):
        return ""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def group_name(label: str) -> str:
    """Label of a group in a table: "all posts" with a capital, hashtags as they are."""
    return "All posts" if label == "all posts" else label


def short_name(subject: "Subject") -> str:
    """Name of a group where its kind is plain already: "campaign: UnwrapTheDeals" without the first word."""
    return group_name(subject.elasticity.group.removeprefix(f"{subject.kind}: "))


def by_kind(result: "CausalEvaluation") -> list[tuple[str, tuple["Subject", ...]]]:
    """Heading and groups of each kind that was found, in the order of the subjects."""
    kinds = list(dict.fromkeys(subject.kind for subject in result.subjects[1:]))
    return [(_KINDS.get(kind, kind), tuple(of for of in result.subjects[1:] if of.kind == kind)) for kind in kinds]


def shape_meaning(shape: str) -> str:
    """What a class of curves means, "" if not known here."""
    return _SHAPES.get(str(shape), "")


def within(log_followers: Reals, values: Reals, support: tuple[float, float] | None) -> tuple[Reals, Reals]:
    """Part of a curve inside the support, with the points at its ends.

    Args:
        log_followers: rising, (G,).
        values: (G,).
        support: first and last log followers; None: all.

    Returns:
        Log followers and values, (K,) each.
    """
    if support is None:
        return log_followers, values
    low, high = max(support[0], log_followers[0]), min(support[1], log_followers[-1])
    inner = log_followers[(log_followers > low) & (log_followers < high)]
    u = np.concatenate([[low], inner, [high]])
    return u, np.interp(u, log_followers, values)


def peak(result: "CausalEvaluation", subject: "Subject") -> Peak:
    """Find the highest average FEI of a group among sizes that were observed."""
    u, values = within(result.log_followers, subject.elasticity.elasticity, result.support)
    top = int(np.argmax(values))
    end = "smallest" if top == 0 else "largest" if top == len(u) - 1 else ""
    return Peak(followers=float(f"{np.exp(u[top]):.2g}"), end=end)


def verdict(result: "CausalEvaluation") -> str:
    """What more followers do, in one or two sentences."""
    if not result.subjects:
        return "No curve could be computed."
    every = result.subjects[0]
    _, values = within(result.log_followers, every.elasticity.elasticity, result.support)
    low, high = slope(float(values.min())), slope(float(values.max()))
    some = f"about {low}" if low == high else f"between {low} and {high}"
    percents = f"{some}\N{NO-BREAK SPACE}%"
    weak = result.diagnostics.verdict.weak
    start = "The fitted curve, which is not to be relied on, says: over" if weak else "Over"
    first = f"{start} {plural(every.elasticity.posts, 'post')}, 1\N{NO-BREAK SPACE}% more followers"
    done = f"change impressions by {percents}" if values.min() < 0 else f"give {percents} more impressions"
    top = peak(result, every)
    where = f"at {about(top.followers)} followers"
    if top.end:
        where = f"for the {top.end} creators that were observed ({about(top.followers)} followers)"
    return f"{first} {done}. The average elasticity is highest {where}."


def badge(result: "CausalEvaluation") -> tuple[str, str, str]:
    """Whether the instrument carries the curves: (tone, a few words, one sentence); tone is good, fair or bad."""
    found, strength = result.diagnostics.verdict, result.diagnostics.strength
    force = f"effective F {force_text(strength.f_effective)}"
    if found.weak:
        return "bad", "Weak instrument", f"Do not use these curves ({force}): find a stronger instrument or more data."
    if found.warnings:
        some = "One warning stands" if len(found.warnings) == 1 else f"{len(found.warnings)} warnings stand"
        return "fair", "Read the warnings", f"The instrument moves followers ({force}), but {some.lower()} above."
    if not strength.f_effective > strength.critical_value:
        below = f"below the {strength.critical_value:.1f} that keeps bias small"
        return "fair", "Instrument of middling strength", f"Its {force} is above 10, but {below}."
    sentence = f"It moves followers ({force}). That it acts through followers alone cannot be tested."
    return "good", "Relevant instrument", sentence


def beside_correlation(result: "CausalEvaluation") -> str | None:
    """How the causal curve differs from the correlational one inside the support, in a sentence."""
    if not result.subjects or not np.isfinite(result.correlational).all():
        return None
    means = []
    for values in (result.subjects[0].elasticity.elasticity, result.correlational):
        u, inside = within(result.log_followers, values, result.support)
        means.append(float(np.trapezoid(inside, u) / (u[-1] - u[0])))
    causal, naive = (slope(value) for value in means)
    return (
        f"Averaged over the sizes that were observed, the elasticity is {causal}; a network that takes followers as "
        f"they come says {naive}. If the instrument holds, the difference is what else comes with followers."
    )


def thin_band(result: "CausalEvaluation") -> str | None:
    """That the bands leave out the model's own uncertainty, where the facts say that it was not bootstrapped."""
    if result.facts.get("bootstrap") != 0 and result.facts.get("members") != 1:
        return None
    return (
        "The bands are far too narrow. The model was fitted without a bootstrap, so they only show which posts were "
        "averaged, not how far other data would have moved the curves."
    )


def tier_share(tiers: Reals, scale: float) -> list[tuple[str, bool, float]]:
    """Average FEI in each tier: (text, whether any of the tier was observed, share of `scale` in 0 … 1)."""
    cells = []
    for value in tiers.tolist():
        share = min(1.0, max(0.0, value / scale)) if math.isfinite(value) and scale > 0 else 0.0
        cells.append((slope(value), math.isfinite(value), share))
    return cells


def tier_scale(result: "CausalEvaluation") -> float:
    """Highest average FEI of any tier; 0 where there is none."""
    tiers = [subject.elasticity.tiers for subject in result.subjects]
    return float(np.nanmax(np.concatenate([*tiers, [0.0]])))


def errors_by_kind(result: "CausalEvaluation") -> dict[str, dict[str, float]]:
    """Kind of post -> method -> mean absolute error of the FEI, for kinds whose truth is known."""
    found = {}
    for kind in result.truth:
        name = f"elasticity_error_{kind}"
        found[kind] = {method: values[name] for method, values in result.metrics.items() if name in values}
    return found


def coverage_words(result: "CausalEvaluation") -> str | None:
    """How often bands hold the truth; None where there is no truth or no bootstrap."""
    if not result.coverage:
        return None
    posts, average = (
        ", ".join(f"{kind} {percent(getattr(of, which), 0)}" for kind, of in result.coverage.items())
        for which in ("posts", "average")
    )
    return (
        f"Pointwise bands of {percent(result.facts['level'], 0)} over the bootstrap's draws hold the true elasticity "
        f"of single posts at these shares of the sizes that were observed: {posts}; that of the average curve: "
        f"{average}. The bands in the figures draw creators anew as well, so these shares are not theirs."
    )


def force_text(value: float) -> str:
    """F statistic: one digit below 1,000."""
    return number(value, 1) if abs(value) < 1000 else number(value, 0)


def tier_headings() -> list[tuple[str, str]]:
    """Name and range of each tier, as a table heads its columns."""
    ranges = ("< 1K", f"1{_RANGE}10K", f"10{_RANGE}50K", f"50{_RANGE}500K", f"0.5{_RANGE}1M", "1M +")
    return list(zip(TIERS, ranges, strict=True))
