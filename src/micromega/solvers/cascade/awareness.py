"""From the activation matrix to awareness of each need: equations 3 to 10, as pure functions.

Shapes: K possible creators (the rows of G_P), N accounts, J needs; leading dimensions (…) run over sets of creators.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
T = TypeVar("T", float, Floats)


def influence(activation: ArrayLike, creators: ArrayLike) -> Floats:
    """G_A: how likely each chosen creator alone activates each account (eq. 3).

    Args:
        activation: G_P, (K, N).
        creators: row of the creator of each need, (…, J).

    Returns:
        (…, J, N).
    """
    return np.asarray(activation, np.float64)[np.asarray(creators, np.int64)]


def donation(influence_JN: ArrayLike) -> Floats:
    """G_D: how likely each account donates each need, all creators being there (eq. 4 to 7).

    Chances multiply as if creators reached an account independently of each other, and an account that is reached
    chooses in proportion to them. Where nobody reaches an account eq. 6 is 0 / 0; it then donates nothing.

    Args:
        influence_JN: G_A, (…, J, N).

    Returns:
        (…, J, N).
    """
    chance = np.asarray(influence_JN, np.float64)
    activated = 1 - np.prod(1 - chance, axis=-2, keepdims=True)
    total = chance.sum(axis=-2, keepdims=True)
    return np.asarray(chance * np.divide(activated, total, out=np.zeros_like(total), where=total > 0))


def awareness(activation: ArrayLike, creators: ArrayLike) -> Floats:
    """Accounts that are expected to donate each need (eq. 8).

    Args:
        activation: G_P, (K, N).
        creators: row of the creator of each need, (…, J).

    Returns:
        Accounts, (…, J).
    """
    return np.asarray(donation(influence(activation, creators)).sum(axis=-1))


def cost(needs: ArrayLike, aware: ArrayLike) -> Floats:
    """Distance of awareness from need, summed over needs (eq. 9).

    Args:
        needs: V, accounts, (J,).
        aware: of `awareness`, (…, J).

    Returns:
        Accounts, (…).
    """
    return np.asarray(np.abs(np.asarray(needs, np.float64) - np.asarray(aware, np.float64)).sum(axis=-1))


def efficiency(total_cost: T, needs: ArrayLike) -> T:
    """Give 1 - cost / Σ V (eq. 10); below 0 where the cost exceeds all that is needed, NaN where nothing is.

    Args:
        total_cost: of `cost`, (…).
        needs: V, accounts, (J,).

    Returns:
        Unitless, (…).
    """
    needed = float(np.asarray(needs, np.float64).sum())
    return 1 - total_cost / needed if needed > 0 else total_cost * np.nan
