"""Kernel instrumental variables (Singh, Sahani and Gretton 2019), as a rival of Deep IV.

Both stages are ridge regressions on Nyström features of Gaussian kernels. Where every row of stage 1 is a landmark,
that is the published estimator; with fewer it is an approximation whose cost grows with N L². Shapes: N rows, D
columns, L landmarks, F features (at most L).
"""

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.spatial.distance import cdist, pdist

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.inputs import check_data
from micromega.models.deepiv.points import Standard

Reals = NDArray[np.float64]
_RANK = 1e-10
_FOR_MEDIANS = 1_000  # rows whose distances give a kernel's widths
_PENALTIES = np.logspace(-8, 1, 37)


@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel:
    """Nyström features of a Gaussian kernel on columns in units of their median distances.

    Its width is 1 in these units, a product of one kernel for each column, or the median distance of whole rows. The
    product is 0 between most rows of 25 columns, and what it fits is flat.

    Attributes:
        width: (D,).
        landmarks: (L, D), divided by the widths.
        whiten: (L, F); kernel values times it are the features.
    """

    width: Reals
    landmarks: Reals
    whiten: Reals

    @classmethod
    def of(cls, values: Reals, landmarks: int, rng: np.random.Generator, *, whole_rows: bool) -> "Kernel":
        """Choose landmarks among rows (N, D); the kernel is as wide as whole rows are apart, or as their columns."""
        some = values[rng.permutation(len(values))[:_FOR_MEDIANS]]
        median = np.array([np.median(pdist(column[:, None])) for column in some.T])
        width = np.where(median > 0, median, 1.0)  # a rare property: its distances are mostly 0
        if whole_rows:
            width *= np.median(pdist(some / width)) or 1.0
        chosen = values[np.sort(rng.permutation(len(values))[:landmarks])] / width
        size, directions = eigh(np.exp(-0.5 * cdist(chosen, chosen, "sqeuclidean")))
        kept = size > _RANK * size[-1]
        return cls(width=width, landmarks=chosen, whiten=directions[:, kept] / np.sqrt(size[kept]))

    def __call__(self, values: Reals) -> Reals:
        """Features; (N, D) -> (N, F)."""
        return np.asarray(self._to_landmarks(values) @ self.whiten)

    def slope(self, values: Reals, coefficient: Reals) -> Reals:
        """Derivative of features' sum with coefficients (F,) in the first column; (N, D) -> (N,)."""
        away = values[:, :1] / self.width[0] - self.landmarks[:, 0]
        return np.asarray((-away * self._to_landmarks(values)) @ (self.whiten @ coefficient) / self.width[0])

    def _to_landmarks(self, values: Reals) -> Reals:
        return np.asarray(np.exp(-0.5 * cdist(values / self.width, self.landmarks, "sqeuclidean")))


def best_penalty(features: Reals, targets: Reals, new_features: Reals, new_targets: Reals) -> tuple[float, Reals]:
    """Ridge regression with the penalty, per row, that predicts other rows best.

    Args:
        features: (N, F).
        targets: (N, T).
        new_features: (M, F).
        new_targets: (M, T).

    Returns:
        The penalty and the coefficients (F, T).
    """
    size, directions = eigh(features.T @ features / len(features))
    products = directions.T @ (features.T @ targets) / len(features)
    turned = new_features @ directions
    # The squared error is a quadratic form in 1 / (size + λ), whose matrices are the same for all λ.
    cross = ((turned.T @ new_targets) * products).sum(axis=1)
    squares = (turned.T @ turned) * (products @ products.T)
    inverse = 1 / (np.maximum(size, 0) + _PENALTIES[:, None])
    error = np.einsum("lf,fg,lg->l", inverse, squares, inverse, optimize=True) - 2 * inverse @ cross
    best = int(error.argmin())
    return float(_PENALTIES[best]), np.asarray(directions @ (inverse[best][:, None] * products))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    """With kernels of one width: that of treatment and controls, coefficients (F,), error on the rows of stage 1."""

    kernel: Kernel
    coefficient: Reals
    penalties: tuple[float, float]
    error: float


def _fit(
    treated: Reals,
    instruments: Reals,
    y_N1: Reals,
    first: NDArray[np.bool_],
    landmarks: int,
    rng: np.random.Generator,
    *,
    whole_rows: bool,
) -> _Fit:
    """Both stages; rows (N, D), `first` those of stage 1."""
    kernel = Kernel.of(treated[first], landmarks, rng, whole_rows=whole_rows)
    of_instruments = Kernel.of(instruments[first], landmarks, rng, whole_rows=whole_rows)(instruments)
    of_treated = kernel(treated)
    penalty, operator = best_penalty(
        of_instruments[first], of_treated[first], of_instruments[~first], of_treated[~first]
    )
    predicted = of_instruments @ operator
    second, coefficient = best_penalty(predicted[~first], y_N1[~first], predicted[first], y_N1[first])
    error = float(np.mean((predicted[first] @ coefficient - y_N1[first]) ** 2))
    return _Fit(kernel=kernel, coefficient=coefficient[:, 0], penalties=(penalty, second), error=error)


class KernelIV:
    """Two-stage ridge regression in spaces of Gaussian kernels.

    Half of the clusters are for stage 1. Each stage's penalty is chosen on the other stage's rows; for stage 2 by the
    outcome given instruments, whereas the published code compares with the response at observed treatments, which
    rewards confounded fits. Kernels are as wide as columns are apart (median), as published, or as whole rows are:
    what gives the smaller error there. (These rows are stage 1's, so the error is not that of rows never seen.)

    Args:
        landmarks: at most so many rows span a space; N / 2 or more: the published estimator.
        seed: of halves and landmarks.

    Attributes:
        penalties: chosen for stages 1 and 2.

    Raises:
        ConfigError: there are no landmarks.
    """

    penalties: tuple[float, float]

    def __init__(self, landmarks: int = 1_000, *, seed: int = 0) -> None:
        if landmarks < 1:
            raise ConfigError(f"landmarks is at least 1, not {landmarks}.")
        self.landmarks, self.seed = landmarks, seed
        self._scale: Standard | None = None

    def fit(self, *, x: ArrayLike, z: ArrayLike, t: ArrayLike, y: ArrayLike, cluster: ArrayLike | None = None) -> Self:
        """Fit both stages; arguments, result and errors as of `DeepIV.fit`."""
        data = check_data(x=x, z=z, t=t, y=y, cluster=cluster)
        rng = np.random.default_rng(self.seed)
        _, owner = np.unique(data.cluster, return_inverse=True)
        clusters = int(owner.max()) + 1
        if clusters < 2:
            raise DataError("cluster: kernel IV needs one cluster or more for each of its two stages.")
        first = (rng.permutation(clusters) < clusters // 2)[owner]
        scale = Standard.of(data)
        t_N1, z_NZ, x_NX, y_N1 = (scale.standard(name, data.values[name]) for name in ("t", "z", "x", "y"))
        treated, instruments = np.hstack([t_N1, x_NX]), np.hstack([z_NZ, x_NX])
        found = [
            _fit(treated, instruments, y_N1, first, self.landmarks, copy.deepcopy(rng), whole_rows=whole_rows)
            for whole_rows in (False, True)
        ]
        best = min(found, key=lambda of: of.error)
        self.penalties, self._kernel, self._coefficient, self._scale = (
            best.penalties, best.kernel, best.coefficient, scale,
        )  # fmt: skip
        return self

    def predict(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False) -> Reals:
        """E[y | do(t), x]; arguments and result as of `DeepIV.predict`."""
        scale = self._fitted()

        def response(both: Reals) -> Reals:
            return scale.original("y", self._kernel(both) @ self._coefficient)

        return scale.at_points(response, t, x, grid=grid)

    def elasticity(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False) -> Reals:
        """Derivative of `predict` in t; arguments and result as there."""
        scale = self._fitted()
        unit = scale.deviation["y"] / scale.deviation["t"]
        return scale.at_points(
            lambda both: np.asarray(self._kernel.slope(both, self._coefficient) * unit), t, x, grid=grid
        )

    def _fitted(self) -> Standard:
        if self._scale is None:
            raise RuntimeError("KernelIV is not fitted yet: call fit first.")
        return self._scale
