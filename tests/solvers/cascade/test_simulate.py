"""Exact probabilities against networkx, simulations of both models and both engines against exact ones."""

import numpy as np
import pytest
from scipy import stats
from small_networks import by_networkx, draw_small, some_seeds

from micromega.errors import ConfigError, DataError
from micromega.solvers.cascade import (
    Network,
    Spread,
    activation_by_step,
    activation_counts,
    exact_activation,
    exact_spread,
    spread,
)
from micromega.solvers.cascade.live_edges import live_edge_sizes
from micromega.solvers.cascade.random_numbers import stream
from micromega.solvers.cascade.simulate import simulate
from micromega.solvers.cascade.simulate_torch import simulate_on
from micromega.solvers.cascade.threshold import simulate_threshold, threshold_by_step

CASES = [(seed, (None, 1, 2, None)[seed % 4]) for seed in range(60)]


def edges_of(network):
    return np.column_stack([network.source, network.target])


@pytest.mark.parametrize("model", ["ic", "lt"])
def test_exact_probabilities_are_those_of_networkx(model):
    for seed in range(15):
        network = draw_small(seed, model)
        seeds = some_seeds(network, seed)
        for steps in (None, 0, 1, 2):
            expected = by_networkx(network, seeds, model, steps)
            np.testing.assert_allclose(exact_activation(network, seeds, model, steps), expected, atol=1e-12)


def test_exact_spread_of_a_path():
    network = Network.of([[0, 1], [1, 2]], 0.5, nodes=3)
    assert exact_spread(network, [0]) == 1.75
    assert exact_spread(network, [0], steps=1) == 1.5
    assert exact_spread(network, [0], "lt") == 1.75
    assert exact_spread(network, []) == 0.0


@pytest.mark.parametrize("model", ["ic", "lt"])
def test_simulations_agree_with_exact_probabilities(model):
    """Every node of 60 networks: counts are binomial, so their p-values are uniform and the least is no smaller."""
    many = 20_000
    by_step = activation_by_step if model == "ic" else threshold_by_step
    run = simulate if model == "ic" else simulate_threshold
    p_values = []
    for seed, steps in CASES:
        network = draw_small(seed, model)
        seeds = some_seeds(network, seed)
        exact = exact_activation(network, seeds, model, steps)
        counts = by_step(network, seeds, many, seed, steps, last=1)[-1]
        sure = (exact < 1e-12) | (exact > 1 - 1e-12)
        assert np.array_equal(counts[sure], many * np.round(exact[sure]))
        p_values += [stats.binomtest(int(c), many, p).pvalue for c, p in zip(counts[~sure], exact[~sure], strict=True)]
        sizes = run(network, seeds, many, seed, steps)
        assert sizes.sum() == counts.sum()
    assert len(p_values) > 80
    assert min(p_values) > 0.001 / len(p_values)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


@pytest.mark.parametrize("weights", ["small", "by_in_degree"])
def test_live_edges_and_thresholds_give_the_same_sizes(weights):
    """The whole distribution, by two simulators of linear threshold and by going through all live edges."""
    network = draw_small(9, "lt")
    if weights == "by_in_degree":
        edges = edges_of(network)
        into = np.bincount(network.target, minlength=network.nodes)
        network = Network.of(edges, 1 / into[edges[:, 1]], network.nodes)
    seeds, many = [0], 50_000
    for steps in (None, 1, 2):
        one = np.bincount(simulate_threshold(network, seeds, many, 3, steps), minlength=network.nodes + 1)
        other = np.bincount(live_edge_sizes(network, seeds, many, 4, steps), minlength=network.nodes + 1)
        seen = one + other > 0
        assert stats.chi2_contingency(np.stack([one, other])[:, seen]).pvalue > 0.001
        exact = exact_spread(network, seeds, "lt", steps)
        sizes = np.repeat(np.arange(network.nodes + 1), other)
        assert abs(sizes.mean() - exact) < 5 * sizes.std() / np.sqrt(many) + 1e-9


def test_live_edges_agree_with_exact_spread():
    z = []
    for seed, steps in CASES:
        network = draw_small(seed, "lt")
        seeds = some_seeds(network, seed)
        found = Spread.of(live_edge_sizes(network, seeds, 5_000, seed, steps))
        exact = exact_spread(network, seeds, "lt", steps)
        if found.standard_error:
            z.append((found.mean - exact) / found.standard_error)
        else:
            assert found.mean == pytest.approx(exact, abs=1e-9)
    assert len(z) > 40
    assert np.abs(z).max() < 4
    assert 0.6 < np.mean(np.square(z)) < 1.5


def test_pairs_of_nodes_are_as_dependent_as_they_should_be():
    """Marginals could be right with edges drawn together; the sizes' whole distribution could not."""
    network = Network.of([[0, 1], [0, 2], [0, 3], [1, 4], [2, 4], [3, 1]], [0.2, 0.5, 0.7, 0.4, 0.9, 0.3], 5)
    live = (np.arange(64)[:, None] >> np.arange(6)) & 1
    chance = np.where(live, network.probability, 1 - network.probability).prod(axis=1)
    expected = np.zeros(6)
    for world, weight in zip(live, chance, strict=True):
        certain = Network.of(edges_of(network)[world == 1], 1.0, 5)
        expected[int(exact_spread(certain, [0]))] += weight
    for sizes in (simulate(network, [0], 50_000, 3), simulate_on(network, [0], 50_000, 3)):
        seen = np.bincount(sizes, minlength=6)
        assert stats.chisquare(seen[1:], 50_000 * expected[1:]).pvalue > 0.001


def test_intervals_cover_at_their_rate():
    network = draw_small(4)
    exact = exact_spread(network, [0])
    inside = 0
    for seed in range(1_000):
        low, high = spread(
            edges_of(network), network.probability, [0], nodes=network.nodes, simulations=400, seed=seed
        ).interval
        inside += low <= exact <= high
    assert stats.binomtest(inside, 1_000, 0.95).pvalue > 0.001


def test_hubs_are_drawn_in_pieces():
    """One source of 3,000 edges: their number is binomial though arrivals are drawn in pieces."""
    leaves = np.column_stack([np.zeros(3_000, int), np.arange(1, 3_001)])
    for probability in (0.004, 0.3):
        sizes = simulate(Network.of(leaves, probability, 3_001), [0], 4_000, 1) - 1
        assert (
            stats.ks_1samp(
                sizes + np.random.default_rng(0).random(4_000), lambda x, p=probability: _smooth(x, p)
            ).pvalue
            > 0.001
        )


def _smooth(x, p):
    whole = np.floor(x)
    return stats.binom.cdf(whole - 1, 3_000, p) + (x - whole) * stats.binom.pmf(whole, 3_000, p)


def test_unequal_edges_of_a_hub():
    rng = np.random.default_rng(5)
    leaves = np.column_stack([np.zeros(500, int), np.arange(1, 501)])
    probability = rng.random(500) ** 4
    counts = activation_counts(Network.of(leaves, probability, 501), [0], 20_000, 2)[1:]
    z = (counts - 20_000 * probability) / np.sqrt(20_000 * probability * (1 - probability) + 1e-9)
    assert np.abs(z[probability > 1e-3]).max() < 5
    assert 0.8 < np.mean(z[probability > 1e-2] ** 2) < 1.25


def test_counts_by_step_add_up_to_time_bounded_counts():
    network = draw_small(7)
    by_step = activation_by_step(network, [0], 5_000, 3, 4)
    assert by_step.shape == (5, network.nodes)
    for steps in range(5):
        bounded = activation_counts(network, [0], 5_000, 3, steps)
        spread_of = np.sqrt(5_000 * 0.25)
        assert np.all(np.abs(by_step[steps] - bounded) < 6 * spread_of)
        exact = exact_activation(network, [0], steps=steps)
        assert np.all(np.abs(by_step[steps] - 5_000 * exact) < 5 * spread_of)
    assert np.array_equal(by_step[4], activation_counts(network, [0], 5_000, 3, 4))


@pytest.mark.parametrize("by_step", [activation_by_step, threshold_by_step])
def test_what_comes_after_the_last_step_counts_as_the_last(by_step):
    path = Network.of([[v, v + 1] for v in range(6)], 1.0, 7)
    rows = by_step(path, [0], 10, 0, None, last=2)
    assert (rows / 10).tolist() == [[1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0], [1] * 7]
    assert (by_step(path, [0], 10, 0, 4, last=2)[-1] / 10).tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert by_step(path, [0], 10, 0, 3).shape == (4, 7)
    assert by_step(path, [0], 10, 0, None).sum(axis=1).tolist() == [10, 20, 30, 40, 50, 60, 70, 70]


def test_a_simulation_depends_on_seed_and_number_alone():
    network = draw_small(10)
    whole = simulate(network, [0, 2], 1_000, 9)
    assert np.array_equal(simulate(network, [2, 0, 0], 10, 9), whole[:10])
    assert not np.array_equal(simulate(network, [0, 2], 1_000, 10), whole)
    threshold = simulate_threshold(draw_small(10, "lt"), [0], 1_000, 9)
    assert np.array_equal(simulate_threshold(draw_small(10, "lt"), [0], 10, 9), threshold[:10])
    in_one, in_parts = (simulate_on(network, [0, 2], 100, 9, batch=size) for size in (None, 7))
    assert np.array_equal(in_one, in_parts)


def test_the_torch_engine_is_the_live_edge_graph_of_its_hash():
    network = draw_small(22)
    many, edges = 200, len(network.target)
    found = simulate_on(network, [0], many, 5, 2)
    for s in range(many):
        state = int(stream(5, s))
        draws = [_splitmix((state + (e + 1) * 0x9E3779B97F4A7C15) % 2**64) >> 11 for e in range(edges)]
        live = np.array(draws) < np.round(network.probability * 2.0**53)
        world = Network.of(edges_of(network)[live], 1.0, network.nodes)
        assert found[s] == exact_spread(world, [0], steps=2)


def _splitmix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_the_torch_engine_agrees_with_exact_spread():
    z = []
    for seed, steps in CASES[:25]:
        network = draw_small(seed)
        seeds = some_seeds(network, seed)
        found = Spread.of(simulate_on(network, seeds, 2_000, seed, steps))
        exact = exact_spread(network, seeds, steps=steps)
        if found.standard_error:
            z.append((found.mean - exact) / found.standard_error)
        else:
            assert found.mean == pytest.approx(exact, abs=0.01)
    assert np.abs(z).max() < 4


def test_spread_by_torch_and_by_compiled_loops():
    edges = [[0, 1], [1, 2], [0, 2]]
    one = spread(edges, 0.5, [0], nodes=3, simulations=20_000)
    other = spread(edges, 0.5, [0], nodes=3, simulations=20_000, device="cpu")
    assert abs(one.mean - other.mean) < 4 * np.hypot(one.standard_error, other.standard_error)
    assert one.simulations == 20_000
    assert one.interval[0] < one.mean < one.interval[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"simulations": 0}, ConfigError, "simulations is 0"),
        ({"steps": -1}, ConfigError, "steps is -1"),
        ({"seed": -1}, ConfigError, "seed is -1"),
        ({"model": "sir"}, ConfigError, 'model is "sir"'),
        ({"model": "lt", "device": "cpu"}, ConfigError, "CPU alone"),
        ({"device": "abacus"}, ConfigError, "torch cannot use abacus"),
        ({"seeds": [3]}, DataError, r"seeds\[0\] is 3"),
        ({"seeds": [0.5]}, DataError, "node numbers"),
        ({"model": "lt", "probability": [0.7, 0.7]}, DataError, "the weights into node 2 sum to 1.4"),
    ],
)
def test_malformed_requests_are_named(settings, error, message):
    given = {"probability": 0.3, "seeds": [0], "nodes": 3, **settings}
    with pytest.raises(error, match=message):
        spread([[0, 2], [1, 2]], **given)


def test_too_many_worlds_are_refused():
    edges = [[0, leaf] for leaf in range(1, 40)]
    with pytest.raises(ConfigError, match="549,755,813,888 worlds"):
        exact_spread(Network.of(edges, 0.5, 40), [0])
    assert exact_spread(Network.of(edges[:20], 0.5, 40), [0]) == pytest.approx(11)
    with pytest.raises(ConfigError, match="model is"):
        exact_spread(Network.of(edges[:3], 0.5, 40), [0], "sir")
