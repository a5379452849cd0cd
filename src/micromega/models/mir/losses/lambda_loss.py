"""LambdaLoss with the weights of NDCG-Loss2++ (Wang et al. 2018)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def lambda_loss(scores_LK: Tensor, labels_LK: Tensor, mu: float = 10.0) -> Tensor:
    """Logistic loss of pairs, each weighted by what it moves in NDCG, averaged over lists.

    With ranks of the current scores, discounts D(r) = log2(1 + r), and gains G = (2^label − 1) / ideal DCG, a pair with
    label_i > label_j weighs (ρ + μ δ) |G_i − G_j|, where ρ = |1/D(r_i) − 1/D(r_j)| (LambdaRank, eq. 16 there) and
    δ = |1/D(d) − 1/D(d + 1)| at distance d = |r_i − r_j| (NDCG-Loss2). Weights carry no gradient.

    Args:
        scores_LK: (L, K) predicted scores.
        labels_LK: (L, K) labels of 0 or more.
        mu: weight of the second part.

    Returns:
        Scalar loss in bits; 0 where all labels of a list are equal.
    """
    with torch.no_grad():
        place_K = torch.arange(1, labels_LK.shape[1] + 1, device=labels_LK.device, dtype=scores_LK.dtype)
        rank_LK = scores_LK.argsort(dim=1, descending=True, stable=True).argsort(dim=1).to(scores_LK.dtype) + 1
        gain_LK = torch.exp2(labels_LK) - 1
        ideal_L1 = (gain_LK.sort(dim=1, descending=True).values / _discount(place_K)).sum(dim=1, keepdim=True)
        gain_LK = gain_LK / ideal_L1.clamp(min=torch.finfo(scores_LK.dtype).tiny)
        distance_LKK = (rank_LK[:, :, None] - rank_LK[:, None, :]).abs()
        inverse_LK = 1 / _discount(rank_LK)
        rho_LKK = (inverse_LK[:, :, None] - inverse_LK[:, None, :]).abs()
        # An item against itself has distance 0, where 1 / D is infinite; such pairs are left out below.
        delta_LKK = 1 / _discount(distance_LKK.clamp(min=1)) - 1 / _discount(distance_LKK + 1)
        weight_LKK = (rho_LKK + mu * delta_LKK) * (gain_LK[:, :, None] - gain_LK[:, None, :]).abs()
        weight_LKK *= labels_LK[:, :, None] > labels_LK[:, None, :]
    losses_LKK = -F.logsigmoid(scores_LK[:, :, None] - scores_LK[:, None, :]) / math.log(2)
    return (weight_LKK * losses_LKK).sum(dim=(1, 2)).mean()


def _discount(rank: Tensor) -> Tensor:
    return torch.log2(1 + rank)
