"""The arithmetic of the guarantees: bounds against binomial tails, numbers of sets against the papers' formulas.

`AMPLE` is 0 here: with it the bounds of small networks are near exact, and an error in them would not show.
"""

import dataclasses
import math

import numpy as np
import pytest
from scipy import special, stats

from micromega.errors import ConfigError
from micromega.solvers.cascade import Network, maximise_influence, maximise_influence_within
from micromega.solvers.cascade import imm as imm_module
from micromega.solvers.cascade import opim as opim_module
from micromega.solvers.cascade.certificate_influence import certify_influence
from micromega.solvers.cascade.coverage import Cover
from micromega.solvers.cascade.opim import _at_least, _at_most
from micromega.solvers.cascade.reverse import ReverseSets

GREEDY = 1 - 1 / math.e


@pytest.fixture(autouse=True)
def no_more_sets_than_needed(monkeypatch):
    monkeypatch.setattr(opim_module, "AMPLE", 0)


def draw(seed, nodes):
    """A sparse random network with unequal probabilities."""
    rng = np.random.default_rng([seed, 5])
    pairs = np.array([(a, b) for a in range(nodes) for b in range(nodes) if a != b])
    edges = pairs[rng.random(len(pairs)) < 4 / nodes]
    return edges, rng.random(len(edges)) ** 2


def chances_to_fail(sets, chance, eta):
    """Probability that each bound is broken, summed over all outcomes of the binomial."""
    met = np.arange(sets + 1)
    weight = stats.binom.pmf(met, sets, chance)
    low = np.array([_at_least(m, eta) for m in met])
    high = np.array([_at_most(m, eta) for m in met])
    return weight[low > sets * chance].sum(), weight[high < sets * chance].sum()


@pytest.mark.parametrize("eta", [0.5, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("sets", [50, 400, 3_000])
def test_bounds_hold_against_exact_binomial_tails(sets, eta):
    for chance in (0.002, 0.01, 0.05, 0.2, 0.5, 0.9, 0.99):
        below, above = chances_to_fail(sets, chance, eta)
        assert below <= math.exp(-eta)
        assert above <= math.exp(-eta)


@pytest.mark.parametrize("eta", [3.0, 8.0, 16.0])
def test_bounds_are_tight_beside_clopper_and_pearson(eta):
    """Where a small share is met, for which they are made, and η is as large as in use: 1.6 times as wide at most."""
    sets, fail = 20_000, math.exp(-eta)
    for met in (20, 100, 500, 2_000):
        exact_low = sets * special.betaincinv(met, sets - met + 1, fail)
        exact_high = sets * special.betaincinv(met + 1, sets - met, 1 - fail)
        assert met - exact_low <= met - _at_least(met, eta) <= 1.6 * (met - exact_low)
        assert exact_high - met <= _at_most(met, eta) - met <= 1.6 * (exact_high - met)
    assert _at_least(0, eta) == pytest.approx(0, abs=1e-12)


class Recorder:
    """Stands in for one of the bounds: writes down η, and proves nothing."""

    def __init__(self, value):
        self.value, self.eta = value, []

    def __call__(self, met, eta):
        self.eta.append(eta)
        return self.value(met)


@pytest.mark.parametrize(
    ("nodes", "k", "epsilon", "delta"), [(60, 1, 0.3, 0.2), (120, 3, 0.2, 0.01), (200, 7, 0.25, 0.05)]
)
def test_opim_c_draws_as_many_sets_as_its_formula_says(monkeypatch, nodes, k, epsilon, delta):
    """Where no round proves anything, θ goes from θ_0 to θ_max or beyond, and every bound may fail δ / (3 i_max)."""
    edges, chance = draw(1, nodes)
    low, high = Recorder(lambda met: 0.0), Recorder(lambda met: math.inf)
    monkeypatch.setattr(opim_module, "_at_least", low)
    monkeypatch.setattr(opim_module, "_at_most", high)
    found = maximise_influence(edges, chance, k, nodes=nodes, epsilon=epsilon, delta=delta, simulations=10)
    log_choices = math.log(math.comb(nodes, k))
    root = GREEDY * math.sqrt(math.log(6 / delta)) + math.sqrt(GREEDY * (log_choices + math.log(6 / delta)))
    theta_max = 2 * nodes * root**2 / (epsilon**2 * k)
    theta_0 = theta_max * epsilon**2 * k / nodes
    rounds = len(low.eta)
    final = found.guarantee.sets / 2
    assert theta_max <= final < 4 * (theta_max + 2**rounds)
    assert final == math.ceil(theta_0) * 2 ** (rounds - 1)
    assert low.eta == high.eta
    assert low.eta == pytest.approx([math.log(3 * rounds / delta)] * rounds)
    assert found.guarantee.ratio == pytest.approx(GREEDY - epsilon)


@pytest.mark.parametrize("covered", ["never", "at_once"])
@pytest.mark.parametrize(("nodes", "k", "epsilon", "delta"), [(64, 1, 0.3, 0.2), (200, 4, 0.2, 0.01)])
def test_imm_draws_as_many_sets_as_its_formulas_say(monkeypatch, covered, nodes, k, epsilon, delta):
    """λ' / x_i sets in trial i and λ* / LB in the end (Tang et al. 2015, eq. 6 and 9; Chen 2018: fresh ones).

    Coverage is stood in for: it never reaches (1 + ε') x_i, so that LB stays k; or covers all at once, so LB is
    N / (1 + ε').
    """
    edges, chance = draw(2, nodes)
    grown = []
    grow = imm_module._grow
    monkeypatch.setattr(imm_module, "_grow", lambda sets, wanted: (grown.append((sets, wanted)), grow(sets, wanted)))

    def cover(sets, allowed, many):
        return Cover(chosen=np.arange(many), covered=0 if covered == "never" else len(sets), most=0.0)

    monkeypatch.setattr(imm_module, "cover_greedily", cover)
    found = maximise_influence(
        edges, chance, k, nodes=nodes, method="imm", epsilon=epsilon, delta=delta, simulations=10
    )
    log_choices, wide, trials = math.log(math.comb(nodes, k)), math.sqrt(2) * epsilon, math.ceil(math.log2(nodes)) - 1
    half = delta / 2  # for either phase
    prime = (2 + 2 * wide / 3) * (log_choices + math.log(1 / half) + math.log(trials)) * nodes / wide**2
    alpha = math.sqrt(math.log(1 / half) + math.log(2))
    beta = math.sqrt(GREEDY * (log_choices + math.log(1 / half) + math.log(2)))
    star = 2 * nodes * (GREEDY * alpha + beta) ** 2 / epsilon**2
    if covered == "never":
        expected = [prime / (nodes / 2**i) for i in range(1, trials + 1)] + [star / k]
    else:
        expected = [prime / (nodes / 2), star / (nodes / (1 + wide))]
    assert [wanted for _, wanted in grown] == [math.ceil(one - 1e-9) for one in expected]
    assert grown[-1][0] is not grown[-2][0]
    assert not np.array_equal(grown[-1][0].node[:50], grown[-2][0].node[:50])  # other random numbers
    assert found.guarantee.sets == grown[-2][1] + grown[-1][1]


def nearly_exact(network, k):
    """Spread of any one or two seeds from 200,000 sets of other random numbers: a function, and the best of k."""
    sets = ReverseSets(network, "ic", 10**6, None, 2**28)
    sets.grow(200_000)
    holds = np.zeros((len(sets), network.nodes), np.float32)
    holds[np.repeat(np.arange(len(sets)), np.diff(sets.start)), sets.node] = 1
    both = holds.T @ holds
    alone = np.diag(both)
    spread = (alone if k == 1 else alone[:, None] + alone - both) * network.nodes / len(sets)
    return (lambda seeds: float(spread[tuple(seeds)])), float(spread.max())


def failures(k, runs, delta):
    """How often a bound or the ratio is wrong, and the mean share of the spread that `lower` leaves."""
    wrong, left, sets = 0, [], []
    for which, nodes in enumerate((50, 90, 200)):
        edges, chance = draw(which, nodes)
        value_of, best = nearly_exact(Network.of(edges, chance, nodes), k)
        for seed in range(runs):
            found = maximise_influence(
                edges, chance, k, nodes=nodes, seed=seed, delta=delta, epsilon=0.3, simulations=1
            )
            proven, value = found.guarantee, value_of(found.seeds)
            slack = 0.01 * best  # of the reference
            broken = proven.lower > value + slack or proven.upper < best - slack
            wrong += broken or value < proven.ratio * best - slack
            left.append(proven.lower / value)
            sets.append(proven.sets)
    return wrong, float(np.mean(left)), float(np.median(sets))


@pytest.mark.parametrize("k", [1, 2])
def test_what_is_proven_of_larger_networks_holds_as_often_as_it_says(k):
    wrong, left, sets = failures(k, runs=60, delta=0.2)
    assert stats.binom.cdf(wrong, 180, 0.2) < 0.999
    assert 0.6 < left < 0.97  # bounds are neither vacuous nor those of millions of sets
    assert sets < 20_000


def test_bounds_without_their_margin_fail(monkeypatch):
    """The test above can fail: with η = 0 the bounds are the estimates themselves, wrong about every other time."""
    monkeypatch.setattr(opim_module, "_at_least", lambda met, eta: _at_least(met, 0.0))
    monkeypatch.setattr(opim_module, "_at_most", lambda met, eta: _at_most(met, 0.0))
    wrong, _, _ = failures(1, runs=60, delta=0.2)
    assert stats.binom.sf(wrong, 180, 0.2) < 0.001


def test_a_budget_s_guarantee_counts_all_affordable_choices(monkeypatch):
    """θ_0 with ratio 1/2 and the number of sets of seeds that the budget can pay for, which is at most m choices."""
    edges, chance = draw(3, 60)
    low = Recorder(lambda met: 0.0)
    monkeypatch.setattr(opim_module, "_at_least", low)
    found = maximise_influence_within(
        edges, chance, np.ones(60), 2.0, nodes=60, epsilon=0.25, delta=0.1, simulations=10
    )
    least = math.log(1 + 60 + math.comb(60, 2))
    root = 0.5 * math.sqrt(math.log(60)) + math.sqrt(0.5 * (least + math.log(60)))
    theta_max = 2 * 60 * root**2 / (0.25**2 * 2)
    assert found.guarantee.sets / 2 >= theta_max
    assert found.guarantee.ratio == pytest.approx(0.25)


def test_a_ratio_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"epsilon is 0\.64"):
        maximise_influence([[0, 1]], 0.5, 1, nodes=2, epsilon=0.64)


@pytest.mark.parametrize("model", ["ic", "lt"])
def test_the_certificate_refuses_bounds_and_spreads_that_contradict_it(model):
    edges, _ = draw(4, 50)
    into = np.bincount(edges[:, 1], minlength=50)
    chance = 1 / into[edges[:, 1]]
    network = Network.of(edges, chance, 50)
    found = maximise_influence(edges, chance, 2, nodes=50, model=model, simulations=4_000)

    def check(answer):
        certificate = certify_influence(
            network, answer, allowed=np.arange(50), most=2, prices=np.full(50, np.nan), budget=None, model=model,
            simulations=4_000, seed=5,
        )  # fmt: skip
        return {one.name: one for one in certificate.checks}

    assert all(one.ok for one in check(found).values())
    mean = found.spread.mean
    for bounds, words in (({"upper": 0.8 * mean}, "upper bound"), ({"lower": 1.2 * mean}, "lower bound")):
        proven = dataclasses.replace(found.guarantee, **bounds)
        refused = check(dataclasses.replace(found, guarantee=proven))["guarantee"]
        assert not refused.ok
        assert words in refused.words
    wrong = dataclasses.replace(found.spread, mean=1.2 * mean)
    assert not check(dataclasses.replace(found, spread=wrong))["spread"].ok
    assert check(dataclasses.replace(found, seeds=found.seeds[[0, 0]]))["unavailable"].ok is False
