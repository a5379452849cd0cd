"""Small random networks, and a slow reference that shares no code with the solvers: worlds one by one, by networkx."""

import itertools

import networkx as nx
import numpy as np

from micromega.solvers.cascade import Network


def draw_small(seed, model="ic"):
    """3 to 6 nodes and 4 to 9 edges; probabilities of all kinds, 0 and 1 among them (ic), or weights (lt)."""
    rng = np.random.default_rng([seed, 77])
    nodes = int(rng.integers(3, 7))
    pairs = np.array([(a, b) for a in range(nodes) for b in range(nodes) if a != b])
    edges = pairs[rng.permutation(len(pairs))[: rng.integers(4, min(9, len(pairs)) + 1)]]
    if model == "ic":
        probability = rng.choice([0.0, 0.05, 0.3, 0.5, 0.61, 0.9, 1.0], len(edges))
        if seed % 3:
            probability = rng.random(len(edges)) ** 2
    else:
        probability = rng.random(len(edges))
        into = np.bincount(edges[:, 1], weights=probability, minlength=nodes)
        room = rng.choice([0.6, 1.0], nodes)
        probability *= (room / np.maximum(into, 1e-12))[edges[:, 1]].clip(max=1.0)
    return Network.of(edges, probability, nodes)


def some_seeds(network, seed):
    rng = np.random.default_rng([seed, 78])
    return rng.permutation(network.nodes)[: rng.integers(1, 3)]


def by_networkx(network, seeds, model="ic", steps=None):
    """Probability that each node is active, by going through all worlds."""
    total = np.zeros(network.nodes)
    edges = list(zip(network.source.tolist(), network.target.tolist(), network.probability.tolist(), strict=True))
    if model == "ic":
        choices = [[(None, 1 - p), ((a, b), p)] for a, b, p in edges]
    else:
        into = {v: [(a, p) for a, b, p in edges if b == v] for v in range(network.nodes)}
        choices = [[(None, 1 - sum(p for _, p in of)), *(((a, v), p) for a, p in of)] for v, of in into.items() if of]
    for world in itertools.product(*choices):
        graph = nx.DiGraph([edge for edge, _ in world if edge])
        graph.add_nodes_from(range(network.nodes))
        active = set()
        for v in seeds:
            active |= set(nx.single_source_shortest_path_length(graph, int(v), cutoff=steps))
        total[list(active)] += np.prod([p for _, p in world])
    return total
