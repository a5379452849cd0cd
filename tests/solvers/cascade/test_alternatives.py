"""Ranked sets of creators: each is the best without somebody, by trying everything."""

import itertools

import numpy as np
import pytest

from micromega.solvers.cascade import activation_matrix, match_needs
from micromega.solvers.cascade.alternatives import ranked_alternatives
from micromega.solvers.cascade.awareness import awareness, cost

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
    for gone in first.creators.tolist():
        ready = [one for one in others if gone in one.without]
        assert min(one.cost for one in ready) == pytest.approx(best_without(activation, {gone}))
    costs = [one.cost for one in (first, *others)]
    assert costs == sorted(costs)
    assert len({tuple(sorted(one.creators.tolist())) for one in (first, *others)}) == len(others) + 1
    for one in others:
        assert set(one.without) == set(first.creators.tolist()) - set(one.creators.tolist()) != set()
        assert one.cost == pytest.approx(float(cost(NEEDS, awareness(activation, one.creators))))


def test_a_given_set_stands_first_and_the_unavailable_in_none() -> None:
    activation = chances()
    best = match_needs(activation, NEEDS, method="fast")
    sets = ranked_alternatives(activation, NEEDS, best=best, unavailable=[5], most=1)
    np.testing.assert_array_equal(sets[0].creators, best.creators)
    assert len(sets) == 2
    assert 5 not in sets[1].creators


def test_nobody_is_left_to_replace_anybody() -> None:
    sets = ranked_alternatives(chances()[:2], NEEDS)
    assert len(sets) == 1
