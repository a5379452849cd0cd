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
from micromega.models.deepiv.describe import Description
from micromega.models.deepiv.gamma import Gamma
from micromega.models.deepiv.residual_prediction import ResidualPrediction
from micromega.models.deepiv.sensitivity import DirectEffect
from micromega.models.deepiv.shapes import Shape
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
        kind: what the group is: all, hashtag, tactic, topic or campaign.
        correlational: mean elasticity of the same posts by a network that takes followers as they come, (G,).
        example: caption of the group's post with most impressions.
    """

    elasticity: GroupCurve
    log_impressions: Reals
    lower: Reals
    upper: Reals
    kind: str = "hashtag"
    correlational: Reals | None = None
    example: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """An estimator's average curve over the posts.

    Attributes:
        name: as in the metrics.
        elasticity: mean FEI, (G,).
        mean: of that over the sizes that were observed.
        tiers: mean FEI in the observed part of each of the six tiers, (6,), NaN where there is none.
        shape: class of the counterfactual curve by these.
    """

    name: str
    elasticity: Reals
    mean: float
    tiers: Reals
    shape: Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagnostics:
    """What is known of the instrument.

    Attributes:
        strength: linear first stage.
        gain: of stage 1's likelihood on held-out posts; None if it was not asked for, there is no stage 1, or it held
            out one creator.
        gamma, residuals: None where scikit-learn is not installed or there are too few creators.
        direct: what a direct effect of the instrument would do to the average curve; None where the data do not tell.
        verdict: all of it in words.
    """

    strength: Strength
    gain: LikelihoodGain | None
    gamma: Gamma | None
    residuals: ResidualPrediction | None
    verdict: Verdict
    direct: DirectEffect | None = None


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Share of the observed sizes at which pointwise bands over the draws hold the true FEI.

    That of single posts, and of their average curve. Not of the subjects' bands, which resample creators as well.
    """

    posts: float
    average: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CausalEvaluation:
    """A causal model judged on a market.

    Attributes:
        metrics: method -> metric -> value.
        log_followers: (G,).
        subjects: groups of posts, all of them first.
        correlational: mean elasticity of posts by a network that takes followers as they come, (G,); NaN without one.
        support: log followers between which the central 99 % of posts lie.
        smearing: mean of exp(residual) on held-out posts (Duan 1983), by which epochs were chosen too.
        diagnostics: of the instrument.
        truth: kind of post -> mean true FEI of its posts on the grid, (G,); empty where no truth is known.
        estimated: kind of post -> mean estimated FEI of the same posts, (G,).
        coverage: kind of post -> how often pointwise bands hold the truth; empty without truth or bootstrap.
        methods: the model and its rivals on all posts, the model first.
        description: what the posts are.
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
    coverage: Mapping[str, Coverage] = field(default_factory=lambda: MappingProxyType({}))
    methods: tuple[Method, ...] = ()
    description: Description | None = None
    absent: tuple[str, ...] = ()
    facts: Mapping[str, Any]
