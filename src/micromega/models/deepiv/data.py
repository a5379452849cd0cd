"""Deep IV's DataModule: a market in, the rows of stage 1 and then, over its mixtures, those of stage 2."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from micromega.files import sha256_of
from micromega.market.market import Market
from micromega.models.deepiv.arrays import HELD_OUT_ROWS
from micromega.models.deepiv.batches import Batch, Rows, Spec, held_out_batches, spec_of
from micromega.models.deepiv.config import DeepIVDataConfig, DeepIVModelConfig
from micromega.models.deepiv.from_market import CausalInputs, causal_inputs
from micromega.models.deepiv.integration import integrate
from micromega.models.deepiv.members import MemberConfig, Members, draw_members
from micromega.models.deepiv.module import TreatmentModule
from micromega.models.loader import EpochBatches, ResumableLoader


class DeepIVData(pl.LightningDataModule):
    """Posts as treatment, instrument, controls and outcome.

    Args:
        config: see `DeepIVDataConfig`.
        market: the market.
    """

    def __init__(self, config: DeepIVDataConfig, market: Market) -> None:
        super().__init__()
        self.config, self.market = config, market
        self._rows: Any = None
        self._held_out: DataLoader[Batch] | Sequence[DataLoader[Batch]] | None = None
        self._batch_size = 0

    @cached_property
    def inputs(self) -> CausalInputs:
        """Arrays of the posts that have everything."""
        c = self.config
        return causal_inputs(
            self.market,
            instrument=c.instrument,
            statistics=c.statistics,
            embedding=c.embedding,
            allow_other_market=c.allow_other_market,
        )

    @property
    def origin(self) -> dict[str, Any]:
        """What a checkpoint must know of the data it has seen."""
        embedding = self.config.embedding
        return {
            "market_fingerprint": self.market.fingerprint,
            "instrument": self.config.instrument,
            "controls": list(self.inputs.names),
            "embedding": sha256_of(Path(embedding)) if embedding else None,
        }

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """T (N,), z (N, Z), x (N, X), y (N,), float32 in the units of the data."""
        found = self.inputs
        arrays = {"t": found.treatment, "z": found.instrument, "x": found.controls, "y": found.outcome}
        return {name: torch.from_numpy(np.asarray(value)).float() for name, value in arrays.items()}

    @cached_property
    def spec(self) -> Spec:
        """Means and deviations, of stage 1."""
        return spec_of(self.values, torch.ones(len(self.inputs.treatment)))

    def setup(self, stage: str) -> None:
        """Read the tables; a market that lacks something says so here."""
        _ = self.values

    def members(self, config: MemberConfig) -> Members:
        """Draw which rows each member sees and holds out, by author."""
        return draw_members(config, self.inputs.author, seed=self.config.seed)

    def serve_treatment(self, config: DeepIVModelConfig) -> None:
        """Hand out the rows of stage 1 from now on."""
        members = self.members(config)
        self._rows = Rows(self.values, torch.from_numpy(members.weights))
        self._held_out = held_out_batches(self.values, torch.from_numpy(members.held_out), HELD_OUT_ROWS)
        self._batch_size = config.treatment.batch_size

    def serve_outcome(self, config: DeepIVModelConfig, treatment: TreatmentModule) -> Spec:
        """Hand out the rows of stage 2 from now on.

        Args:
            config: stages and members.
            treatment: the trained stage 1; nodes of its mixtures are computed here, once.

        Returns:
            What stage 2 must know, with the fingerprint of stage 1.
        """
        members = self.members(config)
        given = integrate(
            treatment,
            self.values,
            config.outcome,
            weights=torch.from_numpy(members.weights),
            held_out=torch.from_numpy(members.held_out),
            mixed=torch.from_numpy(members.mixed),
            draw=torch.from_numpy(members.draw),
            batch_size=HELD_OUT_ROWS,
        )
        self._rows, self._held_out = given.rows, given.held_out
        self._batch_size = config.outcome.batch_size
        return dataclasses.replace(self.spec, treatment=treatment.fingerprint)

    def serve(self, rows: Any, held_out: Sequence[DataLoader[Batch]], batch_size: int) -> None:
        """Hand out these rows from now on: a model without stages knows its own.

        Args:
            rows: in memory; indexed by (epoch, numbers).
            held_out: what validation runs through.
            batch_size: of rows.
        """
        self._rows, self._held_out, self._batch_size = rows, held_out, batch_size

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches of the stage that is served."""
        assert self._rows is not None
        trainer = self.trainer
        order = EpochBatches(
            len(self._rows),
            self._batch_size,
            self.config.seed,
            rank=trainer.global_rank if trainer else 0,
            ranks=trainer.world_size if trainer else 1,
            resample=self.config.resample,
        )
        return ResumableLoader(self._rows, order)

    def val_dataloader(self) -> DataLoader[Batch] | Sequence[DataLoader[Batch]]:
        """Held-out rows of each member."""
        assert self._held_out is not None
        return self._held_out
