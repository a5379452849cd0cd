"""How both stages are trained: standardising, the optimiser, clipping by member, and the best epoch of each member.

Shapes: E members.
"""

import copy
import hashlib

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from micromega.errors import ConfigError
from micromega.models.deepiv.batches import NAMES, Spec
from micromega.models.deepiv.config import StageConfig


class Scale(nn.Module):
    """Units of the data ↔ standardised units, in which networks think; its numbers are stored in checkpoints.

    Args:
        spec: means and deviations.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        for name in NAMES:
            self.register_buffer(f"mean_{name}", spec.mean[name].clone())
            self.register_buffer(f"deviation_{name}", spec.deviation[name].clone())

    def standard(self, name: str, value: Tensor) -> Tensor:
        """Standardise t, z, x or y; any shape that ends in the variable's."""
        return (value - self.mean(name)) / self.deviation(name)

    def original(self, name: str, value: Tensor) -> Tensor:
        """Put t, z, x or y back into the units of the data."""
        return value * self.deviation(name) + self.mean(name)

    def mean(self, name: str) -> Tensor:
        """Of t, z, x or y."""
        return self.get_buffer(f"mean_{name}")

    def deviation(self, name: str) -> Tensor:
        """Of t, z, x or y."""
        return self.get_buffer(f"deviation_{name}")


class Best(nn.Module):
    """Each member at its best epoch, with its held-out loss.

    Args:
        network: what is being trained; every parameter has the members in front.
        members: E.
    """

    loss: Tensor

    def __init__(self, network: nn.Module, members: int) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.register_buffer("loss", torch.full((members,), torch.inf))

    @torch.no_grad()
    def keep(self, network: nn.Module, loss: Tensor) -> None:
        """Copy the members whose held-out loss, (E,), is lower than ever."""
        better = loss < self.loss
        if not better.any():
            return
        self.loss.copy_(torch.where(better, loss.to(self.loss), self.loss))
        for kept, now in zip(self.network.parameters(), network.parameters(), strict=True):
            chosen = better.view(-1, *[1] * (now.ndim - 1))
            kept.copy_(torch.where(chosen, now, kept))


class HeldOut:
    """Weighted mean of a held-out loss over batches, for each member."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.total: Tensor | float = 0.0
        self.weight: Tensor | float = 0.0

    def add(self, loss: Tensor, weight: Tensor) -> None:
        """Add a batch; both (E, B)."""
        wide = torch.float32 if loss.device.type == "mps" else torch.float64
        self.total = self.total + (loss * weight).to(wide).sum(dim=1)
        self.weight = self.weight + weight.to(wide).sum(dim=1)

    def mean(self, module: pl.LightningModule) -> Tensor:
        """(E,), over all processes."""
        assert isinstance(self.total, Tensor)
        assert isinstance(self.weight, Tensor)
        both = torch.stack([self.total, self.weight])
        if module.trainer.world_size > 1:
            gathered = module.all_gather(both)
            assert isinstance(gathered, Tensor)
            both = gathered.sum(dim=0)
        return both[0] / both[1]


def optimiser_of(config: StageConfig, network: nn.Module, trainer: pl.Trainer) -> dict[str, object]:
    """AdamW, and the schedule of its rate, as Lightning takes them.

    Args:
        config: rate, decay, schedule.
        network: what it moves.
        trainer: knows the number of steps.

    Raises:
        ConfigError: one_cycle has no end.
    """
    named = list(network.named_parameters())
    groups = [
        {"params": [p for name, p in named if not name.endswith("bias")], "weight_decay": config.weight_decay},
        {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": 0.0},
    ]
    fused = named[0][1].device.type == "cpu"
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=fused)
    if config.schedule == "constant":
        return {"optimizer": optimiser}
    steps = trainer.estimated_stepping_batches
    if steps == float("inf"):
        raise ConfigError("schedule=one_cycle needs an end: set trainer.max_epochs or trainer.max_steps.")
    cycle = OneCycleLR(optimiser, config.learning_rate, total_steps=int(steps), pct_start=0.1)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def clip_members(network: nn.Module, longest: float | None) -> None:
    """Shorten each member's gradient by itself, so that no member's training depends on another's."""
    if longest is None:
        return
    gradients = [p.grad.flatten(1) for p in network.parameters() if p.grad is not None]
    length = torch.stack([gradient.norm(dim=1) for gradient in gradients]).norm(dim=0)
    factor = (longest / length.clamp_min(1e-12)).clamp_max(1.0)[:, None]
    for gradient in gradients:
        gradient.mul_(factor)


def fingerprint(module: nn.Module) -> str:
    """SHA-256 of a module's parameters and persistent buffers, with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
