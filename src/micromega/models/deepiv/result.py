"""What evaluating Deep IV gives back: plain arrays, written by `runs/response.py`.

Shapes: G log followers of the grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromega.models.deepiv.curves import GroupCurve
from micromega.models.deepiv.gamma import Gamma
from micromega.models.deepiv.residual_prediction import ResidualPrediction
from micromega.models.deepiv.strength import LikelihoodGain, Strength
from micromega.models.deepiv.verdict import Verdict

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A group of posts with its two curves.

    Attributes:
        elasticity: average FEI by size, with its interval.
        log_impressions: logarithm of the mean over the posts of E[R | do(F), x] = exp(h(log F, x)) · smearing, (G,).
        lower, upper: of that, (G,); NaN for posts of one creator.
    """

    elasticity: GroupCurve
    log_impressions: Reals
    lower: Reals
    upper: Reals


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagnostics:
    """What is known of the instrument.

    Attributes:
        strength: linear first stage.
        gain: of stage 1's likelihood on held-out posts; None if it was not asked for.
        gamma, residuals: None where scikit-learn is not installed.
        verdict: all of it in words.
    """

    strength: Strength
    gain: LikelihoodGain | None
    gamma: Gamma | None
    residuals: ResidualPrediction | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, eq=False)
class CausalEvaluation:
    """Deep IV judged on a market.

    Attributes:
        metrics: method -> metric -> value.
        log_followers: (G,).
        subjects: groups of posts, all of them first.
        correlational: elasticity of a network that takes followers as they come, averaged over posts, (G,).
        support: log followers between which the central 99 % of posts lie.
        smearing: mean of exp(residual) on held-out posts (Duan 1983).
        diagnostics: of the instrument.
        truth: kind of post -> mean true FEI of its posts on the grid, (G,); empty where no truth is known.
        estimated: kind of post -> mean estimated FEI of the same posts, (G,).
        absent: what could not be computed here, and why, one sentence each.
        facts: plain values about the data, for the report.
    """

    metrics: Mapping[str, Mapping[str, float]]
    log_followers: Reals
    subjects: tuple[Subject, ...]
    correlational: Reals
    support: tuple[float, float]
    smearing: float
    diagnostics: Diagnostics
    truth: Mapping[str, Reals] = field(default_factory=lambda: MappingProxyType({}))
    estimated: Mapping[str, Reals] = field(default_factory=lambda: MappingProxyType({}))
    absent: tuple[str, ...] = ()
    facts: Mapping[str, Any]
