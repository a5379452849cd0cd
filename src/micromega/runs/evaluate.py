"""`evaluate.py`: a trained model's metrics beside its baselines, a report, and the scores that plans are made from."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from micromega.config.schema import RunConfig
from micromega.config.signature import run_name, signature
from micromega.errors import ConfigError
from micromega.market.open import open_market
from micromega.runs import record
from micromega.runs.diffusion import evaluate_diffusion
from micromega.runs.effectiveness import evaluate_effectiveness
from micromega.runs.evaluation import EvaluationRun
from micromega.runs.lock import locked
from micromega.runs.ranking import check_request, check_vectors, evaluate_ranking
from micromega.runs.record import optimized
from micromega.runs.representation import evaluate_representation
from micromega.runs.response import evaluate_response
from micromega.runs.trained import check_finished, trained_checkpoint

log = logging.getLogger(__name__)
Metrics = Mapping[str, Mapping[str, float]]
KINDS: Mapping[str, Callable[[EvaluationRun], Metrics]] = {
    "mir": evaluate_ranking,
    "vsvae": evaluate_representation,
    "deepiv": evaluate_response,
    "effectiveness": evaluate_effectiveness,
    "diffusion": evaluate_diffusion,
}
"""Choice of the group `evaluation` -> what judges and exports."""


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
        ConfigError: something that is asked for cannot be done for this model or market.
        ScoreError: the scores cannot be calibrated; metrics are written before that.
    """
    kind = str(type(request.evaluation).config_group).rsplit("/", 1)[-1]
    if request.retrieve != "none" and kind != "mir":
        raise ConfigError(f"retrieve={request.retrieve}: only a ranker has shortlists. Set retrieve=none.")
    with locked(folder):
        if kind == "mir":
            check_request(request)  # before the market is opened, which may take long
        market = open_market(request.market, Path(request.paths.markets))
        if kind == "mir":
            check_vectors(request, market)
        trained = Path(request.paths.runs) / "train" / run_name(config, "train")
        checkpoint = Path(request.ckpt_path) if request.ckpt_path else trained_checkpoint(trained)
        if not request.ckpt_path:
            check_finished(trained, market)
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
        record.update_record(folder, task="evaluate", status="running", checkpoint=str(checkpoint), **facts)
        metrics = KINDS[kind](
            EvaluationRun(
                request=request, config=config, folder=folder, market=market, checkpoint=checkpoint, facts=facts
            )
        )
        record.update_record(folder, status="done", finished_at=record.now())
        log.info("Evaluated. Metrics and score tables: %s", folder)
    return optimized(next(iter(metrics.values())), request.optimized_metric)
