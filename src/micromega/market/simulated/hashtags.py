"""Hashtags under which posts are listed.

Audience tiktok: 216 challenges, each with a topic and a kind of content, 30 of them sponsored (Tian et al. 2022,
section 2.1). Audience micro: a post is listed under its first topical hashtag, if it has one.

Shapes: H hashtags; N posts; T topical words; C categories.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.market.simulated import growth
from micromega.market.simulated.latent import KIND_SHARES
from micromega.market.simulated.people import CATEGORIES
from micromega.market.simulated.statistics import Statistics
from micromega.market.simulated.words import Lexicon

CHALLENGES = 216
SPONSORED_KINDS = (4, 16, 10)
"""Sponsored challenges of each kind (Table 4)."""
OWN_TOPIC = 0.6
"""Share of posts under a challenge of the account's own category; the others take any."""
FYP = "fyp"


@dataclass(frozen=True, kw_only=True)
class Hashtags:
    """H hashtags."""

    names: NDArray[np.object_]
    """(H,) without "#"."""
    topic: NDArray[np.int64]
    """(H,) category."""
    kind: NDArray[np.int64]
    """(H,) kind of the posts under it, -1 if any."""
    sponsored: NDArray[np.bool_]
    """(H,) of a brand."""
    reach: NDArray[np.float64]
    """(H,) effect on log impressions."""
    start: NDArray[np.float64]
    """(H,) effect on the logit of the first day's share of impressions."""
    of_word: NDArray[np.int64]
    """(T,) hashtag of each topical word; audience micro."""


def draw_challenges(rng: np.random.Generator, lexicon: Lexicon, *, spread: float) -> Hashtags:
    """Draw TikTok challenges; a name is two words of its topic.

    Args:
        rng: random stream.
        lexicon: the words.
        spread: of the effects on log impressions.

    Returns:
        The hashtags.
    """
    topics, words = len(CATEGORIES), len(lexicon.place) // len(CATEGORIES)
    topic_H = np.repeat(np.arange(topics), CHALLENGES // topics)
    pair_HW = np.argsort(rng.random((CHALLENGES, words)), axis=1)[:, :2] + words * topic_H[:, None]
    names_H = _unique([str(a).title() + str(b).title() for a, b in lexicon.words[pair_HW]])
    organic = np.bincount(_shares(CHALLENGES), minlength=3) - np.array(SPONSORED_KINDS)
    kind_H = np.concatenate([np.repeat(np.arange(3), SPONSORED_KINDS), np.repeat(np.arange(3), organic)])
    order = rng.permutation(CHALLENGES)
    reach_H = rng.normal(size=CHALLENGES)
    return Hashtags(
        names=names_H,
        topic=topic_H,
        kind=kind_H[order],
        sponsored=(np.arange(CHALLENGES) < sum(SPONSORED_KINDS))[order],
        reach=spread * (reach_H - reach_H.mean()),
        start=growth.HASHTAG_SD * rng.normal(size=CHALLENGES),
        of_word=np.empty(0, dtype=np.int64),
    )


def word_hashtags(rng: np.random.Generator, lexicon: Lexicon) -> Hashtags:
    """Take every topical word as a hashtag; one that two categories share counts once."""
    topical = lexicon.words[: len(lexicon.place)].astype(str)
    names_H, first_H, of_word_T = np.unique(topical, return_index=True, return_inverse=True)
    count = len(names_H)
    return Hashtags(
        names=names_H.astype(object),
        topic=first_H // (len(topical) // len(CATEGORIES)),
        kind=np.full(count, -1),
        sponsored=np.zeros(count, dtype=bool),
        reach=np.zeros(count),
        start=growth.HASHTAG_SD * rng.normal(size=count),
        of_word=of_word_T,
    )


def choose(
    rng: np.random.Generator, hashtags: Hashtags, *, category: NDArray[np.int64], is_ad: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """List posts under challenges: mostly of the author's category; advertisements under sponsored ones.

    Args:
        rng: random stream.
        hashtags: challenges, as many of each topic.
        category: (N,) of the author.
        is_ad: (N,) the post advertises.

    Returns:
        (N,) index of the hashtag.
    """
    posts, each = len(category), len(hashtags.names) // len(CATEGORIES)
    topic_N = np.where(rng.random(posts) < OWN_TOPIC, category, rng.integers(0, len(CATEGORIES), posts))
    usual_N = topic_N * each + rng.integers(0, each, posts)
    of_brands = np.flatnonzero(hashtags.sponsored)
    return np.where(is_ad, of_brands[rng.integers(0, len(of_brands), posts)], usual_N)


def kind_weights(hashtags: Hashtags) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """E[exp(effect of the hashtag); kind], as `choose` lists posts.

    Returns:
        (C, 3) by category of the author for organic posts, (3,) for advertisements.
    """
    of_kind_HK = (hashtags.kind[:, None] == np.arange(3)) * np.exp(hashtags.reach)[:, None]
    in_topic_CK = np.array([of_kind_HK[hashtags.topic == topic].mean(axis=0) for topic in range(len(CATEGORIES))])
    weight_CK = OWN_TOPIC * in_topic_CK + (1 - OWN_TOPIC) * of_kind_HK.mean(axis=0)
    return weight_CK, of_kind_HK[hashtags.sponsored].mean(axis=0)


def tags_of_posts(
    rng: np.random.Generator,
    hashtags: Hashtags,
    lexicon: Lexicon,
    *,
    hashtag: NDArray[np.int64],
    statistics: Statistics,
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Name the hashtags in captions: the challenge, #fyp, then neighbouring words of its topic, each once.

    Args:
        rng: random stream.
        hashtags: challenges.
        lexicon: the words.
        hashtag: (N,) under which each post is listed.
        statistics: says how many there are, and whether #fyp is one.

    Returns:
        (T,) hashtags and (T,) their posts.
    """
    pool, start = _pool(lexicon)
    posts = len(hashtag)
    some = np.flatnonzero(statistics.tags > 0)
    fyp = np.flatnonzero(statistics.has_fyp)
    more_N = np.maximum(statistics.tags - 1 - statistics.has_fyp, 0)
    post_T = np.repeat(np.arange(posts), more_N)
    turn_T = np.arange(len(post_T)) - np.repeat(np.cumsum(more_N) - more_N, more_N)
    first_N = start[hashtags.topic[hashtag]] + rng.integers(0, 40, posts)
    names_T = pool[(first_N[post_T] + turn_T) % len(pool)]
    tags = np.concatenate([hashtags.names[hashtag[some]], np.full(len(fyp), FYP, dtype=object), names_T])
    return tags, np.concatenate([some, fyp, post_T])


def _pool(lexicon: Lexicon) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Topical words without repetitions, in order, and where each category's begin."""
    topical = lexicon.words[: len(lexicon.place)]
    first = np.sort(np.unique(topical.astype(str), return_index=True)[1])
    begin = np.arange(len(CATEGORIES)) * (len(topical) // len(CATEGORIES))
    return topical[first], np.searchsorted(first, begin)


def _shares(count: int) -> NDArray[np.int64]:
    """Kinds of `count` hashtags in the shares of kinds, rounded."""
    edges = np.round(np.cumsum(KIND_SHARES) * count)
    return np.searchsorted(edges, np.arange(count), side="right")


def _unique(names: list[str]) -> NDArray[np.object_]:
    """Number names that come twice."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    left = dict(seen)
    numbered = []
    for name in names:
        left[name] -= 1
        numbered.append(name if seen[name] == 1 or not left[name] else f"{name}{left[name] + 1}")
    return np.array(numbered, dtype=object)
