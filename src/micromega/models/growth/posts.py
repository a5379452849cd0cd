"""What the likelihood needs of each post: six numbers that sum its days up, and its regressors.

With weights w = 1 / scale², the squared error of a post is w Σ_t (y − A log t − B)², or the like for gains (`sums`).
That is a quadratic in A and B: its least value and where it lies, by least squares, and three sums over the days that
are listed. So a post costs the same whatever the number of days.

N posts, D days, P covariates, K = P + 2 regressors; (R, C) is the layout of posts.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.errors import DataError
from micromega.models.growth.inputs import Observed
from micromega.models.growth.layout import Layout
from micromega.models.growth.sums import of_gains, of_levels

Noise = Literal["absolute", "relative", "cumulative"]
Initial = Literal["linear", "log"]

_SUMS = ("days", "log_t", "log_t2", "A", "B", "least", "log_first", "on_first")
_SMALLEST = 1e-3
"""Start of A and B as a share of a post's mean count, where least squares says less or nothing."""


@dataclass(frozen=True, kw_only=True)
class Posts:
    """Sums over days and regressors; counts are in units of `unit`.

    Attributes:
        layout: where each post is.
        days: (R, C) w × number of days listed; 0 in the padding, as all below.
        log_t, log_t2: (R, C) w Σ log t and w Σ (log t)².
        A, B: (R, C) least squares, of any sign.
        least: (R, C) w Σ of their squared errors.
        log_first, on_first: (R, C) log of the first day's count, and weight on its distance from b; mostly 0 (`sums`).
        regressors: (R, C, K) 1, standardised covariates, standardised first day's count.
        start_a, start_b: (R, C) logs of least-squares A and B.
        observations: counts listed, of all posts.
        log_weights: Σ over counts of ½ log w, part of the likelihood.
    """

    layout: Layout
    days: Tensor
    log_t: Tensor
    log_t2: Tensor
    A: Tensor
    B: Tensor
    least: Tensor
    log_first: Tensor
    on_first: Tensor
    regressors: Tensor
    start_a: Tensor
    start_b: Tensor
    observations: int
    log_weights: float

    def squared_error(self, a: Tensor, b: Tensor) -> Tensor:
        """(R, C) w Σ (y − A log t − B)², that of the first day included; a and b may have axes in front."""
        off_A, off_B = a.exp() - self.A, b.exp() - self.B
        quadratic = off_A**2 * self.log_t2 + 2 * off_A * off_B * self.log_t + off_B**2 * self.days
        return self.least + quadratic + self.on_first * (b - self.log_first) ** 2

    def spread_error(self, a: Tensor, b: Tensor, aa: Tensor, ab: Tensor, bb: Tensor) -> Tensor:
        """(R, C) what a small covariance of a and b adds to the expected squared error."""
        A, B = a.exp(), b.exp()
        quadratic = A**2 * aa * self.log_t2 + 2 * A * B * ab * self.log_t + B**2 * bb * self.days
        return quadratic + self.on_first * bb

    def rows(self, at: slice) -> "Posts":
        """With the sums of some rows alone; what else there is stays whole."""
        return replace(self, **{name: getattr(self, name)[at] for name in _SUMS})


@dataclass(frozen=True, kw_only=True)
class Units:
    """How to come back from the units inside.

    Attributes:
        unit: impressions per unit of counts inside.
        scale: (N,) each post's noise is tau × scale, in impressions.
        mean, deviation: (P + 1,) of the regressors behind the intercept, in the user's units.
        first_filled: posts whose first day is not listed, where least squares stands in for it.
    """

    unit: float
    scale: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    first_filled: int

    def coefficients(self, inside: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…, P + 2) coefficients of a, or (…, P + 1) of b, in the user's units."""
        outside: NDArray[np.float64] = inside @ self._outward(inside.shape[-1]).T
        outside[..., 0] += np.log(self.unit)
        return outside

    def standard_errors(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        """(J,) standard errors in the user's units from a (J, J) covariance inside."""
        outward = self._outward(len(covariance))
        errors: NDArray[np.float64] = np.sqrt(np.einsum("ij,jk,ik->i", outward, covariance, outward))
        return errors

    def _outward(self, size: int) -> NDArray[np.float64]:
        """(J, J) linear map of coefficients, but for the shift of the intercept by the unit of counts."""
        slope = 1 / self.deviation[: size - 1]
        outward = np.diag(np.concatenate([[1.0], slope]))
        outward[0, 1:] = -slope * self.mean[: size - 1]
        return outward


def prepare(
    observed: Observed, *, noise: Noise, initial: Initial, device: torch.device
) -> tuple[Posts, Units, NDArray[np.float64]]:
    """Sum over days, standardise, lay out.

    Args:
        observed: checked input.
        noise: "absolute": w is the same for all; "relative": scale is the post's mean count; "cumulative": gains.
        initial: how the first day's count enters.
        device: where to compute.

    Returns:
        What the estimation reads, the units, and (N, K) regressors as the estimation sees them.

    Raises:
        DataError: noise is not absolute and a post was never shown.
    """
    y_ND = observed.impressions
    count_N = (~np.isnan(y_ND)).sum(axis=1)
    mean_N = np.nansum(y_ND, axis=1) / count_N
    if not mean_N.any():
        raise DataError("impressions are all 0.")
    unit = float(np.median(mean_N[mean_N > 0]))
    if noise != "absolute" and not mean_N.all():
        first = np.flatnonzero(mean_N == 0)
        raise DataError(
            f"impressions: {len(first)} post(s) were never shown (row {first[0]} first), and noise='{noise}' is a "
            "share of a post's impressions. Drop those posts, or use noise='absolute'."
        )
    level_N = mean_N / unit
    weight_N = 1 / level_N**2 if noise == "relative" else np.ones(len(y_ND))
    if noise == "cumulative":
        sums = of_gains(y_ND / unit, observed.days)
    else:
        sums = of_levels(y_ND / unit, np.log(observed.days), weight_N)
    floor_N = _SMALLEST * np.where(level_N > 0, level_N, _SMALLEST)
    start_A_N = np.where(count_N == 1, level_N / 2, np.maximum(sums.A, floor_N))
    start_B_N = np.maximum(sums.B, floor_N)
    first_N, filled = _first_day(observed, start_B_N * unit)
    regressors_NK, mean, deviation = _standardised(observed.covariates, first_N, initial)
    layout = Layout.of(observed.hashtag, device)
    posts = Posts(
        layout=layout,
        **{name: layout.spread(getattr(sums, name)) for name in _SUMS},
        regressors=layout.spread(regressors_NK),
        start_a=layout.spread(np.log(start_A_N)),
        start_b=layout.spread(np.log(start_B_N)),
        observations=int(count_N.sum()),
        log_weights=sums.log_weights,
    )
    scale_N = unit / np.sqrt(weight_N)
    return posts, Units(unit=unit, scale=scale_N, mean=mean, deviation=deviation, first_filled=filled), regressors_NK


def _first_day(observed: Observed, start_N: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """(N,) counts on day 1, by least squares where it is not listed, and how many are not."""
    at = np.flatnonzero(observed.days == 1)
    first_N = observed.impressions[:, at[0]] if len(at) else np.full(len(start_N), np.nan)
    unknown_N = np.isnan(first_N)
    return np.where(unknown_N, start_N, first_N), int(unknown_N.sum())


def _standardised(
    covariates: NDArray[np.float64], first_N: NDArray[np.float64], initial: Initial
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(N, K) intercept and standardised regressors, with their (K − 1,) means and deviations."""
    if initial == "log":
        positive = first_N[first_N > 0]
        first_N = np.log(np.maximum(first_N, positive.min() / 2 if len(positive) else 1.0))
    raw = np.column_stack([covariates, first_N])
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    if deviation[-1] == 0:
        raise DataError("impressions are the same for all posts on day 1, so they cannot explain the rate of growth.")
    return np.column_stack([np.ones(len(raw)), (raw - mean) / deviation]), mean, deviation
