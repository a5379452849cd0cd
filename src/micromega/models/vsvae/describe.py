"""The vectors r of many posts, batch by batch into one array."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.models.vsvae.batch import PostBatch
from micromega.models.vsvae.network import VSVAE


def posterior_means(network: VSVAE, device: torch.device) -> Callable[[PostBatch], Tensor]:
    """Give what turns a batch into r, the posterior mean, never a sample: (B, D)."""

    def means(batch: PostBatch) -> Tensor:
        return network.encode(batch.to(device)).mean.float().cpu()

    return means


@torch.inference_mode()
def describe(
    batches: Iterable[PostBatch],
    vector: Callable[[PostBatch], Tensor | NDArray[np.float32]],
    posts: int,
    size: int,
    path: Path | None = None,
) -> NDArray[np.float32]:
    """Describe posts.

    Args:
        batches: of some of the posts.
        vector: batch -> (B, size).
        posts: M, rows of the posts table.
        size: numbers of a vector.
        path: where the array is kept (a .npy file), so that a million posts need no memory; None: in memory.

    Returns:
        (M, size), row by row as the posts table; 0 for posts that are in no batch.
    """
    shape = (posts, size)
    if path is None:
        vectors: NDArray[np.float32] = np.zeros(shape, dtype=np.float32)
    else:
        vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)  # a new file holds zeros
    for batch in batches:
        vectors[batch.post.numpy()] = np.asarray(vector(batch), dtype=np.float32)
    return vectors
