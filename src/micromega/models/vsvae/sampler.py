"""Shuffled batches of posts of like length."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.models.loader import EpochBatches, epoch_generator


class BucketedBatches(EpochBatches):
    """Batches of posts of like length, in an order that seed and epoch alone decide.

    The posts are shuffled and sorted by length within windows of some batches each. Every rank sorts a share of the
    same window and shuffles its batches alike, so that all ranks have short and long batches at the same time.

    Args:
        length: (n,) words and frames of each post.
        batch_size: posts per batch and rank; one batch of an epoch may be smaller.
        seed: random seed.
        window: batches sorted together.
        rank: this process.
        ranks: number of processes.
        resample: false repeats the first epoch for ever.
    """

    def __init__(
        self,
        length: NDArray[np.int64],
        batch_size: int,
        seed: int,
        *,
        window: int,
        rank: int = 0,
        ranks: int = 1,
        resample: bool = True,
    ) -> None:
        super().__init__(len(length), batch_size, seed, rank, ranks, resample=resample)
        self.length, self.window = length, window

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        generator = epoch_generator(self.seed, self.epoch)
        order = torch.randperm(self.rows, generator=generator)
        mine = order.repeat(self.ranks)[: self._rows_per_rank() * self.ranks][self.rank :: self.ranks]
        window = np.arange(len(mine)) // (self.window * self.batch_size)
        sorted_ = mine[torch.from_numpy(np.lexsort((self.length[mine.numpy()], window)))]
        batches = torch.split(sorted_, self.batch_size)
        for number in torch.randperm(len(batches), generator=generator).tolist():
            yield self.epoch, batches[number]


def listed_batches(
    rows: NDArray[np.int64], length: NDArray[np.int64], batch_size: int, *, window: int
) -> list[NDArray[np.int64]]:
    """Cut rows into batches of like length without shuffling, for evaluation.

    Args:
        rows: (n,) posts.
        length: (n,) words and frames of each.
        batch_size: posts per batch.
        window: batches of neighbouring rows that are sorted together, so that reading stays local; 0: no sorting.

    Returns:
        Rows of each batch, ascending.
    """
    order = np.arange(len(rows))
    if window:
        order = np.lexsort((length, order // (window * batch_size)))
    return [np.sort(rows[order[first : first + batch_size]]) for first in range(0, len(rows), batch_size)]
