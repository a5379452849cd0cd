"""`DeepIV`: both stages behind one small interface, arrays in and arrays out.

Shapes: N rows, Z and X numbers of instrument and controls, E members, G treatments of a grid.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import DataLoader

from micromega.config.validate import build
from micromega.errors import ConfigError
from micromega.models.deepiv.arrays import HELD_OUT_ROWS, answers, train
from micromega.models.deepiv.bands import Bands, percentile_band, simultaneous_band
from micromega.models.deepiv.batches import Batch, Rows, held_out_batches, spec_of
from micromega.models.deepiv.config import DeepIVModelConfig, StageConfig
from micromega.models.deepiv.elasticity import Quantity
from micromega.models.deepiv.inputs import check_data, check_points
from micromega.models.deepiv.integration import integrate
from micromega.models.deepiv.members import draw_members
from micromega.models.deepiv.module import OutcomeModule, TreatmentModule
from micromega.models.deepiv.treatment import Mixture
from micromega.models.loader import EpochBatches, ResumableLoader

Reals = NDArray[np.float32]


class DeepIV:
    """The response of an outcome to a treatment that unobserved causes move too (Tian et al. 2022, section 3.2).

    Args:
        config: the two stages and the members; None: the defaults.
        seed: of first weights, order of the rows, draws.
        settings: fields of `DeepIVModelConfig` that differ, for instance `starts=5` or `outcome={"epochs": 30}`.

    Attributes:
        treatment: stage 1 after `fit`, on the CPU.
        outcome: stage 2 after `fit`, on the CPU.

    Raises:
        ConfigError: a setting is unknown or out of range.

    Example:
        A price that demand shocks push up, and a cost that moves the price alone:

        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> z, shock = rng.normal(size=(2, 2_000))
        >>> t = z + shock
        >>> y = np.tanh(t) + shock + 0.1 * rng.normal(size=2_000)
        >>> x = np.zeros((2_000, 0))
        >>> quick = {"epochs": 15, "learning_rate": 0.01, "hidden": (32, 16)}
        >>> model = DeepIV(treatment=quick, outcome=quick).fit(x=x, z=z, t=t, y=y)
        >>> at = np.array([0.0, 1.0])
        >>> bool(np.abs(model.predict(t=at, x=x[:2]) - np.tanh(at)).max() < 0.25)
        True
        >>> model.elasticity(t=at, x=x[:2]).shape
        (2,)
    """

    def __init__(self, config: DeepIVModelConfig | None = None, *, seed: int = 0, **settings: Any) -> None:
        base = dataclasses.asdict(config or DeepIVModelConfig())
        self.config: DeepIVModelConfig = build(DeepIVModelConfig, _merged(base, settings), "", "DeepIV")
        self.seed = seed
        self._stages: tuple[TreatmentModule, OutcomeModule] | None = None

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
        """Fit both stages.

        Args:
            x: (N, X) controls; X may be 0.
            z: (N, Z) or (N,) instruments.
            t: (N,) treatment, for instance log followers.
            y: (N,) outcome, for instance log impressions.
            cluster: (N,) ids of what is held out or drawn as a whole, for instance the creator; None: each row.
            weights: (N,) of the rows; None: 1.

        Returns:
            Itself.

        Raises:
            DataError: shapes disagree, a value is not finite, or there are too few clusters.
        """
        data = check_data(x=x, z=z, t=t, y=y, cluster=cluster, weights=weights)
        members = draw_members(self.config, data.cluster, data.weights, seed=self.seed)
        values = {name: torch.from_numpy(of) for name, of in data.values.items()}
        seen, held_out = torch.from_numpy(members.weights), torch.from_numpy(members.held_out)
        spec = spec_of(values, torch.from_numpy(data.weights))
        values = {name: value.float() for name, value in values.items()}
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            treatment = TreatmentModule(self.config, spec)
            judged = held_out_batches(values, held_out, HELD_OUT_ROWS)
            self._train(treatment, self.config.treatment, Rows(values, seen), judged)
            given = integrate(
                treatment,
                values,
                self.config.outcome,
                weights=seen,
                held_out=held_out,
                mixed=torch.from_numpy(members.mixed),
                draw=torch.from_numpy(members.draw),
                batch_size=HELD_OUT_ROWS,
            )
            outcome = OutcomeModule(self.config, dataclasses.replace(spec, treatment=treatment.fingerprint))
            self._train(outcome, self.config.outcome, given.rows, given.held_out)
        self._stages = treatment, outcome
        return self

    def _train(self, module: pl.LightningModule, stage: StageConfig, rows: Rows, held_out: DataLoader[Batch]) -> None:
        order = EpochBatches(len(rows), stage.batch_size, self.seed)
        train(module, stage.epochs, ResumableLoader(rows, order), held_out, patience=stage.patience)

    @property
    def treatment(self) -> TreatmentModule:
        """Stage 1."""
        return self._fitted()[0]

    @property
    def outcome(self) -> OutcomeModule:
        """Stage 2."""
        return self._fitted()[1]

    def _fitted(self) -> tuple[TreatmentModule, OutcomeModule]:
        if self._stages is None:
            raise RuntimeError("DeepIV is not fitted yet: call fit first.")
        return self._stages

    @torch.no_grad()
    def mixture(self, *, x: ArrayLike, z: ArrayLike) -> Mixture:
        """Distribution of the treatment given controls (N, X) and instruments (N, Z), of each member (E, N, K)."""
        treatment = self.treatment
        x_NX, z_NZ = check_points(x, treatment.sizes["x"], "x"), check_points(z, treatment.sizes["z"], "z")
        scale = treatment.scale
        return treatment.mixture(z_NZ[None], x_NX[None]).rescaled(scale.mean("t"), scale.deviation("t"))

    def predict(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False, members: bool = False) -> Reals:
        """E[y | do(t), x], mean over members.

        Args:
            t: (N,) treatments; with grid (G,), all of which are set for every row.
            x: (N, X) controls.
            grid: see t.
            members: give all members instead of their mean.

        Returns:
            (N,); with grid (N, G); with members (E, …).
        """
        return answers(self.outcome, "response", t, x, grid=grid, members=members)

    def elasticity(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False, members: bool = False) -> Reals:
        """Derivative of `predict` in t: with logs on both sides the elasticity; arguments and result as there."""
        return answers(self.outcome, "elasticity", t, x, grid=grid, members=members)

    def bands(
        self,
        *,
        t: ArrayLike,
        x: ArrayLike,
        level: float = 0.95,
        quantity: Quantity = "elasticity",
        grid: bool = False,
        average: bool = False,
        simultaneous: bool = False,
    ) -> Bands:
        """Bands from the bootstrap's draws: sampling variability, not total error, which smoothing adds to.

        Args:
            t: (N,) or with grid (G,) treatments.
            x: (N, X) controls.
            level: nominal.
            quantity: the elasticity or the response.
            grid: as in `predict`.
            average: of the curve averaged over rows; needs grid.
            simultaneous: over the grid, instead of percentiles at each point.

        Returns:
            Bands of shape (N,), (N, G) or, averaged, (G,).

        Raises:
            ConfigError: the members are no bootstrap draws, or what needs a grid has none.
        """
        if self.config.bootstrap < 2:
            raise ConfigError("bands needs bootstrap draws: make DeepIV(bootstrap=50) and fit it.")
        if (average or simultaneous) and not grid:
            raise ConfigError("bands: average and simultaneous are about a grid: set grid=True and give t (G,).")
        values = answers(self.outcome, quantity, t, x, grid=grid, members=True, average=average)
        values = values.reshape(self.config.bootstrap, -1, *values.shape[1:]).mean(axis=1)
        return simultaneous_band(values, level) if simultaneous else percentile_band(values, level)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes; those of a stage may name a few of its fields."""
    nested = {
        name: {**base[name], **value}
        for name, value in changes.items()
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
    }
    return {**base, **changes, **nested}
