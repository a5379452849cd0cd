"""Creators for needs: every method against trying everything, and the document's network."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from micromega.errors import ConfigError, DataError
from micromega.solvers.cascade import activation_matrix, match_needs
from micromega.solvers.cascade.awareness import awareness, cost
from micromega.solvers.cascade.needs import handed_out
from micromega.solvers.plan import Status

METHODS = ("local_search", "annealing", "qga", "exhaustive", "fast", "random")
VOLUMES = [10, 30, 14, 23, 8]


def chances(seed: int, nodes: int = 10) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pairs = np.array([(a, b) for a in range(nodes) for b in range(nodes) if a != b and rng.random() < 0.25])
    return activation_matrix(pairs, rng.uniform(0.05, 0.6, len(pairs)), nodes=nodes)


def best_by_trying(activation: np.ndarray, needs: list[float], *, repeats: bool, without: tuple = ()) -> float:
    rows = [row for row in range(len(activation)) if row not in without]
    every = itertools.product(rows, repeat=len(needs)) if repeats else itertools.permutations(rows, len(needs))
    return min(float(cost(needs, awareness(activation, chosen))) for chosen in every)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("repeats", [False, True])
def test_no_method_beats_trying_everything_and_the_good_ones_reach_it(seed: int, repeats: bool) -> None:
    activation, needs = chances(seed), [2.5, 0.7, 1.6]
    best = best_by_trying(activation, needs, repeats=repeats)
    for method in METHODS:
        match = match_needs(activation, needs, method=method, seed=seed, allow_repeats=repeats)
        assert match.cost >= best - 1e-9, method
        assert match.cost == pytest.approx(float(cost(needs, awareness(activation, match.creators))))
        assert match.efficiency == pytest.approx(1 - match.cost / sum(needs))
        if method in {"local_search", "exhaustive"}:
            assert match.cost == pytest.approx(best, abs=1e-9)
        if not repeats:
            assert len(set(match.creators.tolist())) == 3
        proved = method == "exhaustive" or match.cost < 1e-9
        assert match.status is (Status.OPTIMAL if proved else Status.FEASIBLE)


@pytest.mark.parametrize("method", METHODS)
def test_the_unavailable_are_not_chosen_and_seeds_repeat(method: str) -> None:
    activation, needs = chances(11), [2.0, 1.0]
    first = match_needs(activation, needs, method=method, seed=3)
    gone = first.creators.tolist()
    match = match_needs(activation, needs, method=method, seed=3, unavailable=gone)
    assert not set(match.creators.tolist()) & set(gone)
    assert match.cost >= best_by_trying(activation, needs, repeats=False, without=tuple(gone)) - 1e-9
    again = match_needs(activation, needs, method=method, seed=3)
    np.testing.assert_array_equal(again.creators, first.creators)


def test_handing_out_by_size_is_the_cheapest_assignment() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        many = int(rng.integers(1, 7))
        aware, needs = rng.uniform(0, 9, many), rng.uniform(0, 9, many).round()
        distance = np.abs(needs[:, None] - aware[None])
        cheapest = distance[linear_sum_assignment(distance)].sum()
        given = handed_out(aware, needs, np.arange(many))
        assert np.abs(needs - aware[given]).sum() == pytest.approx(cheapest)


def test_fast_selection_takes_the_nearest_power_in_turn() -> None:
    activation = np.eye(4, 12)
    for row, power in enumerate((3, 5, 6, 9)):
        activation[row, 4 : 3 + power] = 1.0
    assert activation.sum(axis=1).tolist() == [3, 5, 6, 9]
    match = match_needs(activation, [5.4, 5.4, 1.0], method="fast")
    assert match.creators.tolist() == [1, 2, 0]
    repeated = match_needs(activation, [5.4, 5.4, 1.0], method="fast", allow_repeats=True)
    assert repeated.creators.tolist() == [1, 1, 0]


def test_a_rectangle_of_candidates_is_taken() -> None:
    activation = chances(5)
    rows = [1, 4, 6, 8]
    found = match_needs(activation[rows], [2.0, 1.0], method="exhaustive")
    others = tuple(row for row in range(10) if row not in rows)
    assert found.cost == pytest.approx(best_by_trying(activation, [2.0, 1.0], repeats=False, without=others))


def test_sets_that_were_found_come_by_rising_cost() -> None:
    activation = chances(9)
    match = match_needs(activation, [2.0, 1.0, 0.5], starts=30, shakes=0)
    costs = [float(cost([2.0, 1.0, 0.5], awareness(activation, chosen))) for chosen in match.found]
    assert costs == sorted(costs)
    np.testing.assert_array_equal(match.found[0], match.creators)
    assert len({tuple(sorted(chosen)) for chosen in match.found.tolist()}) == len(match.found)


@pytest.mark.parametrize(
    ("needs", "more", "error", "words"),
    [
        ([1.0, -2.0], {}, DataError, r"needs\[1\] is -2"),
        ([], {}, DataError, "shape"),
        ([1.0] * 11, {}, ConfigError, "11 needs and 10 available"),
        ([1.0, 1.0], {"unavailable": range(9)}, ConfigError, "2 needs and 1 available"),
        ([1.0], {"unavailable": [10]}, DataError, "unavailable names 10"),
        ([1.0], {"method": "magic"}, ConfigError, "local_search, annealing"),
        (["x"], {}, DataError, "needs holds what is no number"),
        ([1.0], {"unavailable": ["x"]}, DataError, r"unavailable is \['x'\]"),
        ([1.0], {"unavailable": [1.7]}, DataError, r"unavailable is \[1.7\]"),
        ([1.0], {"starts": 0}, ConfigError, "starts is 0"),
        ([1.0], {"method": "random", "seed": -1}, ConfigError, "seed is -1"),
    ],
)
def test_what_cannot_be(needs: list[float], more: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        match_needs(chances(0), needs, **more)


def test_no_probabilities_and_too_many_sets() -> None:
    with pytest.raises(DataError, match="no probability"):
        match_needs([[1.0, 2.0]], [1.0])
    with pytest.raises(ConfigError, match="too many to look at all"):
        match_needs(np.eye(400), [1.0] * 5, method="exhaustive")


def ego(public_data: Path) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.loadtxt(public_data / "snap-ego-facebook" / "0.edges", dtype=np.int64) - 1
    return pairs, np.bincount(pairs[:, 0], minlength=347)


@pytest.mark.realdata
def test_the_documents_network(public_data: Path) -> None:
    pairs, degree = ego(public_data)
    for most, best, fast in ((0.3338, 0.8647, 14.48), (0.334, 0.8099, 14.70)):
        activation = activation_matrix(pairs, most * degree[pairs[:, 0]] / 77, nodes=347)
        assert match_needs(activation, VOLUMES, seed=1, starts=2).cost <= best
        assert match_needs(activation, VOLUMES, method="fast").cost == pytest.approx(fast, abs=0.005)
    activation = activation_matrix(pairs, np.full(len(pairs), 0.3), nodes=347)
    assert match_needs(activation, VOLUMES, seed=1).cost <= 0.0464
    two = match_needs(activation, [10, 30], method="exhaustive")
    assert match_needs(activation, [10, 30]).cost == pytest.approx(two.cost)


@pytest.mark.realdata
@pytest.mark.slow
def test_each_of_a_hundred_runs_reaches_the_best_known(public_data: Path) -> None:
    pairs, degree = ego(public_data)
    for chance, best in (
        (0.3338 * degree[pairs[:, 0]] / 77, 0.8647),
        (0.334 * degree[pairs[:, 0]] / 77, 0.8099),
        (np.full(len(pairs), 0.3), 0.0464),
    ):
        activation = activation_matrix(pairs, chance, nodes=347)
        assert max(match_needs(activation, VOLUMES, seed=seed).cost for seed in range(100)) <= best
