"""LambdaMART as a LightningModule: trained, resumed, evaluated and exported like the ranker it is compared with."""

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
from micromega.models.lambdamart.config import LambdaMARTModelConfig
from micromega.models.lambdamart.pair_features import Reduction, Views, pair_columns
from micromega.models.lambdamart.queries import Queries, sample_queries
from micromega.models.lambdamart.trees import Table, Trees, grow, read_trees
from micromega.models.mir.data import FeatureSpec, MIRData
from micromega.models.mir.metrics import ranking_metrics
from micromega.models.mir.module import VALIDATED_RECALL
from micromega.models.mir.origin import check_features, origin_of
from micromega.models.origin import ORIGIN, check_arrays

_PAIRS = 1 << 16
"""Pairs described at a time."""
_VALIDATION_NEGATIVES = 5000
"""Creators per validation brand that decide how many trees to keep, where there are more."""


class LambdaMARTModule(pl.LightningModule):
    """Gradient-boosted trees on pair features, grown in the first training step.

    Args:
        config: what the trees see and how they are grown.
        spec: features' sizes and statistics; `restore` rebuilds it from a checkpoint.
    """

    def __init__(self, config: LambdaMARTModelConfig, spec: FeatureSpec) -> None:
        super().__init__()
        self.config, self.automatic_optimization = config, False
        self.modalities = config.modalities or tuple(spec.dimensions)
        missing = set(self.modalities) - set(spec.dimensions)
        if missing:
            names = ", ".join(sorted(missing))
            raise ConfigError(
                f"model.modalities has {names}, data.modalities has not: add them to data.modalities, or leave "
                "model.modalities=null to use all of data.modalities."
            )
        self.save_hyperparameters({"config": plain(dataclasses.asdict(config)), "dimensions": dict(spec.dimensions)})
        self.reductions = nn.ModuleDict(
            {name: Reduction(spec.mean[name], spec.deviation[name], config.components) for name in self.modalities}
        )
        self.trees: Tensor
        self.register_buffer("trees", torch.zeros(0, dtype=torch.uint8))
        # Lightning saves a checkpoint only after a step of an optimiser: this takes it, and stays 0.
        self.steps = nn.Parameter(torch.zeros(()))
        self._booster: Trees | None = None
        self._views: dict[str, Views] | None = None
        self._trained_on: Mapping[str, Any] = {}

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> "LambdaMARTModule":
        """Rebuild a trained module from a checkpoint's plain values and tensors.

        Args:
            checkpoint: as read by `load_checkpoint`.

        Returns:
            The module, on the CPU, in evaluation mode.
        """
        saved, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"]
        config = LambdaMARTModelConfig(**saved["config"])
        kept = config.modalities or tuple(saved["dimensions"])
        spec = FeatureSpec(
            dimensions=saved["dimensions"],
            mean={name: weights[f"reductions.{name}.mean"] for name in kept},
            deviation={name: weights[f"reductions.{name}.deviation"] for name in kept},
        )
        module = cls(config, spec)
        module.load_state_dict(weights)
        module._trained_on = checkpoint.get(ORIGIN, {})
        return module.eval()

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load tensors; the trees' text has any length."""
        self._keep_trees(torch.zeros_like(state_dict["trees"], device=self.trees.device))
        self._views = None
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def _keep_trees(self, text: Tensor) -> None:
        self.trees, self._booster = text, None

    def attach(self, data: MIRData, *, held_out: bool = False) -> None:
        """Put a market's features beside the trees (they stay out of checkpoints).

        Args:
            data: a set-up datamodule.
            held_out: take the features of judging, which differ from those of training on some published splits.

        Raises:
            CheckpointError: the restored trees were grown on features that were made otherwise.
        """
        assert data.accounts is not None
        self._origin = origin_of(data)
        check_features(self._trained_on, self._origin)
        accounts, features = data.accounts, data.held_out_features if held_out else data.features
        self._accounts, self._splits, self._among = accounts, data.splits, data.config.candidates
        for name in self.modalities:
            self.register_buffer(f"features_{name}", features[name].to(self.device), persistent=False)
        self._views = None
        self._labels, self._same_category = accounts.labels(), accounts.same_category()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the trees have seen, so that no brand of theirs is taken for a held-out one."""
        checkpoint[ORIGIN] = self._origin

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on with trees that were grown on other features."""
        check_arrays(checkpoint.get(ORIGIN, {}), self._origin)
        check_features(checkpoint.get(ORIGIN, {}), self._origin)

    def setup(self, stage: str) -> None:
        """Take the features of the trainer's datamodule."""
        self.attach(self.trainer.datamodule)  # type: ignore[attr-defined]

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Grow all trees from the training brands' pairs, whatever the batch holds, and end the training."""
        self.fit()
        optimiser = self.optimizers()
        assert isinstance(optimiser, pl.core.optimizer.LightningOptimizer)
        optimiser.step()
        self.log("train/trees", float(self._grown().num_trees()), on_step=False, on_epoch=True, batch_size=1)
        self.trainer.should_stop = True

    @torch.no_grad()
    def fit(self) -> None:
        """Reduce the features and grow the trees on the attached market's training brands."""
        train, accounts = self._splits["train"], self._accounts
        candidates = self._rivals("train")
        views = torch.from_numpy(np.concatenate([train, accounts.creator_view[candidates]])).to(self.device)
        for name, reduction in self._reductions().items():
            reduction.fit(self._pooled(name)[views])
        self._views = None
        seed = self.config.seed
        training = sample_queries(accounts, train, candidates, self.config.negatives_per_brand, seed)
        validation = sample_queries(
            accounts, self._splits["validation"], self._rivals("validation"), _VALIDATION_NEGATIVES, seed
        )
        self._keep_trees(grow(self.config, self._table(training), self._table(validation)).to(self.device))

    def _rivals(self, split: str) -> NDArray[np.int64]:
        return np.flatnonzero(self._accounts.candidates(self._splits[split], self._among))

    def _pooled(self, name: str) -> Tensor:
        found = getattr(self, f"features_{name}")
        assert isinstance(found, Tensor)
        return found

    def _reductions(self) -> dict[str, Reduction]:
        return {name: part for name, part in self.reductions.items() if isinstance(part, Reduction)}

    def _table(self, blocks: Any) -> Table:
        queries: list[Queries] = list(blocks)
        return Table(
            columns=np.concatenate([self._columns(block.brand_view, block.creator) for block in queries]),
            label=np.concatenate([block.label for block in queries]),
            sizes=np.concatenate([block.sizes for block in queries]),
        )

    def _columns(self, brand_view_P: NDArray[np.int64], creator_P: NDArray[np.int64]) -> NDArray[np.float32]:
        """(P, C) what the trees see of pairs of a brand's view and a creator's row."""
        if self._views is None:
            self._views = {name: part(self._pooled(name)) for name, part in self._reductions().items()}
        device = next(iter(self._views.values())).unit.device
        blocks = []
        for first in range(0, len(creator_P), _PAIRS):
            brand = torch.from_numpy(brand_view_P[first : first + _PAIRS]).to(device)
            creator = torch.from_numpy(creator_P[first : first + _PAIRS]).to(device)
            views = creator + self._accounts.first_creator_view
            blocks.append(torch.cat([pair_columns(found, brand, views) for found in self._views.values()], dim=1).cpu())
        return np.asarray(torch.cat(blocks).numpy())

    def _grown(self) -> Trees:
        if self._booster is None:
            if not len(self.trees):
                msg = "The checkpoint holds no trees: training was stopped before they had grown. Train again."
                raise CheckpointError(msg)
            self._booster = read_trees(self.trees)
        return self._booster

    @torch.no_grad()
    def score(self, brands: Tensor) -> Tensor:
        """Score all candidates for some brands, each with the view of the brand that it is to be shown.

        Args:
            brands: (n,) brand rows.

        Returns:
            (n, M) sums of the trees' leaves; see `Accounts.shown_views`.
        """
        creators, grown = np.arange(len(self._accounts.creator_ids)), self._grown()
        rows = brands.cpu().numpy()
        step = max(1, _PAIRS // len(creators))
        scores = np.empty((len(rows), len(creators)), dtype=np.float32)
        for first in range(0, len(rows), step):
            views, shown = self._accounts.shown_views(rows[first : first + step])
            columns = self._columns(views[shown].ravel(), np.tile(creators, len(shown)))
            scores[first : first + step] = np.asarray(grown.predict(columns, num_threads=self.config.threads)).reshape(
                shown.shape
            )
        return torch.from_numpy(scores).to(self.device)

    def validation_step(self, brands: Tensor, batch_idx: int) -> None:
        """Ranking metrics over the validation brands."""
        rows, rivals = brands.cpu().numpy(), self._rivals("validation")
        scores = self.score(brands).cpu().numpy()[:, rivals]
        values = ranking_metrics(
            scores, self._labels[rows][:, rivals], self._same_category[rows][:, rivals], VALIDATED_RECALL
        )
        named = {f"val/{name}": value for name, value in values.items() if np.isfinite(value)}
        self.log_dict(named, batch_size=len(brands), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """What counts the one step of the training."""
        return torch.optim.SGD([self.steps], lr=1.0)
