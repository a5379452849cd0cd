"""How many people see a post: a curve in followers for each kind of content, plus appeal, place and a confounder.

log R = level + g_k(log F) + hashtag + QUALITY·q + w'delta + CROSS_POSTING·u + NOISE·e

F followers at publication, k kind, q appeal, w post statistics, u cross-posting (of the creator, unobserved; it also
moves F), e noise. The follower elasticity of impressions (FEI) is g_k', known in closed form: a bump with two widths.
The figures are fitted to Tables 1 and 4 of Tian et al. (2022); docs/simulator.md has the comparison.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from micromega.market.simulated.latent import Content

FLOOR = np.array([0.055, 0.0, 0.0])
HEIGHT = np.array([0.480, 0.271, 0.712])
PEAK = np.array([9.66, 12.05, -4.16])
"""Log followers where the elasticity of each kind peaks."""
WIDTH_BELOW = np.array([3.42, 14.4, 1.05])
WIDTH_ABOVE = np.array([1.79, 7.26, 8.93])
QUALITY = 0.25
"""Log impressions per standard deviation of appeal."""
CROSS_POSTING = 0.52
"""Log impressions per standard deviation of cross-posting."""


@dataclass(frozen=True, kw_only=True)
class Audience:
    """What differs between platforms."""

    level: float
    """Mean log impressions at the anchor."""
    anchor: float
    """Log followers at which all kinds reach as many."""
    noise: float
    """Spread of log impressions that nothing explains."""
    hashtag: float
    """Spread of hashtags' effects on log impressions."""
    fewest: int
    """Impressions are never below this."""


AUDIENCES = {
    "micro": Audience(level=9.36, anchor=float(np.log(22_361.0)), noise=0.40, hashtag=0.0, fewest=1),
    "tiktok": Audience(level=13.14, anchor=float(np.log(60_102.0)), noise=0.64, hashtag=0.40, fewest=109),
}


def elasticity(kind: NDArray[np.int64], log_followers: NDArray[np.float64]) -> NDArray[np.float64]:
    """True FEI, d log impressions / d log followers.

    Args:
        kind: (N,) or a shape that broadcasts.
        log_followers: (N,) natural logarithm.

    Returns:
        (N,) unitless.
    """
    distance = log_followers - PEAK[kind]
    width = np.where(distance < 0, WIDTH_BELOW[kind], WIDTH_ABOVE[kind])
    bump: NDArray[np.float64] = FLOOR[kind] + HEIGHT[kind] * np.exp(-0.5 * (distance / width) ** 2)
    return bump


def curve(kind: NDArray[np.int64], log_followers: NDArray[np.float64], *, anchor: float) -> NDArray[np.float64]:
    """g_k: the integral of the elasticity from the anchor.

    Args:
        kind: (N,) or a shape that broadcasts.
        log_followers: (N,) natural logarithm.
        anchor: log followers where g is 0.

    Returns:
        (N,) log impressions above those at the anchor.
    """
    gain: NDArray[np.float64] = _integral(kind, log_followers) - _integral(kind, np.asarray(anchor))
    return gain


def _integral(kind: NDArray[np.int64], log_followers: NDArray[np.float64]) -> NDArray[np.float64]:
    distance = log_followers - PEAK[kind]
    width = np.where(distance < 0, WIDTH_BELOW[kind], WIDTH_ABOVE[kind])
    area: NDArray[np.float64] = FLOOR[kind] * distance + HEIGHT[kind] * width * np.sqrt(np.pi / 2) * erf(
        distance / (width * np.sqrt(2))
    )
    return area


def log_reach(
    audience: Audience,
    content: Content,
    *,
    log_followers: NDArray[np.float64],
    cross_posting: NDArray[np.float64],
    place: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean log impressions of posts, everything known but the noise.

    Args:
        audience: the platform.
        content: N posts.
        log_followers: (N,) of the author at publication.
        cross_posting: (N,) the author's confounder, mean 0 and variance 1.
        place: (N,) effects of hashtag and post statistics.

    Returns:
        (N,).
    """
    mean_N: NDArray[np.float64] = (
        audience.level
        + curve(content.kind, log_followers, anchor=audience.anchor)
        + QUALITY * content.quality
        + place
        + CROSS_POSTING * cross_posting
    )
    return mean_N


def draw_reach(audience: Audience, log_reach_N: NDArray[np.float64], noise_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """Impressions after two weeks.

    Args:
        audience: the platform.
        log_reach_N: mean log impressions.
        noise_N: standard normal.

    Returns:
        (N,) counts.
    """
    drawn = np.exp(log_reach_N + audience.noise * noise_N)
    return np.maximum(drawn, audience.fewest).astype(np.int64)
