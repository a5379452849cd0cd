"""Evaluating the diffusion model: metrics beside the others, a report, and the probabilities that cascades run on."""

import dataclasses
import logging
from collections.abc import Mapping

from micromega.config.schema import dotted
from micromega.config.validate import resolve_target
from micromega.errors import ConfigError, MissingExtraError
from micromega.files import write_text_atomically
from micromega.models.diffusion.data import DiffusionData
from micromega.models.diffusion.evaluate import export
from micromega.models.diffusion.module import DiffusionModule
from micromega.models.diffusion.result import DiffusionEvaluation
from micromega.runs import record
from micromega.runs.checkpoint import load_checkpoint
from micromega.runs.evaluation import METRICS, REPORT, EvaluationRun, metrics_table, to_json
from micromega.scores import Lineage, ScoreKind, write_scores

log = logging.getLogger(__name__)
ACTIVATION = "activation.parquet"
NOTE = (
    "probability is the chance that an exposure of target_id to a post that source_id has passed on makes target_id "
    "pass it on; all exposures of the market are counted."
)


def evaluate_diffusion(run: EvaluationRun) -> Mapping[str, Mapping[str, float]]:
    """Judge a diffusion model and write its probabilities of all follows.

    Args:
        run: the evaluation.

    Returns:
        title of a model -> metric -> value, the model itself first.

    Raises:
        ConfigError: the model is another one.
        CheckpointError: the model was trained on other data.
    """
    request, folder = run.request, run.folder
    if resolve_target(dotted(type(request.model).config_target)) is not DiffusionModule:
        raise ConfigError("evaluation=diffusion judges activation probabilities: set model=diffusion.")
    evaluate = resolve_target(dotted(type(request.evaluation).config_target))
    data = DiffusionData(request.data, run.market)
    data.setup("test")
    result, module = evaluate(
        request.evaluation, checkpoint=load_checkpoint(run.checkpoint), data=data, seed=request.seed
    )
    write_text_atomically(folder / METRICS, to_json(result.metrics))
    log.info("On %d outcomes of the test window:\n%s", result.facts["outcomes"], metrics_table(result.metrics))
    lineage = run.lineage(ScoreKind.PROBABILITY, (NOTE,))
    if request.evaluation.export:
        table, exported = export(request.evaluation, module, data)
        write_scores(table, folder / ACTIVATION, name="activation", lineage=lineage)
        log.info("Wrote probabilities of %s follows: %s", f"{table.num_rows:,}", ACTIVATION)
        result = dataclasses.replace(result, exported=exported)
    write_text_atomically(folder / record.EVALUATION, to_json(result))
    _report(run, result, lineage)
    metrics: Mapping[str, Mapping[str, float]] = result.metrics
    return metrics


def _report(run: EvaluationRun, result: DiffusionEvaluation, lineage: Lineage) -> None:
    """Write the page; without the extra that draws it, say so and go on: the numbers are in the other files."""
    try:
        from micromega.report.diffusion import render_diffusion  # noqa: PLC0415  (matplotlib is behind it)
    except MissingExtraError as error:
        log.warning("No report is written. %s", error)
        return
    simulated = run.market.name.startswith("simulated")
    page = render_diffusion(
        result,
        market=run.market.name,
        lineage=run.shown(lineage),
        notice="This market is simulated: its accounts and exposures are made up." if simulated else None,
    )
    path = run.folder / REPORT
    write_text_atomically(path, page)
    log.info("Open the report: %s", path)
