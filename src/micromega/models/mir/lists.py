"""Training batches of lists: a brand, K creators, and how competent each is."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from micromega.models.loader import epoch_generator
from micromega.models.mir.accounts import Accounts
from micromega.models.mir.buckets import Lists, bucket_capacity, sample_lists
from micromega.models.mir.config import MIRDataConfig


class ListDataset(Dataset[dict[str, Tensor]]):
    """One epoch's lists; drawn anew, from the seed and the epoch alone, whenever the epoch changes.

    Args:
        accounts: the market.
        brands: (N,) rows of the training brands.
        labels: (E,) competence of each positive pair.
        negatives_BM: (B, M) competence of negatives, or None for 0.
        config: list length and capacity.
        device: where the lists are drawn; that of training, so that nothing is copied.
    """

    def __init__(
        self,
        accounts: Accounts,
        brands: NDArray[np.int64],
        labels: Tensor,
        negatives_BM: Tensor | None,
        config: MIRDataConfig,
        device: torch.device,
    ) -> None:
        self.config, self.device = config, device
        rows = np.flatnonzero(accounts.candidates(brands, config.candidates))
        self.creator_rows = torch.from_numpy(rows).to(device)
        self.labels, self.negatives_BM = labels.to(device), None if negatives_BM is None else negatives_BM.to(device)
        self.pair_view = torch.from_numpy(accounts.pair_view).to(device)
        self.brands = torch.from_numpy(brands).to(device)
        counts = np.bincount(accounts.pair_brand, minlength=len(accounts.brand_ids))
        starts = np.cumsum(counts) - counts
        self.counts = torch.from_numpy(counts[brands]).to(device)
        self.first_pair = torch.from_numpy(starts[brands]).to(device)
        place = torch.arange(int(self.counts.max()), device=device)
        pair = (self.first_pair[:, None] + place).clamp(max=len(accounts.pair_creator) - 1)
        place_of_creator = np.zeros(len(accounts.creator_ids), dtype=np.int64)
        place_of_creator[rows] = np.arange(len(rows))
        self.positives_BP = torch.from_numpy(place_of_creator[accounts.pair_creator]).to(device)[pair]
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
            generator=epoch_generator(self.config.seed, epoch, self.device),
        )

    def __getitem__(self, key: tuple[int, Tensor]) -> dict[str, Tensor]:
        """Take a batch: (epoch, rows) to brand row (L,), and brand view, candidate and label, each (L, K)."""
        epoch, rows = key
        if epoch != self._epoch:
            self._epoch, self._lists = epoch, self._sample(epoch)
        rows = rows.to(self.device)
        local, place = self._lists.brand[rows], self._lists.positive[rows]
        creator = self.creator_rows[self._lists.candidate[rows]]
        brand = self.brands[local]
        # A negative is shown a view that leaves out one of the list's own positives: were it shown the whole brand, the
        # ranker would learn to tell whole views from those with a post less, which is the label.
        positives = (place >= 0).sum(dim=1, keepdim=True)
        stand_in = place.gather(1, torch.arange(place.shape[1], device=self.device).expand_as(place) % positives)
        pair = self.first_pair[local][:, None] + torch.where(place >= 0, place, stand_in)
        negative = 0.0 if self.negatives_BM is None else self.negatives_BM[brand[:, None], creator]
        return {
            "brand": brand,
            "brand_view": self.pair_view[pair],
            "creator": creator,
            "label": torch.where(place >= 0, self.labels[pair], negative),
        }
