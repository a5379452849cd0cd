"""Bayesian R² by hand, and predictions against draws and against days that were held out."""

import numpy as np
import pytest
from growth_draws import DAYS, draw

from micromega.errors import ConfigError, DataError
from micromega.models.growth import fit_growth
from micromega.models.growth.forecast import predict


@pytest.fixture(scope="module")
def drawn():
    return draw(posts=1500, hashtags=10, covariates=2, tau=1000.0)


@pytest.fixture(scope="module")
def fit(drawn):
    return fit_growth(drawn.impressions[:, :10], DAYS[:10], drawn.hashtag, drawn.covariates)


@pytest.mark.parametrize("common", [False, True])
def test_bayesian_r2_by_hand(drawn, fit, common):
    r = fit.regressions
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(100):
        own = np.stack([rng.multivariate_normal(m, c) for m, c in zip(r.coefficients, r.covariance, strict=True)])
        mean = rng.multivariate_normal(r.mean, r.mean_covariance)
        row = []
        for x, part, sigma in (
            (r.regressors, slice(0, 4), fit.sigma_alpha_i),
            (r.regressors[:, :-1], slice(4, 7), fit.sigma_beta_i),
        ):
            own_fit, common_fit = (x * own[drawn.hashtag, part]).sum(1), x @ mean[part]
            rest = (sigma[drawn.hashtag] ** 2).mean()
            explained = (common_fit if common else own_fit).var()
            rest += ((own_fit - common_fit) ** 2).mean() if common else 0
            row.append(explained / (explained + rest))
        shares.append(row)
    found = fit.bayesian_r2(common=common, draws=200)
    assert (found.a, found.b) == pytest.approx(np.mean(shares, axis=0), abs=0.005)
    assert (found.a_sd, found.b_sd) == pytest.approx(np.std(shares, axis=0), rel=0.35)
    assert found == fit.bayesian_r2(common=common, draws=200)


def test_bayesian_r2_is_the_share_that_the_draw_has(drawn, fit):
    x = np.column_stack([np.ones(1500), drawn.covariates])
    explained = (x * drawn.beta[drawn.hashtag]).sum(1).var()
    assert fit.bayesian_r2().b == pytest.approx(explained / drawn.b.var(), abs=0.06)
    assert fit.bayesian_r2(common=True).b < fit.bayesian_r2().b


def test_days_that_were_held_out_lie_in_the_intervals(drawn, fit):
    later = fit.predict(DAYS[10:])
    assert later.mean.shape == (1500, 4)
    inside = (later.lower <= drawn.impressions[:, 10:]) & (drawn.impressions[:, 10:] <= later.upper)
    assert inside.mean() == pytest.approx(0.95, abs=0.02)
    some = fit.predict(DAYS[10:], posts=[7, 3])
    assert np.array_equal(some.upper, later.upper[[7, 3]])


def test_the_curve_lies_in_its_narrower_interval(drawn, fit):
    days = np.array([1, 5, 30])
    curve = np.exp(drawn.a)[:, None] * np.log(days) + np.exp(drawn.b)[:, None]
    narrow, wide = fit.predict(days, noise=False), fit.predict(days)
    assert ((narrow.lower <= curve) & (curve <= narrow.upper)).mean() == pytest.approx(0.95, abs=0.03)
    assert (narrow.upper < wide.upper).all()
    assert np.array_equal(narrow.mean, wide.mean)


def test_forecast_against_draws():
    rng = np.random.default_rng(0)
    a, b, sa, sb, rho, noise = 6.0, 7.0, 0.4, 0.2, -0.6, 150.0
    theta = rng.multivariate_normal([a, b], [[sa**2, rho * sa * sb], [rho * sa * sb, sb**2]], 400_000)
    counts = np.exp(theta[:, [0]]) * np.log([1, 8]) + np.exp(theta[:, [1]]) + noise * rng.standard_normal((400_000, 2))
    found = predict(
        mean=(np.array([a]), np.array([b])), sd=(np.array([sa]), np.array([sb])), correlation=np.array([rho]),
        noise_sd=np.array([noise]), last=None, tau=noise, days=[1, 8], level=0.9,
    )  # fmt: skip
    assert found.mean[0] == pytest.approx(counts.mean(0), rel=0.002)
    inside = ((counts > found.lower[0]) & (counts < found.upper[0])).mean(0)
    assert inside == pytest.approx([0.9, 0.9], abs=0.015)


def test_bad_requests(fit):
    with pytest.raises(DataError, match="at least 1"):
        fit.predict([0, 1])
    with pytest.raises(ConfigError, match="between 0 and 1"):
        fit.predict([1], level=95)
