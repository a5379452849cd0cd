"""`train.py`: fit one model on one market, resuming whatever an earlier start of the same request left."""

import dataclasses
import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from micromega.config.schema import RunConfig
from micromega.config.signature import signature, stage_name
from micromega.config.validate import instantiate, resolve_target
from micromega.errors import CheckpointError, ConfigError
from micromega.files import write_text_atomically
from micromega.market.market import Market
from micromega.market.open import open_market
from micromega.runs import callbacks as ours
from micromega.runs import record
from micromega.runs.checkpoint import FOLDER, AtomicCheckpointIO, load_checkpoint, newest_valid
from micromega.runs.lock import is_first_rank, locked
from micromega.runs.resume import ExactResume
from micromega.runs.signals import StopRequest
from micromega.runs.tracking import loggers
from micromega.runs.trained import trained_checkpoint

log = logging.getLogger(__name__)
METRICS = "metrics.json"


def run(request: RunConfig, config: DictConfig, folder: Path) -> float | None:
    """Train the requested model.

    Args:
        request: the validated configuration.
        config: the configuration as composed.
        folder: the run folder; its name holds the request's signature.

    Returns:
        The metric named by `optimized_metric`, for sweeps; None if none is named.

    Raises:
        CheckpointError: the folder belongs to other data, or `resume=never` and it holds a run.
    """
    with locked(folder):
        earlier = record.read_record(folder)
        if earlier and request.resume == "never" and is_first_rank():  # the others see what the first has begun
            msg = f"{folder} already holds a run ({earlier.get('status')}). Use resume=auto, or remove the folder."
            raise CheckpointError(msg)
        market = open_market(request.market, Path(request.paths.markets))
        _check_same_market(earlier, market, folder)
        if earlier.get("status") == "done" and (folder / METRICS).is_file():
            log.info("Already trained: %s. Nothing to do (change the seed or any setting for another run).", folder)
            return record.optimized(json.loads((folder / METRICS).read_text()), request.optimized_metric)
        _begin(request, config, folder, market)
        metrics = _fit(request, config, folder, market)
        write_text_atomically(folder / METRICS, json.dumps(metrics, indent=2, sort_keys=True) + "\n")
        record.update_record(folder, status="done", finished_at=record.now())
        log.info("Trained. Checkpoints, metrics and lineage: %s", folder)
        return record.optimized(metrics, request.optimized_metric)


def _begin(request: RunConfig, config: DictConfig, folder: Path, market: Market) -> None:
    if request.print_config:
        log.info("\n%s", record.config_text(config))
    record.write_config(folder, config)
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    facts = record.lineage(
        signature=signature(config, "train"), seed=request.seed, tags=request.tags, overrides=overrides, market=market
    )
    record.update_record(folder, task="train", status="running", **facts)


def _check_same_market(earlier: Mapping[str, Any], market: Market, folder: Path) -> None:
    before = earlier.get("market_fingerprint")
    if before is not None and before != market.fingerprint:
        msg = (
            f"{folder} was trained on market {before[:12]}, but {market.path} now holds {market.fingerprint[:12]}: the "
            "tables have changed. Remove the folder to train anew, or put the old tables back."
        )
        raise CheckpointError(msg)
    record.check_arrays(earlier, market, folder)


def _quieten_lightning() -> None:
    """Keep two lines of Lightning's out of the log that a user can do nothing about."""
    warnings.filterwarnings("ignore", message=r".*LeafSpec.*")  # it calls a deprecated function of torch's
    warnings.filterwarnings(
        "ignore", message=r".*module\(s\) in eval mode at the start of training.*"
    )  # kept on purpose
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
        lambda entry: "litlogger" not in entry.getMessage()  # an advertisement
    )


def _fit(request: RunConfig, config: DictConfig, folder: Path, market: Market) -> dict[str, float]:
    _quieten_lightning()
    pl.seed_everything(request.seed, workers=True, verbose=False)
    datamodule = resolve_target(type(request.data).config_target.replace(":", "."))(request.data, market)
    datamodule.setup("fit")
    record.update_record(folder, arrays=getattr(datamodule, "arrays", {}))
    kind = resolve_target(type(request.model).config_target.replace(":", "."))
    if not hasattr(kind, "begin"):
        return _fit_module(kind(request.model, datamodule.spec), request, config, folder, datamodule)
    earlier = [
        _earlier(name, stage, request, config, datamodule) for name, stage in getattr(kind, "earlier", {}).items()
    ]
    record.update_record(folder, stages={name: str(place) for name, place, _ in earlier})
    pl.seed_everything(request.seed, workers=True, verbose=False)  # the same whether stages were trained just now
    model = kind.begin(request.model, datamodule, *(module for _, _, module in earlier))
    return _fit_module(model, request, config, folder, datamodule)


def _earlier(name: str, stage: Any, request: RunConfig, config: DictConfig, datamodule: Any) -> tuple[str, Path, Any]:
    """Train an earlier stage in a folder of its own, or take it from there: its name, folder and trained module."""
    folder = Path(request.paths.runs) / "train" / stage_name(config, name, stage.later)
    with locked(folder):
        facts = record.read_record(folder)
        _check_same_market(facts, datamodule.market, folder)
        if facts.get("status") == "done" and (folder / METRICS).is_file():
            log.info("Stage %s is already trained: %s.", name, folder)
        else:
            _begin(dataclasses.replace(request, print_config=False), config, folder, datamodule.market)
            model = stage.begin(request.model, datamodule)
            # Its own checkpoints alone: ckpt_path is one of the last stage.
            metrics = _fit_module(model, dataclasses.replace(request, ckpt_path=None), config, folder, datamodule)
            write_text_atomically(folder / METRICS, json.dumps(metrics, indent=2, sort_keys=True) + "\n")
            record.update_record(folder, status="done", finished_at=record.now())
            log.info("Trained stage %s: %s", name, folder)
        return name, folder, stage.restore(load_checkpoint(trained_checkpoint(folder)))


def _fit_module(model: Any, request: RunConfig, config: DictConfig, folder: Path, datamodule: Any) -> dict[str, float]:
    """Train one module, going on from what its folder holds, and validate the checkpoint that is kept."""
    start = _start(request, folder)
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    stop = StopRequest()
    with loggers(request.logger, folder, {str(k): v for k, v in resolved.items()}) as active, stop.listening():
        own = start is not None and Path(start).parent == folder / FOLDER
        trainer = _trainer(request, folder, active, stop, own=own, epochs=getattr(model, "epochs", None))
        try:
            trainer.fit(model, datamodule=datamodule, ckpt_path=start, weights_only=True)
        except MisconfigurationException as error:
            raise ConfigError(f"trainer or callbacks: {error}") from error
        saved = [item for item in trainer.checkpoint_callbacks if isinstance(item, ModelCheckpoint) and item.monitor]
        chosen = next((item.best_model_path for item in saved if item.best_model_path), None)
        if chosen:
            model.load_state_dict(load_checkpoint(Path(chosen))["state_dict"])
            record.update_record(folder, best_checkpoint=Path(chosen).name)
        results = trainer.validate(model, datamodule=datamodule, verbose=False) if trainer.limit_val_batches else [{}]
    return {name: float(value) for name, value in {**results[0]}.items()} | {"epochs": float(trainer.current_epoch)}


def _start(request: RunConfig, folder: Path) -> str | None:
    newest = newest_valid(folder / FOLDER)
    if newest is not None:
        log.info("Resuming from %s.", newest)
        return str(newest)
    if request.ckpt_path:
        load_checkpoint(Path(request.ckpt_path))
        return request.ckpt_path
    return None


def _trainer(
    request: RunConfig, folder: Path, active: list[Any], stop: StopRequest, *, own: bool, epochs: int | None
) -> pl.Trainer:
    configured = [_callback(node, folder) for node in request.callbacks.values()]
    always: list[Callback] = [
        ours.RandomState(),
        ExactResume(own=own),
        ours.FiniteLoss(),
        ours.MetricsHistory(folder / "metrics.csv"),
        ours.StopOnRequest(stop),
    ]
    settings = {key: instantiate(value) if _is_node(value) else value for key, value in request.trainer.items()}
    if settings.get("max_epochs") is None:
        settings["max_epochs"] = epochs
    if settings.get("enable_progress_bar", True):
        always.append(ours.progress())
        settings["enable_progress_bar"] = not isinstance(always[-1], ours.PlainProgress)
    try:
        return pl.Trainer(
            **settings,
            callbacks=[*always, *configured],
            logger=active or False,
            plugins=[AtomicCheckpointIO()],
            default_root_dir=folder,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        msg = f"trainer: {error}"
        raise ConfigError(msg) from error


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _callback(node: Mapping[str, Any], folder: Path) -> Any:
    if str(node["_target_"]).endswith(".ModelCheckpoint"):
        # Without a version counter, a checkpoint saved again after a kill replaces its first copy.
        node = {"dirpath": str(folder / FOLDER), "enable_version_counter": False, **node}
    return instantiate(node)
