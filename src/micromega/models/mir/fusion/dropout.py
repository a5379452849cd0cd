"""A linear layer with dropout before it."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

DropoutOn = Literal["weights", "activations"]


class DropoutLinear(nn.Linear):
    """Linear layer whose weights or inputs are dropped in training.

    Args:
        inputs: length of the input.
        outputs: length of the output.
        dropout: rate.
        dropout_on: "weights" drops entries of the matrix, the same for all rows (DropConnect, Wan et al. 2013);
            "activations" drops entries of the input, row by row.
    """

    def __init__(self, inputs: int, outputs: int, *, dropout: float, dropout_on: DropoutOn) -> None:
        super().__init__(inputs, outputs)
        self.dropout, self.on_weights = dropout, dropout_on == "weights"

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.Linear
        """Project (N, inputs) to (N, outputs)."""
        if self.on_weights:
            return F.linear(input, F.dropout(self.weight, self.dropout, self.training), self.bias)
        return F.linear(F.dropout(input, self.dropout, self.training), self.weight, self.bias)
