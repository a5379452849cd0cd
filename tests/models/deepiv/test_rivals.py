"""Rivals of Deep IV against numpy, scikit-learn, the published formulas and linearmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.preprocessing import PolynomialFeatures

from micromega.errors import ConfigError
from micromega.models.deepiv import kernel_iv
from micromega.models.deepiv.kernel_iv import Kernel, KernelIV, best_penalty
from micromega.models.deepiv.rivals import NaiveNetwork, TwoStageLeastSquares
from micromega.models.deepiv.two_stage import _Polynomial


def confounded(n, seed, response=lambda t, x: 0.5 * t):
    rng = np.random.default_rng(seed)
    z, shock = rng.normal(size=(2, n))
    x = rng.normal(size=(n, 2)) * [1, 3] + [0, 10]
    t = 5 + z + shock + 0.3 * x[:, 0]
    y = 100 + 20 * (response(t, x) + 0.1 * x[:, 1] + shock + 0.1 * rng.normal(size=n))
    return {"x": x, "z": z[:, None], "t": t, "y": y}


# ---- two-stage least squares ----


@given(columns=st.integers(1, 4), degree=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_products_are_those_of_scikit_learn(columns, degree):
    values = np.random.default_rng(0).normal(size=(6, columns))
    powers = PolynomialFeatures(degree, include_bias=False).fit(values).powers_
    for first, chosen in ((0, powers), (1, powers[powers[:, 0] > 0])):
        found = _Polynomial.of(columns, degree, first)
        assert sorted(map(tuple, found.powers)) == sorted(map(tuple, chosen))
        np.testing.assert_allclose(found(values), np.prod(values[:, None] ** found.powers, axis=2))
        step = np.zeros_like(values)
        step[:, 0] = 1e-5
        wanted = (found(values + step) - found(values - step)) / 2e-5
        np.testing.assert_allclose(found.slope(values), wanted, atol=1e-7)


def two_stages(data, degree):
    """Projection and regression with whole design matrices in raw units: the span is the same."""
    t, z, x, y = data["t"][:, None], data["z"], data["x"], data["y"]
    shift = {"t": t.mean(), "z": z.mean(axis=0), "x": x.mean(axis=0)}
    make = PolynomialFeatures(degree).fit_transform
    design = make(np.hstack([t - shift["t"], x - shift["x"]]))
    instruments = make(np.hstack([z - shift["z"], x - shift["x"]]))
    fitted = instruments @ np.linalg.lstsq(instruments, design, rcond=None)[0]
    coefficient = np.linalg.lstsq(fitted, y, rcond=None)[0]
    return lambda at, controls: make(np.hstack([at[:, None] - shift["t"], controls - shift["x"]])) @ coefficient


@pytest.mark.parametrize("degree", [1, 2])
def test_two_stages_agree_with_projections(degree):
    data = confounded(500, 0, lambda t, x: 0.5 * t + 0.1 * t**2 + 0.2 * t * x[:, 0])
    model = TwoStageLeastSquares(degree).fit(**data)
    wanted = two_stages(data, degree)
    at, x = np.linspace(3, 7, 9), data["x"][:9]
    np.testing.assert_allclose(model.predict(t=at, x=x), wanted(at, x), rtol=1e-5)
    slope = (wanted(at + 1e-4, x) - wanted(at - 1e-4, x)) / 2e-4
    np.testing.assert_allclose(model.elasticity(t=at, x=x), slope, rtol=1e-4)
    grid = model.predict(t=at, x=x, grid=True)
    np.testing.assert_allclose(grid.diagonal(), model.predict(t=at, x=x))
    assert model.elasticity(t=at, x=x, grid=True).shape == (9, 9)


def test_it_removes_what_confounds_and_least_squares_does_not():
    data = confounded(20_000, 1)
    model = TwoStageLeastSquares().fit(**data)
    assert model.elasticity(t=[5.0], x=data["x"][:1])[0] == pytest.approx(10, abs=0.5)
    design = np.column_stack([np.ones(20_000), data["t"], data["x"]])
    assert np.linalg.lstsq(design, data["y"], rcond=None)[0][1] > 15


def test_two_stages_agree_with_linearmodels():
    iv = pytest.importorskip("linearmodels.iv")
    data = confounded(400, 2)
    design = np.column_stack([np.ones(400), data["x"]])
    wanted = iv.IV2SLS(data["y"], design, data["t"], data["z"]).fit(cov_type="robust", debiased=True)
    model = TwoStageLeastSquares().fit(**data)
    scale = data["y"].std() / data["t"].std()
    assert model.coefficient[0] * scale == pytest.approx(wanted.params["endog"], rel=1e-6)
    assert np.sqrt(model.covariance[0, 0]) * scale == pytest.approx(wanted.std_errors["endog"], rel=1e-3)


# ---- kernel IV ----


def test_the_penalty_is_the_best_on_other_rows():
    rng = np.random.default_rng(0)
    f, new = rng.normal(size=(50, 6)), rng.normal(size=(40, 6))
    truth = rng.normal(size=(6, 2))
    y, new_y = f @ truth + 3 * rng.normal(size=(50, 2)), new @ truth + 3 * rng.normal(size=(40, 2))
    penalty, coefficient = best_penalty(f, y, new, new_y)
    fits = {of: Ridge(alpha=50 * of, fit_intercept=False).fit(f, y) for of in kernel_iv._PENALTIES}
    errors = {of: np.sum((fit.predict(new) - new_y) ** 2) for of, fit in fits.items()}
    assert penalty == min(errors, key=errors.get)
    np.testing.assert_allclose(coefficient, fits[penalty].coef_.T, rtol=1e-8)


def widths(rows, whole_rows):
    """Median distance of each column, or that times the median distance of rows in these units."""
    pairs = np.triu_indices(len(rows), 1)
    of_columns = np.median(np.abs(rows[:, None] - rows)[pairs], axis=0)
    away = np.linalg.norm((rows[:, None] - rows) / of_columns, axis=2)[pairs]
    return of_columns * (np.median(away) if whole_rows else 1)


@pytest.mark.parametrize("whole_rows", [False, True])
def test_features_are_kernel_values_where_all_rows_are_landmarks(whole_rows):
    rng = np.random.default_rng(1)
    values, new = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    kernel = Kernel.of(values, 40, rng, whole_rows=whole_rows)
    away = (values[:, None] - new) / kernel.width
    np.testing.assert_allclose(kernel(values) @ kernel(new).T, np.exp(-0.5 * (away**2).sum(axis=2)), atol=1e-4)
    np.testing.assert_allclose(kernel.width, widths(values, whole_rows))
    coefficient, step = rng.normal(size=kernel.whiten.shape[1]) * 1e-3, np.array([[1e-5, 0]])
    slope = (kernel(new + step) - kernel(new - step)) @ coefficient / 2e-5
    np.testing.assert_allclose(kernel.slope(new, coefficient), slope, rtol=1e-4, atol=1e-6)


def test_kernel_iv_is_the_published_estimator(monkeypatch):
    """Singh et al. 2019, algorithm 1, in kernel matrices: W = K_XX (K_ZZ + nλ)⁻¹ K_ZZ', α = (WW' + mξK_XX)⁻¹ W y."""
    monkeypatch.setattr(kernel_iv, "_PENALTIES", np.array([1e-3]))
    data = confounded(120, 3, lambda t, x: np.sin(t))
    model = KernelIV(landmarks=60, seed=0).fit(**data)
    first = (np.random.default_rng(0).permutation(120) < 60)[np.arange(120)]
    unit = {name: (of - of.mean(axis=0)) / of.std(axis=0) for name, of in data.items()}
    treated = np.hstack([unit["t"][:, None], unit["x"]])
    instruments = np.hstack([unit["z"], unit["x"]])

    def gram(a, b, width):
        return np.exp(-0.5 * (((a[:, None] - b) / width) ** 2).sum(axis=2))

    answers, errors = [], []
    for whole_rows in (False, True):
        of_t, of_z = widths(treated[first], whole_rows), widths(instruments[first], whole_rows)
        k_xx, k_zz = gram(treated[first], treated[first], of_t), gram(instruments[first], instruments[first], of_z)
        to_first = np.linalg.solve(k_zz + 60e-3 * np.eye(60), k_zz)
        w = k_xx @ np.linalg.solve(k_zz + 60e-3 * np.eye(60), gram(instruments[first], instruments[~first], of_z))
        alpha = np.linalg.lstsq(w @ w.T + 60e-3 * k_xx, w @ unit["y"][~first], rcond=1e-12)[0]
        errors.append(np.mean((alpha @ k_xx @ to_first - unit["y"][first]) ** 2))
        answers.append(gram(treated[:20], treated[first], of_t) @ alpha * data["y"].std() + data["y"].mean())
    wanted = answers[int(np.argmin(errors))]  # of both widths what predicts the outcome of stage 1's rows better
    np.testing.assert_allclose(model.predict(t=data["t"][:20], x=data["x"][:20]), wanted, rtol=2e-3)


def test_kernel_iv_is_not_flat_among_many_controls():
    rng = np.random.default_rng(0)
    x, z, shock = rng.normal(size=(2_000, 25)), rng.normal(size=2_000), rng.normal(size=2_000)
    t = z + x[:, 0] + 0.5 * shock
    model = KernelIV(landmarks=400, seed=0).fit(x=x, z=z, t=t, y=2 * t + x[:, 1] + shock)
    slope = model.elasticity(t=t[:300], x=x[:300]).mean()
    assert 1.3 < slope < 2.2  # 2, shrunk; a product of kernels as wide as each column's median says less than .1


def test_kernel_iv_beats_kernel_ridge_under_confounding():
    data = confounded(1_500, 4, lambda t, x: np.abs(t - 5))
    at = np.linspace(3.5, 6.5, 15)
    x = np.tile([0.0, 10.0], (15, 1))
    truth = 100 + 20 * (np.abs(at - 5) + 1)
    model = KernelIV(landmarks=200, seed=0).fit(**data)
    ridge = KernelRidge(alpha=1.0, kernel="rbf", gamma=0.25)
    scale = np.array([*data["x"].std(axis=0), data["t"].std()])
    ridge.fit(np.column_stack([data["x"], data["t"]]) / scale, data["y"] - data["y"].mean())
    regression = ridge.predict(np.column_stack([x, at]) / scale) + data["y"].mean()
    assert np.mean((model.predict(t=at, x=x) - truth) ** 2) < 0.5 * np.mean((regression - truth) ** 2)
    assert np.isfinite(model.elasticity(t=at, x=x, grid=True)).all()
    again = KernelIV(landmarks=200, seed=0).fit(**data)
    np.testing.assert_array_equal(model.predict(t=at, x=x), again.predict(t=at, x=x))


# ---- the naive network ----


def test_the_naive_network_learns_the_regression_and_not_the_response():
    rng = np.random.default_rng(0)
    z, shock = rng.normal(size=(2, 3_000))
    t, x = z + shock, np.zeros((3_000, 0))
    model = NaiveNetwork(outcome={"epochs": 10}, starts=2, seed=0).fit(x=x, z=z, t=t, y=t + 2 * shock)
    at = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(model.predict(t=at, x=x[:1], grid=True)[0], 2 * at, atol=0.3)  # E[shock | t] = t / 2
    np.testing.assert_allclose(model.elasticity(t=at, x=x[:5]), 2, atol=0.5)
    assert model.predict(t=at, x=x[:5], members=True).shape == (2, 5)


def test_what_is_refused():
    with pytest.raises(ConfigError, match="degree"):
        TwoStageLeastSquares(0)
    with pytest.raises(ConfigError, match="landmarks"):
        KernelIV(0)
    for model in (TwoStageLeastSquares(), KernelIV(), NaiveNetwork()):
        with pytest.raises(RuntimeError, match="call fit first"):
            model.predict(t=[0.0], x=np.zeros((1, 0)))
