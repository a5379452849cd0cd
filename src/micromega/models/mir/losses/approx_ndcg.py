"""ApproxNDCG: ranks made smooth (Qin, Liu & Li 2010)."""

import torch
from torch import Tensor


def approx_ndcg_loss(scores_LK: Tensor, labels_LK: Tensor, temperature: float = 1.0) -> Tensor:
    """1 − NDCG with smooth ranks, averaged over lists.

    rank_i ≈ 1 + Σ_{j ≠ i} σ((s_j − s_i) / temperature) (eq. 14 there); gains are 2^label − 1.

    Args:
        scores_LK: (L, K) predicted scores.
        labels_LK: (L, K) labels of 0 or more.
        temperature: smaller is nearer to true ranks, with smaller gradients.

    Returns:
        Scalar loss in [0, 1]; lists without a positive label count as 1.
    """
    beaten_LKK = ((scores_LK[:, None, :] - scores_LK[:, :, None]) / temperature).sigmoid()
    rank_LK = beaten_LKK.sum(dim=2) + 0.5  # σ(0) = 1/2 of an item against itself
    gain_LK = torch.exp2(labels_LK) - 1
    best_LK = gain_LK.sort(dim=1, descending=True).values
    place_K = torch.arange(1, labels_LK.shape[1] + 1, device=labels_LK.device, dtype=scores_LK.dtype)
    ideal_L = (best_LK / torch.log2(1 + place_K)).sum(dim=1)
    reached_L = (gain_LK / torch.log2(1 + rank_LK)).sum(dim=1)
    return 1 - (reached_L / ideal_L.clamp(min=torch.finfo(scores_LK.dtype).tiny)).mean()
