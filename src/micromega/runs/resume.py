"""What Lightning leaves out when it resumes, so that a resumed run ends with the bits of an unbroken one.

Lightning (2.6) continues exactly from the end of a batch that neither ends an epoch nor is followed by validation. From
an epoch's last batch, from validation and from the next epoch's start it skips work: it leaves out the epoch's metrics,
or a whole epoch. Checkpoints to resume from are therefore saved at three moments only: a settled batch, the start of an
epoch, the end of training. The moment is noted in each checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from micromega.errors import CheckpointError
from micromega.runs.checkpoint import FOLDER, KEY

BATCH, EPOCH, END = "batch", "epoch", "end"


def is_settled(trainer: pl.Trainer) -> bool:
    """Whether Lightning resumes exactly from the end of this batch.

    Args:
        trainer: in `on_train_batch_end`.

    Returns:
        False if gradients are being accumulated, validation follows, or the epoch ends.
    """
    loop = trainer.fit_loop.epoch_loop
    fetcher = trainer.fit_loop._data_fetcher
    follows = fetcher is not None and loop._should_check_val_fx(fetcher)
    return not (loop.batch_progress.is_last_batch or loop._should_accumulate() or follows)


class ExactResume(Callback):
    """Note the moment and the epoch's running means in each checkpoint, and take them up again.

    Without the means, `train/loss` of the epoch that was broken off would be the mean over its later batches alone.
    With several processes, the means are those of the first.

    Args:
        own: whether training starts from the run's own checkpoint. Only then "training had ended" counts; from another
            run's checkpoint (`ckpt_path`) training goes on.
    """

    def __init__(self, own: bool = True) -> None:
        self.own = own
        self._ended = False
        self._loaded: dict[str, Any] = {}
        self._means: dict[str, Any] = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note moment and means."""
        moment = self._moment(trainer)
        means: dict[str, Any] = {}
        if moment == BATCH:
            means |= self._means  # of metrics that no batch has logged since the last resumption
            for name, metric in trainer.fit_loop.epoch_loop._results.items():
                if metric.meta.on_epoch and metric.is_tensor:
                    count = metric.cumulated_batch_size if metric.meta.is_mean_reduction else torch.tensor(0)
                    means[str(name)] = [metric.value.detach().cpu(), count.detach().cpu()]
        checkpoint[KEY] = {"moment": moment, "means": means}

    def _moment(self, trainer: pl.Trainer) -> str | None:
        if self._ended:
            return END
        epoch: Any = trainer.fit_loop.epoch_progress.total
        batch: Any = trainer.fit_loop.epoch_loop.batch_progress.total
        if epoch.ready == epoch.started + 1:
            return EPOCH
        at_batch_end = not trainer.validating and batch.completed == batch.processed - 1 == batch.ready - 1
        return BATCH if at_batch_end and is_settled(trainer) else None

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take up moment and means; a checkpoint of no exact moment (`ckpt_path`) continues with the next epoch."""
        _keep_track_of_best(checkpoint, Path(trainer.default_root_dir) / FOLDER if self.own else None)
        noted = checkpoint.get(KEY) or {}
        self._loaded = {"moment": noted.get("moment"), "means": dict(noted.get("means", {}))}
        if self._loaded["moment"] == BATCH:
            return
        for part in checkpoint["loops"]["fit_loop"]["epoch_progress"].values():
            finished = part["processed"] if self._loaded["moment"] == EPOCH else part["ready"]
            part.update(ready=finished, started=finished, processed=finished, completed=finished)
        if not self.own:
            _check_something_is_left(trainer, checkpoint)
        elif self._loaded["moment"] == END:
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Skip the used batches also where the loader was built before the checkpoint was read.

        A model does that which asks how many steps there will be, for its learning rate's schedule; Lightning then
        forgets the loader's state, and an epoch broken off is taken from its first batch. Otherwise nothing is left to
        load here.

        Raises:
            CheckpointError: the checkpoint's one cycle of the learning rate is not as long as this training.
        """
        for config in trainer.lr_scheduler_configs:
            # A cycle comes with its length from a checkpoint; torch would fail where it ends, in the midst of training.
            length = getattr(config.scheduler, "total_steps", None)
            if length is not None and length != trainer.estimated_stepping_batches:
                msg = (
                    f"ckpt_path: the checkpoint's learning rate rises and falls once over {length} steps, and this "
                    f"training has {trainer.estimated_stepping_batches}. A cycle that has begun cannot be stretched: "
                    "set trainer.max_epochs and data.batch_size to those of that run to finish it, or train from the "
                    "beginning, without ckpt_path."
                )
                raise CheckpointError(msg)
        trainer.fit_loop._load_combined_loader_states()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a whole epoch as one, not as the rest of the one before."""
        if self._loaded and self._loaded["moment"] != BATCH:
            self._loaded = {}
            trainer.fit_loop.restarting = False

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Add the earlier batches' sums to those of the first batch that logs the metric again.

        One that no later batch of the epoch logs is missing for that epoch.
        """
        self._means |= self._loaded.get("means", {})
        self._loaded = {}
        results = trainer.fit_loop.epoch_loop._results
        for name in [name for name in self._means if name in results]:
            metric = results[name]
            value, count = (item.to(metric.value.device) for item in self._means.pop(name))
            if metric.meta.is_mean_reduction:
                metric.cumulated_batch_size = metric.cumulated_batch_size + count
            adds = metric.meta.is_mean_reduction or metric.meta.is_sum_reduction
            metric.value = metric.value + value if adds else metric.meta.reduce_fx(metric.value, value)
            metric._computed = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget what the epoch has not logged again."""
        self._means = {}

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Know that what is saved from now on is the end."""
        self._ended = True


def _check_something_is_left(trainer: pl.Trainer, checkpoint: Mapping[str, Any]) -> None:
    """Refuse another run's checkpoint that has all the epochs asked for: nothing would be trained, nor saved."""
    done, wanted = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"], trainer.max_epochs
    if wanted is not None and 0 <= wanted <= done:
        msg = (
            f"ckpt_path: the checkpoint has been trained for {done} epochs, and trainer.max_epochs is {wanted}, so "
            "nothing is left to train. Raise trainer.max_epochs (a one_cycle schedule cannot be stretched: train that "
            "from the beginning, without ckpt_path), or give the checkpoint to evaluate.py."
        )
        raise CheckpointError(msg)


def _keep_track_of_best(checkpoint: dict[str, Any], folder: Path | None) -> None:
    """Let `ModelCheckpoint` know its best files again, although the run folder may have been moved since.

    Args:
        checkpoint: changed in place.
        folder: where the run's checkpoints lie now; None if the checkpoint is another run's, whose best is not ours.
    """
    states = checkpoint.get("callbacks", {})
    for key in [key for key in states if str(key).startswith("ModelCheckpoint")]:
        if folder is None:
            del states[key]
            continue
        state = states[key]
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[name] = str(folder / Path(state[name]).name) if state[name] else state[name]
        state["best_k_models"] = {str(folder / Path(path).name): kept for path, kept in state["best_k_models"].items()}
        state["dirpath"] = str(folder)
