"""What posts are about and what they say.

Shapes: N posts, account by account; T tokens; M words drawn per post; L subject and V voice dimensions.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.simulated.people import People
from micromega.market.simulated.words import PRODUCTS, Lexicon, draw_words, joined, listed

POST_SD = 0.8
"""Spread of posts around their account's subject."""
OFF_TOPIC = 0.35
"""Share of a creator's posts that are about everyday life; brands half as many, advertisements none."""
OFF_TOPIC_PULL = 0.3
"""What is left of the account's subject in such a post."""
LIFE_SHARE = 0.7
"""Share of its words, everyday ones aside, that are about life."""
BRAND_PULL = 0.4
"""Weight of the brand's subject in an advertisement."""
MEAN_WORDS = 10
MAX_WORDS = 24
COMMON_SHARE = 0.45
"""Share of everyday words in a caption."""
OWN_PRODUCT = 0.7
"""Probability that a brand's post names one of its products."""
FRIEND = 0.1
"""Probability that a creator's post mentions another creator."""
AD_TAG = 0.6
"""Probability that an advertisement carries #ad."""
MEAN_TAGS = 2.0
MAX_TAGS = 6


HASHTAG_PULL = 0.3
"""Weight of a challenge's topic in a post listed under it (audience tiktok)."""

Tags = tuple[NDArray[np.object_], NDArray[np.int64]]
"""(T,) hashtags and (T,) their posts."""


@dataclass(frozen=True, kw_only=True)
class Captions:
    """What N posts say."""

    caption: pa.Array
    hashtags: pa.Array
    mentioned_ids: pa.Array
    tags: NDArray[np.int64]
    """(N,) number of hashtags."""
    first_word: NDArray[np.int64]
    """(N,) first topical word among the hashtags, index into `Lexicon.words`; -1 if there is none, or they were given.
    """


def draw_off_topic(
    rng: np.random.Generator, *, is_ad: NDArray[np.bool_], is_brand: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which posts are about everyday life.

    Args:
        rng: random stream.
        is_ad: (N,) the post advertises.
        is_brand: (N,) the author is a brand.

    Returns:
        (N,).
    """
    return (rng.random(len(is_ad)) < OFF_TOPIC * np.where(is_brand, 0.5, 1.0)) & ~is_ad


def draw_subjects(
    rng: np.random.Generator,
    people: People,
    *,
    account: NDArray[np.int64],
    brand: NDArray[np.int64],
    off_topic: NDArray[np.bool_],
    topic: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Draw what posts are about.

    Args:
        rng: random stream.
        people: the accounts.
        account: (N,) author.
        brand: (N,) brand advertised, -1 if organic.
        off_topic: (N,) about everyday life.
        topic: (N,) category of the challenge under which each is listed, if any.

    Returns:
        (N, L) subjects.
    """
    subject_NL = people.subject[account]
    ad = np.flatnonzero(brand >= 0)
    subject_NL[ad] += BRAND_PULL * (people.subject[brand[ad]] - subject_NL[ad])
    if topic is not None:
        subject_NL += HASHTAG_PULL * (people.centre[topic] - subject_NL)
    subject_NL += POST_SD * rng.normal(size=subject_NL.shape)
    subject_NL[off_topic] *= OFF_TOPIC_PULL
    return subject_NL


def draw_captions(
    rng: np.random.Generator,
    people: People,
    lexicon: Lexicon,
    *,
    account: NDArray[np.int64],
    brand: NDArray[np.int64],
    off_topic: NDArray[np.bool_],
    subject: NDArray[np.float64],
    tags: Tags | None = None,
) -> Captions:
    """Draw captions: words, then @mentions, then #hashtags.

    Args:
        rng: random stream.
        people: the accounts.
        lexicon: the words.
        account: (N,) author.
        brand: (N,) brand advertised, -1 if organic.
        off_topic: (N,) about everyday life.
        subject: (N, L) what each is about.
        tags: hashtags, where they are known already; else topical words, and marks of the brand.

    Returns:
        The texts.
    """
    voice_NV, count = people.voice[account], len(account)
    word_T, post_T = _words(rng, subject, voice_NV, lexicon, off_topic)
    product_T, product_post_T = _products(rng, lexicon, account, brand, account < people.brands)
    mention_T, mention_post_T = _mentions(rng, people, account, brand)
    first_N = np.full(count, -1)
    if tags is None:
        topical, topical_post_T = _topical_tags(rng, subject, voice_NV, lexicon)
        some, place = np.unique(topical_post_T, return_index=True)
        first_N[some] = topical[place]
        tags = lexicon.words[topical], topical_post_T
    marks = _marks(rng, lexicon, brand)
    tag_T, tag_post_T = (np.concatenate(parts) for parts in zip(tags, marks, strict=True))
    tokens = np.concatenate([word_T, product_T, "@" + mention_T, "#" + tag_T])
    token_post = np.concatenate([post_T, product_post_T, mention_post_T, tag_post_T])
    return Captions(
        caption=joined(tokens, token_post, count),
        hashtags=listed(tag_T, tag_post_T, count),
        mentioned_ids=listed(mention_T, mention_post_T, count),
        tags=np.bincount(tag_post_T, minlength=count),
        first_word=first_N,
    )


def _words(
    rng: np.random.Generator,
    subject_NL: NDArray[np.float64],
    voice_NV: NDArray[np.float64],
    lexicon: Lexicon,
    off_topic_N: NDArray[np.bool_],
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    posts = len(subject_NL)
    words_NM = draw_words(rng, subject_NL, voice_NV, lexicon, count=MAX_WORDS)
    theme_N = rng.integers(0, len(lexicon.themes), posts)
    starts, sizes = np.array([(theme.start, theme.stop - theme.start) for theme in lexicon.themes]).T
    life_NM = starts[theme_N, None] + (rng.random(words_NM.shape) * sizes[theme_N, None]).astype(np.int64)
    is_life_NM = off_topic_N[:, None] & (rng.random(words_NM.shape) < LIFE_SHARE)
    words_NM = np.where(is_life_NM, life_NM, words_NM)
    common = lexicon.common.stop - lexicon.common.start
    zipf = 1 / np.arange(1, common + 1)
    common_NM = lexicon.common.start + rng.choice(common, words_NM.shape, p=zipf / zipf.sum())
    words_NM = np.where(rng.random(words_NM.shape) < COMMON_SHARE, common_NM, words_NM)
    length_N = np.minimum(1 + rng.poisson(MEAN_WORDS - 1, posts), MAX_WORDS)
    post_T, place_T = np.nonzero(np.arange(MAX_WORDS) < length_N[:, None])
    return lexicon.words[words_NM[post_T, place_T]], post_T


def _products(
    rng: np.random.Generator,
    lexicon: Lexicon,
    account_N: NDArray[np.int64],
    brand_N: NDArray[np.int64],
    own_N: NDArray[np.bool_],
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    post_T = np.flatnonzero((brand_N >= 0) | (own_N & (rng.random(len(own_N)) < OWN_PRODUCT)))
    brand_T = np.where(brand_N[post_T] >= 0, brand_N[post_T], account_N[post_T])
    return lexicon.products[brand_T, rng.integers(0, PRODUCTS, len(post_T))], post_T


def _mentions(
    rng: np.random.Generator, people: People, account_N: NDArray[np.int64], brand_N: NDArray[np.int64]
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    accounts = len(people.ids)
    friend_T = np.flatnonzero((account_N >= people.brands) & (rng.random(len(account_N)) < FRIEND))
    friends = rng.integers(people.brands, accounts, len(friend_T))
    other = friends != account_N[friend_T]
    ad_T = np.flatnonzero(brand_N >= 0)
    ids = people.ids.astype(object)
    mentioned = np.concatenate([ids[friends[other]], ids[brand_N[ad_T]]])
    return mentioned, np.concatenate([friend_T[other], ad_T])


def _topical_tags(
    rng: np.random.Generator, subject_NL: NDArray[np.float64], voice_NV: NDArray[np.float64], lexicon: Lexicon
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    words_NM = draw_words(rng, subject_NL, voice_NV, lexicon, count=MAX_TAGS)
    length_N = np.minimum(rng.poisson(MEAN_TAGS, len(subject_NL)), MAX_TAGS)
    post_T, place_T = np.nonzero(np.arange(MAX_TAGS) < length_N[:, None])
    word_T = words_NM[post_T, place_T]
    first = np.sort(np.unique(post_T * len(lexicon.words) + word_T, return_index=True)[1])  # a tag once per post
    return word_T[first], post_T[first]


def _marks(rng: np.random.Generator, lexicon: Lexicon, brand_N: NDArray[np.int64]) -> Tags:
    ad_T = np.flatnonzero(brand_N >= 0)
    disclosed_T = ad_T[rng.random(len(ad_T)) < AD_TAG]
    tags = [lexicon.brand_names[brand_N[ad_T]], np.full(len(disclosed_T), "ad", dtype=object)]
    return np.concatenate(tags), np.concatenate([ad_T, disclosed_T])
