"""What evaluating a model gives back, whatever the model: plain arrays, written by `runs/evaluate.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """Scores of every (brand, creator) pair of some brands.

    Attributes:
        brand_ids: (B,) ids.
        creator_ids: (M,) ids.
        scores: (B, M) rank logits; their unit is the model's own.
        deviation: (B, M) standard deviation of the logits, or None.
        positives: (B, M) whether the pair has worked together.
    """

    brand_ids: NDArray[np.str_]
    creator_ids: NDArray[np.str_]
    scores: NDArray[np.float64]
    deviation: NDArray[np.float64] | None
    positives: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class RankingEvaluation:
    """A ranker judged on held-out brands.

    Attributes:
        metrics: method -> metric -> value, on the test brands; the model itself comes first.
        exported: pairs for the score table.
        validation: pairs of validation brands, which calibration is fitted on.
        test: pairs of test brands, which calibration is judged on.
        facts: plain values about the split and the data, for the report.
    """

    metrics: Mapping[str, Mapping[str, float]]
    exported: PairScores
    validation: PairScores
    test: PairScores
    facts: Mapping[str, Any]
