"""The ranker as a LightningModule: thin over the network, the loss and the metrics."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from micromega.config.schema import plain
from micromega.errors import CheckpointError, ConfigError
from micromega.models.mir import metrics
from micromega.models.mir.config import MIRModelConfig
from micromega.models.mir.data import FeatureSpec, MIRData
from micromega.models.mir.losses.approx_ndcg import approx_ndcg_loss
from micromega.models.mir.losses.lambda_loss import lambda_loss
from micromega.models.mir.losses.list_mle import list_mle_loss
from micromega.models.mir.losses.top_one import l1_norm, top_one_loss
from micromega.models.mir.network import Tower, scores_of_all, scores_of_pairs

VALIDATED_RECALL = (10, 50)
ORIGIN = "micromega_origin"
LOSSES = {
    "top_one": top_one_loss,
    "list_mle": list_mle_loss,
    "approx_ndcg": approx_ndcg_loss,
    "lambda_loss": lambda_loss,
}
"""Choices of `model.loss`."""


class MIRModule(pl.LightningModule):
    """Two towers, tied or not, trained on K-bucket lists.

    Args:
        config: network and training.
        spec: features' sizes and statistics; `restore` rebuilds it from a checkpoint.
    """

    def __init__(self, config: MIRModelConfig, spec: FeatureSpec) -> None:
        super().__init__()
        self.config = config
        missing = set(config.modalities) - set(spec.dimensions)
        if missing:
            names = ", ".join(sorted(missing))
            raise ConfigError(
                f"model.modalities has {names}, data.modalities has not: set both, for instance "
                "'data.modalities=[text,visual]' 'model.modalities=[text,visual]'."
            )
        self.save_hyperparameters({"config": plain(dataclasses.asdict(config)), "dimensions": dict(spec.dimensions)})
        for name in config.modalities:
            self.register_buffer(f"mean_{name}", spec.mean[name].clone())
            self.register_buffer(f"deviation_{name}", spec.deviation[name].clone())
        self.brand_tower = self._tower(spec)
        self.creator_tower = self.brand_tower if config.tied else self._tower(spec)
        if config.initial_range is not None:
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -config.initial_range, config.initial_range)
        self._brands, self._first_creator = 0, 0

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> "MIRModule":
        """Rebuild a trained module from a checkpoint's plain values and tensors.

        Args:
            checkpoint: as read by `load_checkpoint`.

        Returns:
            The module, on the CPU, in evaluation mode.
        """
        saved, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"]
        config = MIRModelConfig(**saved["config"])
        spec = FeatureSpec(
            dimensions=saved["dimensions"],
            mean={name: weights[f"mean_{name}"] for name in config.modalities},
            deviation={name: weights[f"deviation_{name}"] for name in config.modalities},
        )
        module = cls(config, spec)
        module.load_state_dict(weights)
        return module.eval()

    def _tower(self, spec: FeatureSpec) -> Tower:
        c = self.config
        sizes: dict[str, int] = {str(name): spec.dimensions[name] for name in c.modalities}
        return Tower(sizes, c.hidden_size, c.embedding_size, dropout=c.dropout, dropout_on=c.dropout_on)

    def attach(self, data: MIRData) -> None:
        """Put a market's pooled features beside the weights (they move with the module and stay out of checkpoints).

        Args:
            data: a set-up datamodule.
        """
        assert data.accounts is not None
        for name in self.config.modalities:
            standard = (data.features[name].to(self.device) - self._get(f"mean_{name}")) / self._get(
                f"deviation_{name}"
            )
            self.register_buffer(f"features_{name}", standard, persistent=False)
        self._brands, self._first_creator = len(data.accounts.brand_ids), data.accounts.first_creator_view
        self.register_buffer("pair_brand", torch.from_numpy(data.accounts.pair_brand).to(self.device), persistent=False)
        self.register_buffer(
            "pair_creator", torch.from_numpy(data.accounts.pair_creator).to(self.device), persistent=False
        )
        self.register_buffer("pair_view", torch.from_numpy(data.accounts.pair_view).to(self.device), persistent=False)
        self._labels, self._same_category = data.accounts.labels(), data.accounts.same_category()
        self._rivals = data.accounts.candidates(data.splits["validation"], data.config.candidates)
        self._ids = data.accounts.brand_ids, data.accounts.creator_ids
        self._origin = {
            "market_fingerprint": data.market.fingerprint,
            "arrays": data.arrays,
            "train_brands": data.accounts.brand_ids[data.splits["train"]].tolist(),
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights have seen, so that no brand of theirs is taken for a held-out one."""
        checkpoint[ORIGIN] = self._origin

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on with weights that were trained on other arrays of the same market."""
        check_arrays(checkpoint.get(ORIGIN, {}), self._origin)

    def setup(self, stage: str) -> None:
        """Take the features of the trainer's datamodule."""
        self.attach(self.trainer.datamodule)  # type: ignore[attr-defined]

    def _get(self, name: str) -> Tensor:
        found = getattr(self, name)
        assert isinstance(found, Tensor)
        return found

    def _views(self, rows: Tensor | slice) -> dict[str, Tensor]:
        return {name: self._get(f"features_{name}")[rows] for name in self.config.modalities}

    def _embed(self, tower: Tower, views: Tensor, first: int, end: int | None) -> Tensor:
        """Embed views of [first, end), given relative to `first`: each once, if the batch needs about as many."""
        everything = self._views(slice(first, end))
        if views.numel() >= next(iter(everything.values())).shape[0]:
            every: Tensor = tower(everything)
            return every[views]
        flat: Tensor = tower({name: values[views.flatten()] for name, values in everything.items()})
        return flat.view(*views.shape, -1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch of lists (eq. 17)."""
        brands = self._embed(self.brand_tower, batch["brand_view"], 0, self._first_creator)
        creators = self._embed(self.creator_tower, batch["creator"], self._first_creator, None)
        loss = LOSSES[self.config.loss](scores_of_pairs(brands, creators), batch["label"])
        if self.config.l1:
            loss = loss + self.config.l1 * l1_norm(list(self.parameters()))
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["brand"]), sync_dist=True)
        return loss

    @torch.no_grad()
    def score(self, brands: Tensor) -> Tensor:
        """Score all candidates for some brands; a positive pair is scored without the creator's posts in the brand.

        Others are shown one of the brand's views that each leave out one of its creators, so that neither side's views
        hold more posts, or are smoother, than the other's.

        Args:
            brands: (n,) brand rows.

        Returns:
            (n, M) scores f(b, m).
        """
        creators = self.creator_tower(self._views(slice(self._first_creator, None)))
        row = torch.full((self._brands,), -1, device=brands.device)
        row = row.scatter(0, brands, torch.arange(len(brands), device=brands.device))
        pair_row = row[self._get("pair_brand")]
        mine = torch.argsort(pair_row, stable=True)[int((pair_row < 0).sum()) :]  # by place in `brands`
        pair_row, pair_creator = pair_row[mine], self._get("pair_creator")[mine]
        left_out = self.brand_tower(self._views(self._get("pair_view")[mine]))
        scores_EM = scores_of_all(left_out, creators)
        counts = torch.bincount(pair_row, minlength=len(brands))[:, None]
        places = (
            torch.arange(len(creators), device=brands.device) % counts
        )  # creator m is shown view m modulo their number
        scores = scores_EM.gather(0, counts.cumsum(0) - counts + places)
        pairs = torch.arange(len(pair_row), device=brands.device)
        return scores.index_put((pair_row, pair_creator), scores_EM[pairs, pair_creator])

    def validation_step(self, brands: Tensor, batch_idx: int) -> None:
        """Ranking metrics over the validation brands."""
        values = ranking_metrics(
            self.score(brands).cpu().numpy()[:, self._rivals],
            self._labels[brands.cpu().numpy()][:, self._rivals],
            self._same_category[brands.cpu().numpy()][:, self._rivals],
            VALIDATED_RECALL,
        )
        named = {f"val/{name}": value for name, value in values.items() if np.isfinite(value)}
        self.log_dict(named, batch_size=len(brands), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Adam, or the paper's SGD; the rate falls by a factor an epoch."""
        c = self.config
        kind = torch.optim.Adam if c.optimiser == "adam" else torch.optim.SGD
        optimiser = kind(self.parameters(), lr=c.learning_rate)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, c.learning_rate_decay)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def describe_batch(self, batch: dict[str, Tensor]) -> str:
        """Name the brands and creators of a batch, for messages."""
        brands = np.unique(batch["brand"].cpu().numpy())
        creators = np.unique(batch["creator"].cpu().numpy())
        shown_brands, shown_creators = ", ".join(self._ids[0][brands[:10]]), ", ".join(self._ids[1][creators[:10]])
        return f"{len(brands)} brands ({shown_brands}, …), {len(creators)} creators ({shown_creators}, …)"


def check_arrays(origin: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Notice feature arrays that were made again with other values, which the market's fingerprint does not cover.

    Args:
        origin: what the checkpoint has seen.
        now: the same of the data at hand.

    Raises:
        CheckpointError: the market is the same, and an array is not.
    """
    if origin.get("market_fingerprint") != now["market_fingerprint"]:
        return
    other = sorted(name for name, value in origin.get("arrays", {}).items() if now["arrays"].get(name) != value)
    if other:
        msg = (
            f"ckpt_path: the checkpoint was trained on other values of the features {', '.join(other)} than the market "
            "holds now. Train again, or put the old arrays back."
        )
        raise CheckpointError(msg)


def ranking_metrics(
    scores_BM: NDArray[Any],
    labels_BM: NDArray[np.bool_],
    same_category_BM: NDArray[np.bool_],
    recall_at: tuple[int, ...],
) -> dict[str, float]:
    """Compute the paper's metrics from score matrices.

    Args:
        scores_BM: (B, M) scores.
        labels_BM: (B, M) positives.
        same_category_BM: (B, M) creators of the brand's own category.
        recall_at: values of k.

    Returns:
        auc, cauc, recall_at_<k>, median_first_rank.
    """
    brands, creators = scores_BM.shape
    flat = scores_BM.ravel(), labels_BM.ravel(), np.repeat(np.arange(brands), creators)
    return {
        "auc": metrics.auc(*flat),
        "cauc": metrics.cauc(*flat, same_category_BM.ravel()),
        **{f"recall_at_{k}": metrics.recall_at_k(*flat, k=k) for k in recall_at},
        "median_first_rank": metrics.median_first_rank(*flat),
    }
