"""`DFIV`: deep feature instrumental variables behind the interface of `DeepIV`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from micromega.config.validate import build
from micromega.models.deepiv.arrays import answers, train
from micromega.models.deepiv.batches import spec_of
from micromega.models.deepiv.inputs import check_data
from micromega.models.deepiv.members import draw_members
from micromega.models.dfiv.config import DFIVModelConfig
from micromega.models.dfiv.halves import served
from micromega.models.dfiv.module import DFIVModule
from micromega.models.loader import EpochBatches, ResumableLoader

Reals = NDArray[np.float32]


class DFIV:
    """The response of an outcome to a treatment by two-stage ridge regression on learned features (Xu et al. 2021).

    Args:
        config: networks, penalties, members; None: the defaults.
        seed: of first weights, halves, order of the rows.
        settings: fields of `DFIVModelConfig` that differ, for instance `epochs=50` or `treatment={"features": 4}`.

    Raises:
        ConfigError: a setting is unknown or out of range.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> z, shock = rng.normal(size=(2, 2_000))
        >>> t = z + shock
        >>> x = np.zeros((2_000, 0))
        >>> model = DFIV(epochs=20).fit(x=x, z=z, t=t, y=t + 2 * shock)
        >>> bool(abs(model.elasticity(t=[0.0], x=x[:1])[0] - 1) < 0.4)
        True
    """

    def __init__(self, config: DFIVModelConfig | None = None, *, seed: int = 0, **settings: Any) -> None:
        base = dataclasses.asdict(config or DFIVModelConfig())
        changed = {
            name: {**base[name], **value} if isinstance(value, Mapping) and isinstance(base.get(name), dict) else value
            for name, value in settings.items()
        }
        self.config: DFIVModelConfig = build(DFIVModelConfig, {**base, **changed}, "", "DFIV")
        self.seed = seed
        self._module: DFIVModule | None = None

    def fit(
        self,
        *,
        x: ArrayLike,
        z: ArrayLike,
        t: ArrayLike,
        y: ArrayLike,
        cluster: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Fit features and coefficients; arguments, result and errors as of `DeepIV.fit`."""
        c = self.config
        data = check_data(x=x, z=z, t=t, y=y, cluster=cluster, weights=weights)
        members = draw_members(c, data.cluster, data.weights, seed=self.seed)
        values = {name: torch.from_numpy(of) for name, of in data.values.items()}
        pairs, judged = served(values, members, data.cluster, seed=self.seed)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            module = DFIVModule(c, spec_of(values, torch.from_numpy(data.weights)))
            order = EpochBatches(len(pairs), c.batch_size, self.seed)
            train(module, c.epochs, ResumableLoader(pairs, order), judged)
        self._module = module
        return self

    @property
    def module(self) -> DFIVModule:
        """The trained module, on the CPU."""
        if self._module is None:
            raise RuntimeError("DFIV is not fitted yet: call fit first.")
        return self._module

    def predict(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False, members: bool = False) -> Reals:
        """E[y | do(t), x]; arguments and result as of `DeepIV.predict`."""
        return answers(self.module, "response", t, x, grid=grid, members=members)

    def elasticity(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False, members: bool = False) -> Reals:
        """Derivative of `predict` in t; arguments and result as there."""
        return answers(self.module, "elasticity", t, x, grid=grid, members=members)
