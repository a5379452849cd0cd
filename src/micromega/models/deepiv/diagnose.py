"""What can be known of a trained model's instrument: each diagnostic on its own, and those that cannot be had named."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from micromega.errors import DataError, MissingExtraError
from micromega.models.deepiv.causal import CausalModel
from micromega.models.deepiv.config import DeepIVEvaluationConfig
from micromega.models.deepiv.curves import GroupCurve
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.gamma import residual_gamma
from micromega.models.deepiv.module import CONTROL_FUNCTION, OutcomeModule, TreatmentModule
from micromega.models.deepiv.refits import instrument_gain, instrument_shift
from micromega.models.deepiv.residual_prediction import residual_prediction
from micromega.models.deepiv.result import Diagnostics
from micromega.models.deepiv.sensitivity import direct_effect, linear_shift
from micromega.models.deepiv.strength import first_stage
from micromega.models.deepiv.subjects import View, chosen
from micromega.models.deepiv.verdict import verdict

Reals = NDArray[np.float64]
T = TypeVar("T")


def diagnose(
    config: DeepIVEvaluationConfig,
    data: DeepIVData,
    first: TreatmentModule | None,
    outcome: CausalModel,
    held_out: NDArray[np.int64],
    residual: Reals,
    curve: GroupCurve,
    view: View,
    absent: list[str],
) -> Diagnostics:
    """Compute what the data allow.

    Args:
        config: how many posts are looked at, and whether networks are fitted.
        data: of the training.
        first: stage 1; None for a model without stages.
        outcome: the model.
        held_out: posts that some member has not seen, ascending, (H,).
        residual: y − h of such members there, (H,).
        curve: average of all posts.
        view: posts and sizes.
        absent: diagnostics that cannot be computed are added, with the reason.

    Returns:
        The diagnostics; None for those that the data do not allow or that need an extra that is not installed.

    Raises:
        DataError: not even the linear first stage can be computed.
    """
    inputs, seed = data.inputs, view.seed
    t, z, x, y, author = inputs.treatment, inputs.instrument, inputs.controls, inputs.outcome, inputs.author
    strength = first_stage(t, z, x, author)
    some = chosen(len(t), config.diagnostic_posts, seed)
    part = chosen(len(held_out), config.diagnostic_posts, seed)
    judged = held_out[part]
    gamma = _attempt(
        "γ was not computed on the posts that were held out.",
        lambda: residual_gamma(residual[part], x[judged], z[judged], author[judged], seed=seed),
        absent,
    )
    residuals = _attempt(
        "The residual-prediction test was not computed.",
        lambda: residual_prediction(y[some], t[some], z[some], x[some], author[some], seed=seed),
        absent,
    )
    gain = None
    if first is None:
        absent.append("The gain of stage 1 from the instrument: this model has no stage 1 with a likelihood.")
    elif config.refits:
        stage = first
        gain = _attempt(
            "The gain of stage 1 from the instrument was not computed.",
            lambda: instrument_gain(stage, data, seed=seed),
            absent,
        )
    shift = _shift(config, data, first, outcome, view, absent)
    direct = None
    if shift is not None:
        direct = direct_effect(view.grid, curve.elasticity, shift, view.support, most=float(y.std()))
    by_rank = outcome.title == CONTROL_FUNCTION
    words = verdict(strength, gain=gain, gamma=gamma, residuals=residuals, direct=direct, by_rank=by_rank)
    return Diagnostics(strength=strength, gain=gain, gamma=gamma, residuals=residuals, verdict=words, direct=direct)


def _shift(
    config: DeepIVEvaluationConfig,
    data: DeepIVData,
    first: TreatmentModule | None,
    outcome: CausalModel,
    view: View,
    absent: list[str],
) -> Reals | None:
    """What a direct effect of 1 takes off the average curve, (G,): by a network, else by two-stage least squares."""
    inputs, shift = data.inputs, None
    if first is not None and config.refits:
        assert isinstance(outcome, OutcomeModule)
        stage, settings = first, outcome.config
        shift = _attempt(
            "What a direct effect of the instrument would do is not that of stage 2, but of a straight line.",
            lambda: instrument_shift(stage, settings, data, view.rows, view.grid, seed=view.seed),
            absent,
        )
    if shift is not None:
        return shift
    slope = _attempt(
        "What a direct effect of the instrument would do was not computed.",
        lambda: linear_shift(inputs.treatment, inputs.instrument, inputs.controls),
        absent,
    )
    return None if slope is None else np.full(len(view.grid), slope)


def _attempt(words: str, compute: Callable[[], T], absent: list[str]) -> T | None:
    """Compute; where data or an extra are missing, say so and go on. Wrong settings are raised."""
    try:
        return compute()
    except (DataError, MissingExtraError) as error:
        absent.append(f"{words} {error}")
        return None
