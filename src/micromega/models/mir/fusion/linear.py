"""Linear fusion: all modalities side by side through one matrix."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from micromega.models.mir.fusion.dropout import DropoutLinear, DropoutOn


class Linear(nn.Module):
    """[e₁, …, eₙ] W + b, without a hidden layer.

    With tied towers, a dot product of two such embeddings is a metric learned on the features, symmetric and of low
    rank. b keeps an account whose features are all 0 (dropped, say) away from the origin, where a cosine has no
    direction and its gradient explodes.

    Args:
        dimensions: modality -> length of its vector.
        outputs: d_a.
        dropout: rate.
        dropout_on: "weights" drops entries of W, "activations" drops inputs.
    """

    def __init__(self, dimensions: Mapping[str, int], outputs: int, *, dropout: float, dropout_on: DropoutOn) -> None:
        super().__init__()
        self.names = tuple(dimensions)
        self.projection = DropoutLinear(sum(dimensions.values()), outputs, dropout=dropout, dropout_on=dropout_on)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Embed accounts: modality -> (N, dimension) to (N, d_a)."""
        embedding: Tensor = self.projection(torch.cat([features[name] for name in self.names], dim=-1))
        return embedding
