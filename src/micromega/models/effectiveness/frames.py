"""Bringing embeddings of networks that were trained apart onto one frame (orthogonal Procrustes).

Each network invents its own axes: creators of one fold would get numbers that mean something else than those of the
next. Shapes: I creators, D length of an embedding.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """How to turn one network's embeddings into another's axes."""

    rotation: Reals
    """(D, D) orthogonal."""
    source: Reals
    """(D,) mean of the embeddings that are turned."""
    target: Reals
    """(D,) mean of those that they are brought to."""

    def apply(self, vectors: Reals) -> Reals:
        """Turn embeddings, (…, D)."""
        return (vectors - self.source) @ self.rotation + self.target


def fit_frame(source: Reals, target: Reals, weight: Reals) -> Frame:
    """Find the rotation (or reflection) that brings embeddings closest to others of the same creators.

    Minimises Σ weight |(source − mean) R − (target − mean)|² over orthogonal R.

    Args:
        source: (I, D).
        target: (I, D).
        weight: (I,) 0 or more; creators that one of both has not learnt count 0.

    Returns:
        The frame; without any weight, no rotation.
    """
    share = weight / max(float(weight.sum()), 1e-12)
    from_mean, to_mean = share @ source, share @ target
    left, _, right = np.linalg.svd((source - from_mean).T @ (share[:, None] * (target - to_mean)))
    rotation = left @ right if weight.any() else np.eye(source.shape[1])
    return Frame(rotation=rotation, source=from_mean, target=to_mean)
