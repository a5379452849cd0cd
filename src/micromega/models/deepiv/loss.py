"""Eq. 5 of Tian et al. (2022) for one row: the squared error of the integrated response, and penalties on its shape.

Shapes: E members, B rows, M nodes. Everything is in standardised units.
"""

from torch import Tensor

_NARROWEST = 1e-2  # gaps between nodes count as at least so much: a slope over less is rounding


def integral(response: Tensor, weight: Tensor) -> Tensor:
    """∫ h(t, x) dF by a rule; responses (E, B, M) and weights (E or 1, B, M) -> (E, B)."""
    return (response * weight).sum(dim=-1)


def squared_error(y: Tensor, integrated: Tensor) -> Tensor:
    """(y − ∫ h dF)² where the integral is exact; (E or 1, B) and (E, B) -> (E, B)."""
    return (y - integrated) ** 2


def two_sample_error(y: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(y − ∫ h dF)² from two independent samples of the treatment: value and gradient are unbiased.

    The same sample in both factors would add the variance of its mean to the loss, and so flatten the response.

    Args:
        y: (E or 1, B).
        first: (E, B) mean of h over one sample.
        second: (E, B) over the other.

    Returns:
        (E, B); a single one may be negative.
    """
    return (y - first) * (y - second)


def shape_penalty(at: Tensor, response: Tensor, *, negative_slopes: float, curvature: float) -> Tensor:
    """Punish slopes below 0 between neighbouring nodes, and second differences over three of them.

    Args:
        at: (E or 1, B, M) nodes, in any order.
        response: (E, B, M) responses there.
        negative_slopes: weight of the mean squared negative slope.
        curvature: weight of the mean squared second derivative.

    Returns:
        (E, B).
    """
    at, order = at.sort(dim=-1)
    response = response.gather(-1, order.expand_as(response))
    slope = response.diff(dim=-1) / at.diff(dim=-1).clamp_min(_NARROWEST)
    penalty = negative_slopes * slope.clamp_max(0).square().mean(dim=-1)
    if curvature and at.shape[-1] > 2:
        apart = ((at[..., 2:] - at[..., :-2]) / 2).clamp_min(_NARROWEST)
        penalty = penalty + curvature * (slope.diff(dim=-1) / apart).square().mean(dim=-1)
    return penalty
