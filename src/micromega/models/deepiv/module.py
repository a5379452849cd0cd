"""Deep IV's two stages as LightningModules: losses, the best epoch of each member, what is logged and stored.

Both log `train/loss`, `val/loss` (mean over members of the held-out loss of this epoch) and `val/best` (mean over
members of the lowest so far, which is what to watch: the weights behind it are in `best`). Losses are in standardised
units: stage 1 the negative log likelihood in nats, stage 2 the squared error of eq. 5. Shapes: E members, B rows.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from micromega.config.schema import plain
from micromega.errors import CheckpointError
from micromega.models.deepiv.batches import NAMES, Batch, Spec
from micromega.models.deepiv.config import DeepIVModelConfig, OutcomeConfig, TreatmentConfig
from micromega.models.deepiv.loss import integral, shape_penalty, squared_error, two_sample_error
from micromega.models.deepiv.outcome import ResponseNetwork
from micromega.models.deepiv.training import Best, HeldOut, Scale, clip_members, fingerprint, optimiser_of
from micromega.models.deepiv.treatment import Mixture, MixtureNetwork
from micromega.models.origin import ORIGIN

if TYPE_CHECKING:
    from micromega.models.deepiv.data import DeepIVData

FINGERPRINT = "treatment_fingerprint"
_NEGATIVE_SLOPES = 10.0  # weight of their punishment, where outcome.nonnegative is on


class _Stage(pl.LightningModule):
    """What the stages share; `held_out_loss` and `training_loss` are theirs."""

    stage: TreatmentConfig | OutcomeConfig
    network: MixtureNetwork | ResponseNetwork
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

    def _begin(self, network: MixtureNetwork | ResponseNetwork) -> None:
        self.network = network
        self.best = Best(network, self.members)


class TreatmentModule(_Stage):
    """Stage 1: minimise the negative log likelihood of the treatment given instrument and controls.

    Args:
        config: network, training, members.
        spec: sizes, means and deviations; `restore` rebuilds it from a checkpoint.
    """

    stage: TreatmentConfig
    network: MixtureNetwork
    later = "outcome"
    """The part of the configuration that this stage knows nothing of."""

    def __init__(self, config: DeepIVModelConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.stage = config.treatment
        self._begin(MixtureNetwork(config.treatment, self.members, self.sizes["z"] + self.sizes["x"]))

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> "TreatmentModule":
        """Rebuild a trained module from a checkpoint's plain values and tensors, on the CPU, in evaluation mode."""
        module = cls(DeepIVModelConfig(**checkpoint["hyper_parameters"]["config"]), _stored_spec(checkpoint))
        module.load_state_dict(checkpoint["state_dict"])
        return module.eval()

    @classmethod
    def begin(cls, config: DeepIVModelConfig, data: "DeepIVData") -> "TreatmentModule":
        """Make an untrained stage 1 for a set-up datamodule, which hands out its rows from now on."""
        data.serve_treatment(config)
        return cls(config, data.spec)

    @property
    def fingerprint(self) -> str:
        """Hash of what stage 2 stands on: the best members and the scale."""
        return fingerprint(torch.nn.ModuleList([self.best, self.scale]))

    def mixture(self, z: Tensor, x: Tensor, *, network: MixtureNetwork | None = None) -> Mixture:
        """Mixtures of the treatment in standardised units; of the best members unless said otherwise.

        Args:
            z: (E or 1, B, Z) in the units of the data.
            x: (E or 1, B, X) in the units of the data.
            network: whose.
        """
        of: MixtureNetwork = self.best.network if network is None else network  # type: ignore[assignment]
        mixture: Mixture = of(self.scale.standard("z", z), self.scale.standard("x", x))
        return mixture

    def training_loss(self, batch: Batch) -> Tensor:
        """Negative log likelihood, (E, B)."""
        mixture = self.mixture(batch.z, batch.x, network=self.network)
        return -mixture.log_density(self.scale.standard("t", batch.t))

    def held_out_loss(self, batch: Batch) -> Tensor:
        """Negative log likelihood, (E, B)."""
        return self.training_loss(batch)


class OutcomeModule(_Stage):
    """Stage 2: minimise eq. 5 with stage 1 standing still.

    Args:
        config: network, rule, training, members.
        spec: as stage 1 has it, with stage 1's fingerprint.

    Raises:
        CheckpointError: the spec has no fingerprint, or a checkpoint stands on another stage 1.
    """

    stage: OutcomeConfig
    network: ResponseNetwork
    earlier: ClassVar[Mapping[str, type[TreatmentModule]]] = {"treatment": TreatmentModule}
    """Name -> stages that are trained first."""
    title = "Deep IV"
    """What tables and reports call the model of both stages."""

    def __init__(self, config: DeepIVModelConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        if spec.treatment is None:
            raise CheckpointError("Stage 2 (outcome) needs a trained stage 1 (treatment): train that first.")
        self.treatment = spec.treatment
        self.stage = config.outcome
        self._begin(ResponseNetwork(config.outcome, self.members, self.sizes["x"]))

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any], treatment: TreatmentModule) -> "OutcomeModule":
        """Rebuild a trained module from a checkpoint's plain values and tensors.

        Args:
            checkpoint: as read by `load_checkpoint`.
            treatment: the stage 1 that is used beside it.

        Returns:
            The module, on the CPU, in evaluation mode.

        Raises:
            CheckpointError: it stands on another stage 1.
        """
        spec = dataclasses.replace(_stored_spec(checkpoint), treatment=treatment.fingerprint)
        module = cls(DeepIVModelConfig(**checkpoint["hyper_parameters"]["config"]), spec)
        module.on_load_checkpoint(dict(checkpoint))
        module.load_state_dict(checkpoint["state_dict"])
        return module.eval()

    @classmethod
    def begin(cls, config: DeepIVModelConfig, data: "DeepIVData", treatment: TreatmentModule) -> "OutcomeModule":
        """Make an untrained stage 2 for a set-up datamodule, which hands out its rows from now on."""
        return cls(config, data.serve_outcome(config, treatment))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say which stage 1 the weights stand on, and what they have seen."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[FINGERPRINT] = self.treatment

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that were trained on another stage 1."""
        stored = checkpoint.get(FINGERPRINT)
        if stored != self.treatment:
            raise CheckpointError(
                f"This stage 2 (outcome) was trained on the stage 1 (treatment) {str(stored)[:12]}; the one at hand is "
                f"{self.treatment[:12]}, and its mixtures are others. Give the stage 1 that belongs to it, or train "
                "stage 2 anew."
            )

    @property
    def epochs_of(self) -> Mapping[str, int]:
        """Stage -> epochs, where the trainer has no number of its own."""
        return {"treatment": self.config.treatment.epochs, "outcome": self.stage.epochs}

    @property
    def without_instrument(self) -> DeepIVModelConfig:
        """Settings of one network like this, fitted to treatments as they come."""
        return dataclasses.replace(self.config, bootstrap=0, folds=1, starts=1)

    def response(self, t: Tensor, x: Tensor) -> Tensor:
        """h(t, x) of the best members: E[y | do(t), x].

        Args:
            t: (E or 1, B, M) in the units of the data.
            x: (E or 1, B, X) in the units of the data.

        Returns:
            (E, B, M) in the units of the outcome.
        """
        response = self.best.network(self.scale.standard("t", t), self.scale.standard("x", x))
        return self.scale.original("y", response)

    def training_loss(self, batch: Batch) -> Tensor:
        """Squared error of the integrated response, and penalties on its shape, (E, B)."""
        x, y = self.scale.standard("x", batch.x), self.scale.standard("y", batch.y)
        if batch.mixture is None:
            at, weight = self._nodes(batch)
            response = self.network(at, x)
            loss = squared_error(y, integral(response, weight))
        else:
            draws = batch.mixture.sample(2 * self.stage.nodes)
            at = self.scale.standard("t", _of_members(draws, self.members))
            response = self.network(at, x)
            first, second = response.chunk(2, dim=-1)
            loss = two_sample_error(y, first.mean(dim=-1), second.mean(dim=-1))
        slopes = _NEGATIVE_SLOPES * self.stage.nonnegative
        if slopes or self.stage.smoothness:
            loss = loss + shape_penalty(at, response, negative_slopes=slopes, curvature=self.stage.smoothness)
        return loss

    def held_out_loss(self, batch: Batch) -> Tensor:
        """Squared error of the integrated response by the rule of the batch, (E, B)."""
        at, weight = self._nodes(batch)
        response = self.network(at, self.scale.standard("x", batch.x))
        return squared_error(self.scale.standard("y", batch.y), integral(response, weight))

    def _nodes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.nodes is not None
        assert batch.node_weights is not None
        at = self.scale.standard("t", _of_members(batch.nodes, self.members))
        return at, _of_members(batch.node_weights, self.members)


def _of_members(value: Tensor, members: int) -> Tensor:
    """Give every member what belongs to its draw; (D, B, M) -> (E or 1, B, M)."""
    draws = len(value)
    return value if draws in (1, members) else value.repeat_interleave(members // draws, dim=0)


def _stored_spec(checkpoint: Mapping[str, Any]) -> Spec:
    weights = checkpoint["state_dict"]
    return Spec(
        mean={name: weights[f"scale.mean_{name}"] for name in NAMES},
        deviation={name: weights[f"scale.deviation_{name}"] for name in NAMES},
    )
