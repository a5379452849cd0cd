"""The learner that tries to predict residuals; any function of the same form can stand in for it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from micromega.errors import MissingExtraError

Reals = NDArray[np.float64]

Predictor = Callable[[Reals, Reals, Reals], Reals]
"""From features (n, K) and targets (n,) to learn from, and other features (m, K), to predictions (m,)."""


def boosted_trees(*, trees: int = 60, leaves: int = 15, seed: int = 0) -> Predictor:
    """Gradient-boosted trees of scikit-learn.

    Args:
        trees: how many.
        leaves: of each, at most.
        seed: of the trees.

    Returns:
        The learner.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415  (optional, slow to import)
    except ImportError as error:
        msg = 'Predicting residuals needs scikit-learn: pip install "micromega[gbm]", or give a predictor.'
        raise MissingExtraError(msg) from error

    def fit_predict(features: Reals, target: Reals, others: Reals) -> Reals:
        model = HistGradientBoostingRegressor(
            max_iter=trees, max_leaf_nodes=leaves, learning_rate=0.1, early_stopping=False, random_state=seed
        )
        return np.asarray(model.fit(features, target).predict(others), dtype=np.float64)

    return fit_predict


def cluster_folds(cluster: NDArray[np.int64], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Fold of each row, (N,), 0 … folds − 1; rows of one cluster share a fold, and folds have alike many clusters."""
    clusters = int(cluster.max()) + 1
    return rng.permutation(np.arange(clusters) % folds)[cluster]
