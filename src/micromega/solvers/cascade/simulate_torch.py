"""Independent Cascade in torch, in batches of simulations, for accelerators.

Whether edge e is live in simulation s is a hash of (seed, s, e), compared in whole numbers: the same on every device
and for every size of batch. A step costs the edges tried in it and a pass over the nodes, and asks the device once for
the sizes of the next.

Shapes: N nodes, M edges, B simulations of a batch, F new nodes of all of them, T edges tried.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.simulate import checked

_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
_BITS = 53
_ROOM = 2**23
"""Nodes and edges of all simulations of a batch, unless said otherwise."""


def simulate_on(
    network: Network,
    seeds: ArrayLike,
    simulations: int,
    seed: int,
    steps: int | None = None,
    *,
    device: str = "cpu",
    batch: int | None = None,
) -> NDArray[np.int64]:
    """Number of active nodes at the end of each of S cascades, (S,), seeds included.

    Args:
        network: who can activate whom.
        seeds: nodes active from the start.
        simulations: S.
        seed: of the hash.
        steps: a cascade ends after so many; None: when nobody is new.
        device: as torch names it.
        batch: simulations at a time; None: by the size of the network. It does not change the result.

    Raises:
        ConfigError: the device is not there, or numbers are out of range (as `simulate`).
        DataError: a seed is not in the network.

    Example:
        >>> simulate_on(Network.of([[0, 1], [1, 2]], 1.0, nodes=4), [0], 3, seed=0).tolist()
        [3, 3, 3]
    """
    chosen, many, limit = checked(network, seeds, simulations, seed, steps)
    try:
        where = torch.device(device)
        start = torch.as_tensor(network.start, device=where)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device: torch cannot use {device} here ({error}). Use cpu.") from None
    target = torch.as_tensor(network.target, device=where)
    bar = torch.as_tensor(np.round(network.probability * 2.0**_BITS).astype(np.int64), device=where)
    first = torch.as_tensor(chosen, device=where)
    size = batch or max(1, min(many, _ROOM // (network.nodes + len(network.target))))
    found = [
        _batch(start, target, bar, first, torch.arange(begin, min(begin + size, many), device=where), seed, limit)
        for begin in range(0, many, size)
    ]
    return torch.cat(found).cpu().numpy()


def _batch(
    start: torch.Tensor,
    target: torch.Tensor,
    bar: torch.Tensor,
    seeds: torch.Tensor,
    simulation_B: torch.Tensor,
    seed: int,
    limit: int,
) -> torch.Tensor:
    """Sizes of the cascades of a batch, (B,)."""
    nodes, many = len(start) - 1, len(simulation_B)
    degree = start[1:] - start[:-1]
    key_B = _mixed(_mixed(torch.full_like(simulation_B, seed) + _GAMMA) + (simulation_B + 1) * _GAMMA)
    active = torch.zeros((many, nodes), dtype=torch.bool, device=start.device)
    active[:, seeds] = True
    new = active.clone()
    for _ in range(limit):
        fresh = new.view(-1)
        counts = torch.stack([fresh.sum(), (new.sum(0) * degree).sum()])
        width, tried = counts.tolist()  # the one wait for the device
        if not tried:
            break
        code_F = _places(fresh, width)
        node_F = code_F % nodes
        degree_F = degree[node_F]
        ahead_F = start[node_F] - (degree_F.cumsum(0) - degree_F)
        edge_T = torch.arange(tried, device=start.device) + ahead_F.repeat_interleave(degree_F, output_size=tried)
        simulation_T = (code_F // nodes).repeat_interleave(degree_F, output_size=tried)
        draw_T = (_mixed(key_B[simulation_T] + (edge_T + 1) * _GAMMA) >> (64 - _BITS)) & (2**_BITS - 1)
        reached_T = torch.where(draw_T < bar[edge_T], simulation_T * nodes + target[edge_T], many * nodes)
        marked = torch.zeros(many * nodes + 1, dtype=torch.bool, device=start.device)
        new = marked.index_fill_(0, reached_T, True)[:-1].view(many, nodes) & ~active
        active |= new
    return active.sum(1)


def _places(flags: torch.Tensor, many: int) -> torch.Tensor:
    """Where flags are set, (F,), their number known: `nonzero` would ask the device for it."""
    slot = torch.where(flags, flags.cumsum(0) - 1, many)
    found = torch.empty(many + 1, dtype=torch.int64, device=flags.device)
    return found.scatter_(0, slot, torch.arange(len(flags), device=flags.device))[:-1]


def _mixed(state: torch.Tensor) -> torch.Tensor:
    """SplitMix64's scrambling; torch shifts signed numbers, so the bits that come in are masked off."""
    z = (state ^ _shifted(state, 30)) * _FIRST
    z = (z ^ _shifted(z, 27)) * _SECOND
    return z ^ _shifted(z, 31)


def _shifted(state: torch.Tensor, by: int) -> torch.Tensor:
    kept: torch.Tensor = (state >> by) & (2 ** (64 - by) - 1)
    return kept
