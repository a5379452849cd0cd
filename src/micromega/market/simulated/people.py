"""Brands and creators: what each is about, how large and why, how well its posts do."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

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
FAME = {"past": 0.657, "appeal": 0.28, "cross_posting": 0.42}
"""Weights of what makes an account popular; chance has the rest of the variance. Two more, with 0.3, make corr(past
success, log followers) 0.736 as in Tian et al. (2022): past success is 0.3 appeal of what the account makes."""
PAST_OF_APPEAL = 0.3
CROSS_POSTERS = 0.15
"""Share of accounts that cross-post a lot."""
CROSS_SDS = np.array([0.75, 1.6]) / np.sqrt(0.85 * 0.75**2 + 0.15 * 1.6**2)
"""Spread of cross-posting among others and among those; together the variance is 1."""
FEWEST, MOST = 5_000.0, 100_000.0
"""Followers of micro creators, log-uniform."""
MEDIAN_FOLLOWERS, FOLLOWERS_SD, BEND, MOST_EVER = 60_102.0, 2.956, 0.358, 71_000_679.0
"""TikTok creators: log followers are linear in popularity below the median, bend down above it (Table 1)."""
BRAND_MEDIAN, BRAND_FOLLOWERS_SD = 2e5, 1.0
PAST_MEDIAN, PAST_SD = {"micro": 212.0, "tiktok": 2_981.0}, {"micro": 0.9, "tiktok": 1.9}
"""Mean hearts of earlier posts: median, and spread of the logarithm."""

AudienceName = Literal["micro", "tiktok"]


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
    appeal: NDArray[np.float64]
    """(A,) lasting appeal of its style, standard normal."""
    cross_posting: NDArray[np.float64]
    """(A,) the confounder: mean 0, variance 1; moves followers and impressions, and no table shows it."""
    past: NDArray[np.float64]
    """(A,) past success, standard normal: the instrument moves impressions through followers alone, given appeal."""
    popularity: NDArray[np.float64]
    """(A,) mean 0, variance 1."""
    past_hearts: NDArray[np.float64]
    """(A,) mean hearts of earlier posts."""


def draw_people(rng: np.random.Generator, *, brands: int, creators: int, audience: AudienceName = "micro") -> People:
    """Draw everything about accounts that is not text.

    Args:
        rng: random stream.
        brands: how many.
        creators: how many.
        audience: how large creators are.

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
    chance_A = np.concatenate([rng.normal(size=brands), ndtri(rng.random(creators))])
    voice_AV = VOICE_SD * rng.normal(size=(accounts, VOICE_DIMS))
    log_engagement_A = ENGAGEMENT_SD * rng.normal(size=accounts)
    appeal_A, zeta_A = rng.normal(size=(2, accounts))
    cross_A = CROSS_SDS[(rng.random(accounts) < CROSS_POSTERS).astype(np.int64)] * rng.normal(size=accounts)
    past_A = np.sqrt(1 - PAST_OF_APPEAL**2) * zeta_A + PAST_OF_APPEAL * appeal_A
    popularity_A = popularity(past_A, appeal_A, cross_A, chance_A)
    is_brand_A = np.arange(accounts) < brands
    followers_A = np.where(is_brand_A, _brand_followers(popularity_A), creator_followers(popularity_A, audience))
    return People(
        brands=brands,
        ids=np.array([f"b{i:05d}" for i in range(brands)] + [f"c{i:06d}" for i in range(creators)]),
        category=category_A,
        centre=centre_KL,
        subject=subject_AL,
        voice=voice_AV,
        followers=followers_A.astype(np.int64),
        log_engagement=log_engagement_A,
        appeal=appeal_A,
        cross_posting=cross_A,
        past=past_A,
        popularity=popularity_A,
        past_hearts=np.round(PAST_MEDIAN[audience] * np.exp(PAST_SD[audience] * past_A), 2),
    )


def popularity(
    past: NDArray[np.float64],
    appeal: NDArray[np.float64],
    cross_posting: NDArray[np.float64],
    chance: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Popularity index: past success, appeal, cross-posting and chance, each of variance 1.

    Returns:
        (A,) mean 0, variance 1.
    """
    drawn_A: NDArray[np.float64] = (
        FAME["past"] * past
        + FAME["appeal"] * appeal
        + FAME["cross_posting"] * cross_posting
        + np.sqrt(1 - _explained()) * chance
    )
    return drawn_A


def popularity_share(popularity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exact distribution function of the popularity index, a mixture of two normal distributions."""
    spread = np.sqrt(1 - FAME["cross_posting"] ** 2 + (FAME["cross_posting"] * CROSS_SDS) ** 2)
    below = ndtr(popularity[..., None] / spread)
    share: NDArray[np.float64] = below @ np.array([1 - CROSS_POSTERS, CROSS_POSTERS])
    return share


def creator_followers(popularity: NDArray[np.float64], audience: AudienceName) -> NDArray[np.float64]:
    """Followers of creators, increasing in popularity.

    Args:
        popularity: (C,) index.
        audience: micro: log-uniform between `FEWEST` and `MOST`; tiktok: the moments of Tian et al. 2022, Table 1.

    Returns:
        (C,) followers, not rounded.
    """
    if audience == "micro":
        spread: NDArray[np.float64] = FEWEST * (MOST / FEWEST) ** popularity_share(popularity)
        return spread
    above = np.maximum(popularity, 0)
    log_C = np.log(MEDIAN_FOLLOWERS) + FOLLOWERS_SD * (np.minimum(popularity, 0) + (1 - np.exp(-BEND * above)) / BEND)
    bent: NDArray[np.float64] = np.clip(np.exp(log_C), 2.0, MOST_EVER)
    return bent


def _brand_followers(popularity: NDArray[np.float64]) -> NDArray[np.float64]:
    score = ndtri(np.clip(popularity_share(popularity), 1e-12, 1 - 1e-12))
    followers: NDArray[np.float64] = BRAND_MEDIAN * np.exp(BRAND_FOLLOWERS_SD * score)
    return followers


def _explained() -> float:
    past, appeal, cross = FAME.values()
    return past**2 + appeal**2 + 2 * past * appeal * PAST_OF_APPEAL + cross**2
