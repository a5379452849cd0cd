"""Pictures of accounts: feature arrays of posts, far too large for memory, pooled block by block.

Shapes: P posts, V views, d numbers of one item of an array.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from micromega.errors import DataError
from micromega.market.arrays import FeatureArray
from micromega.market.market import Market
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.local_response import local_response_normalised
from micromega.models.mir.pooling import pool_columns

_BLOCK = 1 << 24
"""Numbers of a feature array worked on at a time."""


def pooled_pictures(
    market: Market, post_ids: pa.ChunkedArray, members: sparse.csr_matrix, config: MIRDataConfig
) -> NDArray[np.float32]:
    """Pool pictures, the arrays of `config.visual` side by side.

    Only posts that have the feature count. A view without any takes the mean of the views that have one: it says
    nothing. Beside the result, no more than a few blocks are in memory.

    Args:
        market: has the arrays.
        post_ids: (P,) ids.
        members: (V, P) sparse 0/1, which posts stand for which view.
        config: which arrays, and how to pool.

    Returns:
        (V, sum of d).

    Raises:
        DataError: an array is none of posts, or has none of these.
    """
    arrays = [market.features(name) for name in config.visual]
    sizes = [int(np.prod(array.shape)) for array in arrays]
    pooled = np.zeros((members.shape[0], sum(sizes)), dtype=np.float32)
    by_post = members.tocsc()
    for array, part in zip(arrays, np.split(pooled, np.cumsum(sizes)[:-1], axis=1), strict=True):
        if array.key != "post_id":
            msg = f"data.visual: feature {array.name} is one of {array.key}s; the ranker pools features of posts."
            raise DataError(msg)
        row = array.rows_of(post_ids)
        used = np.flatnonzero((row >= 0) & (np.diff(by_post.indptr) > 0))
        used = used[array.lengths[row[used]] > 0]
        if not len(used):
            msg = (
                f"data.visual: feature {array.name} holds none of the posts that describe accounts in market "
                f'"{market.name}". Extract it again for these posts, or take it out of data.visual.'
            )
            raise DataError(msg)
        _pool_in_blocks(array, row[used], by_post[:, used].tocsr(), config, part)
    return pooled


def _pool_in_blocks(
    array: FeatureArray,
    rows: NDArray[np.int64],
    members: sparse.csr_matrix,
    config: MIRDataConfig,
    out: NDArray[np.float32],
) -> None:
    """Pool some views at a time, so that the posts of one block alone are in memory.

    Args:
        array: feature of posts.
        rows: (n,) row of each post in the array.
        members: (V, n) sparse 0/1.
        config: how to pool.
        out: (V, d) zeros, filled here.
    """
    counts = np.diff(members.indptr).astype(np.int64)
    block = np.cumsum(counts) * out.shape[1] // _BLOCK
    for views in np.split(np.arange(len(counts)), np.flatnonzero(np.diff(block)) + 1):
        own = members[views]
        posts = np.unique(own.indices)
        pooled = pool_columns(
            item_means(array, rows[posts]), own[:, posts], weighted=config.pooling == "weighted", gamma=config.gamma
        )
        out[views] = local_response_normalised(pooled) if config.local_response_normalisation else pooled
    empty = counts == 0
    if empty.any():
        out[empty] = out.sum(axis=0, dtype=np.float64) / (~empty).sum()  # empty rows are zeros


def pictures_of_posts(market: Market, post_ids: pa.ChunkedArray, config: MIRDataConfig) -> NDArray[np.float32]:
    """Read pictures of single posts, the arrays of `config.visual` side by side.

    Args:
        market: has the arrays.
        post_ids: (P,) ids.
        config: which arrays.

    Returns:
        (P, sum of d); a post that an array does not hold takes the mean of the others.
    """
    parts = []
    for name in config.visual:
        array = market.features(name)
        row = array.rows_of(post_ids)
        has = row >= 0
        has[has] = array.lengths[row[has]] > 0
        values = np.zeros((len(row), int(np.prod(array.shape))), dtype=np.float32)
        if has.any():
            values[has] = item_means(array, row[has])
            values[~has] = values[has].mean(axis=0)
        parts.append(values)
    return np.concatenate(parts, axis=1)


def item_means(array: FeatureArray, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read one vector per id; of a sequence, the mean of its items.

    Args:
        array: feature, items of any shape.
        rows: (n,) rows of the ids, each with one item or more.

    Returns:
        (n, d) float32.
    """
    size = int(np.prod(array.shape))
    if array.offsets is None:
        return np.asarray(array.take(rows).reshape(-1, size), dtype=np.float32)
    lengths = array.lengths[rows]
    vectors = np.empty((len(rows), size), dtype=np.float32)
    block = np.cumsum(lengths) * size // _BLOCK
    for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(block)) + 1):
        values = array.take(rows[part]).reshape(-1, size).astype(np.float32)
        starts = np.cumsum(lengths[part]) - lengths[part]
        vectors[part] = np.add.reduceat(values, starts, axis=0) / lengths[part, None]
    return vectors
