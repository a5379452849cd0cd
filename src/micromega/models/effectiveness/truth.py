"""What exported predictions are worth where the market's truth is known; no model reads it."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.market.simulated.known import true_outcome

SAMPLE = 20_000
"""Rows that are compared, at most."""


def compare_with_truth(market: Market, sample: Sequence[pa.Table], outcome: str) -> dict[str, float]:
    """Compare means with known expectations.

    Args:
        market: a simulated one, or any.
        sample: some rows of the table effectiveness.
        outcome: impressions, engagement or revenue.

    Returns:
        total_ratio, rank_correlation, log_error (`result.Exported`); nothing where there is no truth.
    """
    table = pa.concat_tables(sample)
    try:
        known = true_outcome(
            market,
            creator_id=table["creator_id"].to_pylist(),
            content_type=table["content_type"].to_pylist(),
            event_id=table["event_id"].to_pylist(),
            offset_days=table["offset_days"].to_pylist(),
        )
    except DataError:
        return {}
    expected, mean = getattr(known, outcome), table["mean"].to_numpy()
    return {
        "total_ratio": float(expected.sum() / mean.sum()),
        "rank_correlation": float(spearmanr(mean, expected)[0]),
        "log_error": float(np.std(np.log1p(mean) - np.log1p(expected))),
    }
