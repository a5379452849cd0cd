"""Equations 3 to 10, each computed again by loops."""

import math

import numpy as np
import pytest

from micromega.solvers.cascade.awareness import awareness, cost, donation, efficiency, influence


def matrix(seed: int, nodes: int = 9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0, 1, (nodes, nodes)) * (rng.uniform(0, 1, (nodes, nodes)) < 0.6)
    np.fill_diagonal(chance, 1.0)
    chance[:, -1] = 0.0  # somebody whom nobody reaches
    return chance


@pytest.mark.parametrize("seed", range(4))
def test_equations_3_to_10_by_loops(seed: int) -> None:
    chance, needs, creators = matrix(seed), [2.5, 0.0, 4.0], [4, 1, 6]
    total_by_need = [0.0, 0.0, 0.0]
    given = donation(influence(chance, creators))
    for n in range(chance.shape[1]):
        of = [chance[a, n] for a in creators]  # eq. 3
        missed, summed = 1.0, 0.0
        for p in of:
            missed *= 1 - p
            summed += p
        for j, p in enumerate(of):
            expected = (1 - missed) * p / summed if summed else 0.0  # eq. 4, 5, 6
            assert given[j, n] == pytest.approx(expected, abs=1e-12)  # eq. 7
            total_by_need[j] += expected
    aware = awareness(chance, creators)
    assert aware.tolist() == pytest.approx(total_by_need)  # eq. 8
    expected_cost = sum(abs(v - d) for v, d in zip(needs, total_by_need, strict=True))
    assert float(cost(needs, aware)) == pytest.approx(expected_cost)  # eq. 9
    assert efficiency(expected_cost, needs) == pytest.approx(1 - expected_cost / 6.5)  # eq. 10


def test_many_sets_at_once_are_each_by_itself() -> None:
    chance, needs = matrix(7), np.array([3.0, 1.0])
    sets = np.array([[[0, 1], [5, 2]], [[3, 3], [8, 4]]])
    aware = awareness(chance, sets)
    assert aware.shape == (2, 2, 2)
    for place in np.ndindex(2, 2):
        np.testing.assert_allclose(aware[place], awareness(chance, sets[place]))
        assert cost(needs, aware)[place] == pytest.approx(float(cost(needs, aware[place])))
    np.testing.assert_allclose(efficiency(cost(needs, aware), needs), 1 - cost(needs, aware) / 4)


def test_awareness_depends_on_the_set_alone() -> None:
    chance = matrix(2)
    one, other = awareness(chance, [4, 1, 6]), awareness(chance, [6, 4, 1])
    np.testing.assert_allclose(one[[2, 0, 1]], other)


def test_no_more_donate_than_are_reached_and_nothing_needed_has_no_efficiency() -> None:
    chance = matrix(3)
    given = donation(influence(chance, [0, 2, 5]))
    assert np.all(given.sum(axis=0) <= 1 + 1e-12)
    assert np.all(given[:, -1] == 0)
    assert math.isnan(efficiency(1.0, [0.0, 0.0]))
