"""Mean and deviation of a part's numbers, in one pass over the disk."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.models.vsvae.stored_parts import Sequences, Vectors

SAMPLE = 200_000
"""Posts measured at most, drawn at random: a mean is then off by 0.2 % of a deviation, which no network notices."""
_BLOCK = 1 << 21  # numbers in memory at a time
_SMALLEST = 1e-6  # a deviation below stands for a constant


def moments(stored: Vectors | Sequences, posts: NDArray[np.int64], seed: int) -> tuple[Tensor, Tensor]:
    """Measure the items of posts: one vector each, or all frames.

    Blocks are merged as by Chan et al. (1979), in double precision.

    Args:
        stored: the part, of d numbers.
        posts: (n,) ascending rows of posts that have it.
        seed: random seed of the sample, where there are more than `SAMPLE` posts.

    Returns:
        (d,) mean and (d,) deviation; 1 where a number is constant.
    """
    if len(posts) > SAMPLE:
        posts = np.sort(np.random.default_rng(seed).choice(posts, SAMPLE, replace=False))
    count, mean, squares = 0, np.zeros(stored.size), np.zeros(stored.size)
    numbers = np.cumsum(stored.lengths(posts)) * stored.size
    for block in np.split(posts, np.flatnonzero(np.diff(numbers // _BLOCK)) + 1):
        values = stored.items(block).astype(np.float64)
        new_mean, total = values.mean(axis=0), count + len(values)
        difference = new_mean - mean
        squares += ((values - new_mean) ** 2).sum(axis=0) + difference**2 * (count * len(values) / total)
        mean += difference * (len(values) / total)
        count = total
    deviation = np.sqrt(squares / count)
    deviation[deviation <= _SMALLEST] = 1
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(deviation.astype(np.float32))
