"""How much the divergence from the prior counts while training goes on, and when it costs nothing."""

from typing import Literal

from torch import Tensor


def divergence_weight(
    epochs: float, schedule: Literal["constant", "linear", "cyclical"], rise: float, end: float
) -> float:
    """Weight of the divergence at a moment of training.

    Args:
        epochs: epochs done so far, with the part of the current one.
        schedule: constant; linear: from 0 to the end in `rise` epochs (Bowman et al. 2016); cyclical: half of each
            cycle of 2 · `rise` epochs rises, the other half stays (Fu et al. 2019).
        rise: epochs.
        end: weight at the end of a rise.

    Returns:
        The weight, 0 to `end`.
    """
    if schedule == "constant":
        return end
    place = epochs if schedule == "linear" else epochs % (2 * rise)
    return end * min(1.0, place / rise)


def charged(divergence_BD: Tensor, free_nats: float) -> Tensor:
    """Divergence of a batch that is paid for (Kingma et al. 2016): of each dimension what exceeds the free nats.

    Args:
        divergence_BD: (B, D), nats.
        free_nats: of each dimension, in the mean over the batch.

    Returns:
        Scalar, nats per post; a dimension below the free nats counts as that many, without gradient.
    """
    return divergence_BD.mean(dim=0).clamp_min(free_nats).sum()
