"""The document's two baselines: creators drawn at random, and those whose own power is nearest to the need."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def random_selection(allowed: Integers, needs: int, *, allow_repeats: bool, seed: int) -> Integers:
    """Draw a creator for each need (Random Selection).

    Args:
        allowed: rows that may be chosen, (A,).
        needs: J.
        allow_repeats: whether one may be drawn twice.
        seed: of the draw.

    Returns:
        Rows, (J,).
    """
    return np.random.default_rng(seed).choice(allowed, needs, replace=allow_repeats)


def fast_selection(activation: Floats, needs: Floats, allowed: Integers, *, allow_repeats: bool) -> Integers:
    """For each need in turn take the creator whose expected reach alone is nearest to it (Fast Selection).

    Args:
        activation: G_P, (K, N).
        needs: V, (J,).
        allowed: rows that may be chosen, (A,); of equal ones the first.
        allow_repeats: whether one may be taken for several needs.

    Returns:
        Rows, (J,).
    """
    power = activation[allowed].sum(axis=1)
    free = np.ones(len(allowed), bool)
    chosen = np.empty(len(needs), np.int64)
    for j, need in enumerate(needs.tolist()):
        at = int(np.argmin(np.where(free, np.abs(power - need), np.inf)))
        chosen[j] = allowed[at]
        free[at] = allow_repeats
    return chosen
