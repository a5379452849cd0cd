"""The ranker's DataModule: a market in, lists of (brand view, creator view, competence) out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.models.loader import EpochBatches, ResumableLoader, epoch_generator
from micromega.models.mir.accounts import Accounts, build_accounts
from micromega.models.mir.buckets import Lists, bucket_capacity, sample_lists
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.losses.top_one import competence

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


class ListDataset(Dataset[dict[str, Tensor]]):
    """One epoch's lists; drawn anew, from the seed and the epoch alone, whenever the epoch changes.

    Args:
        accounts: the market.
        brands: (N,) rows of the training brands.
        labels: (E,) competence of each positive pair.
        negatives_BM: (B, M) competence of negatives, or None for 0.
        config: list length and capacity.
    """

    def __init__(
        self,
        accounts: Accounts,
        brands: NDArray[np.int64],
        labels: Tensor,
        negatives_BM: Tensor | None,
        config: MIRDataConfig,
    ) -> None:
        self.config = config
        rows = np.flatnonzero(accounts.candidates(brands, config.candidates))
        self.creator_rows = torch.from_numpy(rows)
        self.labels, self.negatives_BM = labels, negatives_BM
        self.pair_view = torch.from_numpy(accounts.pair_view)
        self.brands = torch.from_numpy(brands)
        counts = np.bincount(accounts.pair_brand, minlength=len(accounts.brand_ids))
        starts = np.cumsum(counts) - counts
        self.counts, self.first_pair = torch.from_numpy(counts[brands]), torch.from_numpy(starts[brands])
        place = torch.arange(int(self.counts.max()))
        pair = (self.first_pair[:, None] + place).clamp(max=len(accounts.pair_creator) - 1)
        place_of_creator = np.zeros(len(accounts.creator_ids), dtype=np.int64)
        place_of_creator[rows] = np.arange(len(rows))
        self.positives_BP = torch.from_numpy(place_of_creator[accounts.pair_creator])[pair]
        self.capacity = bucket_capacity(config.list_length, float(self.counts.double().mean()), config.lists_per_brand)
        self._epoch, self._lists = 0, self._sample(0)

    def __len__(self) -> int:
        return len(self._lists.brand)

    def _sample(self, epoch: int) -> Lists:
        return sample_lists(
            self.positives_BP,
            self.counts,
            candidates=len(self.creator_rows),
            list_length=self.config.list_length,
            capacity=self.capacity,
            generator=epoch_generator(self.config.seed, epoch),
        )

    def __getitem__(self, key: tuple[int, Tensor]) -> dict[str, Tensor]:
        """Take a batch: (epoch, rows) to brand row (L,), and brand view, candidate and label, each (L, K)."""
        epoch, rows = key
        if epoch != self._epoch:
            self._epoch, self._lists = epoch, self._sample(epoch)
        local, place = self._lists.brand[rows], self._lists.positive[rows]
        creator = self.creator_rows[self._lists.candidate[rows]]
        brand = self.brands[local]
        # A negative is shown a view that leaves out one of the list's own positives: were it shown the whole brand, the
        # ranker would learn to tell whole views from those with a post less, which is the label.
        positives = (place >= 0).sum(dim=1, keepdim=True)
        stand_in = place.gather(1, torch.arange(place.shape[1]).expand_as(place) % positives)
        pair = self.first_pair[local][:, None] + torch.where(place >= 0, place, stand_in)
        negative = 0.0 if self.negatives_BM is None else self.negatives_BM[brand[:, None], creator]
        return {
            "brand": brand,
            "brand_view": self.pair_view[pair],
            "creator": creator,
            "label": torch.where(place >= 0, self.labels[pair], negative),
        }


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
        names = self.config.visual if "visual" in self.config.modalities else ()
        return {name: self.market.features(name).fingerprint for name in names}

    def setup(self, stage: str) -> None:
        """Pool the histories, split the brands by category, and measure the training features, once."""
        if self.accounts is not None:
            return
        self.accounts = build_accounts(self.market, self.config)
        self.splits = split_brands(
            self.accounts.brand_categories, self.config.validation_share, self.config.test_share, self.config.seed
        )
        self.features = {name: torch.from_numpy(values) for name, values in self.accounts.features.items()}
        seen = np.concatenate([self.splits["train"], self.accounts.creator_view])
        self.spec = FeatureSpec(
            dimensions={name: values.shape[1] for name, values in self.features.items()},
            mean={name: values[seen].mean(dim=0) for name, values in self.features.items()},
            deviation={
                name: values[seen].std(dim=0, correction=0).clamp(min=_SMALLEST_DEVIATION)
                for name, values in self.features.items()
            },
        )

    def standardised(self) -> NDArray[np.float32]:
        """(V, d) all modalities, standardised and side by side: the fixed representation behind SBR and the labels."""
        parts = [(values - self.spec.mean[name]) / self.spec.deviation[name] for name, values in self.features.items()]
        return np.asarray(torch.cat(parts, dim=1).numpy())

    def train_dataloader(self) -> DataLoader[Any]:
        """Lists of the training brands, shuffled and sharded by epoch and seed."""
        assert self.accounts is not None
        labels, negatives = self._labels(self.accounts)
        dataset = ListDataset(self.accounts, self.splits["train"], labels, negatives, self.config)
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


def split_brands(
    categories: NDArray[np.str_], validation_share: float, test_share: float, seed: int
) -> dict[str, NDArray[np.int64]]:
    """Split brands into train, validation and test, each category spread over all three.

    Args:
        categories: (B,) category of each brand.
        validation_share: share of brands for validation.
        test_share: share of brands for testing.
        seed: random seed.

    Returns:
        Split name -> ascending rows; disjoint, together all brands.

    Raises:
        DataError: a split would be empty.
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(categories))
    # Within a category, brand number j of n gets the key (j + u)/n: sorted by key, every stretch holds each category
    # in its share.
    order = shuffled[np.argsort(categories[shuffled], kind="stable")]
    _, code, sizes = np.unique(categories[order], return_inverse=True, return_counts=True)
    place = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[code]
    ordered = order[np.argsort((place + generator.random(len(sizes))[code]) / sizes[code], kind="stable")]
    tests, validations = round(test_share * len(ordered)), round(validation_share * len(ordered))
    test, validation, train = np.split(ordered, [tests, tests + validations])
    splits = {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}
    for name, rows in splits.items():
        if not len(rows):
            msg = f"{len(categories)} brands are too few for a {name} split. Change the shares, or give more brands."
            raise DataError(msg)
    return splits
