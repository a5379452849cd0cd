"""Deep IV's two stages as LightningModules: their losses, and how they are rebuilt. Shapes: E members, B rows."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from micromega.errors import CheckpointError
from micromega.models.deepiv.batches import NAMES, Batch, Spec
from micromega.models.deepiv.config import DeepIVModelConfig, OutcomeConfig, TreatmentConfig
from micromega.models.deepiv.loss import integral, shape_penalty, squared_error, two_sample_error
from micromega.models.deepiv.outcome import ControlFunctionNetwork, ResponseNetwork
from micromega.models.deepiv.stage import Stage
from micromega.models.deepiv.training import fingerprint
from micromega.models.deepiv.treatment import Mixture, MixtureNetwork

if TYPE_CHECKING:
    from micromega.models.deepiv.data import DeepIVData

DEEP_IV, CONTROL_FUNCTION = "Deep IV", "Control function"
"""What tables and reports call the two kinds of stage 2."""
FINGERPRINT = "treatment_fingerprint"
_NEGATIVE_SLOPES = 10.0  # weight of their punishment, where outcome.nonnegative is on


class TreatmentModule(Stage):
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
        self.begin_with(MixtureNetwork(config.treatment, self.members, self.sizes["z"] + self.sizes["x"]))

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


class OutcomeModule(Stage):
    """Stage 2: minimise eq. 5, or the squared error of the control function, with stage 1 standing still.

    Args:
        config: network, rule, training, members.
        spec: as stage 1 has it, with stage 1's fingerprint.

    Raises:
        CheckpointError: the spec has no fingerprint, or a checkpoint stands on another stage 1.
    """

    stage: OutcomeConfig
    network: ResponseNetwork | ControlFunctionNetwork
    earlier: ClassVar[Mapping[str, type[TreatmentModule]]] = {"treatment": TreatmentModule}
    """Name -> stages that are trained first."""
    title: str

    def __init__(self, config: DeepIVModelConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        if spec.treatment is None:
            raise CheckpointError("Stage 2 (outcome) needs a trained stage 1 (treatment): train that first.")
        self.treatment = spec.treatment
        self.stage = config.outcome
        by_rank = config.outcome.estimation == "control_function"
        self.title = CONTROL_FUNCTION if by_rank else DEEP_IV
        network = ControlFunctionNetwork if by_rank else ResponseNetwork
        self.begin_with(network(config.outcome, self.members, self.sizes["x"]))

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
        outcome = dataclasses.replace(self.stage, estimation="integral")
        return dataclasses.replace(self.config, outcome=outcome, bootstrap=0, folds=1, starts=1)

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
        slopes = _NEGATIVE_SLOPES * self.stage.nonnegative
        if batch.rank is not None:
            loss = squared_error(y, self._observed(batch, x))
            if slopes or self.stage.smoothness:
                assert isinstance(self.network, ControlFunctionNetwork)
                at, _ = self._nodes(batch)
                response = self.network.response(at, x)
        elif batch.mixture is None:
            at, weight = self._nodes(batch)
            response = self.network(at, x)
            loss = squared_error(y, integral(response, weight))
        else:
            draws = batch.mixture.sample(2 * self.stage.nodes)
            at = self.scale.standard("t", _of_members(draws, self.members))
            response = self.network(at, x)
            first, second = response.chunk(2, dim=-1)
            loss = two_sample_error(y, first.mean(dim=-1), second.mean(dim=-1))
        if slopes or self.stage.smoothness:
            loss = loss + shape_penalty(at, response, negative_slopes=slopes, curvature=self.stage.smoothness)
        return loss

    def held_out_loss(self, batch: Batch) -> Tensor:
        """Squared error of the integrated response by the rule of the batch, or of the control function, (E, B)."""
        x, y = self.scale.standard("x", batch.x), self.scale.standard("y", batch.y)
        if batch.rank is not None:
            return squared_error(y, self._observed(batch, x))
        at, weight = self._nodes(batch)
        return squared_error(y, integral(self.network(at, x), weight))

    def _observed(self, batch: Batch, x: Tensor) -> Tensor:
        """Outcomes that the control function expects, (E, B)."""
        assert isinstance(self.network, ControlFunctionNetwork)
        assert batch.rank is not None
        return self.network.observed(self.scale.standard("t", batch.t), _of_members(batch.rank, self.members), x)

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
