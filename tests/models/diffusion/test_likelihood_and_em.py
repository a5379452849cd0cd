"""Evidence, likelihood and EM: products written out, scipy's maximisation, gradients, monotone steps."""

import doctest
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from tiny_diffusion import draw

from micromega.errors import DataError
from micromega.models import diffusion
from micromega.models.diffusion.em import estimate
from micromega.models.diffusion.evidence import any_of, gather, log_likelihood
from micromega.models.diffusion.likelihood import log_any, negative_log_likelihood


def product(probability, edge, group, activated, *, shared):
    """The likelihood, one factor after another."""
    value = 1.0
    if not shared:
        for e, a in zip(edge, activated, strict=True):
            value *= probability[e] if a else 1 - probability[e]
        return value
    for g in set(group.tolist()):
        inside = group == g
        nothing = np.prod([1 - probability[e] for e in edge[inside]])
        value *= 1 - nothing if activated[inside].any() else nothing
    return value


def as_batch(evidence):
    """The evidence as the rows of one batch: all edges, then the shared activations."""
    edges, group = len(evidence.failures), np.repeat(np.arange(len(evidence.start) - 1), np.diff(evidence.start))
    none = np.zeros(len(group))
    return (
        np.concatenate([np.arange(edges), evidence.member]),
        torch.from_numpy(np.concatenate([evidence.failures, none])),
        torch.from_numpy(np.concatenate([evidence.successes, none])),
        torch.from_numpy(np.concatenate([np.full(edges, -1), group])),
        len(evidence.start) - 1,
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), shared=st.booleans(), most=st.integers(1, 4))
def test_the_likelihood_is_the_product_over_exposures_or_groups(seed, shared, most):
    edge, group, own, together, _ = draw(seed, groups=12, most=most)
    activated = together if shared else own
    probability = np.random.default_rng(seed).uniform(0.05, 0.95, 6)
    evidence = gather(edge, group, activated, edges=6, shared=shared)
    expected = np.log(product(probability, edge, group, activated, shared=shared))
    np.testing.assert_allclose(log_likelihood(probability, evidence), expected, rtol=1e-10)
    rows, failures, successes, code, groups = as_batch(evidence)
    logit = torch.from_numpy(np.log(probability) - np.log1p(-probability))[torch.from_numpy(rows)]
    np.testing.assert_allclose(
        float(negative_log_likelihood(logit, failures, successes, code, groups)), -expected, rtol=1e-10
    )
    assert evidence.exposures == len(edge)


def test_bernoulli_is_the_noisy_or_of_one():
    edge, _, own, _, _ = draw(0)
    alone = gather(edge, np.arange(len(edge)), own, edges=6, shared=True)
    each = gather(edge, np.zeros(len(edge), int), own, edges=6, shared=False)
    for name in ("failures", "successes", "start", "member"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(each, name))


def test_the_gradient_of_the_noisy_or():
    edge, group, _, together, probability = draw(1, groups=15)
    rows, failures, successes, code, groups = as_batch(gather(edge, group, together, edges=6, shared=True))
    assert groups > 3
    logit = torch.from_numpy(np.log(probability) - np.log1p(-probability)).requires_grad_()

    def lost(values):
        return negative_log_likelihood(values[torch.from_numpy(rows)], failures, successes, code, groups)

    assert torch.autograd.gradcheck(lost, (logit,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_log_odds_give_numbers(dtype):
    logit = torch.tensor([-300.0, -60.0, -1e-3, 60.0, 300.0] * 2, dtype=dtype, requires_grad=True)
    one = torch.ones(10, dtype=dtype)
    code = torch.tensor([0, 0, -1, 1, 1, 2, 3, -1, 2, 3])
    negative_log_likelihood(logit, one * (code < 0), one * (code < 0), code, 4).backward()
    assert torch.isfinite(logit.grad).all()
    x = torch.tensor([1e-12, 0.3, 0.7, 5.0, 90.0], dtype=torch.float64)
    expected = [np.log(-np.expm1(-value)) if value < 1 else np.log1p(-np.exp(-value)) for value in x.tolist()]
    np.testing.assert_allclose(log_any(x).numpy(), expected, rtol=1e-14)


def test_any_of_is_exact_for_small_chances():
    assert any_of(np.array([1e-18, 2e-18, 1.0]), np.array([0, 2, 3])) == pytest.approx([3e-18, 1.0], rel=1e-12)
    assert len(any_of(np.empty(0), np.array([0]))) == 0


@pytest.mark.parametrize("seed", range(4))
def test_em_finds_the_maximum_that_scipy_finds(seed):
    edge, group, _, together, _ = draw(seed)
    evidence = gather(edge, group, together, edges=6, shared=True)
    assert len(evidence.start) > 30
    found = diffusion.saito_em(edge, group, together, edges=6)
    direct = minimize(
        lambda logit: -log_likelihood(expit(logit), evidence), np.zeros(6), method="BFGS", options={"gtol": 1e-7}
    )
    np.testing.assert_allclose(found.probability, expit(direct.x), atol=2e-4)
    assert log_likelihood(found.probability, evidence) >= -direct.fun - 1e-6


@pytest.mark.parametrize(("mean", "weight"), [(None, 0.0), (0.2, 6.0)])
def test_em_never_goes_down(mean, weight):
    edge, group, _, together, _ = draw(5, edges=12, groups=60, most=6)
    found = diffusion.saito_em(edge, group, together, edges=12, prior_mean=mean, prior_weight=weight)
    steps = np.diff(found.objective)
    assert len(steps) > 5
    assert (steps >= -1e-9).all()


def test_em_with_a_prior_finds_the_mode():
    edge, group, _, together, _ = draw(6, groups=40)
    evidence = gather(edge, group, together, edges=6, shared=True)
    mean, weight = np.linspace(0.1, 0.6, 6), 7.0

    def lost(logit):
        p = expit(logit)
        return -log_likelihood(p, evidence) - weight * np.sum(mean * np.log(p) + (1 - mean) * np.log1p(-p))

    direct = minimize(lost, np.zeros(6), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(
        estimate(evidence, prior_mean=mean, prior_weight=weight).probability, expit(direct.x), atol=1e-4
    )


def test_own_outcomes_are_shares_in_one_step():
    edge, group, own, _, _ = draw(7)
    found = diffusion.saito_em(edge, group, own, edges=8, shared=False)
    for one in range(6):
        assert found.probability[one] == pytest.approx(own[edge == one].mean())
    assert np.isnan(found.probability[6:]).all()
    assert len(found.objective) == 2
    smoothed = diffusion.saito_em(edge, group, own, edges=8, shared=False, prior_mean=0.3, prior_weight=5)
    assert smoothed.probability[7] == pytest.approx(0.3)


def test_em_recovers_probabilities_from_shared_outcomes_where_reading_them_as_own_does_not():
    edge, group, _, together, probability = draw(8, edges=10, groups=30_000, most=4)
    right = diffusion.saito_em(edge, group, together, edges=10).probability
    wrong = diffusion.saito_em(edge, group, together, edges=10, shared=False).probability
    assert np.abs(right - probability).max() < 0.03
    assert np.abs(wrong - probability).max() > 0.15


def test_an_impossible_outcome_has_no_likelihood():
    evidence = gather([0, 0], [0, 1], [True, False], edges=1, shared=True)
    assert log_likelihood(np.zeros(1), evidence) == -np.inf


def test_wrong_arguments_are_named():
    with pytest.raises(DataError, match="one number per exposure"):
        gather([0, 1], [0], [True, False], edges=2, shared=True)
    with pytest.raises(DataError, match="between 0 and 1"):
        gather([0, 2], [0, 1], [True, False], edges=2, shared=True)
    with pytest.raises(DataError, match="prior_mean"):
        diffusion.saito_em([0], [0], [True], edges=1, prior_mean=1.0, prior_weight=1)


@pytest.mark.parametrize(
    ("name", "lines"), [("em", 3), ("evidence", 2), ("bayes", 3), ("likelihood", 3), ("network", 4)]
)
def test_the_examples_run(name, lines):
    module = import_module(f"micromega.models.diffusion.{name}")
    extra = {"torch": torch, "np": np}
    assert doctest.testmod(module, extraglobs=extra) == doctest.TestResults(failed=0, attempted=lines)


def test_the_public_names_are_there():
    for name in diffusion.__all__:
        assert getattr(diffusion, name).__doc__
    with pytest.raises(AttributeError):
        diffusion.nothing  # noqa: B018
