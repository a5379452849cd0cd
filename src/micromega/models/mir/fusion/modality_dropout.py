"""Modality dropout: an account is sometimes shown without its captions, or without its pictures."""

from collections.abc import Mapping

import torch
from torch import Tensor


def modality_dropout(features: Mapping[str, Tensor], rate: float) -> dict[str, Tensor]:
    """Zero whole modalities of some rows, never all of a row (after ModDrop, Neverova et al. 2016).

    Each modality is dropped with chance `rate`, except that the one with the largest draw of the row stays. Of n
    modalities, each is thus missing in rate − rateⁿ / n of the rows. Nothing is scaled up, since in evaluation, too, a
    missing modality is just missing.

    Args:
        features: modality -> (N, d) standardised features, so that 0, the mean, says nothing.
        rate: in [0, 1).

    Returns:
        modality -> (N, d), new tensors.
    """
    first = next(iter(features.values()))
    draws = torch.rand(len(first), len(features), device=first.device)
    dropped = (draws < rate) & (draws < draws.amax(dim=1, keepdim=True))
    return {
        name: values.masked_fill(column[:, None], 0)
        for (name, values), column in zip(features.items(), dropped.unbind(dim=1), strict=True)
    }
