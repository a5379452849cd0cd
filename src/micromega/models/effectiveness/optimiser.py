"""How the networks are moved."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from micromega.errors import ConfigError
from micromega.models.effectiveness.config import NetworkConfig


def optimiser_of(
    config: NetworkConfig, network: nn.Module | None, idle: nn.Parameter, trainer: pl.Trainer
) -> dict[str, object]:
    """AdamW, and the schedule of its rate, as Lightning takes them.

    Args:
        config: rate, decay, schedule.
        network: what it moves; None where the model has none.
        idle: what it holds then.
        trainer: knows the number of steps.

    Returns:
        Optimiser and schedule.

    Raises:
        ConfigError: one_cycle has no end.
    """
    if network is None:
        return {"optimizer": torch.optim.SGD([idle], lr=1.0)}
    decayed = [p for name, p in network.named_parameters() if ".bias." not in name]
    free = [p for name, p in network.named_parameters() if ".bias." in name]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": [*free, idle], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=idle.device.type == "cpu")
    if config.schedule == "constant":
        return {"optimizer": optimiser}
    steps = trainer.estimated_stepping_batches
    if steps == float("inf"):
        raise ConfigError("schedule=one_cycle needs an end: set trainer.max_epochs or trainer.max_steps.")
    cycle = OneCycleLR(optimiser, config.learning_rate, total_steps=int(steps), pct_start=0.1)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
