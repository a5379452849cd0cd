"""Gated fusion: how much each modality counts is decided account by account."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from micromega.models.mir.fusion.bilinear import Branch
from micromega.models.mir.fusion.dropout import DropoutLinear, DropoutOn


class Gated(nn.Module):
    """Σₙ gₙ (eₙ Wₙ + bₙ), the weights g a softmax over modalities (after Arevalo et al. 2017, who gate with sigmoids).

    The gate is a two-layer network on all modalities. It has a hidden layer because a linear one could not tell a
    hidden modality, whose standardised features are 0, from an average one. With a single modality g is 1, and the
    fusion is a linear layer.

    Args:
        dimensions: modality -> length of its vector.
        hidden: length of the gate's hidden layer.
        outputs: d_a.
        dropout: rate, in branches and gate.
        dropout_on: "weights" drops entries of the first matrices, "activations" drops inputs of all layers.
    """

    def __init__(
        self, dimensions: Mapping[str, int], hidden: int, outputs: int, *, dropout: float, dropout_on: DropoutOn
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                name: DropoutLinear(size, outputs, dropout=dropout, dropout_on=dropout_on)
                for name, size in dimensions.items()
            }
        )
        self.gate = Branch(sum(dimensions.values()), hidden, len(dimensions), dropout=dropout, dropout_on=dropout_on)

    def weights(self, features: Mapping[str, Tensor]) -> Tensor:
        """How much each modality counts: modality -> (N, dimension) to (N, modalities), rows adding up to 1."""
        return torch.softmax(self.gate(torch.cat([features[name] for name in self.branches], dim=-1)), dim=-1)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Embed accounts: modality -> (N, dimension) to (N, d_a)."""
        embeddings = torch.stack([branch(features[name]) for name, branch in self.branches.items()], dim=-1)
        return torch.einsum("nam,nm->na", embeddings, self.weights(features))
