"""Evaluating a model of content: its metrics, a report, and the vectors of posts."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micromega.config.schema import dotted
from micromega.config.validate import resolve_target
from micromega.errors import CheckpointError, MissingExtraError
from micromega.files import write_text_atomically
from micromega.models.vsvae.data import PostData
from micromega.models.vsvae.result import RepresentationEvaluation
from micromega.runs import record
from micromega.runs.checkpoint import load_checkpoint
from micromega.runs.evaluation import METRICS, REPORT, EvaluationRun, metrics_table, to_json
from micromega.scores import Lineage, ScoreKind, embedding_table, write_scores

log = logging.getLogger(__name__)
EMBEDDING = "embedding.parquet"


def evaluate_representation(run: EvaluationRun) -> Mapping[str, Mapping[str, float]]:
    """Describe a market's posts and judge the descriptions.

    Args:
        run: the evaluation.

    Returns:
        method -> metric -> value, the model first.
    """
    request, folder = run.request, run.folder
    checkpoint = load_checkpoint(run.checkpoint)
    data = PostData(request.data, run.market, words=_words(checkpoint, run.checkpoint))
    evaluate = resolve_target(dotted(type(request.evaluation).config_target))
    kept = folder / "r.npy.part"
    try:
        result: RepresentationEvaluation = evaluate(
            request.evaluation,
            checkpoint=checkpoint,
            data=data,
            seed=request.seed,
            kept=kept,
            model=resolve_target(dotted(type(request.model).config_target)),
        )
        write_text_atomically(folder / METRICS, to_json(result.metrics))
        log.info("On %d held-out posts:\n%s", result.facts["judged"], metrics_table(result.metrics))
        lineage = run.lineage(ScoreKind.VECTOR, ("A vector is r, the posterior mean of a post's content.",))
        _export(run, result, data, lineage)
    finally:
        kept.unlink(missing_ok=True)
    _report(run, result, lineage)
    return result.metrics


def _words(checkpoint: Mapping[str, Any], file: Path) -> Sequence[str] | None:
    saved = checkpoint.get("hyper_parameters", {})
    if "words" not in saved or "sizes" not in saved:
        raise CheckpointError(f"{file}: no checkpoint of a VS-VAE. Give one that train.py made with this model.")
    return saved["words"] or None


def _export(run: EvaluationRun, result: RepresentationEvaluation, data: PostData, lineage: Lineage) -> None:
    wanted = run.request.evaluation.posts
    if wanted != "none" and result.vectors is not None:
        parts = data.splits.values() if wanted == "all" else [data.splits[wanted]]
        rows = np.sort(np.concatenate(list(parts)))
        table = embedding_table(subject_ids=data.post_ids.take(rows), vectors=result.vectors[rows])
        write_scores(table, run.folder / EMBEDDING, name="embedding", lineage=lineage)
    write_text_atomically(run.folder / record.EVALUATION, to_json(dataclasses.replace(result, vectors=None)))


def _report(run: EvaluationRun, result: RepresentationEvaluation, lineage: Lineage) -> None:
    """Write the page; without the extra that draws it, say so and go on: the numbers are in the other files."""
    try:
        from micromega.report.representation import render_representation  # noqa: PLC0415  (matplotlib is behind it)
        from micromega.report.representation_content import RepresentationReport  # noqa: PLC0415
    except MissingExtraError as error:
        log.warning("No report is written. %s", error)
        return
    counted = result.facts
    report = RepresentationReport(
        market=run.market.name,
        result=result,
        notice="This market is simulated: its posts are made up." if run.market.name.startswith("simulated") else None,
        facts={
            "Posts": ", ".join(f"{count:,} {name}" for name, count in counted["posts"].items()),
            "Parts": ", ".join(f"{part} {size:,}" for part, size in counted["parts"].items()),
            "Length of r": str(counted["latent_size"]),
            "Posterior": counted["posterior"],
            "Weights of the network": f"{counted['weights']:,}",
            "Variance that PCA keeps": f"{counted['pca_share']:.0%}",
        },
        lineage=run.shown(lineage),
    )
    write_text_atomically(run.folder / REPORT, render_representation(report))
    log.info("Open the report: %s", run.folder / REPORT)
