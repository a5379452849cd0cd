"""What modalities agree on: directions found without labels."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn

_COMPONENTS = 64
"""Principal components of each modality that are compared."""
_SMALLEST = 1e-9


class SharedDirections(nn.Module):
    """Directions that modalities share, found by generalised canonical correlations.

    What captions and pictures of an account have in common is its subject; habits that show in one of them alone
    (a camera, a way of writing) are noise for matching. The directions are measured once, without labels (MAXVAR:
    Kettenring 1971, section 6), and stay fixed, so that few weights are left to learn from few partners.

    Args:
        dimensions: modality -> length of its vector.
        count: k, how many directions.
    """

    directions: Tensor
    centre: Tensor

    def __init__(self, dimensions: Mapping[str, int], count: int) -> None:
        super().__init__()
        self.names = tuple(dimensions)
        self.register_buffer("directions", torch.zeros(sum(dimensions.values()), count))
        self.register_buffer("centre", torch.zeros(sum(dimensions.values())))

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Describe accounts: modality -> (N, dimension) to (N, k), of mean 0 and variance 1 where measured."""
        return (torch.cat([features[name] for name in self.names], dim=-1) - self.centre) @ self.directions

    @torch.no_grad()
    def fit(self, features: Mapping[str, Tensor]) -> None:
        """Measure the directions.

        Args:
            features: modality -> (n, dimension) of accounts whose labels do not matter.
        """
        self.centre.copy_(torch.cat([features[name].mean(dim=0) for name in self.names]))
        self.directions.copy_(shared_directions([features[name] for name in self.names], self.directions.shape[1]))


def shared_directions(modalities: list[Tensor], count: int) -> Tensor:
    """Directions along which modalities agree, strongest first.

    Each modality is reduced to its whitened principal components. The leading eigenvectors of their correlation matrix,
    side by side, are where they agree best; with two modalities these are the canonical directions. One modality alone
    has nothing to agree with, and gives its principal components.

    Args:
        modalities: (n, d_m) each, at least one.
        count: k; those beyond what there is are zeros.

    Returns:
        (sum of d_m, k) for features side by side, their means taken away; the values along each have variance 1.
    """
    bases, whitened = [], []
    for values in modalities:
        centred = values.double() - values.double().mean(dim=0)
        bases.append(_whitening(centred, min(_COMPONENTS, *values.shape)))
        whitened.append(centred @ bases[-1])
    joined = torch.cat(whitened, dim=1)
    if len(modalities) > 1:
        strength, vectors = torch.linalg.eigh(joined.T @ joined / len(joined))
        vectors, deviation = vectors.flip(1)[:, :count], strength.flip(0)[:count].clamp(min=_SMALLEST).sqrt()
        kept = torch.block_diag(*bases) @ (vectors * _upright(vectors) / deviation)  # type: ignore[no-untyped-call]
    else:
        kept = bases[0][:, :count]
    result: Tensor = kept.new_zeros(len(kept), count)
    result[:, : kept.shape[1]] = kept
    return result.to(modalities[0].dtype)


def _whitening(centred: Tensor, count: int) -> Tensor:
    """(d, k) leading principal axes, each divided by its standard deviation, from the smaller Gram matrix."""
    rows, columns = centred.shape
    gram = (centred.T @ centred if columns <= rows else centred @ centred.T) / rows
    if count < len(gram) // 4:  # a few of many: Lanczos needs no full decomposition
        found = eigsh(gram.cpu().numpy(), k=count, v0=np.ones(len(gram)))
        variance, axes = (torch.from_numpy(part).to(centred) for part in found)
    else:
        variance, axes = torch.linalg.eigh(gram)
    order = variance.argsort(descending=True)[:count]
    order = order[variance[order] > _SMALLEST * variance[order[:1]].clamp(min=_SMALLEST)]
    variance, axes = variance[order], axes[:, order]
    if columns > rows:
        axes = centred.T @ axes / (variance * rows).sqrt()
    whitening: Tensor = axes * _upright(axes) / variance.sqrt()
    return whitening


def _upright(vectors: Tensor) -> Tensor:
    """(k,) signs that make each column's largest entry positive: eigenvectors are known up to their sign."""
    largest = vectors.abs().argmax(dim=0)
    return vectors.gather(0, largest[None])[0].sign()
