"""Linear algebra that the instrument diagnostics share: partialling out, sums by cluster, two-stage least squares.

N rows, X controls, T treatments, Z instruments, C clusters. An intercept is always among the controls.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]

_RANK, _ROUNDING = 1e-10, 1e-8


def columns(values: ArrayLike, name: str, rows: int) -> Reals:
    """(N, K) finite numbers from (N,) or (N, K).

    Raises:
        DataError: another number of rows, or a value is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != rows:
        raise DataError(f"{name} has shape {array.shape}, {rows} rows are expected.")
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if wrong.size:
        raise DataError(f"{name} holds values that are not finite in {wrong.size} rows, the first is row {wrong[0]}.")
    return array


def codes(cluster: ArrayLike | None, rows: int) -> Ints:
    """Clusters as 0 … C − 1, (N,); each row its own where None.

    Raises:
        DataError: another number of rows, or fewer than two clusters.
    """
    if cluster is None:
        return np.arange(rows)
    found = np.unique(np.asarray(cluster), return_inverse=True)[1]
    if found.shape != (rows,):
        raise DataError(f"cluster has shape {found.shape}, {rows} rows are expected.")
    if rows and found.max() < 1:
        raise DataError("cluster: all rows are of one cluster, so nothing can be said about variability.")
    return found


def sum_by(values: Reals, cluster: Ints) -> Reals:
    """(C, K) sums of (N, K) over clusters."""
    return np.stack([np.bincount(cluster, weights=column) for column in values.T], axis=1)


def basis(values: Reals) -> Reals:
    """(N, rank) orthonormal columns that span those of (N, K); columns that add nothing are dropped."""
    scale = np.sqrt((values**2).sum(axis=0))
    scaled = values / np.where(scale > 0, scale, 1)
    size, directions = np.linalg.eigh(scaled.T @ scaled)
    kept = size > _RANK
    return np.asarray(scaled @ (directions[:, kept] / np.sqrt(size[kept])))


def partial_out(values: Reals, controls: Reals | None) -> tuple[Reals, int]:
    """What an intercept and controls do not explain.

    Args:
        values: (N, K).
        controls: (N, X) or None.

    Returns:
        Residuals, (N, K), and how many columns were partialled out, the intercept included.
    """
    left = values - values.mean(axis=0)
    if controls is None or not controls.shape[1]:
        return left, 1
    span = basis(controls - controls.mean(axis=0))
    for _ in range(2):  # the second time takes away what rounding left
        left = left - span @ (span.T @ left)
    return left, 1 + span.shape[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoStage:
    """Two-stage least squares with controls partialled out.

    Attributes:
        coefficient: of the treatments, (T,).
        covariance: robust to heteroskedasticity and to dependence within clusters, (T, T).
        residual: (N,).
        treatment: what controls leave of it, (N, T).
        fitted: its projection on what controls leave of the instruments, (N, T).
        bread: inverse of fitted' treatment, (T, T).
    """

    coefficient: Reals
    covariance: Reals
    residual: Reals
    treatment: Reals
    fitted: Reals
    bread: Reals


def two_stage_least_squares(
    y: ArrayLike, t: ArrayLike, z: ArrayLike, x: ArrayLike | None = None, cluster: ArrayLike | None = None
) -> TwoStage:
    """Estimate y = t'β + x'θ + e with instruments z.

    Args:
        y: outcome, (N,).
        t: treatment, (N,), or functions of it, (N, T).
        z: instruments, (N,) or (N, Z), at least T.
        x: controls, (N, X).
        cluster: (N,), None: every row its own.

    Returns:
        The estimate.

    Raises:
        DataError: shapes do not fit, a value is not finite, there are no more rows than parameters, or the instruments
            do not tell the treatments apart.
        ConfigError: there are fewer instruments than treatments.
    """
    rows = len(np.asarray(y))
    outcome, treatment, instrument = columns(y, "y", rows), columns(t, "t", rows), columns(z, "z", rows)
    controls = None if x is None else columns(x, "x", rows)
    owner = codes(cluster, rows)
    if instrument.shape[1] < treatment.shape[1]:
        raise ConfigError(f"{instrument.shape[1]} instruments cannot tell {treatment.shape[1]} treatments apart.")
    given = np.hstack([outcome, treatment, instrument])
    left, used = partial_out(given, controls)
    left[:, (left**2).sum(axis=0) <= _ROUNDING**2 * (given**2).sum(axis=0)] = 0  # nothing beyond the controls
    correction = small_sample(rows, int(owner.max()) + 1, used + treatment.shape[1])
    split = 1 + treatment.shape[1]
    y_left, t_left, z_left = left[:, 0], left[:, 1:split], left[:, split:]
    span = basis(z_left)
    fitted = span @ (span.T @ t_left)
    cross = fitted.T @ t_left
    if span.shape[1] < t_left.shape[1] or np.linalg.matrix_rank(cross) < len(cross):
        raise DataError(
            f"What the controls leave of {instrument.shape[1]} instruments cannot tell {treatment.shape[1]} treatments "
            f"apart in these {rows:,} rows."
        )
    bread = np.asarray(np.linalg.inv(cross), dtype=np.float64)
    coefficient = bread @ (fitted.T @ y_left)
    residual = y_left - t_left @ coefficient
    score = sum_by(fitted * residual[:, None], owner)
    meat = score.T @ score * correction
    return TwoStage(
        coefficient=coefficient,
        covariance=bread @ meat @ bread.T,
        residual=residual,
        treatment=t_left,
        fitted=fitted,
        bread=bread,
    )


def small_sample(rows: int, clusters: int, parameters: int) -> float:
    """Factor C / (C − 1) · (N − 1) / (N − K) of a clustered covariance; N / (N − K) where each row is a cluster.

    Raises:
        DataError: there are no more rows than parameters.
    """
    if rows <= parameters:
        raise DataError(
            f"{rows:,} rows are too few for {parameters:,} coefficients. Take fewer controls, or more posts."
        )
    return clusters / (clusters - 1) * (rows - 1) / (rows - parameters)
