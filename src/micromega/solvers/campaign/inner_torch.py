"""The inner problems of the Lagrangian dual in torch: the same numbers as the compiled loops, on any device.

Tuples are ranked by reduced value within their creator by two stable sorts, so that blocks may have any size. Nested
caps stay with the compiled loops.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign.bundle import Reply
from micromega.solvers.campaign.relax import Evaluator, groups_of
from micromega.solvers.campaign.separable import Separable


def torch_evaluator(parts: Separable, *, device: str) -> Evaluator:
    """Make an evaluation of all inner problems on a device; double precision, since bounds are summed.

    Args:
        parts: the problem, without nested caps.
        device: as torch names it.

    Raises:
        ConfigError: the device is not there, or caps are nested.
    """
    if len(parts.nest_cap):
        raise ConfigError("solver.device: caps inside a creator's posts (per event, per day) need device cpu.")
    try:
        where = torch.device(device)
        value = torch.as_tensor(parts.value, device=where)
    except RuntimeError as error:
        raise ConfigError(f"solver.device: torch cannot use {device} here ({error}). Use cpu.") from error
    price = torch.as_tensor(parts.price, device=where)
    pattern = torch.as_tensor(parts.pattern, device=where).long()
    start = torch.as_tensor(parts.start, device=where)
    cap = torch.as_tensor(parts.cap, device=where)
    affordable = price <= parts.limit
    block = torch.repeat_interleave(torch.arange(parts.blocks, device=where), start[1:] - start[:-1])
    edges = groups_of(parts)
    group = torch.bucketize(block, torch.as_tensor(edges[1:], device=where), right=True)
    groups, distinct = len(edges) - 1, parts.usage.shape[0]
    widths = np.diff(parts.start)
    even = parts.blocks > 0 and bool(np.all(widths == widths[0]))

    def chosen_at(reduced: torch.Tensor) -> torch.Tensor:
        """Indices of the chosen tuples."""
        if even:
            most = min(int(cap.max()), int(widths[0]))
            best, place = torch.topk(reduced.view(parts.blocks, -1), most, dim=1)
            taken = (best > 0) & (torch.arange(most, device=where)[None, :] < cap[:, None])
            return (place + start[:-1, None])[taken]
        order = torch.argsort(reduced, descending=True, stable=True)
        order = order[torch.argsort(block[order], stable=True)]
        rank = torch.arange(len(order), device=where) - start[block]
        return order[(rank < cap[block]) & (reduced[order] > 0)]

    def evaluate(multipliers: NDArray[np.float64]) -> Reply:
        worth = torch.as_tensor(np.asarray(parts.usage @ multipliers[1:], np.float64), device=where)
        reduced = value - float(multipliers[0]) * price - worth[pattern]
        chosen = chosen_at(torch.where(affordable, reduced, -torch.inf))
        of = group[chosen]
        gain = torch.zeros(groups, dtype=torch.float64, device=where).index_add_(0, of, reduced[chosen])
        spend = torch.zeros(groups, dtype=torch.float64, device=where).index_add_(0, of, price[chosen])
        counts = torch.bincount(of * distinct + pattern[chosen], minlength=groups * distinct).view(groups, distinct)
        sums = counts.cpu().numpy() @ parts.usage
        return Reply(gain=gain.cpu().numpy(), use=np.hstack([spend.cpu().numpy()[:, None], sums]))

    return evaluate
