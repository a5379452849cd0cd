"""Embeddings and multilayer perceptrons, several networks ("members") at once; plain torch.

Shapes: E members, B rows, K categories, F numbers, D length of an embedding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micromega.models.effectiveness.config import NetworkConfig

_CLIP = 5.0
"""Standardised numbers beyond this say no more than this: nobody knows what follows from what was never seen."""
_SMALL = 4
"""Longest embedding of categories other than the creator."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one of the added networks sees.

    Attributes:
        sizes: values of each category that it sees; none where it sees no category.
        columns: places of its numbers.
    """

    sizes: tuple[int, ...]
    columns: tuple[int, ...]


class Standard(nn.Module):
    """Numbers with gaps to standardised ones and marks of the gaps; what never varied in training says nothing.

    Args:
        columns: F.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * columns))
        self.register_buffer("scale", torch.ones(2 * columns))

    def fit(self, numbers: Tensor) -> None:
        """Learn means and deviations from training rows, (N, F)."""
        gaps = numbers.isnan()
        held = (~gaps).sum(dim=0).clamp_min(1)
        filled = numbers.double().nan_to_num()
        mean = filled.sum(dim=0) / held
        deviation = (((filled - mean) * ~gaps).square().sum(dim=0) / held).sqrt()
        missing = gaps.double()
        spread = torch.cat([deviation, missing.std(dim=0, correction=0)])
        self.mean.copy_(torch.cat([mean, missing.mean(dim=0)]))
        self.scale.copy_(torch.where(spread > 1e-6, 1 / spread.clamp_min(1e-6), 0.0))

    def forward(self, numbers: Tensor) -> Tensor:
        """(B, F) with NaN -> (B, 2F)."""
        gaps = numbers.isnan()
        own, marks = self.mean.chunk(2)
        filled = torch.where(gaps, own, numbers)
        both = torch.cat([filled - own, gaps.to(numbers) - marks], dim=1) * self.scale
        return both.clamp(-_CLIP, _CLIP)


class PartNetwork(nn.Module):
    """One network: embeddings of its categories beside its numbers, hidden layers, one value.

    Args:
        config: sizes.
        part: what it sees.
        members: E.
    """

    columns: Tensor

    def __init__(self, config: NetworkConfig, part: Part, members: int) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.register_buffer("columns", torch.tensor(part.columns, dtype=torch.int64))
        self.standard = Standard(len(part.columns))
        lengths = [
            config.creator_size if place == 0 else min(_SMALL, 1 + size) for place, size in enumerate(part.sizes)
        ]
        self.tables = nn.ParameterList(
            [0.1 * torch.randn(members, size + 1, length) for size, length in zip(part.sizes, lengths, strict=True)]
        )
        for place, size in enumerate(part.sizes):  # values that a member has learnt from; the first is "unknown"
            self.register_buffer(f"seen_{place}", torch.ones(members, size + 1, dtype=torch.bool))
        for table in self.tables:
            table.data[:, 0] = 0
        widths = [sum(lengths) + 2 * len(part.columns), *config.hidden, 1]
        pairs = list(pairwise(widths))
        self.weights = nn.ParameterList([torch.randn(members, i, o) * math.sqrt(2 / max(i, 1)) for i, o in pairs])
        self.bias = nn.ParameterList([torch.zeros(members, 1, o) for _, o in pairs])
        self.weights[-1].data *= 0.1

    def places(self, category: int, code: Tensor) -> Tensor:
        """(E, B) rows of a category's tables: 0 ("unknown") where the member has never met the value."""
        seen = self.get_buffer(f"seen_{category}")
        return torch.where(seen[:, code], code, 0)

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        """Predict.

        Args:
            categories: (B, K) codes.
            numbers: (B, F) of all columns, NaN where missing.

        Returns:
            (E, B) standardised.
        """
        members = torch.arange(len(self.weights[0]), device=numbers.device)[:, None]
        found = [table[members, self.places(place, categories[:, place])] for place, table in enumerate(self.tables)]
        dense = self.standard(numbers[:, self.columns])
        hidden = torch.cat([*found, dense.expand(len(members), -1, -1)], dim=2)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.bias, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if layer < last:
                hidden = F.dropout(F.silu(hidden), self.dropout, self.training)
        return hidden[..., 0]


class SumNetwork(nn.Module):
    """f = constant + sum of networks on their own inputs (eq. 13); with one part, a plain network.

    Args:
        config: sizes.
        parts: what each sees.
        members: E.
    """

    outcome: Tensor
    centre: Tensor

    def __init__(self, config: NetworkConfig, parts: Sequence[Part], members: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList([PartNetwork(config, part, members) for part in parts])
        self.register_buffer("outcome", torch.tensor([0.0, 1.0]))  # mean and deviation of the log outcome
        self.register_buffer("centre", torch.zeros(len(parts), members))  # mean of each part over training rows

    @torch.no_grad()
    def fit_scale(self, numbers: Tensor, log_outcome: Tensor) -> None:
        """Learn units from training rows: (N, F) and (N,)."""
        spread = log_outcome.double().std(correction=0).clamp_min(1e-6)
        self.outcome.copy_(torch.stack([log_outcome.double().mean(), spread]))
        for part in self.parts:
            assert isinstance(part, PartNetwork)
            part.standard.fit(numbers[:, part.columns])

    def standard_outcome(self, log_outcome: Tensor) -> Tensor:
        """Log outcomes in standardised units."""
        return (log_outcome - self.outcome[0]) / self.outcome[1]

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        """Predictions of all members in standardised units, (E, B)."""
        total: Tensor = sum(part(categories, numbers) for part in self.parts)
        return total

    def split(self, categories: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Split predictions into their parts.

        Returns:
            The constants, (E,), and the parts, (P, E, B), each with mean 0 over the training rows; log outcome.
        """
        parts = torch.stack([part(categories, numbers) for part in self.parts])
        constant = self.outcome[0] + self.outcome[1] * self.centre.sum(dim=0)
        return constant, self.outcome[1] * (parts - self.centre[..., None])
