"""Many small networks of one shape as one: batched linear layers and the perceptron made of them.

Shapes: E members, B rows of a batch, I inputs, O outputs. A leading 1 in place of E stands for "the same for all".
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["silu", "relu"]


class StackedLinear(nn.Module):
    """E linear layers side by side; each starts like `torch.nn.Linear`.

    Args:
        members: E.
        inputs: I.
        outputs: O.
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = max(inputs, 1) ** -0.5
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(E or 1, B, I) -> (E, B, O)."""
        if len(x) != len(self.weight):
            x = x.expand(len(self.weight), -1, -1)
        return torch.baddbmm(self.bias, x, self.weight)


class StackedPerceptron(nn.Module):
    """E perceptrons side by side.

    Args:
        members: E.
        sizes: inputs, units of each hidden layer, outputs.
        activation: after each hidden layer.
        dropout: after each activation.
    """

    def __init__(self, members: int, sizes: Sequence[int], activation: Activation, dropout: float) -> None:
        super().__init__()
        pairs = pairwise(sizes)
        self.layers = nn.ModuleList(StackedLinear(members, inputs, outputs) for inputs, outputs in pairs)
        self.activation, self.dropout = activation, dropout

    def forward(self, x: Tensor) -> Tensor:
        """(E or 1, B, I) -> (E, B, O); no activation after the last layer."""
        for layer in self.layers[:-1]:
            x = self.activate(layer(x))
        out: Tensor = self.layers[-1](x)
        return out

    def activate(self, x: Tensor) -> Tensor:
        """Activation, and in training dropout; any shape."""
        x = F.silu(x) if self.activation == "silu" else F.relu(x)
        return F.dropout(x, self.dropout, self.training) if self.dropout else x
