"""Six numbers that sum each post's days up: its squared error is a quadratic in A and B, however many days are listed.

Two kinds. Levels: every count is A log t + B plus noise of its own, with one weight per post. Gains: counts accumulate,
so what is independent is the first listed count and each gain after it; a day's gain has noise in proportion to what is
expected of it, τ A (log t − log(t − 1)), and the first day's count τ B. A gap of several days sums their variances:

    var y_t = τ² (B² + A² v(t)),  v(t) = Σ_{2 ≤ d ≤ t} (log d − log(d − 1))²

Gains are many, so normal noise of a plugged-in size does for them. Of the first day there is one count: it is
log-normal, log y_1 ~ N(b, τ²), since with normal noise of size τ y_1 around B the estimates of b were too low, by .3 of
their deviation.

N posts, D days. Counts z are in units in which a typical post's mean is 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

FLOOR = 0.01
"""What a post brings on its first day, and per unit of log t, counts for its weights as at least this share of its mean
count: a post whose listed counts stand still would else be known without any error."""


LAST_DAY = 100_000
"""Days beyond it are no days since the first appearance: dates, or seconds."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """The quadratic w Σ (z − A log t − B)², or its like for gains, where it is least, and the one of a first day.

    Attributes:
        days, log_t, log_t2: (N,) weights on B², 2 A B and A².
        A, B: (N,) least squares, of any sign; of a post with one count A = 0, one of many solutions.
        least: (N,) weighted squared error there.
        log_first, on_first: (N,) log of the first day's count, and weight on (b − that)²: 1, or 0 where there is no
            such term.
        log_weights: Σ over counts of ½ log w, part of the likelihood.
    """

    days: Reals
    log_t: Reals
    log_t2: Reals
    A: Reals
    B: Reals
    least: Reals
    log_first: Reals
    on_first: Reals
    log_weights: float


@dataclass(frozen=True, kw_only=True)
class Listed:
    """First and last listed day of each post, and the counts then; all (N,)."""

    first_day: Reals
    first: Reals
    last_day: Reals
    last: Reals


def listed(impressions: Reals, days: Reals) -> Listed:
    """First and last of (N, D) counts, NaN where not listed, on (D,) days in any order."""
    order = np.argsort(days)
    y_ND, t_D = impressions[:, order], days[order]
    known_ND, row_N = ~np.isnan(y_ND), np.arange(len(y_ND))
    begin_N, end_N = known_ND.argmax(axis=1), known_ND.shape[1] - 1 - known_ND[:, ::-1].argmax(axis=1)
    return Listed(first_day=t_D[begin_N], first=y_ND[row_N, begin_N], last_day=t_D[end_N], last=y_ND[row_N, end_N])


def day_variance(days: Reals) -> Reals:
    """v(t): variance of a count on day t, in units of τ² A², from the gains after the first day.

    Args:
        days: of any shape, at least 1; in between, a part of a day counts by itself.

    Returns:
        Of that shape.
    """
    whole = np.floor(days).astype(np.int64)
    steps = np.diff(np.log(np.arange(1, whole.max() + 1)), prepend=0.0) ** 2
    variance: Reals = np.cumsum(steps)[whole - 1] + np.log(days / whole) ** 2
    return variance


def of_levels(z_ND: Reals, log_t_D: Reals, weight_N: Reals) -> Sums:
    """Sums of counts with independent noise.

    Args:
        z_ND: counts, NaN where not listed.
        log_t_D: log days.
        weight_N: of each of a post's counts.

    Returns:
        The sums.
    """
    listed_ND = ~np.isnan(z_ND)
    z_ND, count_N = np.where(listed_ND, z_ND, 0.0), listed_ND.sum(axis=1)
    middle_N, mean_N = (listed_ND @ log_t_D) / count_N, z_ND.sum(axis=1) / count_N
    away_ND = (log_t_D - middle_N[:, None]) * listed_ND
    spread_N = (away_ND**2).sum(axis=1)
    A_N = np.divide((away_ND * z_ND).sum(axis=1), spread_N, out=np.zeros_like(mean_N), where=count_N > 1)
    B_N = mean_N - A_N * middle_N
    left_ND = (z_ND - A_N[:, None] * log_t_D - B_N[:, None]) * listed_ND
    return Sums(
        days=weight_N * count_N,
        log_t=weight_N * (listed_ND @ log_t_D),
        log_t2=weight_N * (listed_ND @ log_t_D**2),
        A=A_N,
        B=B_N,
        least=weight_N * (left_ND**2).sum(axis=1),
        log_first=np.zeros(len(z_ND)),
        on_first=np.zeros(len(z_ND)),
        log_weights=float(count_N @ np.log(weight_N)) / 2,
    )


def of_gains(z_ND: Reals, days: Reals) -> Sums:
    """Sums of the first listed count and the gains after it.

    The scales of the noise come from the data and are taken as known: of gains the rate between the first and the last
    listed count, of the first listed count what that rate leaves for day 1; neither below `FLOOR`. Of a post with one
    count all is taken to have come on the first day, which overstates its noise if that day is late.

    Args:
        z_ND: counts, NaN where not listed.
        days: (D,) in any order.

    Returns:
        The sums.
    """
    ends = listed(z_ND, days)
    rise_N = np.log(ends.last_day / ends.first_day)
    rate_N = np.divide(ends.last - ends.first, rise_N, out=np.zeros_like(rise_N), where=rise_N > 0)
    floor_N = FLOOR * np.nanmean(z_ND, axis=1)
    rate_N = np.where(rise_N > 0, np.maximum(rate_N, floor_N), 0.0)
    start_N = np.maximum(ends.first - rate_N * np.log(ends.first_day), floor_N)
    first_weight_N = 1 / (start_N**2 + rate_N**2 * day_variance(ends.first_day))
    on_first_N = (ends.first_day == 1).astype(np.float64)
    linear_N = (1 - on_first_N) * first_weight_N
    of, gain, step, variance = _gains(z_ND, days)
    weight = 1 / (np.maximum(rate_N, floor_N)[of] ** 2 * variance)
    posts, log_t_N = len(z_ND), np.log(ends.first_day)
    gram_N = np.bincount(of, weights=weight * step**2, minlength=posts)
    cross_N = np.bincount(of, weights=weight * step * gain, minlength=posts)
    A_N = np.divide(cross_N, gram_N, out=np.zeros(posts), where=gram_N > 0)
    squares = weight * (gain - A_N[of] * step) ** 2
    return Sums(
        days=linear_N,
        log_t=linear_N * log_t_N,
        log_t2=linear_N * log_t_N**2 + gram_N,
        A=A_N,
        B=ends.first - A_N * log_t_N,
        least=np.bincount(of, weights=squares, minlength=posts).astype(np.float64),
        log_first=np.log(start_N),
        on_first=on_first_N,
        log_weights=float(np.log(first_weight_N).sum() + np.log(weight).sum()) / 2,
    )


def _gains(z_ND: Reals, days: Reals) -> tuple[NDArray[np.int64], Reals, Reals, Reals]:
    """Of each pair of listed days without another between: the post, what it gained, the rise of log t and of v."""
    order = np.argsort(days)
    row, column = np.nonzero(~np.isnan(z_ND[:, order]))
    z, t = z_ND[row, order[column]], days[order[column]]
    later = np.flatnonzero(row[1:] == row[:-1]) + 1
    v = day_variance(t)
    return row[later], z[later] - z[later - 1], np.log(t[later] / t[later - 1]), v[later] - v[later - 1]
