"""The certificate: it must catch every way to cheat, and its bound must hold for any multipliers."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from micromega.solvers.campaign import CampaignProblem, LinearRows, solve, verify
from micromega.solvers.campaign.certify import upper_bound
from micromega.solvers.plan import Proof, Status


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(5)
    category = np.arange(30) % 3
    return CampaignProblem(
        creator_id=np.arange(30).astype(str),
        effectiveness=rng.lognormal(2, 1, 30),
        price=rng.lognormal(2, 1, 30),
        budget=60.0,
        currency="USD",
        rows=LinearRows.by_key(category, setting="coverage", name="category {key}", lower=2, upper=8),
    )


@pytest.fixture(scope="module")
def plan(problem):
    return solve(problem)


def failed(problem, plan):
    return {check.name for check in verify(problem, plan).checks if not check.ok}


def with_chosen(problem, plan, chosen):
    chosen = np.asarray(chosen)
    return dataclasses.replace(plan, chosen=chosen, objective=float(problem.value @ chosen), bound=None)


def test_honest_plan_passes(problem, plan):
    certificate = verify(problem, plan)
    assert certificate.ok
    assert certificate.gap <= 1e-6
    assert certificate.spend == pytest.approx(problem.price @ plan.chosen)
    assert len(certificate.row_slack) == 3
    assert np.all(certificate.row_slack >= 0)


def test_over_budget(problem, plan):
    assert "budget" in failed(problem, with_chosen(problem, plan, np.arange(30) < 24))


def test_missing_coverage(problem, plan):
    chosen = plan.chosen & (np.arange(30) % 3 != 1)
    assert failed(problem, with_chosen(problem, plan, chosen)) == {"coverage", "optimality"}
    check = next(
        check for check in verify(problem, with_chosen(problem, plan, chosen)).checks if check.name == "coverage"
    )
    assert (check.value, check.limit, check.slack) == (0.0, 2.0, -2.0)
    assert "category 1" in check.words


def test_too_many_of_a_kind():
    rows = LinearRows.of([("cap", "at most 1 of these", [0, 1, 2], 0, 1)])
    problem = CampaignProblem(
        creator_id=np.array(list("abc")), effectiveness=np.ones(3), price=np.ones(3), budget=9.0, rows=rows
    )
    assert "cap" in failed(problem, with_chosen(problem, solve(problem), [True, True, False]))


def test_fractions(problem, plan):
    assert "whole tuples" in failed(problem, with_chosen(problem, plan, plan.chosen * 0.5))


def test_wrong_length(problem, plan):
    assert "whole tuples" in failed(problem, dataclasses.replace(plan, chosen=plan.chosen[:-1]))


def test_wrong_objective(problem, plan):
    assert failed(problem, dataclasses.replace(plan, objective=plan.objective * 1.001)) == {"objective"}


def test_impossible_claimed_bound(problem, plan):
    assert failed(problem, dataclasses.replace(plan, bound=plan.objective * 0.9)) == {"claimed bound"}


def test_worse_plan_that_claims_to_be_optimal(problem, plan):
    for index in np.flatnonzero(plan.chosen):
        chosen = plan.chosen.copy()
        chosen[index] = False
        assert "optimality" in failed(problem, with_chosen(problem, plan, chosen))


def test_optimum_without_its_proof_is_not_believed(problem, plan):
    bare = dataclasses.replace(plan, proof=None, duals=np.zeros_like(plan.duals))
    assert failed(problem, bare) == {"optimality"}


def test_a_plan_is_not_a_plan_without_status(problem, plan):
    assert not verify(problem, dataclasses.replace(plan, status=Status.NO_SOLUTION)).ok


def test_false_infeasibility_is_not_believed(problem, plan):
    lie = dataclasses.replace(plan, status=Status.INFEASIBLE, chosen=np.zeros(30, bool), objective=np.nan)
    for duals in (plan.duals, -plan.duals, np.ones_like(plan.duals), -np.ones_like(plan.duals)):
        assert not verify(problem, dataclasses.replace(lie, duals=duals)).ok


def test_json_holds_every_check_and_only_plain_numbers(problem, plan):
    content = json.loads(verify(problem, dataclasses.replace(plan, gap=None, status=Status.FEASIBLE)).to_json())
    assert [check["name"] for check in content["checks"]] == [
        "whole tuples", "budget", "coverage", "objective", "claimed bound", "optimality",
    ]  # fmt: skip
    assert content["checks"][-1]["limit"] is None
    assert content["rows_checked"] == 3


def forged(problem, **changes):
    """A plan of nothing with a proof of one case, changed."""
    nothing = {"settled": np.zeros(len(problem), np.int8), "place": np.zeros(0, int), "multiplier": np.zeros(0)}
    leaf = {"split": np.array([-1]), "without": np.array([-1]), "within": np.array([-1]), "start": np.array([0, 0])}
    empty = dataclasses.replace(solve(problem), duals=np.zeros(1 + len(problem.rows)), proof=None)
    return dataclasses.replace(empty, proof=Proof(**(nothing | leaf | changes)))


def test_proof_may_not_settle_on_a_tuple_that_nobody_can_pay():
    """All plans are on its other side."""
    problem = CampaignProblem(creator_id=np.array(["a", "b"]), effectiveness=[1.0, 3.0], price=[5.0, 1.0], budget=1.0)
    lie = forged(
        problem,
        settled=np.array([1, 0], np.int8),
        start=np.array([0, 1]),
        place=np.array([0]),
        multiplier=np.array([9.0]),
    )
    assert verify(problem, lie).upper_bound >= 3.0


def test_proof_that_runs_in_circles_proves_nothing():
    problem = CampaignProblem(creator_id=np.array(["a", "b"]), effectiveness=[1.0, 3.0], price=[1.0, 1.0], budget=1.0)
    circle = np.zeros(1, int)
    assert verify(problem, forged(problem, split=circle, without=circle, within=circle)).upper_bound >= 4.0


@pytest.mark.parametrize("size", [1e6, 1e17, 1e50, 1e99])
def test_huge_multipliers_do_not_prove_by_rounding(size):
    """Both members must be chosen: -size·2 + 2·size is 0 in floating point, with the values 5 and 7 lost on the way."""
    rows = LinearRows.of([("both", "both", [0, 1], 2, 2), ("any", "any", [0, 1], 0, 2)])
    problem = CampaignProblem(
        creator_id=np.array(["a", "b"]), effectiveness=[5.0, 7.0], price=[1.0, 1.0], budget=3.0, rows=rows
    )
    plan = solve(problem)
    for duals in np.array([[0, -size, 0], [0, -size, size / 3], [size, -size, size / 7], [size / 3, -size, 0]]):
        assert upper_bound(problem, duals) >= 12.0
        lie = dataclasses.replace(plan, status=Status.INFEASIBLE, duals=duals, proof=None)
        assert not verify(problem, lie).ok


MULTIPLIERS = hnp.arrays(np.float64, 4, elements=st.floats(-1e6, 1e6) | st.floats(allow_nan=True, allow_infinity=True))


@given(multipliers=MULTIPLIERS)
@settings(max_examples=300, deadline=None)
def test_weak_duality_holds_for_any_multipliers(problem, plan, multipliers):
    assert upper_bound(problem, multipliers) >= plan.objective


@given(seed=st.integers(0, 10**6), multipliers=MULTIPLIERS)
@settings(max_examples=150, deadline=None)
def test_weak_duality_against_enumeration(seed, multipliers, random_problem, brute_force):
    problem = random_problem(np.random.default_rng(seed), 7)
    best = brute_force(problem)
    if best is not None:
        known = np.resize(multipliers, 1 + len(problem.rows))
        bound = upper_bound(problem, known)
        assert bound >= best


@pytest.fixture(scope="module")
def proven(random_problem, brute_force):
    """Problems whose plans have a proof of several cases, with their best value."""
    problems = [random_problem(np.random.default_rng(seed), 9) for seed in range(60)]
    solved = [(problem, solve(problem), brute_force(problem)) for problem in problems]
    kept = [(p, plan, best) for p, plan, best in solved if best is not None and plan.proof and plan.proof.cases > 1]
    assert len(kept) > 10
    return kept


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_no_tampered_proof_gets_below_the_optimum(data, proven):
    """Any change of splits, children, settled tuples or multipliers loosens the bound or voids the proof."""
    problem, plan, best = data.draw(st.sampled_from(proven))
    name = data.draw(st.sampled_from(["settled", "split", "without", "within", "multiplier"]))
    values = getattr(plan.proof, name).copy()
    place = data.draw(st.integers(0, max(0, len(values) - 1)))
    if len(values):
        values[place] = data.draw(st.integers(-1, 1) if name == "settled" else st.integers(-3, 12))
    forged = dataclasses.replace(plan, proof=dataclasses.replace(plan.proof, **{name: values}))
    certificate = verify(problem, forged)
    assert certificate.upper_bound >= best * (1 - 1e-15)


def test_a_plan_is_not_called_the_best_without_a_gap_or_with_a_generous_one():
    problem = CampaignProblem(
        creator_id=np.array(["a", "b", "c"]),
        effectiveness=np.array([60.0, 100.0, 120.0]),
        price=np.array([10.0, 20.0, 30.0]),
        budget=50.0,
    )
    best = solve(problem)
    poor = dataclasses.replace(best, chosen=np.array([True, False, False]), objective=60.0, bound=None)
    assert not verify(problem, dataclasses.replace(poor, gap=None)).ok
    assert not verify(problem, dataclasses.replace(poor, gap=9.9), relative_gap=1e-3).ok
    assert verify(problem, best, relative_gap=1e-3).ok


def test_one_ruinous_tuple_hides_no_loss():
    problem = CampaignProblem(
        creator_id=np.array(["a", "b", "ruin"]),
        effectiveness=np.array([100.0, 120.0, -1e12]),
        price=np.array([20.0, 30.0, 1.0]),
        budget=50.0,
    )
    idle = {"chosen": np.zeros(3, bool), "objective": 0.0, "gap": 0.0, "bound": None, "status": Status.OPTIMAL}
    nothing = dataclasses.replace(solve(problem), **idle)
    assert not verify(problem, nothing).ok
