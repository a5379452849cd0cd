"""Linear diagnostics against dense textbook algebra, simulation, and published critical values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.clustered import basis, partial_out, two_stage_least_squares
from micromega.models.deepiv.strength import critical_value, first_stage, likelihood_gain


def draw(seed, rows=120, clusters=30, instruments=1, controls=3, strength=0.6, effect=0.5):
    """A linear model with confounding, unequal variances and a shock per cluster."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(clusters, size=rows)
    x = rng.normal(size=(rows, controls))
    z = rng.normal(size=(rows, instruments)) + 0.3 * x[:, :1]
    shock = rng.normal(size=(clusters, 2))[cluster]
    v = (0.5 + np.abs(z[:, 0])) * rng.normal(size=rows) + 0.5 * shock[:, 0]
    t = strength * z.sum(axis=1) + 0.4 * x[:, 0] + v
    y = 1 + effect * t + x @ np.full(controls, 0.2) + 0.8 * v + shock[:, 1] + rng.normal(size=rows)
    return y, t, z, x, cluster


def dense_two_stage(y, t, z, x, cluster):
    """Beta and clustered covariance with whole matrices: hats, kron-free sandwich, intercept as a column."""
    one = np.ones((len(y), 1))
    regressors, instruments = np.hstack([t, x, one]), np.hstack([z, x, one])
    hat = instruments @ np.linalg.inv(instruments.T @ instruments) @ instruments.T
    bread = np.linalg.inv(regressors.T @ hat @ regressors)
    beta = bread @ regressors.T @ hat @ y
    error = y - regressors @ beta
    same = cluster[:, None] == cluster[None, :]
    fitted = hat @ regressors
    meat = fitted.T @ (same * np.outer(error, error)) @ fitted
    groups, rows, k = len(np.unique(cluster)), len(y), regressors.shape[1]
    factor = groups / (groups - 1) * (rows - 1) / (rows - k)
    return beta, factor * bread @ meat @ bread, error


@pytest.mark.parametrize("instruments", [1, 2, 4])
def test_two_stage_agrees_with_dense_matrices(instruments):
    y, t, z, x, cluster = draw(3, instruments=instruments)
    found = two_stage_least_squares(y, t, z, x, cluster)
    beta, covariance, error = dense_two_stage(y, t[:, None], z, x, cluster)
    assert found.coefficient == pytest.approx(beta[:1])
    assert found.covariance == pytest.approx(covariance[:1, :1])
    assert found.residual == pytest.approx(error, abs=1e-9)


def test_two_treatments_agree_with_dense_matrices():
    y, t, z, x, cluster = draw(5, rows=400, instruments=3)
    both = np.column_stack([t, t**2])
    instruments = np.hstack([z, z**2])
    found = two_stage_least_squares(y, both, instruments, x, cluster)
    beta, covariance, _ = dense_two_stage(y, both, instruments, x, cluster)
    assert found.coefficient == pytest.approx(beta[:2])
    assert found.covariance == pytest.approx(covariance[:2, :2])


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-6, 1e6), copies=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_partialling_out_is_least_squares_whatever_the_scale(seed, scale, copies):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 4)) * np.array([1, scale, 1 / scale, 3.0]) + 5
    x = np.hstack([x, *[x[:, :1] * 2 - x[:, 1:2]] * copies, np.full((40, 1), 7.0)])  # collinear, constant
    v = rng.normal(size=(40, 2))
    design = np.hstack([np.ones((40, 1)), (x[:, :4] - x[:, :4].mean(axis=0)) / x[:, :4].std(axis=0)])
    wanted = v - design @ np.linalg.lstsq(design, v, rcond=None)[0]
    left, used = partial_out(v, x)
    assert left == pytest.approx(wanted, abs=1e-7)
    assert used == 5


def test_basis_is_orthonormal_and_spans():
    values = np.random.default_rng(0).normal(size=(30, 3)) @ np.array([[1, 0, 0, 1], [0, 1e4, 0, 1], [0, 0, 1e-4, 1.0]])
    span = basis(values)
    assert span.T @ span == pytest.approx(np.eye(span.shape[1]), abs=1e-9)
    scaled = values / np.linalg.norm(values, axis=0)
    assert span @ (span.T @ scaled) == pytest.approx(scaled, abs=1e-6)


@pytest.mark.parametrize("clustered", [False, True])
def test_first_stage_with_one_instrument_is_the_squared_robust_t(clustered):
    """By dense OLS; without clusters the factor is that of HC1."""
    _, t, z, x, cluster = draw(11)
    found = first_stage(t, z, x, cluster if clustered else None)
    owner = cluster if clustered else np.arange(len(t))
    beta, covariance, _ = dense_two_stage(t, z, z, x, owner)  # OLS: regressors are their own instruments
    assert found.f_robust == pytest.approx(beta[0] ** 2 / covariance[0, 0])
    assert found.f_effective == pytest.approx(found.f_robust)
    assert found.critical_value == pytest.approx(23.1, abs=0.05)
    long = np.column_stack([np.ones(len(t)), x])
    without = t - long @ np.linalg.lstsq(long, t, rcond=None)[0]
    with_z = np.column_stack([long, z])
    rest = t - with_z @ np.linalg.lstsq(with_z, t, rcond=None)[0]
    assert found.partial_r2 == pytest.approx(1 - (rest @ rest) / (without @ without))
    assert found.correlation[0] == pytest.approx(stats.pearsonr(z[:, 0], t)[0])
    assert found.r2 == pytest.approx(found.correlation[0] ** 2)


def test_several_instruments():
    """Wald by dense OLS; the effective F by its definition with instruments whitened by a Cholesky root."""
    _, t, z, x, cluster = draw(12, instruments=3, rows=200)
    found = first_stage(t, z, x, cluster)
    beta, covariance, _ = dense_two_stage(t, z, z, x, cluster)
    assert found.f_robust == pytest.approx(beta[:3] @ np.linalg.solve(covariance[:3, :3], beta[:3]) / 3)
    long = np.column_stack([np.ones(len(t)), x])
    project = np.eye(len(t)) - long @ np.linalg.pinv(long)
    gram = z.T @ project @ z
    root = np.linalg.cholesky(gram)
    effective = beta[:3] @ gram @ beta[:3] / np.trace(root.T @ covariance[:3, :3] @ root)
    assert found.f_effective == pytest.approx(effective)


def test_critical_values_of_montiel_olea_and_pflueger():
    """One instrument: 37.4, 23.1, 15.1, 12.0 for 5, 10, 20 and 30 % (their Table 1); homoskedastic, many: it falls."""
    values = [critical_value(np.eye(1), bias=bias) for bias in (0.05, 0.1, 0.2, 0.3)]
    assert values == pytest.approx([37.42, 23.11, 15.06, 12.04], abs=0.05)
    assert critical_value(np.eye(10)) < critical_value(np.eye(3)) < critical_value(np.eye(1))
    assert critical_value(np.diag([1.0, 1e-9])) == pytest.approx(critical_value(np.eye(1)), rel=1e-3)


def test_size_of_the_clustered_f():
    """An instrument that does nothing, constant within clusters, with shocks by cluster: rejected 5 % of the time."""
    draws, rejected, naive = 400, 0, 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(60), 5)
        z = rng.normal(size=60)[cluster]
        t = rng.normal(size=60)[cluster] + rng.normal(size=300)
        rejected += stats.chi2.sf(first_stage(t, z, None, cluster).f_robust, 1) < 0.05
        naive += stats.chi2.sf(first_stage(t, z).f_robust, 1) < 0.05
    assert 0.025 < rejected / draws < 0.095
    assert naive / draws > 0.15, "without clusters the same data look like evidence"


def test_likelihood_gain_and_its_error():
    rng = np.random.default_rng(1)
    without, cluster = rng.normal(size=300), np.repeat(np.arange(60), 5)
    gain = 0.2 + rng.normal(size=60)[cluster]
    found = likelihood_gain(without - gain, without, cluster)
    by_cluster = gain.reshape(60, 5).mean(axis=1)  # equal sizes: the mean of means has this error
    assert found.mean == pytest.approx(gain.mean())
    assert found.standard_error == pytest.approx(by_cluster.std(ddof=1) / np.sqrt(60))
    assert found.p_value == pytest.approx(stats.norm.sf(found.mean / found.standard_error))
    assert likelihood_gain(without, without).p_value == 0.5
    assert likelihood_gain(without, without - 1).p_value == 1.0


def test_what_is_refused():
    _, t, z, x, cluster = draw(1)
    with pytest.raises(DataError, match="does not vary beyond the controls"):
        first_stage(t, x[:, 0] * 2 + 1, x)
    with pytest.raises(DataError, match="not finite in 1 rows, the first is row 7"):
        first_stage(np.where(np.arange(len(t)) == 7, np.nan, t), z)
    with pytest.raises(DataError, match="all rows are of one cluster"):
        first_stage(t, z, x, np.zeros(len(t)))
    with pytest.raises(DataError, match=r"x has shape"):
        first_stage(t, z, x[:-1])
    with pytest.raises(ConfigError, match="1 instruments cannot tell 2 treatments apart"):
        two_stage_least_squares(t, np.column_stack([t, t**2]), z, x, cluster)
    with pytest.raises(DataError, match="leave of 1 instruments cannot tell 1 treatments apart in these 120 rows"):
        two_stage_least_squares(t, t, x[:, 0] * 2 + 1, x, cluster)
    with pytest.raises(DataError, match="4 rows are too few for 5 coefficients"):
        two_stage_least_squares(t[:4], t[:4], z[:4], x[:4])
    with pytest.raises(ConfigError, match="two held-out rows"):
        likelihood_gain([1.0], [1.0])
