"""ListMLE: the likelihood of the labels' order (Xia et al. 2008, eq. 9)."""

from torch import Tensor


def list_mle_loss(scores_LK: Tensor, labels_LK: Tensor) -> Tensor:
    """Negative log-likelihood of the labels' order under Plackett–Luce, averaged over lists.

    Each item is drawn from those that are not above it. Items of equal label have no order among themselves: each is
    drawn from all of its own label and below (Breslow's correction), and those of the lowest label, which say nothing,
    are left out. With one positive and K − 1 negatives this is the softmax cross-entropy.

    Args:
        scores_LK: (L, K) predicted scores.
        labels_LK: (L, K) labels, larger is better.

    Returns:
        Scalar loss; 0 where all labels of a list are equal.
    """
    rivals_LKK = labels_LK[:, None, :] <= labels_LK[:, :, None]  # [l, i, j]: j is not above i
    below_LK = (labels_LK[:, None, :] < labels_LK[:, :, None]).any(dim=2)
    normaliser_LK = scores_LK[:, None, :].masked_fill(~rivals_LKK, -float("inf")).logsumexp(dim=2)
    return ((normaliser_LK - scores_LK) * below_LK).sum(dim=1).mean()
