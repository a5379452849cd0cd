"""What any ranker must beat: chance, fame, and content similarity without learning (Gan et al. 2019, section 5.2)."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from micromega.models.mir.accounts import Accounts, Ints


class Features(Protocol):
    """An array, or what makes its rows when they are asked for."""

    def __getitem__(self, rows: Ints, /) -> NDArray[np.float32]:
        """(n, d) some rows."""


def random_scores(brands: int, creators: int, seed: int, shown: Ints | None = None) -> NDArray[np.float64]:
    """RAND: uniform scores.

    Args:
        brands: B.
        creators: M.
        seed: random seed.
        shown: (m,) rows of creators, whose scores do not depend on who else is shown; None: all.

    Returns:
        (B, m) scores in [0, 1).
    """
    rng = np.random.default_rng(seed)
    if shown is None:
        return rng.random((brands, creators))
    return np.stack([rng.random(creators)[shown] for _ in range(brands)])


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
    accounts: Accounts, features: Features, brands: NDArray[np.int64], creators: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """SBR: cosine of the concatenated modalities of brand and creator, the creator's own posts left out of the brand.

    A pair that is no positive gets the cosine with one of the brand's views that each leave out one of its creators.

    Args:
        accounts: the market.
        features: (V, d) standardised modalities, concatenated, so that no modality wins by its scale.
        brands: (n,) brand rows.
        creators: (m,) rows of creators, ascending; None: all.

    Returns:
        (n, m) cosines.
    """
    views, shown = accounts.shown_views(brands, creators)
    creator_views = accounts.creator_view if creators is None else accounts.creator_view[creators]
    scores_KM = _unit(features[views]).astype(np.float64) @ _unit(features[creator_views]).T
    scores: NDArray[np.float64] = np.take_along_axis(scores_KM, shown, axis=0)
    return scores


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, 1))
