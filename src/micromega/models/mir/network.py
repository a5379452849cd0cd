"""The ranker's network: modalities to an account embedding, two embeddings to a score."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.01


class Branch(nn.Module):
    """φ(e W₁ + b₁) W₂ of one modality (Gan et al. 2019, eq. 7), φ a leaky ReLU.

    Args:
        inputs: length of the modality's vector.
        hidden: d_h.
        outputs: d_a.
        dropout: rate.
        dropout_on: "weights" drops entries of W₁ (the paper's setting), "activations" drops inputs of both layers.
    """

    def __init__(
        self, inputs: int, hidden: int, outputs: int, *, dropout: float, dropout_on: Literal["weights", "activations"]
    ) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, outputs, bias=False)
        self.dropout, self.on_weights = dropout, dropout_on == "weights"

    def forward(self, features: Tensor) -> Tensor:
        """Project (N, inputs) standardised features to (N, outputs)."""
        if self.on_weights:
            weight = F.dropout(self.first.weight, self.dropout, self.training)
            hidden = F.leaky_relu(F.linear(features, weight, self.first.bias), _SLOPE)
        else:
            hidden = F.leaky_relu(self.first(F.dropout(features, self.dropout, self.training)), _SLOPE)
            hidden = F.dropout(hidden, self.dropout, self.training)
        return F.linear(hidden, self.second.weight)


class Tower(nn.Module):
    """Account embedding by low-rank bilinear fusion: the Hadamard product of the modalities' branches (eq. 7).

    Eq. 7 writes an inner product ⟨·, ·⟩; read as one it would give a single number per account, which ranks at random.
    The method it cites (Kim et al. 2017) is the element-wise product.

    Args:
        dimensions: modality -> length of its vector.
        hidden: d_h1 = d_h2.
        outputs: d_a.
        dropout: rate.
        dropout_on: see `Branch`.
    """

    def __init__(
        self,
        dimensions: Mapping[str, int],
        hidden: int,
        outputs: int,
        *,
        dropout: float,
        dropout_on: Literal["weights", "activations"],
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                name: Branch(size, hidden, outputs, dropout=dropout, dropout_on=dropout_on)
                for name, size in dimensions.items()
            }
        )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Embed accounts: modality -> (N, dimension) to (N, d_a)."""
        return torch.stack([branch(features[name]) for name, branch in self.branches.items()]).prod(dim=0)


def scores_of_pairs(brands: Tensor, creators: Tensor) -> Tensor:
    """f(b, m) of matching rows: the scaled dot product, mean over d_a of e_b · e_m.

    Args:
        brands: (…, d_a) brand embeddings.
        creators: (…, d_a) creator embeddings.

    Returns:
        (…) scores.
    """
    return (brands * creators).mean(dim=-1)


def scores_of_all(brands_BD: Tensor, creators_MD: Tensor) -> Tensor:
    """f(b, m) of every pair as one matrix product.

    Args:
        brands_BD: (B, d_a) brand embeddings.
        creators_MD: (M, d_a) creator embeddings.

    Returns:
        (B, M) scores.
    """
    return brands_BD @ creators_MD.T / brands_BD.shape[1]
