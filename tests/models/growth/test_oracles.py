"""The parts of the fit against computations that share no code with it."""

import numpy as np
import pytest
import torch
from growth_draws import DAYS, draw
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm

from micromega.models.growth import fit_growth
from micromega.models.growth.inputs import check_inputs
from micromega.models.growth.layout import Layout
from micromega.models.growth.posts import prepare
from micromega.models.growth.sites import Prior, Sites, at_mode, by_moments, inverse, modes

NOISE, MEAN, SPREAD = 0.3, (-0.4, 0.2), (0.7, 0.5)
"""τ, and the prior of a and b, in the units inside."""


@pytest.fixture(scope="module")
def posts():
    """40 posts, most of which say little."""
    drawn = draw(posts=40, hashtags=4, covariates=1, tau=3000.0)
    observed = check_inputs(drawn.impressions, DAYS, drawn.hashtag, drawn.covariates)
    return observed, *prepare(observed, noise="absolute", initial="linear", device=torch.device("cpu"))[:2]


@pytest.fixture(scope="module")
def prior(posts):
    like = posts[1].start_a
    means = (torch.full_like(like, mean) for mean in MEAN)
    precisions = (torch.full_like(like[:, :1], spread**-2.0) for spread in SPREAD)
    return Prior(**dict(zip(("a", "b", "to_a", "to_b"), [*means, *precisions], strict=True)))


def log_density(theta, y):
    """Of one post: likelihood × prior, with all constants."""
    curve = np.exp(theta[0])[..., None] * np.log(DAYS) + np.exp(theta[1])[..., None]
    log_prior = sum(norm.logpdf(part, m, s) for part, m, s in zip(theta, MEAN, SPREAD, strict=True))
    return norm.logpdf(y, curve, NOISE).sum(-1) + log_prior


def sites_of(posts, prior):
    noise = torch.tensor(NOISE**2, dtype=torch.float64)
    a, b = modes(posts, noise, prior, posts.start_a, posts.start_b, steps=100, tolerance=1e-10)
    sites = at_mode(posts, noise, prior, a, b)
    return noise, a, b, sites


def test_modes_are_those_of_a_general_optimiser(posts, prior):
    observed, posts, units = posts
    _, a, b, _ = sites_of(posts, prior)
    for row in range(0, 40, 10):
        y = observed.impressions[row] / units.unit
        best = minimize(lambda theta, y=y: -log_density(theta, y), MEAN, method="Nelder-Mead", tol=1e-10)
        assert best.x == pytest.approx([posts.layout.collect(a)[row], posts.layout.collect(b)[row]], abs=1e-5)


def test_moments_and_evidence_are_those_of_integration_over_a_grid(posts, prior):
    observed, posts, units = posts
    noise, a, b, sites = sites_of(posts, prior)
    for _ in range(3):  # nodes move to where the mass is
        sites = by_moments(posts, noise, prior, a, b, sites)
        va, vab, vb = inverse(sites.aa + prior.to_a, sites.ab, sites.bb + prior.to_b)
        on_a, on_b = sites.on_a + prior.to_a * prior.a, sites.on_b + prior.to_b * prior.b
        a, b = va * on_a + vab * on_b, vab * on_a + vb * on_b
    collect = posts.layout.collect
    found = np.column_stack([collect(values) for values in (a, b, va, vab, vb, sites.error, sites.log_evidence)])
    constant = -7 * np.log(2 * np.pi * NOISE**2)
    for row in range(0, 40, 4):
        y = observed.impressions[row] / units.unit
        sides = [np.linspace(found[row, i] - 8 * s, found[row, i] + 8 * s, 160) for i, s in
                 ((0, np.sqrt(found[row, 2])), (1, np.sqrt(found[row, 4])))]  # fmt: skip
        grid = np.meshgrid(*sides, indexing="ij")
        density = log_density(grid, y)
        mass = np.exp(density - density.max())
        mean = [(mass * side).sum() / mass.sum() for side in grid]
        away = [side - centre for side, centre in zip(grid, mean, strict=True)]
        second = [(mass * away[i] * away[j]).sum() / mass.sum() for i, j in ((0, 0), (0, 1), (1, 1))]
        sd = np.sqrt([second[0], second[2]])
        cell = np.prod([side[1] - side[0] for side in sides])
        assert np.abs(found[row, :2] - mean).max() < 0.02 * sd.min()
        assert found[row, [2, 4]] == pytest.approx(sd**2, rel=0.06)
        assert found[row, 3] == pytest.approx(second[1], abs=0.04 * sd.prod())
        assert found[row, 6] + constant == pytest.approx(np.log(mass.sum() * cell) + density.max(), abs=0.01)
        curve = np.exp(grid[0])[..., None] * np.log(DAYS) + np.exp(grid[1])[..., None]
        error = (mass * ((y - curve) ** 2).sum(-1)).sum() / mass.sum()
        assert found[row, 5] == pytest.approx(error, rel=0.01)


def dense(layout, prior, sites, x, hashtag, between, mean_sd):
    """Posterior mean and covariance of (mu, coefficients, a, b), all unknowns in one system of equations."""
    posts, size = x.shape
    each, hashtags = 2 * size - 1, hashtag.max() + 1
    precision = np.zeros((each * (1 + hashtags) + 2 * posts,) * 2)
    right = np.zeros(len(precision))
    mu = np.arange(each)
    precision[mu, mu] += mean_sd**-2.0
    for h in range(hashtags):
        own = each * (1 + h) + mu
        for i, j, sign in ((mu, mu, 1), (own, own, 1), (mu, own, -1), (own, mu, -1)):
            precision[i, j] += sign / between
    collect = layout.collect
    spread = [collect(p.expand_as(prior.a)) for p in (prior.to_a, prior.to_b)]
    site = [collect(values) for values in (sites.aa, sites.ab, sites.bb, sites.on_a, sites.on_b)]
    for n in range(posts):
        at = each * (1 + hashtags) + 2 * n + np.arange(2)
        precision[np.ix_(at, at)] += [[site[0][n], site[1][n]], [site[1][n], site[2][n]]]
        right[at] += site[3][n], site[4][n]
        first = each * (1 + hashtag[n])
        for part, where, row in (
            (0, np.arange(first, first + size), x[n]),
            (1, np.arange(first + size, first + each), x[n, :-1]),
        ):
            both = np.append(where, at[part])
            contrast = np.append(-row, 1.0)
            precision[np.ix_(both, both)] += spread[part][n] * np.outer(contrast, contrast)
    covariance = np.linalg.inv(precision)
    return covariance @ right, covariance


def test_the_hierarchy_is_the_exact_solution_of_one_large_linear_system(posts, prior):
    from micromega.models.growth.estimate import Parameters, Priors, of_post, of_residual, solve, unknown_coefficients

    observed, posts, _ = posts
    _, _, _, sites = sites_of(posts, prior)
    x = np.column_stack([posts.layout.collect(posts.regressors[..., k]) for k in range(3)])
    four = torch.tensor([0.2, 0.05, 0.3, 0.1], dtype=torch.float64)
    between = np.array([0.2, 0.05, 0.05, 0.3, 0.1])
    parameters = Parameters(
        mean=torch.zeros(5, dtype=torch.float64),
        hashtag_variance=four,
        post_variance=torch.tensor([[spread**2 for spread in SPREAD]] * 4, dtype=torch.float64),
        noise=torch.tensor(NOISE**2, dtype=torch.float64),
    )
    priors = Priors(mean_sd=10.0, noise=(1, 1), post=(1, 1), hashtag=(1, 1))
    new, state = solve(posts, parameters, priors, prior, sites)
    mean, covariance = dense(posts.layout, prior, sites, x, observed.hashtag, between, 10.0)
    assert new.mean.numpy() == pytest.approx(mean[:5], abs=1e-9)
    assert state.mean_covariance.numpy() == pytest.approx(covariance[:5, :5], abs=1e-9)
    assert state.coefficients.numpy().ravel() == pytest.approx(mean[5:25], abs=1e-9)
    assert posts.layout.collect(state.a) == pytest.approx(mean[25::2], abs=1e-9)
    assert posts.layout.collect(state.b) == pytest.approx(mean[26::2], abs=1e-9)
    # Covariances are given the common means: fix them by an infinitely sharp prior around what was found.
    given = dense(posts.layout, prior, sites, x, observed.hashtag, between, 1e-7)[1]
    unknown = unknown_coefficients(posts, state)
    _, spread = of_post(prior, sites, unknown)
    assert posts.layout.collect(spread.aa) == pytest.approx(np.diag(given)[25::2], rel=1e-6)
    assert posts.layout.collect(spread.ab) == pytest.approx(np.diag(given, 1)[25::2], rel=1e-5, abs=1e-9)
    assert posts.layout.collect(spread.bb) == pytest.approx(np.diag(given)[26::2], rel=1e-6)
    left = [posts.layout.collect(values) for values in of_residual(prior, sites, unknown)]
    for n in range(40):
        first = 5 * (1 + observed.hashtag[n])
        for part, where, row in ((0, slice(first, first + 3), x[n]), (1, slice(first + 3, first + 5), x[n, :-1])):
            contrast = np.zeros(len(given))
            contrast[25 + 2 * n + part], contrast[where] = 1, -row
            assert left[part][n] == pytest.approx(contrast @ given @ contrast, rel=1e-6)


def test_log_posterior_is_exact_where_nothing_is_left_to_approximate():
    """With sharp posts (a, b) are data, and the marginal likelihood is that of a linear mixed model."""
    drawn = draw(posts=60, hashtags=4, covariates=1, tau=1.0)
    fit = fit_growth(drawn.impressions, DAYS, drawn.hashtag, drawn.covariates, post_prior=(1.0, 0.1))
    x, (a, b) = fit.regressions.regressors, (fit.regressions.a, fit.regressions.b)
    between = {0: (fit.sigma_alpha0, fit.sigma_alpha), 1: (fit.sigma_beta0, fit.sigma_beta)}
    expected = 0.0
    for part, (theta, within) in enumerate(((a, fit.sigma_alpha_i), (b, fit.sigma_beta_i))):
        design = x[:, : 3 - part]
        mean = fit.regressions.mean[:3] if part == 0 else fit.regressions.mean[3:]
        spread = np.array([between[part][0]] + [between[part][1]] * (2 - part))
        for h in range(4):
            own = drawn.hashtag == h
            covariance = within[h] ** 2 * np.eye(own.sum()) + design[own] * spread**2 @ design[own].T
            expected += multivariate_normal.logpdf(theta[own], design[own] @ mean, covariance)
        expected -= (mean**2).sum() / 200
        variances = np.concatenate([within**2, np.array(between[part]) ** 2])
        rate = np.array([0.1] * 4 + [0.01] * 2)
        expected -= (np.log(variances) + rate / variances).sum()
    # Of the counts: the least-squares residuals, and the volume of a and b that they leave, a Gaussian integral.
    unit = np.median(drawn.impressions.mean(axis=1))
    design = np.column_stack([np.log(DAYS), np.ones(14)])
    found, squares, *_ = np.linalg.lstsq(design, drawn.impressions.T, rcond=None)
    tau = fit.tau
    expected += -60 * 14 / 2 * np.log(2 * np.pi * tau**2) - squares.sum() / (2 * tau**2)
    expected += 60 * (np.log(2 * np.pi * tau**2) - np.linalg.slogdet(design.T @ design)[1] / 2) - np.log(found).sum()
    expected -= 1e-3 * np.log((tau / unit) ** 2) + 1e-6 / (tau / unit) ** 2
    assert fit.log_posterior[-1] == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize("sizes", [[1], [5, 1, 64, 65, 3], [1] * 50, [200, 2]])
def test_layout_brings_back_what_it_spreads_and_sums_by_hashtag(sizes):
    hashtag = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    layout = Layout.of(hashtag, torch.device("cpu"))
    values = np.random.default_rng(1).normal(size=len(hashtag))
    laid = layout.spread(values)
    assert np.array_equal(layout.collect(laid), values)
    assert layout.by_hashtag(laid.sum(1)).numpy() == pytest.approx(np.bincount(hashtag, weights=values))
    assert np.array_equal(layout.posts.numpy(), sizes)
    assert layout.collect(layout.to_rows(torch.arange(len(sizes)).double())[:, None].expand_as(laid)).tolist() == (
        hashtag.tolist()
    )
    assert float(layout.real.sum()) == len(hashtag)


def test_nearly_indefinite_sites_are_cut(prior, posts):
    from micromega.models.growth.sites import _semidefinite

    rng = np.random.default_rng(0)
    aa, ab, bb = (torch.from_numpy(rng.normal(size=50)) for _ in range(3))
    cut = np.moveaxis(np.array([[part.numpy() for part in row] for row in
                                [_semidefinite(aa, ab, bb)[:2], _semidefinite(aa, ab, bb)[1:]]]), 2, 0)  # fmt: skip
    for n in range(50):
        values, vectors = np.linalg.eigh([[aa[n], ab[n]], [ab[n], bb[n]]])
        assert cut[n] == pytest.approx(vectors * np.maximum(values, 0) @ vectors.T, abs=1e-12)
    assert isinstance(sites_of(posts[1], prior)[3], Sites)
