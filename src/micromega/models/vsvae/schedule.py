"""What changes while training goes on: the weight of the divergence from the prior, and the learning rate."""

from typing import Literal

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from micromega.errors import ConfigError

_RISE, _RISE_IF_SHORT, _SHORT = 0.1, 0.3, 10
"""Share of training in which the rate of one cycle rises, and in one of few steps, of which a tenth is none."""


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


def one_cycle(optimiser: Optimizer, rate: float, steps: float) -> OneCycleLR:
    """Let the rate rise for a tenth of training and fall to nothing in the rest (Smith and Topin 2019).

    Args:
        optimiser: whose rate it is.
        rate: the highest.
        steps: of the whole training.

    Returns:
        The schedule, which moves with each step.

    Raises:
        ConfigError: training has no end.
    """
    if steps == float("inf"):
        raise ConfigError("model.schedule=one_cycle needs an end: set trainer.max_epochs or trainer.max_steps.")
    rise = _RISE if steps > _SHORT else _RISE_IF_SHORT
    return OneCycleLR(optimiser, rate, total_steps=int(steps), pct_start=rise)
