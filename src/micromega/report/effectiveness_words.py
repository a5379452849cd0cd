"""What the effectiveness report says in words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from micromega.report.words import about, number, percent, plural

if TYPE_CHECKING:
    from micromega.models.effectiveness.result import EffectivenessEvaluation

LIMITS = (
    "Past campaigns were bought where somebody expected them to do well. The model says what such posts bring; of "
    "creators who were never booked, and of pairings nobody would have chosen, it knows less than intervals suggest.",
    "Intervals hold on average over posts like those of the calibration window. Posts for one event err together: the "
    "sum over a plan spreads more than independent errors would.",
    "A plan made of the highest predictions is worth less than their sum: among many noisy predictions the highest are "
    "those that err upwards (the optimiser’s curse).",
    "Followers, likes received and videos of an account have no date in the market: they are those of the crawl, also "
    "for campaigns before it.",
    "Contributions say what the model rests on, and not what would change if a creator changed.",
)
"""What every report of effectiveness must admit."""


@dataclass(frozen=True, kw_only=True)
class MetricColumn:
    """One column of the table of models.

    Attributes:
        name: of the metric.
        title: in words.
        digits: after the point.
        larger: whether larger is better, where no value is wanted.
        wanted: the right value, where there is one.
        share: a coverage: shown in per cent, the level is wanted.
    """

    name: str
    title: str
    digits: int = 3
    larger: bool = False
    wanted: float | None = None
    share: bool = False


COLUMNS = (
    MetricColumn(name="log_rmse", title="RMSE, log"),
    MetricColumn(name="expectation_error", title="RMSE against what was to be expected, log"),
    MetricColumn(name="rank_correlation", title="Rank correlation", larger=True),
    MetricColumn(
        name="expectation_rank_correlation", title="Rank correlation with what was to be expected", larger=True
    ),
    MetricColumn(name="total_ratio", title="Came / predicted", wanted=1.0),
    MetricColumn(name="standardised_error", title="Error in std", digits=2, wanted=1.0),
    MetricColumn(name="coverage", title="Coverage", share=True),
    MetricColumn(name="worst_tier_coverage", title="Worst tier", share=True),
    MetricColumn(name="half_width", title="Half width, log", digits=2),
)


def verdict(result: "EffectivenessEvaluation") -> str:
    """The evaluation in two sentences."""
    own = result.metrics[result.model]
    windows = result.facts.get("windows", {})
    rows = windows.get("test", {}).get("rows")
    where = f"On {plural(rows, 'later campaign')}" if rows else "On later campaigns"
    text = f"{where}, predictions are off by a factor of {about(math.exp(own['log_rmse']))} in the root mean square"
    if "noise_floor" in own:
        text += f"; whoever knew every expectation would be off by {about(math.exp(own['noise_floor']))}"
    return f"{text}. {percent(own['coverage'])} of the outcomes fell into their {percent(result.level, 0)} intervals."


def badge(result: "EffectivenessEvaluation") -> tuple[str, str, str]:
    """(tone, a few words, one sentence) about the intervals."""
    own = result.metrics[result.model]
    off = abs(own["coverage"] - result.level)
    worst = max((row for row in result.coverage), key=lambda row: abs(row.coverage - result.level))
    told = f"Of all test rows {percent(own['coverage'])}; farthest off: {worst.tier}, {percent(worst.coverage)}."
    if off <= 0.02 + 1e-9:
        return "good", "Intervals hold", told
    if off <= 0.05:
        return "fair", "Intervals nearly hold", told
    return "bad", "Intervals do not hold", told


def factor(part: float) -> str:
    """A contribution to a logarithm as a factor on the outcome."""
    return f"× {number(math.exp(part), 2)}"


def constant(result: "EffectivenessEvaluation") -> str:
    """Where contributions start from."""
    return about(math.expm1(result.importance.constant))


def fact_rows(result: "EffectivenessEvaluation") -> Mapping[str, str]:
    """Label -> value of data and split."""
    facts = result.facts
    rows = {}
    for name, window in facts.get("windows", {}).items():
        rows[f"Window: {name}"] = f"{plural(window['rows'], 'campaign')} of events from {window['first_day']} on"
    for key, label in (
        ("campaigns", "Campaigns with outcomes"),
        ("dropped", "Campaigns without outcome, type or day"),
        ("unsettled", "Campaigns whose outcome came too late for their window"),
        ("creators", "Creators"),
        ("columns", "Columns"),
    ):
        if key in facts:
            rows[label] = number(facts[key])
    if facts.get("trees"):
        rows["Trees"] = ", ".join(f"{name} {count}" for name, count in facts["trees"].items())
    if "smearing" in facts:
        rows["Smearing factor"] = f"{number(facts['smearing'], 3)} (mean of exp of the residual)"
    return rows
