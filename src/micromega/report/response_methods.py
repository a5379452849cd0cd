"""The model beside its rivals on the same posts: rows of a table, and in plain words which does better at what."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from micromega.report.response_words import slope, tier_share
from micromega.report.words import number

if TYPE_CHECKING:
    from micromega.models.deepiv.result import CausalEvaluation

ERROR, INTEGRATED = "elasticity_error", "integrated_error"
_ONE = "That is one market and one fit of each."
_UNKNOWN = "Which estimator is closest to the truth cannot be known here."
_NO_PROOF = (
    "The smallest held-out error does not say: what comes with followers and impressions alike helps to predict."
)


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """One estimator.

    Attributes:
        name: of it.
        shape: class of its average curve.
        tiers: mean FEI in each tier: text, whether any of it was observed, share of the table's highest.
        mean: FEI averaged over the sizes that were observed.
        held_out: squared error of held-out log impressions.
        integrated: the same given instrument and controls alone.
    """

    name: str
    shape: str
    tiers: list[tuple[str, bool, float]]
    mean: str
    held_out: str
    integrated: str


def method_rows(result: "CausalEvaluation", scale: float) -> list[MethodRow]:
    """The model first; `scale` is the FEI with the darkest cell."""
    rows = []
    for method in result.methods:
        found = result.metrics.get(method.name, {})
        rows.append(
            MethodRow(
                name=method.name,
                shape=str(method.shape),
                tiers=tier_share(method.tiers, scale),
                mean=slope(method.mean),
                held_out=number(found.get("held_out_error")),
                integrated=number(found.get(INTEGRATED)),
            )
        )
    return rows


def best_words(result: "CausalEvaluation") -> str:
    """Which estimator is closest to the truth; where that is not known, whether another predicts better."""
    unknown = (_UNKNOWN, better_predictor(result), _NO_PROOF)
    return closest(result) or " ".join(sentence for sentence in unknown if sentence)


def better_predictor(result: "CausalEvaluation") -> str | None:
    """Who predicts held-out impressions best given the instrument (eq. 5), in words; None if that is the model."""
    own, errors = _errors(result, INTEGRATED)
    best = min(errors, key=errors.__getitem__, default=own)
    if own not in errors or not errors[best] < errors[own]:
        return None
    return (
        f"Given instrument and controls alone, {best} predicts held-out log impressions best, with a squared error of "
        f"{number(errors[best])} where {own} has {number(errors[own])}: that is about predicting from the instrument, "
        f"on these posts, and not about what followers cause."
    )


def _errors(result: "CausalEvaluation", metric: str) -> tuple[str, dict[str, float]]:
    """Name of the model, and estimator -> metric where it is known."""
    known = {name: found.get(metric, math.nan) for name, found in result.metrics.items()}
    return next(iter(known), ""), {name: error for name, error in known.items() if math.isfinite(error)}


def closest(result: "CausalEvaluation") -> str | None:
    """Which estimator is closest to the truth, in words; None where no truth is known or there is nothing beside."""
    own, errors = _errors(result, ERROR)
    if own not in errors or len(errors) < 2:
        return None
    rivals = {name: error for name, error in errors.items() if name != own}
    best = min(rivals, key=rivals.__getitem__)
    if rivals[best] >= errors[own]:
        return (
            f"No other estimator in the table is closer to the truth than {own}, whose elasticity is off by "
            f"{slope(errors[own], 3)} on average; next is {best} with {slope(rivals[best], 3)}. {_ONE}"
        )
    kinds = [kind for kind in result.truth if _closer(result, best, own, kind)]
    where = f" By kind it is closer for {_listed(kinds)} posts." if 0 < len(kinds) < len(result.truth) else ""
    also = [name for name, error in rivals.items() if error < errors[own] and name != best]
    others = f" Closer too: {_listed(also)}." if also else ""
    return (
        f"{own} is not the best estimator here: the elasticity of {best} is off by {slope(rivals[best], 3)} on "
        f"average, that of {own} by {slope(errors[own], 3)}.{where}{others} {_ONE}"
    )


def _closer(result: "CausalEvaluation", one: str, other: str, kind: str) -> bool:
    name = f"{ERROR}_{kind}"
    return result.metrics[one].get(name, math.inf) < result.metrics[other].get(name, -math.inf)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
