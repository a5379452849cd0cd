"""Ranked sets of creators: each is the best without somebody, by trying everything."""

import itertools

import numpy as np
import pytest

from micromega.errors import ConfigError
from micromega.solvers.cascade import activation_matrix, match_needs
from micromega.solvers.cascade.alternatives import ranked_alternatives, without_each
from micromega.solvers.cascade.awareness import awareness, cost
from micromega.solvers.cascade.needs import TooFewCreatorsError

NEEDS = [2.0, 3.5]


def chances(nodes: int = 11) -> np.ndarray:
    rng = np.random.default_rng(4)
    pairs = np.array([(a, b) for a in range(nodes) for b in range(nodes) if a != b and rng.random() < 0.3])
    return activation_matrix(pairs, rng.uniform(0.1, 0.6, len(pairs)), nodes=nodes)


def best_without(activation: np.ndarray, gone: set[int]) -> float:
    free = [row for row in range(len(activation)) if row not in gone]
    return min(float(cost(NEEDS, awareness(activation, pair))) for pair in itertools.permutations(free, 2))


def test_whoever_says_no_the_best_without_them_stands_ready() -> None:
    activation = chances()
    first, *others = ranked_alternatives(activation, NEEDS)
    assert first.cost == pytest.approx(best_without(activation, set()))
    assert not first.without
    assert first.first
    assert not any(one.first for one in others)
    for gone in first.creators.tolist():
        ready = [one for one in others if gone in one.without]
        assert min(one.cost for one in ready) == pytest.approx(best_without(activation, {gone}))
    costs = [one.cost for one in (first, *others)]
    assert costs == sorted(costs)
    assert len({tuple(sorted(one.creators.tolist())) for one in (first, *others)}) == len(others) + 1
    for one in others:
        assert set(one.without) == set(first.creators.tolist()) - set(one.creators.tolist()) != set()
        assert one.cost == pytest.approx(float(cost(NEEDS, awareness(activation, one.creators))))


def test_a_given_set_is_the_first_choice_wherever_its_cost_puts_it() -> None:
    activation = chances()
    given = match_needs(activation, NEEDS, method="random", seed=1)
    sets = ranked_alternatives(activation, NEEDS, best=given, unavailable=[5], most=1)
    assert len(sets) == 2
    other, plan = sets  # what local search finds without one of the drawn is cheaper
    assert other.cost < plan.cost == pytest.approx(given.cost)
    assert (plan.first, other.first) == (True, False)
    np.testing.assert_array_equal(plan.creators, given.creators)
    assert 5 not in other.creators


def test_only_too_few_creators_leave_somebody_without_a_stand_by() -> None:
    first = match_needs(chances(), NEEDS)

    def solve(error: Exception) -> None:
        raise error

    assert len(without_each(lambda gone: solve(TooFewCreatorsError("none")), first)) == 1
    with pytest.raises(ConfigError, match="seed"):
        without_each(lambda gone: solve(ConfigError("seed is -1")), first)


def test_nobody_is_left_to_replace_anybody() -> None:
    sets = ranked_alternatives(chances()[:2], NEEDS)
    assert len(sets) == 1
