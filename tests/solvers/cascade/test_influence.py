"""Seeds against the best seeds by brute force on small networks, guarantees that hold, and NetHEPT."""

import doctest
import gzip
import itertools
import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from small_networks import draw_small

import micromega.solvers.cascade
from micromega.errors import ConfigError, DataError, InfeasibleError
from micromega.solvers.cascade import (
    distinct_edges,
    exact_spread,
    maximise_influence,
    maximise_influence_within,
    spread,
)
from micromega.solvers.cascade.celf import celf, draw_worlds
from micromega.solvers.cascade.chances import over_in_degree

METHODS = ["opim_c", "imm", "celf"]
GREEDY = 1 - 1 / math.e


def given(network):
    return np.column_stack([network.source, network.target]), network.probability


def best_of(network, choices, model, steps):
    return max(exact_spread(network, list(choice), model, steps) for choice in choices)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["ic", "lt"])
def test_seeds_are_nearly_the_best(method, model):
    for seed in range(12):
        network, k, steps = draw_small(seed, model), 1 + seed % 2, (None, 1)[seed % 3 == 0]
        found = maximise_influence(
            *given(network), k, nodes=network.nodes, method=method, model=model, seed=seed, steps=steps, delta=0.01
        )
        best = best_of(network, itertools.combinations(range(network.nodes), k), model, steps)
        value = exact_spread(network, found.seeds, model, steps)
        assert value >= GREEDY * best
        assert value >= (0.97 if k == 1 else 0.9) * best  # greedy itself may be that far off
        assert abs(found.spread.mean - value) <= 5 * found.spread.standard_error + 1e-9
        assert len(set(found.seeds.tolist())) == k


def test_what_is_proven_holds():
    """In 100 runs with δ = 0.2 the bounds may fail 20 times."""
    wrong = 0
    for seed in range(100):
        network = draw_small(seed)
        found = maximise_influence(*given(network), 1, nodes=network.nodes, seed=seed, delta=0.2, simulations=10)
        best = best_of(network, itertools.combinations(range(network.nodes), 1), "ic", None)
        value, proven = exact_spread(network, found.seeds), found.guarantee
        assert proven.confidence == pytest.approx(0.8)
        assert GREEDY - 0.1 <= proven.ratio <= 1
        holds = proven.lower <= value + 1e-9 and best <= proven.upper + 1e-9
        wrong += not holds or value < proven.ratio * best - 1e-9
    assert wrong < 20


def test_celf_is_greedy_on_its_worlds():
    for seed in range(10):
        for model, steps in (("ic", None), ("lt", None), ("ic", 1), ("ic", 2)):
            network = draw_small(seed, model)
            worlds = draw_worlds(network, model, 40, seed, 2**24)
            chosen, ratio = celf(network, worlds, np.ones(network.nodes, bool), 2, steps=steps)
            sizes = {}
            for choice in itertools.permutations(range(network.nodes), 2):
                for first in (choice, choice[:1]):
                    sizes[first] = sum(_reached(worlds, network.nodes, w, first, steps) for w in range(40))
            lone = {choice: size for choice, size in sizes.items() if len(choice) == 1}
            assert sizes[(chosen[0],)] == max(lone.values())
            after = {choice: size for choice, size in sizes.items() if choice[:1] == (chosen[0],) and len(choice) == 2}
            assert sizes[tuple(chosen.tolist())] == max(after.values())
            assert GREEDY <= ratio <= sizes[tuple(chosen.tolist())] / max(sizes.values()) + 1e-12


def _reached(worlds, nodes, world, seeds, steps):
    active = set(seeds)
    for _ in range(nodes if steps is None else steps):
        for v in tuple(active):
            begin, end = worlds.start[world * nodes + v : world * nodes + v + 2]
            active |= set(worlds.target[begin:end].tolist())
    return len(active)


def test_worlds_have_the_right_edges():
    for model in ("ic", "lt"):
        network = draw_small(8, model)
        worlds = draw_worlds(network, model, 20_000, 1, 2**24)
        owner = np.repeat(np.arange(len(worlds.start) - 1) % network.nodes, np.diff(worlds.start))
        seen = np.zeros((network.nodes, network.nodes))
        np.add.at(seen, (owner, worlds.target), 1)
        expected = np.zeros_like(seen)
        expected[network.source, network.target] = network.probability
        assert np.abs(seen / 20_000 - expected).max() < 5 * math.sqrt(0.25 / 20_000)
        assert seen.max() <= 20_000


@pytest.mark.parametrize("method", METHODS)
def test_unavailable_nodes_are_no_seeds_but_pass_on(method):
    edges = [[0, 1], [1, 2], [1, 3], [1, 4], [5, 6]]
    found = maximise_influence(edges, 1.0, 2, nodes=7, method=method, unavailable=[1, 5])
    assert found.seeds[0] == 0
    assert found.spread.mean == 6
    assert not set(found.seeds.tolist()) & {1, 5}
    everybody = maximise_influence(edges, 0.3, 5, nodes=7, method=method, unavailable=[1, 5])
    assert sorted(everybody.seeds.tolist()) == [0, 2, 3, 4, 6]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_seeds(method):
    rng = np.random.default_rng(2)
    edges, _ = distinct_edges(rng.integers(0, 200, (900, 2)), 200)
    one, other = (
        maximise_influence(edges, 0.1, 5, nodes=200, method=method, seed=4, worlds=200, epsilon=0.3) for _ in range(2)
    )
    assert np.array_equal(one.seeds, other.seeds)
    assert one.spread == other.spread
    assert one.guarantee.ratio == other.guarantee.ratio


def test_budget_against_brute_force():
    for seed in range(20):
        network = draw_small(seed)
        price = np.random.default_rng(seed).integers(1, 6, network.nodes)
        found = maximise_influence_within(*given(network), price, 6.0, nodes=network.nodes, seed=seed, delta=0.01)
        choices = [
            choice
            for k in range(1, network.nodes + 1)
            for choice in itertools.combinations(range(network.nodes), k)
            if price[list(choice)].sum() <= 6
        ]
        best = best_of(network, choices, "ic", None)
        value = exact_spread(network, found.seeds)
        assert price[found.seeds].sum() <= 6
        assert value >= 0.8 * best
        assert found.guarantee.lower <= value + 1e-9
        assert best <= found.guarantee.upper + 1e-9
        assert value >= found.guarantee.ratio * best - 1e-9


def test_a_small_memory_is_said_or_refused():
    edges = [(a, b) for a in range(60) for b in range(60) if a != b]
    settings = {"nodes": 60, "epsilon": 0.01, "simulations": 50}
    found = maximise_influence(edges, 0.005, 3, memory=10_000, **settings)
    assert found.guarantee.full
    assert 0.2 < found.guarantee.ratio < GREEDY - 0.01
    with pytest.raises(ConfigError, match="IMM needs"):
        maximise_influence(edges, 0.03, 3, method="imm", memory=400_000, **settings)
    with pytest.raises(ConfigError, match="holds 1 of the first"):
        maximise_influence(edges, 1.0, 3, memory=400, **settings)
    with pytest.raises(ConfigError, match="worlds need about"):
        maximise_influence(edges, 0.03, 3, method="celf", memory=400_000, **settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"k": 0}, ConfigError, "k is 0"),
        ({"k": 4, "unavailable": [2]}, ConfigError, "1 to the 3 nodes"),
        ({"epsilon": 0.7}, ConfigError, "epsilon is 0.7"),
        ({"delta": 0}, ConfigError, "delta is 0"),
        ({"method": "degree"}, ConfigError, "Choose opim_c, imm or celf"),
        ({"model": "sir"}, ConfigError, "model is"),
        ({"method": "celf", "worlds": 0}, ConfigError, "worlds is 0"),
        ({"unavailable": [9]}, DataError, r"unavailable\[0\] is 9"),
        ({"memory": 0}, ConfigError, "memory is 0"),
    ],
)
def test_malformed_requests_are_named(settings, error, message):
    with pytest.raises(error, match=message):
        maximise_influence([[0, 2], [1, 2]], 0.3, **{"k": 1, "nodes": 4, **settings})


@pytest.mark.parametrize(
    ("prices", "budget", "error", "message"),
    [
        ([1, 2], 3, DataError, "one for each of 3 nodes"),
        ([1, -2, 1], 3, DataError, r"prices\[1\] is -2"),
        ([1, 2, float("nan")], 3, DataError, r"prices\[2\] is nan"),
        ([4, 5, 6], 3, InfeasibleError, "the cheapest costs 4"),
        ([1, 1, 1], float("inf"), ConfigError, "budget is inf"),
    ],
)
def test_malformed_prices_are_named(prices, budget, error, message):
    with pytest.raises(error, match=message):
        maximise_influence_within([[0, 2], [1, 2]], 0.3, prices, budget, nodes=3)


@pytest.mark.slow
@pytest.mark.realdata
def test_sampling_is_within_a_percent_of_celf_on_nethept(public_data):
    """Weighted cascade of the co-authorship multigraph: an edge's share of all edges to its target, both ways."""
    with gzip.open(public_data / "im-benchmark-graphs" / "NetHEPT.txt.gz", "rt") as file:
        lines = np.loadtxt(file, dtype=np.int64, skiprows=1)
    edges, multiplicity = distinct_edges(lines, 15_233, both_directions=True)
    chance = over_in_degree(edges, 15_233, multiplicity=multiplicity)
    reached = {}
    for method in METHODS:
        found = maximise_influence(edges, chance, 50, nodes=15_233, method=method, seed=1, simulations=10)
        reached[method] = spread(edges, chance, found.seeds, nodes=15_233, simulations=40_000, seed=7)
    for method in ("opim_c", "imm"):
        error = math.hypot(reached[method].standard_error, reached["celf"].standard_error)
        assert reached[method].mean >= 0.99 * reached["celf"].mean - 2 * error
    assert reached["celf"].mean > 1_000


@pytest.mark.parametrize("method", METHODS)
def test_one_node(method):
    found = maximise_influence([], 0.5, 1, nodes=1, method=method)
    assert found.seeds.tolist() == [0]
    assert found.spread.mean == 1


def test_the_page_s_examples_run(repository):
    result = doctest.testfile(str(repository / "docs" / "influence.md"), module_relative=False)
    assert result.attempted > 12
    assert result.failed == 0


@pytest.mark.parametrize("name", ["exact", "expected", "influence", "simulate", "simulate_torch", "threshold"])
def test_the_docstrings_examples_run(name):
    result = doctest.testmod(import_module(f"micromega.solvers.cascade.{name}"))
    assert result.attempted
    assert result.failed == 0


def test_no_public_name_is_that_of_a_module():
    """Such a module, once imported, would hide the function."""
    folder = Path(micromega.solvers.cascade.__file__).parent
    assert not {path.stem for path in folder.glob("*.py")} & set(micromega.solvers.cascade.__all__)
    for name in micromega.solvers.cascade.__all__:
        assert getattr(micromega.solvers.cascade, name).__name__ == name
