"""Residual-prediction test of the linear model (Scheidegger, Londschien and Bühlmann 2025, arXiv:2506.12771).

A learner is trained on one half of the clusters to predict the residual of two-stage least squares from (x, z). On the
other half, its predictions w are correlated with that half's own residuals. Since T = w'ê = a'e with
a = w − t̂ (t't̂)⁻¹ t'w (w, t and t̂ with the controls partialled out), its variance takes into account that the model was
estimated. A small p-value says that no linear effect of the given treatments fits: the response is not linear in them,
or the instrument is invalid. A linear direct effect of the instrument is not seen. N rows, T treatments, S splits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.clustered import codes, columns, partial_out, two_stage_least_squares
from micromega.models.deepiv.predictor import Predictor, boosted_trees

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]

_CLUSTERS = 8
_CLIP = 0.9
_FLOOR = 0.05
"""Least variance as a share of the residuals': keeps the test calm where nothing is left after estimation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidualPrediction:
    """The test's outcome.

    Attributes:
        p_value: of one split its own, of several twice their median (at most 1), which is conservative.
        statistic: of each split, (S,); large values count against the model. It is compared with
            Student's t with one degree of freedom less than clusters tested.
        rows, clusters: how many.
    """

    p_value: float
    statistic: Reals
    rows: int
    clusters: int


def residual_prediction(
    y: ArrayLike,
    t: ArrayLike,
    z: ArrayLike,
    x: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    *,
    splits: int = 5,
    predictor: Predictor | None = None,
    seed: int = 0,
) -> ResidualPrediction:
    """Test whether y = t'β + x'θ + e with E[e | x, z] = 0 holds for some β and θ.

    Args:
        y: outcome, (N,).
        t: treatment, (N,), or functions of it, (N, T).
        z: instruments, (N,) or (N, Z), at least T.
        x: controls, (N, X).
        cluster: creator, (N,); None: every row its own.
        splits: random halves to average over.
        predictor: learner; None: boosted trees.
        seed: of splits and trees.

    Returns:
        The outcome.

    Raises:
        DataError: shapes do not fit, a value is not finite, there are too few clusters or rows, or in half of them the
            instruments do not move the treatments.
        ConfigError: no split, or fewer instruments than treatments.
        MissingExtraError: no predictor is given and scikit-learn is not installed.
    """
    rows = len(np.asarray(y))
    owner = codes(cluster, rows)
    clusters = int(owner.max()) + 1
    if splits < 1:
        raise ConfigError(f"residual prediction: {splits} splits; at least 1.")
    if clusters < _CLUSTERS:
        raise DataError(f"residual prediction: {clusters} clusters (creators); to halve them, {_CLUSTERS} are needed.")
    data = _Data(
        y=columns(y, "y", rows)[:, 0],
        t=columns(t, "t", rows),
        z=columns(z, "z", rows),
        x=np.zeros((rows, 0)) if x is None else columns(x, "x", rows),
        owner=owner,
    )
    learner = predictor or boosted_trees(seed=seed)
    rng = np.random.default_rng(seed)
    training = int(clusters * min(0.5, np.e / np.log(clusters)))
    found = []
    for _ in range(splits):
        first = np.isin(owner, rng.permutation(clusters)[:training])
        found.append(_statistic(data, first, learner))
    statistic = np.array(found)
    p_value = float(np.median(stats.t.sf(statistic, clusters - training - 1)))
    return ResidualPrediction(
        p_value=p_value if splits == 1 else min(1.0, 2 * p_value), statistic=statistic, rows=rows, clusters=clusters
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Data:
    """All arrays in two dimensions, y and owner in one."""

    y: Reals
    t: Reals
    z: Reals
    x: Reals
    owner: Ints


def _statistic(data: _Data, first: NDArray[np.bool_], learner: Predictor) -> float:
    """Of one split: learn on `first`, test on the rest."""
    rest = ~first
    features = np.hstack([data.x, data.z])
    learnt = two_stage_least_squares(data.y[first], data.t[first], data.z[first], data.x[first], data.owner[first])
    seen = learner(features[first], learnt.residual, np.concatenate([features[rest], features[first]]))
    weight, limit = seen[: rest.sum()], float(np.quantile(np.abs(seen[rest.sum() :]), _CLIP))
    weight = np.clip(weight, -limit, limit) / limit if limit > 0 else np.sign(weight)  # no row may own the sum
    owner = codes(data.owner[rest], int(rest.sum()))
    tested = two_stage_least_squares(data.y[rest], data.t[rest], data.z[rest], data.x[rest], owner)
    left = partial_out(weight[:, None], data.x[rest])[0][:, 0]
    influence = left - tested.fitted @ (tested.bread.T @ (tested.treatment.T @ left))
    part = np.bincount(owner, weights=influence * tested.residual)
    variance = float(part.var(ddof=1)) * len(part)
    total = np.bincount(owner, weights=tested.residual)
    # Of a weight of 1 everywhere, by cluster: the scale on which the floor is a share.
    floor = _FLOOR * float((total**2).sum())
    return float(weight @ tested.residual / np.sqrt(max(variance, floor)))
