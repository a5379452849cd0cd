"""`evaluate.py`: a trained model's metrics beside its baselines, a report, and the scores that plans are made from."""

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
from micromega.errors import CheckpointError, MissingExtraError
from micromega.files import sha256_of, write_text_atomically
from micromega.market.market import Market
from micromega.market.open import open_market
from micromega.models.evaluation import PairScores, RankingEvaluation
from micromega.runs import record
from micromega.runs.brand_metrics import BRAND_METRICS, read_compared, write_brand_metrics
from micromega.runs.calibration import Calibrated, calibrated
from micromega.runs.checkpoint import FOLDER, best, load_checkpoint
from micromega.runs.lock import locked
from micromega.runs.record import optimized
from micromega.runs.retrieval import FILES, write_retrieval
from micromega.scores import Lineage, ScoreKind, affinity_table, calibrate_affinity, write_scores

log = logging.getLogger(__name__)
REPORT = "report.html"
BRANDS_NOTE = {
    "all": "Holds brands that the model was trained on; their scores are too good.",
    "cold": "Holds brands with too few known partners to be judged on; no metric speaks of their scores.",
}
"""What the score table says of itself, by `evaluation.brands`."""


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
        compared = read_compared(request.evaluation.compare)
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
            request.evaluation,
            checkpoint=load_checkpoint(checkpoint_path),
            data=datamodule,
            seed=request.seed,
            model=resolve_target(dotted(type(request.model).config_target)),
            compared=compared,
            embed=request.retrieve != "none",
        )
        write_text_atomically(folder / "metrics.json", _json(result.metrics))
        write_brand_metrics(result.by_brand, folder / BRAND_METRICS)
        _log_table(result)
        calibration = calibrated(request.evaluation.calibration, result)
        lineage = _lineage(request, config, market, result, checkpoint_path, calibration, facts)
        retrieved = _retrieve(request, folder, result, lineage)
        _export(folder, result, calibration, lineage, retrieved)
        _report(folder, result, calibration, market, facts, lineage, retrieved)
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


def _lineage(
    request: RunConfig,
    config: DictConfig,
    market: Market,
    result: RankingEvaluation,
    checkpoint_path: Path,
    calibration: Calibrated | None,
    facts: dict[str, Any],
) -> Lineage:
    notes = []
    if calibration:
        notes.append(f"Calibrated ({calibration.method}) on {len(result.validation.brand_ids)} validation brands.")
    if request.evaluation.brands in BRANDS_NOTE:
        notes.append(BRANDS_NOTE[request.evaluation.brands])
    return Lineage(
        score_kind=ScoreKind.PROBABILITY if calibration else ScoreKind.RANK_LOGIT,
        model=str(type(request.model).config_group).rsplit("/", 1)[-1],
        checkpoint_sha256=sha256_of(checkpoint_path),
        market_fingerprint=market.fingerprint,
        config_signature=signature(config, "evaluate"),
        git_commit=facts["git_commit"],
        currency=market.currency,
        notes=tuple(notes),
    )


def _retrieve(request: RunConfig, folder: Path, result: RankingEvaluation, lineage: Lineage) -> dict[str, Any] | None:
    """Write vectors and shortlists, if asked for, and give what is known of them."""
    found = result.embeddings
    if request.retrieve == "none" or found is None:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)  # they would be those of an earlier checkpoint
        return None
    return write_retrieval(
        folder,
        mode=request.retrieve,
        brand_ids=found.brand_ids,
        brand_vectors=found.brands,
        creator_ids=found.creator_ids,
        creator_vectors=found.creators,
        k=request.evaluation.shortlist,
        lineage=lineage,
    )


def _export(
    folder: Path,
    result: RankingEvaluation,
    calibration: Calibrated | None,
    lineage: Lineage,
    retrieved: dict[str, Any] | None,
) -> None:
    table = affinity_table(**_flat(result.exported))
    if calibration:
        table = calibrate_affinity(table, calibration.calibration)
    write_scores(table, folder / record.AFFINITY, name="affinity", lineage=lineage)
    content = {
        "metrics": result.metrics,
        "calibration": calibration.plain() if calibration else None,
        "facts": result.facts,
        "intervals": result.intervals,
        "tests": {
            method: {name: dataclasses.asdict(test) for name, test in tests.items()}
            for method, tests in result.tests.items()
        },
        "categories": [dataclasses.asdict(row) for row in result.categories],
        "self_similarity": _self_similarity(result),
        "absent": result.absent,
        "retrieval": retrieved,
    }
    write_text_atomically(folder / record.EVALUATION, _json(content))


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
    folder: Path,
    result: RankingEvaluation,
    calibration: Calibrated | None,
    market: Market,
    facts: dict[str, Any],
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
    content = ranking_report(result, calibration, retrieved, market=market, facts=facts, lineage=lineage)
    write_text_atomically(folder / REPORT, render_ranking(content))
    log.info("Open the report: %s", folder / REPORT)


def _flat(pairs: PairScores) -> dict[str, Any]:
    brands, creators = pairs.scores.shape
    return {
        "brand_ids": np.repeat(pairs.brand_ids, creators),
        "creator_ids": np.tile(pairs.creator_ids, brands),
        "scores": pairs.scores.ravel(),
        "score_std": None if pairs.deviation is None else pairs.deviation.ravel(),
    }


def _log_table(result: RankingEvaluation) -> None:
    names = list(next(iter(result.metrics.values())))
    width = max(len(name) for name in names)
    label = max(6, *(len(method) for method in result.metrics))
    rows = ["  ".join([f"{'':{label}}", *(f"{name:>{width}}" for name in names)])]
    for method, values in result.metrics.items():
        cells = (f"{values[name]:{width}.4f}" if math.isfinite(values[name]) else f"{'–':>{width}}" for name in names)
        rows.append("  ".join([f"{method:{label}}", *cells]))
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
