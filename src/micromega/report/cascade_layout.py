"""Where accounts stand in a picture of their network: springs along edges, repulsion (Fruchterman & Reingold 1991).

The same network gives the same picture. Shapes: N accounts, E edges.
"""

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.random_numbers import compiled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
ROUNDS = 120
GRAVITY = 0.08
"""Pull to the middle, so that parts without a link do not drift away."""


def layout(nodes: int, pairs: Integers, *, rounds: int = ROUNDS, seed: int = 0) -> Floats:
    """Place accounts in the plane.

    Accounts without an edge stand in a row below the others.

    Args:
        nodes: N.
        pairs: linked accounts, either way, (E, 2).
        rounds: of moves; each costs N².
        seed: of where they start.

    Returns:
        (N, 2), within [0, 1].
    """
    place = np.zeros((nodes, 2))
    linked = np.unique(pairs)
    if len(linked):
        number = np.full(nodes, -1)
        number[linked] = np.arange(len(linked))
        pair = number[np.unique(np.sort(pairs, axis=1), axis=0)]
        at = np.random.default_rng(seed).uniform(-0.5, 0.5, (len(linked), 2))
        degree = np.bincount(pair.ravel(), minlength=len(linked)).astype(np.float64)
        _relax(at, pair, degree, rounds, 1.0 / np.sqrt(len(linked)))
        low, high = np.percentile(at, [0.5, 99.5], axis=0)
        place[linked] = np.clip((at - low) / np.maximum(high - low, 1e-9), -0.03, 1.03)
    alone = np.setdiff1d(np.arange(nodes), linked)
    if len(alone):
        row = np.arange(len(alone))
        place[alone] = np.column_stack([(row % 60 + 0.5) / 60, -0.1 - 0.03 * (row // 60)])
    return place


@compiled
def _relax(at: Floats, pair: Integers, degree: Floats, rounds: int, ideal: float) -> None:
    """Move all by the force on them, less far each round; hubs are pulled less by each of their many edges."""
    many = len(at)
    force = np.empty((many, 2))
    for turn in range(rounds):
        warm = 0.1 * (1.0 - turn / rounds) + 0.002
        for i in range(many):
            fx, fy = -GRAVITY * at[i, 0] * np.sqrt(many), -GRAVITY * at[i, 1] * np.sqrt(many)
            for j in range(many):
                dx, dy = at[i, 0] - at[j, 0], at[i, 1] - at[j, 1]
                push = ideal * ideal / (dx * dx + dy * dy + 1e-7)
                fx += push * dx
                fy += push * dy
            force[i, 0], force[i, 1] = fx, fy
        for e in range(len(pair)):
            i, j = pair[e, 0], pair[e, 1]
            dx, dy = at[i, 0] - at[j, 0], at[i, 1] - at[j, 1]
            pull = np.sqrt(dx * dx + dy * dy) / ideal
            for node, sign in ((i, -1.0), (j, 1.0)):
                share = sign * pull / np.sqrt(degree[node])
                force[node, 0] += share * dx
                force[node, 1] += share * dy
        for i in range(many):
            length = np.sqrt(force[i, 0] ** 2 + force[i, 1] ** 2) + 1e-12
            step = min(length, warm) / length
            at[i, 0] += step * force[i, 0]
            at[i, 1] += step * force[i, 1]
