"""Integration rules: exactness against closed forms, and the bias that each puts into the gradient of eq. 5."""

import math

import pytest
import torch
from scipy import stats

from micromega.models.deepiv.config import OutcomeConfig
from micromega.models.deepiv.loss import integral, squared_error, two_sample_error
from micromega.models.deepiv.outcome import ResponseNetwork
from micromega.models.deepiv.quadrature import compressed, gauss_rule, hermite_rule, nodes_of
from micromega.models.deepiv.treatment import Mixture


def drawn(rows=64, components=10, seed=0, spread=0.8):
    g = torch.Generator().manual_seed(seed)
    shape = (1, rows, components)
    return Mixture(
        log_weights=torch.log_softmax(1.5 * torch.randn(shape, generator=g, dtype=torch.float64), dim=-1),
        means=spread * torch.randn(shape, generator=g, dtype=torch.float64),
        log_deviations=-0.8 + 0.6 * torch.randn(shape, generator=g, dtype=torch.float64),
    )


def moment(mixture, degree):
    """E[t^degree] in closed form: sums of products of a Gaussian's mean and deviation."""
    mean, deviation = mixture.means, mixture.log_deviations.exp()
    total = sum(
        math.comb(degree, even) * mean ** (degree - even) * deviation**even * math.prod(range(1, even, 2))
        for even in range(0, degree + 1, 2)
    )
    return (mixture.log_weights.exp() * total).sum(dim=-1)


@pytest.mark.parametrize("nodes", [1, 2, 4, 8, 12])
def test_gauss_and_hermite_integrate_polynomials_exactly(nodes):
    mixture = drawn()
    for at, weight in (gauss_rule(mixture, nodes), hermite_rule(mixture, nodes)):
        for degree in range(2 * nodes):
            size = moment(Mixture(**{**vars(mixture), "means": mixture.means.abs()}), degree)
            error = (weight * at**degree).sum(dim=-1) - moment(mixture, degree)
            assert float((error.abs() / size).max()) < 1e-9, degree
    wrong = (weight * at ** (2 * nodes)).sum(dim=-1) - moment(mixture, 2 * nodes)
    assert float(wrong.abs().max()) > 1e-6  # one degree more is not exact: the test can fail


def test_gauss_nodes_ascend_and_weights_are_probabilities():
    at, weight = gauss_rule(drawn(rows=200).each(lambda value: value.float()), 8)
    assert at.shape == weight.shape == (1, 200, 8)
    assert at.dtype == torch.float32
    assert bool((at.diff(dim=-1) > 0).all())
    assert bool((weight > 0).all())
    torch.testing.assert_close(weight.sum(dim=-1), torch.ones(1, 200))


def test_gauss_of_one_gaussian_is_gauss_hermite():
    mixture = Mixture(
        log_weights=torch.zeros(1, 1, 1), means=torch.full((1, 1, 1), 3.0), log_deviations=torch.full((1, 1, 1), -5.9)
    )
    for ours, exact in zip(gauss_rule(mixture, 6), hermite_rule(mixture, 6), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-4, atol=1e-5)


def test_gauss_survives_components_far_apart_and_alike():
    narrow = Mixture(
        log_weights=torch.log(torch.tensor([[[0.999, 0.001, 1e-12]]])),
        means=torch.tensor([[[0.0, 40.0, -40.0]]]),
        log_deviations=torch.tensor([[[-6.0, 2.0, -6.0]]]),
    )
    alike = Mixture(
        log_weights=torch.full((1, 1, 10), -math.log(10)),
        means=torch.ones(1, 1, 10),
        log_deviations=torch.zeros(1, 1, 10),
    )
    for mixture in (narrow, alike):
        at, weight = gauss_rule(mixture, 8)
        assert torch.isfinite(at).all()
        torch.testing.assert_close(weight.sum(dim=-1), torch.ones(1, 1))
        torch.testing.assert_close((at * weight).sum(dim=-1), mixture.mean, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            (at**2 * weight).sum(dim=-1), mixture.deviation**2 + mixture.mean**2, rtol=1e-4, atol=0
        )


def test_compressed_rules_can_be_compressed_again():
    """A rule of 8 nodes depends on moments alone, so that it can be had from any rule that has them."""
    at, weight = hermite_rule(drawn(), 12)
    direct = compressed(at, weight, 8)
    for ours, exact in zip(compressed(*compressed(at, weight, 12), 8), direct, strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-6, atol=1e-8)


def test_quantile_rule_has_the_midpoints():
    mixture = Mixture(
        log_weights=torch.zeros(1, 1, 1), means=torch.full((1, 1, 1), 2.0), log_deviations=torch.zeros(1, 1, 1)
    )
    at, weight = nodes_of(mixture, "quantile", 4)
    expected = stats.norm(2, 1).ppf([0.125, 0.375, 0.625, 0.875])
    torch.testing.assert_close(at[0, 0].double(), torch.as_tensor(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(weight, torch.full((1, 1, 4), 0.25))


def curved_response(rows, seed=0):
    """A response that is clearly curved over each row's mixture, its controls and outcomes."""
    torch.manual_seed(seed)
    network = ResponseNetwork(OutcomeConfig(hidden=(32, 16, 8)), 1, 3).double()
    network.treatment.data *= 2
    for layer in network.perceptron.layers:
        layer.weight.data *= 2
    x = torch.randn(1, rows, 3, dtype=torch.float64)
    return network, x


def gradient(network, loss_B):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss_B.mean(), list(network.parameters()))])


def test_bias_of_the_gradient_by_rule():
    """The order that the study found, against 60 Gauss–Hermite nodes in each component."""
    rows = 32
    network, x = curved_response(rows)
    mixture = drawn(rows, seed=3)
    at, weight = hermite_rule(mixture, 60)
    with torch.no_grad():
        exact = integral(network(at, x), weight)
    y = exact + 0.7 * torch.randn(1, rows, dtype=torch.float64)
    truth = gradient(network, squared_error(y, integral(network(at, x), weight)))

    def fixed(rule, nodes):
        at, weight = nodes_of(mixture, rule, nodes)
        return gradient(network, squared_error(y, integral(network(at, x), weight)))

    def mean_of(loss_of_draws, draws, repeats=250):
        g = torch.Generator().manual_seed(5)
        found = torch.stack(
            [gradient(network, loss_of_draws(network(mixture.sample(draws, g), x))) for _ in range(repeats)]
        )
        error = (found - found.mean(dim=0)).square().sum(dim=1).mean().sqrt() / math.sqrt(repeats)
        return found.mean(dim=0), float(error / truth.norm())

    def bias(found):
        return float((found - truth).norm() / truth.norm())

    # The one-sample "upper bound" that ports of Deep IV train on exists only here: (y − h(t))² of single draws.
    upper, _ = mean_of(lambda h: ((y[..., None] - h) ** 2).mean(dim=-1), 1)
    same, _ = mean_of(lambda h: squared_error(y, h.mean(dim=-1)), 4)
    two, error = mean_of(lambda h: two_sample_error(y, h[..., :2].mean(dim=-1), h[..., 2:].mean(dim=-1)), 4)
    quantile, gauss = bias(fixed("quantile", 8)), bias(fixed("gauss", 8))
    shown = f"{bias(upper)=:.3f} {bias(same)=:.3f} {bias(two)=:.3f} ± {error:.3f} {quantile=:.4f} {gauss=:.4f}"
    assert bias(upper) > 2 * bias(same) > 2 * quantile >= 2 * gauss, shown
    assert bias(two) < 2.5 * error, shown
    assert bias(same) > 3 * error, shown
    assert bias(fixed("hermite", 8)) < gauss, shown
    assert bias(fixed("gauss", 12)) < gauss, shown


def test_gradient_of_a_polynomial_is_that_of_its_closed_form():
    """h(t) = Σ c_k t^k: the gradient of (y − Σ c_k E t^k)² is −2 (y − …) E t^k."""
    mixture, y = drawn(), torch.linspace(-1, 1, 64, dtype=torch.float64)[None]
    coefficients = torch.tensor([0.3, -0.7, 0.2, 0.1], dtype=torch.float64, requires_grad=True)
    moments = torch.stack([moment(mixture, degree) for degree in range(4)], dim=-1)
    residual = y - moments @ coefficients.detach()
    expected = (-2 * residual[..., None] * moments).mean(dim=(0, 1))
    at, weight = gauss_rule(mixture, 4)
    response = sum(coefficients[degree] * at**degree for degree in range(4))
    (found,) = torch.autograd.grad(squared_error(y, integral(response, weight)).mean(), coefficients)
    torch.testing.assert_close(found, expected)
