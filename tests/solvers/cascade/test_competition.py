"""The process with all needs at once: against every outcome of small networks, and against the plain cascade."""

import itertools

import numpy as np
import pytest

from micromega.errors import ConfigError, DataError
from micromega.solvers.cascade import Network, activation_matrix
from micromega.solvers.cascade.awareness import awareness
from micromega.solvers.cascade.competition import compete
from micromega.solvers.cascade.exact import exact_spread
from micromega.solvers.cascade.recount import recount

SIMULATIONS = 40_000


def drawn(seed: int, nodes: int, edges: int) -> Network:
    rng = np.random.default_rng(seed)
    every = np.array([(a, b) for a in range(nodes) for b in range(nodes) if a != b])
    return Network.of(every[rng.permutation(len(every))[:edges]], rng.uniform(0.2, 0.9, edges), nodes=nodes)


def exact(network: Network, creators: list[int], steps: int | None = None) -> np.ndarray:
    """Expected accounts of each need: all outcomes of every step, one account after the other."""
    edges = list(zip(network.source.tolist(), network.target.tolist(), network.probability.tolist(), strict=True))

    def outcomes(w: int, need: tuple[int, ...], fresh: frozenset[int]) -> list[tuple[int, int, float]]:
        """What one account may become at this step, -1: nothing, and how likely."""
        tries = [(need[v], p) for v, t, p in edges if t == w and v in fresh]
        chance = dict.fromkeys({j for j, _ in tries}, 0.0)
        for success in itertools.product((False, True), repeat=len(tries)):
            weight = float(np.prod([p if hit else 1 - p for hit, (_, p) in zip(success, tries, strict=True)]))
            won = [j for hit, (j, _) in zip(success, tries, strict=True) if hit]
            for j in won:  # each who succeeded is as likely
                chance[j] += weight / len(won)
        return [(w, -1, 1 - sum(chance.values())), *((w, j, p) for j, p in chance.items())]

    def end(need: tuple[int, ...], fresh: frozenset[int], left: int) -> np.ndarray:
        if not fresh or not left:
            return np.array([need.count(j) for j in range(len(creators))], float)
        total = np.zeros(len(creators))
        for outcome in itertools.product(*(outcomes(w, need, fresh) for w in range(len(need)) if need[w] < 0)):
            weight, then = float(np.prod([p for _, _, p in outcome])), list(need)
            for w, j, _ in outcome:
                then[w] = j
            if weight:
                total += weight * end(tuple(then), frozenset(w for w, j, _ in outcome if j >= 0), left - 1)
        return total

    begin = [-1] * network.nodes
    for j, v in enumerate(creators):
        begin[v] = j
    return end(tuple(begin), frozenset(creators), network.nodes if steps is None else steps)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("steps", [None, 0, 1, 2])
def test_every_outcome_of_small_networks(seed: int, steps: int | None) -> None:
    network, creators = drawn(seed, 6, 12), [0, 3, 5]
    expected = exact(network, creators, steps)
    assert expected.sum() == pytest.approx(exact_spread(network, creators, steps=steps))  # the oracle itself
    found = compete(network, creators, simulations=SIMULATIONS, seed=seed, steps=steps)
    assert np.all(np.abs(found.awareness - expected) <= 5 * found.standard_error + 1e-12)
    if steps is not None and steps > 0:
        before = exact(network, creators, steps - 1)
        np.testing.assert_allclose(found.by_step[-2], before, atol=0.03)
    np.testing.assert_allclose(found.by_step[-1], found.awareness)
    again = np.concatenate([recount(network, np.array(creators), seed=s, steps=steps) for s in range(10)])
    error = again.std(axis=0, ddof=1) / np.sqrt(len(again))
    assert np.all(np.abs(again.mean(axis=0) - expected) <= 5 * error + 1e-12)


def test_who_succeeds_together_is_as_likely_each() -> None:
    # need 0 comes through two accounts, need 1 through one, all at the second step
    edges = [[0, 2], [0, 3], [1, 4], [2, 5], [3, 5], [4, 5]]
    network = Network.of(edges, 1.0, nodes=6)
    found = compete(network, [0, 1], simulations=SIMULATIONS, seed=3)
    assert found.awareness.tolist() == pytest.approx([3 + 2 / 3, 2 + 1 / 3], abs=0.02)


def test_names_of_needs_change_nothing_and_different_creators_share_their_luck() -> None:
    network = drawn(1, 30, 120)
    one = compete(network, [3, 9, 20], simulations=500, seed=8)
    other = compete(network, [20, 3, 9], simulations=500, seed=8)
    np.testing.assert_array_equal(one.counts[:, [2, 0, 1]], other.counts)
    again = compete(network, [3, 9, 20], simulations=200, seed=8)
    np.testing.assert_array_equal(again.counts, one.counts[:200])
    alone = compete(network, [3], simulations=500, seed=8).counts[:, 0]
    assert np.all(one.counts.sum(axis=1) >= alone)  # more seeds on the same drawn edges reach no fewer


def test_the_closed_form_is_off_where_paths_are_shared() -> None:
    # both needs reach the tail through account 2 alone: eq. 4 to 6 let them arrive independently of each other
    network = Network.of([[0, 2], [1, 2], *([2, leaf] for leaf in range(3, 8))], [0.5, 0.5] + [0.9] * 5, nodes=8)
    truth = exact(network, [0, 1])
    chance = activation_matrix(np.column_stack([network.source, network.target]), network.probability, nodes=8)
    closed = awareness(chance, [0, 1])
    assert closed[0] == pytest.approx(closed[1])
    assert truth[0] == pytest.approx(1 + 0.75 / 2 * (1 + 5 * 0.9))
    assert closed[0] == pytest.approx(1 + 0.75 / 2 + 5 * (1 - 0.55**2) / 2)
    assert abs(closed[0] - truth[0]) > 0.05


def test_what_cannot_be() -> None:
    network = drawn(0, 5, 8)
    with pytest.raises(ConfigError, match="several needs"):
        compete(network, [1, 1])
    with pytest.raises(ConfigError, match="simulations is 0"):
        compete(network, [1], simulations=0)
    with pytest.raises(DataError, match="seeds"):
        compete(network, [5])
