"""What a view of an account looks like: one pooled vector per modality.

Shapes: P posts, V views, d length of a modality's vector.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from micromega.errors import DataError
from micromega.features.text import Tokens, text_features, tokenise
from micromega.features.word_vectors import load_word_vectors
from micromega.market.arrays import FeatureArray
from micromega.market.market import Market
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.pooling import pool

_BLOCK = 1 << 24
"""Numbers of a feature array worked on at a time."""
_COLUMNS = 512
"""Columns pooled at a time: pooling works on copies in double precision."""


def view_features(
    market: Market,
    posts: pa.Table,
    accounts: pa.Table,
    author: NDArray[np.int64],
    members: sparse.csr_matrix,
    config: MIRDataConfig,
) -> dict[str, NDArray[np.float32]]:
    """Pool the posts of every view.

    Args:
        market: feature arrays are needed for the modality "visual".
        posts: table of P posts.
        accounts: table of accounts.
        author: (P,) row of each post's author in `accounts`.
        members: (V, P) sparse 0/1, which posts stand for which view.
        config: which modalities, and how to pool.

    Returns:
        Modality -> (V, d), not standardised.

    Raises:
        DataError: the market lacks a feature array.
    """
    tokens = tokenise(posts["caption"])
    features: dict[str, NDArray[np.float32]] = {}
    for name in config.modalities:
        if name == "visual":
            features[name] = _visual(market, posts["post_id"], members, config)
        elif name == "text":
            table = load_word_vectors(Path(config.word_vectors)) if config.word_vectors else None
            features[name] = _pooled(text_features(tokens, table, config.hashed_size), members, config)
        else:
            features[name] = _pooled(_account_features(posts, accounts, author, tokens), members, config)
    return features


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column as floats, null as NaN."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(), dtype=np.float64)


def _pooled(posts: NDArray[np.float32], members: sparse.csr_matrix, config: MIRDataConfig) -> NDArray[np.float32]:
    weighted = config.pooling == "weighted"
    parts = [
        pool(posts[:, first : first + _COLUMNS], members, weighted=weighted, gamma=config.gamma)
        for first in range(0, posts.shape[1], _COLUMNS)
    ]
    return np.concatenate(parts, axis=1)


def _account_features(
    posts: pa.Table, accounts: pa.Table, author: NDArray[np.int64], tokens: Tokens
) -> NDArray[np.float32]:
    """(P, 5): log followers of the author, log likes and comments per 1,000 followers, log words, log hashtags.

    A missing number takes its column's mean, so that it says nothing.
    """
    followers = numbers(accounts["followers"])[author]
    per_thousand = 1000 / np.maximum(followers, 1)
    columns = np.stack(
        [
            np.log1p(followers),
            np.log1p(numbers(posts["likes"]) * per_thousand),
            np.log1p(numbers(posts["comments"]) * per_thousand),
            np.log1p(np.bincount(tokens.text, minlength=tokens.texts)),
            np.log1p(numbers(pc.list_value_length(posts["hashtags"]))),
        ],
        axis=1,
    )
    known = np.isfinite(columns)
    mean = np.where(known, columns, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, columns, mean).astype(np.float32)


def _visual(
    market: Market, post_ids: pa.ChunkedArray, members: sparse.csr_matrix, config: MIRDataConfig
) -> NDArray[np.float32]:
    """(V, d) pooled pictures, the arrays of `config.visual` side by side.

    Only posts that have the feature count. A view without any takes the mean of the views that have one: it says
    nothing.
    """
    by_view = members.tocsc()
    parts = []
    for name in config.visual:
        array = market.features(name)
        if array.key != "post_id":
            msg = f"data.visual: feature {name} is one of {array.key}s; the ranker pools features of posts."
            raise DataError(msg)
        row = array.rows_of(post_ids)
        used = np.flatnonzero((row >= 0) & (np.diff(by_view.indptr) > 0))
        used = used[array.lengths[row[used]] > 0]
        if not len(used):
            msg = (
                f'data.visual: feature {name} holds none of the posts that describe accounts in market "{market.name}".'
                " Extract it again for these posts, or take it out of data.visual."
            )
            raise DataError(msg)
        chosen = by_view[:, used].tocsr()
        pooled = _pooled_in_blocks(array, row[used], chosen, config)
        empty = np.diff(chosen.indptr) == 0
        pooled[empty] = pooled[~empty].mean(axis=0)
        parts.append(pooled)
    return np.concatenate(parts, axis=1)


def _pooled_in_blocks(
    array: FeatureArray, rows: NDArray[np.int64], members: sparse.csr_matrix, config: MIRDataConfig
) -> NDArray[np.float32]:
    """Pool some views at a time, so that the posts of one block alone are in memory.

    Args:
        array: feature of posts.
        rows: (n,) row of each post in the array.
        members: (V, n) sparse 0/1.
        config: how to pool.

    Returns:
        (V, d), zeros for a view without posts.
    """
    size = int(np.prod(array.shape))
    block = np.cumsum(np.diff(members.indptr)) * size // _BLOCK
    parts = []
    for views in np.split(np.arange(members.shape[0]), np.flatnonzero(np.diff(block)) + 1):
        own = members[views]
        posts = np.unique(own.indices)
        parts.append(_pooled(post_vectors(array, rows[posts]), own[:, posts], config))
    return np.concatenate(parts)


def post_vectors(array: FeatureArray, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read one vector per post; of a sequence, the mean of its items.

    Args:
        array: feature of posts, items of any shape.
        rows: (n,) rows of the posts, each with one item or more.

    Returns:
        (n, d) float32.
    """
    size, lengths = int(np.prod(array.shape)), array.lengths[rows]
    vectors = np.empty((len(rows), size), dtype=np.float32)
    block = np.cumsum(lengths) * size // _BLOCK
    for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(block)) + 1):
        values = array.take(rows[part]).reshape(-1, size).astype(np.float32)
        starts = np.cumsum(lengths[part]) - lengths[part]
        vectors[part] = np.add.reduceat(values, starts, axis=0) / lengths[part, None]
    return vectors
