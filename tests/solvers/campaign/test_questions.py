"""Questions about a plan, answered by enumeration of all other plans."""

import dataclasses
import itertools

import numpy as np
import pytest

from micromega.errors import ConfigError
from micromega.solvers.campaign import CampaignProblem, solve, verify
from micromega.solvers.campaign.matrix import ask
from micromega.solvers.campaign.questions import Changed, alternatives, replan, shadow_prices, why_not
from micromega.solvers.plan import Plan


def choices_of(problem: CampaignProblem) -> tuple[np.ndarray, np.ndarray]:
    """All feasible choices, best first, and their values."""
    choices = np.array(list(itertools.product([0.0, 1.0], repeat=len(problem))))
    keeps = choices @ problem.price <= problem.spending_limit
    for row in range(len(problem.rows)):
        members = problem.rows.members[problem.rows.start[row] : problem.rows.start[row + 1]]
        count = choices[:, members].sum(axis=1)
        keeps &= (count >= problem.rows.lower[row]) & (count <= problem.rows.upper[row])
    values = choices @ problem.value
    order = np.argsort(-values[keeps], kind="stable")
    return choices[keeps][order], values[keeps][order]


def solved(random_problem, seed: int, tuples: int = 9) -> tuple[CampaignProblem, Plan]:
    problem = random_problem(np.random.default_rng(seed), tuples)
    return problem, solve(problem)


def agrees(problem: CampaignProblem, changed: Changed, values: np.ndarray, plan: Plan) -> bool:
    """Whether the answer is the best of the listed values, and says so; False where there is none."""
    if not values.size:
        assert not changed.plan.status.has_plan
        assert np.isnan(changed.lost)
        assert changed.reason
        return False
    assert verify(changed.problem, changed.plan).ok
    assert changed.plan.objective == pytest.approx(values.max(), abs=1e-6)
    assert changed.lost == pytest.approx(plan.objective - values.max(), abs=1e-6)
    now, then = (set(problem.creator_id[of.chosen].tolist()) for of in (changed.plan, plan))
    assert set(changed.joined) == now - then
    assert set(changed.left) == then - now
    return True


def test_why_not_is_the_best_plan_with_the_creator(random_problem) -> None:
    answered = 0
    for seed in range(25):
        problem, plan = solved(random_problem, seed)
        if not plan.status.has_plan:
            continue
        choices, values = choices_of(problem)
        for creator in np.unique(problem.creator_id).tolist():
            forced = choices[:, problem.creator_id == creator].any(axis=1)
            answered += agrees(problem, why_not(problem, plan, creator), values[forced], plan)
    assert answered > 30


@pytest.mark.parametrize("keep", [True, False])
def test_replan_is_the_best_plan_without_those_who_declined(random_problem, keep: bool) -> None:
    answered = 0
    for seed in range(40):
        problem, plan = solved(random_problem, 100 + seed)
        if not plan.status.has_plan or not plan.chosen.any():
            continue
        gone = str(problem.creator_id[plan.chosen][0])
        choices, values = choices_of(problem)
        allowed = ~choices[:, problem.creator_id == gone].any(axis=1)
        if keep:
            booked = plan.chosen & (problem.creator_id != gone)
            allowed &= choices[:, booked].all(axis=1)
        answered += agrees(problem, replan(problem, plan, [gone], keep=keep), values[allowed], plan)
    assert answered > 10


@pytest.mark.parametrize("differ", [1, 2])
def test_alternatives_are_the_next_best_that_differ(random_problem, differ: int) -> None:
    compared = 0
    for seed in range(15):
        problem, plan = solved(random_problem, 200 + seed, tuples=8)
        if not plan.status.has_plan:
            continue
        choices, values = choices_of(problem)
        allowed = np.ones(len(choices), bool)
        before = plan
        found = alternatives(problem, plan, count=3, differ=differ)
        for other in [*found, None]:
            of = set(problem.creator_id[before.chosen].tolist())
            booked = np.array([len(of & set(problem.creator_id[row > 0].tolist())) for row in choices])
            allowed &= booked <= len(of) - differ
            if other is None:
                assert len(found) == 3 or not allowed.any()
                break
            assert agrees(problem, other, values[allowed], plan)
            before = other.plan
            compared += 1
    assert compared > 15 // (2 * differ - 1)


def test_shadow_prices_are_slopes_of_the_relaxation(random_problem) -> None:

    compared = 0
    for seed in range(30):
        problem, plan = solved(random_problem, 300 + seed, tuples=12)
        if not plan.status.has_plan or not problem.budget:
            continue
        for price in shadow_prices(problem, plan):
            if price.setting == "budget":
                step = 1e-4 * problem.budget
                shifted = [dataclasses.replace(problem, budget=problem.budget + side * step) for side in (-1, 1)]
            else:
                step, row = 1e-4, problem.rows.names.index(price.name)
                upper = price.limit == problem.rows.upper[row]
                shifted = []
                for side in (-1, 1):
                    limits = {name: getattr(problem.rows, name).copy() for name in ("lower", "upper")}
                    limits["upper" if upper else "lower"][row] += side * step * (1 if upper else -1)
                    if limits["lower"][row] > limits["upper"][row]:
                        break
                    shifted.append(dataclasses.replace(problem, rows=dataclasses.replace(problem.rows, **limits)))
            if len(shifted) < 2:
                continue
            less, more = (ask(of, integer=False, time_limit_s=10.0).bound for of in shifted)
            if less is None or more is None:
                continue
            here = ask(problem, integer=False, time_limit_s=10.0).bound
            slopes = sorted([(here - less) / step, (more - here) / step])
            room = 1e-4 * (1 + abs(price.worth))
            assert slopes[0] - room <= price.worth <= slopes[1] + room
            compared += 1
    assert compared > 20


def test_questions_about_nobody_are_refused(random_problem) -> None:
    problem, plan = solved(random_problem, 1)
    with pytest.raises(ConfigError, match='"nobody" cannot be booked'):
        why_not(problem, plan, "nobody")
    with pytest.raises(ConfigError, match="count and differ"):
        alternatives(problem, plan, count=0)
