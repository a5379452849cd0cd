"""Concatenation and a two-layer network (MIR-concat of Gan et al. 2019, section 4.2)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from micromega.models.mir.fusion.bilinear import Branch
from micromega.models.mir.fusion.dropout import DropoutOn


class Concatenation(nn.Module):
    """φ([e₁, …, eₙ] W₁ + b₁) W₂: all modalities side by side through one branch of eq. 7, φ a leaky ReLU.

    The paper says no more than "a two-layer fully connected neural network". The authors' code has φ after the second
    layer too, which keeps nearly every number of an embedding above 0, and so nearly every score; without it Rec@10
    and Rec@50 were higher, on posts simulated after the paper's and on the paper's own accounts. The output is
    therefore linear, as that of a branch.

    Args:
        dimensions: modality -> length of its vector.
        hidden: d_h.
        outputs: d_a.
        dropout: rate.
        dropout_on: see `Branch`.
    """

    def __init__(
        self, dimensions: Mapping[str, int], hidden: int, outputs: int, *, dropout: float, dropout_on: DropoutOn
    ) -> None:
        super().__init__()
        self.names = tuple(dimensions)
        self.network = Branch(sum(dimensions.values()), hidden, outputs, dropout=dropout, dropout_on=dropout_on)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Embed accounts: modality -> (N, dimension) to (N, d_a)."""
        embedding: Tensor = self.network(torch.cat([features[name] for name in self.names], dim=-1))
        return embedding
