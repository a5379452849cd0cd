"""Networks and readings of probabilities: what is refused, how edges are laid out, numbers by hand and by networkx."""

import networkx as nx
import numpy as np
import pytest

from micromega.errors import ConfigError, DataError
from micromega.solvers.cascade import Network, distinct_edges, edge_probability
from micromega.solvers.cascade.chances import by_source_degree, over_in_degree, trivalency, uniform_chance

EDGES = np.array([[2, 0], [0, 1], [2, 1], [0, 2]])


def test_edges_are_sorted_and_loops_dropped():
    network = Network.of([*EDGES.tolist(), [1, 1]], [0.1, 0.2, 0.3, 0.4, 0.9], nodes=4)
    assert network.start.tolist() == [0, 2, 2, 4, 4]
    assert network.target.tolist() == [1, 2, 0, 1]
    assert network.probability.tolist() == [0.2, 0.4, 0.1, 0.3]
    assert network.source.tolist() == [0, 0, 2, 2]
    assert network.nodes == 4


def test_the_reverse_turns_every_edge_round():
    rng = np.random.default_rng(0)
    graph = nx.gnp_random_graph(30, 0.2, seed=1, directed=True)
    edges = np.array(graph.edges)
    network = Network.of(edges, rng.random(len(edges)), nodes=30)
    back = network.reverse
    forth = dict(zip(zip(network.source, network.target, strict=True), network.probability, strict=True))
    assert {(b, a): p for (a, b), p in forth.items()} == dict(
        zip(zip(back.source, back.target, strict=True), back.probability, strict=True)
    )
    assert np.all(np.diff(back.start) == [graph.in_degree(v) for v in range(30)])


@pytest.mark.parametrize(
    ("edges", "probability", "nodes", "message"),
    [
        ([[0, 3]], 0.5, 3, r"edges\[0\] is \[0, 3\]; 1 edges leave the network"),
        ([[-1, 0]], 0.5, 3, "leave the network"),
        ([[0.0, 1.0]], 0.5, 3, "float64 values"),
        ([0, 1, 2], 0.5, 3, "shape"),
        ([[0, 1], [1, 2], [0, 1]], 0.5, 3, "1 edges are given again, the first from 0 to 1"),
        ([[0, 1], [1, 2]], [0.5, float("nan")], 3, r"probability\[1\] is nan"),
        ([[0, 1]], 1.5, 3, r"outside \[0, 1\]"),
        ([[0, 1]], [0.5, 0.5], 3, "there are 1 edges"),
        ([[0, 1]], ["x"], 3, "give one number"),
        ([[0, 1]], 0.5, 0, "nodes is 0"),
    ],
)
def test_malformed_input_is_named(edges, probability, nodes, message):
    with pytest.raises(DataError, match=message):
        Network.of(edges, probability, nodes)


def test_no_edges_are_a_network():
    assert Network.of([], 0.5, nodes=3).start.tolist() == [0, 0, 0, 0]


def test_readings_by_hand():
    assert uniform_chance(EDGES, 3, 0.3).tolist() == [0.3] * 4
    assert over_in_degree(EDGES, 3).tolist() == [1, 0.5, 0.5, 1]
    assert over_in_degree(EDGES, 3, scale=0.5).tolist() == [0.5, 0.25, 0.25, 0.5]
    assert over_in_degree(EDGES, 3, multiplicity=[1, 3, 1, 2]).tolist() == [1, 0.75, 0.25, 1]
    assert by_source_degree([[0, 1], [0, 2], [1, 2]], 3, most=0.4).tolist() == [0.4, 0.4, 0.2]


def test_in_degrees_are_those_of_networkx():
    graph = nx.gnp_random_graph(40, 0.15, seed=2, directed=True)
    edges = np.array(graph.edges)
    expected = [1 / graph.in_degree(b) for _, b in edges.tolist()]
    np.testing.assert_allclose(edge_probability(edges, 40, "in_degree"), expected)


def test_trivalency_is_drawn_by_edge_and_seed():
    edges = np.array([(a, b) for a in range(60) for b in range(60) if a != b])
    drawn = trivalency(edges, 60, seed=1)
    shuffled = np.random.default_rng(3).permutation(len(edges))
    assert np.array_equal(trivalency(edges[shuffled], 60, seed=1), drawn[shuffled])
    assert not np.array_equal(trivalency(edges, 60, seed=2), drawn)
    counts = [np.sum(drawn == level) for level in (0.1, 0.01, 0.001)]
    assert sum(counts) == len(edges)
    assert np.all(np.abs(np.array(counts) - len(edges) / 3) < 5 * np.sqrt(len(edges) * 2 / 9))


def test_readings_by_name():
    for name, value in (("uniform", 0.2), ("source_degree", 0.2), ("in_degree", None), ("trivalency", None)):
        assert edge_probability(EDGES, 3, name, value=value).shape == (4,)
    assert edge_probability(EDGES, 3, "given", given=[0.1, 0.2, 0.3, 0.4]).tolist() == [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    ("reading", "value", "message"),
    [
        ("uniform", None, "needs a value"),
        ("uniform", 1.2, "A probability of edges is 1.2"),
        ("source_degree", float("nan"), "A probability of edges is nan"),
        ("in_degree", 0.0, "above 0"),
        ("given", None, "needs probabilities"),
        ("degree", 0.1, "Choose uniform"),
    ],
)
def test_readings_that_do_not_work(reading, value, message):
    with pytest.raises(ConfigError, match=message):
        edge_probability(EDGES, 3, reading, value=value)


def test_repeated_edges_are_merged_with_their_number():
    edges, many = distinct_edges([[1, 0], [0, 1], [1, 0], [2, 2]], 3)
    assert edges.tolist() == [[0, 1], [1, 0]]
    assert many.tolist() == [1, 2]
    edges, many = distinct_edges([[1, 0], [0, 1], [1, 2]], 3, both_directions=True)
    assert edges.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert many.tolist() == [2, 2, 1, 1]
