"""The diffusion model as a LightningModule: the network epoch by epoch, then how far counts are to be trusted.

Logs `train/loss`, `val/loss` and `val/best`: minus the log-likelihood of an exposure, nats; the last is the lowest so
far, whose weights are kept. Shapes: M edges, B edges of a batch.
"""

from typing import Any

import numpy as np
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from micromega.errors import ConfigError
from micromega.models.deepiv.training import Best, HeldOut
from micromega.models.diffusion.bayes import fit_weight
from micromega.models.diffusion.config import DiffusionModelConfig, NetworkConfig
from micromega.models.diffusion.data import Batch, DiffusionData
from micromega.models.diffusion.evidence import Evidence
from micromega.models.diffusion.features import COUNT, Columns
from micromega.models.diffusion.likelihood import negative_log_likelihood
from micromega.models.diffusion.predictor import Predictor
from micromega.models.origin import ORIGIN


class DiffusionModule(Predictor):
    """One of the five models.

    Args:
        config: which, and how.
        columns: what accounts' and edges' columns are.
    """

    def __init__(self, config: DiffusionModelConfig, columns: Columns) -> None:
        super().__init__(config, columns)
        self._held_out = HeldOut()

    @classmethod
    def begin(cls, config: DiffusionModelConfig, data: DiffusionData) -> "DiffusionModule":
        """Make an untrained model for a set-up datamodule.

        Args:
            config: which model.
            data: whose training window gives the units.

        Returns:
            The module; it keeps the datamodule beside it.
        """
        module = cls(config, data.features.columns)
        module.data, data.batch_size = data, config.network.batch_size
        if module.network is not None:
            seen = data.evidence["train"]
            edge = np.flatnonzero(seen.trials > 0)
            source, target = data.graph.source[edge], data.graph.target[edge]
            ends = np.unique(np.concatenate([source, target]))
            numbers = data.tensors.edge[edge]
            if config.network.hide:  # as training will, so that a hidden number has a mark of its own
                numbers[:: max(2, round(1 / config.network.hide)), module.columns.edge.index(COUNT)] = torch.nan
            module.network.fit_scale(data.tensors.node[ends], numbers, _rate(seen))
            for name, place in (("seen_source", source), ("seen_target", target)):
                met = module.network.get_buffer(name)
                met.zero_()[torch.from_numpy(np.unique(place) + 1)] = True
            module.best = Best(module.network, 1)
        return module

    @property
    def epochs(self) -> int:
        """So many, where the trainer has no number of its own."""
        return self.config.network.epochs if self.network is not None else 1

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Minus the log-posterior of a batch, in the scale of a mean over all exposures."""
        if self.network is None:
            return torch.zeros_like(self.idle) * self.idle
        assert self.data is not None
        edges = self._edges(_hidden(batch, self.config.network, self.columns.edge.index(COUNT)))
        lost = self._lost(self.network(edges), batch)
        exposures = self.data.evidence["train"].exposures
        batches = self.trainer.num_training_batches * self.trainer.world_size
        self.log(
            "train/loss", (lost / _exposures(batch)).detach(), on_step=False, on_epoch=True,
            batch_size=int(_exposures(batch)), sync_dist=True,
        )  # fmt: skip
        loss: Tensor = (lost * batches + self.network.penalty()) / exposures
        return loss

    def on_validation_epoch_start(self) -> None:
        """Begin to add up the likelihood."""
        self._held_out.clear()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add validation rows."""
        if self.network is not None:
            count = _exposures(batch).view(1, 1)
            self._held_out.add(self._lost(self.network(self._edges(batch)), batch) / count, count)

    def on_validation_epoch_end(self) -> None:
        """Keep weights that have never been better; after the last epoch, fit what stands on them."""
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        if self.network is not None:
            loss = self._held_out.mean(self)
            if fitting:
                self.best.keep(self.network, loss)
            self.log("val/loss", loss.mean().float(), batch_size=1)
            self.log("val/best", self.best.loss.mean(), batch_size=1)
        last = self.trainer.max_epochs
        if fitting and last is not None and self.trainer.current_epoch >= last - 1:
            self._finish()  # before the epoch's checkpoint is saved

    def on_train_epoch_end(self) -> None:
        """Without validation, fit the rest here: the last weights are then the best known."""
        last = self.trainer.max_epochs
        if last is not None and self.trainer.current_epoch >= last - 1 and not torch.isfinite(self.fitted).all():
            if self.network is not None:
                self.best.keep(self.network, torch.zeros(1))
            self._finish()

    def _finish(self) -> None:
        """Fit the mean rate on training, and the weight of the prior on validation."""
        assert self.data is not None
        seen, later = self.data.evidence["train"], self.data.evidence["validate"]
        self.fitted[0], self.fitted[1] = _rate(seen), 0.0
        if self.config.kind in ("empirical_bayes", "em_smoothed"):
            self.fitted[1] = fit_weight(self.expected(self.data), seen, later)

    def _lost(self, logit: Tensor, batch: Batch) -> Tensor:
        return negative_log_likelihood(
            logit, batch["failures"], batch["successes"], batch["group"], len(batch["groups"])
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights have seen."""
        if self.data is not None:
            checkpoint[ORIGIN] = self.data.origin

    def configure_optimizers(self) -> Any:
        """AdamW, and the schedule of its rate; effects have a prior of their own and no decay."""
        config = self.config.network
        if self.network is None:
            return torch.optim.SGD([self.idle], lr=1.0)
        named = list(self.network.named_parameters())
        decayed = [p for name, p in named if name.endswith("weight")]
        free = [p for name, p in named if not name.endswith("weight")]
        groups = [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": [*free, self.idle], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=self.idle.device.type == "cpu")
        if config.schedule == "constant":
            return optimiser
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise ConfigError("schedule=one_cycle needs an end: set trainer.max_epochs or trainer.max_steps.")
        cycle = OneCycleLR(optimiser, config.learning_rate, total_steps=int(steps), pct_start=0.1)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def describe_batch(self, batch: Batch) -> str:
        """Name the edges of a batch, for messages."""
        pairs = zip(batch["source"][:5].tolist(), batch["target"][:5].tolist(), strict=True)
        return f"{len(batch['source'])} edges (accounts {', '.join(f'{one}-{other}' for one, other in pairs)}, …)"


def _rate(seen: Evidence) -> float:
    """Mean activation rate; a shared activation counts once, kept off 0 and 1."""
    return min(max(seen.activations / seen.exposures, 1e-6), 1 - 1e-6)


def _exposures(batch: Batch) -> Tensor:
    return (batch["failures"] + batch["successes"]).sum() + (batch["group"] >= 0).sum()


def _hidden(batch: Batch, config: NetworkConfig, count: int) -> Batch:
    """Hide some sources, targets and numbers of exposures, each by itself."""
    drawn = torch.rand(3, len(batch["source"]), device=batch["source"].device) < config.hide
    numbers = batch["edge_numbers"].clone()
    numbers[drawn[2], count] = torch.nan
    return batch | {
        "source": torch.where(drawn[0], 0, batch["source"]),
        "target": torch.where(drawn[1], 0, batch["target"]),
        "edge_numbers": numbers,
    }
