"""What the likelihood needs of each post: six numbers that sum its days up, and its regressors.

With weights w = 1 / scale², the squared error of a post is w Σ_t (y − A log t − B)². That is a quadratic in A and B:
its least value and where it lies, by least squares, and three sums over the days that are listed. So a post costs the
same whatever the number of days.

N posts, D days, P covariates, K = P + 2 regressors; (R, C) is the layout of posts.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.errors import DataError
from micromega.models.growth.inputs import Observed
from micromega.models.growth.layout import Layout

Noise = Literal["absolute", "relative"]
Initial = Literal["linear", "log"]

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
    regressors: Tensor
    start_a: Tensor
    start_b: Tensor
    observations: int
    log_weights: float

    def squared_error(self, A: Tensor, B: Tensor) -> Tensor:
        """(R, C) w Σ (y − A log t − B)²."""
        off_A, off_B = A - self.A, B - self.B
        return self.least + self.quadratic(off_A**2, off_A * off_B, off_B**2)

    def quadratic(self, AA: Tensor, AB: Tensor, BB: Tensor) -> Tensor:
        """(R, C) w Σ (A log t + B)², from the products of A and B."""
        return AA * self.log_t2 + 2 * AB * self.log_t + BB * self.days


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
        noise: "absolute": w is the same for all; "relative": scale is the post's mean count.
        initial: how the first day's count enters.
        device: where to compute.

    Returns:
        What the estimation reads, the units, and (N, K) regressors as the estimation sees them.

    Raises:
        DataError: noise is relative and a post was never shown.
    """
    y_ND, listed_ND = observed.impressions, ~np.isnan(observed.impressions)
    log_t_D = np.log(observed.days)
    count_N = listed_ND.sum(axis=1)
    mean_N = np.nansum(y_ND, axis=1) / count_N
    if not mean_N.any():
        raise DataError("impressions are all 0.")
    unit = float(np.median(mean_N[mean_N > 0]))
    if noise == "relative" and not mean_N.all():
        first = np.flatnonzero(mean_N == 0)
        raise DataError(
            f"impressions: {len(first)} post(s) were never shown (row {first[0]} first), and noise='relative' is a "
            "share of a post's impressions. Drop those posts, or use noise='absolute'."
        )
    level_N = mean_N / unit
    weight_N = 1 / level_N**2 if noise == "relative" else np.ones(len(y_ND))
    A_N, B_N, least_N = _least_squares(np.where(listed_ND, y_ND, 0.0) / unit, listed_ND, log_t_D)
    sums = {"days": count_N, "log_t": listed_ND @ log_t_D, "log_t2": listed_ND @ log_t_D**2, "least": least_N}
    floor_N = _SMALLEST * np.where(level_N > 0, level_N, _SMALLEST)
    start_A_N = np.where(A_N == 0, level_N / 2, np.maximum(A_N, floor_N))  # 0: one day only
    start_B_N = np.maximum(B_N, floor_N)
    first_N, filled = _first_day(observed, start_B_N * unit)
    regressors_NK, mean, deviation = _standardised(observed.covariates, first_N, initial)
    layout = Layout.of(observed.hashtag, device)
    posts = Posts(
        layout=layout,
        **{name: layout.spread(values * weight_N) for name, values in sums.items()},
        A=layout.spread(A_N),
        B=layout.spread(B_N),
        regressors=layout.spread(regressors_NK),
        start_a=layout.spread(np.log(start_A_N)),
        start_b=layout.spread(np.log(start_B_N)),
        observations=int(count_N.sum()),
        log_weights=float(count_N @ np.log(weight_N)) / 2,
    )
    scale_N = unit / np.sqrt(weight_N)
    return posts, Units(unit=unit, scale=scale_N, mean=mean, deviation=deviation, first_filled=filled), regressors_NK


def _least_squares(
    z_ND: NDArray[np.float64], listed_ND: NDArray[np.bool_], log_t_D: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(N,) A, B and squared error by least squares; of a post with one day A = 0, one of its many solutions."""
    count_N = listed_ND.sum(axis=1)
    middle_N, mean_N = (listed_ND @ log_t_D) / count_N, z_ND.sum(axis=1) / count_N
    away_ND = (log_t_D - middle_N[:, None]) * listed_ND
    spread_N = (away_ND**2).sum(axis=1)
    A_N = np.divide((away_ND * z_ND).sum(axis=1), spread_N, out=np.zeros_like(mean_N), where=count_N > 1)
    B_N = mean_N - A_N * middle_N
    left_ND = (z_ND - A_N[:, None] * log_t_D - B_N[:, None]) * listed_ND
    return A_N, B_N, (left_ND**2).sum(axis=1)


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
