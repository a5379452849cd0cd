"""Rows of DFIV: each member learns stage 1 from one half of its clusters and stage 2 from the other.

Shapes: E members, N rows, P rows of the longer half, B rows of a batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from micromega.errors import DataError
from micromega.models.deepiv.arrays import HELD_OUT_ROWS
from micromega.models.deepiv.batches import Batch, held_out_rows
from micromega.models.deepiv.members import Members

_JUDGED_ROWS = 8 * HELD_OUT_ROWS


def split_halves(cluster: NDArray[np.generic], weights: Tensor, *, seed: int) -> Tensor:
    """Draw which rows a member uses in stage 1; clusters are not torn apart.

    Args:
        cluster: (N,) ids.
        weights: (E, N) of the members in training, 0 for rows that a member does not see.
        seed: of the draw.

    Returns:
        (E, N) bool: half of the clusters that the member sees, rounded down.

    Raises:
        DataError: a member sees fewer than two clusters.
    """
    _, cluster_N = np.unique(cluster, return_inverse=True)
    generator = np.random.default_rng([seed, 1])  # not the draws that made the members
    first = np.zeros(tuple(weights.shape), dtype=bool)
    for row, weight in zip(first, weights.numpy(), strict=True):
        seen = np.unique(cluster_N[weight > 0])
        if len(seen) < 2:
            raise DataError("cluster: a member of DFIV sees one cluster, and needs one for each of its two stages.")
        chosen = generator.permutation(seen)[: len(seen) // 2]
        row[:] = np.isin(cluster_N, chosen)
    return torch.from_numpy(first)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Some rows of each half, each member its own; padding has weight 0.

    Attributes:
        first: rows of stage 1.
        second: rows of stage 2.
    """

    first: Batch
    second: Batch

    def __len__(self) -> int:
        return len(self.first)

    def to(self, device: torch.device) -> Self:
        """Move it, as Lightning asks."""
        return type(self)(first=self.first.to(device), second=self.second.to(device))


class Pairs(Dataset[Pair]):
    """Both halves in memory. Indexed by (epoch, places in the lists of rows), as `micromega.models.loader` asks.

    Args:
        values: t (N,), z (N, Z), x (N, X), y (N,).
        weights: (E, N) of the members in training.
        first: (E, N) bool, rows of stage 1.
    """

    def __init__(self, values: Mapping[str, Tensor], weights: Tensor, first: Tensor) -> None:
        self._values = {name: value.float() for name, value in values.items()}
        self._weights = weights.float()
        lists = [held_out_rows(weights * half) for half in (first, ~first)]
        self._length = max(rows.shape[1] for rows in lists)
        self._rows = [torch.nn.functional.pad(of, (0, self._length - of.shape[1]), value=-1) for of in lists]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: tuple[int, Tensor]) -> Pair:
        first, second = (_gathered(self._values, self._weights, rows[:, index[1]]) for rows in self._rows)
        return Pair(first=first, second=second)


class _Judged(Dataset[Batch]):
    """Rows of each member in their order, a batch for each number.

    They are gathered when asked for: copies of all rows for each member would not fit where there are many.
    """

    def __init__(self, values: Mapping[str, Tensor], weights: Tensor, batch_size: int) -> None:
        self._values, self._weights = values, weights
        self._parts = torch.split(held_out_rows(weights), batch_size, dim=1)

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, number: int) -> Batch:
        return _gathered(self._values, self._weights, self._parts[number])


def _gathered(values: Mapping[str, Tensor], weights: Tensor, padded_EB: Tensor) -> Batch:
    """Rows of each member; −1 stands for none."""
    row = padded_EB.clamp_min(0)
    weight = weights.gather(1, row) * (padded_EB >= 0)
    t, z, x, y = (values[name][row] for name in ("t", "z", "x", "y"))
    return Batch(row=row, t=t, z=z, x=x, y=y, weight=weight)


def judging_batches(
    values: Mapping[str, Tensor], weights: Tensor, first: Tensor, held_out: Tensor, batch_size: int
) -> list[DataLoader[Batch]]:
    """What validation runs through, in this order: all rows of stage 1, all of stage 2, those held out.

    The first two give the coefficients that belong to the features of the moment.

    Args:
        values: t (N,), z (N, Z), x (N, X), y (N,).
        weights: (E, N) of the members in training.
        first: (E, N) bool, rows of stage 1.
        held_out: (E, N) weights, 0 for rows that a member learns from.
        batch_size: rows of a member in a batch.
    """
    given = {name: value.float() for name, value in values.items()}
    loaders = []
    for of in (weights * first, weights * ~first, held_out):
        # A generator of its own keeps the loader's draws out of the global random stream.
        generator = torch.Generator().manual_seed(0)
        loaders.append(DataLoader(_Judged(given, of.float(), batch_size), batch_size=None, generator=generator))
    return loaders


def served(
    values: Mapping[str, Tensor], members: Members, cluster: NDArray[np.generic], *, seed: int
) -> tuple[Pairs, list[DataLoader[Batch]]]:
    """What DFIV learns from and what it is judged on.

    Args:
        values: t (N,), z (N, Z), x (N, X), y (N,).
        members: what each sees and holds out.
        cluster: (N,) ids.
        seed: of the halves.

    Returns:
        Rows of training, and loaders of validation in the order of `judging_batches`.

    Raises:
        DataError: a member sees fewer than two clusters.
    """
    seen, held_out = torch.from_numpy(members.weights), torch.from_numpy(members.held_out)
    first = split_halves(cluster, seen, seed=seed)
    return Pairs(values, seen, first), judging_batches(values, seen, first, held_out, _JUDGED_ROWS)
