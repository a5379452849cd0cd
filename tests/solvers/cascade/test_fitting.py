"""Creators for the simulated process, beside trying all sets on the same simulations."""

import itertools

import numpy as np
import pytest

from micromega.solvers.cascade import Network, match_needs
from micromega.solvers.cascade.activation import network_activation
from micromega.solvers.cascade.competition import compete
from micromega.solvers.cascade.fitting import match_process
from micromega.solvers.plan import Status

NEEDS = np.array([3.0, 8.0])


def drawn(seed: int) -> Network:
    """Dense enough that one path says little of the process."""
    rng = np.random.default_rng(seed)
    pairs = np.array([(a, b) for a in range(16) for b in range(16) if a != b and rng.random() < 0.3])
    return Network.of(pairs, rng.uniform(0.05, 0.45, len(pairs)), nodes=16)


def process_cost(network: Network, creators: np.ndarray, seed: int, simulations: int = 1_500) -> float:
    aware = compete(network, creators, simulations=simulations, seed=seed).awareness
    return float(np.abs(np.sort(NEEDS) - np.sort(aware)).sum())


@pytest.mark.parametrize("seed", range(3))
def test_it_is_among_the_best_of_all_sets_and_better_than_the_closed_form(seed: int) -> None:
    network = drawn(seed)
    activation = network_activation(network)
    found = match_process(network, np.arange(16), activation, NEEDS, seed=seed, simulations=1_500)
    every = [process_cost(network, np.array(pair), seed) for pair in itertools.combinations(range(16), 2)]
    assert found.cost == pytest.approx(process_cost(network, found.creators, seed))
    assert min(every) - 1e-9 <= found.cost <= np.quantile(every, 0.1)
    closed = match_needs(activation, NEEDS, seed=seed).creators
    assert process_cost(network, found.creators, 99) < process_cost(network, closed, 99)
    assert found.status is Status.FEASIBLE
    # the larger need has the larger awareness
    assert found.awareness[1] > found.awareness[0]


def test_rows_are_accounts_and_the_unavailable_stay_out() -> None:
    network, rows = drawn(5), np.array([2, 3, 7, 9, 11, 14])
    activation = network_activation(network, sources=rows)
    found = match_process(network, rows, activation, NEEDS, unavailable=[1, 4], simulations=800)
    assert not set(found.creators.tolist()) & {1, 4}
    again = match_process(network, rows, activation, NEEDS, unavailable=[1, 4], simulations=800)
    np.testing.assert_array_equal(again.creators, found.creators)
    aware = compete(network, rows[found.creators], simulations=800, seed=0).awareness
    np.testing.assert_allclose(aware, found.awareness)
