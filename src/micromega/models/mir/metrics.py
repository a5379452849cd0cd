"""Ranking metrics of the paper's section 5.3, over queries (brands) of any length.

`auc`, `cauc`, `recall_at_k` and `median_first_rank` take flat arrays: scores (N,), labels (N,) 0/1, queries (N,) ids.
`metrics_by_brand` and `ranking_metrics` take a matrix with the same candidates for every brand, and are faster. All
depend on the order of the scores alone, so any increasing transform leaves them unchanged (torchmetrics' retrieval
metrics drop positives with negative scores). Queries without a positive, or for AUC without a negative, are left out of
the mean.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.models.mir import ranks

BLOCK = 2**21
"""Scores sorted at a time, so that memory beyond the scores stays below about 200 MB."""


def auc(scores: ArrayLike, labels: ArrayLike, queries: ArrayLike) -> float:
    """Probability that a positive scores above a negative of the same query, ties counting one half; mean over queries.

    Args:
        scores: (N,) finite numbers.
        labels: (N,) 1 for a positive, 0 for a negative.
        queries: (N,) query of each row.

    Returns:
        AUC in [0, 1]; NaN where no query has both classes.

    Raises:
        DataError: lengths differ or a score is not finite.

    Example:
        >>> auc([0.9, 0.2, 0.4, -1.0], [1, 0, 1, 0], [7, 7, 8, 8])
        1.0
    """
    s, y, q, n = _flat(scores, labels, queries)
    positives = np.bincount(q, weights=y, minlength=n)
    negatives = np.bincount(q, minlength=n) - positives
    rank_sum = np.bincount(q, weights=_average_ranks(s, q) * y, minlength=n)
    both = (positives > 0) & (negatives > 0)
    wins = rank_sum[both] - positives[both] * (positives[both] + 1) / 2
    return _mean(wins / (positives[both] * negatives[both]))


def cauc(scores: ArrayLike, labels: ArrayLike, queries: ArrayLike, same_category: ArrayLike) -> float:
    """AUC against negatives of the query's own category alone.

    Args:
        scores: (N,) finite numbers.
        labels: (N,) 0/1.
        queries: (N,) query of each row.
        same_category: (N,) whether the row's creator belongs to the query's category; positives count either way.

    Returns:
        cAUC in [0, 1]; NaN where no query has both classes.

    Raises:
        DataError: lengths differ or a score is not finite.
    """
    labels = np.asarray(labels)
    keep = (labels == 1) | np.asarray(same_category, dtype=bool)
    return auc(np.asarray(scores)[keep], labels[keep], np.asarray(queries)[keep])


def recall_at_k(scores: ArrayLike, labels: ArrayLike, queries: ArrayLike, k: int) -> float:
    """Share of a query's positives within its first k; mean over queries. Among equal scores a positive comes last.

    Args:
        scores: (N,) finite numbers.
        labels: (N,) 0/1.
        queries: (N,) query of each row.
        k: length of the shortlist.

    Returns:
        Recall in [0, 1]; NaN where no query has a positive.

    Raises:
        DataError: lengths differ or a score is not finite.

    Example:
        >>> recall_at_k([3, 2, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0], k=2)
        0.5
    """
    s, y, q, n = _flat(scores, labels, queries)
    positives = np.bincount(q, weights=y, minlength=n)
    found = np.bincount(q, weights=y * (_last_ranks(s, q) <= k), minlength=n)
    return _mean(found[positives > 0] / positives[positives > 0])


def median_first_rank(scores: ArrayLike, labels: ArrayLike, queries: ArrayLike) -> float:
    """Median over queries of the rank of the first positive (MedR). Among equal scores a positive comes last.

    Args:
        scores: (N,) finite numbers.
        labels: (N,) 0/1.
        queries: (N,) query of each row.

    Returns:
        Median rank, 1 is best; NaN where no query has a positive.

    Raises:
        DataError: lengths differ or a score is not finite.

    Example:
        >>> median_first_rank([3, 2, 1, 5, 4], [0, 1, 1, 1, 0], [0, 0, 0, 1, 1])
        1.5
    """
    s, y, q, n = _flat(scores, labels, queries)
    first = np.full(n, np.inf)
    np.minimum.at(first, q[y == 1], _last_ranks(s, q)[y == 1])
    found = first[np.isfinite(first)]
    return float(np.median(found)) if len(found) else float("nan")


def metrics_by_brand(
    scores_BM: NDArray[Any],
    labels_BM: NDArray[np.bool_],
    same_category_BM: NDArray[np.bool_],
    recall_at: tuple[int, ...],
) -> dict[str, NDArray[np.float64]]:
    """Compute the metrics of each brand, for intervals and tests over brands.

    Args:
        scores_BM: (B, M) finite scores.
        labels_BM: (B, M) positives.
        same_category_BM: (B, M) creators of the brand's own category.
        recall_at: values of k.

    Returns:
        auc, cauc, recall_at_<k> and first_rank, (B,) each; NaN where a brand has no positive or, for AUC, no negative.

    Raises:
        DataError: shapes differ or a score is not finite.
    """
    scores_BM = np.asarray(scores_BM)
    shapes = [np.shape(array) for array in (scores_BM, labels_BM, same_category_BM)]
    if scores_BM.ndim != 2 or len(set(shapes)) > 1:
        raise DataError(f"scores, labels and same_category must be matrices of one shape, got {shapes}.")
    brands, creators = scores_BM.shape
    names = ("auc", "cauc", *(f"recall_at_{k}" for k in recall_at), "first_rank")
    values = {name: np.full(brands, np.nan) for name in names}
    step = max(1, BLOCK // max(creators, 1))
    for start in range(0, brands if creators else 0, step):
        rows = slice(start, start + step)
        block = np.array(scores_BM[rows])  # a copy: torch warns of arrays that it may not write
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            raise DataError(
                f"scores: row {start + row}, column {column} is {block[row, column]}. A ranking needs finite scores."
            )
        labels = torch.from_numpy(np.array(labels_BM[rows], dtype=bool))
        same_category = torch.from_numpy(np.array(same_category_BM[rows], dtype=bool))
        order = ranks.order_of(torch.from_numpy(block))
        values["auc"][rows] = ranks.auc_of(order, labels, ~labels)
        values["cauc"][rows] = ranks.auc_of(order, labels, same_category & ~labels)
        for k in recall_at:
            values[f"recall_at_{k}"][rows] = ranks.recall_of(order, labels, k)
        values["first_rank"][rows] = ranks.first_rank_of(order, labels)
    return values


def ranking_metrics(
    scores_BM: NDArray[Any],
    labels_BM: NDArray[np.bool_],
    same_category_BM: NDArray[np.bool_],
    recall_at: tuple[int, ...],
) -> dict[str, float]:
    """Compute the paper's metrics from score matrices.

    Args:
        scores_BM: (B, M) finite scores.
        labels_BM: (B, M) positives.
        same_category_BM: (B, M) creators of the brand's own category.
        recall_at: values of k.

    Returns:
        auc, cauc, recall_at_<k> (means over brands) and median_first_rank; NaN where no brand has a value.

    Raises:
        DataError: shapes differ or a score is not finite.
    """
    values = metrics_by_brand(scores_BM, labels_BM, same_category_BM, recall_at)
    ranks_B = values.pop("first_rank")
    found = ranks_B[~np.isnan(ranks_B)]
    means = {name: _mean(value[~np.isnan(value)]) for name, value in values.items()}
    return {**means, "median_first_rank": float(np.median(found)) if len(found) else float("nan")}


def _flat(
    scores: ArrayLike, labels: ArrayLike, queries: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.int64], int]:
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    ids, q = np.unique(np.asarray(queries), return_inverse=True)
    if not s.ndim == y.ndim == q.ndim == 1 or not len(s) == len(y) == len(q):
        msg = f"scores, labels and queries must be flat and of one length, got shapes {s.shape}, {y.shape}, {q.shape}."
        raise DataError(msg)
    if not np.isfinite(s).all():
        row = int(np.flatnonzero(~np.isfinite(s))[0])
        count = int((~np.isfinite(s)).sum())
        msg = f"scores: {count} values are not finite (first: row {row}). A ranking needs finite scores."
        raise DataError(msg)
    return s, (y == 1).astype(np.float64), q, len(ids)


def _sorted_groups(
    s: NDArray[np.float64], q: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Order by (query, score); position within the query; tie group of each sorted row."""
    order = np.lexsort((s, q))
    starts = np.concatenate([[0], np.cumsum(np.bincount(q))[:-1]]) if len(q) else np.zeros(0, np.int64)
    position = np.arange(len(q)) - starts[q[order]]
    new = np.ones(len(q), dtype=bool)
    new[1:] = (np.diff(q[order]) != 0) | (np.diff(s[order]) != 0)
    return order, position, np.cumsum(new) - 1


def _average_ranks(s: NDArray[np.float64], q: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ascending rank within the query from 1, ties sharing their mean."""
    order, position, tie = _sorted_groups(s, q)
    mean = np.bincount(tie, weights=position + 1.0) / np.maximum(np.bincount(tie), 1)
    ranks = np.empty(len(s))
    ranks[order] = mean[tie]
    return ranks


def _last_ranks(s: NDArray[np.float64], q: NDArray[np.int64]) -> NDArray[np.float64]:
    """Descending rank within the query from 1, every member of a tie at the tie's last place."""
    order, position, tie = _sorted_groups(s, q)
    size = np.bincount(q) if len(q) else np.zeros(0, np.int64)
    first = np.zeros(int(tie[-1]) + 1 if len(tie) else 0, dtype=np.int64)
    first[tie[::-1]] = position[::-1]
    ranks = np.empty(len(s))
    ranks[order] = size[q[order]] - first[tie]
    return ranks


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
