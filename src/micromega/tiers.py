"""The six sizes of creators (Tian et al. 2022, section 4.2), by followers; an edge belongs to the tier above it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIERS = ("sub-nano", "nano", "micro", "mid-tier", "macro", "mega")
"""Fewer than 1,000 followers; 1,000 to 10,000; to 50,000; to 500,000; to a million; a million and more."""

TIER_EDGES = (1e3, 1e4, 5e4, 5e5, 1e6)
"""Followers at which the next tier begins."""


def tier_of(followers: ArrayLike) -> NDArray[np.int64]:
    """Position in `TIERS` of each number of followers, same shape."""
    return np.searchsorted(np.array(TIER_EDGES), np.asarray(followers, dtype=np.float64), side="right")


def tier_ranges(low: float, high: float) -> NDArray[np.float64]:
    """Part of each tier within a range of log followers.

    Args:
        low: of the range, log followers.
        high: the same.

    Returns:
        (6, 2) first and last log followers; NaN for a tier that the range does not touch or touches in one point.
    """
    edges = np.log(np.array(TIER_EDGES))
    first = np.maximum(np.concatenate([[low], edges]), low)
    last = np.minimum(np.concatenate([edges, [high]]), high)
    return np.where((first < last)[:, None], np.column_stack([first, last]), np.nan)
