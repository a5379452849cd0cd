"""The best allocation without stability, against enumeration."""

import dataclasses
import itertools

import numpy as np
import pytest

from micromega.errors import DataError
from micromega.solvers.matching import allocate, verify
from micromega.solvers.matching.efficiency import MOST_PAIRS, best_allocation, satisfaction


def test_the_flow_is_the_best_of_all_allocations() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        wanted = [rng.permutation(4)[: rng.integers(0, 5)].tolist() for _ in range(5)]
        listed = [rng.permutation(5)[: rng.integers(1, 6)].tolist() for _ in range(2)]
        found = allocate(wanted, listed, [0, 0, 1, 1], rng.integers(1, 3, 4), rng.integers(1, 4, 2), check=False)
        game = found.game
        weight = rng.normal(1, 1, len(game.product))
        best = best_allocation(game, weight)
        product = game.product[best]
        owner = np.searchsorted(game.start, best, side="right") - 1
        assert verify(game, np.column_stack([owner, product])).feasible
        values = []
        for product in itertools.product(*[[*some, -1] for some in wanted]):
            if verify(game, product).feasible:
                values.append(
                    weight[np.array(product)[np.repeat(np.arange(5), np.diff(game.start))] == game.product].sum()
                )
        assert weight[best].sum() == pytest.approx(max(values), abs=1e-9)
        assert weight[found.pair].sum() <= max(values) + 1e-9


def test_satisfaction_is_one_for_first_choices() -> None:
    game = allocate([[0, 1], [1], []], [[0, 1, 2]], [0, 0], [1, 1], [2]).game
    assert satisfaction(game).tolist() == [1.0, 0.5, 1.0]
    with pytest.raises(DataError, match="one finite number for each of 3 pairs"):
        best_allocation(game, np.ones(2))


def test_too_large_a_game_and_too_short_a_time_are_said() -> None:
    rng = np.random.default_rng(1)
    wanted = np.argsort(rng.random((3000, 400)), axis=1)[:, :20]
    start = np.arange(0, 60_001, 20)
    everybody = rng.permutation(3000)
    lists = np.arange(0, 3000 * 20 + 1, 3000), np.tile(everybody, 20)
    game = allocate((start, wanted.ravel()), lists, np.arange(400) % 20, np.full(400, 5), np.full(20, 100)).game
    assert best_allocation(game, rng.random(len(game.product)), time_limit_s=1e-3) is None
    many = dataclasses.replace(game, product=np.zeros(MOST_PAIRS + 1, int))
    assert best_allocation(many, np.ones(MOST_PAIRS + 1)) is None


def test_creators_with_quotas_take_several() -> None:
    game = allocate([[0, 1], [0, 1]], [[0, 1]], [0, 0], [2, 1], [3], creator_quota=[2, 1]).game
    assert len(best_allocation(game, np.ones(4))) == 3
