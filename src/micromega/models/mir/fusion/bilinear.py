"""Low-rank bilinear fusion (Gan et al. 2019, eq. 7; Kim et al. 2017)."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micromega.models.mir.fusion.dropout import DropoutLinear, DropoutOn

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

    def __init__(self, inputs: int, hidden: int, outputs: int, *, dropout: float, dropout_on: DropoutOn) -> None:
        super().__init__()
        self.first = DropoutLinear(inputs, hidden, dropout=dropout, dropout_on=dropout_on)
        self.second = nn.Linear(hidden, outputs, bias=False)
        self.hidden_dropout = 0.0 if dropout_on == "weights" else dropout

    def forward(self, features: Tensor) -> Tensor:
        """Project (N, inputs) standardised features to (N, outputs)."""
        hidden = F.leaky_relu(self.first(features), _SLOPE)
        return F.linear(F.dropout(hidden, self.hidden_dropout, self.training), self.second.weight)


class Bilinear(nn.Module):
    """Account embedding as the Hadamard product of the modalities' branches (eq. 7).

    Eq. 7 writes an inner product ⟨·, ·⟩; read as one it would give a single number per account, which ranks at random.
    The method it cites (Kim et al. 2017) is the element-wise product.

    Args:
        dimensions: modality -> length of its vector.
        hidden: d_h of every modality.
        outputs: d_a.
        dropout: rate.
        dropout_on: see `Branch`.
        hidden_sizes: modality -> d_h where it differs (d_h1 and d_h2 of the paper).
    """

    def __init__(
        self,
        dimensions: Mapping[str, int],
        hidden: int,
        outputs: int,
        *,
        dropout: float,
        dropout_on: DropoutOn,
        hidden_sizes: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                name: Branch(size, hidden_sizes.get(name, hidden), outputs, dropout=dropout, dropout_on=dropout_on)
                for name, size in dimensions.items()
            }
        )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Embed accounts: modality -> (N, dimension) to (N, d_a)."""
        return torch.stack([branch(features[name]) for name, branch in self.branches.items()]).prod(dim=0)
