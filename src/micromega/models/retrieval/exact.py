"""Exact top-k by inner product, block by block: any number of creators, bounded memory, one answer on any machine."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromega.errors import DataError

Vectors = NDArray[np.floating[Any]]
"""(N, D) vectors of any float type, in memory or memory-mapped."""

BLOCK = 16_384  # creators at a time
QUERIES = 256  # brands at a time: 16 MiB of scores with BLOCK
PAIRS = 1 << 22  # numbers gathered at a time
UNIT = 2.0**-24  # half a step of float32
LARGEST = 1e15  # products of larger numbers leave float32


def top_k_exact(
    queries_BD: Vectors, creators_MD: Vectors, k: int, *, block: int = BLOCK
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the k creators with the largest inner product for each query.

    A product of matrices in float32 leaves, per block, those creators that its rounding error cannot rule out; they are
    scored again in float64. So neither the block size nor the order in which a linear-algebra library adds changes the
    answer. Ties go to the creator with the lower row.

    Args:
        queries_BD: (B, D) queries, finite.
        creators_MD: (M, D) creators, finite; read once, in order, so they may be memory-mapped.
        k: creators per query, at least 1.
        block: creators at a time. Memory grows with `block`, not with M.

    Returns:
        Rows of the creators, (B, min(k, M)), best first, and their inner products, (B, min(k, M)).

    Raises:
        DataError: shapes do not fit, or a value is not finite.

    Example:
        >>> rows, scores = top_k_exact(np.eye(2), np.array([[0.1, 0.9], [0.8, 0.3], [0.8, 0.1]]), 2)
        >>> rows.tolist(), scores.tolist()
        ([[1, 2], [0, 1]], [[0.8, 0.8], [0.9, 0.3]])
    """
    queries_BD = np.asarray(queries_BD)
    check_shapes(queries_BD, creators_MD, k)
    float_BD = single(queries_BD)
    largest(float_BD, "queries", 0)
    brands, creators = len(queries_BD), len(creators_MD)
    k = min(k, creators)
    best_BK = np.full((brands, k), -1, dtype=np.int64)
    score_BK = np.full((brands, k), -np.inf)
    length_B = np.linalg.norm(queries_BD.astype(np.float64), axis=1)
    for first in range(0, creators, block):
        block_MD = np.asarray(creators_MD[first : first + block])
        float_MD = single(block_MD)
        error_B = _rounding_error(length_B, largest(float_MD, "creators", first), queries_BD.shape[1])
        for start in range(0, brands, QUERIES):
            some = slice(start, start + QUERIES)
            computed_BM = float_BD[some] @ float_MD.T
            bound_B = _bound(computed_BM, score_BK[some], error_B[some])
            brand_N, row_N = np.divmod(np.flatnonzero(computed_BM >= bound_B[:, None]), len(block_MD))
            score_N = _inner_products(queries_BD[some], block_MD, brand_N, row_N)
            _merge(best_BK[some], score_BK[some], brand_N, row_N + first, score_N)
    return best_BK, score_BK


def rescore(
    queries_BD: Vectors, creators_MD: Vectors, rows_BC: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Order candidates by their exact inner products, with the scores and ties of `top_k_exact`.

    Args:
        queries_BD: (B, D) queries.
        creators_MD: (M, D) creators, in memory or memory-mapped.
        rows_BC: (B, C) rows of candidates, each once per query; -1 for none.
        k: candidates to keep.

    Returns:
        Rows (B, k), best first, -1 where candidates ran out, and inner products (B, k), -inf there.
    """
    brand_N, place_N = np.nonzero(rows_BC >= 0)
    row_N = rows_BC[brand_N, place_N]
    best_BK = np.full((len(queries_BD), k), -1, dtype=np.int64)
    score_BK = np.full(best_BK.shape, -np.inf)
    _merge(best_BK, score_BK, brand_N, row_N, _inner_products(np.asarray(queries_BD), creators_MD, brand_N, row_N))
    return best_BK, score_BK


def check_shapes(queries_BD: Vectors, creators_MD: Vectors, k: int) -> None:
    """Refuse shapes that do not fit together.

    Raises:
        DataError: naming the shapes.
    """
    shapes = f"queries {tuple(queries_BD.shape)}, creators {tuple(creators_MD.shape)}"
    if len(queries_BD.shape) != 2 or len(creators_MD.shape) != 2 or queries_BD.shape[1] != creators_MD.shape[1]:
        raise DataError(f"Retrieval: vectors must be rows of one length on both sides, got {shapes}.")
    if 0 in creators_MD.shape:
        raise DataError(f"Retrieval: there is nothing to search, got {shapes}.")
    if k < 1:
        raise DataError(f"Retrieval: k must be at least 1, got {k}.")


def single(vectors_ND: Vectors) -> NDArray[np.float32]:
    """Vectors in float32; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return vectors_ND.astype(np.float32, copy=False)


def largest(vectors_ND: NDArray[np.float32], what: str, first: int) -> float:
    """Find the largest absolute value.

    Raises:
        DataError: a value is not finite or above 1e15; rows are counted from `first`.
    """
    found = max(float(vectors_ND.max(initial=0)), -float(vectors_ND.min(initial=0)))
    if not found <= LARGEST:  # also where it is NaN
        bad_N = np.flatnonzero(~(np.abs(vectors_ND) <= LARGEST).all(axis=1))
        raise DataError(
            f"Retrieval: {bad_N.size:,} {what} have values that are not finite or above 1e15 (first row "
            f"{first + bad_N[0]}). Find what made them: a training that diverged, or a feature without a value."
        )
    return found


def _rounding_error(length_B: NDArray[np.float64], most: float, dimension: int) -> NDArray[np.float64]:
    """Bound |computed − true| of float32 inner products, (B,): D·u·|q||x| (Higham 2002, sec. 3.1), with room to spare.

    The room covers values that had to be rounded to float32, and numbers below its range.
    """
    return (dimension + 4) * (UNIT * length_B * math.sqrt(dimension) * most + 1e-37 * (1 + length_B + most))


def _bound(
    computed_BM: NDArray[np.float32], score_BK: NDArray[np.float64], error_B: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Least computed score that may belong to the best k, (B,), given the best so far."""
    bound_B = score_BK[:, -1] - error_B
    spare = computed_BM.shape[1] - score_BK.shape[1]
    if spare >= 0 and not np.isfinite(bound_B).all():  # not k so far: at least the k-th best of this block
        kth_B = np.partition(computed_BM, spare, axis=1)[:, spare]
        bound_B = np.maximum(bound_B, kth_B - 2 * error_B)
    return np.nextafter(bound_B.astype(np.float32), np.float32(-np.inf))


def _inner_products(
    queries_BD: Vectors, creators_MD: Vectors, brand_N: NDArray[np.int64], row_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Inner products of pairs in float64, (N,); a pair's value depends on its two vectors alone."""
    score_N = np.empty(row_N.size)
    step = max(PAIRS // queries_BD.shape[1], 1)
    for start in range(0, row_N.size, step):
        some = slice(start, start + step)
        brand_ND = queries_BD[brand_N[some]].astype(np.float64)
        np.einsum("nd,nd->n", brand_ND, np.asarray(creators_MD[row_N[some]], dtype=np.float64), out=score_N[some])
    return score_N


def _merge(
    best_BK: NDArray[np.int64],
    score_BK: NDArray[np.float64],
    brand_N: NDArray[np.int64],
    row_N: NDArray[np.int64],
    score_N: NDArray[np.float64],
) -> None:
    """Put candidates into the best so far, in place."""
    touched, brand_N = np.unique(brand_N, return_inverse=True)  # late blocks hold news for few brands
    k = best_BK.shape[1]
    brand = np.concatenate([np.repeat(np.arange(touched.size), k), brand_N])
    row = np.concatenate([best_BK[touched].ravel(), row_N])
    score = np.concatenate([score_BK[touched].ravel(), score_N])
    order = np.lexsort((row, -score, brand))
    kept = order[np.searchsorted(brand[order], np.arange(touched.size))[:, None] + np.arange(k)]
    best_BK[touched], score_BK[touched] = row[kept], score[kept]
