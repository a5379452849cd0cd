"""Reverse-reachable sets: unbiased, the same however they are grown, bounded in memory; covers against brute force."""

import itertools

import numpy as np
import pytest
from scipy import stats
from small_networks import draw_small, some_seeds

from micromega.solvers.cascade import Network, exact_activation, exact_spread
from micromega.solvers.cascade.budgeted import cover_within, log_choices, most_seeds
from micromega.solvers.cascade.coverage import cover_greedily
from micromega.solvers.cascade.reverse import ReverseSets, sets_met

PLENTY = 2**24
MODELS = ["ic", "lt"]


def members(sets):
    return [set(part.tolist()) for part in np.split(sets.node, sets.start[1:-1])]


@pytest.mark.parametrize("model", MODELS)
def test_sets_estimate_the_exact_spread(model):
    """The share of sets met is binomial with probability spread / N, by kept sets and by those left early."""
    p_values = []
    for seed in range(60):
        network = draw_small(seed, model)
        seeds = some_seeds(network, seed)
        steps = (None, 1, 2, None)[seed % 4]
        share = min(1.0, exact_spread(network, seeds, model, steps) / network.nodes)
        sets = ReverseSets(network, model, seed, steps, PLENTY)
        sets.grow(5_000)
        kept = sum(not of.isdisjoint(seeds.tolist()) for of in members(sets))
        early = sets_met(network, model, seeds, seed=seed + 1_000, sets=5_000, steps=steps)
        if share == 1.0:
            assert kept == early == 5_000
        else:
            p_values += [stats.binomtest(met, 5_000, share).pvalue for met in (kept, early)]
    assert len(p_values) > 90
    assert min(p_values) > 0.001 / len(p_values)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


@pytest.mark.parametrize("model", MODELS)
def test_members_reach_the_root_with_their_exact_probability(model):
    network = draw_small(16, model)
    sets = ReverseSets(network, model, 4, None, PLENTY)
    sets.grow(30_000)
    roots = sets.node[sets.start[:-1]]
    for source in range(network.nodes):
        exact = exact_activation(network, [source], model)
        holds = np.array([source in of for of in members(sets)])
        for root in range(network.nodes):
            mine = roots == root
            chance = min(1.0, exact[root])
            assert stats.binomtest(int(holds[mine].sum()), int(mine.sum()), chance).pvalue > 1e-5
    assert stats.chisquare(np.bincount(roots, minlength=network.nodes)).pvalue > 0.001


@pytest.mark.parametrize("model", MODELS)
def test_early_stop_counts_what_kept_sets_count(model):
    network, seeds = draw_small(20, model), np.array([1, 2])
    sets = ReverseSets(network, model, 9, None, PLENTY)
    sets.grow(2_000)
    met = sum(not of.isdisjoint(seeds.tolist()) for of in members(sets))
    assert sets_met(network, model, seeds, seed=9, sets=2_000) == met


def test_growing_in_steps_gives_the_same_sets():
    network = draw_small(12)
    once, twice = (ReverseSets(network, "ic", 3, None, PLENTY) for _ in range(2))
    once.grow(3_000)
    for many in (10, 11, 500, 3_000, 20):
        twice.grow(many)
    assert np.array_equal(once.start, twice.start)
    assert np.array_equal(once.node, twice.node)
    by_node = once.by_node()
    holders = [set(part.tolist()) for part in np.split(by_node[1], by_node[0][1:-1])]
    assert holders == [{s for s, of in enumerate(members(once)) if v in of} for v in range(network.nodes)]


def test_memory_is_bounded():
    edges = [(a, b) for a in range(50) for b in range(50) if a != b]
    network = Network.of(edges, 0.5, 50)
    sets, free = ReverseSets(network, "ic", 3, None, 400_000), ReverseSets(network, "ic", 3, None, PLENTY)
    sets.grow(10_000)
    free.grow(10_000)
    assert sets.full
    assert not free.full
    assert 1_900 < len(sets) < 2_100
    assert len(sets._node) <= 100_000
    assert np.array_equal(sets.node, free.node[: sets.start[-1]])


def test_greedy_cover_and_its_bound_against_brute_force():
    for seed in range(25):
        network = draw_small(seed)
        sets = ReverseSets(network, "ic", seed, None, PLENTY)
        sets.grow(300)
        held, allowed = members(sets), np.ones(network.nodes, bool)
        allowed[seed % network.nodes] = False
        for k in (1, 2):
            found = cover_greedily(sets, allowed, k)
            assert found.covered == sum(not of.isdisjoint(found.chosen.tolist()) for of in held)
            assert allowed[found.chosen].all()
            assert len(set(found.chosen.tolist())) == k
            best = max(
                sum(not of.isdisjoint(choice) for of in held)
                for choice in itertools.combinations(np.flatnonzero(allowed).tolist(), k)
            )
            assert found.covered <= best <= found.most
            assert found.covered >= (1 - 1 / np.e) * best


def test_cover_within_a_budget_against_brute_force():
    for seed in range(40):
        network = draw_small(seed)
        rng = np.random.default_rng(seed)
        sets = ReverseSets(network, "ic", seed, None, PLENTY)
        sets.grow(300)
        held, allowed = members(sets), np.ones(network.nodes, bool)
        price, budget = rng.integers(0, 8, network.nodes).astype(float), 7.0
        found = cover_within(sets, allowed, price, budget)
        affordable = [
            choice
            for k in range(network.nodes + 1)
            for choice in itertools.combinations(range(network.nodes), k)
            if price[list(choice)].sum() <= budget
        ]
        best = max(sum(not of.isdisjoint(choice) for of in held) for choice in affordable)
        assert price[found.chosen].sum() <= budget
        assert found.covered == sum(not of.isdisjoint(found.chosen.tolist()) for of in held)
        assert 0.5 * best <= found.covered <= best <= found.most + 1e-9
        assert most_seeds(price, budget) == max(map(len, affordable))
        assert log_choices(network.nodes, most_seeds(price, budget)) >= np.log(len(affordable)) - 1e-9


def test_a_dear_node_beats_many_cheap_ones():
    """Ratio greedy takes the cheap node first, after which the dear one no longer fits."""
    edges = [[0, leaf] for leaf in range(2, 12)]
    sets = ReverseSets(Network.of(edges, 1.0, 12), "ic", 1, None, PLENTY)
    sets.grow(5_000)
    price = np.array([10.0, 0.5, *[11.0] * 10])
    found = cover_within(sets, np.ones(12, bool), price, 10.0)
    assert found.chosen.tolist() == [0]


def test_rounded_sums_of_prices_fit_the_budget():
    """Ten times 0.1 is below 1 in floating point, three times 0.1 above 0.3."""
    sets = ReverseSets(Network.of([], 0.5, 12), "ic", 1, None, PLENTY)
    sets.grow(1_000)
    for many in (3, 10):
        found = cover_within(sets, np.ones(12, bool), np.full(12, 0.1), round(0.1 * many, 1))
        assert len(found.chosen) == most_seeds(np.full(12, 0.1), round(0.1 * many, 1)) == many
