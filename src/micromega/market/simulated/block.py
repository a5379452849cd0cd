"""The posts of a block of accounts: everything that comes in chunks.

Shapes: N posts of the block, account by account and in order of time; D days.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.simulated import engagement as reactions
from micromega.market.simulated import hashtags as listing
from micromega.market.simulated.content import Captions, draw_captions, draw_off_topic, draw_subjects
from micromega.market.simulated.engagement import Engagement, Rates
from micromega.market.simulated.growth import Growth, draw_growth, start_mean
from micromega.market.simulated.hashtags import Hashtags
from micromega.market.simulated.latent import KIND_SHARES, Content, draw_content
from micromega.market.simulated.modalities import Decoders, Modalities, draw_modalities
from micromega.market.simulated.people import AudienceName, People
from micromega.market.simulated.reach import AUDIENCES, draw_reach, log_reach
from micromega.market.simulated.statistics import Statistics, draw_statistics, of_captions, worth
from micromega.market.simulated.words import Lexicon

BLOCK_POSTS = 4_096
"""Posts of a block, about; part of what a seed means, because every block has random streams of its own."""

Streams = Callable[[str], np.random.Generator]


@dataclass(frozen=True, kw_only=True)
class World:
    """What all posts share."""

    people: People
    ids: pa.Array
    """(A,) the accounts' ids."""
    lexicon: Lexicon
    audience: AudienceName
    hashtags: Hashtags
    frame: NDArray[np.float64]
    """Axes of style."""
    rates: Rates
    decoders: Decoders | None
    brand: NDArray[np.int64]
    """(A, posts) brand that each post advertises, -1 if organic."""
    days: int
    """Days of impressions; 0: none."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """N posts: what the tables show and what is behind it."""

    first: int
    """Number of the first post in the market."""
    account: NDArray[np.int64]
    brand: NDArray[np.int64]
    off_topic: NDArray[np.bool_]
    content: Content
    captions: Captions
    hashtag: NDArray[np.int64]
    """(N,) index of the hashtag under which it is listed, -1 if none."""
    statistics: Statistics
    modalities: Modalities
    engagement: Engagement
    log_reach: NDArray[np.float64]
    """(N,) mean log impressions, everything known but noise."""
    log_rate: NDArray[np.float64]
    """(N,) mean log reactions, see `Rates`."""
    growth: Growth | None


def block_size(posts: int) -> int:
    """Accounts of a block, at `posts` posts each."""
    return max(1, BLOCK_POSTS // posts)


def draw_block(world: World, streams: Streams, start: int, stop: int) -> Block:
    """Draw the posts of accounts `start` … `stop` - 1.

    Args:
        world: what all posts share.
        streams: this block's random stream of each process.
        start: first account.
        stop: one after the last.

    Returns:
        The posts.
    """
    people, lexicon, audience = world.people, world.lexicon, AUDIENCES[world.audience]
    each = world.brand.shape[1]
    account_N, brand_N = np.repeat(np.arange(start, stop), each), world.brand[start:stop].ravel()
    posts, is_brand_N = len(account_N), account_N < people.brands
    rng = streams("content")
    off_topic_N = draw_off_topic(rng, is_ad=brand_N >= 0, is_brand=is_brand_N)
    statistics = draw_statistics(streams("listing"), posts)
    if world.audience == "tiktok":
        chosen = streams("hashtags")
        hashtag_N = listing.choose(chosen, world.hashtags, category=people.category[account_N], is_ad=brand_N >= 0)
        tags = listing.tags_of_posts(chosen, world.hashtags, lexicon, hashtag=hashtag_N, statistics=statistics)
        topic_N, kind_N = world.hashtags.topic[hashtag_N], world.hashtags.kind[hashtag_N]
    else:
        tags, topic_N = None, None
        kind_N = streams("hashtags").choice(len(KIND_SHARES), posts, p=KIND_SHARES)
    subject_NL = draw_subjects(rng, people, account=account_N, brand=brand_N, off_topic=off_topic_N, topic=topic_N)
    captions = draw_captions(
        rng, people, lexicon, account=account_N, brand=brand_N, off_topic=off_topic_N, subject=subject_NL, tags=tags
    )
    if world.audience == "micro":
        found = captions.first_word
        hashtag_N = np.where(found >= 0, world.hashtags.of_word[found], -1)
        statistics = of_captions(statistics, captions.tags, hashtag_N >= 0)
    content = draw_content(
        streams("latent"), world.frame, kind=kind_N, subject=subject_NL, author_appeal=people.appeal[account_N]
    )
    log_reach_N = log_reach(
        audience,
        content,
        log_followers=np.log(people.followers[account_N]),
        cross_posting=people.cross_posting[account_N],
        place=np.where(hashtag_N >= 0, world.hashtags.reach[hashtag_N], 0.0) + worth(statistics),
    )
    log_rate_N = world.rates.of(account_N, brand_N)
    engagement = _react(world, streams, log_reach_N, log_rate_N)
    return Block(
        first=start * each,
        account=account_N,
        brand=brand_N,
        off_topic=off_topic_N,
        content=content,
        captions=captions,
        hashtag=hashtag_N,
        statistics=statistics,
        modalities=draw_modalities(
            streams("modalities"),
            content,
            account=account_N,
            is_brand=is_brand_N,
            voice=people.voice[account_N],
            lexicon=lexicon,
            decoders=world.decoders,
        ),
        engagement=engagement,
        log_reach=log_reach_N,
        log_rate=log_rate_N,
        growth=_grow(world, streams, hashtag_N, statistics, content, engagement) if world.days else None,
    )


def _react(
    world: World, streams: Streams, log_reach_N: NDArray[np.float64], log_rate_N: NDArray[np.float64]
) -> Engagement:
    rng, audience = streams("engagement"), AUDIENCES[world.audience]
    luck_N, other_N = rng.normal(size=len(log_rate_N)), streams("reach").normal(size=len(log_rate_N))
    if world.audience == "tiktok":
        impressions_N = draw_reach(audience, log_reach_N, other_N)
        return reactions.react_per_impression(rng, log_rate_N, luck_N, impressions_N)
    shared = reactions.WITH_REACH
    impressions_N = draw_reach(audience, log_reach_N, shared * luck_N + np.sqrt(1 - shared**2) * other_N)
    return reactions.react_per_follower(rng, log_rate_N, luck_N, impressions_N)


def _grow(
    world: World,
    streams: Streams,
    hashtag_N: NDArray[np.int64],
    statistics: Statistics,
    content: Content,
    engagement: Engagement,
) -> Growth:
    start_N = start_mean(
        np.where(hashtag_N >= 0, world.hashtags.start[hashtag_N], 0.0),
        trending=statistics.is_trending,
        age_days=np.where(statistics.listed, statistics.age, 0.0),
        quality=content.quality,
    )
    return draw_growth(streams("growth"), engagement.impressions, start_N, days=world.days)
