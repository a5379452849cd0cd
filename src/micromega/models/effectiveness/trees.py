"""Growing LightGBM's trees on described posts, and keeping them as a tensor of text, as checkpoints hold tensors only.

Shapes: N rows, C columns.
"""

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.models.effectiveness.config import TreesConfig

Reals = NDArray[np.float64]
LOW, HIGH = 0.16, 0.84
"""Quantiles whose distance tells how spread an outcome is: a standard deviation on both sides, were it normal."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows for trees.

    Attributes:
        columns: (N, C), NaN where missing.
        target: (N,) log outcomes.
        categorical: places of the columns that are codes.
    """

    columns: NDArray[np.float32]
    target: Reals
    categorical: tuple[int, ...]


def grow(config: TreesConfig, training: Table, tuning: Table, *, seed: int, quantile: float | None = None) -> Tensor:
    """Grow trees, and keep as many as fit the tuning rows best.

    Args:
        config: how.
        training: rows to learn from.
        tuning: rows that say how many trees to keep.
        seed: draw of rows and columns.
        quantile: of the target; None: its mean.

    Returns:
        (N,) uint8, the model as LightGBM's text.
    """
    goal: dict[str, Any] = (
        {"objective": "l2", "metric": "l2"}
        if quantile is None
        else {"objective": "quantile", "alpha": quantile, "metric": "quantile"}
    )
    settings = goal | {
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.leaf_size,
        "feature_fraction": config.column_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "cat_l2": 10.0 + config.l2,
        "seed": seed,
        "num_threads": config.threads,
        "deterministic": True,
        "force_row_wise": True,  # else LightGBM times both ways and takes the faster one
        "verbosity": -1,
    }
    categorical = list(training.categorical)
    learned = lightgbm.Dataset(
        training.columns, training.target, categorical_feature=categorical, params=settings, free_raw_data=False
    )
    judged = lightgbm.Dataset(tuning.columns, tuning.target, reference=learned, categorical_feature=categorical)
    stop = lightgbm.early_stopping(config.patience, verbose=False)
    most = config.most if quantile is None else config.quantile_trees
    booster = lightgbm.train(settings, learned, most, valid_sets=[judged], callbacks=[stop])
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return torch.from_numpy(np.frombuffer(text.encode(), dtype=np.uint8).copy())


def read_trees(text: Tensor) -> lightgbm.Booster:
    """Turn what `grow` gave back into trees."""
    return lightgbm.Booster(model_str=bytes(text.cpu().numpy()).decode())


def predict(trees: lightgbm.Booster, columns: NDArray[np.float32], threads: int) -> Reals:
    """(N,) predictions."""
    return np.asarray(trees.predict(columns, num_threads=threads), np.float64)


def contributions(trees: lightgbm.Booster, columns: NDArray[np.float32]) -> Reals:
    """(N, C + 1) what each column adds to each prediction (TreeSHAP); last the constant."""
    return np.asarray(trees.predict(columns, pred_contrib=True), np.float64)
