"""How many people see a post and react to it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.market.simulated.content import Captions
from micromega.market.simulated.people import People

LOG_RATE = -4.96
"""Mean log engagement per follower of an advertisement (Gan et al. 2019, measured on the released pair list)."""
ORGANIC = 0.3
"""Log engagement won by a post that does not advertise."""
SIZE = -0.15
"""Elasticity of the rate in followers: larger accounts have lower rates."""
BRAND_SD = 0.4
"""Spread of brands' log effect on advertisements for them."""
FIT = 0.3
"""Log engagement of an advertisement per standard deviation of affinity among pairs that work together."""
POST_SD = 0.5
COMMENTS = 0.04
"""Share of comments in likes + comments."""
SHARES = 0.02
LOG_REACH, REACH_SD = -0.8, 0.4
"""Log impressions per follower."""


@dataclass(frozen=True, kw_only=True)
class Engagement:
    """Counts of N posts, each (N,), and what was expected."""

    likes: NDArray[np.int64]
    comments: NDArray[np.int64]
    shares: NDArray[np.int64]
    impressions: NDArray[np.int64]
    expected: NDArray[np.float64]
    """(N,) expected likes + comments of each post."""
    expected_pair: NDArray[np.float64]
    """(B, C) expected likes + comments of one advertisement of each creator for each brand."""


def draw_engagement(
    rng: np.random.Generator, people: People, captions: Captions, affinity: NDArray[np.float64]
) -> Engagement:
    """Draw reactions: log-normal around account, brand and fit.

    Args:
        rng: random stream.
        people: the accounts.
        captions: which posts advertise for whom.
        affinity: (B, C) true affinity.

    Returns:
        The counts.
    """
    followers_A = people.followers.astype(np.float64)
    size_A = SIZE * (np.log(followers_A) - np.log(2e4))
    base_A = np.log(followers_A) + LOG_RATE + size_A + people.log_engagement
    brand_B = BRAND_SD * rng.normal(size=people.brands)
    ad_N = captions.brand >= 0
    pair = captions.brand[ad_N], captions.account[ad_N] - people.brands
    partners = affinity[pair] if ad_N.any() else np.zeros(1)
    fit_BC = (affinity - partners.mean()) / max(float(partners.std()), 1e-9)
    log_BC = base_A[None, people.brands :] + brand_B[:, None] + FIT * np.clip(fit_BC, -3.0, 3.0)
    log_N = base_A[captions.account] + ORGANIC
    log_N[ad_N] = log_BC[pair]
    noise_N = POST_SD * rng.normal(size=len(log_N))
    mean_one = POST_SD**2 / 2  # E[exp(noise)] = exp(sd² / 2)
    reactions_N = np.exp(log_N + noise_N)
    likes_N = rng.poisson((1 - COMMENTS) * reactions_N)
    comments_N = rng.poisson(COMMENTS * reactions_N)
    reach_N = np.exp(LOG_REACH + REACH_SD * rng.normal(size=len(log_N)) + 0.5 * noise_N)
    impressions_N = (followers_A[captions.account] * reach_N).astype(np.int64)
    return Engagement(
        likes=likes_N,
        comments=comments_N,
        shares=rng.poisson(SHARES * reactions_N),
        impressions=np.maximum(impressions_N, likes_N + comments_N),
        expected=np.exp(log_N + mean_one),
        expected_pair=np.exp(log_BC + mean_one),
    )
