"""Competence labels and the top-1-over-K loss (Gan et al. 2019, sections 3.3.1, 3.3.4 and 3.3.5)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def competence(engagement: Tensor, similarity: Tensor, alpha: float = 0.5) -> Tensor:
    """Competence of a creator for a brand (eq. 8).

    Args:
        engagement: mean (likes + comments) per follower of the posts that advertise the brand (eq. 9), any shape.
        similarity: cosine of brand and creator (eq. 10), the same shape, in [−1, 1].
        alpha: weight of engagement, in [0, 1].

    Returns:
        Competence, the same shape, unitless.
    """
    return alpha * engagement + (1 - alpha) * similarity


def top_one_loss(scores_LK: Tensor, labels_LK: Tensor) -> Tensor:
    """Cross-entropy of the two top-1-over-K distributions (eq. 15–17), averaged over lists.

    The paper sums over the lists of a brand; the mean keeps the learning rate independent of the batch size.

    Args:
        scores_LK: (L, K) predicted scores f(b, m).
        labels_LK: (L, K) competence.

    Returns:
        Scalar loss.
    """
    return -(labels_LK.softmax(dim=1) * F.log_softmax(scores_LK, dim=1)).sum(dim=1).mean()


def l1_norm(weights: list[Tensor]) -> Tensor:
    """Sum of absolute weights, ‖θ‖₁ of eq. 17.

    Args:
        weights: the model's weights, any shapes.

    Returns:
        Scalar.
    """
    return torch.stack([weight.abs().sum() for weight in weights]).sum()
