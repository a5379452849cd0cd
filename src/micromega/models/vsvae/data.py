"""The VS-VAE's DataModule: a market in, batches of posts out."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from micromega.market.market import Market
from micromega.models.loader import EpochBatches, ResumableLoader
from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.config import VSVAEDataConfig
from micromega.models.vsvae.moments import moments
from micromega.models.vsvae.open_parts import lacking, open_arrays, open_texts, subjects_of
from micromega.models.vsvae.parts import MODALITIES, TEXTS
from micromega.models.vsvae.sampler import BucketedBatches, listed_batches
from micromega.models.vsvae.splits import Splits, split_posts
from micromega.models.vsvae.stored_parts import Sequences, StoredPosts, Vectors
from micromega.models.vsvae.vocabulary import word_vectors

log = logging.getLogger(__name__)
Ints = NDArray[np.int64]


class PostData(pl.LightningDataModule):
    """Posts of one market, split within each hashtag; of a market without posts, its accounts within each category.

    Args:
        config: see `VSVAEDataConfig`.
        market: the market.
        words: the vocabulary of a checkpoint, "<unk>" in front; None: that of the training posts. With it, the word
            vectors of `spec` are placeholders, since those of the checkpoint count.
    """

    def __init__(self, config: VSVAEDataConfig, market: Market, *, words: Sequence[str] | None = None) -> None:
        super().__init__()
        self.config, self.market, self._words = config, market, words
        self._subjects = subjects_of(market)
        self._stored: StoredPosts | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of a post, by modality."""
        return tuple(part for of in MODALITIES.values() for part in of if part in self.config.parts)

    @property
    def post_ids(self) -> pa.Array:
        """(P,) ids of the posts; of accounts, in a market without posts."""
        return self._subjects.ids

    @property
    def arrays(self) -> dict[str, str]:
        """Feature arrays that are read, with their fingerprints."""
        wanted = {name for part, name in self.config.arrays.items() if part in self.parts}
        return {name: self.market.features(name).fingerprint for name in self.market.feature_names if name in wanted}

    @property
    def origin(self) -> dict[str, Any]:
        """What a checkpoint says that it has seen, in plain values: the market, its numbers, which posts."""
        c = self.config
        return {
            "market_fingerprint": self.market.fingerprint,
            "arrays": self.arrays,
            "columns": list(c.columns),
            "split": {"seed": c.seed, "validation_share": c.validation_share, "test_share": c.test_share},
        }

    def setup(self, stage: str) -> None:
        """Split the posts, number their words, open their arrays and measure the training posts, once."""
        if self._stored is not None:
            return
        c, subjects = self.config, self._subjects
        splits = split_posts(subjects.stratum, c.validation_share, c.test_share, c.seed)
        columns = open_arrays(self.market, subjects, self.parts, c, splits["train"])
        texts, words = open_texts(self.market, subjects, self.parts, c, splits["train"], self._words)
        opened: dict[str, Vectors | Sequences] = {part: (texts | columns)[part] for part in self.parts}
        stored = StoredPosts(opened)
        self.splits: Splits = {name: stored.with_any(rows) for name, rows in splits.items()}
        empty = [part for part in self.parts if not opened[part].lengths(splits["train"]).any()]
        if empty:
            raise lacking(self.market, empty, self.parts, c, reason="no training post has it")
        bare = len(subjects.ids) - sum(map(len, self.splits.values()))
        if bare:
            log.info("%d of %d posts have none of the parts and are in no split", bare, len(subjects.ids))
        self.spec = self._measured(opened, words)
        self._stored = stored

    def _measured(self, parts: dict[str, Vectors | Sequences], words: pa.Array) -> PostSpec:
        c, mean, deviation = self.config, {}, {}
        for part, stored in parts.items():
            if part in TEXTS:
                continue
            mean[part], deviation[part] = torch.zeros(stored.size), torch.ones(stored.size)
            if c.standardise:
                train = self.splits["train"]
                mean[part], deviation[part] = moments(stored, train[stored.lengths(train) > 0], c.seed)
        vectors = (
            word_vectors(words, c, trained=self._words is not None) if len(words) else np.zeros((0, c.hashed_size))
        )
        return PostSpec(
            sizes={part: len(words) if part in TEXTS else stored.size for part, stored in parts.items()},
            words=tuple(words.to_pylist()),
            word_vectors=torch.from_numpy(vectors.astype(np.float32)),
            mean=mean,
            deviation=deviation,
        )

    @property
    def _posts(self) -> StoredPosts:
        if self._stored is None:
            raise RuntimeError("PostData.setup comes first")
        return self._stored

    def batch_of(self, rows: Ints) -> PostBatch:
        """Read posts (B,), by their rows in the table."""
        return self._posts.batch_of(np.asarray(rows, np.int64))

    def batches(self, rows: Ints, batch_size: int) -> DataLoader[PostBatch]:
        """Read posts (n,) once each, those of like length together; `batch.post` says which they are.

        Args:
            rows: rows of the posts table.
            batch_size: posts per batch.

        Returns:
            The batches; nothing is read before they are asked for.
        """
        listed = listed_batches(rows, self._posts.length(rows), batch_size, window=self.config.bucketing)
        return DataLoader(
            _Listed(self._posts, listed),
            batch_size=None,
            num_workers=self.config.num_workers,
            generator=torch.Generator().manual_seed(0),  # its own, so that validation draws nothing from training
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """The training posts, shuffled and sharded by epoch and seed."""
        c, train = self.config, self.splits["train"]
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sampler = EpochBatches(len(train), c.batch_size, c.seed, rank, ranks, resample=c.resample)
        if c.bucketing:
            sampler = BucketedBatches(
                self._posts.length(train),
                c.batch_size,
                c.seed,
                window=c.bucketing,
                rank=rank,
                ranks=ranks,
                resample=c.resample,
            )
        return ResumableLoader(_Drawn(self._posts, train), sampler, num_workers=c.num_workers)

    def val_dataloader(self) -> DataLoader[PostBatch]:
        """The validation posts; of several processes each has a share, filled up to the same size."""
        rows = self.splits["validation"]
        if self.trainer and self.trainer.world_size > 1:
            ranks = self.trainer.world_size
            rows = np.sort(np.resize(rows, -(-len(rows) // ranks) * ranks)[self.trainer.global_rank :: ranks])
        return self.batches(rows, self.config.batch_size)


class _Drawn(Dataset[PostBatch]):
    """Batches of training posts (n,), by epoch and numbers among them."""

    def __init__(self, stored: StoredPosts, rows: Ints) -> None:
        self.stored, self.rows = stored, rows

    def __getitem__(self, index: tuple[int, Tensor]) -> PostBatch:
        return self.stored.batch_of(self.rows[index[1].numpy()])


class _Listed(Dataset[PostBatch]):
    """Batches whose rows are fixed."""

    def __init__(self, stored: StoredPosts, batches: Sequence[Ints]) -> None:
        self.stored, self.batches = stored, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> PostBatch:
        return self.stored.batch_of(self.batches[index])
