"""The DataModule: past campaigns as described rows by window, in batches."""

import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from micromega.files import sha256_of
from micromega.market.market import Market
from micromega.models.effectiveness.catalog import Catalog, Ints, Past, Reals, read_catalog, read_past
from micromega.models.effectiveness.config import EffectivenessDataConfig
from micromega.models.effectiveness.features import Describer, Features, make_describer
from micromega.models.effectiveness.history import SHIFT
from micromega.models.effectiveness.windows import Split, split_by_time
from micromega.models.loader import EpochBatches, ResumableLoader
from micromega.tiers import tier_of

HELD_OUT_ROWS = 4096
Batch = dict[str, Tensor]
"""categories (B, K), numbers (B, F), log_outcome (B,), row (B,)."""


class Rows(Dataset[Batch]):
    """Rows in memory.

    Args:
        features: described posts.
        log_outcome: (N,).
        row: (N,) numbers of the rows, in the order of all past campaigns.
    """

    def __init__(self, features: Features, log_outcome: Reals, row: Ints) -> None:
        self.tensors = {
            "categories": torch.from_numpy(features.categories),
            "numbers": torch.from_numpy(features.numbers),
            "log_outcome": torch.from_numpy(log_outcome).float(),
            "row": torch.from_numpy(row),
        }

    def __len__(self) -> int:
        return len(self.tensors["row"])

    def __getitem__(self, place: tuple[int, Tensor]) -> Batch:
        return {name: value[place[1]] for name, value in self.tensors.items()}


class EffectivenessData(pl.LightningDataModule):
    """Past campaigns of a market.

    Args:
        config: see `EffectivenessDataConfig`.
        market: the market.
    """

    def __init__(self, config: EffectivenessDataConfig, market: Market) -> None:
        super().__init__()
        self.config, self.market = config, market
        self.batch_size = 256

    @cached_property
    def catalog(self) -> Catalog:
        """Creators, events and names."""
        return read_catalog(self.market)

    @cached_property
    def past(self) -> Past:
        """Campaigns with outcomes."""
        return read_past(self.market, self.catalog, self.config.outcome)

    @cached_property
    def split(self) -> Split:
        """Windows in time."""
        return split_by_time(self.config, self.past.tuples, self.catalog.events.ids)

    @cached_property
    def describer(self) -> Describer:
        """From posts to columns."""
        return make_describer(self.config, self.market, self.catalog, self.past)

    @cached_property
    def features(self) -> Features:
        """All past campaigns, described."""
        return self.describer.describe(self.split.tuples)

    @cached_property
    def log_outcome(self) -> Reals:
        """(N,) log(outcome + 1)."""
        return np.log(self.past.outcome + SHIFT)

    @cached_property
    def tier(self) -> Ints:
        """(N,) tier of each campaign's creator."""
        return self.tiers(self.split.tuples.creator)

    def tiers(self, creator: Ints) -> Ints:
        """Tiers of creators by code; those of unknown size count as the smallest."""
        followers = np.where(creator >= 0, self.catalog.creators.followers[creator], 0.0)
        return tier_of(np.nan_to_num(followers))

    @property
    def origin(self) -> dict[str, Any]:
        """What a checkpoint must know of the data it has seen."""
        given = {name: getattr(self.config, name) for name in ("affinity", "embedding", "response")}
        return {
            "market_fingerprint": self.market.fingerprint,
            "outcome": self.config.outcome,
            "columns": list(self.describer.columns.names),
        } | {name: sha256_of(Path(path)) if path else None for name, path in given.items()}

    def setup(self, stage: str) -> None:
        """Read the tables; a market that lacks something says so here."""
        _ = self.features

    def folds(self, count: int, seed: int) -> Ints:
        """Fold of each past campaign, (N,): all campaigns of an event are in one.

        A row's fellows of the same event share what the event brought beyond what its columns tell. Were they in other
        folds, out-of-fold predictions would know of it, as no prediction for a new event can.
        """
        event, ids = self.split.tuples.event, self.catalog.events.ids.to_pylist()
        drawn = np.array([zlib.crc32(f"{seed}/{name}".encode()) for name in ids] + [0])
        rank = np.argsort(np.argsort(drawn[:-1], kind="stable"), kind="stable")
        return np.where(event >= 0, np.append(rank, 0)[event], self.split.tuples.posted) % count

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled training rows."""
        rows = self._rows("train")
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        batches = EpochBatches(len(rows), self.batch_size, self.config.seed, rank, ranks, resample=self.config.resample)
        return ResumableLoader(rows, batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Tuning rows."""
        rows = self._rows("tune")
        parts = torch.split(torch.arange(len(rows)), HELD_OUT_ROWS)
        return DataLoader([rows[0, part] for part in parts], batch_size=None)  # type: ignore[arg-type]

    def _rows(self, window: str) -> Rows:
        row = self.split.rows[window]
        return Rows(self.features.take(row), self.log_outcome[row], row)
