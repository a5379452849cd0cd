"""HiGHS without cvxpy, and the choice of a solver by size."""

import dataclasses
import doctest
import inspect
from pathlib import Path

import numpy as np
import pytest

from micromega.errors import ConfigError
from micromega.solvers.campaign import (
    CampaignProblem,
    LinearRows,
    Switches,
    any_mip,
    choose,
    direct,
    greedy,
    ilp,
    lagrangian,
    verify,
)
from micromega.solvers.campaign.config import AutoConfig, GreedyConfig, HighsConfig, LagrangianConfig, MipConfig
from micromega.solvers.campaign.direct import solve
from micromega.solvers.plan import Status


def large(tuples=3000, seed=0, budget=120.0):
    rng = np.random.default_rng(seed)
    creator = np.repeat(np.arange(tuples // 3), 3)
    category = rng.integers(0, 4, len(creator))
    return CampaignProblem(
        creator_id=creator.astype(str),
        offset_days=np.tile(np.arange(3), tuples // 3),
        effectiveness=rng.lognormal(0, 1, tuples),
        price=rng.lognormal(0, 1, tuples),
        budget=budget,
        rows=LinearRows.stack(
            [
                LinearRows.by_key(creator, setting="cap", name="{key}", upper=1),
                LinearRows.by_key(category, setting="cover", name="{key}", lower=20, upper=60),
            ]
        ),
    )


@pytest.mark.parametrize("block", range(3))
def test_equals_brute_force(block, random_problem, brute_force):
    statuses = []
    for seed in range(50 * block, 50 * block + 50):
        problem = random_problem(np.random.default_rng(seed), 1 + seed % 9)
        best, plan = brute_force(problem), solve(problem)
        assert verify(problem, plan).ok, (seed, plan.notes)
        assert plan.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL), (seed, plan.notes)
        assert best is None or plan.objective == pytest.approx(best, abs=1e-6), seed
        statuses.append(plan.status)
    assert {Status.OPTIMAL, Status.INFEASIBLE} <= set(statuses)


def test_equals_cvxpy_at_middle_size():
    problem = large()
    ours, theirs = solve(problem, relative_gap=1e-5), ilp.solve(problem, relative_gap=1e-5)
    assert ours.objective == pytest.approx(theirs.objective, rel=2e-5)
    assert verify(problem, ours).ok
    assert ours.status is Status.OPTIMAL


def test_switches_are_columns_too():
    """At most two creators: the best pair within the budget."""
    switches = Switches.by_key(np.array(["a", "a", "b", "c"]), name="{key} is booked")
    rows = LinearRows.of([("creators", "at most 2 creators", [4, 5, 6], 0, 2)])
    problem = CampaignProblem(
        creator_id=np.array(["a", "a", "b", "c"]),
        offset_days=np.arange(4),
        effectiveness=np.array([4.0, 3.0, 5.0, 6.0]),
        price=np.ones(4),
        budget=4.0,
        rows=rows,
        switches=switches,
    )
    for plan in (
        solve(problem),
        choose.solve(problem, exact_up_to=0),
        lagrangian.solve(problem),
        greedy.solve(problem),
    ):
        assert plan.status is Status.OPTIMAL
        assert plan.objective == 13.0
        assert verify(problem, plan).ok


def test_no_time_is_no_solution():
    problem = large()
    plan = solve(problem, time_limit_s=0.0)
    assert plan.status is Status.NO_SOLUTION
    assert not plan.chosen.any()
    assert np.isnan(plan.objective)
    assert not verify(problem, plan).ok


def test_a_given_plan_comes_back_at_least():
    problem = large()
    first = solve(problem, relative_gap=0.05)
    again = solve(
        dataclasses.replace(problem, budget=problem.budget * 1.01), warm_start=first.chosen, relative_gap=1e-3
    )
    assert again.status.has_plan
    assert again.objective >= first.objective


def test_a_time_limit_returns_the_incumbent_and_its_gap():
    problem = large(tuples=6000, seed=3)
    given = greedy.greedy_choice(problem)
    plan = solve(problem, relative_gap=0.0, time_limit_s=1.0, warm_start=given)
    assert plan.status.has_plan
    assert plan.objective >= problem.value[given].sum() - 1e-9
    assert verify(problem, plan).ok
    assert plan.gap < np.inf


def test_whole_tuples_may_be_impossible_where_parts_are_not():
    rows = LinearRows.of([("pairs", f"pair {i}", pair, 1, 1) for i, pair in enumerate([[0, 1], [1, 2], [0, 2]])])
    problem = CampaignProblem(
        creator_id=np.array(list("abc")), effectiveness=np.ones(3), price=np.ones(3), budget=3.0, rows=rows
    )
    plan = solve(problem)
    assert plan.status is Status.INFEASIBLE
    assert verify(problem, plan).ok
    assert verify(problem, plan).cases > 1


def test_solver_follows_size():
    problem = large()
    assert "cvxpy" in choose.solve(problem, relative_gap=1e-2).solver
    assert "Lagrangian" in choose.solve(problem, relative_gap=1e-2, exact_up_to=100).solver
    given = choose.solve(problem, relative_gap=1e-2, warm_start=np.zeros(len(problem), bool)).solver
    assert given.startswith("HiGHS")
    assert "cvxpy" not in given


@pytest.mark.parametrize("name", ["HIGHS", "SCIP", "SCIPY"])
def test_whatever_solver_cvxpy_finds(name, random_problem, brute_force):
    if name not in any_mip.INSTALLED_MI_SOLVERS:
        pytest.skip(f"cvxpy finds no {name} here")
    statuses = []
    for seed in range(30):
        problem = random_problem(np.random.default_rng(seed), 1 + seed % 9)
        best, plan = brute_force(problem), any_mip.solve(problem, mip_solver=name)
        assert verify(problem, plan).ok, (seed, plan.notes)
        assert plan.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL), (seed, plan.notes)
        assert best is None or plan.objective == pytest.approx(best, abs=1e-6), seed
        statuses.append(plan.status)
    assert {Status.OPTIMAL, Status.INFEASIBLE} <= set(statuses)


def test_a_solver_that_cvxpy_does_not_find_is_named():
    with pytest.raises(ConfigError, match="It finds"):
        any_mip.solve(large(), mip_solver="NOSUCH")
    assert any_mip.solve(large(), time_limit_s=0.0).status is Status.NO_SOLUTION


@pytest.mark.parametrize(
    ("module", "settings"),
    [
        (direct, HighsConfig),
        (any_mip, MipConfig),
        (greedy, GreedyConfig),
        (lagrangian, LagrangianConfig),
        (choose, AutoConfig),
    ],
)
def test_config_fields_are_the_solver_s_arguments(module, settings):
    arguments = {name: value.default for name, value in inspect.signature(module.solve).parameters.items()}
    for name in ("problem", "warm_start"):
        arguments.pop(name, None)
    assert arguments == dataclasses.asdict(settings())


def test_examples_of_the_page():
    page = Path(__file__).parents[3] / "docs" / "campaign_solvers.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert (failed, tried > 15) == (0, True)
