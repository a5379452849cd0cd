"""Training batches of partners: each row is a positive pair, whose rivals are the other candidates."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from micromega.models.loader import epoch_generator
from micromega.models.mir.accounts import Accounts
from micromega.models.mir.config import MIRDataConfig


class PairDataset(Dataset[dict[str, Tensor]]):
    """The positive pairs of the training brands.

    All rivals of a row are compared with the same view of the brand, the one without the partner's posts, so whole and
    left-out views are never told apart.

    Args:
        accounts: the market.
        brands: (N,) rows of the training brands.
        config: seed, candidates and number of hard negatives.
        device: where batches are put together; that of training, so that nothing is copied.
    """

    def __init__(
        self, accounts: Accounts, brands: NDArray[np.int64], config: MIRDataConfig, device: torch.device
    ) -> None:
        self.config, self.device = config, device
        rows = np.flatnonzero(accounts.candidates(brands, config.candidates))
        self.candidates = len(rows)
        place = np.full(len(accounts.creator_ids), -1)
        place[rows] = np.arange(len(rows))
        pair = np.flatnonzero(np.isin(accounts.pair_brand, brands))
        self.brand = torch.from_numpy(accounts.pair_brand[pair]).to(device)
        self.view = torch.from_numpy(accounts.pair_view[pair]).to(device)
        self.target = torch.from_numpy(place[accounts.pair_creator[pair]]).to(device)
        self.partners_BP = torch.from_numpy(_padded_partners(accounts, place, len(rows))).to(device)
        start, rivals = _by_category(accounts, brands, place)
        self.category_start, self.rivals = torch.from_numpy(start).to(device), torch.from_numpy(rivals).to(device)
        _, code = np.unique(accounts.brand_categories, return_inverse=True)
        self.category_B = torch.from_numpy(code).to(device)
        self._epoch, self._hard = -1, self.target[:, None]

    def __len__(self) -> int:
        return len(self.brand)

    def __getitem__(self, key: tuple[int, Tensor]) -> dict[str, Tensor]:
        """Take a batch: (epoch, rows) to brand row, brand view and target (L,), its partners (L, P), negatives (L, H).

        Target, partners and negatives are places among the training candidates; partners are padded with their number.
        """
        epoch, rows = key
        if epoch != self._epoch:
            self._epoch, self._hard = epoch, self._draw(epoch)
        rows = rows.to(self.device)
        brand = self.brand[rows]
        return {
            "brand": brand,
            "brand_view": self.view[rows],
            "target": self.target[rows],
            "partners": self.partners_BP[brand],
            "hard_negatives": self._hard[rows],
        }

    def _draw(self, epoch: int) -> Tensor:
        """(E, H) creators of each pair's category, drawn with replacement; partners among them are left out later."""
        count = self.config.hard_negatives
        category = self.category_B[self.brand]
        start, size = self.category_start[category], self.category_start.diff()[category]
        generator = epoch_generator(self.config.seed, epoch, self.device)
        drawn = torch.rand(len(self), count, generator=generator, device=self.device)
        return self.rivals[start[:, None] + (drawn * size[:, None]).long()]


def _padded_partners(accounts: Accounts, place: NDArray[np.int64], padding: int) -> NDArray[np.int64]:
    """(B, P) places of each brand's partners, the rest `padding`."""
    counts = np.bincount(accounts.pair_brand, minlength=len(accounts.brand_ids))
    within = np.arange(len(accounts.pair_brand)) - (np.cumsum(counts) - counts)[accounts.pair_brand]
    partners = np.full((len(counts), max(1, int(counts.max()))), padding)
    partners[accounts.pair_brand, within] = place[accounts.pair_creator]
    return np.where(partners < 0, padding, partners)


def _by_category(
    accounts: Accounts, brands: NDArray[np.int64], place: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Candidates who work with a training brand of each category: (C + 1,) starts and the places, one after another."""
    categories, code = np.unique(accounts.brand_categories, return_inverse=True)
    mine = np.isin(accounts.pair_brand, brands)
    pairs = np.stack([code[accounts.pair_brand[mine]], place[accounts.pair_creator[mine]]])
    pairs = np.unique(pairs, axis=1)
    return np.searchsorted(pairs[0], np.arange(len(categories) + 1)), pairs[1]
