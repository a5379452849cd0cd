"""What any ranker must beat: chance, and content similarity without learning (Gan et al. 2019, section 5.2)."""

import numpy as np
from numpy.typing import NDArray

from micromega.models.mir.accounts import Accounts


def random_scores(brands: int, creators: int, seed: int) -> NDArray[np.float64]:
    """RAND: uniform scores.

    Args:
        brands: B.
        creators: M.
        seed: random seed.

    Returns:
        (B, M) scores in [0, 1).
    """
    return np.random.default_rng(seed).random((brands, creators))


def similarity_scores(
    accounts: Accounts, features: NDArray[np.float32], brands: NDArray[np.int64]
) -> NDArray[np.float64]:
    """SBR: cosine of the concatenated modalities of brand and creator, the creator's own posts left out of the brand.

    A pair that is no positive gets the cosine with one of the brand's views that each leave out one of its creators.

    Args:
        accounts: the market.
        features: (V, d) standardised modalities, concatenated, so that no modality wins by its scale.
        brands: (n,) brand rows.

    Returns:
        (n, M) cosines.
    """
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(length > 0, length, 1)
    creators = unit[accounts.creator_view]
    row = np.full(len(accounts.brand_ids), -1)
    row[brands] = np.arange(len(brands))
    mine = row[accounts.pair_brand] >= 0
    pair_row, pair_creator = row[accounts.pair_brand[mine]], accounts.pair_creator[mine]
    order = np.argsort(row[accounts.pair_brand[mine]], kind="stable")
    pair_row, pair_creator = pair_row[order], pair_creator[order]
    scores_EM = unit[accounts.pair_view[mine][order]].astype(np.float64) @ creators.T
    counts = np.bincount(pair_row, minlength=len(brands))[:, None]
    places = np.arange(len(creators)) % counts  # as the ranker does: creator m is shown view m modulo their number
    scores: NDArray[np.float64] = np.take_along_axis(scores_EM, np.cumsum(counts, axis=0) - counts + places, axis=0)
    scores[pair_row, pair_creator] = scores_EM[np.arange(len(pair_row)), pair_creator]
    return scores
