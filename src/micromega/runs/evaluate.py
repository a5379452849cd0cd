"""`evaluate.py`: a trained model's metrics beside its baselines, and the score tables that decisions are made from."""

import dataclasses
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from micromega.config.schema import RunConfig, dotted, plain
from micromega.config.signature import run_name, signature
from micromega.config.validate import resolve_target
from micromega.errors import CheckpointError
from micromega.files import sha256_of, write_text_atomically
from micromega.market.market import Market
from micromega.market.open import open_market
from micromega.models.evaluation import PairScores, RankingEvaluation
from micromega.runs import record
from micromega.runs.checkpoint import FOLDER, best, load_checkpoint
from micromega.runs.lock import locked
from micromega.runs.record import optimized
from micromega.scores import (
    Lineage,
    Platt,
    ScoreKind,
    affinity_table,
    calibrate_affinity,
    expected_calibration_error,
    fit_platt,
    reliability_curve,
    write_scores,
)

log = logging.getLogger(__name__)


def run(request: RunConfig, config: DictConfig, folder: Path) -> float | None:
    """Evaluate the model that train.py fitted for the same request (or `ckpt_path`).

    Args:
        request: the validated configuration.
        config: the configuration as composed.
        folder: the run folder.

    Returns:
        The metric named by `optimized_metric`; None if none is named.

    Raises:
        CheckpointError: nothing has been trained for this request.
        ScoreError: the scores cannot be calibrated; metrics are written before that.
    """
    with locked(folder):
        market = open_market(request.market, Path(request.paths.markets))
        trained = Path(request.paths.runs) / "train" / run_name(config, "train")
        checkpoint_path = Path(request.ckpt_path) if request.ckpt_path else _trained_checkpoint(trained)
        if not request.ckpt_path:
            _check_finished(trained, market)
        pl.seed_everything(request.seed, workers=True, verbose=False)
        record.write_config(folder, config)
        overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
        facts = record.lineage(
            signature=signature(config, "evaluate"),
            seed=request.seed,
            tags=request.tags,
            overrides=overrides,
            market=market,
        )
        record.update_record(folder, task="evaluate", status="running", checkpoint=str(checkpoint_path), **facts)
        datamodule = resolve_target(dotted(type(request.data).config_target))(request.data, market)
        evaluate = resolve_target(dotted(type(request.evaluation).config_target))
        result: RankingEvaluation = evaluate(
            request.evaluation, checkpoint=load_checkpoint(checkpoint_path), data=datamodule, seed=request.seed
        )
        write_text_atomically(folder / "metrics.json", _json(result.metrics))
        _log_table(result)
        _export(request, config, folder, market, result, checkpoint_path, facts)
        record.update_record(folder, status="done", finished_at=record.now())
        log.info("Evaluated. Metrics and score tables: %s", folder)
    return optimized(next(iter(result.metrics.values())), request.optimized_metric)


def _trained_checkpoint(trained: Path) -> Path:
    """The checkpoint that training ended with, where it is whole; else the best of those that are."""
    chosen = record.read_record(trained).get("best_checkpoint")
    if chosen and (trained / FOLDER / chosen).is_file():
        try:
            load_checkpoint(trained / FOLDER / chosen)
        except CheckpointError as error:
            log.warning("Passed over a damaged checkpoint: %s", error)
        else:
            return trained / FOLDER / str(chosen)
    return best(trained / FOLDER)


def _check_finished(trained: Path, market: Market) -> None:
    facts = record.read_record(trained)
    if facts.get("status") != "done":
        log.warning(
            "%s has not finished training (%s); its best checkpoint so far is used.", trained, facts.get("status")
        )
    if facts.get("market_fingerprint") not in (None, market.fingerprint):
        msg = f"{trained} was trained on other tables than {market.path} holds now. Train again."
        raise CheckpointError(msg)
    record.check_arrays(facts, market, trained)


def _export(
    request: RunConfig,
    config: DictConfig,
    folder: Path,
    market: Market,
    result: RankingEvaluation,
    checkpoint_path: Path,
    facts: dict[str, Any],
) -> None:
    table = affinity_table(**_flat(result.exported))
    kind, notes, calibration = ScoreKind.RANK_LOGIT, [], None
    if request.evaluation.calibrate:
        platt = fit_platt(result.validation.scores.ravel(), result.validation.positives.ravel())
        table, kind = calibrate_affinity(table, platt), ScoreKind.PROBABILITY
        calibration = _calibration(platt, result.test)
        notes.append(f"Calibrated on {len(result.validation.brand_ids)} validation brands.")
    if request.evaluation.brands == "all":
        notes.append("Holds brands that the model was trained on; their scores are too good.")
    lineage = Lineage(
        score_kind=kind,
        model=str(type(request.model).config_group).rsplit("/", 1)[-1],
        checkpoint_sha256=sha256_of(checkpoint_path),
        market_fingerprint=market.fingerprint,
        config_signature=signature(config, "evaluate"),
        git_commit=facts["git_commit"],
        currency=market.currency,
        notes=tuple(notes),
    )
    write_scores(table, folder / record.AFFINITY, name="affinity", lineage=lineage)
    content = {"metrics": result.metrics, "calibration": calibration, "facts": result.facts}
    write_text_atomically(folder / record.EVALUATION, _json(content))


def _flat(pairs: PairScores) -> dict[str, Any]:
    brands, creators = pairs.scores.shape
    return {
        "brand_ids": np.repeat(pairs.brand_ids, creators),
        "creator_ids": np.tile(pairs.creator_ids, brands),
        "scores": pairs.scores.ravel(),
        "score_std": None if pairs.deviation is None else pairs.deviation.ravel(),
    }


def _calibration(platt: Platt, test: PairScores) -> dict[str, Any]:
    probabilities, labels = platt(test.scores.ravel()), test.positives.ravel()
    curve = {key: value.tolist() for key, value in dataclasses.asdict(reliability_curve(probabilities, labels)).items()}
    return {
        "slope": platt.slope,
        "intercept": platt.intercept,
        "expected_calibration_error": expected_calibration_error(probabilities, labels),
        "curve": curve,
    }


def _log_table(result: RankingEvaluation) -> None:
    names = list(next(iter(result.metrics.values())))
    width = max(len(name) for name in names)
    rows = ["  ".join([f"{'':6}", *(f"{name:>{width}}" for name in names)])]
    for method, values in result.metrics.items():
        cells = (f"{values[name]:{width}.4f}" if math.isfinite(values[name]) else f"{'–':>{width}}" for name in names)
        rows.append("  ".join([f"{method:6}", *cells]))
    log.info("On %d held-out brands:\n%s", len(result.test.brand_ids), "\n".join(rows))


def _json(value: Any) -> str:
    return json.dumps(_without_nan(plain(value)), indent=2, allow_nan=False) + "\n"


def _without_nan(value: Any) -> Any:
    """Write what is not defined (a cAUC without rivals) as null, which every JSON reader knows."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
