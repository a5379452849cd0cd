"""The best allocation without stability, against enumeration."""

import itertools

import numpy as np
import pytest

from micromega.errors import DataError
from micromega.solvers.matching import allocate, verify
from micromega.solvers.matching.efficiency import best_allocation, satisfaction, total_weight


def test_the_flow_is_the_best_of_all_allocations() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        wanted = [rng.permutation(4)[: rng.integers(0, 5)].tolist() for _ in range(5)]
        listed = [rng.permutation(5)[: rng.integers(1, 6)].tolist() for _ in range(2)]
        found = allocate(wanted, listed, [0, 0, 1, 1], rng.integers(1, 3, 4), rng.integers(1, 4, 2), check=False)
        game = found.game
        weight = rng.normal(1, 1, len(game.product))
        best = best_allocation(game, weight)
        assert verify(game, best).feasible
        values = []
        for product in itertools.product(*[[*some, -1] for some in wanted]):
            if verify(game, product).feasible:
                values.append(total_weight(game, np.array(product), weight))
        assert total_weight(game, best, weight) == pytest.approx(max(values), abs=1e-9)
        assert total_weight(game, found.product, weight) <= max(values) + 1e-9


def test_satisfaction_is_one_for_first_choices() -> None:
    game = allocate([[0, 1], [1], []], [[0, 1, 2]], [0, 0], [1, 1], [2]).game
    assert satisfaction(game).tolist() == [1.0, 0.5, 1.0]
    with pytest.raises(DataError, match="one finite number for each of 3 pairs"):
        best_allocation(game, np.ones(2))
