"""What Deep IV has to beat: a network without the instrument, two-stage least squares, and kernel IV.

All have `fit(x=, z=, t=, y=, cluster=None)`, `predict(t=, x=, grid=False)` and `elasticity(t=, x=, grid=False)` as
`DeepIV` has them. Shapes: N rows, X and Z numbers of controls and instruments, G treatments of a grid, L landmarks.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from micromega.config.validate import build
from micromega.models.deepiv.arrays import HELD_OUT_ROWS, answers, train
from micromega.models.deepiv.batches import Rows, held_out_batches, held_out_rows, spec_of
from micromega.models.deepiv.config import DeepIVModelConfig
from micromega.models.deepiv.inputs import check_data
from micromega.models.deepiv.kernel_iv import KernelIV
from micromega.models.deepiv.members import draw_members
from micromega.models.deepiv.module import OutcomeModule
from micromega.models.deepiv.two_stage import TwoStageLeastSquares
from micromega.models.loader import EpochBatches, ResumableLoader

__all__ = ["KernelIV", "NaiveNetwork", "TwoStageLeastSquares"]
OBSERVED = "observed"
"""In place of the fingerprint of a stage 1: the response was fitted to treatments as they are."""


class NaiveNetwork:
    """Deep IV's outcome network, fitted to observed treatments: biased by whatever moves treatment and outcome.

    Args:
        config: its outcome network and members are used; folds have no meaning here.
        seed: as of `DeepIV`.
        settings: fields of `DeepIVModelConfig` that differ.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """

    def __init__(self, config: DeepIVModelConfig | None = None, *, seed: int = 0, **settings: Any) -> None:
        base = dataclasses.asdict(config or DeepIVModelConfig())
        changed = {
            name: {**base[name], **value} if isinstance(value, Mapping) and isinstance(base.get(name), dict) else value
            for name, value in settings.items()
        }
        both = {**base, **changed}
        both["outcome"] = {**both["outcome"], "estimation": "integral"}  # there is no rank without an instrument
        self.config: DeepIVModelConfig = build(DeepIVModelConfig, both, "", "NaiveNetwork")
        self.seed = seed
        self._module: OutcomeModule | None = None

    def fit(self, *, x: ArrayLike, z: ArrayLike, t: ArrayLike, y: ArrayLike, cluster: ArrayLike | None = None) -> Self:
        """Fit the network; arguments, result and errors as of `DeepIV.fit`. The instrument is not looked at."""
        data = check_data(x=x, z=z, t=t, y=y, cluster=cluster)
        members = draw_members(self.config, data.cluster, data.weights, seed=self.seed)
        values = {name: torch.from_numpy(of) for name, of in data.values.items()}
        seen, held_out = torch.from_numpy(members.weights), torch.from_numpy(members.held_out)
        spec = dataclasses.replace(spec_of(values, torch.from_numpy(data.weights)), treatment=OBSERVED)
        values = {name: value.float() for name, value in values.items()}
        # A rule with one node, the treatment itself.
        node = values["t"][:, None, None]
        rows = Rows(values, seen, nodes=node, node_weights=torch.ones_like(node))
        at = values["t"][held_out_rows(held_out).clamp_min(0)][..., None]
        judged = held_out_batches(values, held_out, HELD_OUT_ROWS, (at, torch.ones_like(at)))
        stage = self.config.outcome
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            module = OutcomeModule(self.config, spec)
            order = EpochBatches(len(rows), stage.batch_size, self.seed)
            train(module, stage.epochs, ResumableLoader(rows, order), judged)
        self._module = module
        return self

    @property
    def module(self) -> OutcomeModule:
        """The trained network, on the CPU."""
        if self._module is None:
            raise RuntimeError("NaiveNetwork is not fitted yet: call fit first.")
        return self._module

    def predict(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False, members: bool = False) -> NDArray[np.float32]:
        """E[y | t, x], which is not E[y | do(t), x]; arguments and result as of `DeepIV.predict`."""
        return answers(self.module, "response", t, x, grid=grid, members=members)

    def elasticity(
        self, *, t: ArrayLike, x: ArrayLike, grid: bool = False, members: bool = False
    ) -> NDArray[np.float32]:
        """Derivative of `predict` in t; arguments and result as there."""
        return answers(self.module, "elasticity", t, x, grid=grid, members=members)
