"""Deep IV on a market: curves of groups of posts, what is known of the instrument, and the truth where there is one."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from micromega.errors import CheckpointError, DataError, MissingExtraError
from micromega.models.deepiv.config import DeepIVEvaluationConfig
from micromega.models.deepiv.curves import GroupSums, smearing_factor
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.elasticity import blocks
from micromega.models.deepiv.from_market import CausalInputs
from micromega.models.deepiv.gamma import residual_gamma
from micromega.models.deepiv.module import OutcomeModule, TreatmentModule
from micromega.models.deepiv.residual_prediction import residual_prediction
from micromega.models.deepiv.result import CausalEvaluation, Diagnostics, Subject
from micromega.models.deepiv.rivals import NaiveNetwork
from micromega.models.deepiv.strength import first_stage
from micromega.models.deepiv.verdict import verdict
from micromega.models.origin import ORIGIN

Reals = NDArray[np.float64]
ALL = "all posts"
SUPPORT = 0.99
"""Central share of the posts, by followers, within which curves are drawn and recommended from."""


def evaluate(
    config: DeepIVEvaluationConfig,
    *,
    checkpoint: Mapping[str, Any],
    treatment: Mapping[str, Any],
    data: DeepIVData,
    seed: int,
) -> CausalEvaluation:
    """Compute curves, diagnostics and, on a simulated market, errors.

    Args:
        config: what to compute.
        checkpoint: of stage 2, as read by `load_checkpoint`.
        treatment: of the stage 1 that it stands on.
        data: the datamodule of the market, with the settings of the training.
        seed: of the bootstrap over posts and of the posts that are looked at.

    Returns:
        The evaluation.

    Raises:
        CheckpointError: the stages do not belong together, or were trained on other data.
    """
    first = TreatmentModule.restore(treatment)
    outcome = OutcomeModule.restore(checkpoint, first)
    _check_origin(checkpoint, data)
    inputs = data.inputs
    rows = _chosen(len(inputs.treatment), config.posts, seed)
    low, high = np.quantile(inputs.treatment, [(1 - SUPPORT) / 2, (1 + SUPPORT) / 2])
    grid = np.linspace(inputs.treatment.min(), inputs.treatment.max(), config.grid)
    absent: list[str] = []
    held_out, residual = _held_out(outcome, data)
    smearing = smearing_factor(residual)
    subjects = _subjects(outcome, data, rows, grid, smearing, config, seed)
    naive = NaiveNetwork(dataclasses.replace(outcome.config, bootstrap=0, folds=1, starts=1), seed=seed).fit(
        x=inputs.controls, z=inputs.instrument, t=inputs.treatment, y=inputs.outcome, cluster=inputs.author
    )
    correlational = naive.elasticity(t=grid, x=inputs.controls[rows], grid=True).astype(np.float64)
    truth, estimated, errors = _against_truth(outcome, correlational, data, rows, grid, (low, high))
    if not truth:
        absent.append("What followers truly cause is not known: the market is not simulated.")
    own = {"held_out_error": float((residual**2).mean())} | errors.get("Deep IV", {})
    return CausalEvaluation(
        metrics={"Deep IV": own, "correlational": errors.get("correlational", {})},
        log_followers=grid,
        subjects=subjects,
        correlational=correlational.mean(axis=0),
        support=(float(low), float(high)),
        smearing=smearing,
        diagnostics=_diagnostics(inputs, held_out, residual, config, seed, absent),
        truth=truth,
        estimated=estimated,
        absent=tuple(absent),
        facts={
            "posts": len(inputs.treatment),
            "authors": int(inputs.author.max()) + 1,
            "controls": list(inputs.names),
            "left_out": dict(inputs.left_out),
            "dropped": dict(inputs.dropped),
            "instrument": data.config.instrument,
            "members": outcome.members,
            "bootstrap": outcome.config.bootstrap,
            "level": config.level,
            "curves_over": len(rows),
            "epochs": {"treatment": first.stage.epochs, "outcome": outcome.stage.epochs},
        },
    )


def _check_origin(checkpoint: Mapping[str, Any], data: DeepIVData) -> None:
    stored, now = checkpoint.get(ORIGIN, {}), data.origin
    other = [name for name, value in now.items() if name in stored and stored[name] != value]
    if other:
        raise CheckpointError(
            f"The model was trained with other {', '.join(other)} than this request has. Use the market and the data "
            "settings of its training (config.yaml in its run folder), or train anew."
        )


def _chosen(posts: int, most: int, seed: int) -> NDArray[np.int64]:
    """Rows over which curves are averaged, ascending."""
    if posts <= most:
        return np.arange(posts)
    return np.sort(np.random.default_rng(seed).choice(posts, most, replace=False))


def _held_out(outcome: OutcomeModule, data: DeepIVData) -> tuple[NDArray[np.int64], Reals]:
    """Rows that some member has not seen, and y − h of such members there."""
    unseen_EN = data.members(outcome.config).held_out > 0
    rows = np.flatnonzero(unseen_EN.any(axis=0))
    t, x = data.values["t"][rows, None], data.values["x"][rows]
    found = np.empty(len(rows))
    for part, value in blocks(outcome, "response", t, x):
        weight = unseen_EN[:, rows[part]]
        found[part] = (value[..., 0].numpy() * weight).sum(axis=0) / weight.sum(axis=0)
    return rows, data.inputs.outcome[rows] - found


def _subjects(
    outcome: OutcomeModule,
    data: DeepIVData,
    rows: NDArray[np.int64],
    grid: Reals,
    smearing: float,
    config: DeepIVEvaluationConfig,
    seed: int,
) -> tuple[Subject, ...]:
    """Curves of all posts and of the hashtags with most of them."""
    inputs = data.inputs
    tags, count = np.unique(inputs.hashtag[rows].astype(str), return_counts=True)
    shown = [tag for tag, posts in sorted(zip(tags, count, strict=True), key=lambda of: -of[1]) if tag and posts >= 30]
    names = (ALL, *shown[: config.hashtags])
    code = np.array([names.index(tag) if tag in names else -1 for tag in inputs.hashtag[rows].astype(str)])
    _, author = np.unique(inputs.author[rows], return_inverse=True)
    settings = {"clusters": int(author.max()) + 1, "replicates": config.replicates, "seed": seed}
    slopes, sizes = (GroupSums(grid, names, **settings) for _ in range(2))
    x, draws = data.values["x"][rows], max(outcome.config.bootstrap, 1)
    t = torch.from_numpy(grid).float()[None]
    for quantity, sums in (("elasticity", slopes), ("response", sizes)):
        for part, value in blocks(outcome, quantity, t, x):  # type: ignore[arg-type]
            found = _by_draw(value.numpy().astype(np.float64), draws)
            if quantity == "response":
                found = smearing * np.exp(found)  # E[R] = exp(h) · factor, averaged as impressions
            group = np.concatenate([np.zeros(found.shape[1], np.int64), code[part]])
            sums.add(np.concatenate([found, found], axis=1), group, np.concatenate([author[part], author[part]]))
    return tuple(
        Subject(
            elasticity=slope,
            log_impressions=np.log(size.elasticity),
            lower=np.log(size.lower),
            upper=np.log(size.upper),
        )
        for slope, size in zip(slopes.curves(config.level), sizes.curves(config.level), strict=True)
    )


def _by_draw(values: NDArray[Any], draws: int) -> NDArray[Any]:
    """(E, …) -> (D, …), the mean over the members of each draw."""
    return np.asarray(values.reshape(draws, -1, *values.shape[1:]).mean(axis=1))


def _diagnostics(
    inputs: CausalInputs,
    held_out: NDArray[np.int64],
    residual: Reals,
    config: DeepIVEvaluationConfig,
    seed: int,
    absent: list[str],
) -> Diagnostics:
    t, z, x, y, author = inputs.treatment, inputs.instrument, inputs.controls, inputs.outcome, inputs.author
    strength = first_stage(t, z, x, author)
    some = _chosen(len(t), config.diagnostic_posts, seed)
    judged = held_out[_chosen(len(held_out), config.diagnostic_posts, seed)]
    gamma = residuals = None
    try:
        gamma = residual_gamma(
            residual[np.searchsorted(held_out, judged)], x[judged], z[judged], author[judged], seed=seed
        )
        residuals = residual_prediction(y[some], t[some], z[some], x[some], author[some], seed=seed)
    except (MissingExtraError, DataError) as error:
        absent.append(f"γ and the residual-prediction test were not computed. {error}")
    return Diagnostics(
        strength=strength,
        gain=None,
        gamma=gamma,
        residuals=residuals,
        verdict=verdict(strength, gamma=gamma, residuals=residuals),
    )


def _against_truth(
    outcome: OutcomeModule,
    correlational: Reals,
    data: DeepIVData,
    rows: NDArray[np.int64],
    grid: Reals,
    support: tuple[float, float],
) -> tuple[dict[str, Reals], dict[str, Reals], dict[str, dict[str, float]]]:
    """Mean true and estimated FEI by kind of post, and mean absolute errors by post; empty without truth."""
    try:
        posts, curves = data.market.truth("posts"), data.market.truth("curves")
    except DataError:
        return {}, {}, {}
    kind_of = dict(zip(posts["post_id"].to_pylist(), posts["kind"].to_pylist(), strict=True))
    kinds = np.array([kind_of[name] for name in data.inputs.post_ids[rows]])
    size, fei, of = (curves[name].to_numpy(zero_copy_only=False) for name in ("log_followers", "fei", "kind"))
    inside = (grid >= support[0]) & (grid <= support[1])
    causal = np.empty((len(rows), len(grid)))
    for part, value in blocks(outcome, "elasticity", torch.from_numpy(grid).float()[None], data.values["x"][rows]):
        causal[part] = value.mean(dim=0).numpy()
    truth, estimated = dict[str, Reals](), dict[str, Reals]()
    errors: dict[str, dict[str, float]] = {"Deep IV": {}, "correlational": {}}
    for kind in sorted(set(kinds.tolist())):
        here = kinds == kind
        truth[kind] = np.interp(grid, size[of == kind], fei[of == kind])
        estimated[kind] = causal[here].mean(axis=0)
        for method, values in (("Deep IV", causal), ("correlational", correlational)):
            error = np.abs(values[here][:, inside] - truth[kind][inside]).mean()
            errors[method][f"elasticity_error_{kind}"] = float(error)
    return truth, estimated, errors
