"""What if the instrument has a direct effect δ on the outcome? Nobody can test it, so show what follows from each δ.

If z adds δ·z to y, then y − δ·z is what the outcome would be without, and the same estimator applies to it. One that is
linear in the outcome then gives its curve for y less δ times its curve for z. N rows, D values of δ, G log followers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.clustered import columns, two_stage_least_squares
from micromega.models.deepiv.shapes import Shape, curve_shape, tier_averages

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectEffect:
    """An average FEI curve as a function of a direct effect δ of the instrument on log impressions.

    Attributes:
        deltas: change of log impressions for one standard deviation of z, rising, (D,).
        shift: what is taken off the curve for δ = 1, (G,).
        mean: elasticity averaged over the sizes that were observed, (D,).
        shapes: class of the curve over the same sizes, (D,).
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
        DataError: shapes do not fit, a value is not finite, or the instrument is constant or says nothing about the
            treatment.
        ConfigError: there are several instruments.
    """
    instrument = columns(z, "z", len(np.asarray(t)))
    if instrument.shape[1] != 1:
        raise ConfigError("sensitivity: give one instrument; of several, the one whose direct effect is feared.")
    deviation = float(instrument.std())
    if not deviation > 0:
        raise DataError("sensitivity: the instrument is constant.")
    return float(two_stage_least_squares(instrument[:, 0] / deviation, t, instrument, x).coefficient[0])


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
        support: first and last log followers over which the mean is taken and the class read.
        most: largest δ to look at; less where the mean elasticity is 0 much earlier.
        points: values of δ.

    Returns:
        The curve's mean and class by δ.
    """
    base, slope = (mean_inside(log_followers, curve, support) for curve in (elasticity, shift))
    zero = base / slope if slope else None
    reach = most if zero is None else min(most, 1.5 * abs(zero)) or most
    deltas = np.linspace(-reach, reach, points | 1)  # an odd number: 0 is among them
    curves = elasticity - deltas[:, None] * shift
    shapes = tuple(curve_shape(tiers) for tiers in tier_averages(log_followers, curves, support))
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
    if low >= high:  # one size was observed
        return float(np.interp(low, log_followers, elasticity))
    u = np.concatenate([[low], log_followers[(log_followers > low) & (log_followers < high)], [high]])
    return float(np.trapezoid(np.interp(u, log_followers, elasticity), u) / (high - low))
