"""What the trees see of a brand and a creator: how alike they are, in which respects, and what the creator is like.

Shapes: V views, D length of a modality's vector, R its components, P pairs, C columns.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micromega.errors import MissingExtraError

try:
    from sklearn.decomposition import PCA
except ImportError as error:
    msg = "model=lambdamart needs scikit-learn. Run: pip install 'micromega[gbm]'"
    raise MissingExtraError(msg) from error

_MATRIX = 1 << 24
"""Similarities computed at a time."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """One modality of all accounts.

    Attributes:
        unit: (V, D) scaled to length 1.
        standard_unit: (V, D) standardised, then scaled to length 1.
        reduced: (V, R) main components of the standardised vectors.
    """

    unit: Tensor
    standard_unit: Tensor
    reduced: Tensor


class Reduction(nn.Module):
    """Turns one modality into `Views`; its state goes into checkpoints.

    Args:
        mean: (D,) of the training views.
        deviation: (D,) of the training views.
        components: R; a vector that is no longer than that stays as it is.
    """

    def __init__(self, mean: Tensor, deviation: Tensor, components: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.axes: Tensor
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())
        self.register_buffer("axes", torch.eye(len(mean), min(components, len(mean))))

    def fit(self, training_ND: Tensor) -> None:
        """Find the main components (PCA) of the training views, (N, D) as pooled; too few views leave axes at 0."""
        size = self.axes.shape[1]
        if size == len(self.mean):
            return
        standard = (training_ND - self.mean) / self.deviation
        found = min(size, *standard.shape)
        rows = PCA(found, random_state=0).fit(standard.cpu().numpy()).components_
        axes = torch.zeros_like(self.axes)
        axes[:, :found] = torch.from_numpy(rows).T
        self.axes.copy_(axes)

    def forward(self, features_VD: Tensor) -> Views:
        """Describe accounts by their pooled, not standardised vectors."""
        standard = (features_VD - self.mean) / self.deviation
        return Views(
            unit=F.normalize(features_VD, dim=1),
            standard_unit=F.normalize(standard, dim=1),
            reduced=standard @ self.axes,
        )


def pair_columns(views: Views, brand_P: Tensor, creator_P: Tensor) -> Tensor:
    """Describe pairs of views in one modality.

    Args:
        views: the modality.
        brand_P: (P,) view that stands for the brand.
        creator_P: (P,) view of the creator.

    Returns:
        (P, C) cosine, cosine of the standardised vectors, Manhattan distance of the components, and per component the
        product of both sides and the creator's own value.
    """
    brand, creator = views.reduced[brand_P], views.reduced[creator_P]
    distance = (brand - creator).abs().sum(dim=1)
    cosines = [_cosines(values, brand_P, creator_P) for values in (views.unit, views.standard_unit)]
    return torch.cat([torch.stack([*cosines, distance], dim=1), brand * creator, creator], dim=1)


def _cosines(unit_VD: Tensor, brand_P: Tensor, creator_P: Tensor) -> Tensor:
    """(P,) inner products; from the matrix of all those that occur, since gathering long vectors would cost more."""
    brands, row = torch.unique(brand_P, return_inverse=True)
    creators, column = torch.unique(creator_P, return_inverse=True)
    right = unit_VD[creators].T
    found = torch.empty(len(brand_P), device=unit_VD.device)
    step = max(1, _MATRIX // max(1, len(creators)))
    for first in range(0, len(brands), step):
        mine = (row >= first) & (row < first + step)
        found[mine] = (unit_VD[brands[first : first + step]] @ right)[row[mine] - first, column[mine]]
    return found
