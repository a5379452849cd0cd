"""Ridge regression in closed form, for all members at once: a − b'f with the least mean squared error + λ |b|².

The intercept is not punished. Shapes: E members, B rows, F features, T targets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """A fitted regression.

    Attributes:
        intercept: (E, 1, T).
        coefficient: (E, F, T).
        penalty: (E, F, 1) of each squared coefficient, so that the loss can be computed again.
    """

    intercept: Tensor
    coefficient: Tensor
    penalty: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Predict; (E, B, F) -> (E, B, T)."""
        return torch.baddbmm(self.intercept, features, self.coefficient)

    def punishment(self) -> Tensor:
        """λ |b|² of each target, (E, T)."""
        return (self.penalty * self.coefficient**2).sum(dim=1)


def ridge(features: Tensor, targets: Tensor, weight: Tensor, penalty: float, *, relative: bool) -> Ridge:
    """Fit on rows at hand; differentiable in all of them.

    Args:
        features: (E, B, F).
        targets: (E, B, T).
        weight: (E, B) of rows, at least 0.
        penalty: λ.
        relative: multiply λ by each feature's variance, as if all had variance 1.
    """
    share = (weight / weight.sum(dim=1, keepdim=True))[..., None]
    f_mean, t_mean = ((share * of).sum(dim=1, keepdim=True) for of in (features, targets))
    centred = features - f_mean  # before the products: float32 is enough then
    weighted = (share * centred).mT
    return _solved(f_mean, t_mean, weighted @ centred, weighted @ (targets - t_mean), penalty, relative=relative)


class Moments:
    """Sums over batches from which a ridge regression follows: as of all rows at once, in the memory of one batch."""

    def __init__(self) -> None:
        self._total: Tensor | float = 0.0
        self._features: Tensor | float = 0.0
        self._targets: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0
        self._products: Tensor | float = 0.0

    def add(self, features: Tensor, targets: Tensor, weight: Tensor) -> None:
        """Add a batch: (E, B, F), (E, B, T) and (E, B)."""
        f, t, w = (of.to(_wide(of)) for of in (features, targets, weight[..., None]))
        weighted = (w * f).mT
        self._total = self._total + w.sum(dim=1, keepdim=True)
        self._features = self._features + (w * f).sum(dim=1, keepdim=True)
        self._targets = self._targets + (w * t).sum(dim=1, keepdim=True)
        self._squares = self._squares + weighted @ f
        self._products = self._products + weighted @ t

    def solve(self, penalty: float, *, relative: bool) -> Ridge:
        """The regression on all rows so far, in float32; arguments as of `ridge`."""
        assert isinstance(self._total, Tensor)
        f_mean, t_mean = self._features / self._total, self._targets / self._total
        squares = self._squares / self._total - f_mean.mT @ f_mean
        products = self._products / self._total - f_mean.mT @ t_mean
        found = _solved(f_mean, t_mean, squares, products, penalty, relative=relative)
        return Ridge(
            intercept=found.intercept.float(), coefficient=found.coefficient.float(), penalty=found.penalty.float()
        )


def _solved(
    f_mean: Tensor, t_mean: Tensor, squares: Tensor, products: Tensor, penalty: float, *, relative: bool
) -> Ridge:
    variance = squares.diagonal(dim1=-2, dim2=-1)[..., None]
    # A feature that is the same in all rows, as of a dead unit, would leave the equations without a solution.
    punished = penalty * (variance.clamp_min(1e-8) if relative else torch.ones_like(variance))
    wide = _wide(squares)
    left = squares.to(wide) + torch.diag_embed(punished[..., 0].to(wide))
    coefficient = torch.linalg.solve(left, products.to(wide)).to(products)
    return Ridge(intercept=t_mean - f_mean @ coefficient, coefficient=coefficient, penalty=punished)


def _wide(value: Tensor) -> torch.dtype:
    return torch.float32 if value.device.type == "mps" else torch.float64
