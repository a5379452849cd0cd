"""DFIV as a LightningModule: networks and ridge regressions take turns (Xu et al. 2021, algorithm 1).

It logs `train/loss` (stage 2, penalty included), `val/loss` (mean over members of the held-out squared error of the
outcome given instruments and controls) and `val/best` (mean over members of the lowest so far; the weights behind it
are in `best`). Losses are in standardised units. Shapes: E members, B rows, M treatments of a row.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from micromega.config.schema import plain
from micromega.errors import CheckpointError, ConfigError
from micromega.models.deepiv.batches import NAMES, Batch, Spec
from micromega.models.deepiv.config import DeepIVModelConfig, OutcomeConfig
from micromega.models.deepiv.training import Best, HeldOut, Scale
from micromega.models.dfiv.config import DFIVModelConfig
from micromega.models.dfiv.features import FeatureNetworks, crossed
from micromega.models.dfiv.halves import Pair, served
from micromega.models.dfiv.ridge import Moments, Ridge, ridge
from micromega.models.origin import ORIGIN

if TYPE_CHECKING:
    from micromega.models.deepiv.data import DeepIVData

FIRST, SECOND, HELD_OUT = range(3)
"""Place of each loader of validation, see `judging_batches`."""


class DFIVModule(pl.LightningModule):
    """Deep feature instrumental variables.

    Args:
        config: networks, penalties, training, members.
        spec: sizes, means and deviations; `restore` rebuilds it from a checkpoint.
    """

    title = "DFIV"
    """What tables and reports call it."""

    def __init__(self, config: DFIVModelConfig, spec: Spec) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.members = max(config.bootstrap, 1) * config.starts
        self.sizes = {name: len(spec.mean[name]) for name in ("z", "x")}
        self.save_hyperparameters({"config": plain(dataclasses.asdict(config)), "sizes": self.sizes})
        self.scale = Scale(spec)
        self.network = FeatureNetworks(config, self.members, self.sizes["x"], self.sizes["z"])
        self.best = Best(self.network, self.members)
        self._held_out, self._moments, self._stages = HeldOut(), Moments(), dict[int, Ridge]()

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> "DFIVModule":
        """Rebuild a trained module from a checkpoint's plain values and tensors, on the CPU, in evaluation mode.

        Raises:
            CheckpointError: it is another model's.
        """
        if "second_penalty" not in checkpoint.get("hyper_parameters", {}).get("config", {}):
            raise CheckpointError("The checkpoint is of another model. Give one that train.py made with model=dfiv.")
        weights = checkpoint["state_dict"]
        mean, deviation = ({name: weights[f"scale.{of}_{name}"] for name in NAMES} for of in ("mean", "deviation"))
        module = cls(DFIVModelConfig(**checkpoint["hyper_parameters"]["config"]), Spec(mean=mean, deviation=deviation))
        module.load_state_dict(weights)
        return module.eval()

    @classmethod
    def begin(cls, config: DFIVModelConfig, data: "DeepIVData") -> "DFIVModule":
        """Make an untrained module for a set-up datamodule, which hands out its rows from now on.

        Raises:
            ConfigError: the datamodule has no treatment and no instrument.
            DataError: there are too few authors.
        """
        if not hasattr(data, "serve"):
            raise ConfigError("model=dfiv learns what followers cause, with an instrument: set data=deepiv.")
        rows, judged = served(data.values, data.members(config), data.inputs.author, seed=data.config.seed)
        data.serve(rows, judged, config.batch_size)
        return cls(config, data.spec)

    @property
    def epochs(self) -> int:
        """So many, where the trainer has no number of its own."""
        return self.config.epochs

    @property
    def epochs_of(self) -> Mapping[str, int]:
        """The same, for reports."""
        return {"all networks": self.config.epochs}

    @property
    def without_instrument(self) -> DeepIVModelConfig:
        """Settings of a network that is fitted to treatments as they come: those of experiment=deepiv/default."""
        return DeepIVModelConfig(outcome=OutcomeConfig(learning_rate=0.003, smoothness=0.0))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights have seen, where a DataModule tells."""
        if (data := getattr(self.trainer, "datamodule", None)) is not None:
            checkpoint[ORIGIN] = data.origin

    def on_fit_start(self) -> None:
        """Refuse several processes, each of which would solve for its own coefficients, and settings of no effect."""
        if self.trainer.world_size > 1:
            raise ConfigError("dfiv trains in one process: set trainer.devices=1.")
        if not self.trainer.limit_val_batches:
            raise ConfigError("dfiv solves for its response in validation: set trainer.limit_val_batches above 0.")
        asked, used = self.config.epochs, self.trainer.max_epochs
        if asked not in (DFIVModelConfig().epochs, used) and not getattr(self.trainer, "fast_dev_run", False):
            raise ConfigError(
                f"model.epochs={asked} has no effect beside trainer.max_epochs={used}: set trainer.max_epochs=null, or "
                "leave model.epochs out."
            )

    def response(self, t: Tensor, x: Tensor) -> Tensor:
        """h(t, x) of the best members: E[y | do(t), x].

        Args:
            t: (E or 1, B, M) in the units of the data.
            x: (E or 1, B, X) in the units of the data.

        Returns:
            (E, B, M) in the units of the outcome.
        """
        response: Tensor = self.best.network(self.scale.standard("t", t), self.scale.standard("x", x))
        return self.scale.original("y", response)

    def configure_optimizers(self) -> Any:
        """Adam with a group for each network; a group without gradients stays where it is."""
        networks = {
            self.network.of_instruments: self.config.instrument,
            self.network.of_treatment: self.config.treatment,
            self.network.of_controls: self.config.control,
        }
        groups = [
            {"params": [*of.parameters()], "weight_decay": config.weight_decay}
            for of, config in networks.items()
            if of is not None
        ]
        return torch.optim.Adam(groups, lr=self.config.learning_rate)

    def training_step(self, batch: Pair, batch_idx: int) -> None:
        """Move the networks in turn: instruments, controls, treatment."""
        c, net, first, second = self.config, self.network, batch.first, batch.second
        t, z_first, z_second = self._standard("t", first), self._standard("z", first), self._standard("z", second)
        x_first, x_second = self._standard("x", first), self._standard("x", second)
        with torch.no_grad():
            treatment = net.treatment_features(t)
        for _ in range(c.instrument.updates):
            self._move(self.first_loss(net.instrument_features(z_first, x_first), treatment, first.weight))
        with torch.no_grad():
            seen, unseen = net.instrument_features(z_first, x_first), net.instrument_features(z_second, x_second)
            predicted = self._first(seen, treatment, first.weight)(unseen)
        for _ in range(c.control.updates if net.of_controls is not None else 0):
            self._move(self.second_loss(predicted, net.control_features(x_second), second))
        with torch.no_grad():
            control = net.control_features(x_second)
        for update in range(c.treatment.updates):
            stage = self._first(seen, net.treatment_features(t), first.weight)
            loss = self.second_loss(stage(unseen), control, second)
            self._move(loss, last=update == c.treatment.updates - 1)
        shown = loss.detach() / self.members
        self.log("train/loss", shown, on_step=False, on_epoch=True, batch_size=len(batch))

    def first_loss(self, instrument: Tensor, treatment: Tensor, weight: Tensor) -> Tensor:
        """Stage 1: what instruments leave unexplained of each treatment feature's variance, penalty included.

        Args:
            instrument: ψ (E, B, I).
            treatment: φ (E, B, T), constants.
            weight: (E, B).

        Returns:
            Sum over members and features.
        """
        # At their optimum the coefficients do not move the loss, so its gradient is right with them held still.
        with torch.no_grad():
            stage = self._first(instrument, treatment, weight)
        share = (weight / weight.sum(dim=1, keepdim=True))[..., None]
        centre = (share * treatment).sum(dim=1, keepdim=True)
        scale = (share * (treatment - centre) ** 2).sum(dim=1).clamp_min(1e-12)
        mean = (share * instrument).sum(dim=1, keepdim=True)
        variance = (share * (instrument - mean) ** 2).sum(dim=1)[..., None]
        punished = self.config.first_penalty * (variance * stage.coefficient**2).sum(dim=1)
        error = (share * (treatment - stage(instrument)) ** 2).sum(dim=1)
        return ((error + punished) / scale).sum()

    def second_loss(self, predicted: Tensor, control: Tensor, batch: Batch) -> Tensor:
        """Stage 2: squared error of the outcome given predicted treatment features, penalty included.

        Args:
            predicted: φ̂ (E, B, T).
            control: ξ (E, B, C).
            batch: outcomes and weights of the rows.

        Returns:
            Sum over members.
        """
        features, y = crossed(predicted, control), self._standard("y", batch)[..., None]
        with torch.no_grad():  # as in stage 1
            stage = ridge(features, y, batch.weight, self.config.second_penalty, relative=False)
        share = batch.weight / batch.weight.sum(dim=1, keepdim=True)
        error = (share * ((y - stage(features)) ** 2)[..., 0]).sum(dim=1)
        return (error + stage.punishment()[:, 0]).sum()

    def on_validation_epoch_start(self) -> None:
        """Begin anew."""
        self._held_out.clear()
        self._stages, self._moments = {}, Moments()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Add up what the coefficients of the moment follow from, solve, and judge them on held-out rows."""
        if dataloader_idx and dataloader_idx - 1 not in self._stages:
            relative = dataloader_idx == SECOND
            penalty = self.config.first_penalty if relative else self.config.second_penalty
            self._stages[dataloader_idx - 1] = self._moments.solve(penalty, relative=relative)
            self._moments = Moments()
            if dataloader_idx == HELD_OUT:
                self.network.keep(self._stages[SECOND])
        net, y = self.network, self._standard("y", batch)
        features = net.instrument_features(self._standard("z", batch), self._standard("x", batch))
        if dataloader_idx == FIRST:
            self._moments.add(features, net.treatment_features(self._standard("t", batch)), batch.weight)
            return
        both = crossed(self._stages[FIRST](features), net.control_features(self._standard("x", batch)))
        if dataloader_idx == SECOND:
            self._moments.add(both, y[..., None], batch.weight)
        else:
            self._held_out.add((y - self._stages[SECOND](both)[..., 0]) ** 2, batch.weight)

    def on_validation_epoch_end(self) -> None:
        """Keep the members that have never been better."""
        loss = self._held_out.mean(self)
        if self.trainer.state.fn == TrainerFn.FITTING and not self.trainer.sanity_checking:
            self.best.keep(self.network, loss)
        self.log("val/loss", loss.mean().float(), batch_size=1)
        self.log("val/best", self.best.loss.mean(), batch_size=1)

    def describe_batch(self, batch: Pair) -> str:
        """Name the rows of a batch, for messages."""
        shown = ", ".join(map(str, batch.second.row[0, :10].tolist()))
        return f"{len(batch)} rows of each half (of stage 2: {shown}, …)"

    def _standard(self, name: str, batch: Batch) -> Tensor:
        value: Tensor = getattr(batch, name)
        return self.scale.standard(name, value)

    def _first(self, instrument: Tensor, treatment: Tensor, weight: Tensor) -> Ridge:
        return ridge(instrument, treatment, weight, self.config.first_penalty, relative=True)

    def _move(self, loss: Tensor, *, last: bool = False) -> None:
        # Lightning counts what its own wrapper does: one step for a batch, not one for each of its updates.
        counted, plain_one = self.optimizers(), self.optimizers(use_pl_optimizer=False)
        optimiser: Any = counted if last else plain_one
        optimiser.zero_grad()
        self.manual_backward(loss)
        optimiser.step()
