"""The mixture against torch.distributions, scipy and sampling."""

import pytest
import torch
from scipy import optimize, stats
from torch.distributions import Categorical, MixtureSameFamily, Normal

from micromega.models.deepiv.config import TreatmentConfig
from micromega.models.deepiv.treatment import Mixture, MixtureNetwork, bounded_log_deviation


def drawn(members=2, rows=5, components=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    shape = (members, rows, components)
    weights = torch.log_softmax(torch.randn(shape, generator=g, dtype=torch.float64), dim=-1)
    means = 2 * torch.randn(shape, generator=g, dtype=torch.float64)
    return Mixture(
        log_weights=weights, means=means, log_deviations=0.5 * torch.randn(shape, generator=g, dtype=torch.float64)
    )


def theirs(mixture):
    return MixtureSameFamily(
        Categorical(logits=mixture.log_weights), Normal(mixture.means, mixture.log_deviations.exp())
    )


def test_density_and_moments_equal_those_of_torch():
    mixture = drawn()
    t = torch.linspace(-6, 6, 5, dtype=torch.float64)[None]
    torch.testing.assert_close(mixture.log_density(t), theirs(mixture).log_prob(t.expand(2, 5)))
    torch.testing.assert_close(mixture.mean, theirs(mixture).mean)
    torch.testing.assert_close(mixture.deviation, theirs(mixture).stddev)
    at = torch.linspace(-6, 6, 7, dtype=torch.float64)
    expected = torch.stack([theirs(mixture).cdf(value.expand(2, 5)) for value in at], dim=-1)
    torch.testing.assert_close(mixture.cumulative(at.expand(2, 5, 7)), expected)


def test_quantiles_equal_roots_found_by_scipy():
    mixture = drawn()
    level = torch.tensor([0.001, 0.25, 0.5, 0.99], dtype=torch.float64)
    found = mixture.quantile(level)
    for member, row, number in ((0, 0, 0), (1, 3, 1), (0, 4, 2), (1, 1, 3)):
        weights = mixture.log_weights[member, row].exp().numpy()
        normal = stats.norm(mixture.means[member, row].numpy(), mixture.log_deviations[member, row].exp().numpy())
        root = optimize.brentq(lambda t, n=normal, w=weights, k=number: (w * n.cdf(t)).sum() - float(level[k]), -40, 40)
        assert float(found[member, row, number]) == pytest.approx(root, abs=1e-9)


def test_samples_have_the_distribution():
    mixture = drawn(rows=2)
    draws = mixture.sample(4_000, torch.Generator().manual_seed(0))
    for member in range(2):
        for row in range(2):
            uniform = mixture.cumulative(draws)[member, row].numpy()
            assert stats.kstest(uniform, "uniform").pvalue > 1e-3


def test_samples_are_independent():
    first, second = drawn(members=1, rows=3_000, components=2).sample(2, torch.Generator().manual_seed(1)).unbind(-1)
    mixture = drawn(members=1, rows=3_000, components=2)
    scaled = [(value - mixture.mean) / mixture.deviation for value in (first, second)]
    assert abs(float((scaled[0] * scaled[1]).mean())) < 4 / 3_000**0.5


def test_pooled_density_is_the_mean_of_the_members():
    mixture = drawn(members=4)
    chosen = torch.tensor([[[0, 0, 2, 2, 0], [1, 1, 3, 3, 1]]])  # one mixture of two members for each row
    t = torch.linspace(-3, 3, 5, dtype=torch.float64)[None]
    pooled = mixture.pooled(chosen)
    density = mixture.log_density(t).exp()
    expected = torch.stack([(density[a, row] + density[b, row]) / 2 for row, (a, b) in enumerate(chosen[0].T)])
    torch.testing.assert_close(pooled.log_density(t)[0].exp(), expected)
    everywhere = mixture.pooled(torch.tensor([[[0], [1]], [[2], [3]]]))  # the same members for every row
    torch.testing.assert_close(everywhere.log_density(t).exp(), (density[[0, 2]] + density[[1, 3]]) / 2)


def test_rescaled_is_the_distribution_of_the_scaled_treatment():
    mixture, mean, deviation = drawn(), torch.tensor(11.0).double(), torch.tensor(2.9).double()
    t = torch.linspace(3, 18, 5, dtype=torch.float64)[None]
    expected = mixture.log_density((t - mean) / deviation) - deviation.log()
    torch.testing.assert_close(mixture.rescaled(mean, deviation).log_density(t), expected)


def test_log_deviations_are_bounded_smoothly():
    raw = torch.tensor([-1e6, -50.0, -2.0, 0.0, 50.0, 1e6], requires_grad=True)
    bounded = bounded_log_deviation(raw)
    assert bounded.min() >= -6
    assert bounded.max() <= 2
    assert bool((bounded.diff() >= 0).all())
    (slope,) = torch.autograd.grad(bounded.sum(), raw)
    assert torch.isfinite(slope).all()
    assert float(slope[2]) == 1.0  # at the centre nothing is changed


@pytest.mark.parametrize("extreme", [0.0, 1e4])
def test_the_network_never_gives_a_loss_that_is_not_finite(extreme):
    torch.manual_seed(0)
    network = MixtureNetwork(TreatmentConfig(hidden=(8,)), 3, 4)
    mixture = network(torch.randn(1, 50, 1) * (1 + extreme), torch.randn(1, 50, 3) * (1 + extreme))
    loss = -mixture.log_density(torch.randn(1, 50) * (1 + extreme)).mean()
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
    torch.testing.assert_close(mixture.log_weights.exp().sum(dim=-1), torch.ones(3, 50))
