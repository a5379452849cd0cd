"""What evaluation asks of a trained model."""

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.models.mir.data import MIRData


class Scorer(Protocol):
    """What scores all candidates of a brand: one model, or several as one."""

    @property
    def config(self) -> Any:
        """Settings; `dropout` among them where passes with dropout differ."""

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""

    def attach(self, data: MIRData, *, held_out: bool = False) -> None:
        """Take a market's features, of training or of the held-out part."""

    def score(self, brands: Tensor) -> Tensor:
        """(n, M) scores of brand rows (n,)."""

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off."""

    def eval(self) -> Self:
        """Switch dropout off."""


class Ranker(Scorer, Protocol):
    """A model that scores all candidates of a brand."""

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Rebuild a trained model."""


class VectorRanker(Ranker, Protocol):
    """A ranker whose scores are inner products, so that creators can be searched; its work is done in blocks."""

    def score(self, brands: Tensor, creators: NDArray[np.int64] | None = None) -> Tensor:
        """(n, m) scores of brand rows (n,) and ascending creator rows (m,); None: all creators."""

    def embeddings(self, brands: Tensor, creators: NDArray[np.int64] | None = None) -> tuple[Tensor, Tensor]:
        """(n, D) and (m, D) vectors of whole brands and of creators."""
