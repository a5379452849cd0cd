"""`fit_growth` on posts drawn from the paper's equations: recovery, coverage, units, missing days."""

from dataclasses import replace

import numpy as np
import pytest
from growth_draws import DAYS, covered, draw, rmse

from micromega.models.growth import fit_growth


def fit_to(drawn, **options):
    return fit_growth(drawn.impressions, DAYS, drawn.hashtag, drawn.covariates, **options)


@pytest.fixture(scope="module")
def drawn():
    return draw(posts=2000)


@pytest.fixture(scope="module")
def fit(drawn):
    return fit_to(drawn)


def test_known_parameters_are_recovered(drawn, fit):
    assert fit.converged
    assert fit.iterations == len(fit.log_posterior) < 500
    assert fit.tau == pytest.approx(drawn.tau, rel=0.02)
    assert fit.noise_sd == pytest.approx(np.full(2000, fit.tau))
    # What 12 hashtags say of a mean: within four standard errors of the truth, and the errors are of the right size.
    for name in ("mu_alpha", "mu_beta"):
        off = np.abs(getattr(fit, name) - getattr(drawn, name)) / getattr(fit, f"{name}_sd")
        assert off.max() < 4
    assert fit.mu_beta_sd[0] == pytest.approx(0.4 / np.sqrt(12), rel=0.5)
    assert rmse(fit.beta, drawn.beta) < 0.06
    assert rmse(fit.alpha[:, 1:-1], drawn.alpha[:, 1:-1]) < 0.08
    assert np.corrcoef(fit.alpha[:, 0], drawn.alpha[:, 0])[0, 1] > 0.9
    assert rmse(np.log(fit.sigma_alpha_i), np.log(drawn.sigma_alpha_i)) < 0.1
    assert rmse(np.log(fit.sigma_beta_i), np.log(drawn.sigma_beta_i)) < 0.1
    assert (fit.sigma_alpha, fit.sigma_beta) == pytest.approx((0.1, 0.1), rel=0.5)


def test_posts_are_recovered_better_than_by_least_squares(drawn, fit):
    design = np.column_stack([np.log(DAYS), np.ones(14)])
    least = np.linalg.lstsq(design, drawn.impressions.T, rcond=None)[0]
    for name, alone in zip(("a", "b"), np.log(np.maximum(least, 1)), strict=True):
        truth = getattr(drawn, name)
        assert rmse(getattr(fit, name), truth) < 0.9 * rmse(alone, truth)
        assert np.corrcoef(getattr(fit, name), truth)[0, 1] > 0.95


@pytest.mark.parametrize("noise", ["absolute", "relative"])
def test_intervals_cover_what_they_promise(noise):
    shares = []
    for seed in range(3):
        relative = noise == "relative"
        drawn = draw(posts=600, hashtags=6, covariates=2, seed=seed, tau=0.2 if relative else 1200.0, relative=relative)
        shares.append(covered(fit_to(drawn, noise=noise), drawn))
    assert np.min(shares) > 0.90
    assert np.max(shares) < 0.98
    assert np.mean(shares) == pytest.approx(0.95, abs=0.02)


def test_hashtags_with_few_posts_keep_their_coverage():
    shares = []
    for seed in range(2):
        drawn = draw(posts=300, hashtags=100, covariates=1, seed=seed, tau=800.0)
        shares.append(covered(fit_to(drawn, tolerance=0.01), drawn))
    assert np.mean(shares) == pytest.approx(0.95, abs=0.025)


def test_relative_noise_is_a_share_of_each_post(drawn):
    relative = draw(posts=1500, tau=0.05, relative=True)
    fit = fit_to(relative, noise="relative")
    assert fit.converged
    # The scale of the first day is exp(b) in the draw, below the mean that scales the other days.
    assert fit.tau == pytest.approx(0.05, rel=0.06)
    assert fit.noise_sd == pytest.approx(fit.tau * relative.impressions.mean(axis=1))
    assert rmse(fit.a, relative.a) < 0.8 * rmse(fit_to(relative).a, relative.a)  # eq. 19 leaves them to mega posts


@pytest.mark.parametrize("noise", ["absolute", "relative", "cumulative"])
@pytest.mark.parametrize("initial", ["linear", "log"])
def test_the_unit_of_impressions_does_not_matter(noise, initial):
    drawn = draw(posts=400, hashtags=6, covariates=2)
    fit = fit_to(drawn, noise=noise, initial=initial)
    scaled = fit_growth(
        drawn.impressions * 1e-3, DAYS, drawn.hashtag, drawn.covariates * [1, 50.0] + 7, noise=noise, initial=initial
    )
    assert scaled.a == pytest.approx(fit.a - np.log(1e3), abs=1e-6)
    assert scaled.b_sd == pytest.approx(fit.b_sd, rel=1e-6)
    assert scaled.tau == pytest.approx(fit.tau * (1e-3 if noise == "absolute" else 1), rel=1e-6)
    assert scaled.mu_alpha[2] * 50 == pytest.approx(fit.mu_alpha[2], rel=1e-6)
    assert scaled.mu_alpha[-1] == pytest.approx(fit.mu_alpha[-1] * (1e3 if initial == "linear" else 1), rel=1e-5)
    moved = 1e-3 if initial == "linear" else 1
    x = np.column_stack([np.ones(400), drawn.covariates * [1, 50.0] + 7])
    first = drawn.impressions[:, 0] * moved
    hat = np.column_stack([x, first if initial == "linear" else np.log(first * 1e-3)]) @ scaled.mu_alpha
    assert scaled.residuals()[0] == pytest.approx(scaled.a - hat, abs=1e-8)
    assert scaled.residuals()[0] == pytest.approx(fit.residuals()[0], abs=1e-6)
    # log p(y) of counts in thousands is larger by log 1,000 a count.
    assert scaled.log_posterior[-1] - fit.log_posterior[-1] == pytest.approx(400 * 14 * np.log(1e3), rel=1e-6)


def test_residuals_follow_equations_24_to_26(drawn, fit):
    x = np.column_stack([np.ones(2000), drawn.covariates])
    x_first = np.column_stack([x, drawn.impressions[:, 0]])
    a_residual, b_residual = fit.residuals()
    assert a_residual == pytest.approx(fit.a - x_first @ fit.mu_alpha, abs=1e-8)
    assert b_residual == pytest.approx(fit.b - x @ fit.mu_beta, abs=1e-8)
    a_own, b_own = fit.residuals(common=False)
    assert a_own == pytest.approx(fit.a - (x_first * fit.alpha[drawn.hashtag]).sum(1), abs=1e-8)
    assert b_own == pytest.approx(fit.b - (x * fit.beta[drawn.hashtag]).sum(1), abs=1e-8)
    assert a_own.std() < a_residual.std()


def test_missing_days(drawn, fit):
    rng = np.random.default_rng(1)
    hidden = drawn.impressions.copy()
    hidden[rng.random(hidden.shape) < 0.3] = np.nan
    hidden[:, 2] = np.nan
    hidden[0, 1:] = np.nan
    hidden[0, 0] = drawn.impressions[0, 0]  # one day only
    partly = replace(drawn, impressions=hidden)
    less = fit_to(partly)
    assert less.converged
    assert less.first_days_filled == int(np.isnan(hidden[:, 0]).sum()) > 400
    assert less.tau == pytest.approx(drawn.tau, rel=0.03)
    assert np.median(less.a_sd / fit.a_sd) > 1.1
    for share in covered(less, drawn):
        assert share == pytest.approx(0.95, abs=0.03)
    assert less.mu_alpha[-1] == pytest.approx(fit.mu_alpha[-1], abs=3 * fit.mu_alpha_sd[-1])


def test_a_day_that_nobody_lists_may_as_well_not_be_there():
    drawn = draw(posts=400, hashtags=5)
    hidden = drawn.impressions.copy()
    hidden[:, [4, 9]] = np.nan
    shown = np.delete(np.arange(14), [4, 9])
    one = fit_growth(hidden, DAYS, drawn.hashtag, drawn.covariates)
    other = fit_growth(drawn.impressions[:, shown], DAYS[shown], drawn.hashtag, drawn.covariates)
    assert one.a == pytest.approx(other.a, abs=1e-9)


def test_order_of_posts_days_and_names_of_hashtags_do_not_matter():
    drawn = draw(posts=500, hashtags=5)
    fit = fit_to(drawn)
    posts, days = np.random.default_rng(2).permutation(500), np.random.default_rng(3).permutation(14)
    names = np.array(["e", "d", "c", "b", "a"], dtype=object)[drawn.hashtag]
    other = fit_growth(drawn.impressions[posts][:, days], DAYS[days], names[posts], drawn.covariates[posts])
    assert other.a == pytest.approx(fit.a[posts], abs=1e-7)
    assert other.hashtags.tolist() == ["a", "b", "c", "d", "e"]
    assert other.alpha[::-1] == pytest.approx(fit.alpha, rel=1e-5)


def test_twice_is_the_same():
    drawn = draw(posts=300, hashtags=5)
    first, second = fit_to(drawn), fit_to(drawn)
    for name in ("a", "b", "a_sd", "mu_alpha", "alpha", "tau", "log_posterior"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("noise", ["absolute", "relative"])
def test_a_known_spread_of_the_noise_is_kept(noise):
    drawn = draw(posts=400, hashtags=6, covariates=1)
    free = fit_to(drawn, noise=noise)
    known = fit_to(drawn, noise=noise, tau=free.tau)
    assert known.tau == pytest.approx(free.tau, rel=1e-12)
    assert known.a == pytest.approx(free.a, abs=1e-3)
    assert known.a_sd == pytest.approx(free.a_sd, rel=0.01)
    wide = fit_to(drawn, noise=noise, tau=3 * free.tau)
    assert wide.tau == pytest.approx(3 * free.tau)
    assert np.median(wide.a_sd / free.a_sd) > 1.5


def test_two_counts_a_post_do_not_tell_the_noise(caplog):
    drawn = draw(posts=500, hashtags=5, covariates=1, tau=0.1, relative=True)
    ends = drawn.impressions[:, [0, -1]]
    fit_growth(ends, DAYS[[0, -1]], drawn.hashtag, drawn.covariates, noise="relative", iterations=5)
    assert "No post lists three days" in caplog.text
    caplog.clear()
    known = fit_growth(ends, DAYS[[0, -1]], drawn.hashtag, drawn.covariates, noise="relative", tau=0.1, tolerance=0.01)
    assert "No post lists three days" not in caplog.text
    for share in covered(known, drawn):
        assert share == pytest.approx(0.95, abs=0.03)


def test_a_narrow_bent_ridge_leaves_numbers():
    """Two late counts that hardly grow, known well: quadrature around the last guess then misses all of the mass."""
    rng = np.random.default_rng(0)
    posts, days = 400, np.array([30.0, 40.0])
    start, growth = np.exp(rng.normal(0, 0.5, posts)), np.where(rng.random(posts) < 0.2, 0, rng.gamma(0.5, 0.15, posts))
    y = 1e6 * np.column_stack([start, start * (1 + growth)])
    fit = fit_growth(
        y, days, np.arange(posts) % 40, rng.normal(size=(posts, 1)),
        noise="relative", initial="log", tau=0.01, iterations=60,
    )  # fmt: skip
    for values in (fit.a, fit.b, fit.a_sd, fit.b_sd):
        assert np.isfinite(values).all()


def test_too_few_iterations_are_confessed(caplog):
    fit = fit_to(draw(posts=300, hashtags=5), iterations=4)
    assert not fit.converged
    assert fit.iterations == 4
    assert "did not converge" in caplog.text


def test_without_covariates():
    drawn = draw(posts=400, hashtags=6, covariates=0)
    fit = fit_to(drawn)
    assert fit.mu_beta.shape == (1,)
    assert fit.mu_alpha.shape == (2,)
    assert covered(fit, drawn)[0] > 0.9


def test_enormous_posts_and_counts_without_noise():
    drawn = draw(posts=300, hashtags=5)
    size = np.exp(np.random.default_rng(0).normal(0, 4, 300))[:, None]
    huge = np.exp(drawn.a)[:, None] * np.log(DAYS) + np.exp(drawn.b)[:, None]
    for noise in ("absolute", "relative", "cumulative"):
        fit = fit_growth(huge * size, DAYS, drawn.hashtag, drawn.covariates, noise=noise, iterations=50)
        assert np.isfinite(fit.a).all()
        assert np.isfinite(fit.ab_correlation).all()
    assert rmse(fit.a, drawn.a + np.log(size[:, 0])) < 0.01
