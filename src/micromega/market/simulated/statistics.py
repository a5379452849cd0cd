"""Post statistics: where and how a post is listed (Tian et al. 2022, Web Appendix A, Table 6), and what that is worth.

Shapes: N posts.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

TAGS_SHAPE, TAGS_MEAN, MOST_TAGS = 11.2, 6.662, 47
"""Numbers of hashtags are negative binomial, cut."""
IS_TRENDING = 0.767
MORE_TRENDING, MOST_TRENDING = 0.405, 10
"""Mean number of trending hashtags beyond the first, cut."""
FYP = 0.6215
"""Posts with room for it that carry #fyp."""
NEW_HASHTAG = 0.55
"""Share of posts under a hashtag that is at most a day old."""
OLDEST_HASHTAG = 148
PLACES, PLACES_SHAPE = 2_000, 0.944
FRESH_DAYS, FRESH = 1.327, 0.5
"""Half of all posts are at most so old when they first appear under the hashtag."""
OLDEST_POST = 2_015.0

RANKING, TRENDING, TAG, FOR_YOU, AGE = -0.25, 0.20, 0.02, 0.05, -0.10
"""Log impressions per standard deviation of ranking, for a trending hashtag, per hashtag, for #fyp, per unit of
log(1 + age of the hashtag in days)."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Statistics of N posts, each (N,)."""

    tags: NDArray[np.int64]
    """Hashtags in the post."""
    trending_tags: NDArray[np.int64]
    """How many of them trend."""
    has_fyp: NDArray[np.bool_]
    is_trending: NDArray[np.bool_]
    """The hashtag under which it is listed trends."""
    hashtag_age: NDArray[np.int64]
    """Days."""
    ranking: NDArray[np.int64]
    """Best is 1."""
    age: NDArray[np.float64]
    """Of the post at its first appearance under the hashtag, days."""
    listed: NDArray[np.bool_]
    """Listed under a hashtag at all; without one the rest but `tags` means nothing."""


def draw_statistics(rng: np.random.Generator, posts: int) -> Statistics:
    """Draw the statistics of posts that are all listed under a hashtag.

    Args:
        rng: random stream.
        posts: N.

    Returns:
        Figures with the moments of Table 6.
    """
    tags_N = np.minimum(rng.negative_binomial(TAGS_SHAPE, TAGS_SHAPE / (TAGS_SHAPE + TAGS_MEAN), posts), MOST_TAGS)
    is_trending_N = rng.random(posts) < IS_TRENDING
    more_N = np.minimum(1 + rng.poisson(MORE_TRENDING, posts), MOST_TRENDING)
    young_N = rng.random(posts) < NEW_HASHTAG
    old_N = np.minimum(np.exp(rng.normal(2.0, 1.05, posts)), OLDEST_HASHTAG).astype(np.int64)
    fresh_N = rng.random(posts) < FRESH
    late_N = np.minimum(FRESH_DAYS + rng.gamma(0.3, 230.0, posts), OLDEST_POST)
    age_N: NDArray[np.float64] = np.where(fresh_N, rng.uniform(0, FRESH_DAYS, posts), late_N)
    return Statistics(
        tags=tags_N,
        trending_tags=np.minimum(is_trending_N * more_N, tags_N),
        has_fyp=(rng.random(posts) < FYP) & (tags_N >= 2),
        is_trending=is_trending_N,
        hashtag_age=np.where(young_N, rng.integers(0, 2, posts), old_N),
        ranking=np.ceil(PLACES * (1 - rng.random(posts)) ** PLACES_SHAPE).astype(np.int64),
        age=age_N.round(3),
        listed=np.ones(posts, dtype=bool),
    )


def of_captions(statistics: Statistics, tags: NDArray[np.int64], listed: NDArray[np.bool_]) -> Statistics:
    """Make statistics agree with captions that were drawn by themselves (audience micro: few hashtags, no #fyp).

    Args:
        statistics: as drawn.
        tags: (N,) hashtags in the captions.
        listed: (N,) the post has a hashtag under which it can be listed.

    Returns:
        The statistics.
    """
    return replace(
        statistics,
        tags=tags,
        trending_tags=np.minimum(statistics.trending_tags, tags) * listed,
        has_fyp=np.zeros(len(tags), dtype=bool),
        is_trending=statistics.is_trending & listed,
        listed=listed,
    )


def worth(statistics: Statistics) -> NDArray[np.float64]:
    """w'delta: effect of the statistics on log impressions, about 0 on average.

    Args:
        statistics: N posts.

    Returns:
        (N,).
    """
    listing_N = (
        RANKING * (statistics.ranking - PLACES / 2) / (PLACES / np.sqrt(12))
        + TRENDING * (statistics.is_trending - IS_TRENDING)
        + AGE * (np.log1p(statistics.hashtag_age) - 1.0)
    )
    effect_N: NDArray[np.float64] = (
        listing_N * statistics.listed + TAG * (statistics.tags - TAGS_MEAN) + FOR_YOU * (statistics.has_fyp - 0.604)
    )
    return effect_N


def mean_exp_worth(*, few_tags: bool) -> float:
    """E[exp(w'delta)] of listed posts, by a fixed sample of 2^18 posts (standard error below 0.1 %).

    Args:
        few_tags: the captions have few hashtags and no #fyp (audience micro).
    """
    rng = np.random.default_rng(20220728)
    sample = draw_statistics(rng, 1 << 18)
    if few_tags:
        tags = 1 + np.minimum(rng.poisson(1.3, len(sample.tags)), 5)
        sample = of_captions(sample, tags, np.ones(len(tags), dtype=bool))
    return float(np.exp(worth(sample)).mean())
