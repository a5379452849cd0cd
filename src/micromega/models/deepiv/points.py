"""Standardised units for estimators in numpy, and whoever asks them in the units of the data.

Shapes: N rows, K columns, X number of controls, G treatments of a grid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.models.deepiv.inputs import Data, check_points

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Standard:
    """Means and deviations of t, z, x and y, (1,) or (K,); deviation 1 where a column is constant."""

    mean: dict[str, Reals]
    deviation: dict[str, Reals]

    @classmethod
    def of(cls, data: Data) -> "Standard":
        """Measure."""
        mean = {name: np.atleast_1d(value.mean(axis=0)) for name, value in data.values.items()}
        spread = {name: np.atleast_1d(value.std(axis=0)) for name, value in data.values.items()}
        return cls(mean=mean, deviation={name: np.where(of > 0, of, 1.0) for name, of in spread.items()})

    def standard(self, name: str, value: Reals) -> Reals:
        """(N,) or (N, K) -> (N, K)."""
        return np.asarray((value.reshape(len(value), -1) - self.mean[name]) / self.deviation[name])

    def original(self, name: str, value: Reals) -> Reals:
        """(N,) -> (N,)."""
        return np.asarray(value * self.deviation[name] + self.mean[name])

    def at_points(self, ask: Callable[[Reals], Reals], t: ArrayLike, x: ArrayLike, *, grid: bool) -> Reals:
        """Ask about rows (t, x), (N, 1 + X), in standardised units; with grid one treatment after the other."""
        x_NX = check_points(x, len(self.mean["x"]), "x").double().numpy()
        t_M1 = check_points(t, 1, "t", rows=None if grid else len(x_NX)).double().numpy()
        controls = self.standard("x", x_NX)
        at = self.standard("t", t_M1)
        if not grid:
            return ask(np.hstack([at, controls]))
        return np.stack([ask(np.hstack([np.full((len(controls), 1), of), controls])) for of in at[:, 0]], axis=1)
