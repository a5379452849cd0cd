"""The effectiveness model as a LightningModule: networks epoch by epoch, then trees, intervals and units at the end.

Logs `train/loss`, `val/loss` and `val/best`, squared errors of standardised log outcomes; the last is the mean over
networks of the lowest so far, whose weights are kept. Shapes: E networks, B rows, N posts, D length of an embedding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from micromega.errors import CheckpointError
from micromega.models.deepiv.training import Best, HeldOut, clip_members
from micromega.models.effectiveness.config import EffectivenessModelConfig
from micromega.models.effectiveness.data import Batch, EffectivenessData
from micromega.models.effectiveness.features import Columns
from micromega.models.effectiveness.finish import finish
from micromega.models.effectiveness.network import PartNetwork
from micromega.models.effectiveness.optimiser import optimiser_of
from micromega.models.effectiveness.predictor import Predictor
from micromega.models.origin import ORIGIN


class EffectivenessModule(Predictor):
    """One of the five models.

    Args:
        config: which, and how.
        columns: what the posts' columns are.
    """

    def __init__(self, config: EffectivenessModelConfig, columns: Columns) -> None:
        super().__init__(config, columns)
        self._held_out = HeldOut()

    @classmethod
    def begin(cls, config: EffectivenessModelConfig, data: EffectivenessData) -> "EffectivenessModule":
        """Make an untrained model for a set-up datamodule.

        Args:
            config: which model.
            data: whose training rows give the units.

        Returns:
            The module; it keeps the datamodule beside it.
        """
        module = cls(config, data.describer.columns)
        module.data, data.batch_size = data, config.network.batch_size
        if module.network is not None:
            train = data.split.rows["train"]
            rows = data.features.take(train)
            module.network.fit_scale(torch.from_numpy(rows.numbers), torch.from_numpy(data.log_outcome[train]))
            module._note_seen(rows.categories, module.weights(torch.from_numpy(train)))
            module.best = Best(module.network, module.members)
        return module

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> "EffectivenessModule":
        """Rebuild a trained module from a checkpoint's plain values and tensors.

        Args:
            checkpoint: as read by `load_checkpoint`.

        Returns:
            The module, on the CPU, in evaluation mode.

        Raises:
            CheckpointError: training was stopped before its end.
        """
        saved = checkpoint["hyper_parameters"]
        columns = Columns(**{name: tuple(value) for name, value in saved["columns"].items()})
        module = cls(EffectivenessModelConfig(**saved["config"]), columns)
        module.load_state_dict(checkpoint["state_dict"])
        if not module.fitted.done:
            raise CheckpointError("The checkpoint holds no trees and intervals: training was stopped before. Go on.")
        return module.eval()

    @property
    def epochs(self) -> int:
        """So many, where the trainer has no number of its own."""
        return self.config.network.epochs if self.network is not None else 1

    def weights(self, row: Tensor) -> Tensor:
        """Which networks learn from which of the past campaigns: those of a fold leave it out, (E, B)."""
        if self.members == 1:
            return torch.ones(1, len(row), device=row.device)
        assert self.data is not None
        fold = torch.from_numpy(self.data.folds(self.config.folds, self.config.seed)).to(row.device)[row]
        leaves_out = torch.arange(self.members, device=row.device)[:, None] == fold
        return (~leaves_out).float()

    def _note_seen(self, categories: NDArray[np.int64], weights: Tensor) -> None:
        assert self.network is not None
        for part in self.network.parts:
            assert isinstance(part, PartNetwork)
            for place in range(len(part.tables)):
                seen = part.get_buffer(f"seen_{place}")
                code = torch.from_numpy(categories[:, place])
                met = torch.zeros(seen.shape).index_add_(1, code, weights)
                seen.copy_(met > 0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Squared error, summed over networks; rows of a short last batch weigh as much as any."""
        if self.network is None:
            return torch.zeros_like(self.idle) * self.idle
        categories = batch["categories"].clone()
        hidden = torch.rand(len(categories), device=categories.device) < self.config.network.unknown
        categories[hidden, 0] = 0
        error = self.network(categories, batch["numbers"]) - self.network.standard_outcome(batch["log_outcome"])
        size = self.config.network.batch_size
        loss: Tensor = (error.square() * self.weights(batch["row"])).sum() / size
        mean = loss.detach() * (size / self.members / len(categories))
        self.log("train/loss", mean, on_step=False, on_epoch=True, batch_size=len(categories), sync_dist=True)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip each network's gradient by itself."""
        if self.network is not None:
            clip_members(self.network, self.config.network.clip)

    def on_validation_epoch_start(self) -> None:
        """Begin to add up the error."""
        self._held_out.clear()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add tuning rows."""
        if self.network is not None:
            wanted = self.network.standard_outcome(batch["log_outcome"])
            error = (self.network(batch["categories"], batch["numbers"]) - wanted).square()
            self._held_out.add(error, torch.ones_like(error))

    def on_validation_epoch_end(self) -> None:
        """Keep networks that have never been better; after the last epoch, fit what stands on them."""
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        if self.network is not None:
            loss = self._held_out.mean(self)
            if fitting:
                self.best.keep(self.network, loss)
            self.log("val/loss", loss.mean().float(), batch_size=1)
            self.log("val/best", self.best.loss.mean(), batch_size=1)
        last = self.trainer.max_epochs
        if fitting and last is not None and self.trainer.current_epoch >= last - 1:
            finish(self)  # before the epoch's checkpoint is saved

    def on_train_epoch_end(self) -> None:
        """Without validation, fit the rest here: the last weights are then the best known."""
        last = self.trainer.max_epochs
        if not self.fitted.done and last is not None and self.trainer.current_epoch >= last - 1:
            if self.network is not None:
                self.best.keep(self.network, torch.zeros(self.members))
            finish(self)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights have seen."""
        if self.data is not None:
            checkpoint[ORIGIN] = self.data.origin

    def configure_optimizers(self) -> Any:
        """AdamW; see `optimiser_of`."""
        return optimiser_of(self.config.network, self.network, self.idle, self.trainer)

    def describe_batch(self, batch: Batch) -> str:
        """Name the rows of a batch, for messages."""
        return f"{len(batch['row'])} campaigns (rows {', '.join(map(str, batch['row'][:10].tolist()))}, …)"
