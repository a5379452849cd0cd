"""The effectiveness model on the last window in time: metrics beside the other models, coverage, contributions."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from micromega.errors import CheckpointError
from micromega.models.deepiv.arrays import train
from micromega.models.effectiveness.config import EffectivenessEvaluationConfig, EffectivenessModelConfig
from micromega.models.effectiveness.data import EffectivenessData
from micromega.models.effectiveness.domains import split_by_domain
from micromega.models.effectiveness.features import DOMAINS, Features
from micromega.models.effectiveness.judge import (
    Judged,
    calibration,
    coverage_by_tier,
    coverage_rows,
    inside,
    score,
    test_rows,
)
from micromega.models.effectiveness.module import EffectivenessModule
from micromega.models.effectiveness.predictor import Prediction
from micromega.models.effectiveness.result import EffectivenessEvaluation, Explained, Importance
from micromega.models.origin import ORIGIN

UNITS = {"impressions": "impressions", "engagement": "likes, comments and shares", "revenue": "revenue"}
SHOWN = 12
"""Explained rows that the result names."""
MOST_COLUMNS = 20


def evaluate(
    config: EffectivenessEvaluationConfig, *, checkpoint: Mapping[str, Any], data: EffectivenessData, seed: int
) -> tuple[EffectivenessEvaluation, EffectivenessModule]:
    """Judge a trained model, and fit and judge the others.

    Args:
        config: what to compute.
        checkpoint: of the model, as read by `load_checkpoint`.
        data: the datamodule of the market, with the settings of the training.
        seed: of the other models' first weights and of the rows that are explained.

    Returns:
        The evaluation, and the model restored.

    Raises:
        CheckpointError: the model was trained on other data.
    """
    module = EffectivenessModule.restore(checkpoint)
    _check_origin(checkpoint, data)
    module.data = data
    models = [module] + [fit(module.config, kind, data, seed) for kind in config.compare if kind != module.config.kind]
    judged = test_rows(data)
    features = data.features.take(judged.rows)
    explained, references = _chosen(config, data, judged, seed)
    metrics, tiers, importance_of = {}, {}, {}
    for model in models:
        found = model.predict(features, judged.tier)
        metrics[model.title] = score(judged, found, model.conformal(), config.level)
        tiers[model.title] = coverage_by_tier(judged, inside(judged, found, model.conformal(), config.level))
        _, parts = split_by_domain(model, features.take(explained), references)
        importance_of[model.title] = dict(zip(DOMAINS, np.abs(parts).mean(axis=0).tolist(), strict=True))
    found = module.predict(features, judged.tier)
    absent = () if judged.expected is not None else ("What posts bring on average is not known: the market is real.",)
    unit = data.market.currency if data.config.outcome == "revenue" else UNITS[data.config.outcome]
    return EffectivenessEvaluation(
        model=module.title,
        outcome=data.config.outcome,
        unit=unit,
        level=config.level,
        metrics=metrics,
        coverage=coverage_rows(judged, found, module, config.level),
        tier_coverage=tiers,
        calibration=calibration(judged, found),
        importance=_importance(module, features.take(explained), references),
        importance_of=importance_of,
        explained=_examples(module, data, judged, found, explained[:SHOWN], features, references),
        absent=absent,
        facts=_facts(data, module),
    ), module


def fit(config: EffectivenessModelConfig, kind: Any, data: EffectivenessData, seed: int) -> EffectivenessModule:
    """Fit a model of another kind with the same settings to the same rows.

    Args:
        config: of the model that it is compared with.
        kind: which.
        data: rows.
        seed: of its first weights.

    Returns:
        The fitted model.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = EffectivenessModule.begin(dataclasses.replace(config, kind=kind), data)
        train(model, model.epochs, data.train_dataloader(), data.val_dataloader())
    return model


def _check_origin(checkpoint: Mapping[str, Any], data: EffectivenessData) -> None:
    stored, now = checkpoint.get(ORIGIN, {}), data.origin
    other = [name for name, value in now.items() if name in stored and stored[name] != value]
    if other:
        raise CheckpointError(
            f"The model was trained with other {', '.join(other)} than this request has. Use the market and the data "
            "settings of its training (config.yaml in its run folder), or train anew."
        )


def _chosen(
    config: EffectivenessEvaluationConfig, data: EffectivenessData, judged: Judged, seed: int
) -> tuple[NDArray[np.int64], Features]:
    """Test rows to be explained, by their place among those, and training rows that stand for "not known"."""
    generator = np.random.default_rng(seed)
    places = generator.choice(len(judged.rows), min(config.explained, len(judged.rows)), replace=False)
    train_rows = data.split.rows["train"]
    late = train_rows[len(train_rows) // 2 :]  # early rows have no history to speak of
    return places, data.features.take(generator.choice(late, min(config.references, len(late)), replace=False))


def _importance(module: EffectivenessModule, features: Features, references: Features) -> Importance:
    constant, parts = split_by_domain(module, features, references)
    columns: dict[str, float] = {}
    if "mean" in module.fitted.trees:
        each = np.abs(module.tree_contributions(features)[:, :-1]).mean(axis=0)
        names = module.tree_names()
        columns = {names[place]: float(each[place]) for place in np.argsort(-each, kind="stable")[:MOST_COLUMNS]}
    domains = dict(zip(DOMAINS, np.abs(parts).mean(axis=0).tolist(), strict=True))
    return Importance(constant=constant, domains=domains, columns=columns)


def _examples(
    module: EffectivenessModule,
    data: EffectivenessData,
    judged: Judged,
    found: Prediction,
    places: NDArray[np.int64],
    features: Features,
    references: Features,
) -> tuple[Explained, ...]:
    _, parts = split_by_domain(module, features.take(places), references)
    catalog, posts = data.catalog, data.split.tuples.take(judged.rows[places])
    return tuple(
        Explained(
            creator=catalog.creators.ids[int(posts.creator[n])].as_py() if posts.creator[n] >= 0 else "",
            content_type=catalog.content_types[posts.content_type[n]],
            event=catalog.events.ids[int(posts.event[n])].as_py() if posts.event[n] >= 0 else "",
            day=str(np.datetime64(int(posts.posted[n]), "D")),
            parts=tuple(parts[n].tolist()),
            predicted=float(found.mean[place]),
            found=float(judged.outcome[place]),
        )
        for n, place in enumerate(places.tolist())
    )


def _facts(data: EffectivenessData, module: EffectivenessModule) -> dict[str, Any]:
    """Plain values for the report."""
    split = data.split
    return {
        "campaigns": len(split.tuples),
        "dropped": data.past.dropped,
        "unsettled": split.unsettled,
        "windows": {
            name: {"rows": len(split.rows[name]), "first_day": str(np.datetime64(split.first_day[name], "D"))}
            for name in split.rows
        },
        "creators": len(data.catalog.creators.ids),
        "columns": len(module.columns.names) + len(module.columns.sizes),
        "kind": module.config.kind,
        "trees": {name: trees.num_trees() for name, trees in module.fitted.trees.items()},
        "smearing": float(module.fitted.get_buffer("smearing")),
    }
