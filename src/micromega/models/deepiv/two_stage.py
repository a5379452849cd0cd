"""Two-stage least squares with polynomials, as a rival of Deep IV. Shapes: N rows, X and Z controls and instruments."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.models.deepiv.clustered import two_stage_least_squares
from micromega.models.deepiv.inputs import check_data
from micromega.models.deepiv.points import Standard

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Polynomial:
    """All products of up to some number of columns: with those of the first column apart from the others.

    Attributes:
        powers: (K, 1 + X) exponents of the first column and of the controls; at least one is above 0.
    """

    powers: NDArray[np.int64]

    @classmethod
    def of(cls, columns: int, degree: int, first: int, two_valued: Sequence[int] = ()) -> "_Polynomial":
        """Products that hold one of the first so many columns, or with `first=0` none but later ones.

        A column with two values is in no product twice: its square says what it says itself.
        """
        chosen = itertools.chain.from_iterable(
            itertools.combinations_with_replacement(range(columns), total) for total in range(1, degree + 1)
        )
        powers = [np.bincount(of, minlength=columns) for of in chosen if not first or min(of) < first]
        powers = [power for power in powers if not (power[list(two_valued)] > 1).any()]
        return cls(powers=np.array(powers, dtype=np.int64).reshape(len(powers), columns))

    def __call__(self, values: Reals) -> Reals:
        """(N, columns) -> (N, K)."""
        out = np.ones((len(values), len(self.powers)))
        for column, exponent in zip(values.T, self.powers.T, strict=True):
            out *= column[:, None] ** exponent
        return out

    def slope(self, values: Reals) -> Reals:
        """Derivatives in the first column; (N, columns) -> (N, K)."""
        lower = self.powers.copy()
        lower[:, 0] = np.maximum(lower[:, 0] - 1, 0)
        return np.asarray(self.powers[:, 0] * _Polynomial(powers=lower)(values))


class TwoStageLeastSquares:
    """Two-stage least squares with polynomials of treatment, controls and instruments, crossed.

    Args:
        degree: highest sum of exponents in a product; 1: linear.

    Attributes:
        coefficient: of the terms with the treatment, in standardised units.
        covariance: theirs, robust, by cluster.

    Raises:
        ConfigError: the degree is below 1.
    """

    coefficient: Reals
    covariance: Reals

    def __init__(self, degree: int = 1) -> None:
        if degree < 1:
            raise ConfigError(f"degree is at least 1, not {degree}.")
        self.degree = degree
        self._scale: Standard | None = None

    def fit(self, *, x: ArrayLike, z: ArrayLike, t: ArrayLike, y: ArrayLike, cluster: ArrayLike | None = None) -> Self:
        """Fit the polynomial; arguments, result and errors as of `DeepIV.fit`."""
        data = check_data(x=x, z=z, t=t, y=y, cluster=cluster)
        scale = Standard.of(data)
        t_NT, z_NZ, x_NX, y_N = (scale.standard(name, data.values[name]) for name in ("t", "z", "x", "y"))
        X, Z = x_NX.shape[1], z_NZ.shape[1]
        flags = [place for place, column in enumerate(x_NX.T) if len(np.unique(column)) == 2]
        self._of_treatment = _Polynomial.of(1 + X, self.degree, 1, [1 + place for place in flags])
        self._of_controls = _Polynomial.of(X, self.degree, 0, flags)
        treatments = self._of_treatment(np.hstack([t_NT, x_NX]))
        instruments = _Polynomial.of(Z + X, self.degree, Z, [Z + place for place in flags])(np.hstack([z_NZ, x_NX]))
        controls = self._of_controls(x_NX)
        found = two_stage_least_squares(y_N[:, 0], treatments, instruments, controls, data.cluster)
        self.coefficient, self.covariance = found.coefficient, found.covariance
        design = np.hstack([np.ones((len(controls), 1)), controls])
        self._rest = np.linalg.lstsq(design, y_N[:, 0] - treatments @ self.coefficient, rcond=None)[0]
        self._scale = scale
        return self

    def predict(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False) -> Reals:
        """E[y | do(t), x]; arguments and result as of `DeepIV.predict`."""
        scale = self._fitted()

        def response(both: Reals) -> Reals:
            rest = self._rest[0] + self._of_controls(both[:, 1:]) @ self._rest[1:]
            return scale.original("y", self._of_treatment(both) @ self.coefficient + rest)

        return scale.at_points(response, t, x, grid=grid)

    def elasticity(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False) -> Reals:
        """Derivative of `predict` in t; arguments and result as there."""
        scale = self._fitted()
        unit = scale.deviation["y"] / scale.deviation["t"]
        return scale.at_points(
            lambda both: np.asarray(self._of_treatment.slope(both) @ self.coefficient * unit), t, x, grid=grid
        )

    def _fitted(self) -> Standard:
        if self._scale is None:
            raise RuntimeError("TwoStageLeastSquares is not fitted yet: call fit first.")
        return self._scale
