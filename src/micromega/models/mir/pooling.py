"""Account history pooling: many posts to one vector (Gan et al. 2019, section 3.2.1)."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_MEAN_FLOOR = 1e-6
_RATIO_LIMIT = 50.0
_COLUMNS = 512
"""Columns pooled at a time by `pool_columns`: pooling works on copies in double precision."""


def pool(
    posts: NDArray[np.float32], members: sparse.csr_matrix, *, weighted: bool = False, gamma: float = 1 / 3
) -> NDArray[np.float32]:
    """Pool each account's posts by eq. 2 (average) or eq. 3–4 (weighted).

    A short history is simply a smaller set: nothing is padded. Eq. 4 divides by the mean, which for text has both
    signs and may vanish: |μ| is used, σ/|μ| is clipped at 50, and where |μ| < 1e-6 the weight is 1.

    Args:
        posts: (P, d) post features.
        members: (A, P) sparse 0/1, which posts stand for which account; an account without posts pools to zeros.
        weighted: whether to multiply by w = exp(−γ σ/|μ|).
        gamma: γ, the scaling factor of eq. 4.

    Returns:
        (A, d) float32, one row an account.
    """
    count = np.maximum(np.asarray(members.sum(axis=1), dtype=np.float64), 1.0).reshape(-1, 1)
    wide = posts.astype(np.float64)
    mean = np.asarray(members @ wide) / count
    if not weighted:
        return mean.astype(np.float32)
    variance = np.asarray(members @ np.square(wide)) / count - np.square(mean)
    size = np.abs(mean)
    ratio = np.sqrt(np.maximum(variance, 0.0)) / np.maximum(size, _MEAN_FLOOR)
    weight = np.where(size < _MEAN_FLOOR, 1.0, np.exp(-gamma * np.minimum(ratio, _RATIO_LIMIT)))
    return (weight * mean).astype(np.float32)


def pool_columns(
    posts: NDArray[np.float32], members: sparse.csr_matrix, *, weighted: bool = False, gamma: float = 1 / 3
) -> NDArray[np.float32]:
    """Pool as `pool` does, some columns at a time, so that memory hardly exceeds that of the arrays."""
    pooled = np.empty((members.shape[0], posts.shape[1]), dtype=np.float32)
    for first in range(0, posts.shape[1], _COLUMNS):
        columns = slice(first, first + _COLUMNS)
        pooled[:, columns] = pool(posts[:, columns], members, weighted=weighted, gamma=gamma)
    return pooled


def latest_posts(
    account: NDArray[np.int64],
    post: NDArray[np.int64],
    recency: NDArray[np.int64],
    *,
    limit: int,
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    """Keep the latest posts of each account.

    Args:
        account: (E,) account of each entry.
        post: (E,) post of each entry.
        recency: (P,) sort key of each post, larger is later; ties fall by post number.
        limit: N_hist, how many to keep.
        shape: (A, P).

    Returns:
        (A, P) sparse 0/1 float32.
    """
    order = np.lexsort((-post, -recency[post], account))
    account, post = account[order], post[order]
    starts = np.concatenate([[0], np.cumsum(np.bincount(account, minlength=shape[0]))[:-1]])
    kept = np.arange(len(account)) - starts[account] < limit
    return sparse.csr_matrix((np.ones(int(kept.sum()), np.float32), (account[kept], post[kept])), shape=shape)
