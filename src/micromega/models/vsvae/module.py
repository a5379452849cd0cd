"""The VS-VAE as a LightningModule: the bound, its schedule, what is logged."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from micromega.config.schema import plain
from micromega.errors import CheckpointError, ConfigError
from micromega.models.origin import ORIGIN
from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.config import VSVAEModelConfig
from micromega.models.vsvae.network import VSVAE
from micromega.models.vsvae.origin import check_origin
from micromega.models.vsvae.parts import TEXTS
from micromega.models.vsvae.result import ACTIVE
from micromega.models.vsvae.schedule import charged, divergence_weight, one_cycle


class VSVAEModule(pl.LightningModule):
    """Maximise the evidence lower bound of posts (Tian et al. 2022, eq. 16).

    Args:
        config: network and training.
        spec: sizes and statistics of the parts; `restore` rebuilds it from a checkpoint.

    Raises:
        ConfigError: a setting is of a part that posts do not have.
    """

    def __init__(self, config: VSVAEModelConfig, spec: PostSpec) -> None:
        super().__init__()
        _check(config, spec)
        self.config = config
        self.save_hyperparameters(
            {"config": plain(dataclasses.asdict(config)), "sizes": dict(spec.sizes), "words": list(spec.words)}
        )
        self.network = VSVAE(config, spec)
        self.register_buffer("_means", torch.zeros(3, config.latent_size), persistent=False)

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> "VSVAEModule":
        """Rebuild a trained module from a checkpoint's plain values and tensors.

        Args:
            checkpoint: as read by `load_checkpoint`.

        Returns:
            The module, on the CPU, in evaluation mode.
        """
        saved, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"]
        numbers = [part for part in saved["sizes"] if part not in TEXTS]
        spec = PostSpec(
            sizes=saved["sizes"],
            words=tuple(saved["words"]),
            word_vectors=weights["network.word_vectors"],
            mean={part: weights[f"network.mean_{part}"] for part in numbers},
            deviation={part: weights[f"network.deviation_{part}"] for part in numbers},
        )
        module = cls(VSVAEModelConfig(**saved["config"]), spec)
        module.load_state_dict(weights)
        return module.eval()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights have seen."""
        checkpoint[ORIGIN] = self.trainer.datamodule.origin  # type: ignore[attr-defined]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on with another schedule, with posts held out that were seen, or where features have changed."""
        before = checkpoint["hyper_parameters"]["config"].get("schedule", "constant")
        if before != self.config.schedule:
            raise CheckpointError(
                f"ckpt_path: the checkpoint was trained with model.schedule={before}, whose state says nothing to "
                f"{self.config.schedule}. Set model.schedule={before}, or train without ckpt_path."
            )
        check_origin(checkpoint.get(ORIGIN, {}), self.trainer.datamodule.origin)  # type: ignore[attr-defined]

    def training_step(self, batch: PostBatch, batch_idx: int) -> Tensor:
        """Negative bound of a batch, mean over posts."""
        shown = self._hidden(batch)
        posterior = self.network.encode(shown)
        r = posterior.sample(torch.randn_like(posterior.mean))
        likelihood = self.network.log_likelihood(r, batch)
        weights = self.config.weights
        fit = torch.stack([weights.get(part, 1.0) * of.mean() for part, of in likelihood.items()]).sum()  # type: ignore[call-overload]
        loss = self._divergence_weight() * charged(posterior.divergence(), self.config.free_nats) - fit
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch), sync_dist=True)
        return loss + self._untouched(shown)

    def _hidden(self, batch: PostBatch) -> PostBatch:
        """Hide modalities of some posts from the encoder; one that a post has is always left."""
        rate = self.config.modality_dropout
        if not rate:
            return batch
        parts_of = list(self.network.modalities.values())
        has = torch.stack([torch.stack([batch.lengths[part] > 0 for part in parts]).any(dim=0) for parts in parts_of])
        chance = torch.rand(has.shape)
        kept = has & (chance >= rate)
        best = torch.where(has, chance, -1.0).argmax(dim=0)  # where nothing is left, the one that came nearest
        kept[best, torch.arange(has.shape[1])] |= ~kept.any(dim=0)
        return batch.hide({part: ~kept[number] for number, parts in enumerate(parts_of) for part in parts})

    def _divergence_weight(self) -> float:
        c = self.config
        steps = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        return divergence_weight(self.global_step / steps, c.kl_schedule, c.kl_epochs, c.kl)

    def _untouched(self, batch: PostBatch) -> Tensor | float:
        """Zero that depends on all parameters, where a batch, as encoders see it, may leave out some of a process."""
        if self.trainer.world_size == 1 or all(of.any() for of in batch.lengths.values()):
            return 0.0
        return 0.0 * torch.stack([p.sum() for p in self.parameters() if p.requires_grad]).sum()

    def on_validation_epoch_start(self) -> None:
        """Begin to measure how much r varies."""
        self._get_means().zero_()

    def validation_step(self, batch: PostBatch, batch_idx: int) -> None:
        """The bound with one draw, the same in every epoch, and its parts in nats per post."""
        posterior = self.network.encode(batch)
        draw = torch.Generator().manual_seed(batch_idx)
        noise = torch.randn(posterior.mean.shape, generator=draw).to(posterior.mean)
        likelihood = self.network.log_likelihood(posterior.sample(noise, draw), batch)
        divergence = posterior.divergence().sum(dim=1)
        bound = torch.stack(list(likelihood.values())).sum(dim=0) - divergence
        values = {"elbo": bound, "divergence": divergence} | {f"log_likelihood_{p}": of for p, of in likelihood.items()}
        self.log_dict(
            {f"val/{name}": value.mean() for name, value in values.items()}, batch_size=len(batch), sync_dist=True
        )
        mean = posterior.mean.double() if self.device.type != "mps" else posterior.mean
        self._get_means().add_(torch.stack([torch.ones_like(mean), mean, mean**2]).sum(dim=1))

    def on_validation_epoch_end(self) -> None:
        """Count the dimensions of r that are in use."""
        sums = self._get_means()
        if self.trainer.world_size > 1:
            gathered = self.all_gather(sums)
            assert isinstance(gathered, Tensor)
            sums = gathered.sum(dim=0)
        count, total, squares = sums
        active = ((squares / count - (total / count) ** 2) > ACTIVE).sum().float()
        self.log("val/active_units", active, sync_dist=True)

    def _get_means(self) -> Tensor:
        found = self._means
        assert isinstance(found, Tensor)
        return found

    def configure_optimizers(self) -> Any:
        """Adam or AdamW; weights are kept small, biases and scales are not. With it the schedule of its rate."""
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for _, p in trained if p.ndim > 1], "weight_decay": self.config.weight_decay},
            {"params": [p for _, p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        kind = torch.optim.Adam if self.config.optimiser == "adam" else torch.optim.AdamW
        # On the CPU the loop over tensors takes a third of a small batch; elsewhere it was not tried.
        optimiser = kind(groups, lr=self.config.learning_rate, fused=self.device.type == "cpu")
        if self.config.schedule == "constant":
            return optimiser
        # Asked for only here, since it builds the loader before a checkpoint is read.
        cycle = one_cycle(optimiser, self.config.learning_rate, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def describe_batch(self, batch: PostBatch) -> str:
        """Name the posts of a batch, for messages."""
        ids = self.trainer.datamodule.post_ids  # type: ignore[attr-defined]
        shown = ", ".join(str(ids[row]) for row in batch.post[:10].tolist())
        return f"{len(batch)} posts ({shown}, …)"


def _check(config: VSVAEModelConfig, spec: PostSpec) -> None:
    if config.learn_words and not spec.words:
        raise ConfigError("model.learn_words=true: data.parts has no text. Set it to false, or add a text.")
