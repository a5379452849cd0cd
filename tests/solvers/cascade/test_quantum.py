"""The quantum genetic algorithm: its costs, its gates' effect, and that runs and seeds are kept apart."""

import numpy as np
import pytest
import torch

from micromega.solvers.cascade import match_needs
from micromega.solvers.cascade.awareness import awareness, cost
from micromega.solvers.cascade.quantum import _costs, _without_repeats, quantum_genetic


def chances(seed: int, rows: int = 37, nodes: int = 50) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(rng.uniform(-0.6, 0.5, (rows, nodes)), 0, 1) * rng.uniform(0, 1, (rows, 1))


NEEDS = np.array([4.0, 9.0, 2.0])


def test_costs_of_chromosomes_are_equation_9() -> None:
    activation = chances(0)
    rows = np.random.default_rng(1).integers(0, 37, (4, 6, 3))
    found = _costs(torch.as_tensor(activation, dtype=torch.float32), torch.as_tensor(NEEDS, dtype=torch.float32),
                   torch.as_tensor(rows))  # fmt: skip
    np.testing.assert_allclose(found.numpy(), cost(NEEDS, awareness(activation, rows)), rtol=1e-5)


def test_it_learns_more_than_as_many_draws() -> None:
    activation, allowed = chances(2), np.arange(37)
    better = []
    for seed in range(5):
        found = quantum_genetic(activation, NEEDS, allowed, allow_repeats=False, seed=seed, runs=4)
        still = quantum_genetic(activation, NEEDS, allowed, allow_repeats=False, seed=seed, runs=4, rotation=0.0)
        better.append(cost(NEEDS, awareness(activation, still)) - cost(NEEDS, awareness(activation, found)))
    assert np.mean(better) > 0


def test_runs_differ_seeds_repeat_and_only_the_allowed_are_chosen_once() -> None:
    activation, allowed = chances(3), np.array([1, 3, 4, 9, 20, 36])
    first = quantum_genetic(activation, NEEDS, allowed, allow_repeats=False, seed=5, runs=6, iterations=2)
    again = quantum_genetic(activation, NEEDS, allowed, allow_repeats=False, seed=5, runs=6, iterations=2)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (6, 3)
    assert set(first.ravel().tolist()) <= set(allowed.tolist())
    assert all(len(set(row)) == 3 for row in first.tolist())
    assert len({tuple(row) for row in first.tolist()}) > 1


def test_as_many_needs_as_rows_leave_orders_alone_and_the_best_is_searched_among_them() -> None:
    activation, needs = chances(6, rows=12), np.linspace(0.1, 3.3, 12)
    found = quantum_genetic(activation, needs, np.arange(12), allow_repeats=False, seed=2, runs=20)
    assert all(sorted(row) == list(range(12)) for row in found.tolist())
    still = quantum_genetic(activation, needs, np.arange(12), allow_repeats=False, seed=2, runs=20, rotation=0.0)
    gained = cost(needs, awareness(activation, still)) - cost(needs, awareness(activation, found))
    assert gained.mean() > 0  # gates turn towards sets, not towards row 0


def test_repeats_are_mended_by_the_next_free_row() -> None:
    rows = torch.tensor([[[1, 1, 2], [0, 2, 3]], [[3, 3, 0], [2, 2, 2]]])
    assert _without_repeats(rows, 4).tolist() == [[[1, 2, 3], [0, 2, 3]], [[3, 0, 1], [2, 3, 0]]]
    again = _without_repeats(torch.as_tensor(np.random.default_rng(0).integers(0, 12, (200, 12))), 12)
    assert all(sorted(row) == list(range(12)) for row in again.tolist())


def test_one_row_has_no_bits_to_choose() -> None:
    found = quantum_genetic(chances(1), NEEDS[:1], np.array([7]), allow_repeats=False, seed=0, iterations=2)
    assert found.tolist() == [[7]]


def test_a_small_problem_is_solved() -> None:
    activation = chances(4, rows=8)
    best = match_needs(activation, NEEDS, method="exhaustive").cost
    assert match_needs(activation, NEEDS, method="qga", seed=1).cost == pytest.approx(best)
