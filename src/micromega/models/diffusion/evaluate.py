"""The diffusion model on the test window: metrics beside the other models, by what was seen, and against the truth."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from micromega.errors import CheckpointError
from micromega.models.deepiv.arrays import train
from micromega.models.diffusion.config import DiffusionEvaluationConfig, DiffusionModelConfig, Kind
from micromega.models.diffusion.data import DiffusionData
from micromega.models.diffusion.em import estimate
from micromega.models.diffusion.evidence import Reals
from micromega.models.diffusion.judge import Judged, against, known_probabilities, log_loss, outcomes, score
from micromega.models.diffusion.module import DiffusionModule
from micromega.models.diffusion.result import AgainstTruth, DiffusionEvaluation, Exported, SeenGroup, Strong
from micromega.models.origin import ORIGIN
from micromega.scores import reliability_curve

GROUPS = (("none", 0, 0), ("1–4", 1, 4), ("5–9", 5, 9), ("10–19", 10, 19), ("20+", 20, np.inf))
"""Exposures in training: name, fewest, most."""
CELLS, PARTS, BARS = 24, 20, 40
"""Cells of the density in each direction, groups of edges along it, bars of the histogram."""


def evaluate(
    config: DiffusionEvaluationConfig, *, checkpoint: Mapping[str, Any], data: DiffusionData, seed: int
) -> tuple[DiffusionEvaluation, DiffusionModule]:
    """Judge a trained model, and fit and judge the others.

    All learn from the training window, stop and are weighted by the validation window, and are judged on the test.

    Args:
        config: what to compute.
        checkpoint: of the model, as read by `load_checkpoint`.
        data: the datamodule of the market, with the settings of the training.
        seed: of the other models' first weights.

    Returns:
        The evaluation, and the model restored.

    Raises:
        CheckpointError: the model was trained on other data.
    """
    module = DiffusionModule.restore(checkpoint)
    _check_origin(checkpoint, data)
    others = [fit(module.config, kind, data, seed) for kind in config.compare if kind != module.config.kind]
    found = {model.title: model.probabilities(data, data.evidence["train"])[0] for model in (module, *others)}
    judged, known = outcomes(data.exposures, "test"), known_probabilities(data.market, data.graph)
    floor = None
    if known is not None and np.isfinite(known[judged.member]).all():
        floor = float(log_loss(judged.chance(known), judged.label).mean())
    absent = () if known is not None else ("True activation probabilities are not known: the market is real.",)
    return DiffusionEvaluation(
        model=module.title,
        metrics={title: score(judged, p, known, bins=config.bins) for title, p in found.items()},
        floor=floor,
        reliability={
            title: reliability_curve(judged.chance(p), judged.label, bins=config.bins) for title, p in found.items()
        },
        seen=seen_groups(data, judged, found, known),
        against_truth=None if known is None else _density(found[module.title], known),
        absent=absent,
        facts=_facts(data, module, judged),
    ), module


def fit(config: DiffusionModelConfig, kind: Kind, data: DiffusionData, seed: int) -> DiffusionModule:
    """Fit a model of another kind with the same settings to the same exposures.

    Args:
        config: of the model that it is compared with.
        kind: which.
        data: exposures.
        seed: of its first weights.

    Returns:
        The fitted model.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DiffusionModule.begin(dataclasses.replace(config, kind=kind), data)
        train(model, model.epochs, data.train_dataloader(), data.val_dataloader())
    return model


def export(
    config: DiffusionEvaluationConfig, module: DiffusionModule, data: DiffusionData
) -> tuple[pa.Table, Exported]:
    """Make the score table: every edge of follows, the exposures of all windows counted.

    Args:
        config: how many edges are named.
        module: trained.
        data: of the market.

    Returns:
        The table activation (source activates target), and what the report says of it.
    """
    graph, seen = data.graph, data.evidence["all"]
    probability, deviation = module.probabilities(data, seen)
    rows = np.flatnonzero(graph.followed)
    ids = [graph.ids.take(pa.array(side[rows])) for side in (graph.source, graph.target)]
    table = pa.table({"source_id": ids[0], "target_id": ids[1], "probability": probability[rows]})
    known = known_probabilities(data.market, graph)
    successes = estimate(seen, prior_mean=np.clip(probability, 1e-6, 1 - 1e-6), prior_weight=1.0).successes
    top = rows[np.argsort(-probability[rows], kind="stable")[: config.strongest]]
    edges, bounds = np.histogram(probability[rows], bins=BARS, range=(0, max(float(probability[rows].max()), 1e-6)))
    return table, Exported(
        rows=len(rows),
        bounds=bounds,
        edges=edges,
        mean=float(probability[rows].mean()),
        metrics={} if known is None else against(probability[rows], known[rows]),
        strongest=tuple(
            Strong(
                source=graph.ids[int(graph.source[edge])].as_py(),
                target=graph.ids[int(graph.target[edge])].as_py(),
                probability=float(probability[edge]),
                deviation=float(deviation[edge]) if np.isfinite(deviation[edge]) else None,
                exposures=int(seen.trials[edge]),
                activations=float(successes[edge]),
                known=None if known is None or np.isnan(known[edge]) else float(known[edge]),
            )
            for edge in top.tolist()
        ),
    )


def seen_groups(
    data: DiffusionData, judged: Judged, found: Mapping[str, Reals], known: Reals | None
) -> tuple[SeenGroup, ...]:
    """Judge edges by how often training has seen them.

    Args:
        data: of the market.
        judged: outcomes of the test window.
        found: title -> (M,) probabilities.
        known: (M,) known probabilities, or None.

    Returns:
        Groups that have an edge, fewest exposures first.
    """
    trials = data.evidence["train"].trials
    alone = np.diff(judged.start) == 1
    edge, label = judged.member[judged.start[:-1][alone]], judged.label[alone]
    groups = []
    for name, fewest, most in GROUPS:
        of_group: NDArray[np.bool_] = (trials >= fewest) & (trials <= most)
        tested, told = of_group[edge], of_group if known is None else of_group & np.isfinite(known)
        if not of_group.any():
            continue
        groups.append(
            SeenGroup(
                name=name,
                edges=int(of_group.sum()),
                exposures=int(tested.sum()),
                log_loss={
                    title: float(log_loss(p[edge[tested]], label[tested]).mean()) if tested.any() else float("nan")
                    for title, p in found.items()
                },
                error={}
                if known is None or not told.any()
                else {title: float(np.sqrt(np.mean((p - known)[told] ** 2))) for title, p in found.items()},
            )
        )
    return tuple(groups)


def _density(probability: Reals, known: Reals) -> AgainstTruth:
    held = np.isfinite(known)
    p, q = np.clip(probability[held], 1e-4, 1), np.clip(known[held], 1e-4, 1)
    low, high = min(p.min(), q.min()), max(p.max(), q.max())
    bounds = np.geomspace(low * 0.999, high * 1.001, CELLS + 1)
    groups = np.array_split(np.argsort(p, kind="stable"), min(PARTS, len(p)))
    return AgainstTruth(
        bounds=bounds,
        edges=np.histogram2d(p, q, bins=(bounds, bounds))[0].astype(np.int64),
        predicted=np.array([p[group].mean() for group in groups]),
        known=np.array([q[group].mean() for group in groups]),
    )


def _check_origin(checkpoint: Mapping[str, Any], data: DiffusionData) -> None:
    stored, now = checkpoint.get(ORIGIN, {}), data.origin
    other = [name for name, value in now.items() if name in stored and stored[name] != value]
    if other:
        raise CheckpointError(
            f"The model was trained with other {', '.join(other)} than this request has. Use the market and the data "
            "settings of its training (config.yaml in its run folder), or train anew."
        )


def _facts(data: DiffusionData, module: DiffusionModule, judged: Judged) -> dict[str, Any]:
    """Plain values for the report."""
    exposures, graph, windows = data.exposures, data.graph, {}
    for place, name in enumerate(("train", "validate", "test")):
        rows = exposures.rows(name)
        windows[name] = {
            "exposures": len(rows),
            "activations": data.evidence[name].activations,
            "first_day": str(exposures.first[place].astype("datetime64[D]")) if exposures.first else "",
        }
    return {
        "windows": windows,
        "accounts": len(graph.ids),
        "edges": int(graph.followed.sum()),
        "unfollowed": int((~graph.followed).sum()),
        "unseen": int((data.evidence["train"].trials == 0).sum()),
        "shared": exposures.shared,
        "shared_activations": len(data.evidence["all"].start) - 1,
        "outcomes": len(judged.label),
        "columns": len(module.columns.node) * 2 + len(module.columns.edge),
        "kind": module.config.kind,
        "rate": float(module.fitted[0]),
        "weight": module.weight,
    }
