"""Explanations of infeasibility, checked by enumeration: the conflict is real, minimal, and the remedy works."""

import dataclasses

import numpy as np
import pytest

from micromega.errors import InfeasibleError
from micromega.solvers.campaign import CampaignProblem, LinearRows, explain, solve
from micromega.solvers.plan import Status


def keep(problem, settings):
    rows = problem.rows
    parts = [
        (rows.settings[r], rows.names[r], rows.members[rows.start[r] : rows.start[r + 1]], rows.lower[r], rows.upper[r])
        for r in range(len(rows))
        if rows.settings[r] in settings
    ]
    budget = problem.budget if "budget" in settings else float(problem.price.sum())
    return dataclasses.replace(problem, rows=LinearRows.of(parts), budget=budget)


def problem_of(price, budget, rows):
    return CampaignProblem(
        creator_id=np.array([f"c{i}" for i in range(len(price))]),
        effectiveness=np.ones(len(price)),
        price=np.array(price, float),
        budget=budget,
        currency="USD",
        rows=LinearRows.of(rows),
    )


def test_feasible_has_no_explanation():
    assert explain(problem_of([1, 2], 2.0, [("cover", "at least 1", [0, 1], 1, np.inf)])) is None


def test_budget_too_small_for_coverage():
    rows = [
        ("coverage.food", "at least 2 posts by creators of category food", [0, 1, 2], 2, np.inf),
        ("coverage.travel", "at least 1 post by creators of category travel", [3, 4], 1, np.inf),
        ("cap", "at most 4 posts", [0, 1, 2, 3, 4], 0, 4),
    ]
    problem = problem_of([10, 20.005, 40, 25, 30], 40.0, rows)
    conflict = explain(problem)
    assert set(conflict.settings) == {"coverage.food", "coverage.travel", "budget"}
    assert (conflict.smallest_budget, conflict.proven) == (55.01, True)
    assert conflict.reachable == {"coverage.food": 1.0, "coverage.travel": 0.0}
    with pytest.raises(InfeasibleError, match=r"smallest budget that works is 55\.01 USD") as caught:
        raise conflict.error()
    assert "at least 2 posts by creators of category food" in str(caught.value)
    assert "no coverage.travel" in str(caught.value)
    assert caught.value.exit_status == 2
    assert solve(dataclasses.replace(problem, budget=55.01)).status is Status.OPTIMAL
    assert solve(dataclasses.replace(problem, budget=55.0)).status is Status.INFEASIBLE


def test_no_budget_is_enough():
    rows = [("coverage.food", "at least 3", [0, 1], 3, np.inf), ("other", "at least 1", [2], 1, np.inf)]
    conflict = explain(problem_of([1, 1, 1], 0.5, rows))
    assert conflict.settings == ("coverage.food",)
    assert conflict.smallest_budget is None
    assert "No budget is large enough" in conflict.message()


def test_conflict_of_whole_tuples():
    """The relaxation is feasible, so only the search over whole tuples can tell."""
    rows = [(f"pair {i}", f"exactly one of pair {i}", pair, 1, 1) for i, pair in enumerate([[0, 1], [1, 2], [0, 2]])]
    conflict = explain(problem_of([1, 1, 1], 3.0, rows))
    assert set(conflict.settings) == {"pair 0", "pair 1", "pair 2"}


def test_zero_budget_with_a_wanted_creator():
    conflict = explain(
        problem_of([12.5, 1], 0.0, [("must_include.c0", "at least 1 post by creator c0", [0], 1, np.inf)])
    )
    assert conflict.smallest_budget == 12.5
    assert conflict.settings == ("must_include.c0", "budget")


def test_random_conflicts_are_real_and_minimal(random_problem, brute_force):
    explained = 0
    for seed in range(400, 460):
        problem = random_problem(np.random.default_rng(seed), 8)
        if brute_force(problem) is not None:
            continue
        explained += 1
        conflict = explain(problem)
        assert brute_force(keep(problem, conflict.settings)) is None, seed
        for setting in conflict.settings:
            fewer = [other for other in conflict.settings if other != setting]
            assert brute_force(keep(problem, fewer)) is not None, (seed, setting)
        if conflict.smallest_budget is None:
            assert brute_force(dataclasses.replace(problem, budget=1e9)) is None
        else:
            assert brute_force(dataclasses.replace(problem, budget=conflict.smallest_budget)) is not None
            below = conflict.smallest_budget - 0.011
            assert below < 0 or brute_force(dataclasses.replace(problem, budget=below)) is None
    assert explained >= 12
