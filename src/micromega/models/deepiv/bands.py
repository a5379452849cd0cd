"""Bands around curves from bootstrap draws. They show sampling variability, not total error.

What a network smooths away is smoothed away in every draw alike, so that simulated coverage of the true elasticity is
well below the level. Shapes: D draws, … anything, G points that a simultaneous band covers together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bands:
    """A curve with its band, in the units of the curve.

    Attributes:
        estimate: (…) mean over draws.
        lower, upper: (…).
        level: nominal.
        simultaneous: whether the band holds the curve at all G points at once with that level, or at each one.
    """

    estimate: Reals
    lower: Reals
    upper: Reals
    level: float
    simultaneous: bool


def percentile_band(values: Reals, level: float) -> Bands:
    """Percentiles over draws, point by point; (D, …)."""
    lower, upper = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Bands(estimate=values.mean(axis=0), lower=lower, upper=upper, level=level, simultaneous=False)


def simultaneous_band(values: Reals, level: float, centre: Reals | None = None) -> Bands:
    """Estimate ± c · deviation, c the level's quantile over draws of the largest studentised distance on the grid.

    That is the sup-t band with a bootstrap (Montiel Olea and Plagborg-Møller 2019): of all bands whose width is the
    same multiple of the deviation at each point, the narrowest that holds so many whole curves.

    Args:
        values: (D, …, G); the band is simultaneous over G.
        level: nominal.
        centre: the estimate that draws scatter around, (…, G); None: their mean.
    """
    middle, spread = values.mean(axis=0) if centre is None else centre, values.std(axis=0, ddof=1)
    distance = np.abs(values - middle) / np.maximum(spread, np.finfo(values.dtype).tiny)
    reach = np.quantile(distance.max(axis=-1), level, axis=0)[..., None] * spread
    return Bands(estimate=middle, lower=middle - reach, upper=middle + reach, level=level, simultaneous=True)
