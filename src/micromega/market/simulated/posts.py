"""The tables posts and views."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.schemas import COUNT, FLAG, REAL, TEXT, TIME
from micromega.market.simulated.block import Block, World
from micromega.market.simulated.growth import Growth

START = np.datetime64("2024-01-01T00:00:00", "s")
"""Posts appear in the 182 days from here."""
DAYS = 182
CONTENT_TYPE = {"micro": "post", "tiktok": "video"}
"""What posts are, in the words of prices and campaigns."""


def draw_times(rng: np.random.Generator, accounts: int, posts: int) -> NDArray[np.datetime64]:
    """Draw when posts appear; an account's posts are in order of time.

    Args:
        rng: random stream.
        accounts: how many.
        posts: of each.

    Returns:
        (accounts * posts,) seconds.
    """
    seconds = rng.integers(0, DAYS * 86_400, (accounts, posts))
    return START + np.sort(seconds, axis=1).ravel().astype("timedelta64[s]")


def posts_table(world: World, block: Block, times: NDArray[np.datetime64]) -> pa.Table:
    """Put content, statistics, counts and times together.

    Args:
        world: what all posts share.
        block: N posts.
        times: (N,) time of each.

    Returns:
        N rows.
    """
    people, statistics, engagement = world.people, block.statistics, block.engagement
    ad_N, listed_N = block.brand >= 0, block.hashtag >= 0
    return pa.table(
        {
            "post_id": post_ids(block.first, len(block.account)),
            "account_id": _pick(world.ids, block.account),
            "posted_at": pa.array(times.astype("datetime64[us]")).cast(TIME),
            "caption": block.captions.caption,
            "hashtags": block.captions.hashtags,
            "mentioned_ids": block.captions.mentioned_ids,
            "likes": engagement.likes,
            "comments": engagement.comments,
            "shares": engagement.shares,
            "impressions": engagement.impressions,
            "brand_id": _pick(world.ids, block.brand),
            "sponsored": pa.array(ad_N, FLAG),
            "duration_s": block.modalities.duration_s,
            "sticker_text": block.modalities.sticker_text,
            "speech_text": block.modalities.speech_text,
            "ranking": pa.array(statistics.ranking, COUNT, mask=~listed_N),
            "hashtag_age_days": pa.array(statistics.hashtag_age.astype(np.float64), REAL, mask=~listed_N),
            "is_trending": pa.array(statistics.is_trending, FLAG, mask=~listed_N),
            "content_type": pa.repeat(CONTENT_TYPE[world.audience], len(block.account)),
            "hashtag": _pick(pa.array(world.hashtags.names, TEXT), block.hashtag),
            "trending_hashtags": statistics.trending_tags,
            "age_days": pa.array(statistics.age, REAL, mask=~listed_N),
            "author_followers": people.followers[block.account],
            "past_hearts": people.past_hearts[block.account],
        }
    )


def views_table(first: int, growth: Growth) -> pa.Table:
    """List impressions by post and day.

    Args:
        first: number of the first post.
        growth: N posts, D days.

    Returns:
        N x D rows.
    """
    posts, days = growth.impressions.shape
    row = pa.array(np.repeat(np.arange(posts, dtype=np.int32), days))
    return pa.table(
        {
            "post_id": post_ids(first, posts).take(row),
            "day": np.tile(np.arange(1, days + 1), posts),
            "impressions": growth.impressions.ravel(),
        }
    )


def post_ids(first: int, count: int) -> pa.Array:
    """Ids of `count` simulated posts from number `first` on."""
    return pa.array(np.char.mod("p%08d", np.arange(first, first + count)), TEXT)


def _pick(names: pa.Array, index_N: NDArray[np.int64]) -> pa.Array:
    """(N,) names by index, null where the index is -1."""
    return names.take(pa.array(index_N, mask=index_N < 0))
