"""The accounts table."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.simulated.people import CATEGORIES, AudienceName, People
from micromega.market.simulated.vocabulary import CITIES
from micromega.market.simulated.words import Lexicon, draw_words, joined

BIOGRAPHY_WORDS = 5
BRANDS_VERIFIED, CREATORS_VERIFIED = 0.6, 0.03
VERIFIED_LEVEL, VERIFIED_OF_FAME = -3.85, 0.9
"""Audience tiktok: log odds of a creator's badge at mean popularity, and per standard deviation of it."""
PLATFORM = {"micro": "instagram", "tiktok": "tiktok"}


def accounts_table(
    rng: np.random.Generator, people: People, lexicon: Lexicon, *, audience: AudienceName = "micro"
) -> pa.Table:
    """Make the accounts table; a biography is five words on the account's subject.

    Args:
        rng: random stream.
        people: the accounts.
        lexicon: the words.
        audience: platform, and how verified creators are.

    Returns:
        One row per account, brands first; `videos` are those before the market's posts, hearts are not in it yet.
    """
    accounts = len(people.ids)
    is_brand_A = np.arange(accounts) < people.brands
    words_AM = draw_words(rng, people.subject, people.voice, lexicon, count=BIOGRAPHY_WORDS)
    text = np.repeat(np.arange(accounts), BIOGRAPHY_WORDS)
    fame_A = 1 / (1 + np.exp(-(VERIFIED_LEVEL + VERIFIED_OF_FAME * people.popularity)))
    verified_A = fame_A if audience == "tiktok" else np.full(accounts, CREATORS_VERIFIED)
    location_A = rng.choice(CITIES.split(), accounts)
    has_badge_A = rng.random(accounts) < np.where(is_brand_A, BRANDS_VERIFIED, verified_A)
    videos_A = np.exp(rng.normal(6.0, 0.8, accounts)).astype(np.int64)
    return pa.table(
        {
            "account_id": people.ids,
            "kind": np.where(is_brand_A, "brand", "creator"),
            "name": pa.array([*lexicon.brand_names, *[None] * (accounts - people.brands)], pa.string()),
            "platform": np.full(accounts, PLATFORM[audience]),
            "category": np.array(CATEGORIES)[people.category],
            "location": location_A,
            "followers": people.followers,
            "verified": has_badge_A,
            "videos": videos_A,
            "biography": joined(lexicon.words[words_AM].ravel(), text, accounts),
        }
    )


def with_hearts(accounts: pa.Table, people: People, likes: NDArray[np.int64], posts: int) -> pa.Table:
    """Count hearts and videos as a crawl after the last post does: earlier posts and the market's.

    Args:
        accounts: as made by `accounts_table`.
        people: the accounts; past hearts are the mean of earlier posts.
        likes: (A,) likes of the market's posts.
        posts: the market's posts per account.

    Returns:
        The accounts with `hearts` and `videos`.
    """
    before_A = accounts["videos"].to_numpy()
    hearts_A = np.round(people.past_hearts * before_A).astype(np.int64) + likes
    place = accounts.column_names.index("videos")
    return accounts.set_column(place, "videos", pa.array(before_A + posts)).append_column("hearts", pa.array(hearts_A))
