"""Nodes and weights with which the response is integrated over a mixture: ∫ h(t, x) dF(t | x, z) ≈ Σ_m w_m h(t_m, x).

Stage 1 stands still while stage 2 learns, so that a rule is computed once for each row. Shapes: D mixtures of a row, B
rows, K components, M nodes.
"""

import numpy as np
import torch
from torch import Tensor

from micromega.models.deepiv.config import Rule
from micromega.models.deepiv.treatment import Mixture

_SMALLEST = 1e-9


def nodes_of(mixture: Mixture, rule: Rule, nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of each mixture by a rule.

    Args:
        mixture: (D, B, K).
        rule: gauss, hermite or quantile; monte_carlo draws once, which is what a reference wants and training not.
        nodes: M; of each component with hermite.

    Returns:
        (D, B, M) nodes, ascending except with hermite and monte_carlo, and (D, B, M) weights that sum to 1; hermite
        has K·M of them.
    """
    if rule == "gauss":
        return gauss_rule(mixture, nodes)
    if rule == "hermite":
        return hermite_rule(mixture, nodes)
    at = mixture.quantile(_midpoints(nodes, mixture.means)) if rule == "quantile" else mixture.sample(nodes)
    return at, torch.full_like(at, 1 / nodes)


def _midpoints(nodes: int, like: Tensor) -> Tensor:
    return (torch.arange(nodes, dtype=like.dtype, device=like.device) + 0.5) / nodes


def hermite_rule(mixture: Mixture, nodes: int) -> tuple[Tensor, Tensor]:
    """Gauss–Hermite nodes of each component: exact for polynomials of degree 2M − 1; (D, B, K·M) twice."""
    at_M, weight_M = (torch.as_tensor(of).to(mixture.means) for of in np.polynomial.hermite_e.hermegauss(nodes))
    at = mixture.means[..., None] + mixture.log_deviations.exp()[..., None] * at_M
    weight = mixture.log_weights.exp()[..., None] * (weight_M / weight_M.sum())
    return at.flatten(-2), weight.flatten(-2)


def gauss_rule(mixture: Mixture, nodes: int) -> tuple[Tensor, Tensor]:
    """The Gauss rule of the whole mixture: exact for polynomials of degree 2M − 1 with only M nodes.

    It depends on the moments up to that degree alone, which M Gauss–Hermite nodes in each component have exactly:
    those are compressed. In float64, whatever the mixture comes in.

    Args:
        mixture: (D, B, K).
        nodes: M.

    Returns:
        (D, B, M) ascending nodes and (D, B, M) weights, both in the mixture's type.
    """
    at, weight = hermite_rule(mixture.each(lambda value: value.double()), nodes)
    at, weight = compressed(at, weight, nodes)
    return at.to(mixture.means.dtype), weight.to(mixture.means.dtype)


def compressed(at: Tensor, weight: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Gauss rules of discrete distributions (Golub and Welsch 1969, by the Lanczos process).

    Args:
        at: (D, B, P) points, float64; more than `nodes` of them are distinct.
        weight: (D, B, P), positive, sums to 1.
        nodes: M.

    Returns:
        (D, B, M) ascending nodes and (D, B, M) weights: the moments up to degree 2M − 1 are those of the points.
    """
    mean = (weight * at).sum(dim=-1, keepdim=True)
    deviation = (weight * (at - mean) ** 2).sum(dim=-1, keepdim=True).sqrt().clamp_min(_SMALLEST)
    scaled = (at - mean) / deviation
    basis = torch.zeros(nodes, *at.shape, dtype=at.dtype, device=at.device)
    basis[0] = weight.sqrt() / weight.sum(dim=-1, keepdim=True).sqrt()
    jacobi = torch.zeros(*at.shape[:-1], nodes, nodes, dtype=at.dtype, device=at.device)
    for step in range(nodes):
        new = scaled * basis[step]
        jacobi[..., step, step] = (new * basis[step]).sum(dim=-1)
        if step + 1 == nodes:
            break
        for _ in range(2):  # once is not enough where weights span many orders of magnitude
            overlap = torch.einsum("s...p,...p->s...", basis[: step + 1], new)
            new = new - torch.einsum("s...p,s...->...p", basis[: step + 1], overlap)
        length = new.norm(dim=-1).clamp_min(_SMALLEST)
        jacobi[..., step, step + 1] = jacobi[..., step + 1, step] = length
        basis[step + 1] = new / length[..., None]
    value, vector = torch.linalg.eigh(jacobi)
    return mean + deviation * value, vector[..., 0, :] ** 2
