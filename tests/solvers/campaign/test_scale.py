"""The Lagrangian solver: bounds hold, plans keep every rule, the best is the best, and torch says the same."""

import dataclasses
import time

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from micromega.errors import ConfigError
from micromega.solvers.campaign import CampaignProblem, LinearRows, ilp, lagrangian, verify
from micromega.solvers.campaign.certify import upper_bound
from micromega.solvers.campaign.core_search import feasible, search_core
from micromega.solvers.campaign.inner_torch import torch_evaluator
from micromega.solvers.campaign.lagrangian import bounded_choice, infeasibility, solve
from micromega.solvers.campaign.patterns import Rows
from micromega.solvers.campaign.relax import best_multipliers, evaluator, relax
from micromega.solvers.campaign.separable import creator_codes, separate, separate_problem
from micromega.solvers.plan import Status


def draw(seed, creators=40, *, events=3, offsets=3, loose=False, crossing=False):
    """Caps per creator and, nested in them, per creator and event; coverage, money per event, shares, a wanted one."""
    rng = np.random.default_rng(seed)
    shape = (creators, 2, events, offsets)
    creator, kind, event, offset = (axis.ravel() for axis in np.indices(shape))
    price = rng.lognormal(3, 0.8, (creators, 2))[creator, kind]
    value = price**0.9 * rng.lognormal(0.5, 0.4, len(creator)) - rng.random() * 3
    category = rng.integers(0, 4, creators)[creator]
    tuples = len(creator)
    posts = max(2, creators // 5)
    rows = [
        LinearRows.by_key(creator, setting="cap", name="creator {key}", upper=int(rng.integers(1, 4))),
        LinearRows.by_key(creator * events + event, setting="slot", name="creator, event {key}", upper=1),
        LinearRows.by_key(category, setting="cover", name="category {key}", lower=posts // 4, upper=posts),
        LinearRows.by_key(event, setting="money", name="event {key}", upper=price.mean() * posts, coefficient=price),
    ]
    share = np.where(category == 0, 0.6, -0.4)
    rows.append(LinearRows.of([("share", "category 0", np.arange(tuples), -np.inf, 0.0, share)]))
    rows.append(LinearRows.of([("must", "creator 1", np.flatnonzero(creator == 1), 0 if loose else 1, np.inf)]))
    if crossing:
        day = creator * 100 + event + offset
        rows.append(LinearRows.by_key(day, setting="day", name="creator, day {key}", upper=1))
    mixed = rng.permutation(tuples) if seed % 2 else np.arange(tuples)
    place = np.empty(tuples, int)
    place[mixed] = np.arange(tuples)
    stacked = LinearRows.stack(rows)
    return CampaignProblem(
        creator_id=creator[mixed].astype(str),
        content_type=kind[mixed].astype(str),
        event_id=event[mixed].astype(str),
        offset_days=offset[mixed],
        effectiveness=value[mixed],
        price=price[mixed],
        budget=float(price.mean() * posts * rng.uniform(0.7, 1.5)),
        rows=LinearRows(
            start=stacked.start,
            members=place[stacked.members],
            coefficient=stacked.coefficient,
            lower=stacked.lower,
            upper=stacked.upper,
            names=stacked.names,
            settings=stacked.settings,
        ),
    )


def linear_optimum(problem):
    """Of the linear relaxation, by scipy."""
    rows = problem.rows
    matrix = sp.csr_array((rows.coefficient, rows.members, rows.start), shape=(len(rows), len(problem)))
    above, below = np.isfinite(rows.upper), np.isfinite(rows.lower)
    paid = problem.price <= problem.budget
    answer = scipy.optimize.linprog(
        -problem.value,
        A_ub=sp.vstack([sp.csr_array(problem.price[None, :]), matrix[above], -matrix[below]]),
        b_ub=np.concatenate([[problem.budget], rows.upper[above], -rows.lower[below]]),
        bounds=np.stack([np.zeros(len(problem)), paid.astype(float)], axis=1),
        method="highs",
    )
    assert answer.status == 0
    return -answer.fun


def forever():
    return 60.0


@pytest.mark.parametrize("block", range(4))
def test_equals_brute_force(block, random_problem, brute_force):
    """With 3 tuples in the first search, bounds, fixing and second searches happen where all can be enumerated."""
    statuses = []
    for seed in range(50 * block, 50 * block + 50):
        problem = random_problem(np.random.default_rng(seed), 1 + seed % 10)
        best, plan = brute_force(problem), solve(problem, core=3)
        assert verify(problem, plan).ok, (seed, plan.notes)
        if best is None:
            assert plan.status is Status.INFEASIBLE, (seed, plan.status)
        else:
            assert plan.status is Status.OPTIMAL, (seed, plan.notes)
            assert plan.objective == pytest.approx(best, abs=1e-6), seed
        statuses.append(plan.status)
    assert {Status.OPTIMAL, Status.INFEASIBLE} <= set(statuses)


def test_any_multipliers_bound_every_plan_and_verify_agrees(random_problem, brute_force):
    """The caps' own multipliers must turn the sum over inner problems into a bound of plain weak duality."""
    tried = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        problem = random_problem(rng, 9)
        best = brute_force(problem)
        if best is None:
            continue
        parts, places = separate_problem(problem)
        for size in (0.0, 0.3, 3.0):
            found = relax(parts, rng.normal(0, size, 1 + len(parts.lower)))
            assert found.bound >= best - 1e-9
            assert upper_bound(problem, found.in_problem(places)) == pytest.approx(found.bound, rel=1e-9, abs=1e-7)
            tried += 1
    assert tried > 400


@pytest.mark.parametrize("seed", range(6))
def test_nested_caps_are_priced_exactly(seed):
    problem = draw(seed)
    parts, places = separate_problem(problem)
    assert len(parts.nest_cap) == 120
    assert not len(parts.rest.lower)
    rng = np.random.default_rng(seed)
    for size in (0.1, 1.0, 5.0):
        multipliers = rng.exponential(size, 1 + len(parts.lower)) * np.where(
            np.isfinite(np.append(1, parts.upper)), 1, -1
        )
        multipliers[0] /= 10
        found = relax(parts, multipliers)
        bound = upper_bound(problem, found.in_problem(places))
        assert bound == pytest.approx(found.bound, rel=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_dual_is_as_tight_as_the_linear_relaxation(seed):
    """Nested caps make integral inner problems (Geoffrion 1974)."""
    problem = draw(seed)
    parts, places = separate_problem(problem)
    dual = best_multipliers(parts, tolerance=1e-9, deadline=np.inf)
    optimum = linear_optimum(problem)
    assert dual.bound >= optimum * (1 - 1e-9)
    assert dual.bound == pytest.approx(optimum, rel=1e-6)
    assert upper_bound(problem, relax(parts, dual.multipliers).in_problem(places)) == pytest.approx(optimum, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_exact_solver(seed):
    problem = draw(seed, creators=25, crossing=seed % 3 == 2)
    exact, plan = ilp.solve(problem), solve(problem, core=40, proof_cases=3000)
    certificate = verify(problem, plan)
    assert certificate.ok
    assert exact.status.has_plan
    assert plan.status.has_plan
    assert plan.objective == pytest.approx(exact.objective, rel=1e-6)
    assert certificate.upper_bound >= exact.objective * (1 - 1e-9)


def test_caps_that_cross_are_kept_though_they_are_not_priced():
    problem = draw(2, crossing=True)
    parts, _ = separate_problem(problem)
    assert len(parts.rest.lower) > 0
    plan = solve(problem, relative_gap=1e-3)
    certificate = verify(problem, plan)
    assert certificate.ok
    assert plan.status.has_plan
    assert np.min(certificate.row_slack) >= 0


def test_same_again():
    problem = draw(3)
    one, two = solve(problem), solve(problem)
    np.testing.assert_array_equal(one.chosen, two.chosen)
    np.testing.assert_array_equal(one.duals, two.duals)
    assert one.objective == two.objective


@pytest.mark.parametrize("even", [True, False])
def test_torch_says_the_same(even):
    rng = np.random.default_rng(4)
    sizes = np.full(60, 7) if even else rng.integers(0, 12, 60)
    creator = np.repeat(np.arange(60), sizes)
    tuples = len(creator)
    members = [np.flatnonzero(rng.random(tuples) < 0.4) for _ in range(5)]
    start = np.cumsum([0, *(len(part) for part in members)])
    price = rng.lognormal(0, 1, tuples)
    parts = separate(
        value=rng.normal(1, 1, tuples),
        price=price,
        limit=np.quantile(price, 0.95),
        creator=creator,
        cap=rng.integers(0, 4, 60),
        rows=Rows.of(start, np.concatenate(members), np.full(5, 2.0), np.full(5, 30.0)),
    )
    ours, theirs = evaluator(parts), torch_evaluator(parts, device="cpu")
    for size in (0.0, 0.2, 1.0):
        multipliers = rng.normal(0, size, 6)
        multipliers[0] = abs(multipliers[0])
        one, two = ours(multipliers), theirs(multipliers)
        np.testing.assert_allclose(two.gain, one.gain, rtol=1e-12)
        np.testing.assert_allclose(two.use, one.use, rtol=1e-12)
        assert one.gain.sum() > 0
    found = bounded_choice(parts, relative_gap=1e-6, left=forever, core=20, evaluate=theirs)
    assert feasible(parts, found.core.chosen)
    assert found.core.objective <= found.relaxed.bound


def test_a_device_that_is_not_there_is_named():
    parts, _ = separate_problem(draw(0))
    with pytest.raises(ConfigError, match="device"):
        torch_evaluator(parts, device="cpu")  # caps per creator and event
    plain = separate(
        value=np.ones(3), price=np.ones(3), limit=1.0, creator=np.arange(3), cap=np.ones(3, int),
        rows=Rows.of(np.zeros(1, int), np.zeros(0, int), np.zeros(0), np.zeros(0)),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="nothere"):
        torch_evaluator(plain, device="nothere")


def test_plain_arrays_in_any_order():
    rng = np.random.default_rng(8)
    creator = np.repeat(np.arange(300), 6)
    value, price = rng.lognormal(0, 1, 1800), rng.lognormal(0, 1, 1800)
    group = rng.integers(0, 5, 300)[creator]
    mixed = rng.permutation(1800)
    found = []
    for order in (np.arange(1800), mixed):
        key = group[order]
        rows = Rows.of(
            np.concatenate([[0], np.cumsum(np.bincount(key))]),
            np.argsort(key, kind="stable"),
            np.full(5, 4.0),
            np.full(5, 40.0),
        )
        parts = separate(
            value=value[order], price=price[order], limit=60.0, creator=creator[order], cap=np.full(300, 2), rows=rows
        )
        bounded = bounded_choice(parts, relative_gap=1e-7, left=forever, core=200)
        chosen = parts.in_problem_order(bounded.core.chosen)
        assert price[order][chosen].sum() <= 60.0
        assert np.bincount(creator[order][chosen]).max() <= 2
        counts = np.bincount(key[chosen], minlength=5)
        assert np.all((counts >= 4) & (counts <= 40))
        assert 0 <= bounded.gap < 1e-2
        found.append(np.sort(order[chosen]))
    np.testing.assert_array_equal(*found)


def test_a_sample_of_creators_only_starts_the_search():
    """More creators than the sample holds: the bound is that of all."""
    rng = np.random.default_rng(1)
    creator = np.repeat(np.arange(10_000), 2)
    value, price = rng.lognormal(0, 1, 20_000), rng.lognormal(0, 1, 20_000)
    parts = separate(
        value=value, price=price, limit=500.0, creator=creator, cap=np.ones(10_000, int),
        rows=Rows.of(np.array([0, 20_000]), np.arange(20_000), np.array([100.0]), np.array([900.0])),
    )  # fmt: skip
    found = bounded_choice(parts, relative_gap=1e-5, left=forever)
    assert feasible(parts, found.core.chosen)
    assert found.gap <= 1e-5


def test_no_time_is_no_solution_and_a_given_plan_is_kept():
    problem = draw(0)
    nothing = solve(problem, time_limit_s=0.0)
    assert nothing.status is Status.NO_SOLUTION
    assert not nothing.chosen.any()
    assert np.isnan(nothing.objective)
    good = solve(problem, relative_gap=0.05)
    kept = solve(problem, time_limit_s=0.0, warm_start=good.chosen)
    assert kept.status.has_plan
    np.testing.assert_array_equal(kept.chosen, good.chosen)
    assert verify(problem, kept).ok
    better = solve(problem, warm_start=good.chosen)
    assert better.objective >= good.objective


def test_a_given_plan_that_breaks_a_rule_is_left_out_of_account():
    problem = draw(0)
    plan = solve(problem, warm_start=np.ones(len(problem), bool))
    assert "breaks a constraint" in plan.notes[0]
    assert verify(problem, plan).ok
    assert "tuples" in solve(problem, warm_start=np.ones(3, bool)).notes[0]


def test_impossible_coverage_is_proven_without_an_exact_solver():
    problem = draw(1)
    cheapest = np.sort(problem.price)[:6].sum()
    rows = LinearRows.of([("cover", "too many", np.arange(len(problem)), 30, np.inf)])
    impossible = dataclasses.replace(problem, budget=float(cheapest), rows=LinearRows.stack([problem.rows, rows]))
    parts, _ = separate_problem(impossible)
    proof = infeasibility(parts, deadline=time.monotonic() + 60)
    assert proof is not None
    plan = solve(impossible)
    assert plan.status is Status.INFEASIBLE
    assert verify(impossible, plan).ok
    possible, _ = separate_problem(problem)
    assert infeasibility(possible, deadline=time.monotonic() + 60) is None


def test_independent_risk_goes_through_linear_problems():
    problem = dataclasses.replace(
        draw(4, creators=12), std=np.random.default_rng(0).random(216) * 5, rho=1.0, risk="independent"
    )
    exact, plan = ilp.solve(problem, relative_gap=1e-4), solve(problem, relative_gap=1e-4)
    assert verify(problem, plan).ok
    assert plan.status.has_plan
    assert plan.objective == pytest.approx(exact.objective, rel=2e-4)


def test_creators_are_coded_in_order_of_appearance():
    names = np.array(["b", "b", "a", "c", "c", "a"])
    assert creator_codes(names).tolist() == [0, 0, 1, 2, 2, 1]
    assert creator_codes(names[:0]).tolist() == []


def test_the_first_search_grows_with_the_problem(monkeypatch):
    """With 500 tuples whatever the size, HiGHS could not mend the rows of 15 million and did not end."""
    given = []

    def noted(*parts, size, **more):
        given.append(size)
        return search_core(*parts, size=size, **more)

    monkeypatch.setattr(lagrangian, "search_core", noted)
    rng = np.random.default_rng(0)
    creator = np.repeat(np.arange(400), 10)
    rows = Rows.of(np.array([0, 4_000]), np.arange(4_000), np.array([10.0]), np.array([300.0]))
    parts = separate(
        value=rng.random(4_000), price=rng.random(4_000), limit=100.0, creator=creator, cap=np.full(400, 2), rows=rows
    )
    bounded_choice(parts, relative_gap=1e-4, left=forever, core=3)
    monkeypatch.setattr(lagrangian, "_TUPLES_PER_OPEN", 10)
    bounded_choice(parts, relative_gap=1e-4, left=forever, core=3)
    assert given == [3, 400]
