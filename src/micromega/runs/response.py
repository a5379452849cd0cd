"""Evaluating Deep IV or DFIV: its curves, what is known of the instrument, and the table that sizes are chosen from."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from micromega.config.schema import dotted
from micromega.config.validate import resolve_target
from micromega.errors import CheckpointError, ConfigError, MissingExtraError
from micromega.files import write_text_atomically
from micromega.models.deepiv.result import CausalEvaluation
from micromega.runs import record
from micromega.runs.checkpoint import load_checkpoint
from micromega.runs.evaluation import METRICS, REPORT, EvaluationRun, metrics_table, to_json
from micromega.runs.trained import trained_checkpoint
from micromega.scores import Lineage, ResponseFacts, ScoreKind, write_scores

log = logging.getLogger(__name__)
RESPONSE = "response.parquet"
NOTE = (
    "Bands show sampling variability over creators, not total error; that the instrument acts through followers alone "
    "cannot be tested."
)
NARROW = "Bands leave out how much the fit itself varies, so they are far too narrow: train with model.bootstrap=50."


def evaluate_response(run: EvaluationRun) -> Mapping[str, Mapping[str, float]]:
    """Judge a causal model and write its response curves.

    Args:
        run: the evaluation.

    Returns:
        method -> metric -> value, the model first.

    Raises:
        CheckpointError: stage 1 is missing or another than stage 2 stands on.
        ConfigError: the model has no response to judge.
    """
    request, folder = run.request, run.folder
    evaluate = resolve_target(dotted(type(request.evaluation).config_target))
    model = resolve_target(dotted(type(request.model).config_target))
    if not hasattr(model, "without_instrument"):
        raise ConfigError("evaluation=deepiv judges what followers cause: set model=deepiv or model=dfiv.")
    data = resolve_target(dotted(type(request.data).config_target))(request.data, run.market)
    data.setup("test")
    result: CausalEvaluation = evaluate(
        request.evaluation,
        checkpoint=load_checkpoint(run.checkpoint),
        treatment=load_checkpoint(_first_stage(run.checkpoint)) if hasattr(model, "earlier") else None,
        data=data,
        seed=request.seed,
        model=model,
    )
    write_text_atomically(folder / METRICS, to_json(result.metrics))
    log.info("On %d posts:\n%s", result.facts["posts"], metrics_table(result.metrics))
    log.info("The instrument:\n%s", result.diagnostics.verdict.text)
    narrow = () if result.facts["bootstrap"] else (NARROW,)
    notes = (NOTE, *narrow, *result.diagnostics.verdict.warnings)
    facts = response_facts(result, centre=float(data.inputs.treatment.mean()))
    lineage = dataclasses.replace(run.lineage(ScoreKind.LOG_IMPRESSIONS, notes), response=facts)
    write_scores(response_table(result), folder / RESPONSE, name="response", lineage=lineage)
    write_text_atomically(folder / record.EVALUATION, to_json(result))
    _report(run, result, lineage)
    return result.metrics


def _report(run: EvaluationRun, result: CausalEvaluation, lineage: Lineage) -> None:
    """Write the page; without the extra that draws it, say so and go on: the numbers are in the other files."""
    try:
        from micromega.report.response import render_response  # noqa: PLC0415  (matplotlib is behind it)
    except MissingExtraError as error:
        log.warning("No report is written. %s", error)
        return
    simulated = run.market.name.startswith("simulated")
    page = render_response(
        result,
        market=run.market.name,
        lineage=run.shown(lineage),
        notice="This market is simulated: its posts are made up." if simulated else None,
    )
    write_text_atomically(run.folder / REPORT, page)
    log.info("Open the report: %s", run.folder / REPORT)


def _first_stage(checkpoint: Path) -> Path:
    """Checkpoint of the stage 1 that a run folder names."""
    named = record.read_record(checkpoint.parent.parent).get("stages", {}).get("treatment")
    if named is None:
        raise CheckpointError(
            f"{checkpoint}: its run folder does not say on which stage 1 (treatment) it stands. Give a checkpoint in "
            "the folder that train.py made."
        )
    return trained_checkpoint(Path(named))


def response_facts(result: CausalEvaluation, *, centre: float) -> ResponseFacts:
    """Say what the bands hold and which sizes were observed.

    Args:
        result: the evaluation.
        centre: mean log followers of the posts.

    Returns:
        What the solver is told beside the curves.
    """
    facts = result.facts
    return ResponseFacts(band=facts["bands"], level=facts["level"], support=result.support, centre=centre)


def response_table(result: CausalEvaluation) -> pa.Table:
    """Lay out curves as the response table: one row for each subject and size."""
    sizes = len(result.log_followers)
    columns: dict[str, Any] = {
        "subject_id": np.repeat([subject.elasticity.group for subject in result.subjects], sizes),
        "log_followers": np.tile(result.log_followers, len(result.subjects)),
        "log_impressions": np.concatenate([subject.log_impressions for subject in result.subjects]),
        "elasticity": np.concatenate([subject.elasticity.elasticity for subject in result.subjects]),
        "lower": np.concatenate([subject.lower for subject in result.subjects]),
        "upper": np.concatenate([subject.upper for subject in result.subjects]),
        "direct_shift": np.full(sizes * len(result.subjects), np.nan),
    }
    if result.diagnostics.direct is not None:
        columns["direct_shift"][:sizes] = result.diagnostics.direct.shift  # of all posts, the first subject
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
