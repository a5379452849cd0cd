"""γ and the residual-prediction test: size under the null, power, and what they cannot see."""

import numpy as np
import pytest
from scipy import stats

from micromega.errors import ConfigError, DataError, MissingExtraError
from micromega.models.deepiv.clustered import two_stage_least_squares
from micromega.models.deepiv.gamma import residual_gamma
from micromega.models.deepiv.predictor import boosted_trees, cluster_folds
from micromega.models.deepiv.residual_prediction import residual_prediction


def polynomial(features, target, others):
    """Least squares on a cubic of every column: a learner that is quick and nonlinear."""

    def expand(values):
        return np.hstack([np.ones((len(values), 1)), values, values**2, values**3])

    centre, spread = features.mean(axis=0), features.std(axis=0)
    design, ridge = expand((features - centre) / spread), 1e-3
    slope = np.linalg.solve(design.T @ design + ridge * np.eye(design.shape[1]), design.T @ target)
    return expand((others - centre) / spread) @ slope


def draw(seed, *, direct="none", clusters=100, size=4):
    """t = z + x + v, y = t / 2 + x + direct effect of z + confounding; shocks by cluster, heteroskedastic."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    rows = clusters * size
    x, z = rng.normal(size=(rows, 2)), rng.normal(size=rows)
    v = rng.normal(size=rows) + 0.5 * rng.normal(size=clusters)[cluster]
    t = z + 0.5 * x[:, 0] + v
    noise = 0.8 * v + (0.5 + 0.5 * np.abs(x[:, 1])) * rng.normal(size=rows) + 0.7 * rng.normal(size=clusters)[cluster]
    extra = {"none": 0 * z, "linear": 0.5 * z, "square": 0.4 * (z**2 - 1)}[direct]
    return 0.5 * t + 0.3 * x[:, 0] + extra + noise, t, z, x, cluster


def p_values(direct, draws, **settings):
    found = []
    for seed in range(draws):
        y, t, z, x, cluster = draw(seed, direct=direct)
        found.append(residual_prediction(y, t, z, x, cluster, predictor=polynomial, seed=seed, **settings).p_value)
    return np.array(found)


def test_residual_prediction_has_its_size():
    """Under the null, p-values are not smaller than uniform ones, even with shocks by cluster."""
    p = p_values("none", 300, splits=1)
    for level in (0.05, 0.1, 0.25):
        assert (p < level).mean() < level + 3 * np.sqrt(level * (1 - level) / 300), level
    assert (p < 0.5).mean() > 0.3, "and it is no constant"


def test_residual_prediction_sees_a_square_but_not_a_line():
    """A direct effect z² is found; a linear one, which shifts the estimate by 0.5, is taken up by it and is not."""
    assert (p_values("square", 40, splits=1) < 0.05).mean() > 0.8
    assert (p_values("linear", 100, splits=1) < 0.05).mean() < 0.15
    y, t, z, x, cluster = draw(0, direct="linear", clusters=2000)
    assert two_stage_least_squares(y, t, z, x, cluster).coefficient[0] == pytest.approx(1.0, abs=0.06), "true: 0.5"


def test_several_splits_are_conservative():
    p = p_values("none", 60, splits=5)
    assert (p < 0.1).mean() < 0.15
    assert p.max() == 1.0
    assert (p_values("square", 15, splits=5) < 0.05).mean() > 0.8


def test_functions_of_the_treatment_make_the_response_flexible():
    """A response with t² is rejected as linear, and not with t² among the treatments and z² among the instruments."""
    linear, flexible = [], []
    for seed in range(30):
        y, t, z, x, cluster = draw(seed, clusters=200)
        y, both = y + 0.3 * t**2, np.column_stack([z, z**2, z * x[:, 0]])
        linear.append(residual_prediction(y, t, z, x, cluster, splits=1, predictor=polynomial, seed=seed).p_value)
        basis, controls = np.column_stack([t, t**2]), np.column_stack([x, x**2])
        found = residual_prediction(y, basis, both, controls, cluster, splits=1, predictor=polynomial, seed=seed)
        flexible.append(found.p_value)
    assert np.mean(np.array(linear) < 0.05) > 0.8
    assert np.mean(np.array(flexible) < 0.05) < 0.25


def test_statistic_of_one_split_by_dense_matrices():
    """The same split, 2SLS with an intercept column and the influence of each row written with whole matrices."""
    y, t, z, x, cluster = draw(4)
    rng, clusters = np.random.default_rng(9), 100
    first = np.isin(cluster, rng.permutation(clusters)[: int(clusters * min(0.5, np.e / np.log(clusters)))])

    def fit(rows):
        one = np.ones((rows.sum(), 1))
        regressors, instruments = np.hstack([t[rows, None], x[rows], one]), np.hstack([z[rows, None], x[rows], one])
        fitted = instruments @ np.linalg.lstsq(instruments, regressors, rcond=None)[0]
        beta = np.linalg.solve(fitted.T @ regressors, fitted.T @ y[rows])
        return y[rows] - regressors @ beta, regressors, fitted

    features = np.column_stack([x, z])
    error, *_ = fit(first)
    limit = np.quantile(np.abs(polynomial(features[first], error, features[first])), 0.9)
    w = np.clip(polynomial(features[first], error, features[~first]), -limit, limit) / limit
    error, regressors, fitted = fit(~first)
    influence = w - fitted @ np.linalg.solve(fitted.T @ regressors, np.eye(4)).T @ (regressors.T @ w)
    part = np.array([(influence * error)[cluster[~first] == c].sum() for c in np.unique(cluster[~first])])
    wanted = stats.ttest_1samp(part, 0, alternative="greater")
    assert part.sum() == pytest.approx(w @ error)
    found = residual_prediction(y, t, z, x, cluster, splits=1, predictor=polynomial, seed=9)
    assert found.statistic[0] == pytest.approx(wanted.statistic)
    assert found.p_value == pytest.approx(wanted.pvalue)


def test_gamma_is_one_minus_the_ratio_of_losses():
    """A hold-out and a learner whose predictions are known."""
    rng = np.random.default_rng(0)
    residual, x, z = rng.normal(size=50), rng.normal(size=(50, 2)), rng.normal(size=50)
    held_out = np.arange(50) >= 30

    def guess(features, target, others):
        assert features.shape == (30, 3)
        assert target == pytest.approx(residual[:30])
        return 0.1 * others[:, 2]

    found = residual_gamma(residual, x, z, held_out=held_out, predictor=guess, replicates=0)
    loss = ((residual[30:] - 0.1 * z[30:]) ** 2).mean()
    assert found.value == pytest.approx(1 - loss / (residual[30:] ** 2).mean())
    assert np.isnan(found.p_value)
    assert found.rows == 20


def test_gamma_has_its_size_with_unequal_variances_and_clusters():
    """Valid residuals that are larger at some z and share shocks: p ≤ 1 / 10 in about a tenth of the draws."""
    p = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(40), 3)
        x, z = rng.normal(size=(120, 1)), rng.normal(size=40)[cluster]
        residual = (0.2 + np.abs(z)) * (rng.normal(size=40)[cluster] + 0.3 * rng.normal(size=120))
        found = residual_gamma(residual, x, z, cluster, replicates=9, predictor=polynomial, seed=seed)
        p.append(found.p_value)
    assert 0.03 < np.mean(np.array(p) <= 0.1) < 0.18
    assert 0.35 < np.mean(p) < 0.75


def test_gamma_sees_a_square_but_not_a_line():
    """The blind spot: with z entering linearly γ is where a valid instrument's is, although the estimate is wrong."""

    def gamma_of(direct):
        y, t, z, x, cluster = draw(1, direct=direct, clusters=500)
        residual = two_stage_least_squares(y, t, z, x, cluster).residual
        return residual_gamma(residual, x, z, cluster, replicates=19, predictor=polynomial)

    valid, line, square = gamma_of("none"), gamma_of("linear"), gamma_of("square")
    assert square.value > 0.05
    assert square.p_value == 0.05
    assert abs(line.value) < 0.02
    assert abs(valid.value) < 0.02
    assert min(line.p_value, valid.p_value) > 0.05


def test_folds_keep_clusters_together():
    cluster = np.random.default_rng(0).integers(23, size=200)
    fold = cluster_folds(cluster, 5, np.random.default_rng(1))
    assert all(len(np.unique(fold[cluster == c])) == 1 for c in range(23))
    assert sorted(np.unique(fold)) == [0, 1, 2, 3, 4]
    per_fold = [len(np.unique(cluster[fold == number])) for number in range(5)]
    assert max(per_fold) - min(per_fold) <= 1


def test_boosted_trees_find_an_interaction():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(1500, 2)), rng.normal(size=1500)
    residual = 0.6 * np.sign(x[:, 0]) * z + rng.normal(size=1500)
    assert residual_gamma(residual, x, z, folds=3, replicates=0).value > 0.1
    assert residual_gamma(rng.normal(size=1500), x, z, folds=3, replicates=0).value < 0.02


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtraError, match=r"micromega\[gbm\]"):
        boosted_trees()


def test_what_is_refused():
    y, t, z, x, cluster = draw(0)
    with pytest.raises(ConfigError, match="held_out must mark some rows"):
        residual_gamma(y, x, z, held_out=np.ones(len(y)), predictor=polynomial)
    with pytest.raises(ConfigError, match="1 folds; at least 2"):
        residual_gamma(y, x, z, cluster, folds=1, predictor=polynomial)
    with pytest.raises(ConfigError, match="0 splits"):
        residual_prediction(y, t, z, x, cluster, splits=0, predictor=polynomial)


def test_too_few_creators_are_a_matter_of_data():
    y, t, z, x, cluster = draw(0)
    with pytest.raises(DataError, match=r"7 clusters \(creators\); to halve them, 8 are needed"):
        residual_prediction(y, t, z, x, cluster % 7, predictor=polynomial)
    with pytest.raises(DataError, match="all rows are of one cluster"):
        residual_gamma(y, x, z, 0 * cluster, predictor=polynomial)
    with pytest.raises(DataError, match="all rows are of one cluster"):
        residual_gamma(y[:1], x[:1], z[:1], predictor=polynomial)


def test_gamma_takes_as_many_folds_as_there_are_clusters():
    """Two clusters: each is predicted by a learner of the other, and signs cannot tell 0.5 from chance."""
    rng = np.random.default_rng(0)
    residual, x, z, cluster = rng.normal(size=40), rng.normal(size=(40, 1)), rng.normal(size=40), np.arange(40) % 2
    found = residual_gamma(residual, x, z, cluster, predictor=polynomial)
    assert (found.rows, found.clusters, found.folds) == (40, 2, 2)
    features = np.column_stack([x, z])
    loss = 0.0
    for out in (cluster == 0, cluster == 1):
        loss += ((residual[out] - polynomial(features[~out], residual[~out], features[out])) ** 2).sum()
    assert found.value == pytest.approx(1 - loss / (residual**2).sum())
    assert len({round(value, 9) for value in found.reference}) == 2, "the same and opposite signs"
    assert residual_gamma(residual, x, z, cluster % 2 + 2 * (x[:, 0] > 0), folds=3, predictor=polynomial).folds == 3


def test_the_p_value_of_four_clusters_keeps_its_level():
    """Few signs make it coarse, not too small: under the null it is .05 at most 5 % of the time."""
    rng, cluster = np.random.default_rng(0), np.repeat(np.arange(4), 5)
    p = []
    for seed in range(200):
        arrays = rng.normal(size=20) + rng.normal(size=4)[cluster], rng.normal(size=(20, 1)), rng.normal(size=20)
        p.append(residual_gamma(*arrays, cluster, predictor=polynomial, seed=seed).p_value)
    assert (np.array(p) <= 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.median(p) > 0.25
