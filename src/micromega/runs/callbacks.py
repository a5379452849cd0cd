"""Callbacks of every fit: resume exactly, stop on request, stop at a bad loss, keep the history, show progress."""

import logging
import math
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint

from micromega.errors import NonFiniteLossError
from micromega.files import write_text_atomically
from micromega.runs.checkpoint import FOLDER, remove_older
from micromega.runs.resume import is_settled
from micromega.runs.signals import InterruptedBySignalError, StopRequest

log = logging.getLogger(__name__)


class RandomState(Callback):
    """Save the random states with each checkpoint and put them back when training resumes from it.

    Without this, dropout after a resume draws other numbers than it would have drawn.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Collect the states of torch (CPU and accelerators), numpy and Python as tensors and plain values."""
        kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002  (the global state is what we keep)
        version, internal, gauss_next = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": [str(kind), torch.from_numpy(np.array(keys, dtype=np.int64)), position, has_gauss, cached],
            "python": [version, list(internal), gauss_next],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts; what runs in between may draw numbers."""
        self._loaded = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the states back."""
        state, self._loaded = self._loaded, None
        if state is None:
            return
        torch.set_rng_state(state["torch"].cpu())
        if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([item.cpu() for item in state["cuda"]])
        kind, keys, position, has_gauss, cached = state["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
        version, internal, gauss_next = state["python"]
        random.setstate((version, tuple(internal), gauss_next))


class StopOnRequest(Callback):
    """After the batch in which a stop signal arrived, save a checkpoint and leave.

    If that batch was the last of its epoch, validation is done first and the next epoch's start is saved.
    """

    def __init__(self, request: StopRequest) -> None:
        self.request = request

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen in Lightning's place, which has registered its own handlers."""
        self._listen(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen in Lightning's place."""
        self._listen(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Save and raise `InterruptedBySignalError` if a signal has been noted."""
        if is_settled(trainer):
            self._leave_if_asked(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save and raise `InterruptedBySignalError` if a signal came after the last epoch's settled batches."""
        self._leave_if_asked(trainer)

    def _listen(self, trainer: pl.Trainer) -> None:
        self.request.listen_again()
        trainer._signal_connector.received_sigterm = False  # what it has heard, we have noted

    def _leave_if_asked(self, trainer: pl.Trainer) -> None:
        number = self.request.number or 0
        if trainer.world_size > 1:  # all leave at the same step, whichever of them was asked
            asked = torch.tensor(number, device=trainer.strategy.root_device)
            number = int(trainer.strategy.reduce(asked, reduce_op="max"))
        if not number:
            return
        path = Path(trainer.default_root_dir) / FOLDER / f"signal-step-{trainer.global_step:09d}.ckpt"
        trainer.save_checkpoint(path, weights_only=False)  # the whole state, not the weights alone
        raise InterruptedBySignalError(number, str(path))


class Latest(Checkpoint):
    """Keep the newest checkpoints, saved only at moments from which a resumed run equals an unbroken one.

    Lightning's own `ModelCheckpoint` saves at the end of an epoch's last batch or of validation, from where Lightning
    does not continue exactly (see `micromega.runs.resume`), and leaves its older files behind after a kill.

    Args:
        every_n_train_steps: a checkpoint is due after so many optimiser steps. What is due at an epoch's end is saved
            at the next epoch's start. The end of training is always saved.
        keep: how many to keep; a second one serves when the newest is damaged.
    """

    def __init__(self, every_n_train_steps: int = 200, keep: int = 2) -> None:
        if every_n_train_steps < 1 or keep < 1:
            msg = f"every_n_train_steps and keep must be at least 1, got {every_n_train_steps} and {keep}."
            raise ValueError(msg)
        self.every_n_train_steps, self.keep = every_n_train_steps, keep
        self._due = False
        self._step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from where training starts."""
        self._step = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Save if due."""
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            self._due = self._due or self._step % self.every_n_train_steps == 0
        if self._due and is_settled(trainer):
            self._save(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what fell due when the last epoch ended."""
        if self._due:
            self._save(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the end, so that a run killed after it trains no further."""
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self._due = False
        if getattr(trainer, "fast_dev_run", False):
            return
        folder = Path(trainer.default_root_dir) / FOLDER
        path = folder / f"latest-step-{trainer.global_step:09d}.ckpt"
        trainer.save_checkpoint(path, weights_only=False)  # the whole state, not the weights alone
        if trainer.is_global_zero:
            remove_older(folder, step=trainer.global_step, keep=self.keep)


class FiniteLoss(Callback):
    """Stop at the first loss that is not finite, before it reaches a weight.

    The check reads one number from the device a step; it is what keeps a run of days from ending as NaN weights.
    """

    def __init__(self) -> None:
        self._batch: Any = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch, to name its ids."""
        self._batch = batch

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor) -> None:
        """Raise `NonFiniteLossError` with step and ids if the loss is NaN or infinite."""
        if math.isfinite(loss.item()):
            return
        describe = getattr(pl_module, "describe_batch", None)
        what = describe(self._batch) if callable(describe) else f"batch of {type(self._batch).__name__}"
        msg = (
            f"The loss is {loss.item()} at step {trainer.global_step} (epoch {trainer.current_epoch}); stopped before "
            f"the weights changed. Batch: {what}. Look for extreme values in these rows, or lower model.learning_rate."
        )
        raise NonFiniteLossError(msg)


class MetricsHistory(Callback):
    """One row per epoch in `metrics.csv`; kept in checkpoints, so a resumed run's file equals an unbroken one's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the run that is resumed."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row and write the file."""
        row = {"epoch": float(trainer.current_epoch), "step": float(trainer.global_step)}
        row |= {
            name: float(value) for name, value in sorted(trainer.callback_metrics.items()) if not name.endswith("_step")
        }
        self.rows.append(row)
        if trainer.is_global_zero:
            names = list(dict.fromkeys(name for item in self.rows for name in item))
            lines = [",".join(names), *(",".join(_cell(item.get(name)) for name in names) for item in self.rows)]
            write_text_atomically(self.path, "\n".join(lines) + "\n")


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value.is_integer() else repr(value)


class PlainProgress(Callback):
    """A line per epoch, for logs and terminals that are none."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log epoch, step and the metrics at hand."""
        shown = "  ".join(
            f"{name} {float(value):.4f}"
            for name, value in sorted(trainer.callback_metrics.items())
            if "_step" not in name
        )
        log.info("epoch %d/%s  step %d  %s", trainer.current_epoch + 1, trainer.max_epochs, trainer.global_step, shown)


def progress() -> Callback:
    """Choose a rich bar on a terminal, plain lines elsewhere."""
    if sys.stdout.isatty():
        from pytorch_lightning.callbacks import RichProgressBar  # noqa: PLC0415  (rich's console is made on import)

        return RichProgressBar()
    return PlainProgress()
