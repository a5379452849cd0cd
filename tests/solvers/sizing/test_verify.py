"""The certificate: plans of the solver pass, plans that were tampered with do not."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from micromega.solvers.sizing import SizingProblem, solve, verify

GRID = np.linspace(np.log(300), np.log(5e6), 90)


def curve(parameters, u=GRID):
    return 5 + 0.1 * u + sum(a / (1 + np.exp(-s * (u - m))) for a, s, m in parameters)


def problem_of(log_impressions, u=GRID, **changes):
    settings = {"value_per_impression": 0.02, "cost_per_thousand": 1.0}
    return SizingProblem(log_followers=u, log_impressions=log_impressions, **{**settings, **changes})


steps = st.lists(st.tuples(st.floats(0.3, 3), st.floats(0.5, 4), st.floats(7, 14)), min_size=1, max_size=3)
FLAT_AND_STEEP = [(2.5, 3, 8), (2.5, 3, 13)]


@given(
    parameters=steps,
    points=st.integers(8, 200),
    uneven=st.booleans(),
    cost=st.floats(0.01, 100),
    support=st.none() | st.tuples(st.floats(6, 9), st.floats(10, 16)),
    seed=st.integers(0, 1000),
)
@example(  # a hill and a valley so shallow that the other interpolation has none
    parameters=[(0.5, 1.75, 11.25), (0.5625, 1.75, 11.25), (0.5625, 1.75, 11.125)],
    points=8,
    uneven=False,
    cost=0.140625,
    support=None,
    seed=0,
)
@settings(max_examples=120, deadline=None)
def test_what_the_solver_says_is_confirmed(parameters, points, uneven, cost, support, seed):
    u = np.linspace(GRID[0], GRID[-1], points)
    if uneven:
        u = np.sort(np.random.default_rng(seed).uniform(GRID[0], GRID[-1], points)) + 1e-3 * np.arange(points)
    if support is not None and not (support[0] < u[-1] and support[1] > u[0]):
        support = None
    problem = problem_of(curve(parameters, u), u, cost_per_thousand=cost, support=support)
    plan = solve(problem)
    certificate = verify(problem, plan)
    assert certificate.ok, [check.words for check in certificate.checks if not check.ok]
    assert certificate.upper_bound >= plan.optimum.profit - 1e-9 * abs(plan.optimum.profit)


@given(points=st.integers(20, 400))
@settings(max_examples=20, deadline=None)
def test_no_monotone_curve_through_the_points_earns_more_than_the_bound(points):
    """Steps are monotone curves through the same points; the gap falls as the grid gets finer."""
    u = np.linspace(GRID[0], GRID[-1], points)
    problem = problem_of(curve(FLAT_AND_STEEP, u), u)
    certificate = verify(problem, solve(problem))
    fine = np.linspace(u[0], u[-1], 20_000)
    early = np.clip(np.searchsorted(u, fine), 0, points - 1)  # each cell already as high as its end
    earns = 0.02 * np.exp(problem.log_impressions[early]) - np.exp(fine) / 1000
    assert earns.max() <= certificate.upper_bound * (1 + 1e-12)
    exact = 0.02 * np.exp(curve(FLAT_AND_STEEP, fine)) - np.exp(fine) / 1000
    assert exact.max() <= certificate.upper_bound
    assert certificate.gap < 60 / points


@pytest.fixture
def honest():
    problem = problem_of(curve(FLAT_AND_STEEP), support=(np.log(1e3), np.log(1e5)))
    return problem, solve(problem)


def failed(problem, plan):
    return {check.name for check in verify(problem, plan).checks if not check.ok}


def test_an_honest_plan_and_its_json(honest):
    problem, plan = honest
    assert failed(problem, plan) == set()
    content = json.loads(verify(problem, plan).to_json())
    assert content["ok"]
    assert content["objective"] == pytest.approx(plan.optimum.profit, rel=1e-4)
    assert content["spend"] == pytest.approx(plan.optimum.cost)


@pytest.mark.parametrize(
    ("tamper", "name"),
    [
        (lambda plan: {"optimum": replace(plan.optimum, profit=plan.optimum.profit * 1.02)}, "optimum: profit"),
        (lambda plan: {"optimum": plan.supported}, "optimum: none better"),
        (lambda plan: {"supported": plan.optimum}, "best inside the support: profit"),
        (lambda plan: {"supported": plan.tiers[0]}, "best inside the support: none better"),
        (lambda plan: {"profit": plan.profit + 0.01}, "profit curve"),
        (lambda plan: {"profit": plan.profit[:-1]}, "profit curve"),
        (lambda plan: {"roots": plan.roots[:-1]}, "no root missed"),
        (lambda plan: {"roots": ()}, "no root missed"),
        (lambda plan: {"roots": (*plan.roots, plan.roots[-1])}, "first-order condition"),
        (lambda plan: {"inside_support": True}, "where the optimum lies"),
        (lambda plan: {"inside_support": None}, "where the optimum lies"),
        (lambda plan: {"interior": False}, "where the optimum lies"),
    ],
)
def test_a_tampered_plan_fails(honest, tamper, name):
    problem, plan = honest
    assert name in failed(problem, replace(plan, **tamper(plan)))


def test_a_root_that_is_none_fails(honest):
    problem, plan = honest
    moved = replace(plan.roots[0], size=replace(plan.roots[0].size, followers=plan.roots[0].size.followers * 2))
    assert {"first-order condition"} <= failed(problem, replace(plan, roots=(moved, *plan.roots[1:])))
    swapped = tuple(replace(root, kind="minimum" if root.kind == "maximum" else "maximum") for root in plan.roots)
    assert "no root missed" in failed(problem, replace(plan, roots=swapped))


def test_a_plan_of_another_problem_fails(honest):
    _, plan = honest
    other = problem_of(curve(FLAT_AND_STEEP) + 0.2, support=(np.log(1e3), np.log(1e5)))
    assert "profit curve" in failed(other, plan)
