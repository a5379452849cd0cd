"""Batches in an order that seed and epoch alone decide, and a loader that continues in the middle of an epoch."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler


def epoch_generator(seed: int, epoch: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Make the generator of one epoch's draws; independent of all other random states."""
    return torch.Generator(device).manual_seed(seed * 1_000_003 + epoch)


class EpochBatches(Sampler[tuple[int, Tensor]]):
    """Shuffled batches of row numbers, each with its epoch, sharded over the ranks of a distributed run.

    Args:
        rows: number of rows in an epoch.
        batch_size: rows per batch and rank; the last batch may be shorter.
        seed: random seed.
        resample: false repeats the first epoch for ever.
        rank: this process.
        ranks: number of processes; the permutation is padded from its start so that all have as many batches.
    """

    def __init__(
        self, rows: int, batch_size: int, seed: int, rank: int = 0, ranks: int = 1, *, resample: bool = True
    ) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.rank, self.ranks, self.resample = rank, ranks, resample
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls it before each."""
        self.epoch = epoch if self.resample else 0

    def __len__(self) -> int:
        return math.ceil(self._rows_per_rank() / self.batch_size)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        order = torch.randperm(self.rows, generator=epoch_generator(self.seed, self.epoch))
        padded = order.repeat(self.ranks)[: self._rows_per_rank() * self.ranks]
        for rows in torch.split(padded[self.rank :: self.ranks], self.batch_size):
            yield self.epoch, rows

    def _rows_per_rank(self) -> int:
        return math.ceil(self.rows / self.ranks)


class ResumableLoader(DataLoader[Any]):
    """A DataLoader that Lightning saves and that continues after the batches already used.

    Args:
        dataset: takes `(epoch, rows)` and returns a whole batch.
        sampler: an `EpochBatches`.
        num_workers: worker processes; the batches are the same for any number.
    """

    def __init__(self, dataset: Dataset[Any], sampler: EpochBatches, num_workers: int = 0) -> None:
        # A generator of its own keeps the loader's draws (worker seeds) out of the global random stream.
        super().__init__(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=num_workers,
            generator=torch.Generator().manual_seed(0),
        )
        self._done = 0
        self._skip = 0

    def state_dict(self) -> dict[str, int]:
        """Count the batches used in this epoch."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Skip that many batches the next time; none if all had been used."""
        self._skip = state["done"] % len(self)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # a generator serves as well
        skip, self._skip = self._skip, 0
        self._done = skip
        for number, batch in enumerate(super().__iter__()):
            if number >= skip:
                self._done = number + 1
                yield batch
        self._done = 0
