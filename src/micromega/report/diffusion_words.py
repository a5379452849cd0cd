"""What the diffusion report says in words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from micromega.report.effectiveness_words import MetricColumn
from micromega.report.words import about, number, percent, plural

if TYPE_CHECKING:
    from micromega.models.diffusion.result import DiffusionEvaluation

RATE, ALONE = "Mean rate", "EM (Saito et al.)"
LIMITS = (
    "The probability of an edge is taken to be one number: the same for every post, every day and every repetition.",
    "Exposures are those that the data hold. An exposure that nobody recorded, or a target that found the post by "
    "itself, makes probabilities wrong, and nothing in the data shows it.",
    "That similar accounts act alike is not influence: what passes along an edge may be a taste that both share. The "
    "probabilities say what follows an exposure, and not what an exposure causes.",
    "Follows and the numbers of accounts have no date in the market: they are those of the crawl, also for exposures "
    "before it.",
    "The strongest of many edges are partly those whose few exposures happened to succeed. The prior takes most of "
    "that away, not all.",
)
"""What every report of diffusion must admit."""
COLUMNS = (
    MetricColumn(name="log_loss", title="Log loss", digits=4),
    MetricColumn(name="auc", title="AUC", larger=True),
    MetricColumn(name="brier", title="Brier score", digits=4),
    MetricColumn(name="calibration_error", title="Calibration error", digits=4),
    MetricColumn(name="rmse", title="RMSE against known P", digits=4),
    MetricColumn(name="mae", title="Mean error against known P", digits=4),
    MetricColumn(name="correlation", title="Correlation with known P", larger=True),
    MetricColumn(name="rank_correlation", title="Rank correlation with known P", larger=True),
)


def verdict(result: "DiffusionEvaluation") -> str:
    """The evaluation in two or three sentences."""
    own = result.metrics[result.model]
    what = "targets of posts" if result.facts.get("shared") else "exposures"
    text = f"On {number(result.facts['outcomes'])} later {what} the log loss is {number(own['log_loss'], 4)}."
    rate = result.metrics.get(RATE)
    if rate is not None and result.model != RATE:
        text += f" One rate for all edges has {number(rate['log_loss'], 4)}"
        if result.floor is not None and rate["log_loss"] > result.floor:
            share = (rate["log_loss"] - own["log_loss"]) / (rate["log_loss"] - result.floor)
            gained = f"{percent(share, 0)} of what can be gained is gained" if share > 0 else "nothing is gained"
            text += f", and whoever knew every probability {number(result.floor, 4)}: {gained}"
        text += "."
    if "rmse" in own:
        text += f" Against the known probabilities an edge is off by {number(own['rmse'], 3)} in the root mean square."
    return text


def baselines(result: "DiffusionEvaluation") -> str:
    """What the other models show, in plain words."""
    by = {title: values["log_loss"] for title, values in result.metrics.items()}
    best = min(by, key=lambda title: by[title])
    told = [f"{best} predicts later exposures best."]
    if RATE in by and ALONE in by:
        if by[ALONE] > by[RATE]:
            told.append(
                "Maximum likelihood edge by edge is worse than one rate for all edges: with so few exposures an edge, "
                "most of what it learns is chance."
            )
        else:
            told.append("Edges have been seen often enough that each one’s own rate beats one rate for all.")
    combined, network = by.get("Network + counts"), by.get("Network")
    if combined is not None and network is not None:
        told.append(
            "Counting each edge’s own exposures adds to what the network expects of it."
            if combined < network
            else "Counting each edge’s own exposures adds nothing to what the network expects of it."
        )
    return " ".join(told)


def badge(result: "DiffusionEvaluation") -> tuple[str, str, str]:
    """(tone, a few words, one sentence) about calibration."""
    curve = result.reliability[result.model]
    held = (curve.predicted >= curve.lower) & (curve.predicted <= curve.upper)
    inside, bins = int(np.sum(held)), len(held)
    error = number(result.metrics[result.model]["calibration_error"], 4)
    told = (
        f"In {inside} of {plural(bins, 'group')} of test outcomes the mean prediction lies within the 95 % interval of "
        f"the share found; calibration error {error}."
    )
    if inside >= 0.8 * bins:
        return "good", "Probabilities hold", told
    if inside >= 0.5 * bins:
        return "fair", "Probabilities nearly hold", told
    return "bad", "Probabilities do not hold", told


def fact_rows(result: "DiffusionEvaluation") -> Mapping[str, str]:
    """Label -> value of data and split."""
    facts, rows = result.facts, {}
    for name, window in facts.get("windows", {}).items():
        since = f", of posts first seen from {window['first_day']} on" if window["first_day"] else ""
        rows[f"Window: {name}"] = (
            f"{plural(window['exposures'], 'exposure')}, {plural(window['activations'], 'activation')}{since}"
        )
    rows["Outcome"] = (
        "the target’s, whichever source did it (noisy-or of its exposures)"
        if facts.get("shared")
        else "each exposure’s own"
    )
    for key, label in (
        ("accounts", "Accounts"),
        ("edges", "Follows"),
        ("unfollowed", "Edges with exposures and no follow"),
        ("unseen", "Edges without an exposure in training"),
        ("shared_activations", "Activations that several sources share"),
        ("columns", "Columns of an edge and its ends"),
    ):
        if key in facts:
            rows[label] = number(facts[key])
    if "rate" in facts:
        rows["Mean rate in training"] = percent(facts["rate"], 2)
    if facts.get("weight"):
        rows["Weight of the prior"] = f"{about(facts['weight'])} exposures"
    return rows
