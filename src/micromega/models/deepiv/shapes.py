"""The shape of a counterfactual curve, from the average FEI in six tiers (Tian et al. 2022, Table 4).

The rule, on the tier averages f_1 … f_6 (those that were observed), with range = max − min:

1. linear ("relatively constant"): range < |mean|. The tiers differ by less than their own mean. That a curve below 0 is
   as linear as its mirror image is our reading: the paper has positive ones only.
2. concave ("monotonically decreasing"): the highest is the first, and no step up exceeds a tenth of the range.
3. s-shaped ("first increasing and then decreasing"): the highest is neither first nor last, and up to it no step down,
   after it no step up exceeds a tenth of the range.
4. convex: the highest is the last, and no step down exceeds a tenth of the range (the paper has no such campaign).
5. mixed: anything else, for instance two peaks.

On the paper's 30 campaigns range / mean is at most 0.67 for those it calls linear and at least 1.5 for the others.
"""

import math
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.tiers import tier_ranges

Reals = NDArray[np.float64]

SLIVER = math.log(2) / 2
"""Observed part of a tier, in log followers, below which it says nothing: half of the narrowest tier, macro."""
CONSTANT, STEP = 1.0, 0.1
"""Range as a share of |mean| below which a curve is constant; steps as a share of the range that do not count."""


class Shape(StrEnum):
    """Class of a counterfactual curve, log impressions against log followers."""

    S_SHAPED = "s-shaped"
    """The elasticity rises, then falls."""
    LINEAR = "linear"
    """It is relatively constant."""
    CONCAVE = "concave"
    """It falls."""
    CONVEX = "convex"
    """It rises."""
    MIXED = "mixed"
    """None of these."""


def tier_averages(log_followers: ArrayLike, elasticity: ArrayLike, support: tuple[float, float] | None = None) -> Reals:
    """Mean FEI of each tier: the integral over log followers by the tier's width in them.

    That is the slope of the counterfactual curve's chord over the tier. Tiers at the ends are cut where the curve or
    the support ends.

    Args:
        log_followers: rising, (G,).
        elasticity: (..., G), taken as straight between points.
        support: first and last log followers that were observed; None: the whole curve.

    Returns:
        (..., 6); NaN for a tier that the curve does not reach, or of which no more than a `SLIVER` was observed.

    Raises:
        DataError: log followers do not rise.
    """
    u, values = np.asarray(log_followers, np.float64), np.asarray(elasticity, np.float64)
    if u.ndim != 1 or len(u) < 2 or np.any(np.diff(u) <= 0) or values.shape[-1:] != u.shape:
        raise DataError(f"tiers: log_followers {u.shape} must rise and match elasticity {values.shape}.")
    first, last = (u[0], u[-1]) if support is None else (max(u[0], support[0]), min(u[-1], support[1]))
    found = []
    for low, high in tier_ranges(float(first), float(last)):
        if np.isnan(low) or (support is not None and high - low < SLIVER):
            found.append(np.full(values.shape[:-1], np.nan))
            continue
        points = np.concatenate([[low], u[(u > low) & (u < high)], [high]])
        at = _interpolate(points, u, values)
        found.append(np.trapezoid(at, points, axis=-1) / (high - low))
    return np.stack(found, axis=-1)


def _interpolate(points: Reals, u: Reals, values: Reals) -> Reals:
    cell = np.clip(np.searchsorted(u, points, side="right") - 1, 0, len(u) - 2)
    share = (points - u[cell]) / (u[cell + 1] - u[cell])
    return np.asarray(values[..., cell] * (1 - share) + values[..., cell + 1] * share)


def curve_shape(tiers: ArrayLike) -> Shape:
    """Classify one curve by the rule at the top of this file.

    Args:
        tiers: mean FEI of each tier, (6,); NaN where unknown.

    Returns:
        The class; mixed where fewer than three tiers are known.
    """
    values = np.asarray(tiers, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 3:
        return Shape.MIXED
    spread, peak = float(np.ptp(values)), int(np.argmax(values))
    if spread < CONSTANT * abs(values.mean()) or spread == 0:
        return Shape.LINEAR
    steps = np.diff(values) / spread
    if np.any(steps[:peak] < -STEP) or np.any(steps[peak:] > STEP):
        return Shape.MIXED
    if peak == 0:
        return Shape.CONCAVE
    return Shape.CONVEX if peak == len(values) - 1 else Shape.S_SHAPED
