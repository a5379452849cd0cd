"""γ: can the instrument and the controls predict the residual? (Tian et al. 2022, eq. 7, after Li et al. 2022).

γ = 1 − ℓ / ℓ0, where ℓ is the squared error of predicting ê = y − h(t, x) from (x, z) and ℓ0 that of predicting 0, both
on rows that the predictor did not learn from. It sees violations that h cannot take up. It is blind to the one that
matters most: with one instrument, a linear direct effect of z is taken up by h, and γ stays where a valid instrument's
is. N rows, C clusters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.clustered import codes, columns
from micromega.models.deepiv.predictor import Predictor, boosted_trees, cluster_folds

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Gamma:
    """γ and what it would be if the residual had nothing to do with the instrument.

    Attributes:
        value: γ; negative where predicting 0 is better.
        reference: γ of residuals whose signs were drawn at random, by cluster, (R,).
        p_value: share of draws, the data's own included, with a γ at least as large.
        rows, clusters: how many were scored, and of how many clusters.
        folds: of the cross-fitting; 1 where the rows to score were given.
    """

    value: float
    reference: Reals
    p_value: float
    rows: int
    clusters: int
    folds: int

    @property
    def least_p_value(self) -> float:
        """Of all signs that differ: −ê has the γ of ê, so C signs make 2^(C − 1) draws."""
        return float(2.0 ** (1 - self.clusters))

    def speaks_against(self, level: float) -> bool:
        """Whether the residual can be predicted, with clusters enough to say so at that level."""
        return self.value > 0 and self.p_value <= level and self.least_p_value <= level


def residual_gamma(
    residual: ArrayLike,
    x: ArrayLike,
    z: ArrayLike,
    cluster: ArrayLike | None = None,
    *,
    folds: int = 5,
    held_out: ArrayLike | None = None,
    replicates: int = 19,
    predictor: Predictor | None = None,
    seed: int = 0,
) -> Gamma:
    """Compute γ with a reference distribution.

    The reference multiplies the residuals of each cluster by one random sign and predicts again. That makes
    E[ê | x, z] = 0 true and keeps the rest: how large residuals are at each (x, z), and how they hang together within a
    cluster. If residuals are symmetric given (x, z), the p-value is exact. It takes h as known: h's own error can be
    predicted too, so that a p-value somewhat too small is no proof against an instrument.

    Args:
        residual: y − h(t, x), from an h that did not see the row, (N,).
        x: controls, (N, X).
        z: instruments, (N,) or (N, Z).
        cluster: creator, (N,); None: every row its own.
        folds: of the cross-fitting, whole clusters each; as many as clusters where these are fewer.
        held_out: rows to score, (N,) bool; the predictor learns from the others, once. None: cross-fitting.
        replicates: draws of the reference; 0: none, and no p-value (NaN).
        predictor: learner; None: boosted trees.
        seed: of folds and signs.

    Returns:
        γ.

    Raises:
        DataError: shapes do not fit, a value is not finite, or there are fewer than two clusters.
        ConfigError: fewer than two folds, or nothing held out.
        MissingExtraError: no predictor is given and scikit-learn is not installed.
    """
    rows = len(np.asarray(residual))
    error = columns(residual, "residual", rows)[:, 0]
    features = np.hstack([columns(x, "x", rows), columns(z, "z", rows)])
    owner = codes(cluster, rows)
    rng = np.random.default_rng(seed)
    fold = _folds(owner, folds, held_out, rng)
    # 60 trees told invalid instruments apart no better in simulations, and this is a hundred fits.
    learner = predictor or boosted_trees(trees=30, seed=seed)
    value = _gamma(error, features, fold, learner)
    signs_RC = rng.choice(np.array([-1.0, 1.0]), size=(replicates, int(owner.max()) + 1))
    reference = np.array([_gamma(error * sign_C[owner], features, fold, learner) for sign_C in signs_RC])
    p_value = (1 + int((reference >= value).sum())) / (1 + replicates) if replicates else float("nan")
    scored = fold >= 0
    return Gamma(
        value=value,
        reference=reference,
        p_value=p_value,
        rows=int(scored.sum()),
        clusters=len(np.unique(owner[scored])),
        folds=int(fold.max()) + 1,
    )


def _folds(owner: Ints, folds: int, held_out: ArrayLike | None, rng: np.random.Generator) -> Ints:
    """Fold of each row, −1 for rows that are only learnt from."""
    if held_out is not None:
        scored = np.asarray(held_out, dtype=np.bool_)
        if scored.shape != owner.shape or scored.all() or not scored.any():
            raise ConfigError("gamma: held_out must mark some rows and leave some, one entry for each row.")
        return np.where(scored, 0, -1)
    if folds < 2:
        raise ConfigError(f"gamma: {folds} folds; at least 2.")
    clusters = int(owner.max()) + 1
    if clusters < 2:
        raise DataError("gamma: all rows are of one cluster; one to learn from and one to score are needed.")
    return cluster_folds(owner, min(folds, clusters), rng)


def _gamma(error: Reals, features: Reals, fold: Ints, learner: Predictor) -> float:
    loss = base = 0.0
    for number in range(int(fold.max()) + 1):
        out = fold == number
        predicted = learner(features[~out], error[~out], features[out])
        loss += float(((error[out] - predicted) ** 2).sum())
        base += float((error[out] ** 2).sum())
    return 1 - loss / base
