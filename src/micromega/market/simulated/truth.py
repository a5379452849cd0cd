"""What really drives the simulated market; for tests, evaluation and benchmarks, never for models.

Shapes: A accounts, B brands, C creators, H hashtags, N posts.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.schemas import TEXT
from micromega.market.simulated.block import Block, World
from micromega.market.simulated.hashtags import kind_weights
from micromega.market.simulated.latent import DESCRIPTIONS, KIND_SHARES, KINDS, mean_exp_appeal
from micromega.market.simulated.people import CATEGORIES, People
from micromega.market.simulated.posts import post_ids
from micromega.market.simulated.reach import AUDIENCES, CROSS_POSTING, QUALITY, curve, elasticity
from micromega.market.simulated.statistics import mean_exp_worth

GRID = np.linspace(0.0, np.log(71_000_679.0), 401)
"""Log followers at which the curves are listed."""
_BRANDS_AT_ONCE = 16


def expected_impressions(world: World) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected impressions of a post of each account, over kinds, hashtags, styles, statistics and chance.

    Exact but for the effect of statistics, which is a mean over 2^18 draws, and for the floor of impressions. Audience
    micro: posts that are listed under a hashtag.

    Returns:
        (A,) of an organic post and (A,) of an advertisement.
    """
    people, audience = world.people, AUDIENCES[world.audience]
    log_followers_A = np.log(people.followers)
    gain_AK = np.exp(curve(np.arange(3), log_followers_A[:, None], anchor=audience.anchor))
    scale_A = np.exp(audience.level + CROSS_POSTING * people.cross_posting + audience.noise**2 / 2)
    scale_A *= mean_exp_appeal(QUALITY, people.appeal) * mean_exp_worth(few_tags=world.audience == "micro")
    organic_CK, ad_K = (
        kind_weights(world.hashtags) if world.audience == "tiktok" else (np.tile(KIND_SHARES, (12, 1)), KIND_SHARES)
    )
    organic_A = scale_A * (gain_AK * organic_CK[people.category]).sum(axis=1)
    ads_A: NDArray[np.float64] = scale_A * (gain_AK @ ad_K)
    return organic_A, ads_A


def expected_pairs(world: World, impressions_of_ad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected likes + comments of one advertisement of each creator for each brand.

    Args:
        world: what all posts share.
        impressions_of_ad: (A,) expected impressions of an advertisement.

    Returns:
        (B, C).
    """
    pair_BC = world.rates.expected(world.rates.pair)
    return pair_BC * impressions_of_ad[world.people.brands :] if world.rates.per_impression else pair_BC


def accounts_truth(people: People) -> pa.Table:
    """What accounts are about, and what makes them large."""
    return pa.table(
        {
            "account_id": people.ids,
            "subject": _vectors(people.subject),
            "log_engagement": people.log_engagement,
            "appeal": people.appeal,
            "cross_posting": people.cross_posting,
            "past_success": people.past,
            "popularity": people.popularity,
        }
    )


def affinity_truth(people: People, affinity: NDArray[np.float64], expected: NDArray[np.float64]) -> Iterator[pa.Table]:
    """Affinity and expected engagement of all pairs, some brands at a time.

    Args:
        people: the accounts.
        affinity: (B, C) log odds.
        expected: (B, C) expected likes + comments.

    Yields:
        Rows, brand by brand.
    """
    brands, creators = affinity.shape
    brand_ids, creator_ids = pa.array(people.ids[:brands]), pa.array(people.ids[brands:])
    for start in range(0, brands, _BRANDS_AT_ONCE):
        some = np.arange(start, min(start + _BRANDS_AT_ONCE, brands))
        yield pa.table(
            {
                "brand_id": brand_ids.take(pa.array(np.repeat(some, creators))),
                "creator_id": creator_ids.take(pa.array(np.tile(np.arange(creators), len(some)))),
                "affinity": affinity[some].ravel(),
                "expected_engagements": expected[some].ravel(),
            }
        )


def posts_truth(world: World, block: Block, expected_impressions: NDArray[np.float64]) -> pa.Table:
    """What is behind posts.

    Args:
        world: what all posts share.
        block: N posts.
        expected_impressions: (N,) expected from account and brand alone; used by audience tiktok.

    Returns:
        N rows; log_impressions is the mean before noise, fei the elasticity at the author's followers.
    """
    expected_N = world.rates.expected(block.log_rate)
    if world.rates.per_impression:
        expected_N = expected_N * expected_impressions
    columns = {
        "post_id": post_ids(block.first, len(block.account)),
        "off_topic": block.off_topic,
        "expected_engagements": expected_N,
        "kind": pa.array(np.array(KINDS), TEXT).take(pa.array(block.content.kind)),
        "quality": block.content.quality,
        "log_impressions": block.log_reach,
        "fei": elasticity(block.content.kind, np.log(world.people.followers[block.account])),
    }
    if block.growth is not None:
        columns |= {"log_rate": block.growth.log_rate, "log_start": block.growth.log_start}
    return pa.table(columns)


def content_truth(block: Block) -> pa.Table:
    """Latents of posts, single precision."""
    return pa.table(
        {
            "post_id": post_ids(block.first, len(block.account)),
            "subject": _vectors(block.content.subject.astype(np.float32)),
            "style": _vectors(block.content.style.astype(np.float32)),
        }
    )


def hashtags_truth(world: World) -> pa.Table:
    """Effects of hashtags; kind and topic are those of challenges (audience tiktok)."""
    hashtags = world.hashtags
    return pa.table(
        {
            "hashtag": pa.array(hashtags.names, TEXT),
            "topic": np.array(CATEGORIES)[hashtags.topic],
            "kind": pa.array(np.array(KINDS), TEXT).take(pa.array(hashtags.kind, mask=hashtags.kind < 0)),
            "sponsored": hashtags.sponsored,
            "log_reach": hashtags.reach,
            "start": hashtags.start,
        }
    )


def curves_truth(world: World) -> pa.Table:
    """Reach and its elasticity as functions of followers, for each kind of content.

    log_impressions is that of a post of mean 0 in everything else; add a post's own effects for its counterfactuals.
    """
    audience = AUDIENCES[world.audience]
    kind = np.repeat(np.arange(len(KINDS)), len(GRID))
    log_followers = np.tile(GRID, len(KINDS))
    return pa.table(
        {
            "kind": np.array(KINDS)[kind],
            "description": np.array(DESCRIPTIONS)[kind],
            "log_followers": log_followers,
            "log_impressions": audience.level + curve(kind, log_followers, anchor=audience.anchor),
            "fei": elasticity(kind, log_followers),
        }
    )


def _vectors(values: NDArray[np.floating]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
