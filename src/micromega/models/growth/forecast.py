"""Impressions on any day from the posterior of (a, b). N posts, T days."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from micromega.errors import ConfigError, DataError
from micromega.models.growth.sums import LAST_DAY, day_variance

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Impressions by post and day.

    Attributes:
        mean: (N, T) expected impressions.
        lower, upper: (N, T) ends of the interval; lower is at least 0.
    """

    mean: Reals
    lower: Reals
    upper: Reals


@dataclass(frozen=True, kw_only=True, eq=False)
class Last:
    """Last listed day of each post and its count then, both (N,)."""

    day: Reals
    count: Reals

    def of(self, rows: NDArray[np.generic]) -> "Last":
        """Those of some posts."""
        return Last(day=self.day[rows], count=self.count[rows])


def predict(
    *,
    mean: tuple[Reals, Reals],
    sd: tuple[Reals, Reals],
    correlation: Reals,
    noise_sd: Reals,
    last: Last | None,
    tau: float,
    days: ArrayLike,
    level: float,
) -> Forecast:
    """Predict the curve, counts around it, or counts that go on from the last one.

    Counts that accumulate stay where they are: on a later day t a post has its last count y_L plus gains that nothing
    is known of, y_L + A (log t − log L) + noise of variance τ² E[A²] (v(t) − v(L)), v as in `sums`. They never fall.

    Args:
        mean: (N,) of a and of b.
        sd: (N,) of a and of b.
        correlation: (N,) of a and b.
        noise_sd: (N,) of a count around the curve, impressions; 0 for the curve. Not used with `last`.
        last: where counts go on from; None for those around the curve.
        tau: share of a day's expected gain, for `last`.
        days: (T,) at least 1.
        level: in (0, 1).

    Returns:
        The forecast.

    Raises:
        DataError: a day is below 1, or not after a post's last one.
        ConfigError: the level is no probability.
    """
    t_T = _days(days)
    if not 0 < level < 1:
        raise ConfigError(f"level={level} has to lie between 0 and 1.")
    (a, b), (a_sd, b_sd) = mean, sd
    if last is None:
        both = correlation * a_sd * b_sd
        return forecast((a, a_sd), (np.exp(b + b_sd**2 / 2), b_sd), both, noise_sd[:, None], np.log(t_T)[None], level)
    early_N = last.day >= t_T.min()
    if early_N.any():
        first = int(early_N.argmax())
        raise DataError(
            f"days: {t_T.min():g} is not after day {last.day[first]:g}, which is listed for {int(early_N.sum())} "
            f"post(s) or is before it (row {first} of those asked for). Counts that accumulate are predicted on from "
            "the last one: ask for later days, or for the curve, with noise=False."
        )
    fresh_NT = day_variance(t_T) - day_variance(last.day)[:, None]
    none_N = np.zeros(len(a))
    noise_NT = tau * np.exp(a + a_sd**2)[:, None] * np.sqrt(fresh_NT)
    gain = forecast((a, a_sd), (none_N, none_N), none_N, noise_NT, np.log(t_T / last.day[:, None]), level)
    count_N1 = last.count[:, None]
    return Forecast(mean=count_N1 + gain.mean, lower=count_N1 + gain.lower, upper=count_N1 + gain.upper)


def _days(days: ArrayLike) -> Reals:
    try:
        t_T = np.atleast_1d(np.asarray(days, dtype=np.float64))
    except (TypeError, ValueError):
        t_T = np.empty(0)
    if t_T.ndim != 1 or not t_T.size or not ((t_T >= 1) & (t_T <= LAST_DAY)).all():
        raise DataError(
            f"days: {np.asarray(days).tolist()} has to be a list of finite numbers, at least 1 (the first appearance) "
            f"and at most {LAST_DAY:,}."
        )
    return t_T


def forecast(
    rate: tuple[Reals, Reals],
    start: tuple[Reals, Reals],
    covariance: Reals,
    noise_sd: Reals,
    log_t: Reals,
    level: float,
) -> Forecast:
    """Expected impressions and intervals of A log t + B, for log A and log B that are jointly normal.

    That is a sum of two log-normals. Its mean and variance are exact; its quantiles are those of a log-normal with them
    (Fenton–Wilkinson), and the noise widens each side by the root of the sum of squares.

    Args:
        rate: (N,) mean and standard deviation of log A.
        start: (N,) mean of B itself, and standard deviation of its log.
        covariance: (N,) of both logs.
        noise_sd: of a count, impressions, (N, T) or what broadcasts to it; 0 for intervals of the curve.
        log_t: (N, T) or what broadcasts to it.
        level: in (0, 1).

    Returns:
        The forecast.
    """
    a, a_sd, B, b_sd, both = (values[:, None] for values in (*rate, *start, covariance))
    A = np.exp(a + a_sd**2 / 2) * log_t
    variance = A**2 * np.expm1(a_sd**2) + 2 * A * B * np.expm1(both) + B**2 * np.expm1(b_sd**2)
    expected = A + B
    spread = np.sqrt(np.log1p(np.maximum(variance, 0) / expected**2))
    z = ndtri((1 + level) / 2)
    low, high = (np.exp(np.log(expected) - spread**2 / 2 + side * z * spread) - expected for side in (-1, 1))
    wide = z * noise_sd
    lower = expected + np.sign(low) * np.sqrt(low**2 + wide**2)
    return Forecast(
        mean=expected,
        lower=np.maximum(np.where(low <= 0, lower, expected - wide), 0),
        upper=expected + np.sqrt(high**2 + wide**2),
    )
