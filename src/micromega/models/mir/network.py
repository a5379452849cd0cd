"""The ranker's network: modalities to an account embedding whose inner products are scores."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micromega.models.mir.config import MIRModelConfig
from micromega.models.mir.fusion import build_fusion
from micromega.models.mir.fusion.modality_dropout import modality_dropout

_LARGEST_SCALE = 100.0


class Encoder(nn.Module):
    """Tower of one side: standardised modalities to an embedding.

    Args:
        config: fusion, sizes, dropout, and kind of score.
        dimensions: modality -> length of its vector.
    """

    def __init__(self, config: MIRModelConfig, dimensions: Mapping[str, int]) -> None:
        super().__init__()
        self.hide, self.cosine = config.modality_dropout, config.score == "cosine"
        self.fusion = build_fusion(
            config.fusion,
            dimensions,
            hidden=config.hidden_size,
            outputs=config.embedding_size,
            dropout=config.dropout,
            dropout_on=config.dropout_on,
            hidden_sizes=config.hidden_sizes,
        )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Embed accounts: modality -> (N, dimension) to (N, d_a), such that f(b, m) is an inner product.

        The paper's f is the mean over d_a of the product, so each side is divided by the root of d_a; for the cosine,
        each side has length 1.
        """
        if self.training and self.hide:
            features = modality_dropout(features, self.hide)
        embedding: Tensor = self.fusion(features)
        return F.normalize(embedding, dim=-1) if self.cosine else embedding / math.sqrt(embedding.shape[-1])


class Temperature(nn.Module):
    """The learned factor of cosines, 1 / temperature, at most 100 (Radford et al. 2021, section 2.5).

    Args:
        start: temperature to begin with.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(start)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Lengthen unit vectors so that the inner product of two is their cosine divided by the temperature."""
        return embeddings * (self.log_scale.clamp(max=math.log(_LARGEST_SCALE)) / 2).exp()
