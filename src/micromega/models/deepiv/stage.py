"""What both stages of Deep IV share as LightningModules: the best epoch of each member, what is logged and stored.

Both log `train/loss`, `val/loss` (mean over members of the held-out loss of this epoch) and `val/best` (mean over
members of the lowest so far, which is what to watch: the weights behind it are in `best`). Losses are in standardised
units: stage 1 the negative log likelihood in nats, stage 2 a squared error. Shapes: E members, B rows.
"""

import dataclasses
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from micromega.config.schema import plain
from micromega.models.deepiv.batches import Batch, Spec
from micromega.models.deepiv.config import DeepIVModelConfig, OutcomeConfig, TreatmentConfig
from micromega.models.deepiv.outcome import ControlFunctionNetwork, ResponseNetwork
from micromega.models.deepiv.training import Best, HeldOut, Scale, clip_members, optimiser_of
from micromega.models.deepiv.treatment import MixtureNetwork
from micromega.models.origin import ORIGIN


class Stage(pl.LightningModule):
    """What the stages share; `held_out_loss` and `training_loss` are theirs.

    Args:
        config: the two stages and the members.
        spec: sizes, means and deviations of the data.
    """

    stage: TreatmentConfig | OutcomeConfig
    network: MixtureNetwork | ResponseNetwork | ControlFunctionNetwork
    epoch_loss: Tensor

    def __init__(self, config: DeepIVModelConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.members = max(config.bootstrap, 1) * config.starts * config.folds
        self.sizes = {name: len(spec.mean[name]) for name in ("z", "x")}
        self.save_hyperparameters({"config": plain(dataclasses.asdict(config)), "sizes": self.sizes})
        self.scale = Scale(spec)
        self.register_buffer("epoch_loss", torch.zeros(2))  # sum and rows so far; checkpoints within an epoch need it
        self._held_out = HeldOut()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights have seen, where a DataModule tells."""
        if (data := getattr(self.trainer, "datamodule", None)) is not None:
            checkpoint[ORIGIN] = data.origin

    @property
    def epochs(self) -> int:
        """So many, where the trainer has no number of its own."""
        return self.stage.epochs

    def training_loss(self, batch: Batch) -> Tensor:
        """Loss of each member and row, (E, B)."""
        raise NotImplementedError

    def held_out_loss(self, batch: Batch) -> Tensor:
        """Held-out loss of each member and row, (E, B); the same in each call."""
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Weighted loss, summed over members; rows of a short last batch weigh as much as any."""
        loss = (self.training_loss(batch) * batch.weight).sum() / self.stage.batch_size
        self.epoch_loss[0] += loss.detach() * (self.stage.batch_size / self.members)
        self.epoch_loss[1] += len(batch)
        if self.trainer.is_last_batch:  # logging at every step would take a quarter of the time
            mean = self.epoch_loss[0] / self.epoch_loss[1]
            self.log("train/loss", mean, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)
            self.epoch_loss.zero_()
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip each member's gradient."""
        clip_members(self.network, self.stage.clip)

    def on_validation_epoch_start(self) -> None:
        """Begin to add up the held-out loss."""
        self._held_out.clear()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add held-out rows, each member its own."""
        self._held_out.add(self.held_out_loss(batch), batch.weight)

    def on_validation_epoch_end(self) -> None:
        """Keep the members that have never been better."""
        loss = self._held_out.mean(self)
        if self.trainer.state.fn == TrainerFn.FITTING and not self.trainer.sanity_checking:
            self.best.keep(self.network, loss)
        self.log("val/loss", loss.mean().float(), batch_size=1)
        self.log("val/best", self.best.loss.mean(), batch_size=1)

    def configure_optimizers(self) -> Any:
        """AdamW; see `optimiser_of`."""
        return optimiser_of(self.stage, self.network, self.trainer)

    def describe_batch(self, batch: Batch) -> str:
        """Name the rows of a batch, for messages."""
        return f"{len(batch)} rows ({', '.join(map(str, batch.row[0, :10].tolist()))}, …)"

    def begin_with(self, network: MixtureNetwork | ResponseNetwork | ControlFunctionNetwork) -> None:
        """Take an untrained network; every member's best epoch is still to come."""
        self.network = network
        self.best = Best(network, self.members)
