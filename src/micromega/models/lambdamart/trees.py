"""Growing the trees with LightGBM, and keeping them as a tensor, so that checkpoints hold nothing but tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.errors import MissingExtraError
from micromega.models.lambdamart.config import LambdaMARTModelConfig

try:
    import lightgbm
except (ImportError, OSError) as error:  # OSError: a library that its own library needs (libgomp) is missing
    msg = f"model=lambdamart needs LightGBM ({error}). Run: pip install 'micromega[gbm]'"
    raise MissingExtraError(msg) from error

Trees = lightgbm.Booster


@dataclass(frozen=True, kw_only=True)
class Table:
    """Described pairs, query after query.

    Attributes:
        columns: (P, C) features.
        label: (P,) 1 for a partner, 0 for others.
        sizes: (B,) pairs of each query.
    """

    columns: NDArray[np.float32]
    label: NDArray[np.float32]
    sizes: NDArray[np.int64]


def grow(config: LambdaMARTModelConfig, training: Table, validation: Table) -> Tensor:
    """Grow trees, and keep as many as rank the validation queries best.

    Args:
        config: how.
        training: pairs to learn from.
        validation: pairs that say how many trees to keep.

    Returns:
        (N,) uint8, the model as LightGBM's text, up to the best tree.
    """
    settings = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [config.truncation],
        "lambdarank_truncation_level": config.truncation,
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.leaf_size,
        "feature_fraction": config.column_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "seed": config.seed,
        "num_threads": config.threads,
        "deterministic": True,
        "force_row_wise": True,  # else LightGBM times both ways and takes the faster one
        "verbosity": -1,
    }
    learned = lightgbm.Dataset(training.columns, training.label, group=training.sizes, params=settings)
    judged = lightgbm.Dataset(validation.columns, validation.label, group=validation.sizes, reference=learned)
    best = lightgbm.early_stopping(config.max_trees, verbose=False)  # notes the best, and never stops
    booster = lightgbm.train(settings, learned, config.max_trees, valid_sets=[judged], callbacks=[best])
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return torch.from_numpy(np.frombuffer(text.encode(), dtype=np.uint8).copy())


def read_trees(text_N: Tensor) -> Trees:
    """Turn what `grow` gave back into trees."""
    return Trees(model_str=bytes(text_N.cpu().numpy()).decode())
