"""The likelihood of exposures in log odds, stable and differentiable; plain torch.

Shapes: X edges of a batch (an edge may come several times), J shared activations.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST = 1e-30
"""No chance is below this, so that its logarithm and gradient are numbers."""


def log_any(nothing: Tensor) -> Tensor:
    """Logarithm of 1 - exp(-x) for x >= 0, exact near 0 and far from it (Maechler 2012).

    Args:
        nothing: minus the logarithm of the chance that nothing happens, any shape.

    Returns:
        Logarithm of the chance that something does, of the same shape.

    Example:
        >>> log_any(torch.tensor([0.5, 50.0])).exp()
        tensor([0.3935, 1.0000])
    """
    x = nothing.clamp_min(_LEAST)
    near = x < math.log(2)
    small = torch.log(-torch.expm1(-torch.where(near, x, 1.0)))
    large = torch.log1p(-torch.exp(-torch.where(near, 1.0, x)))
    return torch.where(near, small, large)


def negative_log_likelihood(logit: Tensor, failures: Tensor, successes: Tensor, group: Tensor, groups: int) -> Tensor:
    """Minus the log-likelihood of exposures (Saito et al. 2008).

    Args:
        logit: (X,) log odds of the activation probabilities.
        failures: (X,) exposures that surely failed.
        successes: (X,) exposures that surely succeeded.
        group: (X,) number of the shared activation that the row belongs to, -1: none.
        groups: J.

    Returns:
        The sum, in nats: -sum s log p + f log(1 - p) - sum over groups log(1 - prod(1 - p)).

    Example:
        >>> one = torch.zeros(2)  # two edges of probability 1/2 that share an activation: 1 - 1/4
        >>> negative_log_likelihood(one, one, one, torch.tensor([0, 0]), 1).exp()
        tensor(1.3333)
    """
    nothing = F.softplus(logit)  # -log(1 - p)
    alone = (failures * nothing + successes * F.softplus(-logit)).sum()
    if not groups:
        return alone
    inside = group >= 0
    total = torch.zeros(groups, dtype=logit.dtype, device=logit.device).index_add(0, group[inside], nothing[inside])
    return alone - log_any(total).sum()
