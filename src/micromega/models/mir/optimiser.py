"""How the ranker's weights are moved: the optimiser, and what becomes of its rate."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR

from micromega.errors import CheckpointError, ConfigError
from micromega.models.mir.config import MIRModelConfig


def optimiser_of(config: MIRModelConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam, AdamW or the paper's SGD.

    Args:
        config: kind, rate and decay.
        parameters: what it moves.

    Returns:
        The optimiser, newly made.
    """
    if config.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    kind = torch.optim.Adam if config.optimiser == "adam" else torch.optim.SGD
    return kind(parameters, lr=config.learning_rate)


def schedule_of(config: MIRModelConfig, optimiser: torch.optim.Optimizer, steps: float) -> dict[str, Any]:
    """Let the rate fall by a factor an epoch, or rise and fall once.

    Args:
        config: which, and the factor.
        optimiser: whose rate it is.
        steps: of the whole training; only one_cycle asks.

    Returns:
        The schedule and how often it moves, as Lightning takes them.

    Raises:
        ConfigError: one_cycle has no end.
    """
    if config.schedule == "exponential":
        return {"scheduler": ExponentialLR(optimiser, config.learning_rate_decay), "interval": "epoch"}
    if steps == float("inf"):
        raise ConfigError("model.schedule=one_cycle needs an end: set trainer.max_epochs or trainer.max_steps.")
    momentum = config.optimiser != "sgd"
    cycle = OneCycleLR(optimiser, config.learning_rate, total_steps=int(steps), cycle_momentum=momentum)
    return {"scheduler": cycle, "interval": "step"}


def check_moved_alike(saved: Mapping[str, Any], config: MIRModelConfig) -> None:
    """Refuse to go on from the state of another optimiser or schedule: torch would take it in part, and say nothing.

    Args:
        saved: model configuration in the checkpoint.
        config: the one in use.

    Raises:
        CheckpointError: names the setting that differs.
    """
    for name in ("optimiser", "schedule"):
        before, now = saved[name], getattr(config, name)
        if before != now:
            raise CheckpointError(
                f"ckpt_path: the checkpoint was trained with model.{name}={before}, whose state says nothing to {now}. "
                f"Set model.{name}={before}, or train without ckpt_path."
            )
