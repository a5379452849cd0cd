"""How much of what really drives a simulated post can be read from its vector by a straight line.

Shapes: N posts, D numbers of a representation, K dimensions of a true latent.
"""

import math
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.market.market import Market
from micromega.models.vsvae.result import Probe

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

TRUTHS = {"content": ("subject", "style"), "posts": ("quality", "log_rate", "log_start")}
"""Table of the truth -> latents of posts in it."""
PENALTIES = np.logspace(-2, 6, 17)
"""Ridge penalties tried, on standardised columns."""


def true_latents(market: Market, post_ids: pa.Array) -> dict[str, NDArray[np.float64]]:
    """Give the simulator's truth about some posts, for evaluation alone.

    Args:
        market: simulated, or any other.
        post_ids: ids of N posts.

    Returns:
        latent -> (N, K), NaN where the truth does not know a post; nothing where the market keeps no truth.
    """
    found = {}
    for name, latents in TRUTHS.items():
        if not (market.path / "truth" / f"{name}.parquet").is_file():
            continue
        truth = market.truth(name)
        place = pc.index_in(post_ids, value_set=truth["post_id"].combine_chunks())
        rows = truth.select([latent for latent in latents if latent in truth.column_names]).take(place)
        for latent in rows.column_names:
            column = rows[latent].combine_chunks()
            if pa.types.is_fixed_size_list(column.type):
                values = np.full((len(column), column.type.list_size), np.nan)
                values[column.is_valid().to_numpy(zero_copy_only=False)] = (
                    column.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
                )
            else:
                values = column.to_numpy(zero_copy_only=False).astype(np.float64)[:, None]
            found[latent] = values
    return found


def probe(
    representations: Mapping[str, Floats], truths: Mapping[str, Floats], *, train: Ints, test: Ints
) -> tuple[Probe, ...]:
    """Predict each latent from each representation by ridge regression.

    Args:
        representations: name -> (N, D), finite.
        truths: latent -> (N, K); posts where it is NaN are left out.
        train: rows that the regression and its penalty are learned from.
        test: rows that it is judged on.

    Returns:
        One probe for each latent.
    """
    probes = []
    for target, truth_NK in truths.items():
        known_N: NDArray[np.bool_] = np.isfinite(truth_NK.sum(axis=1))
        learned, judged = train[known_N[train]], test[known_N[test]]
        if len(learned) < 2 or len(judged) < 2:
            continue
        scores = {
            name: r_squared(truth_NK[judged], ridge(value_ND[learned], truth_NK[learned], value_ND[judged]))
            for name, value_ND in representations.items()
        }
        probes.append(Probe(target=target, dimensions=truth_NK.shape[1], scores=scores, posts=len(judged)))
    return tuple(probes)


def ridge(x_ND: Floats, y_NK: Floats, new_MD: Floats) -> NDArray[np.float64]:
    """Predict by ridge regression on standardised columns, the penalty chosen by leaving one post out.

    The errors of leaving each post out follow from one decomposition (Golub, Heath & Wahba 1979), so that many
    penalties cost little more than one.

    Args:
        x_ND: (N, D) to learn from.
        y_NK: (N, K) targets; one penalty serves all.
        new_MD: (M, D) to predict from.

    Returns:
        (M, K).
    """
    mean_D, deviation_D = x_ND.mean(axis=0, dtype=np.float64), x_ND.std(axis=0, dtype=np.float64)
    deviation_D = np.where(deviation_D > 0, deviation_D, 1)
    scaled_ND = (x_ND - mean_D) / deviation_D
    mean_K = y_NK.mean(axis=0, dtype=np.float64)
    centred_NK = y_NK - mean_K
    square_R, rotation_DR = np.linalg.eigh(scaled_ND.T @ scaled_ND)
    kept = square_R > 1e-10 * max(float(square_R.max()), 1e-300)
    square_R, rotation_DR = square_R[kept], rotation_DR[:, kept]
    basis_NR = scaled_ND @ rotation_DR / np.sqrt(square_R)
    weight_RK = basis_NR.T @ centred_NK
    best, chosen = math.inf, PENALTIES[0]
    for penalty in PENALTIES:
        shrink_R = square_R / (square_R + penalty)
        leverage_N = (basis_NR**2) @ shrink_R + 1 / len(x_ND)  # 1/N: the mean is learned as well
        left_out_NK = centred_NK - basis_NR @ (shrink_R[:, None] * weight_RK)
        error = float(((left_out_NK / np.maximum(1 - leverage_N, 1e-12)[:, None]) ** 2).mean())
        if error < best:
            best, chosen = error, penalty
    slope_DK = rotation_DR @ (weight_RK * (np.sqrt(square_R) / (square_R + chosen))[:, None])
    return np.asarray((new_MD - mean_D) / deviation_D @ slope_DK + mean_K)


def r_squared(truth_NK: Floats, predicted_NK: Floats) -> float:
    """R² with dimensions weighted by their variance: 1 − all squared errors / all squared deviations from the mean."""
    total = float(((truth_NK - truth_NK.mean(axis=0, dtype=np.float64)) ** 2).sum())
    return 1 - float(((truth_NK - predicted_NK) ** 2).sum()) / total if total else math.nan
