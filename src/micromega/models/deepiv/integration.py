"""From a trained stage 1 to what stage 2 is trained and judged on: nodes or ranks of all rows, in blocks.

Shapes: E members, D draws, S starts, N rows, V held-out rows of a member, M nodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from micromega.models.deepiv.batches import Batch, Rows, held_out_batches, held_out_rows
from micromega.models.deepiv.config import OutcomeConfig
from micromega.models.deepiv.module import TreatmentModule
from micromega.models.deepiv.quadrature import gauss_rule, nodes_of
from micromega.models.deepiv.treatment import Mixture

CHECK_NODES = 12
_BLOCK = 200_000  # nodes of the members' mixtures in memory at once, about


@dataclass(frozen=True, kw_only=True)
class Integrated:
    """What stage 2 is given.

    Attributes:
        rows: for training.
        held_out: each member's held-out rows, always with the 12-node Gauss rule, so that eq. 5 has no noise of its own
            where it chooses the epoch; the control function looks at ranks instead.
    """

    rows: Rows
    held_out: DataLoader[Batch]


@torch.no_grad()
def integrate(
    treatment: TreatmentModule,
    values: Mapping[str, Tensor],
    config: OutcomeConfig,
    *,
    weights: Tensor,
    held_out: Tensor,
    mixed: Tensor,
    draw: Tensor,
    batch_size: int = 512,
) -> Integrated:
    """Compute the nodes of every row once, and for the control function its rank.

    Args:
        treatment: trained stage 1.
        config: of the stage 2 that is to be trained on it.
        values: t (N,), z (N, Z), x (N, X), y (N,), float32.
        weights: (E, N) of the members in training.
        held_out: (E, N) weights.
        mixed: (D, S, N or 1), see `Members`.
        draw: (E,) draw of each member.
        batch_size: held-out rows of a member in a batch.

    Returns:
        Rows and held-out batches, in the units of the data.
    """
    draws, total = len(mixed), len(values["t"])
    needed_DN = torch.stack([(held_out[draw == number] > 0).any(dim=0) for number in range(draws)])
    # Where in the list of checked (draw, row) pairs each stands.
    place_DN = needed_DN.flatten().cumsum(0).sub_(1).view(draws, total)
    check = [torch.empty(int(needed_DN.sum()), CHECK_NODES) for _ in range(2)]
    stored: tuple[Tensor, ...] = ()
    rank_ND = torch.empty(total, draws) if config.estimation == "control_function" else None
    size = max(1, _BLOCK // (treatment.members * treatment.config.treatment.components * CHECK_NODES))
    for begin in range(0, total, size):
        part = slice(begin, min(begin + size, total))
        mixture = _mixture_of(treatment, values, part, mixed)
        made = _fixed(mixture, config)
        stored = stored or tuple(torch.empty(total, draws, new.shape[-1]) for new in made)
        for kept, new in zip(stored, made, strict=True):
            kept[part] = new.transpose(0, 1)
        if rank_ND is not None:
            rank_ND[part] = mixture.rank(values["t"][None, part]).T
        needed = needed_DN[:, part]
        picked = _where(mixture, needed)
        for kept, new in zip(check, gauss_rule(picked, CHECK_NODES), strict=True):
            kept[place_DN[:, part][needed]] = new[0]
    rows_EV = held_out_rows(held_out)
    place_EV = place_DN[draw[:, None], rows_EV.clamp_min(0)].clamp_min(0)
    rank_EV = None if rank_ND is None else rank_ND[rows_EV.clamp_min(0), draw[:, None]]
    judged = held_out_batches(values, held_out, batch_size, (check[0][place_EV], check[1][place_EV]), rank_EV)
    if config.rule == "monte_carlo":
        mixture = Mixture(log_weights=stored[0], means=stored[1], log_deviations=stored[2])
        return Integrated(rows=Rows(values, weights, mixture=mixture), held_out=judged)
    rows = Rows(values, weights, nodes=stored[0], node_weights=stored[1], rank=rank_ND)
    return Integrated(rows=rows, held_out=judged)


def _mixture_of(treatment: TreatmentModule, values: Mapping[str, Tensor], part: slice, mixed: Tensor) -> Mixture:
    """Mixtures of some rows in the units of the data, (D, B, S·K)."""
    device = treatment.scale.mean("t").device
    of_members = treatment.mixture(values["z"][None, part].to(device), values["x"][None, part].to(device))
    index = mixed if mixed.shape[-1] == 1 else mixed[..., part]
    scale = treatment.scale
    mixture = of_members.pooled(index.to(device)).rescaled(scale.mean("t"), scale.deviation("t"))
    return mixture.each(lambda value: value.cpu())


def _where(mixture: Mixture, chosen_DB: Tensor) -> Mixture:
    """The chosen mixtures as the rows of one member, (1, n, K)."""
    return mixture.each(lambda value: value[chosen_DB][None])


def _fixed(mixture: Mixture, config: OutcomeConfig) -> tuple[Tensor, ...]:
    if config.rule == "monte_carlo":
        return mixture.log_weights, mixture.means, mixture.log_deviations
    return nodes_of(mixture, config.rule, config.nodes)
