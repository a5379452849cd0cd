"""The DataModule: exposures summed up by edge and window, in batches of edges.

Shapes: M edges, J shared activations, R = exposed edges + J rows, B edges of a batch.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from micromega.files import sha256_of
from micromega.market.market import Market
from micromega.models.diffusion.config import DiffusionDataConfig
from micromega.models.diffusion.evidence import Evidence
from micromega.models.diffusion.features import Features, describe
from micromega.models.diffusion.graph import Graph, read_graph
from micromega.models.diffusion.windows import Exposures, read_exposures
from micromega.models.loader import EpochBatches, ResumableLoader

Ints = NDArray[np.int64]
HELD_OUT_ROWS = 8192
Batch = dict[str, Tensor]
"""The tensors of `network.EdgeBatch` for the edges of some rows, and of each: failures (B,), successes (B,), group
(B,) number of the shared activation in this batch or -1; groups (J,) ones."""


class EdgeTensors:
    """What is known of edges, as tensors, by number of the edge.

    Args:
        features: of the market.
    """

    def __init__(self, features: Features) -> None:
        self.node, self.codes = torch.from_numpy(features.node), torch.from_numpy(features.codes)
        self.edge = torch.from_numpy(features.edge)
        self.source, self.target = torch.from_numpy(features.source), torch.from_numpy(features.target)

    def take(self, edge: Tensor) -> Batch:
        """Describe edges, (B,)."""
        source, target = self.source[edge], self.target[edge]
        return {
            "source": source + 1,
            "target": target + 1,
            "source_numbers": self.node[source],
            "target_numbers": self.node[target],
            "source_codes": self.codes[source],
            "target_codes": self.codes[target],
            "edge_numbers": self.edge[edge],
        }


class Rows(Dataset[Batch]):
    """Rows in memory: an edge with its sure outcomes each, then the shared activations.

    Args:
        tensors: of the edges.
        evidence: what was seen.
    """

    def __init__(self, tensors: EdgeTensors, evidence: Evidence) -> None:
        self.tensors = tensors
        failures, successes = torch.from_numpy(evidence.failures), torch.from_numpy(evidence.successes)
        self.edge = torch.nonzero(failures + successes > 0)[:, 0]
        self.failures, self.successes = failures[self.edge].float(), successes[self.edge].float()
        self.start, self.member = torch.from_numpy(evidence.start), torch.from_numpy(evidence.member)

    def __len__(self) -> int:
        return len(self.edge) + len(self.start) - 1

    def __getitem__(self, place: tuple[int, Tensor]) -> Batch:
        rows = place[1]
        alone, shared = rows[rows < len(self.edge)], rows[rows >= len(self.edge)] - len(self.edge)
        size = self.start[shared + 1] - self.start[shared]
        group = torch.repeat_interleave(torch.arange(len(shared)), size)
        within = torch.arange(len(group)) - torch.repeat_interleave(size.cumsum(0) - size, size)
        member = self.member[self.start[shared][group] + within]
        none = torch.zeros(len(member))
        return self.tensors.take(torch.cat([self.edge[alone], member])) | {
            "failures": torch.cat([self.failures[alone], none]),
            "successes": torch.cat([self.successes[alone], none]),
            "group": torch.cat([torch.full_like(alone, -1), group]),
            "groups": torch.ones(len(shared)),
        }


class DiffusionData(pl.LightningDataModule):
    """Exposures of a market.

    Args:
        config: see `DiffusionDataConfig`.
        market: with accounts, follows and exposures.
    """

    def __init__(self, config: DiffusionDataConfig, market: Market) -> None:
        super().__init__()
        self.config, self.market = config, market
        self.batch_size = 512

    @cached_property
    def graph(self) -> Graph:
        """Accounts and edges."""
        return read_graph(self.market)

    @cached_property
    def exposures(self) -> Exposures:
        """All exposures, by window."""
        return read_exposures(self.config, self.market, self.graph)

    @cached_property
    def features(self) -> Features:
        """What was known when training ended."""
        return describe(self.config, self.market, self.graph, self.exposures)

    @cached_property
    def tensors(self) -> EdgeTensors:
        """The same as tensors."""
        return EdgeTensors(self.features)

    @cached_property
    def evidence(self) -> dict[str, Evidence]:
        """Window -> what its exposures say; "all" of them too."""
        one = {name: self.exposures.evidence(name) for name in ("train", "validate", "test")}
        return one | {"all": self.exposures.evidence("train", "validate", "test")}

    @property
    def origin(self) -> dict[str, Any]:
        """What a checkpoint must know of the data it has seen."""
        given = {name: getattr(self.config, name) for name in ("affinity", "embedding")}
        arrays = {f"features/{name}": self.market.features(name).fingerprint for name in self.config.features}
        settings = {name: getattr(self.config, name) for name in ("split", "validate", "test")}
        if self.config.split == "post":
            settings["seed"] = self.config.seed
        return (
            {"market_fingerprint": self.market.fingerprint, "shared": self.exposures.shared}
            | settings
            | arrays
            | {name: sha256_of(Path(path)) if path else None for name, path in given.items()}
        )

    def setup(self, stage: str) -> None:
        """Read the tables; a market that lacks something says so here."""
        _ = self.features

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled training rows."""
        rows = Rows(self.tensors, self.evidence["train"])
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        batches = EpochBatches(len(rows), self.batch_size, self.config.seed, rank, ranks, resample=self.config.resample)
        return ResumableLoader(rows, batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation rows."""
        rows = Rows(self.tensors, self.evidence["validate"])
        parts = torch.split(torch.arange(len(rows)), HELD_OUT_ROWS)
        return DataLoader([rows[0, part] for part in parts], batch_size=None)  # type: ignore[arg-type]
