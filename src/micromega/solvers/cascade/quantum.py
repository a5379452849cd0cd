"""The document's quantum genetic algorithm: chromosomes of Q-bits, measured, and turned towards the best by gates.

A gene is a creator: the bits that name a row, each an angle θ that is measured as 1 with probability sin² θ. After each
generation a rotation gate turns every bit that differs from the best so far towards it. The document gives the sizes
(50 chromosomes, 100 iterations, a gene for each need) but neither angle nor table of gates; Zhang et al. 2006, whom it
cites, and Han & Kim 2002 use steps around 0.05 π. Nor does it say what becomes of a creator who is measured for two
needs: where that is forbidden, the later gene takes the next free row, so every chromosome may be chosen.
Shapes: R runs, C chromosomes, J needs, B bits of a gene.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
CHROMOSOMES, ITERATIONS, ROTATION = 50, 100, 0.05 * math.pi
_MARGIN = 0.02
"""Radians: no bit gets closer to certainty than that (the H-epsilon gate)."""
_ROOM = 2**24
"""Numbers that are worked on at once; more runs go in portions."""


def quantum_genetic(
    activation: Floats,
    needs: Floats,
    allowed: Integers,
    *,
    allow_repeats: bool,
    seed: int,
    runs: int = 1,
    chromosomes: int = CHROMOSOMES,
    iterations: int = ITERATIONS,
    rotation: float = ROTATION,
) -> Integers:
    """Run the algorithm, several times at once.

    Args:
        activation: G_P, (K, N).
        needs: V, (J,).
        allowed: rows that may be chosen, (A,).
        allow_repeats: whether one may have several needs; if not, such a chromosome is mended. A is then at least J.
        seed: of the measurements.
        runs: R.
        chromosomes: C.
        iterations: generations.
        rotation: angle of the gate, radians.

    Returns:
        The best of each run: rows in the order of needs, (R, J).
    """
    generator = torch.Generator().manual_seed(seed)
    chances = torch.as_tensor(activation[allowed], dtype=torch.float32)
    wanted = torch.as_tensor(needs, dtype=torch.float32)
    genes, bits = len(needs), max(1, (len(allowed) - 1).bit_length())
    weights = 2 ** torch.arange(bits)
    angle = torch.full((runs, chromosomes, genes, bits), math.pi / 4)
    best_bits = torch.zeros((runs, 1, genes, bits), dtype=torch.bool)
    best_cost = torch.full((runs,), torch.inf)
    best = torch.zeros((runs, genes), dtype=torch.int64)
    each = torch.arange(runs)
    for _ in range(iterations):
        measured = torch.rand(angle.shape, generator=generator) < torch.sin(angle) ** 2
        rows = (measured * weights).sum(dim=-1) * len(allowed) // 2**bits
        if not allow_repeats:
            mended = _without_repeats(rows, len(allowed))
            # the smallest code of a row that was put in another's place
            codes = -(-mended * 2**bits // len(allowed))
            measured = torch.where((mended != rows)[..., None], (codes[..., None] // weights) % 2 == 1, measured)
            rows = mended
        cost = _costs(chances, wanted, rows)
        lowest, at = cost.min(dim=1)
        better = lowest < best_cost
        best_cost = torch.where(better, lowest, best_cost)
        best = torch.where(better[:, None], rows[each, at], best)
        best_bits = torch.where(better[:, None, None, None], measured[each, at][:, None], best_bits)
        turn = torch.where(best_bits, rotation, -rotation) * (measured != best_bits)
        angle = (angle + turn).clamp_(_MARGIN, math.pi / 2 - _MARGIN)
    return np.asarray(allowed[best.numpy()])


def _without_repeats(rows: torch.Tensor, among: int) -> torch.Tensor:
    """Give each gene whose row an earlier gene has the next free one, counted round; rows (…, J) below `among`."""
    ordered = rows.sort(dim=-1).values
    twice = (ordered[..., 1:] == ordered[..., :-1]).any(dim=-1)
    genes = rows[twice]
    taken = torch.zeros((len(genes), among), dtype=torch.bool)
    each, every = torch.arange(len(genes)), torch.arange(among)
    for j in range(genes.shape[1]):
        clash = torch.nonzero(taken[each, genes[:, j]]).flatten()
        ahead = ((every - genes[clash, j, None]) % among).masked_fill(taken[clash], among)
        genes[clash, j] = ahead.argmin(dim=1)
        taken[each, genes[:, j]] = True
    mended = rows.clone()
    mended[twice] = genes
    return mended


def _costs(chances: torch.Tensor, wanted: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Cost (eq. 9) of each chromosome, from rows (R, C, J): eq. 3 to 8 in float32."""
    flat = rows.flatten(0, 1)
    found = []
    for part in torch.split(flat, max(1, _ROOM // (flat.shape[1] * chances.shape[1]))):
        chance = chances[part]
        total = chance.sum(dim=1)
        share = (1 - (1 - chance).prod(dim=1)) / torch.where(total > 0, total, 1)
        aware = torch.einsum("cjn,cn->cj", chance, share)
        found.append((wanted - aware).abs().sum(dim=1))
    return torch.cat(found).view(rows.shape[:2])
