"""A causal model on a market: curves of groups of posts, what is known of the instrument, and the truth, if known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromega.errors import CheckpointError
from micromega.models.deepiv.causal import CausalModel
from micromega.models.deepiv.comparison import NAIVE, fit_rivals, judged_posts, model_errors, truth_of
from micromega.models.deepiv.config import DeepIVEvaluationConfig
from micromega.models.deepiv.coverage import band_coverage
from micromega.models.deepiv.curves import smearing_factor
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.describe import describe
from micromega.models.deepiv.diagnose import diagnose
from micromega.models.deepiv.elasticity import blocks
from micromega.models.deepiv.groups import groupings
from micromega.models.deepiv.module import OutcomeModule, TreatmentModule
from micromega.models.deepiv.result import CausalEvaluation, Coverage, Method
from micromega.models.deepiv.sensitivity import mean_inside
from micromega.models.deepiv.shapes import curve_shape, tier_averages
from micromega.models.deepiv.subjects import View, chosen, make_subjects
from micromega.models.origin import ORIGIN

Reals = NDArray[np.float64]
SUPPORT = 0.99
"""Central share of the posts, by followers, within which curves are drawn, classed and recommended from."""


def evaluate(
    config: DeepIVEvaluationConfig,
    *,
    checkpoint: Mapping[str, Any],
    treatment: Mapping[str, Any] | None,
    data: DeepIVData,
    seed: int,
    model: Any = OutcomeModule,
) -> CausalEvaluation:
    """Compute curves, diagnostics and, on a simulated market, errors.

    Args:
        config: what to compute.
        checkpoint: of the model, Deep IV's stage 2, as read by `load_checkpoint`.
        treatment: of the stage 1 that it stands on; None for a model without stages.
        data: the datamodule of the market, with the settings of the training.
        seed: of the bootstrap over posts and of the posts that are looked at.
        model: class of the model.

    Returns:
        The evaluation.

    Raises:
        CheckpointError: the stages do not belong together, or were trained on other data.
    """
    first = None if treatment is None else TreatmentModule.restore(treatment)
    outcome: CausalModel = model.restore(checkpoint, *(() if first is None else (first,)))
    _check_origin(checkpoint, data)
    inputs, absent = data.inputs, list[str]()
    low, high = np.quantile(inputs.treatment, [(1 - SUPPORT) / 2, (1 + SUPPORT) / 2])
    view = View(
        rows=chosen(len(inputs.treatment), config.posts, seed),
        grid=np.linspace(inputs.treatment.min(), inputs.treatment.max(), config.grid),
        support=(float(low), float(high)),
        seed=seed,
    )
    held_out, residual = _held_out(outcome, data)
    smearing = smearing_factor(residual)
    judged = judged_posts(outcome, first, data, seed=seed)
    rivals = fit_rivals(config, outcome, data, judged, view, absent)
    naive = rivals[NAIVE].elasticity if NAIVE in rivals else None
    groups = groupings(config, data.market, inputs, view.rows, absent)
    subjects, own = make_subjects(config, outcome, data, view, groups, smearing=smearing, correlational=naive)
    slopes = {outcome.title: own} | {name: rival.elasticity for name, rival in rivals.items()}
    metrics = {outcome.title: model_errors(outcome, data, judged)} | {name: of.errors for name, of in rivals.items()}
    methods = tuple(_method(name, values, view) for name, values in slopes.items())
    truth = truth_of(data, view.rows, view.grid)
    if truth is None:
        absent.append("What followers truly cause is not known: the market is not simulated.")
    for method in methods:
        metrics[method.name] |= {"mean_elasticity": method.mean}
        metrics[method.name] |= truth.errors(slopes[method.name], view.inside) if truth else {}
    coverage: Mapping[str, Coverage] = {}
    if truth and outcome.config.bootstrap > 1:
        x = inputs.controls[view.rows]
        coverage = band_coverage(outcome, outcome.config.bootstrap, x, view.grid, view.inside, truth, config.level)
    return CausalEvaluation(
        metrics=metrics,
        log_followers=view.grid,
        subjects=subjects,
        correlational=np.full(len(view.grid), np.nan) if naive is None else naive.mean(axis=0),
        support=view.support,
        smearing=smearing,
        diagnostics=diagnose(config, data, first, outcome, held_out, residual, subjects[0].elasticity, view, absent),
        truth={} if truth is None else truth.curves,
        estimated={} if truth is None else {kind: own[truth.kinds == kind].mean(axis=0) for kind in truth.curves},
        coverage=coverage,
        methods=methods,
        description=describe(inputs, view.grid, seed=seed),
        absent=tuple(absent),
        facts=_facts(config, data, outcome)
        | {"curves_over": len(view.rows), "judged_on": len(judged.rows), "epochs": dict(outcome.epochs_of)},
    )


def _facts(config: DeepIVEvaluationConfig, data: DeepIVData, model: CausalModel) -> dict[str, Any]:
    """Plain values for the report."""
    inputs = data.inputs
    return {
        "posts": len(inputs.treatment),
        "authors": int(inputs.author.max()) + 1,
        "controls": list(inputs.names),
        "left_out": dict(inputs.left_out),
        "dropped": dict(inputs.dropped),
        "instrument": data.config.instrument,
        "members": model.members,
        "bootstrap": model.config.bootstrap,
        "level": config.level,
        "bands": config.bands,
    }


def _method(name: str, elasticity: Reals, view: View) -> Method:
    """Average over posts; elasticity (N, G)."""
    curve = elasticity.mean(axis=0)
    tiers = tier_averages(view.grid, curve, view.support)
    mean = mean_inside(view.grid, curve, view.support)
    return Method(name=name, elasticity=curve, mean=mean, tiers=tiers, shape=curve_shape(tiers))


def _check_origin(checkpoint: Mapping[str, Any], data: DeepIVData) -> None:
    stored, now = checkpoint.get(ORIGIN, {}), data.origin
    other = [name for name, value in now.items() if name in stored and stored[name] != value]
    if other:
        raise CheckpointError(
            f"The model was trained with other {', '.join(other)} than this request has. Use the market and the data "
            "settings of its training (config.yaml in its run folder), or train anew."
        )


def _held_out(outcome: CausalModel, data: DeepIVData) -> tuple[NDArray[np.int64], Reals]:
    """Rows that some member has not seen, and y − h of such members there."""
    unseen_EN = data.members(outcome.config).held_out > 0
    rows = np.flatnonzero(unseen_EN.any(axis=0))
    t, x = data.values["t"][rows, None], data.values["x"][rows]
    found = np.empty(len(rows))
    for part, value in blocks(outcome, "response", t, x):
        weight = unseen_EN[:, rows[part]]
        found[part] = (value[..., 0].numpy() * weight).sum(axis=0) / weight.sum(axis=0)
    return rows, data.inputs.outcome[rows] - found
