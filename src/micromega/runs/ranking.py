"""Evaluating a ranker: its metrics, calibrated scores, shortlists, and a report."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from micromega.config.schema import RunConfig, dotted
from micromega.config.validate import resolve_target
from micromega.errors import CheckpointError, ConfigError, MissingExtraError
from micromega.files import sha256_of, write_text_atomically
from micromega.market.market import Market
from micromega.models.evaluation import PairScores, RankingEvaluation, Retrieved
from micromega.models.mir.blend import Member
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.data import MIRData
from micromega.runs import record
from micromega.runs.brand_metrics import BRAND_METRICS, read_compared, write_brand_metrics
from micromega.runs.calibration import Calibrated, calibrated
from micromega.runs.checkpoint import load_checkpoint
from micromega.runs.evaluation import METRICS, REPORT, EvaluationRun, metrics_table, to_json
from micromega.runs.retrieval import write_retrieval
from micromega.runs.trained import check_finished, trained_checkpoint, trained_settings
from micromega.scores import Lineage, ScoreKind, affinity_table, calibrate_affinity, write_scores

log = logging.getLogger(__name__)
BRANDS_NOTE = {
    "all": "Holds brands that the model was trained on; their scores are too good.",
    "cold": "Holds brands with too few known partners to be judged on; no metric speaks of their scores.",
}
"""What the score table says of itself, by `evaluation.brands`."""
MENTIONS_NOTE = "Brands are known by all posts that mention them; the scores of who wrote these posts are too good."
"""What a table of shortlists says of itself where a full one leaves out the scored creator's posts."""


def check_request(request: RunConfig) -> None:
    """Refuse runs to compare or to mix with that cannot be read, before any work (ConfigError)."""
    read_compared(request.evaluation.compare)
    for name, folder in request.evaluation.blend.items():
        _settings(name, folder)


def evaluate_ranking(run: EvaluationRun) -> Mapping[str, Mapping[str, float]]:
    """Judge a ranker and write its scores.

    Args:
        run: the evaluation.

    Returns:
        method -> metric -> value, the model first.

    Raises:
        ScoreError: the scores cannot be calibrated; metrics are written before that.
    """
    request, folder = run.request, run.folder
    datamodule = resolve_target(dotted(type(request.data).config_target))(request.data, run.market)
    evaluate = resolve_target(dotted(type(request.evaluation).config_target))
    result: RankingEvaluation = evaluate(
        request.evaluation,
        checkpoint=load_checkpoint(run.checkpoint),
        data=datamodule,
        seed=request.seed,
        model=resolve_target(dotted(type(request.model).config_target)),
        members=_members(request, run.market),
        compared=read_compared(request.evaluation.compare),
        retrieve=request.retrieve,
    )
    write_text_atomically(folder / METRICS, to_json(result.metrics))
    write_brand_metrics(result.by_brand, folder / BRAND_METRICS)
    log.info("On %d held-out brands:\n%s", len(result.test.brand_ids), metrics_table(result.metrics))
    calibration = calibrated(request.evaluation.calibration, result)
    lineage = run.lineage(
        ScoreKind.PROBABILITY if calibration else ScoreKind.RANK_LOGIT, _notes(request, result, calibration)
    )
    exported = result.exported
    retrieved = write_retrieval(folder, exported, lineage) if isinstance(exported, Retrieved) else None
    _export(run, result, calibration, lineage, retrieved)
    _report(run, result, calibration, lineage, retrieved)
    return result.metrics


def check_vectors(request: RunConfig, market: Market) -> None:
    """Refuse shortlists of all brands (ConfigError) where creators look otherwise to test brands than to the others.

    A table of all pairs holds each brand's scores by the values that it is judged, or was trained, with; a creator has
    one vector.
    """
    if request.retrieve == "none" or request.evaluation.brands != "all" or not request.data.published_split:
        return
    both = [name for name in request.data.modalities if f"{name}_test" in market.feature_names]
    if both:
        msg = (
            f"retrieve={request.retrieve}: with data.published_split=true creators have other {', '.join(both)} for "
            "test brands than for those of training, and only one vector. Set evaluation.brands=test, or retrieve=none."
        )
        raise ConfigError(msg)


def _settings(name: str, folder: str) -> tuple[MIRDataConfig, Any]:
    """Data and model settings of a ranker to mix with."""
    try:
        data, model = trained_settings(Path(folder))
    except ConfigError as error:
        raise ConfigError(f"evaluation.blend.{name}: {error}") from error
    if not isinstance(data, MIRDataConfig):
        raise ConfigError(
            f"evaluation.blend.{name}: {folder} holds no ranker of creators. Name one of model=mir or lambdamart."
        )
    return data, model


def _members(request: RunConfig, market: Market) -> dict[str, Member]:
    """Rankers to mix with, each with the data settings of its own training."""
    found = {}
    for name, place in request.evaluation.blend.items():
        folder = Path(place)
        data, model = _settings(name, place)
        try:
            check_finished(folder, market)
            checkpoint = trained_checkpoint(folder)
        except CheckpointError as error:
            raise CheckpointError(f"evaluation.blend.{name}: {error}") from error
        found[name] = Member(
            checkpoint=load_checkpoint(checkpoint),
            sha256=sha256_of(checkpoint),
            model=resolve_target(dotted(type(model).config_target)),
            data=MIRData(data, market),
        )
    return found


def _notes(request: RunConfig, result: RankingEvaluation, calibration: Calibrated | None) -> tuple[str, ...]:
    notes = []
    if calibration:
        notes.append(f"Calibrated ({calibration.method}) on {len(result.validation.brand_ids)} validation brands.")
    if mixed := result.facts["blend"]:
        notes.append(
            f"Mixed: {1 - request.evaluation.blend_weight:.0%} of this checkpoint, the rest of "
            + ", ".join(f"{name} ({sha256[:12]})" for name, sha256 in mixed.items())
            + "."
        )
    if request.evaluation.brands in BRANDS_NOTE:
        notes.append(BRANDS_NOTE[request.evaluation.brands])
    if isinstance(result.exported, Retrieved):
        found = result.exported.shortlists.facts
        notes.append(
            f"Holds the first {found.shortlist:,} of {found.creators:,} creators of each brand ({found.served} search)."
        )
        if result.facts["brand_posts"] == "mentions":
            notes.append(MENTIONS_NOTE)
    return tuple(notes)


def _export(
    run: EvaluationRun,
    result: RankingEvaluation,
    calibration: Calibrated | None,
    lineage: Lineage,
    retrieved: dict[str, Any] | None,
) -> None:
    table = affinity_table(**rows_of(result.exported))
    if calibration:
        table = calibrate_affinity(table, calibration.calibration)
    write_scores(table, run.folder / record.AFFINITY, name="affinity", lineage=lineage)
    content = {
        "metrics": result.metrics,
        "calibration": calibration.plain() if calibration else None,
        "facts": result.facts,
        "intervals": result.intervals,
        "tests": result.tests,
        "categories": result.categories,
        "self_similarity": _self_similarity(result),
        "absent": result.absent,
        "retrieval": retrieved,
    }
    write_text_atomically(run.folder / record.EVALUATION, to_json(content))


def _self_similarity(result: RankingEvaluation) -> dict[str, Any] | None:
    alike = result.self_similarity
    if alike is None:
        return None
    rows = zip(alike.categories, alike.brands, alike.average, alike.weighted, strict=True)
    return {
        "categories": [
            {"category": str(name), "brands": int(brands), "average": float(average), "weighted": float(weighted)}
            for name, brands, average, weighted in rows
        ],
        "between": dict(zip(("average", "weighted"), alike.between, strict=True)),
    }


def _report(
    run: EvaluationRun,
    result: RankingEvaluation,
    calibration: Calibrated | None,
    lineage: Lineage,
    retrieved: dict[str, Any] | None,
) -> None:
    """Write the page; without the extra that draws it, say so and go on: the numbers are in the other files."""
    try:
        from micromega.report.ranking import render_ranking  # noqa: PLC0415  (matplotlib is behind it)
        from micromega.runs.ranking_report import ranking_report  # noqa: PLC0415
    except MissingExtraError as error:
        log.warning("No report is written. %s", error)
        return
    content = ranking_report(result, calibration, retrieved, market=run.market, lineage=run.shown(lineage))
    write_text_atomically(run.folder / REPORT, render_ranking(content))
    log.info("Open the report: %s", run.folder / REPORT)


def rows_of(pairs: PairScores | Retrieved) -> dict[str, Any]:
    """Arguments of `affinity_table`: one row for each pair that is exported."""
    if isinstance(pairs, Retrieved):
        scores, creator_ids = pairs.shortlists.scores, pairs.creator_ids[pairs.shortlists.rows.ravel()]
    else:
        scores, creator_ids = pairs.scores, np.tile(pairs.creator_ids, len(pairs.brand_ids))
    return {
        "brand_ids": np.repeat(pairs.brand_ids, scores.shape[1]),
        "creator_ids": creator_ids,
        "scores": scores.ravel(),
        "score_std": None if pairs.deviation is None else pairs.deviation.ravel(),
    }
