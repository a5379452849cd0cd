"""The greedy baseline: every rule kept, a true gap, and no plan where it finds none."""

import numpy as np
import pytest

from micromega.solvers.campaign import CampaignProblem, LinearRows, verify
from micromega.solvers.campaign.greedy import greedy_choice, solve
from micromega.solvers.plan import Status


def test_plans_keep_every_rule_and_never_beat_the_best(random_problem, brute_force):
    """Where it gives up it says so; it must find most plans that there are."""
    found, possible, shares = 0, 0, []
    for seed in range(150):
        problem = random_problem(np.random.default_rng(seed), 1 + seed % 9)
        best, plan = brute_force(problem), solve(problem)
        possible += best is not None
        if not plan.status.has_plan:
            assert plan.status is Status.NO_SOLUTION
            assert not plan.chosen.any()
            continue
        found += 1
        certificate = verify(problem, plan)
        assert certificate.ok, (seed, plan.notes)
        assert best is not None
        assert plan.objective <= best + 1e-9
        assert certificate.upper_bound >= best - 1e-9
        if plan.status is Status.OPTIMAL:
            assert plan.objective == pytest.approx(best, abs=1e-6)
        shares.append(plan.objective / best if best > 0 else 1.0)
    assert possible > 60
    assert found >= 0.95 * possible
    assert np.mean(shares) > 0.9


def test_gap_is_that_of_weak_duality():
    rng = np.random.default_rng(0)
    creator = np.repeat(np.arange(200), 5)
    problem = CampaignProblem(
        creator_id=creator.astype(str),
        offset_days=np.tile(np.arange(5), 200),
        effectiveness=rng.lognormal(0, 1, 1000),
        price=rng.lognormal(0, 1, 1000),
        budget=40.0,
        rows=LinearRows.by_key(creator, setting="cap", name="{key}", upper=1),
    )
    plan = solve(problem)
    assert plan.status is Status.FEASIBLE
    assert 0 < plan.gap < 0.1
    assert plan.gap == pytest.approx(verify(problem, plan).gap)


def test_lower_rows_come_first_and_one_tuple_may_help_two():
    """A tuple in both rows costs less than one for each; value per price alone would buy neither."""
    rows = LinearRows.of([("cover", "first", [0, 2], 1, np.inf), ("cover", "second", [1, 2], 1, np.inf)])
    problem = CampaignProblem(
        creator_id=np.array(list("abcd")),
        effectiveness=np.array([1.0, 1.0, 1.0, 50.0]), price=np.array([2.0, 2.0, 3.0, 2.0]),
        budget=5.0, rows=rows,
    )  # fmt: skip
    assert greedy_choice(problem).tolist() == [False, False, True, True]


def test_what_it_cannot_reach_is_no_solution():
    rows = LinearRows.of([("cover", "all", [0, 1, 2], 3, np.inf)])
    problem = CampaignProblem(
        creator_id=np.array(list("abc")), effectiveness=np.ones(3), price=np.ones(3), budget=2.0, rows=rows
    )
    plan = solve(problem)
    assert plan.status is Status.NO_SOLUTION
    assert "may be a plan" in plan.notes[0]
    assert np.isnan(plan.objective)


def test_no_time_is_no_solution():
    problem = CampaignProblem(creator_id=np.array(["a"]), effectiveness=np.ones(1), price=np.ones(1), budget=2.0)
    assert solve(problem, time_limit_s=0.0).status is Status.NO_SOLUTION
    assert solve(problem).status is Status.OPTIMAL
