"""How strongly the instrument moves the treatment: linear first stage, and the mixture's likelihood with and without.

N rows, X controls, Z instruments, C clusters (creators).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.clustered import basis, codes, columns, partial_out, small_sample, sum_by

Reals = NDArray[np.float64]

RULE_OF_THUMB = 10.0
"""Effective F below which an instrument is called weak (Staiger and Stock 1997)."""

_BIAS, _LEVEL = 0.10, 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Strength:
    """The linear first stage t = z'π + x'θ + v.

    Attributes:
        correlation: of t with each instrument, (Z,).
        r2: of t on z alone; with `correlation` the paper's evidence (section 3.3: 0.736 and 0.542).
        partial_r2: share of what controls leave of t that z explains.
        f_robust: Wald statistic of π = 0 over Z, robust to heteroskedasticity and to dependence within clusters.
        f_effective: of Montiel Olea and Pflueger (2013); the same as `f_robust` with one instrument.
        critical_value: effective F above which the bias of 2SLS is at most 10 % of the worst case, at level 5 %.
        rows, clusters, instruments: how many.
    """

    correlation: Reals
    r2: float
    partial_r2: float
    f_robust: float
    f_effective: float
    critical_value: float
    rows: int
    clusters: int
    instruments: int

    @property
    def weak(self) -> bool:
        """Whether the effective F is below 10."""
        return not self.f_effective >= RULE_OF_THUMB


def first_stage(t: ArrayLike, z: ArrayLike, x: ArrayLike | None = None, cluster: ArrayLike | None = None) -> Strength:
    """Measure the relevance of an instrument.

    Args:
        t: treatment, (N,).
        z: instruments, (N,) or (N, Z).
        x: controls, (N, X); an intercept is added.
        cluster: creator, (N,); None: every row its own.

    Returns:
        The measures.

    Raises:
        DataError: shapes do not fit, a value is not finite, or t or z does not vary beyond the controls.
    """
    rows = len(np.asarray(t))
    treatment, instrument = columns(t, "t", rows), columns(z, "z", rows)
    controls = None if x is None else columns(x, "x", rows)
    owner = codes(cluster, rows)
    clusters = int(owner.max()) + 1
    left, used = partial_out(np.hstack([treatment, instrument]), controls)
    t_left, z_left = left[:, 0], left[:, 1:]
    kept = np.sqrt((left**2).sum(axis=0)) > 1e-8 * np.sqrt((np.hstack([treatment, instrument]) ** 2).sum(axis=0))
    if not kept[0] or not kept[1:].all():
        raise DataError("instrument strength: the treatment or an instrument does not vary beyond the controls.")
    # Columns of length 1, so that every instrument direction counts alike, as the effective F wants it.
    span = basis(z_left)
    count = span.shape[1]
    slope = span.T @ t_left
    residual = t_left - span @ slope
    score = sum_by(span * residual[:, None], owner)
    covariance = score.T @ score * small_sample(rows, clusters, used + count)
    return Strength(
        correlation=np.array([np.corrcoef(treatment[:, 0], column)[0, 1] for column in instrument.T]),
        r2=_r2(treatment[:, 0], instrument),
        partial_r2=float(slope @ slope / (t_left @ t_left)),
        f_robust=float(slope @ np.linalg.pinv(covariance) @ slope / count),
        f_effective=float(slope @ slope / np.trace(covariance)),
        critical_value=critical_value(covariance),
        rows=rows,
        clusters=clusters,
        instruments=instrument.shape[1],
    )


def _r2(t: Reals, z: Reals) -> float:
    centred = t - t.mean()
    fitted = basis(z - z.mean(axis=0)).T @ centred
    return float(fitted @ fitted / (centred @ centred))


def critical_value(covariance: ArrayLike, *, bias: float = _BIAS, level: float = _LEVEL) -> float:
    """Critical value of the effective F (Montiel Olea and Pflueger 2013, simplified: any direction of bias).

    The effective F is compared with a non-central chi-squared divided by its K_eff degrees of freedom (Patnaik 1949).

    Args:
        covariance: of the slopes on orthonormal instruments, (Z, Z), up to a factor.
        bias: share of the worst case that is tolerated.
        level: of the test.

    Returns:
        The value; 23.1 for one instrument, 10 % and 5 %.
    """
    matrix = np.atleast_2d(np.asarray(covariance, dtype=np.float64))
    worst, trace = float(np.linalg.eigvalsh(matrix)[-1]), float(np.trace(matrix))
    x = 1 / bias
    freedom = trace**2 * (1 + 2 * x) / (float((matrix**2).sum()) + 2 * x * trace * worst)
    return float(stats.ncx2.ppf(1 - level, freedom, freedom * x) / freedom)


@dataclass(frozen=True, kw_only=True)
class LikelihoodGain:
    """How much better stage 1 predicts the treatment with the instrument than without.

    Attributes:
        mean: gain in log likelihood per row, nats.
        standard_error: clustered.
        p_value: one-sided, of no gain.
        rows, clusters: how many.
    """

    mean: float
    standard_error: float
    p_value: float
    rows: int
    clusters: int


def likelihood_gain(
    with_instrument: ArrayLike, without_instrument: ArrayLike, cluster: ArrayLike | None = None
) -> LikelihoodGain:
    """Compare stage 1 with and without the instrument on the same held-out rows; it sees what a linear F cannot.

    Args:
        with_instrument: negative log likelihood of each row, (N,), nats.
        without_instrument: of a model that was given the controls alone, (N,).
        cluster: creator, (N,); None: every row its own.

    Returns:
        The gain.

    Raises:
        DataError: shapes do not fit, or a value is not finite.
        ConfigError: fewer than two rows.
    """
    rows = len(np.asarray(with_instrument))
    if rows < 2:
        raise ConfigError("likelihood gain: two held-out rows or more are needed.")
    gain = columns(without_instrument, "without_instrument", rows) - columns(with_instrument, "with_instrument", rows)
    owner = codes(cluster, rows)
    clusters = int(owner.max()) + 1
    mean = float(gain.mean())
    total = sum_by(gain - mean, owner)
    error = float(np.sqrt((total**2).sum() * clusters / (clusters - 1)) / rows)
    score = mean / error if error > 0 else np.copysign(np.inf, mean) if mean else 0.0
    p_value = float(stats.norm.sf(score))
    return LikelihoodGain(mean=mean, standard_error=error, p_value=p_value, rows=rows, clusters=clusters)
