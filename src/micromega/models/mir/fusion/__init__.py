"""Fusions: the modalities of an account to one embedding.

Each takes modality -> (N, d) standardised features and gives (N, outputs).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from micromega.models.mir.fusion.bilinear import Bilinear
from micromega.models.mir.fusion.concatenation import Concatenation
from micromega.models.mir.fusion.dropout import DropoutOn
from micromega.models.mir.fusion.gated import Gated
from micromega.models.mir.fusion.linear import Linear
from micromega.models.mir.fusion.modality_dropout import modality_dropout

Fusion = Bilinear | Concatenation | Linear | Gated

__all__ = ["Bilinear", "Concatenation", "Fusion", "Gated", "Linear", "build_fusion", "modality_dropout"]


def build_fusion(
    name: Literal["bilinear", "concatenation", "linear", "gated"],
    dimensions: Mapping[str, int],
    *,
    hidden: int,
    outputs: int,
    dropout: float,
    dropout_on: DropoutOn,
    hidden_sizes: Mapping[str, int] = MappingProxyType({}),
) -> Fusion:
    """Make one of the fusions.

    Args:
        name: `model.fusion`.
        dimensions: modality -> length of its vector.
        hidden: d_h, length of the hidden layer; `linear` has none.
        outputs: d_a, length of the embedding.
        dropout: rate.
        hidden_sizes: modality -> d_h where it differs; `bilinear` alone has a layer per modality.
        dropout_on: "weights" or "activations", see `DropoutLinear`.

    Returns:
        The fusion, newly initialised.
    """
    if name == "linear":
        return Linear(dimensions, outputs, dropout=dropout, dropout_on=dropout_on)
    if name == "bilinear":
        return Bilinear(dimensions, hidden, outputs, dropout=dropout, dropout_on=dropout_on, hidden_sizes=hidden_sizes)
    kinds: dict[str, type[Concatenation] | type[Gated]] = {"concatenation": Concatenation, "gated": Gated}
    return kinds[name](dimensions, hidden, outputs, dropout=dropout, dropout_on=dropout_on)
