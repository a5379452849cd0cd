"""The ranker as a LightningModule: thin over the network, the loss and the metrics."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from micromega.config.schema import plain
from micromega.errors import ConfigError
from micromega.models.mir.attention_pooling import AttentionPooling
from micromega.models.mir.config import MIRModelConfig
from micromega.models.mir.data import FeatureSpec, MIRData
from micromega.models.mir.features import SINGLE
from micromega.models.mir.losses.approx_ndcg import approx_ndcg_loss
from micromega.models.mir.losses.info_nce import log_inclusion
from micromega.models.mir.losses.lambda_loss import lambda_loss
from micromega.models.mir.losses.list_mle import list_mle_loss
from micromega.models.mir.losses.partners import creator_choice_loss, full_softmax_loss, in_batch_loss
from micromega.models.mir.losses.top_one import l1_norm, top_one_loss
from micromega.models.mir.metrics import ranking_metrics
from micromega.models.mir.network import Encoder, Temperature
from micromega.models.mir.optimiser import check_moved_alike, optimiser_of, schedule_of
from micromega.models.mir.origin import check_features, origin_of
from micromega.models.mir.shared import SharedDirections
from micromega.models.mir.single_posts import entries
from micromega.models.origin import ORIGIN, check_arrays

VALIDATED_RECALL = (10, 50)
BLOCK, SCORES = 16_384, 1 << 22
"""Candidates, and scores, that are held at a time where a market is served in blocks."""
_PAIRS_PER_SCORE = 64
"""Up to so many pairs of views per score wanted, all of them are scored; a guess, faster on the one market it was tried
on (120 brands, 1,250 creators)."""
PAIR_LOSSES = ("softmax", "info_nce")
LIST_LOSSES = {
    "top_one": top_one_loss,
    "list_mle": list_mle_loss,
    "approx_ndcg": approx_ndcg_loss,
    "lambda_loss": lambda_loss,
}
"""Choices of `model.loss`, with `PAIR_LOSSES`."""


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
        idle = set(config.hidden_sizes) - set(spec.dimensions)  # of data.modalities: variants leave out some of them
        if idle:
            raise ConfigError(
                f"model.hidden_sizes names {', '.join(sorted(idle))}; modalities are {', '.join(spec.dimensions)} "
                "(data.modalities). Correct the names, or leave them out."
            )
        self.save_hyperparameters({"config": plain(dataclasses.asdict(config)), "dimensions": dict(spec.dimensions)})
        for name in config.modalities:
            self.register_buffer(f"mean_{name}", spec.mean[name].clone())
            self.register_buffer(f"deviation_{name}", spec.deviation[name].clone())
        sizes = {name: spec.dimensions[name] for name in config.modalities}
        self.shared = SharedDirections(sizes, config.shared_directions) if config.shared_directions else None
        seen = {"shared": config.shared_directions} if self.shared else sizes
        self.brand_tower = Encoder(config, seen)
        self.creator_tower = self.brand_tower if config.tied else Encoder(config, seen)
        self.temperature = Temperature(config.temperature) if config.score == "cosine" else nn.Identity()
        learned = [name for name in config.modalities if name in SINGLE] if config.pooling == "attention" else []
        if learned and self.shared:
            raise ConfigError("model.shared_directions are measured on pooled features: set model.pooling=fixed.")
        self.attention = nn.ModuleDict({name: AttentionPooling(sizes[name], config.attention_size) for name in learned})
        if config.initial_range is not None:
            for parameter in (*self.brand_tower.parameters(), *self.creator_tower.parameters()):
                nn.init.uniform_(parameter, -config.initial_range, config.initial_range)
        self._first_creator, self._pairs = 0, 0
        self._trained_on: Mapping[str, Any] = {}
        self._ddp_params_and_buffers_to_ignore: set[str] = set()  # torch's name, see `_keep`

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
            mean={name: weights[f"mean_{name}"].float() for name in config.modalities},
            deviation={name: weights[f"deviation_{name}"].float() for name in config.modalities},
        )
        module = cls(config, spec)
        module.load_state_dict(weights)
        module._trained_on = checkpoint.get(ORIGIN, {})
        return module.eval()

    def attach(self, data: MIRData, *, held_out: bool = False) -> None:
        """Put a market's features beside the weights (they move with the module and stay out of checkpoints).

        Args:
            data: a set-up datamodule.
            held_out: take the features of judging, which differ from those of training on some published splits.

        Raises:
            CheckpointError: the restored weights were trained on features that were made otherwise.
        """
        assert data.accounts is not None
        self._origin = origin_of(data)
        check_features(self._trained_on, self._origin)
        accounts, features = data.accounts, data.held_out_features if held_out else data.features
        standard = self._standard(features)
        for name, values in ({"shared": self.shared(standard)} if self.shared else standard).items():
            self._keep(f"features_{name}", values)
        if self.attention:
            if data.posts is None:
                raise ConfigError("model.pooling=attention learns from single posts: set data.keep_posts=true.")
            for name, values in self._standard(data.posts.features, *self.attention).items():
                self._keep(f"posts_{name}", values)
            self._keep("posts_start", data.posts.start)
            self._keep("posts_entry", data.posts.post)
        partners = np.isin(accounts.pair_brand, data.splits["train"])
        candidates = np.flatnonzero(accounts.candidates(data.splits["train"], data.config.candidates))
        pairs = np.bincount(accounts.pair_creator[partners], minlength=len(accounts.creator_ids))[candidates]
        self._keep("training_creators", torch.from_numpy(candidates))
        self._keep("training_pairs", torch.from_numpy(pairs))
        self._pairs = int(pairs.sum())
        self._first_creator, self._accounts = accounts.first_creator_view, accounts
        self._rivals = np.flatnonzero(accounts.candidates(data.splits["validation"], data.config.candidates))

    def _standard(self, features: Mapping[str, Tensor], *names: str) -> dict[str, Tensor]:
        """Standardise modalities: all of the model's, or some."""
        return {
            name: (features[name].to(self.device) - self._get(f"mean_{name}")) / self._get(f"deviation_{name}")
            for name in names or self.config.modalities
        }

    def _keep(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values.to(self.device), persistent=False)
        # Every process has made it from the same market; DDP would send it to all of them at every step.
        self._ddp_params_and_buffers_to_ignore.add(name)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights have seen, so that no brand of theirs is taken for a held-out one."""
        checkpoint[ORIGIN] = self._origin

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on with weights that were trained on other features, or moved in another way."""
        check_arrays(checkpoint.get(ORIGIN, {}), self._origin)
        check_features(checkpoint.get(ORIGIN, {}), self._origin)
        check_moved_alike(checkpoint["hyper_parameters"]["config"], self.config)

    def setup(self, stage: str) -> None:
        """Take the features of the trainer's datamodule."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if stage == "fit" and self.shared:
            seen = torch.from_numpy(np.concatenate([data.splits["train"], data.accounts.creator_view]))
            self.shared.fit(self._standard({name: data.features[name][seen] for name in self.config.modalities}))
        self.attach(data)

    def on_fit_start(self) -> None:
        """Describe the accounts anew: a checkpoint may have brought other statistics and shared directions."""
        self.attach(self.trainer.datamodule)  # type: ignore[attr-defined]

    def _get(self, name: str) -> Tensor:
        found = getattr(self, name)
        assert isinstance(found, Tensor)
        return found

    def _views(self, rows: Tensor | slice) -> dict[str, Tensor]:
        known = ("shared",) if self.shared else self.config.modalities
        fixed = [name for name in known if name not in self.attention]
        views = {name: self._get(f"features_{name}")[rows] for name in fixed}
        if self.attention:
            every = torch.arange(len(self._get("posts_start")) - 1, device=self.device)
            wanted = every[rows] if isinstance(rows, slice) else rows
            place, post = entries(self._get("posts_start"), self._get("posts_entry"), wanted)
            for name, pooling in self.attention.items():
                views[name] = pooling(self._get(f"posts_{name}"), place, len(wanted), post)
        return views

    def _embed(self, tower: nn.Module, views: Tensor | slice) -> Tensor:
        """Embed views, (n,) rows of the features, to (n, D); inner products of two sides are scores."""
        embedding: Tensor = self.temperature(tower(self._views(views)))
        return embedding

    def _brands(self, views: Tensor | slice) -> Tensor:
        return self._embed(self.brand_tower, views)

    def _creators(self, views: Tensor | slice) -> Tensor:
        return self._embed(self.creator_tower, views)

    def _of_lists(self, embed: Callable[[Tensor | slice], Tensor], views_LK: Tensor, first: int, end: int) -> Tensor:
        """Embed views of [first, end), given relative to `first`: each once, if the batch needs about as many."""
        if views_LK.numel() >= end - first:
            return embed(slice(first, end))[views_LK]
        return embed(first + views_LK.flatten()).view(*views_LK.shape, -1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch of lists (eq. 17) or of partners among their rivals."""
        loss = self._loss_of_pairs(batch) if self.config.loss in PAIR_LOSSES else self._loss_of_lists(batch)
        if self.config.reduction == "sum":  # over the lists of all processes, whose gradients are averaged
            loss = loss * len(batch["brand"]) * self._processes
        if self.config.l1:
            loss = loss + self.config.l1 * l1_norm(list(self.parameters()))
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["brand"]), sync_dist=True)
        return loss

    @property
    def _processes(self) -> int:
        return self.trainer.world_size if self._trainer else 1

    def _of_all_processes(self, values: Tensor) -> tuple[Tensor, int]:
        """Join values (n,) of all processes, as many of each, and say where this one's begin."""
        if self._processes == 1:
            return values, 0
        joined = self.all_gather(values)
        assert isinstance(joined, Tensor)
        return joined.flatten(), self.global_rank * len(values)

    def _loss_of_lists(self, batch: dict[str, Tensor]) -> Tensor:
        if "creator" not in batch:
            raise ConfigError(f"model.loss={self.config.loss} learns from lists: set data.lists=buckets.")
        views, first, creators = batch["brand_view"], self._first_creator, len(self._accounts.creator_ids)
        if views.numel() >= max(first, creators) and first * creators <= _PAIRS_PER_SCORE * views.numel():
            # So many scores are asked for that all pairs in one matrix product take less time than gathered vectors.
            every = self._brands(slice(0, first)) @ self._creators(slice(first, first + creators)).T
            scores = every.flatten()[views * creators + batch["creator"]]
        else:
            brands = self._of_lists(self._brands, views, 0, first)
            chosen = self._of_lists(self._creators, batch["creator"], first, first + creators)
            scores = (brands * chosen).sum(dim=-1)
        return LIST_LOSSES[self.config.loss](scores, batch["label"])

    def _loss_of_pairs(self, batch: dict[str, Tensor]) -> Tensor:
        if "target" not in batch:
            raise ConfigError(f"model.loss={self.config.loss} learns from partners: set data.lists=pairs.")
        target, partners, hard = batch["target"], batch["partners"], batch["hard_negatives"]
        candidates, brands = self._first_creator + self._get("training_creators"), self._brands(batch["brand_view"])
        if self.config.loss == "softmax":
            creators = self._creators(candidates)
            loss, chosen = full_softmax_loss(brands, creators, target, partners, hard), creators[target]
        else:
            sample, first = self._of_all_processes(target)
            creators = self._creators(candidates[torch.cat([sample, hard.flatten()])])
            rivals = creators[len(sample) :].view(*hard.shape, creators.shape[1])
            log_q = log_inclusion(self._get("training_pairs")[sample], len(sample) / self._pairs)
            loss = in_batch_loss(brands, creators[: len(sample)], rivals, sample, partners, hard, log_q, first)
            chosen = creators[first : first + len(target)]
        weight = self.config.creator_choice
        if not weight:
            return loss
        # Among the brands of this process only: with several, the choice is from fewer.
        choice = creator_choice_loss(chosen, brands, batch["brand"], target, partners)
        return (loss + weight * choice) / (1 + weight)

    @torch.no_grad()
    def embeddings(self, brands: Tensor, creators: NDArray[np.int64] | None = None) -> tuple[Tensor, Tensor]:
        """Embed whole brands and candidates, for retrieval, a block of candidates at a time.

        Args:
            brands: (n,) brand rows.
            creators: (m,) rows of candidates, ascending; None: all of them.

        Returns:
            (n, D) and (m, D) vectors whose inner products are scores; no creator is left out of a brand.
        """
        rows = np.arange(len(self._accounts.creator_ids)) if creators is None else creators
        brand, competition = self._brands(brands), self.config.competition
        found = brand.new_empty(len(rows), brand.shape[1] + competition)
        if competition:
            brand = torch.cat([brand, torch.ones_like(brand[:, :1])], dim=1)
            for block, creator, scores in self._in_blocks(self._taking_part(), rows):
                found[block] = torch.cat([creator, -scores.logsumexp(dim=0)[:, None]], dim=1)
        else:
            for first in range(0, len(rows), BLOCK):
                found[first : first + BLOCK] = self._candidates(rows[first : first + BLOCK])
        return brand, found

    @torch.no_grad()
    def score(self, brands: Tensor, creators: NDArray[np.int64] | None = None) -> Tensor:
        """Score candidates for some brands, each with the view of the brand that it is to be shown.

        Args:
            brands: (n,) brand rows.
            creators: (m,) rows of candidates, ascending, taken a block at a time; None: all of them at once.

        Returns:
            (n, m) scores f(b, m); see `Accounts.shown_views`.
        """
        asked = brands.cpu().numpy()
        rows = np.union1d(self._taking_part(), asked) if self.config.competition else asked
        if creators is None:
            return self._of_asked(self._scores(rows), rows, asked)  # one pass, so one dropout mask
        blocks = self._in_blocks(rows, creators)
        return torch.cat([self._of_asked(scores, rows, asked) for _, _, scores in blocks], dim=1)

    def _of_asked(self, scores: Tensor, rows: NDArray[np.int64], asked: NDArray[np.int64]) -> Tensor:
        """Of scores of some brands, those of the asked ones, less what a creator's rivals for it would give."""
        if not self.config.competition:
            return scores
        demand = scores[: len(self._taking_part())].logsumexp(dim=0)  # these brands come first in `rows`
        return scores[torch.from_numpy(np.searchsorted(rows, asked)).to(self.device)] - demand

    def _scores(self, brands: NDArray[np.int64]) -> Tensor:
        views, shown = self._accounts.shown_views(brands)
        brand = self._brands(torch.from_numpy(views).to(self.device))
        creator = self._creators(slice(self._first_creator, None))
        scores = (brand @ creator.T).to(self.dtype)  # bfloat16 has no numpy
        return scores.gather(0, torch.from_numpy(shown).to(self.device))

    def _in_blocks(
        self, brands: NDArray[np.int64], creators: NDArray[np.int64]
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Embed candidates and score them for some brands: places of a block, (m, D) vectors, (n, m) scores.

        So many candidates are taken at a time that no array holds more than about `SCORES` scores.
        """
        views, place = np.unique(self._accounts.shown_views(brands, creators[:0])[0], return_inverse=True)
        brand = self._brands(torch.from_numpy(views).to(self.device))
        size = min(BLOCK, max(1, SCORES // len(views)))
        for first in range(0, len(creators), size):
            some = creators[first : first + size]
            creator, shown = self._candidates(some), place[self._accounts.shown_views(brands, some)[1]]
            scores = (brand @ creator.T).to(self.dtype).gather(0, torch.from_numpy(shown).to(self.device))
            yield slice(first, first + size), creator, scores

    def _candidates(self, rows: NDArray[np.int64]) -> Tensor:
        return self._creators(torch.from_numpy(self._first_creator + rows).to(self.device))

    def _taking_part(self) -> NDArray[np.int64]:
        """Rows of the brands that are not cold: those that a creator may choose among."""
        return np.arange(len(self._accounts.brand_ids) - self._accounts.cold)

    def validation_step(self, brands: Tensor, batch_idx: int) -> None:
        """Ranking metrics over the validation brands."""
        rows, rivals = brands.cpu().numpy(), self._rivals
        values = ranking_metrics(
            self.score(brands).cpu().numpy()[:, rivals],
            self._accounts.labels(rows, rivals),
            self._accounts.same_category(rows, rivals),
            VALIDATED_RECALL,
        )
        named = {f"val/{name}": value for name, value in values.items() if np.isfinite(value)}
        self.log_dict(named, batch_size=len(brands), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """The optimiser, and the schedule of its rate."""
        optimiser = optimiser_of(self.config, self.parameters())
        # To be asked for only where it matters: it builds the loader before a checkpoint is read.
        steps = self.trainer.estimated_stepping_batches if self.config.schedule == "one_cycle" else 0
        return {"optimizer": optimiser, "lr_scheduler": schedule_of(self.config, optimiser, steps)}

    def describe_batch(self, batch: dict[str, Tensor]) -> str:
        """Name the brands and creators of a batch, for messages."""
        brands = np.unique(batch["brand"].cpu().numpy())
        rows = batch["creator"] if "creator" in batch else self._get("training_creators")[batch["target"]]
        creators, ids = np.unique(rows.cpu().numpy()), self._accounts
        shown_brands, shown_creators = ", ".join(ids.brand_ids[brands[:10]]), ", ".join(ids.creator_ids[creators[:10]])
        return f"{len(brands)} brands ({shown_brands}, …), {len(creators)} creators ({shown_creators}, …)"
