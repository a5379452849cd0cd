"""The budget curve against enumeration and against what a curve must be."""

import dataclasses

import numpy as np
import pytest

from micromega.errors import ConfigError
from micromega.solvers.campaign import CampaignProblem, LinearRows, budget_curve, frontier, solve
from micromega.solvers.campaign.frontier import risk_curve


def test_every_point_is_the_optimum(random_problem, brute_force):
    for seed in range(600, 612):
        problem = random_problem(np.random.default_rng(seed), 8)
        budgets = np.linspace(0, 1.2, 5) * problem.price.sum()
        curve = budget_curve(problem, budgets=budgets, relative_gap=1e-7)
        for budget, objective, bound, spend in zip(
            budgets, curve.objective, curve.upper_bound, curve.spend, strict=True
        ):
            best = brute_force(dataclasses.replace(problem, budget=budget))
            if best is None:
                assert np.isnan(objective)
            else:
                assert objective == pytest.approx(best, abs=1e-6)
                assert bound >= best - 1e-9 * (1 + abs(bound))
                assert spend <= budget * (1 + 1e-9)


def test_default_grid_and_shape():
    rng = np.random.default_rng(3)
    problem = CampaignProblem(
        creator_id=np.arange(80).astype(str),
        effectiveness=rng.lognormal(2, 1, 80),
        price=rng.lognormal(2, 1, 80),
        budget=100.0,
        rows=LinearRows.by_key(np.arange(80) // 2, setting="cap", name="{key}", upper=1),
    )
    curve = budget_curve(problem)
    assert curve.budgets == pytest.approx(np.linspace(0, 200, 13))
    assert curve.objective[0] == 0
    assert np.all(np.diff(curve.objective) >= 0)
    assert np.all(curve.objective <= curve.upper_bound * (1 + 1e-9))
    assert curve.creators[-1] > curve.creators[1] > curve.creators[0] == 0
    assert curve.objective[6] == pytest.approx(solve(problem).objective, rel=1e-4)


def test_shadow_price_is_the_slope_of_the_relaxation():
    """While the budget pays every single tuple, money is worth less the more there is."""
    rng = np.random.default_rng(4)
    problem = CampaignProblem(
        creator_id=np.arange(80).astype(str),
        effectiveness=rng.lognormal(2, 1, 80),
        price=rng.uniform(1, 20, 80),
        budget=100.0,
        rows=LinearRows.by_key(np.arange(80) // 2, setting="cap", name="{key}", upper=1),
    )
    curve = budget_curve(problem, budgets=np.linspace(20, 300, 8))
    assert np.all(np.diff(curve.shadow_price) <= 1e-9)
    slope = np.diff(curve.upper_bound) / np.diff(curve.budgets)
    assert np.all(slope <= curve.shadow_price[:-1] + 1e-6)
    assert np.all(slope >= curve.shadow_price[1:] - 1e-6)


def test_a_smaller_budget_s_plan_is_kept_where_a_limit_strikes(monkeypatch):
    problem = CampaignProblem(creator_id=np.array(["a", "b"]), effectiveness=[1.0, 3.0], price=[1.0, 1.0], budget=2.0)

    def hasty(at, **limits):
        plan = solve(at, **limits)
        worst = np.array([True, False])
        return plan if at.budget < 2 else dataclasses.replace(plan, chosen=worst, objective=1.0)

    monkeypatch.setattr(frontier, "solve", hasty)
    assert budget_curve(problem, budgets=[1.0, 2.0]).objective.tolist() == [3.0, 3.0]


def test_zero_budget():
    problem = CampaignProblem(creator_id=np.array(["a"]), effectiveness=np.ones(1), price=np.ones(1), budget=0.0)
    curve = budget_curve(problem)
    assert (curve.budgets.tolist(), curve.objective.tolist()) == ([0.0], [0.0])


@pytest.mark.parametrize("budgets", [[], [-1.0, 2.0], [np.nan], [np.inf]])
def test_impossible_budgets(budgets):
    problem = CampaignProblem(creator_id=np.array(["a"]), effectiveness=np.ones(1), price=np.ones(1), budget=1.0)
    with pytest.raises(ConfigError, match="budgets"):
        budget_curve(problem, budgets=budgets)


@pytest.mark.parametrize("risk", ["linear", "variance", "independent"])
def test_more_aversion_to_risk_gives_safer_and_smaller_plans(risk: str) -> None:
    rng = np.random.default_rng(3)
    effect = rng.uniform(5, 10, 30)
    problem = CampaignProblem(
        creator_id=np.arange(30).astype(str),
        effectiveness=effect,
        std=rng.uniform(0.1, 0.6, 30) * effect,
        price=rng.uniform(1, 2, 30),
        budget=12.0,
        risk=risk,
    )
    curve = risk_curve(problem)
    assert curve is not None
    assert len(curve.rho) == 5
    assert np.all(np.diff(curve.expected) <= 1e-3 * curve.expected[0])
    assert curve.deviation[-1] < curve.deviation[0]
    plain = solve(dataclasses.replace(problem, rho=0.0))
    assert curve.expected[0] == pytest.approx(plain.objective, rel=1e-4)


def test_there_is_no_risk_curve_without_uncertainty() -> None:
    problem = CampaignProblem(creator_id=np.array(["a", "b"]), effectiveness=np.ones(2), price=np.ones(2), budget=1.0)
    assert risk_curve(problem) is None
    with pytest.raises(ConfigError, match="rhos"):
        risk_curve(dataclasses.replace(problem, std=np.ones(2)), rhos=[-1.0])
