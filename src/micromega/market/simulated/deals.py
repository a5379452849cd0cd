"""Who advertises for whom, and in which posts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.market.simulated.people import SUBJECT_DIMS, People

AFFINITY_SCALE = 6.0
"""Log odds lost per unit of mean squared distance in subject space, halved."""
SAME_CATEGORY = 0.7
"""Log odds won when profile categories agree."""
POPULARITY_SHAPE = 7.0
"""Brands' budgets are Gamma with this shape: numbers of creators come out negative binomial (Poisson of Gamma)."""
WITHOUT_DEAL = 0.1
"""Share of creators who have not advertised for any brand yet."""
BRANDS_PER_CREATOR = np.array([3404, 272, 48, 14, 6, 1, 2, 1]) / 3748
"""Share of advertising creators with 1, 2, … brands (counted in the pair list of Gan et al. 2019)."""
MORE_ADS = 0.6
"""Mean number of advertisements of a pair beyond the first."""
SPONSORED = 0.001
"""Share of sponsored posts on TikTok (Tian et al. 2022, Table 6); a little more where creators are few, because every
brand has a partner."""


@dataclass(frozen=True, kw_only=True)
class Deals:
    """P pairs that work together."""

    brand: NDArray[np.int64]
    """(P,) brand."""
    creator: NDArray[np.int64]
    """(P,) index among creators, 0 … C - 1."""


@dataclass(frozen=True, kw_only=True)
class Ads:
    """D posts that advertise."""

    account: NDArray[np.int64]
    """(D,) index among all accounts."""
    slot: NDArray[np.int64]
    """(D,) which of the account's posts, 0 … posts - 1 by time."""
    brand: NDArray[np.int64]
    """(D,) brand advertised."""


def true_affinity(people: People) -> NDArray[np.float64]:
    """True affinity: log odds that a creator chooses a brand, budgets aside.

    Falls with the squared distance of the two accounts in subject space, and is higher where the categories on the
    profiles agree.

    Returns:
        (B, C) log odds, up to a constant.
    """
    brand_BL, creator_CL = people.subject[: people.brands], people.subject[people.brands :]
    squared_BC = (
        (brand_BL**2).sum(axis=1)[:, None] + (creator_CL**2).sum(axis=1)[None, :] - 2.0 * brand_BL @ creator_CL.T
    )
    same_BC = people.category[: people.brands, None] == people.category[None, people.brands :]
    log_odds_BC: NDArray[np.float64] = -AFFINITY_SCALE * squared_BC / (2 * SUBJECT_DIMS) + SAME_CATEGORY * same_BC
    return log_odds_BC


def draw_deals(
    rng: np.random.Generator,
    people: People,
    affinity: NDArray[np.float64],
    *,
    posts: int,
    without_deal: float = WITHOUT_DEAL,
) -> Deals:
    """Let each creator choose brands: the best few by affinity + log budget + Gumbel noise.

    Args:
        rng: random stream.
        people: the accounts.
        affinity: (B, C) log odds.
        posts: posts per account; at most half of a creator's posts advertise.
        without_deal: share of creators who have no deal.

    Returns:
        The pairs, sorted by creator. Every brand has one if there are creators with room.
    """
    brands, creators = affinity.shape
    budget_B = rng.gamma(POPULARITY_SHAPE, 1 / POPULARITY_SHAPE, brands)
    room = min(posts // 2, brands)
    wanted_C = np.minimum(rng.choice(np.arange(1, 9), creators, p=BRANDS_PER_CREATOR), room)
    wanted_C[rng.random(creators) < without_deal] = 0
    score_BC = affinity + np.log(budget_B)[:, None] + rng.gumbel(size=affinity.shape)
    depth = min(int(wanted_C.max(initial=0)), brands)
    best_DC = np.argsort(-score_BC, axis=0, kind="stable")[:depth]
    rank, creator_P = np.nonzero(np.arange(depth)[:, None] < wanted_C)
    brand_P = best_DC[rank, creator_P]
    for brand in np.setdiff1d(np.arange(brands), brand_P):  # few brands, and each changes the room left
        open_C = wanted_C < room
        if open_C.any():
            creator = int(np.argmax(np.where(open_C, score_BC[brand], -np.inf)))
            wanted_C[creator] += 1
            brand_P, creator_P = np.append(brand_P, brand), np.append(creator_P, creator)
    order = np.lexsort((brand_P, creator_P))
    return Deals(brand=brand_P[order], creator=creator_P[order])


def rarely(posts: int) -> float:
    """Share of creators without a deal at which `SPONSORED` of all posts are advertisements."""
    per_deal = (1 + MORE_ADS) * float(BRANDS_PER_CREATOR @ np.arange(1, 9))
    return 1 - min(SPONSORED * posts / per_deal, 1 - WITHOUT_DEAL)


def place_ads(rng: np.random.Generator, deals: Deals, people: People, *, posts: int) -> Ads:
    """Give each pair one advertisement or more, in random posts of the creator, at most half of them.

    Args:
        rng: random stream.
        deals: the pairs.
        people: the accounts.
        posts: posts per account.

    Returns:
        The advertisements.
    """
    pairs = len(deals.brand)
    times_P = 1 + rng.poisson(MORE_ADS, pairs)
    pair_D = np.repeat(np.arange(pairs), times_P)
    turn_D = np.arange(len(pair_D)) - np.repeat(np.cumsum(times_P) - times_P, times_P)
    order = np.lexsort((pair_D, turn_D, deals.creator[pair_D]))  # every pair's first comes before any second
    pair_D = pair_D[order]
    creator_D = deals.creator[pair_D]
    starts_D = np.searchsorted(creator_D, creator_D, side="left")
    place_D = np.arange(len(creator_D)) - starts_D
    keep = place_D < posts // 2
    creators = len(people.ids) - people.brands
    slots_CS = np.argsort(rng.random((creators, posts)), axis=1, kind="stable")
    pair_D, creator_D, place_D = pair_D[keep], creator_D[keep], place_D[keep]
    return Ads(account=creator_D + people.brands, slot=slots_CS[creator_D, place_D], brand=deals.brand[pair_D])
