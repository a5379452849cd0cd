"""Building the affinity table from arrays."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from micromega.errors import ScoreError
from micromega.scores.check import codes
from micromega.scores.schema import TABLES


def affinity_table(
    *,
    brand_ids: Sequence[str] | npt.NDArray[np.str_] | pa.Array,
    creator_ids: Sequence[str] | npt.NDArray[np.str_] | pa.Array,
    scores: npt.ArrayLike,
    score_std: npt.ArrayLike | None = None,
) -> pa.Table:
    """Rank scored pairs within each brand.

    Ties are broken by creator id, so that the same scores give the same table on any machine. Rows come out by brand
    (in order of first appearance) and rank.

    Args:
        brand_ids: (N,) brand of each pair.
        creator_ids: (N,) creator of each pair.
        scores: (N,) scores, higher is better.
        score_std: (N,) standard deviations in the scores' unit, or None.

    Returns:
        The affinity table: brand_id, creator_id, score, score_std, rank.

    Raises:
        ScoreError: the arrays differ in length, or a score is not finite.

    Example:
        >>> table = affinity_table(brand_ids=["b", "b"], creator_ids=["x", "y"], scores=[0.2, 0.9])
        >>> table.column("creator_id").to_pylist(), table.column("rank").to_pylist()
        (['y', 'x'], [1, 2])
    """
    score_N = np.asarray(scores, dtype=np.float64)
    std = pa.nulls(score_N.size, pa.float64()) if score_std is None else pa.array(np.asarray(score_std, np.float64))
    brands, creators = pa.array(brand_ids, pa.string()), pa.array(creator_ids, pa.string())
    lengths = {"brand_ids": len(brands), "creator_ids": len(creators), "scores": score_N.size, "score_std": len(std)}
    if score_N.ndim != 1 or len(set(lengths.values())) > 1:
        raise ScoreError(f"affinity_table: the arrays must be of one dimension and one length, got {lengths}.")
    if not np.isfinite(score_N).all():
        bad = np.flatnonzero(~np.isfinite(score_N))
        raise ScoreError(f"affinity_table: {bad.size:,} scores are not finite (first row {bad[0]}: {score_N[bad[0]]}).")
    brand_N = codes(pa.chunked_array([brands]))
    creator_N = np.argsort(np.argsort(creators.to_numpy(zero_copy_only=False), kind="stable"), kind="stable")
    order = np.lexsort((creator_N, -score_N, brand_N))
    sorted_brand = brand_N[order]
    starts = np.flatnonzero(np.r_[True, sorted_brand[1:] != sorted_brand[:-1]]) if order.size else order
    rank_N = np.arange(order.size) - np.repeat(starts, np.diff(np.r_[starts, order.size])) + 1
    take = pa.array(order)
    columns = [brands.take(take), creators.take(take), pa.array(score_N[order]), std.take(take), pa.array(rank_N)]
    return pa.table(columns, schema=TABLES["affinity"].schema)
