"""The ranker's DataModule: a market in, batches of brands and creators out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from micromega.files import sha256_of
from micromega.market.market import Market
from micromega.models.loader import EpochBatches, ResumableLoader
from micromega.models.mir.accounts import Accounts
from micromega.models.mir.build import build_accounts, held_out_arrays
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.features import OF_POSTS, SINGLE, power_scaled
from micromega.models.mir.lists import ListDataset
from micromega.models.mir.losses.top_one import competence
from micromega.models.mir.pairs import PairDataset
from micromega.models.mir.single_posts import single_posts
from micromega.models.mir.splits import splits_of

_SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What the network must know of the features.

    Attributes:
        dimensions: modality -> length.
        mean, deviation: modality -> (d,) statistics of training brands and all candidates, for standardisation.
    """

    dimensions: dict[str, int]
    mean: dict[str, Tensor]
    deviation: dict[str, Tensor]

    @classmethod
    def of(cls, features: Mapping[str, Tensor], scaling: str) -> "FeatureSpec":
        """Measure modalities, each (n, d); power-scaled ones are left as they are, so 0 and 1 stand for them."""
        measured = scaling == "standard"
        return cls(
            dimensions={name: values.shape[1] for name, values in features.items()},
            mean={name: values.mean(dim=0) * measured for name, values in features.items()},
            deviation={
                name: _deviation(values, together=name == "words") if measured else torch.ones(values.shape[1])
                for name, values in features.items()
            },
        )


def _deviation(values: Tensor, *, together: bool) -> Tensor:
    """Standard deviation of each column, or of all together, as for shares of words, whose rare ones are mostly noise.

    1 where a column is constant, which would be blown up on other accounts.
    """
    deviation = values.std(dim=0, correction=0)
    if together:
        deviation = deviation.square().mean().sqrt().expand(values.shape[1])
    return torch.where(deviation > _SMALLEST_DEVIATION, deviation, 1.0)


class MIRData(pl.LightningDataModule):
    """Brands and creators of one market, split by brand.

    Args:
        config: see `MIRDataConfig`.
        market: the market.
    """

    def __init__(self, config: MIRDataConfig, market: Market) -> None:
        super().__init__()
        self.config, self.market = config, market
        self.accounts: Accounts | None = None

    @property
    def arrays(self) -> dict[str, str]:
        """Feature arrays that are read, with their fingerprints."""
        c = self.config
        wanted = {name for name in c.modalities if name not in (*OF_POSTS, "profile")}
        wanted |= {f"{name}_test" for name in wanted if c.published_split}
        wanted |= set(c.visual) if "visual" in c.modalities else set()
        return {name: self.market.features(name).fingerprint for name in self.market.feature_names if name in wanted}

    @cached_property
    def feature_settings(self) -> dict[str, Any]:
        """Settings without which numbers of the same name and size mean something else.

        What represents a brand (brand_posts) is none of them: a ranker may be asked about brands that it knows from
        other posts than those it has learned from.
        """
        c, made = self.config, set(self.config.modalities)
        found: dict[str, Any] = {"scaling": c.scaling}
        if made & set(OF_POSTS):
            found["history"] = c.history
        if made & set(SINGLE):
            found |= {"pooling": c.pooling} | ({"gamma": c.gamma} if c.pooling == "weighted" else {})
        if made & {"text", "profile"}:
            found["hashed_size"] = c.hashed_size
        if "text" in made:
            found["word_vectors"] = sha256_of(Path(c.word_vectors)) if c.word_vectors else None
        if "words" in made:
            found["word_buckets"] = c.word_buckets
        if "visual" in made:
            found |= {"visual": list(c.visual), "local_response_normalisation": c.local_response_normalisation}
        return found

    def setup(self, stage: str) -> None:
        """Pool the histories, split the brands by category, and measure the training features, once."""
        if self.accounts is not None:
            return
        self.accounts = build_accounts(self.market, self.config)
        self.splits = splits_of(self.accounts, self.market, self.config)
        self.features = self._scaled(self.accounts.features)
        self.posts = single_posts(self.market, self.accounts, self.config) if self.config.keep_posts else None
        self.held_out_features = self.features
        if self.config.published_split:
            self.held_out_features = self._scaled(held_out_arrays(self.market, self.accounts))
        seen = np.concatenate([self.splits["train"], self.accounts.creator_view])
        self.spec = FeatureSpec.of({name: values[seen] for name, values in self.features.items()}, self.config.scaling)

    def _scaled(self, features: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
        scale = power_scaled if self.config.scaling == "power" else np.ascontiguousarray
        return {name: torch.from_numpy(scale(values)) for name, values in features.items()}

    def standardised(self) -> NDArray[np.float32]:
        """(V, d) all modalities, standardised and side by side: the fixed representation behind SBR and the labels."""
        parts = [(values - self.spec.mean[name]) / self.spec.deviation[name] for name, values in self.features.items()]
        return np.asarray(torch.cat(parts, dim=1).numpy())

    def train_dataloader(self) -> DataLoader[Any]:
        """Lists or partners of the training brands, shuffled and sharded by epoch and seed."""
        assert self.accounts is not None
        here = self.trainer is not None and self.config.num_workers == 0
        device = self.trainer.strategy.root_device if self.trainer and here else torch.device("cpu")
        if device.type == "mps":  # it has no float64, which lists are drawn with; Lightning moves the batches there
            device = torch.device("cpu")
        dataset: ListDataset | PairDataset
        if self.config.lists == "pairs":
            dataset = PairDataset(self.accounts, self.splits["train"], self.config, device)
        else:
            labels, negatives = self._labels(self.accounts)
            dataset = ListDataset(self.accounts, self.splits["train"], labels, negatives, self.config, device)
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sampler = EpochBatches(
            len(dataset), self.config.batch_size, self.config.seed, rank, ranks, resample=self.config.resample
        )
        return ResumableLoader(dataset, sampler, num_workers=self.config.num_workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """All validation brands as one batch, since ranking metrics are no means over batches."""
        return DataLoader([torch.from_numpy(self.splits["validation"])], batch_size=None)  # type: ignore[arg-type]

    def _labels(self, accounts: Accounts) -> tuple[Tensor, Tensor | None]:
        fixed = torch.nn.functional.normalize(torch.from_numpy(self.standardised()), dim=1)
        creators = fixed[torch.from_numpy(accounts.creator_view)]
        views, rows = torch.from_numpy(accounts.pair_view), torch.from_numpy(accounts.pair_creator)
        similarity = (fixed[views] * creators[rows]).sum(dim=1)
        engagement = torch.from_numpy(accounts.pair_engagement)
        negative = fixed[: len(accounts.brand_ids)] @ creators.T
        if self.config.label_scale == "unit":
            seen = engagement[torch.from_numpy(np.isin(accounts.pair_brand, self.splits["train"]))].sort().values
            engagement = torch.searchsorted(seen, engagement, right=True) / len(seen)
            similarity, negative = (1 + similarity) / 2, (1 + negative) / 2
        labels = competence(engagement, similarity, self.config.alpha)
        if self.config.label == "zero":
            return labels, None
        return labels, competence(torch.zeros_like(negative), negative, self.config.alpha)
