"""How alike the brands of a category are, with average and with weighted pooling (Gan et al. 2019, figure 5)."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.models.evaluation import SelfSimilarity
from micromega.models.mir.data import MIRData
from micromega.models.mir.features import view_features

Floats = NDArray[np.float64]


def self_similarity(data: MIRData) -> SelfSimilarity | None:
    """Compare the brands of each category with one another.

    All brands that take part are compared, since nothing here is learned. Their features are standardised over these
    brands: the cosine is then 0 for brands that have nothing in common but being brands.

    Args:
        data: a set-up datamodule; the pooling that it does not use is computed here, for brands alone.

    Returns:
        None where the market has no posts, or no category two brands with a vector.
    """
    accounts = data.accounts
    assert accounts is not None
    if not accounts.members.shape[1]:
        return None
    rows = np.flatnonzero(accounts.brand_categories[: len(accounts.brand_ids) - accounts.cold] != "")
    if len(rows) < 2:
        return None
    categories = accounts.brand_categories[rows]
    own = {name: values[rows] for name, values in accounts.features.items()}
    if data.config.pooling == "average":
        pooled = {"average": own, "weighted": _pooled(data, rows, "weighted")}
    else:
        pooled = {"average": _pooled(data, rows, "average"), "weighted": own}
    cosines = {name: mean_cosines(_unit(features), categories) for name, features in pooled.items()}
    names, counts = np.unique(categories, return_counts=True)
    shown = np.isfinite(cosines["average"][0]) & np.isfinite(cosines["weighted"][0])
    if not shown.any():
        return None
    return SelfSimilarity(
        categories=names[shown],
        brands=counts[shown],
        average=cosines["average"][0][shown],
        weighted=cosines["weighted"][0][shown],
        between=(cosines["average"][1], cosines["weighted"][1]),
    )


def mean_cosines(unit: Floats, categories: NDArray[np.str_]) -> tuple[Floats, float]:
    """Mean cosine over all pairs of rows within each category, and over all pairs of different categories.

    Sums of vectors stand for sums over pairs: Σ_{i≠j} u_i·u_j = |Σ u_i|² − Σ |u_i|².

    Args:
        unit: (n, d) rows of length 1; a row of zeros has no direction and counts in no pair.
        categories: (n,) category of each row.

    Returns:
        (C,) by ascending category, NaN where fewer than two rows have a direction; and the mean between categories.
    """
    names, code = np.unique(categories, return_inverse=True)
    held = np.einsum("nd,nd->n", unit, unit)
    sums = np.zeros((len(names), unit.shape[1]))
    np.add.at(sums, code, unit)
    counts, own = (np.bincount(code, weights=values, minlength=len(names)) for values in (held > 0, held))
    squares = np.einsum("cd,cd->c", sums, sums)
    pairs = counts * (counts - 1)
    within = np.divide(squares - own, pairs, out=np.full(len(names), np.nan), where=pairs > 0)
    across = counts.sum() ** 2 - np.square(counts).sum()
    total = sums.sum(axis=0)
    return within, float((total @ total - squares.sum()) / across) if across else float("nan")


def _pooled(
    data: MIRData, rows: NDArray[np.int64], pooling: Literal["average", "weighted"]
) -> dict[str, NDArray[np.float32]]:
    """Features of some brands, pooled in another way than the datamodule's."""
    accounts, market = data.accounts, data.market
    assert accounts is not None
    posts, table = market.table("posts"), market.table("accounts")
    ids = table["account_id"].combine_chunks()

    def place(values: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
        return np.asarray(pc.fill_null(pc.index_in(values, value_set=ids), -1), dtype=np.int64)

    return view_features(
        market,
        posts,
        table,
        place(posts["account_id"]),
        accounts.members[rows],
        replace(data.config, pooling=pooling),
        view_account=place(pa.array(accounts.brand_ids[rows])),
    )


def _unit(features: dict[str, NDArray[np.float32]]) -> Floats:
    """(n, d) modalities standardised over the rows, side by side, each row of length 1 (or 0)."""
    side_by_side = np.concatenate(list(features.values()), axis=1).astype(np.float64)
    side_by_side -= side_by_side.mean(axis=0)
    deviation = side_by_side.std(axis=0)
    side_by_side /= np.where(deviation > 1e-9, deviation, np.inf)  # a constant column says nothing
    length = np.linalg.norm(side_by_side, axis=1, keepdims=True)
    return np.asarray(side_by_side / np.where(length > 0, length, 1))
