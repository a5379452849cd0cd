"""Impressions on any day from the posterior of (a, b). N posts, T days."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from micromega.errors import ConfigError, DataError

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


def forecast(
    *,
    mean: tuple[Reals, Reals],
    sd: tuple[Reals, Reals],
    correlation: Reals,
    noise_sd: Reals,
    days: ArrayLike,
    level: float,
) -> Forecast:
    """Expected impressions and intervals, for (a, b) that are jointly normal.

    A log t + B is a sum of two log-normals. Its mean and variance are exact; its quantiles are those of a log-normal
    with them (Fenton–Wilkinson), and the noise widens each side by the root of the sum of squares.

    Args:
        mean: (N,) of a and of b.
        sd: (N,) of a and of b.
        correlation: (N,) of a and b.
        noise_sd: (N,) of a count, impressions; 0 for intervals of the curve.
        days: (T,) at least 1.
        level: in (0, 1).

    Returns:
        The forecast.

    Raises:
        DataError: a day is below 1.
        ConfigError: the level is no probability.
    """
    t_T = np.atleast_1d(np.asarray(days, dtype=np.float64))
    if t_T.ndim != 1 or not (t_T >= 1).all() or not np.isfinite(t_T).all():
        raise DataError(f"days: {np.asarray(days).tolist()} has to be a list of finite numbers, at least 1.")
    if not 0 < level < 1:
        raise ConfigError(f"level={level} has to lie between 0 and 1.")
    log_t_T = np.log(t_T)
    (a, b), (a_sd, b_sd) = ([values[:, None] for values in pair] for pair in (mean, sd))
    A, B = np.exp(a + a_sd**2 / 2) * log_t_T, np.exp(b + b_sd**2 / 2)
    both = correlation[:, None] * a_sd * b_sd
    variance = A**2 * np.expm1(a_sd**2) + 2 * A * B * np.expm1(both) + B**2 * np.expm1(b_sd**2)
    expected = A + B
    spread = np.sqrt(np.log1p(np.maximum(variance, 0) / expected**2))
    z = ndtri((1 + level) / 2)
    low, high = (np.exp(np.log(expected) - spread**2 / 2 + side * z * spread) - expected for side in (-1, 1))
    wide = z * noise_sd[:, None]
    lower = expected + np.sign(low) * np.sqrt(low**2 + wide**2)
    return Forecast(
        mean=expected,
        lower=np.maximum(np.where(low <= 0, lower, expected - wide), 0),
        upper=expected + np.sqrt(high**2 + wide**2),
    )
