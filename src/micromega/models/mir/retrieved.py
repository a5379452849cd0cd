"""A market of very many creators: on whom a ranker is judged there, and whom it puts first.

No step holds an array of brands by creators: metrics need the rivals of a split, calibration these and a sample of the
others, and shortlists the vectors.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.models.evaluation import Retrieved
from micromega.models.mir.accounts import Accounts, Ints
from micromega.models.mir.ranker import VectorRanker
from micromega.models.mir.uncertainty import deviation
from micromega.models.retrieval.shortlists import Mode, shortlist

PAIRS = 1 << 22
"""So many pairs of a split are scored for calibration, or those of the rivals, if these are more."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Creators that the brands of a split are scored with.

    Attributes:
        creators: (m,) their rows, ascending; all rivals are among them.
        weights: (m,) how many creators each stands for: 1 for rivals, the same for all others.
    """

    creators: Ints
    weights: NDArray[np.float64]


def judged_creators(brands: int, rivals: NDArray[np.bool_], seed: int) -> Judged:
    """Choose the rivals and a sample of the others; everybody, where there are no more than `PAIRS` pairs.

    Every partner of the brands is a rival, so that the others are negatives, all alike but for their scores.

    Args:
        brands: how many brands the split has.
        rivals: (M,) who competes for them.
        seed: of the sample.

    Returns:
        The creators, whose weights add up to M.
    """
    others = np.flatnonzero(~rivals)
    count = min(len(others), max(PAIRS // brands - int(rivals.sum()), 1))
    sample = np.random.default_rng(seed).choice(others, count, replace=False) if count < len(others) else others
    creators = np.union1d(np.flatnonzero(rivals), sample)
    weights = np.where(rivals[creators], 1.0, len(others) / max(count, 1))
    return Judged(creators=creators, weights=weights)


def retrieved(
    ranker: VectorRanker, accounts: Accounts, brands: Ints, *, mode: Mode, k: int, samples: int, seed: int
) -> Retrieved:
    """Embed both sides, find each brand's best creators, and measure how much their scores move under dropout.

    Args:
        ranker: with the market attached.
        accounts: the market.
        brands: (n,) brand rows.
        mode: how creators are found.
        k: creators per brand.
        samples: dropout passes; 0 for none.
        seed: of these passes.

    Returns:
        Vectors and shortlists.
    """
    rows = torch.from_numpy(brands).to(ranker.device)
    ranker.eval()
    brand_nD, creator_MD = (vectors.float().cpu().numpy() for vectors in ranker.embeddings(rows))
    found = shortlist(brand_nD, creator_MD, k, mode=mode)
    used, place_nK = np.unique(found.rows, return_inverse=True)
    chosen = torch.from_numpy(place_nK.reshape(found.rows.shape)).to(ranker.device)

    def draw() -> Tensor:
        brand, creator = ranker.embeddings(rows, used)
        # Brand by brand: all gathered vectors at once would be many times the shortlists.
        return torch.stack([creator[some] @ vector for vector, some in zip(brand, chosen, strict=True)])

    return Retrieved(
        brand_ids=accounts.brand_ids[brands],
        creator_ids=accounts.creator_ids,
        brands=brand_nD,
        creators=creator_MD,
        shortlists=found,
        deviation=deviation(ranker, draw, samples=samples, seed=seed),
    )
