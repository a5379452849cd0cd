"""How many people react to a post.

Audience micro: reactions are log-normal per follower, as measured on Instagram; whoever reacts has seen the post.
Audience tiktok: a share of those who see the post react.

Shapes: A accounts, B brands, C creators, N posts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from micromega.market.simulated.deals import Ads
from micromega.market.simulated.people import AudienceName, People

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
WITH_REACH = 0.53
"""Correlation of what a post wins in reactions and in impressions by chance (audience micro)."""
LOG_SHARE, SHARE_SD, SHARE_OF_ACCOUNT = -2.9, 0.35, 0.5
"""Audience tiktok: mean log share of viewers who react to an advertisement, its spread between posts, and how much of
an account's log engagement it takes."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Mean log reactions: of a post (audience micro), or per impression (audience tiktok)."""

    organic: NDArray[np.float64]
    """(A,) of a post that does not advertise."""
    pair: NDArray[np.float64]
    """(B, C) of an advertisement of each creator for each brand."""
    per_impression: bool

    def of(self, account: NDArray[np.int64], brand: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean log reactions of posts.

        Args:
            account: (N,) author.
            brand: (N,) brand advertised, -1 if organic.

        Returns:
            (N,).
        """
        log_N = self.organic[account]
        ad_N = brand >= 0
        log_N[ad_N] = self.pair[brand[ad_N], account[ad_N] - len(self.pair)]
        return log_N

    def expected(self, log_rate: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected reactions, of a post or per impression; the latter never above 1.

        Args:
            log_rate: mean log reactions, any shape.

        Returns:
            The same shape.
        """
        if not self.per_impression:
            return np.exp(log_rate + POST_SD**2 / 2)  # E[exp(noise)] = exp(sd² / 2)
        below = np.exp(log_rate + SHARE_SD**2 / 2) * ndtr(-log_rate / SHARE_SD - SHARE_SD)
        expected: NDArray[np.float64] = below + ndtr(log_rate / SHARE_SD)  # E[min(exp(noise), 1)]
        return expected


@dataclass(frozen=True, kw_only=True)
class Engagement:
    """Counts of N posts, each (N,)."""

    likes: NDArray[np.int64]
    comments: NDArray[np.int64]
    shares: NDArray[np.int64]
    impressions: NDArray[np.int64]


def draw_rates(
    rng: np.random.Generator,
    people: People,
    affinity: NDArray[np.float64],
    ads: Ads,
    *,
    audience: AudienceName,
) -> Rates:
    """Draw what accounts, brands and fit do to reactions.

    Args:
        rng: random stream.
        people: the accounts.
        affinity: (B, C) true affinity.
        ads: advertisements; fit is measured against the pairs that work together.
        audience: reactions per follower or per impression.

    Returns:
        Mean log reactions.
    """
    log_followers_A = np.log(people.followers)
    if audience == "micro":
        size_A = SIZE * (log_followers_A - np.log(2e4))
        base_A = log_followers_A + LOG_RATE + size_A + people.log_engagement
    else:
        base_A = LOG_SHARE + SHARE_OF_ACCOUNT * people.log_engagement
    brand_B = BRAND_SD * rng.normal(size=people.brands)
    partners = affinity[ads.brand, ads.account - people.brands] if len(ads.brand) else np.zeros(1)
    fit_BC = (affinity - partners.mean()) / max(float(partners.std()), 1e-9)
    np.clip(fit_BC, -3.0, 3.0, out=fit_BC)
    fit_BC *= FIT
    fit_BC += brand_B[:, None] + base_A[None, people.brands :]
    return Rates(organic=base_A + ORGANIC, pair=fit_BC, per_impression=audience == "tiktok")


def react_per_follower(
    rng: np.random.Generator, log_rate: NDArray[np.float64], noise: NDArray[np.float64], impressions: NDArray[np.int64]
) -> Engagement:
    """Draw reactions of posts whose reactions follow from followers (audience micro).

    Args:
        rng: random stream.
        log_rate: (N,) mean log reactions.
        noise: (N,) standard normal.
        impressions: (N,) as drawn; raised where more people react than that.

    Returns:
        The counts.
    """
    reactions_N = np.exp(log_rate + POST_SD * noise)
    likes_N = rng.poisson((1 - COMMENTS) * reactions_N)
    comments_N = rng.poisson(COMMENTS * reactions_N)
    return Engagement(
        likes=likes_N,
        comments=comments_N,
        shares=rng.poisson(SHARES * reactions_N),
        impressions=np.maximum(impressions, likes_N + comments_N),
    )


def react_per_impression(
    rng: np.random.Generator, log_rate: NDArray[np.float64], noise: NDArray[np.float64], impressions: NDArray[np.int64]
) -> Engagement:
    """Draw reactions of posts whose viewers react (audience tiktok).

    Args:
        rng: random stream.
        log_rate: (N,) mean log share of viewers who react.
        noise: (N,) standard normal.
        impressions: (N,).

    Returns:
        The counts.
    """
    share_N = np.minimum(np.exp(log_rate + SHARE_SD * noise), 1.0)
    reactions_N = rng.binomial(impressions, share_N)
    comments_N = rng.binomial(reactions_N, COMMENTS)
    return Engagement(
        likes=reactions_N - comments_N,
        comments=comments_N,
        shares=rng.binomial(reactions_N, SHARES),
        impressions=impressions,
    )
