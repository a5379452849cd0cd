"""Empirical Bayes: the closed form, integrals, beta-binomials, and a weight that is found again."""

import numpy as np
import pytest
from scipy import integrate, stats
from tiny_diffusion import draw

from micromega.models.diffusion import fit_weight, gather, posterior
from micromega.models.diffusion.bayes import WEIGHTS, deviation, marginal


def own(edge, activated, edges):
    return gather(edge, np.arange(len(edge)), activated, edges=edges, shared=False)


def test_the_posterior_is_scipys_beta():
    edge, _, activated, _, _ = draw(0)
    seen = own(edge, activated, 7)  # the last edge was never seen
    mean, weight = np.linspace(0.05, 0.5, 7), 9.0
    found = posterior(mean, weight, seen)
    for one in range(7):
        exact = stats.beta(weight * mean[one] + seen.successes[one], weight * (1 - mean[one]) + seen.failures[one])
        assert found.probability[one] == pytest.approx(exact.mean())
        assert deviation(found, weight)[one] == pytest.approx(exact.std())
    assert found.probability[6] == mean[6]


def test_the_marginal_is_the_integral_over_the_posterior():
    seen, later = own([0, 0, 0, 1], [1, 0, 0, 0], 2), own([0, 0, 1], [1, 0, 1], 2)
    mean, weight = np.array([0.2, 0.4]), 5.0
    expected = 0.0
    for one in range(2):
        prior = stats.beta(weight * mean[one] + seen.successes[one], weight * (1 - mean[one]) + seen.failures[one])
        value, _ = integrate.quad(
            lambda p, one=one, prior=prior: p ** later.successes[one] * (1 - p) ** later.failures[one] * prior.pdf(p),
            0, 1,
        )  # fmt: skip
        expected += np.log(value)
    assert marginal(posterior(mean, weight, seen), weight, later) == pytest.approx(expected, rel=1e-6)


def test_the_marginal_of_many_exposures_is_scipys_beta_binomial():
    later = own(np.zeros(9, int), np.arange(9) < 3, 1)
    seen, weight = own([0], [False], 1), 4.0
    exact = stats.betabinom(9, 4 * 0.25, 4 * 0.75 + 1)
    ways = np.log(84)  # 9 over 3: the likelihood is of one given order
    found = marginal(posterior(np.array([0.25]), weight, seen), weight, later)
    assert found == pytest.approx(exact.logpmf(3) - ways)


@pytest.mark.parametrize("true", [5.0, 40.0])
@pytest.mark.parametrize("shared", [False, True])
def test_the_weight_is_found_again(true, shared):
    rng = np.random.default_rng(0)
    edges, mean = 4000, rng.uniform(0.05, 0.4, 4000)
    probability = rng.beta(true * mean, true * (1 - mean))

    def exposures(groups):
        edge = rng.integers(0, edges, (groups, 2))
        edge[:, 1] = np.where(edge[:, 0] == edge[:, 1], (edge[:, 1] + 1) % edges, edge[:, 1])
        hit = rng.random(edge.shape) < probability[edge]
        group = np.repeat(np.arange(groups), 2)
        activated = np.repeat(hit.any(axis=1), 2) if shared else hit.ravel()
        return gather(edge.ravel(), group, activated, edges=edges, shared=shared)

    seen, later = exposures(16_000), exposures(8_000)
    found = fit_weight(mean, seen, later)
    room = 3.0 if shared else 1.5  # outcomes that are shared say less
    assert true / room < found < true * room
    assert marginal(posterior(mean, found, seen), found, later) >= marginal(posterior(mean, true, seen), true, later)
    known = posterior(mean, found, seen).probability

    def error(values):
        return np.sqrt(np.mean((values - probability) ** 2))

    assert error(known) < 0.98 * error(mean)
    assert error(known) < error(posterior(mean, 1e-3, seen).probability)


def test_where_expectations_are_right_counts_do_not_matter():
    rng = np.random.default_rng(1)
    mean = rng.uniform(0.05, 0.4, 3000)
    edge = rng.integers(0, 3000, (2, 30_000))
    seen, later = (own(one, rng.random(30_000) < mean[one], 3000) for one in edge)
    assert fit_weight(mean, seen, later) > 200
    assert fit_weight(mean, seen, later) <= WEIGHTS[1]
