"""How impressions come in day by day: y = A log t + B (Tian et al. 2022, Web Appendix G, eq. 17–21).

Counts accumulate: the first day brings B n_1 and day t brings A (log t − log(t − 1)) n_t, with n_t independent and
log-normal of mean 1. So A log t + B is what is expected, and counts never fall; one spread in raw impressions around
the curve (eq. 19) does neither. The last day's count is the post's impressions R, drawn before. What is drawn here is
the first day's share s = B / T of what is expected in the end, T = A log D + B: logit s = hashtag + covariates − appeal
+ noise. The days' chances then say which T leads to R. Hence b = log B = log T + log s and a = log A = log T +
log(1 − s) − log log D are, as in eq. 20 and 21, hashtag effects plus covariates plus what content and chance add.

Shapes: N posts, D days.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

START = 0.9
"""Mean logit of the first day's share: two weeks bring in more than 90 % of a month (Tian et al. 2022, section 2.1)."""
HASHTAG_SD = 0.4
"""Spread of hashtags around it."""
TRENDING = 0.3
"""Posts under a trending hashtag start faster."""
OLD = -0.2
"""Per unit of log(1 + age of the post in days) at its first appearance: older posts have their start behind them."""
APPEAL = -0.2
"""Appealing posts are found late: hidden gems grow faster than they start."""
POST_SD = 0.5
DAY_SD = 0.15
"""Spread of log n: of a day's gain around its expectation."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Daily impressions of N posts and the parameters behind them."""

    impressions: NDArray[np.int64]
    """(N, D) cumulative at the end of day 1 … D."""
    log_rate: NDArray[np.float64]
    """(N,) a, log of A."""
    log_start: NDArray[np.float64]
    """(N,) b, log of B."""


def start_mean(
    hashtag_effect: NDArray[np.float64],
    *,
    trending: NDArray[np.bool_],
    age_days: NDArray[np.float64],
    quality: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean logit of the first day's share of impressions.

    Args:
        hashtag_effect: (N,).
        trending: (N,) the hashtag trends.
        age_days: (N,) of the post at its first appearance.
        quality: (N,) appeal.

    Returns:
        (N,).
    """
    mean_N: NDArray[np.float64] = (
        START + hashtag_effect + TRENDING * (trending - 0.767) + OLD * (np.log1p(age_days) - 1.4) + APPEAL * quality
    )
    return mean_N


def draw_growth(
    rng: np.random.Generator, impressions: NDArray[np.int64], start: NDArray[np.float64], *, days: int
) -> Growth:
    """Draw daily counts that never fall and end at the post's impressions.

    Args:
        rng: random stream.
        impressions: (N,) on the last day.
        start: (N,) mean logit of the first day's share.
        days: D, at least 2.

    Returns:
        The counts and parameters.
    """
    posts = len(impressions)
    share_N = 1 / (1 + np.exp(-(start + POST_SD * rng.normal(size=posts))))
    chance_ND = np.exp(DAY_SD * rng.normal(size=(posts, days)) - DAY_SD**2 / 2)
    expected_D = np.diff(np.log(np.arange(1, days + 1)), prepend=0.0) / np.log(days)
    part_ND = (1 - share_N[:, None]) * expected_D * chance_ND
    part_ND[:, 0] = share_N * chance_ND[:, 0]
    risen_ND = np.cumsum(part_ND, axis=1)
    counts_ND = (impressions[:, None] * (risen_ND / risen_ND[:, -1:])).astype(np.int64)
    counts_ND[:, -1] = impressions
    log_total_N = np.log(impressions) - np.log(risen_ND[:, -1])
    return Growth(
        impressions=np.minimum(counts_ND, impressions[:, None]),
        log_rate=log_total_N + np.log1p(-share_N) - np.log(np.log(days)),
        log_start=log_total_N + np.log(share_N),
    )
