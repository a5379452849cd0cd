"""Evaluating the effectiveness model: metrics beside the others, a report, and the table that plans are made of."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from micromega.config.schema import dotted
from micromega.config.validate import resolve_target
from micromega.errors import ConfigError, DataError, MissingExtraError
from micromega.files import write_text_atomically
from micromega.models.effectiveness.data import EffectivenessData
from micromega.models.effectiveness.module import EffectivenessModule
from micromega.models.effectiveness.result import EffectivenessEvaluation, Exported
from micromega.models.effectiveness.truth import SAMPLE, compare_with_truth
from micromega.models.effectiveness.upcoming import Upcoming, find_upcoming, predict_upcoming
from micromega.runs import record
from micromega.runs.checkpoint import load_checkpoint
from micromega.runs.evaluation import METRICS, REPORT, EvaluationRun, metrics_table, to_json
from micromega.scores import Lineage, ScoreKind
from micromega.scores.stream import write_scores_in_blocks

log = logging.getLogger(__name__)
EFFECTIVENESS = "effectiveness.parquet"
KIND_OF = {
    "impressions": ScoreKind.IMPRESSIONS,
    "engagement": ScoreKind.ENGAGEMENT,
    "revenue": ScoreKind.CURRENCY,
}
"""Outcome -> unit of the score table."""


def evaluate_effectiveness(run: EvaluationRun) -> Mapping[str, Mapping[str, float]]:
    """Judge an effectiveness model and write its predictions for events to come.

    Args:
        run: the evaluation.

    Returns:
        title of a model -> metric -> value, the model itself first.

    Raises:
        ConfigError: the model is another one, or a setting names something unknown.
        CheckpointError: the model was trained on other data.
    """
    request, folder = run.request, run.folder
    if resolve_target(dotted(type(request.model).config_target)) is not EffectivenessModule:
        raise ConfigError("evaluation=effectiveness judges what posts bring: set model=effectiveness.")
    evaluate = resolve_target(dotted(type(request.evaluation).config_target))
    data = EffectivenessData(request.data, run.market)
    data.setup("test")
    result, module = evaluate(
        request.evaluation, checkpoint=load_checkpoint(run.checkpoint), data=data, seed=request.seed
    )
    write_text_atomically(folder / METRICS, to_json(result.metrics))
    windows = result.facts["windows"]
    log.info(
        "On %d campaigns from %s on:\n%s",
        windows["test"]["rows"], windows["test"]["first_day"], metrics_table(result.metrics),
    )  # fmt: skip
    lineage = run.lineage(KIND_OF[result.outcome], (_note(result),))
    if request.evaluation.export:
        result = _export(run, result, module, data, lineage)
    write_text_atomically(folder / record.EVALUATION, to_json(result))
    _report(run, result, lineage)
    metrics: Mapping[str, Mapping[str, float]] = result.metrics
    return metrics


def _note(result: EffectivenessEvaluation) -> str:
    return (
        f"mean is the expected {result.outcome} of one post, std the standard deviation of what one post brings around "
        f"it; both in {result.unit}."
    )


def _export(
    run: EvaluationRun,
    result: EffectivenessEvaluation,
    module: EffectivenessModule,
    data: EffectivenessData,
    lineage: Lineage,
) -> EffectivenessEvaluation:
    """Write the score table; a market without prices or events to come has none, and the report says so."""
    try:
        upcoming = find_upcoming(run.request.evaluation, data)
    except DataError as error:
        log.warning("No %s is written. %s", EFFECTIVENESS, error)
        return dataclasses.replace(result, absent=(*result.absent, f"No predictions for events to come. {error}"))
    sample: list[pa.Table] = []
    rows = write_scores_in_blocks(
        _sampled(upcoming, module, data, run.request.evaluation.batch_rows, sample),
        run.folder / EFFECTIVENESS,
        name="effectiveness",
        lineage=lineage,
    )
    log.info("Predicted %s posts for %d events to come: %s", f"{rows:,}", len(set(upcoming.event)), EFFECTIVENESS)
    exported = Exported(
        rows=rows,
        events=len(set(upcoming.event.tolist())),
        creators=len(set(upcoming.creator.tolist())),
        plan_day=str(np.datetime64(upcoming.plan_day, "D")),
        **compare_with_truth(data.market, sample, result.outcome),
    )
    return dataclasses.replace(result, exported=exported)


def _sampled(
    upcoming: Upcoming, module: EffectivenessModule, data: EffectivenessData, batch_rows: int, sample: list[pa.Table]
) -> Iterator[pa.Table]:
    """Hand blocks on, and keep some of their rows to compare with the truth."""
    step = max(1, -(-upcoming.rows // SAMPLE))
    for number, block in enumerate(predict_upcoming(upcoming, module, data, batch_rows=batch_rows)):
        first = -(number * batch_rows) % step
        sample.append(block.take(pa.array(np.arange(first, block.num_rows, step))))
        yield block


def _report(run: EvaluationRun, result: EffectivenessEvaluation, lineage: Lineage) -> None:
    """Write the page; without the extra that draws it, say so and go on: the numbers are in the other files."""
    try:
        from micromega.report.effectiveness import render_effectiveness  # noqa: PLC0415  (matplotlib is behind it)
    except MissingExtraError as error:
        log.warning("No report is written. %s", error)
        return
    simulated = run.market.name.startswith("simulated")
    page = render_effectiveness(
        result,
        market=run.market.name,
        lineage=run.shown(lineage),
        notice="This market is simulated: its campaigns are made up." if simulated else None,
    )
    path: Path = run.folder / REPORT
    write_text_atomically(path, page)
    log.info("Open the report: %s", path)
