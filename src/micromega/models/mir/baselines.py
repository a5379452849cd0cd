"""What any ranker must beat: chance, fame, and content similarity without learning (Gan et al. 2019, section 5.2)."""

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


def popularity_scores(followers: NDArray[np.float64], brands: int) -> NDArray[np.float64]:
    """POP: the creators with most followers first, whatever the brand.

    Args:
        followers: (M,) counts, NaN if unknown; those come last.
        brands: B.

    Returns:
        (B, M) scores, the same for every brand.
    """
    return np.tile(np.where(np.isnan(followers), -1.0, followers), (brands, 1))


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
    views, shown = accounts.shown_views(brands)
    scores_KM = unit[views].astype(np.float64) @ unit[accounts.creator_view].T
    scores: NDArray[np.float64] = np.take_along_axis(scores_KM, shown, axis=0)
    return scores
