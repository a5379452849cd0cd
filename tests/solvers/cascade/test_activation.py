"""The activation matrix: best paths against networkx and walks, cascades against all worlds."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest

from micromega.errors import ConfigError, DataError
from micromega.solvers.cascade import Network, activation_matrix
from micromega.solvers.cascade.exact import exact_activation


def drawn(seed: int, nodes: int, edges: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    every = np.array([(a, b) for a in range(nodes) for b in range(nodes) if a != b])
    pairs = every[rng.permutation(len(every))[:edges]]
    chance = rng.uniform(0, 1, edges).round(2)  # with ties
    chance[:2] = 0.0, 1.0
    return pairs, chance


@pytest.mark.parametrize("seed", range(6))
def test_best_paths_are_those_of_networkx(seed: int) -> None:
    pairs, chance = drawn(seed, 14, 50)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(14))
    for (a, b), p in zip(pairs.tolist(), chance.tolist(), strict=True):
        if p:
            graph.add_edge(a, b, weight=-math.log(p))
    found = activation_matrix(pairs, chance, nodes=14)
    expected = np.zeros((14, 14))
    for a, lengths in nx.all_pairs_dijkstra_path_length(graph):
        for b, length in lengths.items():
            expected[a, b] = math.exp(-length)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 20])
def test_paths_of_a_few_edges_are_those_of_walking(steps: int) -> None:
    pairs, chance = drawn(3, 9, 25)
    direct = np.eye(9)
    direct[pairs[:, 0], pairs[:, 1]] = chance
    walked = np.eye(9)
    for _ in range(steps):
        walked = (walked[:, :, None] * direct[None]).max(axis=1)
    found = activation_matrix(pairs, chance, nodes=9, steps=steps)
    np.testing.assert_allclose(found, walked, atol=1e-12)
    if steps == 20:
        np.testing.assert_allclose(found, activation_matrix(pairs, chance, nodes=9), atol=1e-12)


@pytest.mark.parametrize("steps", [None, 0, 1, 2])
def test_cascades_are_those_of_all_worlds(steps: int | None) -> None:
    pairs, chance = drawn(5, 6, 12)
    network = Network.of(pairs, chance, nodes=6)
    exact = np.stack([exact_activation(network, [v], steps=steps) for v in range(6)])
    many = 64 * 800
    found = activation_matrix(pairs, chance, nodes=6, method="monte_carlo", steps=steps, simulations=many, seed=2)
    error = np.sqrt(np.clip(exact * (1 - exact), 0, None) / many)
    assert np.all(np.abs(found - exact) <= 5 * error + 1e-12)
    best = activation_matrix(pairs, chance, nodes=6, steps=steps)
    assert np.all(best <= exact + 1e-12)  # one path of many
    assert np.any(exact > best + 0.01) == (steps is None or steps > 1)


def test_worlds_of_the_sampler_are_independent_of_each_other() -> None:
    # two edges into one node: both bits of a word must not be the same draw
    found = activation_matrix([[0, 1], [0, 2], [1, 3], [2, 3]], 0.5, nodes=4, method="monte_carlo", simulations=64_000)
    assert found[0, 3] == pytest.approx(1 - (1 - 0.25) ** 2, abs=5 * 0.5 / math.sqrt(64_000))


def test_rows_can_be_asked_for_alone_and_seeds_repeat() -> None:
    pairs, chance = drawn(1, 12, 40)
    for method, more in itertools.product(("best_path", "monte_carlo"), ({}, {"steps": 2})):
        whole = activation_matrix(pairs, chance, nodes=12, method=method, seed=4, **more)
        some = activation_matrix(pairs, chance, nodes=12, method=method, seed=4, sources=[7, 2], **more)
        np.testing.assert_array_equal(some, whole[[7, 2]])
        assert np.all(np.diag(whole) == 1)
    other = activation_matrix(pairs, chance, nodes=12, method="monte_carlo", seed=5)
    assert not np.array_equal(other, activation_matrix(pairs, chance, nodes=12, method="monte_carlo", seed=4))


def test_nobody_follows_anybody() -> None:
    for method in ("best_path", "monte_carlo"):
        np.testing.assert_array_equal(activation_matrix([], [], nodes=3, method=method), np.eye(3))


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"steps": -1}, ConfigError, "steps is -1"),
        ({"method": "monte_carlo", "simulations": 0}, ConfigError, "simulations is 0"),
        ({"seed": -1}, ConfigError, "seed is -1"),
        ({"method": "magic"}, ConfigError, "best_path, monte_carlo"),
        ({"sources": [3]}, DataError, "0 to 2"),
        ({"nodes": 100_000}, ConfigError, "does not fit"),
    ],
)
def test_what_cannot_be(more: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        activation_matrix([[0, 1]], [0.5], **{"nodes": 3, **more})
