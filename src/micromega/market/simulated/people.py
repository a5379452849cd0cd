"""Brands and creators: what each is about, how large, how well its posts do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.market.simulated.vocabulary import CATEGORY_WORDS, SUPER_GROUP

CATEGORIES = tuple(CATEGORY_WORDS)
SUBJECT_DIMS = 16
VOICE_DIMS = 8
SUPER_SHARE = 0.35
"""Share of a category's variance that its super-group explains."""
BRAND_SD = 0.7
CREATOR_SD = 0.9
"""Spread of accounts around their category, where a category's own coordinates have variance 1."""
VOICE_SD = 1.0
"""Spread of accounts' habits of wording, which say nothing about their subject."""
CROSS = 0.12
"""Share of creators whose content is that of another category than the one on their profile."""
ENGAGEMENT_SD = 0.5
"""Spread of accounts' log engagement per follower."""


@dataclass(frozen=True, kw_only=True)
class People:
    """All A accounts, brands first. K categories, L subject dimensions, V voice dimensions."""

    brands: int
    ids: NDArray[np.str_]
    """(A,) account ids."""
    category: NDArray[np.int64]
    """(A,) category on the profile."""
    centre: NDArray[np.float64]
    """(K, L) centre of each category."""
    subject: NDArray[np.float64]
    """(A, L) what each account is about."""
    voice: NDArray[np.float64]
    """(A, V) habits of wording."""
    followers: NDArray[np.int64]
    """(A,) followers."""
    log_engagement: NDArray[np.float64]
    """(A,) how much better (log) an account's posts do than those of others of its size."""


def draw_people(rng: np.random.Generator, *, brands: int, creators: int) -> People:
    """Draw everything about accounts that is not text.

    Args:
        rng: random stream.
        brands: how many.
        creators: how many.

    Returns:
        The accounts.
    """
    count, accounts = len(CATEGORIES), brands + creators
    group_SL = rng.normal(size=(max(SUPER_GROUP.values()) + 1, SUBJECT_DIMS))
    group_KL = group_SL[[SUPER_GROUP[name] for name in CATEGORIES]]
    centre_KL = np.sqrt(SUPER_SHARE) * group_KL + np.sqrt(1 - SUPER_SHARE) * rng.normal(size=(count, SUBJECT_DIMS))
    category_A = np.concatenate([np.arange(brands) % count, rng.integers(0, count, creators)])
    style_A = category_A.copy()
    crosses = np.flatnonzero(rng.random(creators) < CROSS) + brands
    style_A[crosses] = rng.integers(0, count, len(crosses))
    spread_A = np.repeat([BRAND_SD, CREATOR_SD], [brands, creators])
    subject_AL = centre_KL[style_A] + spread_A[:, None] * rng.normal(size=(accounts, SUBJECT_DIMS))
    brand_followers = np.exp(rng.normal(np.log(2e5), 1.0, brands))
    creator_followers = np.exp(rng.uniform(np.log(5e3), np.log(1e5), creators))
    return People(
        brands=brands,
        ids=np.array([f"b{i:05d}" for i in range(brands)] + [f"c{i:06d}" for i in range(creators)]),
        category=category_A,
        centre=centre_KL,
        subject=subject_AL,
        voice=VOICE_SD * rng.normal(size=(accounts, VOICE_DIMS)),
        followers=np.concatenate([brand_followers, creator_followers]).astype(np.int64),
        log_engagement=ENGAGEMENT_SD * rng.normal(size=accounts),
    )
