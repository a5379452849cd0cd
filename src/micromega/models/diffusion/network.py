"""From what is known of two accounts and the edge between them to the log odds of activation; plain torch.

Shapes: C accounts, B edges of a batch, F numbers of an account, E numbers of an edge, K categories.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micromega.models.diffusion.config import NetworkConfig
from micromega.models.effectiveness.network import Standard


@dataclass(frozen=True, kw_only=True)
class EdgeBatch:
    """B edges with what is known of their ends."""

    source: Tensor
    """(B,) account, 1 to C; 0: not known."""
    target: Tensor
    """(B,) account, 1 to C; 0: not known."""
    source_numbers: Tensor
    """(B, F) NaN where missing."""
    target_numbers: Tensor
    """(B, F)."""
    source_codes: Tensor
    """(B, K) codes of categories, 0: unknown."""
    target_codes: Tensor
    """(B, K)."""
    edge_numbers: Tensor
    """(B, E) NaN where missing."""


class DiffusionNetwork(nn.Module):
    """P_vw of edges: a perceptron on both ends, their distance in learnt directions and the edge, plus own effects.

    logit = constant + perceptron + effect of the source + effect of the target (+ product of their free embeddings).

    Args:
        config: sizes.
        accounts: C.
        node: F.
        edge: E.
        categories: values of each category, without "unknown".

    Example:
        >>> network = DiffusionNetwork(NetworkConfig(), accounts=3, node=2, edge=1, categories=(4,)).eval()
        >>> one = torch.ones(1, dtype=torch.int64)
        >>> logit = network(EdgeBatch(
        ...     source=one, target=2 * one, source_numbers=torch.zeros(1, 2), target_numbers=torch.zeros(1, 2),
        ...     source_codes=one[:, None], target_codes=one[:, None], edge_numbers=torch.full((1, 1), torch.nan)))
        >>> logit.shape
        torch.Size([1])
    """

    seen_source: Tensor
    seen_target: Tensor

    def __init__(
        self, config: NetworkConfig, *, accounts: int, node: int, edge: int, categories: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.config = config
        self.node_standard, self.edge_standard = Standard(node), Standard(edge)
        size = config.category_size
        self.tables = nn.ParameterList([0.1 * torch.randn(values + 1, size) for values in categories])
        known = 2 * node + size * len(categories)
        self.place = nn.Linear(known, config.place_size, bias=False)
        widths = [2 * known + config.place_size + 2 * edge, *config.hidden, 1]
        self.layers = nn.ModuleList([nn.Linear(*pair) for pair in pairwise(widths)])
        self.constant = nn.Parameter(torch.zeros(1))
        self.source_effect = nn.Parameter(torch.zeros(accounts + 1, 1 + config.free_size))
        self.target_effect = nn.Parameter(torch.zeros(accounts + 1, 1 + config.free_size))
        if config.free_size:
            for effect in (self.source_effect, self.target_effect):
                nn.init.normal_(effect.data[1:, 1:], std=0.1)
        self.register_buffer("seen_source", torch.ones(accounts + 1, dtype=torch.bool))
        self.register_buffer("seen_target", torch.ones(accounts + 1, dtype=torch.bool))

    @torch.no_grad()
    def fit_scale(self, node: Tensor, edge: Tensor, rate: float) -> None:
        """Learn units from what training has seen: (N, F) accounts, (N, E) edges, mean activation rate."""
        self.node_standard.fit(node)
        self.edge_standard.fit(edge)
        self.constant.fill_(math.log(rate / (1 - rate)))
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(0.1)
        last.bias.zero_()

    def penalty(self) -> Tensor:
        """Minus the logarithm of the normal prior of all effects, less its constant."""
        total: Tensor = self.source_effect.square().sum() + self.target_effect.square().sum()
        return total / (2 * self.config.effect_sd**2)

    def forward(self, edges: EdgeBatch) -> Tensor:
        """Log odds of activation, (B,)."""
        source = self._known(edges.source_numbers, edges.source_codes)
        target = self._known(edges.target_numbers, edges.target_codes)
        distance = self.place(source - target).square()
        hidden = torch.cat([source, target, distance, self.edge_standard(edges.edge_numbers)], dim=1)
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if number < last:
                hidden = F.dropout(F.silu(hidden), self.config.dropout, self.training)
        one = self.source_effect[torch.where(self.seen_source[edges.source], edges.source, 0)]
        other = self.target_effect[torch.where(self.seen_target[edges.target], edges.target, 0)]
        own = one[:, 0] + other[:, 0] + (one[:, 1:] * other[:, 1:]).sum(dim=1)
        return self.constant + hidden[:, 0] + own

    def _known(self, numbers: Tensor, codes: Tensor) -> Tensor:
        parts = [table[codes[:, place]] for place, table in enumerate(self.tables)]
        return torch.cat([self.node_standard(numbers), *parts], dim=1)
