"""The exact solver against enumeration, against another solver, and on the cases where solvers go wrong."""

import dataclasses
import inspect

import cvxpy as cp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from micromega.solvers.campaign import CampaignProblem, LinearRows, core, ilp, plan_table, solve, verify
from micromega.solvers.campaign.config import CvxpyConfig
from micromega.solvers.campaign.matrix import Answer, ask
from micromega.solvers.plan import Status


def small(effectiveness, price, budget, rows=(), **others):
    creators = np.array([f"c{i}" for i in range(len(price))])
    return CampaignProblem(
        creator_id=creators,
        effectiveness=np.array(effectiveness, float),
        price=np.array(price, float),
        budget=budget,
        rows=LinearRows.of(rows),
        **others,
    )


@pytest.mark.parametrize("block", range(8))
def test_equals_brute_force(block, random_problem, brute_force):
    """50 problems a block: right status, right value, and a certificate that proves it without the solver."""
    statuses = []
    for seed in range(50 * block, 50 * block + 50):
        problem = random_problem(np.random.default_rng(seed), 1 + seed % 10)
        best = brute_force(problem)
        plan = solve(problem)
        certificate = verify(problem, plan)
        assert certificate.ok, (seed, certificate.to_json())
        if best is None:
            assert plan.status is Status.INFEASIBLE, seed
        else:
            assert plan.status is Status.OPTIMAL, (seed, plan.notes)
            assert plan.objective == pytest.approx(best, abs=1e-6), seed
            assert certificate.upper_bound >= best - 1e-9, seed
            assert certificate.gap <= 1e-6, seed
        statuses.append(plan.status)
    assert {Status.OPTIMAL, Status.INFEASIBLE} <= set(statuses)


def test_core_search_equals_brute_force(monkeypatch, random_problem, brute_force):
    """With a core of 2 tuples, the rounding, settling and second search happen on problems that can be enumerated."""
    monkeypatch.setattr(core, "_CORE", 2)
    for seed in range(1000, 1060):
        problem = random_problem(np.random.default_rng(seed), 9)
        best, plan = brute_force(problem), solve(problem)
        assert verify(problem, plan).ok, seed
        assert plan.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL), seed
        assert best is None or plan.objective == pytest.approx(best, abs=1e-6), seed


def test_first_core_s_plan_is_kept_when_time_runs_out(monkeypatch):
    rng = np.random.default_rng(2)
    problem = small(rng.lognormal(0, 1, 200), rng.lognormal(0, 1, 200), 30.0)
    asked = []

    def answer(problem, *, integer, **limits):
        asked.append(integer)
        return Answer(status="limit") if sum(asked) > 1 else ask(problem, integer=integer, **limits)

    monkeypatch.setattr(core, "_CORE", 3)
    monkeypatch.setattr(core, "ask", answer)
    plan = solve(problem)
    assert sum(asked) == 2
    assert plan.status.has_plan
    assert plan.objective > 0


@pytest.mark.parametrize("seed", range(4))
def test_equals_scipy_milp_at_middle_size(seed):
    rng = np.random.default_rng(seed)
    creator, category = np.repeat(np.arange(100), 4), np.repeat(rng.integers(0, 5, 100), 4)
    event = np.tile([0, 0, 1, 1], 100)
    value, price = rng.lognormal(3, 1, 400), rng.lognormal(3, 0.8, 400)
    problem = CampaignProblem(
        creator_id=creator.astype(str),
        event_id=event.astype(str),
        offset_days=np.tile([0, 1, 0, 1], 100),
        effectiveness=value,
        price=price,
        budget=300.0,
        rows=LinearRows.stack(
            [
                LinearRows.by_key(creator, setting="cap", name="{key}", upper=1),
                LinearRows.by_key(category, setting="cover", name="{key}", lower=3),
                LinearRows.by_key(event, setting="event", name="{key}", lower=8, upper=15),
            ]
        ),
    )
    matrices = [sp.csr_array((np.ones(400), (key, np.arange(400)))) for key in (creator, category, event)]
    theirs = scipy.optimize.milp(
        -value,
        integrality=np.ones(400),
        bounds=(0, 1),
        constraints=[
            scipy.optimize.LinearConstraint(price[None, :], -np.inf, 300.0),
            *(
                scipy.optimize.LinearConstraint(matrix, low, high)
                for matrix, low, high in zip(matrices, (0, 3, 8), (1, np.inf, 15), strict=True)
            ),
        ],
        options={"mip_rel_gap": 1e-7},
    )
    plan = solve(problem)
    assert plan.status is Status.OPTIMAL
    assert plan.objective == pytest.approx(-theirs.fun, rel=1e-6)
    assert verify(problem, plan).gap <= 1e-6


def test_literal_coupling_never_binds():
    """Eq. 4 as written, b <= p·y with the value in y alone: b = 0 buys everything; with b = p·y the budget binds."""
    value, price, budget = np.array([3.0, 5.0, 4.0]), np.array([10.0, 20.0, 15.0]), 20.0
    y, b = cp.Variable(3, boolean=True), cp.Variable(3, nonneg=True)
    literal = cp.Problem(cp.Maximize(value @ y), [cp.sum(b) <= budget, b <= cp.multiply(price, y)])
    literal.solve(solver=cp.HIGHS)
    assert y.value == pytest.approx([1, 1, 1])
    assert price @ np.round(y.value) > budget
    coupled = cp.Problem(cp.Maximize(value @ y), [cp.sum(b) <= budget, b == cp.multiply(price, y)])
    coupled.solve(solver=cp.HIGHS)
    plan = solve(small(value, price, budget))
    assert plan.objective == pytest.approx(coupled.value) == 5.0
    assert price @ plan.chosen <= budget


def test_zero_budget_buys_only_what_is_free():
    plan = solve(small([1, 2, 3], [0, 1, 1e-12], 0.0))
    assert plan.status is Status.OPTIMAL
    assert plan.chosen.tolist() == [True, False, False]


def test_zero_budget_without_anything_free_is_the_empty_plan():
    problem = small([1, 2], [1, 1], 0.0)
    plan = solve(problem)
    assert (plan.status, plan.objective, plan.gap) == (Status.OPTIMAL, 0.0, 0.0)
    assert verify(problem, plan).ok


def test_no_tuples_at_all():
    problem = small([], [], 10.0)
    plan = solve(problem)
    assert (plan.status, plan.objective) == (Status.OPTIMAL, 0.0)
    assert verify(problem, plan).ok


@pytest.mark.parametrize(("budget", "bought"), [(4.99, False), (5.0, True), (6.0, True)])
def test_one_candidate(budget, bought):
    plan = solve(small([7], [5], budget))
    assert (plan.status, plan.chosen.tolist()) == (Status.OPTIMAL, [bought])


def test_equal_scores_are_broken_the_same_way_each_time():
    problem = small(np.ones(60), np.ones(60), 30.0)
    plans = [solve(problem) for _ in range(3)]
    assert all(plan.objective == 30.0 and plan.status is Status.OPTIMAL for plan in plans)
    assert all(np.array_equal(plan.chosen, plans[0].chosen) for plan in plans)


def test_negative_values_are_chosen_only_where_rows_ask_for_them():
    assert not solve(small([-3, -1, -2], [1, 1, 1], 10.0)).chosen.any()
    problem = small([-3, -1, -2], [1, 1, 1], 10.0, [("cover", "at least 2", [0, 1, 2], 2, np.inf)])
    plan = solve(problem)
    assert (plan.status, plan.objective) == (Status.OPTIMAL, -3.0)
    assert plan.chosen.tolist() == [False, True, True]
    assert verify(problem, plan).ok


@pytest.mark.parametrize("value_scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("price_scale", [1e-9, 1.0, 1e12])
def test_scales(value_scale, price_scale, random_problem, brute_force):
    for seed in range(6):
        base = random_problem(np.random.default_rng(seed), 9)
        problem = dataclasses.replace(
            base,
            effectiveness=base.effectiveness * value_scale,
            std=base.std * value_scale,
            price=base.price * price_scale,
            budget=base.budget * price_scale,
        )
        best, plan = brute_force(base), solve(problem)
        assert verify(problem, plan).ok
        if best is None:
            assert plan.status is Status.INFEASIBLE
        else:
            assert plan.status is Status.OPTIMAL
            assert plan.objective == pytest.approx(best * value_scale, rel=1e-9, abs=1e-9 * value_scale)


def test_small_values_among_unaffordable_large_ones():
    """The scale is that of what the budget can pay, otherwise 1e-3 would drown beside 1e12."""
    plan = solve(small([1e12, 1e-3, 2e-3], [100, 1, 1], 1.0))
    assert (plan.status, plan.objective) == (Status.OPTIMAL, 2e-3)


def test_budget_met_exactly_in_cents():
    """0.1 + 0.2 exceeds 0.3 in floating point; nobody wants to hear that."""
    problem = small([1, 1], [0.1, 0.2], 0.3)
    plan = solve(problem)
    assert plan.chosen.all()
    assert verify(problem, plan).ok


def test_budget_missed_by_a_thousandth_is_missed():
    assert solve(small([1, 1], [500.0, 500.001], 1000.0)).chosen.sum() == 1


def test_no_time_is_no_solution():
    """cvxpy reports zeros and a value of 0 here; believing them would break the coverage."""
    rng = np.random.default_rng(0)
    problem = small(rng.random(50), rng.random(50) + 1, 20.0, [("cover", "at least 5", np.arange(50), 5, np.inf)])
    plan = solve(problem, time_limit_s=0.0)
    assert plan.status is Status.NO_SOLUTION
    assert not plan.chosen.any()
    assert np.isnan(plan.objective)
    certificate = verify(problem, plan)
    assert not certificate.ok
    assert certificate.upper_bound >= solve(problem).objective


def claims(monkeypatch, *answers):
    """Let HiGHS's first answers about whole tuples be these."""
    waiting = list(answers)

    def answer(problem, *, integer, **limits):
        return waiting.pop(0) if integer and waiting else ask(problem, integer=integer, **limits)

    monkeypatch.setattr(core, "ask", answer)
    monkeypatch.setattr(ilp, "ask", answer)


def test_an_answer_that_overspends_is_asked_again(monkeypatch):
    problem = small([3, 2, 2], [2, 1.5, 1], 2.6)
    claims(monkeypatch, Answer(status="optimal", y=np.array([1.0, 0.0, 1.0]), bound=5.0))
    plan = solve(problem)
    assert plan.status is Status.OPTIMAL
    assert plan.chosen.tolist() == [False, True, True]
    assert verify(problem, plan).ok


def test_an_answer_that_overspends_twice_is_an_error(monkeypatch):
    problem = small([3, 2, 2], [2, 1.5, 1], 2.5)
    lie = Answer(status="optimal", y=np.ones(3), bound=7.0)
    claims(monkeypatch, lie, lie)
    plan = solve(problem)
    assert plan.status is Status.ERROR
    assert not plan.chosen.any()
    assert "breaks constraints" in plan.notes[0]


def test_a_failing_solver_is_an_error_in_its_own_words(monkeypatch):
    claims(monkeypatch, Answer(status="error", words="out of memory"))
    plan = solve(small([1], [1], 1.0))
    assert (plan.status, plan.notes) == (Status.ERROR, ("HiGHS failed: out of memory",))


def test_a_worse_plan_claimed_as_best_is_only_feasible(monkeypatch):
    problem = small([3, 2, 2], [2, 1.5, 1], 2.5)
    claims(monkeypatch, Answer(status="optimal", y=np.array([0.0, 0.0, 1.0]), bound=2.0))
    plan = solve(problem)
    assert (plan.status, plan.objective) == (Status.FEASIBLE, 2.0)
    assert plan.gap >= 1.0
    assert "HiGHS claims that this plan is the best" in plan.notes[0]


def test_false_claim_of_infeasibility_is_noted(monkeypatch):
    problem = small([3, 2, 2], [2, 1.5, 1], 2.5)
    claims(monkeypatch, Answer(status="infeasible"))
    plan = solve(problem)
    assert "the proof is not complete" in plan.notes[0]
    assert not verify(problem, plan).ok


def test_too_few_cases_is_feasible_with_the_proven_gap():
    rng = np.random.default_rng(1)
    problem = small(rng.lognormal(0, 1, 40), rng.lognormal(0, 1, 40), 8.0)
    full, short = solve(problem), solve(problem, proof_cases=1)
    assert full.status is Status.OPTIMAL
    assert short.status is Status.FEASIBLE
    assert short.objective == full.objective
    assert 1e-6 < short.gap < 1
    assert "proven" in short.notes[0]


def test_integer_infeasibility_is_proven():
    """The relaxation has a plan (half of each), whole tuples have none; the proof needs cases."""
    rows = [("pairs", f"pair {i}", pair, 1, 1) for i, pair in enumerate([[0, 1], [1, 2], [0, 2]])]
    problem = small([1, 1, 1], [1, 1, 1], 3.0, rows)
    plan = solve(problem)
    certificate = verify(problem, plan)
    assert plan.status is Status.INFEASIBLE
    assert certificate.ok
    assert certificate.cases > 1


def test_risk_aversion_changes_the_choice():
    """Eq. 7: at rho = 1 the sure creator is worth 3, the unsure one 4 - 2."""
    assert solve(small([3, 4], [1, 1], 1.0, std=np.array([0.0, 2.0]))).chosen.tolist() == [False, True]
    assert solve(small([3, 4], [1, 1], 1.0, std=np.array([0.0, 2.0]), rho=1.0)).chosen.tolist() == [True, False]


def test_plan_table_lists_what_to_do():
    problem = small(
        [3, 9, 4],
        [1, 2, 3],
        5.0,
        currency="EUR",
        offset_days=np.array([0, -2, 1]),
        date=np.array(["2024-05-01", "NaT", "2024-05-02"], "datetime64[D]"),
    )
    table = plan_table(problem, solve(problem))
    assert table.column_names == [
        "creator_id", "content_type", "event_id", "date", "offset_days", "price", "effectiveness", "std",
    ]  # fmt: skip
    assert table["creator_id"].to_pylist() == ["c1", "c2"]
    assert [str(date) for date in table["date"].to_pylist()] == ["None", "2024-05-02"]
    assert table["offset_days"].to_pylist() == [-2, 1]
    assert sum(table["price"].to_pylist()) == 5.0
    assert table.schema.metadata[b"currency"] == b"EUR"


def test_config_fields_are_the_solver_s_arguments():
    arguments = dict(inspect.signature(solve).parameters)
    arguments.pop("problem")
    assert {name: argument.default for name, argument in arguments.items()} == dataclasses.asdict(CvxpyConfig())
