"""What if the instrument has a direct effect δ on the outcome? Nobody can test it, so show what follows from each δ.

If z adds δ·z to y, then y − δ·z is what the outcome would be without, and the same estimator applies to it. N rows,
D values of δ, G log followers; an estimate is an array of any shape S, such as an FEI curve or the optimal number of
followers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.models.deepiv.clustered import columns, two_stage_least_squares
from micromega.models.deepiv.shapes import Shape, curve_shape, tier_averages

Reals = NDArray[np.float64]

Estimate = Callable[[Reals], ArrayLike]
"""From an outcome (N,) to an estimate (S); everything else about the data and the model is in it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sensitivity:
    """An estimate as a function of the direct effect.

    Attributes:
        deltas: change of the outcome for one standard deviation of z, in the outcome's units, (D,).
        estimate: (D, S).
        per_unit: deltas divided by the deviation of z: change of the outcome for one unit of z, (D,).
    """

    deltas: Reals
    estimate: Reals
    per_unit: Reals

    def tipping_point(self, threshold: float = 0.0) -> float | None:
        """Smallest direct effect, in absolute value, at which a single number reaches a threshold.

        Args:
            threshold: for instance 0 for an elasticity.

        Returns:
            δ, by straight lines between those computed; None where no δ reaches it.

        Raises:
            ConfigError: the estimate is not one number for each δ.
        """
        if self.estimate.ndim != 1:
            raise ConfigError("tipping_point: reduce the estimate to one number first, for instance a curve's mean.")
        order = np.argsort(self.deltas)
        delta, above = self.deltas[order], self.estimate[order] - threshold
        crossed = np.flatnonzero(above[:-1] * above[1:] <= 0)
        if not crossed.size:
            return None
        first, second = above[crossed], above[crossed + 1]
        share = np.divide(first, first - second, out=np.zeros_like(first), where=first != second)
        points = delta[crossed] + share * (delta[crossed + 1] - delta[crossed])
        return float(points[np.argmin(np.abs(points))])


def sensitivity(estimate: Estimate, y: ArrayLike, z: ArrayLike, deltas: ArrayLike) -> Sensitivity:
    """Estimate again for each direct effect.

    Args:
        estimate: the whole estimation as a function of the outcome.
        y: outcome, (N,).
        z: instrument, (N,).
        deltas: direct effects to allow, change of y for one standard deviation of z, (D,).

    Returns:
        The estimates.

    Raises:
        DataError: shapes do not fit, or a value is not finite.
        ConfigError: the instrument is constant.
    """
    outcome, instrument, delta, per_unit = _arguments(y, z, deltas)
    found = [np.asarray(estimate(outcome - slope * instrument), dtype=np.float64) for slope in per_unit]
    return Sensitivity(deltas=delta, estimate=np.stack(found), per_unit=per_unit)


def linear_sensitivity(estimate: Estimate, y: ArrayLike, z: ArrayLike, deltas: ArrayLike) -> Sensitivity:
    """Do the same for an estimator that is linear in the outcome (2SLS, ridge, kernel IV) with two fits in all.

    Args:
        estimate: estimate(a + b) = estimate(a) + estimate(b).
        y: outcome, (N,).
        z: instrument, (N,).
        deltas: see `sensitivity`.

    Returns:
        The estimates: of y less δ times that of z.

    Raises:
        DataError: shapes do not fit, or a value is not finite.
        ConfigError: the instrument is constant.
    """
    outcome, instrument, delta, per_unit = _arguments(y, z, deltas)
    base, slope = (np.asarray(estimate(values), dtype=np.float64) for values in (outcome, instrument))
    shifts = per_unit.reshape(-1, *([1] * base.ndim)) * slope
    return Sensitivity(deltas=delta, estimate=base - shifts, per_unit=per_unit)


def _arguments(y: ArrayLike, z: ArrayLike, deltas: ArrayLike) -> tuple[Reals, Reals, Reals, Reals]:
    rows = len(np.asarray(y))
    outcome, instrument = columns(y, "y", rows), columns(z, "z", rows)
    if instrument.shape[1] != 1:
        raise ConfigError("sensitivity: give one instrument; of several, the one whose direct effect is feared.")
    deviation = float(instrument.std())
    if not deviation > 0:
        raise ConfigError("sensitivity: the instrument is constant.")
    delta = np.atleast_1d(np.asarray(deltas, dtype=np.float64))
    return outcome[:, 0], instrument[:, 0], delta, delta / deviation


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectEffect:
    """An average FEI curve as a function of a direct effect δ of the instrument on log impressions.

    Attributes:
        deltas: change of log impressions for one standard deviation of z, rising, (D,).
        shift: what is taken off the curve for δ = 1, (G,).
        mean: elasticity averaged over the sizes that were observed, (D,).
        shapes: class of the curve, (D,).
        zero: δ at which the mean elasticity is 0; None where no δ of any size does that.
        changes: largest δ below 0 and smallest above at which the curve has another class; None where none was seen.
    """

    deltas: Reals
    shift: Reals
    mean: Reals
    shapes: tuple[Shape, ...]
    zero: float | None
    changes: tuple[float | None, float | None]


def linear_shift(t: ArrayLike, z: ArrayLike, x: ArrayLike | None) -> float:
    """What a direct effect takes off the slope of two-stage least squares, the same at all treatments.

    Args:
        t: treatment, (N,).
        z: instrument, (N,) or (N, 1).
        x: controls, (N, X).

    Returns:
        Change of the slope for a direct effect of 1 per standard deviation of z.

    Raises:
        DataError: shapes do not fit, or a value is not finite.
        ConfigError: there are several instruments, or the one is constant or says nothing about the treatment.
    """
    _, instrument, _, per_unit = _arguments(t, z, 1.0)
    return float(two_stage_least_squares(instrument * per_unit[0], t, z, x).coefficient[0])


def direct_effect(
    log_followers: Reals,
    elasticity: Reals,
    shift: Reals,
    support: tuple[float, float],
    *,
    most: float,
    points: int = 601,
) -> DirectEffect:
    """Follow an average curve through direct effects of both signs.

    Args:
        log_followers: rising, (G,).
        elasticity: average FEI, (G,).
        shift: what is taken off the curve for δ = 1 per standard deviation of the instrument, (G,).
        support: first and last log followers over which the mean is taken.
        most: largest δ to look at; less where the mean elasticity is 0 much earlier.
        points: values of δ.

    Returns:
        The curve's mean and class by δ.
    """
    base, slope = (mean_inside(log_followers, curve, support) for curve in (elasticity, shift))
    zero = base / slope if slope else None
    reach = most if zero is None else min(most, 1.5 * abs(zero)) or most
    deltas = np.linspace(-reach, reach, points | 1)  # an odd number: 0 is among them
    shapes = tuple(curve_shape(tiers) for tiers in tier_averages(log_followers, elasticity - deltas[:, None] * shift))
    other = np.array([shape != shapes[len(deltas) // 2] for shape in shapes])
    below, above = deltas[other & (deltas < 0)], deltas[other & (deltas > 0)]
    return DirectEffect(
        deltas=deltas,
        shift=shift,
        mean=base - deltas * slope,
        shapes=shapes,
        zero=zero,
        changes=(float(below[-1]) if below.size else None, float(above[0]) if above.size else None),
    )


def mean_inside(log_followers: Reals, elasticity: Reals, support: tuple[float, float]) -> float:
    """Average a curve, straight between points, over the part of log followers that was observed."""
    low, high = max(support[0], log_followers[0]), min(support[1], log_followers[-1])
    u = np.concatenate([[low], log_followers[(log_followers > low) & (log_followers < high)], [high]])
    return float(np.trapezoid(np.interp(u, log_followers, elasticity), u) / (high - low))
