"""What the five kinds say of edges, once they are trained. Shapes: M edges, B edges of a batch."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from micromega.config.schema import plain
from micromega.errors import CheckpointError
from micromega.models.deepiv.training import Best
from micromega.models.diffusion.bayes import deviation, posterior
from micromega.models.diffusion.config import DiffusionModelConfig
from micromega.models.diffusion.data import Batch, DiffusionData
from micromega.models.diffusion.em import estimate
from micromega.models.diffusion.evidence import Evidence, Reals
from micromega.models.diffusion.features import Columns
from micromega.models.diffusion.network import DiffusionNetwork, EdgeBatch

TITLES = {
    "empirical_bayes": "Network + counts",
    "network": "Network",
    "em_smoothed": "EM, smoothed",
    "em": "EM (Saito et al.)",
    "rate": "Mean rate",
}
"""What tables and reports call the kinds."""
_EDGES = 1 << 15
"""Edges that pass through the network at a time."""
_FIELDS = tuple(field.name for field in dataclasses.fields(EdgeBatch))


class Predictor(pl.LightningModule):
    """One of the five models; how it is trained stands in `module.DiffusionModule`.

    Args:
        config: which, and how.
        columns: what accounts' and edges' columns are.
    """

    fitted: Tensor

    def __init__(self, config: DiffusionModelConfig, columns: Columns) -> None:
        super().__init__()
        self.config, self.columns = config, columns
        self.title = TITLES[config.kind]
        self.save_hyperparameters(
            {"config": plain(dataclasses.asdict(config)), "columns": plain(dataclasses.asdict(columns))}
        )
        self.network: DiffusionNetwork | None = None
        if config.kind in ("empirical_bayes", "network"):
            self.network = DiffusionNetwork(
                config.network,
                accounts=columns.accounts,
                node=len(columns.node),
                edge=len(columns.edge),
                categories=columns.categories,
            )
            self.best = Best(self.network, 1)
        # Mean rate of training, weight of the prior; NaN until training has ended.
        self.register_buffer("fitted", torch.full((2,), torch.nan, dtype=torch.float64))
        self.idle = nn.Parameter(torch.zeros(()))  # models without a network need something to step
        self.data: DiffusionData | None = None

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Rebuild a trained module from a checkpoint's plain values and tensors.

        Args:
            checkpoint: as read by `load_checkpoint`.

        Returns:
            The module, on the CPU, in evaluation mode.

        Raises:
            CheckpointError: training was stopped before its end.
        """
        saved = checkpoint["hyper_parameters"]
        columns: dict[str, Any] = {
            name: value if name == "accounts" else tuple(value) for name, value in saved["columns"].items()
        }
        module = cls(DiffusionModelConfig(**saved["config"]), Columns(**columns))
        module.load_state_dict(checkpoint["state_dict"])
        if not torch.isfinite(module.fitted).all():
            raise CheckpointError("The checkpoint has no weight of the counts: training was stopped before. Go on.")
        return module.eval()

    @property
    def weight(self) -> float:
        """Exposures that the prior is worth; 0 without one, infinite where counts do not matter."""
        return float(self.fitted[1])

    @torch.no_grad()
    def expected(self, data: DiffusionData) -> Reals:
        """What is expected of each edge before its own exposures are counted, (M,)."""
        edges = len(data.graph.source)
        if self.network is None:
            return np.full(edges, float(self.fitted[0]))
        network = self.best.network.eval()
        parts = [
            network(self._edges(data.tensors.take(part))).sigmoid().cpu()
            for part in torch.split(torch.arange(edges), _EDGES)
        ]
        return torch.cat(parts).double().numpy()

    def probabilities(self, data: DiffusionData, seen: Evidence) -> tuple[Reals, Reals]:
        """Activation probabilities of all edges.

        Args:
            data: of the market.
            seen: exposures to be counted; the network stays as it was trained.

        Returns:
            Probabilities, (M,), and their standard deviations, (M,): of the Beta posterior; NaN where the model has no
            prior.
        """
        expected = self.expected(data)
        if self.config.kind in ("network", "rate"):
            return expected, np.full(len(expected), np.nan)
        if self.config.kind == "em":
            found = estimate(seen).probability
            return np.where(np.isnan(found), expected, found), np.full(len(expected), np.nan)
        counted = posterior(expected, self.weight, seen)
        return counted.probability, deviation(counted, self.weight)

    def _edges(self, batch: Batch) -> EdgeBatch:
        return EdgeBatch(**{name: batch[name].to(self.idle.device) for name in _FIELDS})
