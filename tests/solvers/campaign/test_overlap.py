"""Campaigns whose audiences overlap, against every plan there is, and against `reach` of sets of creators."""

import dataclasses
import itertools
import math

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError, DataError
from micromega.solvers.campaign import CampaignProblem, LinearRows, solve
from micromega.solvers.campaign.audiences import Audiences, reach
from micromega.solvers.campaign.overlap import Overlap, OverlapPlan, bound_at, shares, verify_overlap
from micromega.solvers.campaign.overlap_search import solve_overlap
from micromega.solvers.plan import Status


def follows_of(rng, creators, accounts, density=0.4):
    held = rng.random((len(creators), accounts)) < density
    held[:, 0] = True
    source, target = np.nonzero(held)
    return pa.table({"source_id": np.array(creators)[source], "target_id": [f"a{number}" for number in target]})


def drawn(seed, tuples=10, **changes):
    """A random campaign of creators with two kinds of posts, and whom they reach."""
    rng = np.random.default_rng(seed)
    creator = np.array([f"c{number}" for number in np.sort(rng.integers(0, 6, tuples))])
    names = np.unique(creator)
    settings = {
        "creator_id": creator,
        "offset_days": np.arange(tuples),
        "effectiveness": rng.uniform(1, 60, tuples),
        "std": rng.uniform(0, 5, tuples),
        "price": rng.uniform(1, 5, tuples),
        "budget": 9.0,
        "rho": 0.5 if seed % 3 == 0 else 0.0,
        "rows": LinearRows.by_key(creator, setting="cap", name="at most 2 posts by {key}", upper=2),
    } | changes
    problem = CampaignProblem(**settings)
    overlap = Overlap.of(
        problem, follows=follows_of(rng, names, 8), creator_id=names, followers=rng.integers(60, 100, len(names))
    )
    return problem, overlap


def objective_by_hand(problem, overlap, y):
    """Account by account, post by post."""
    total = 0.0
    dense = overlap.audience.toarray()
    for group, weight in enumerate(overlap.weight):
        missed = math.prod(
            1 - overlap.probability[row] for row in np.flatnonzero(y) if dense[group, overlap.owner[row]]
        )
        total += weight * (1 - missed)
    return total - problem.rho * problem.std[y].sum()


def best_by_hand(problem, overlap):
    best = -math.inf
    for bits in itertools.product((False, True), repeat=len(problem)):
        y = np.array(bits)
        sums = problem.rows.activity(y.astype(float))
        if problem.price[y].sum() <= problem.budget and np.all(sums <= problem.rows.upper):
            best = max(best, objective_by_hand(problem, overlap, y))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_finds_the_best_of_all_plans_and_never_bounds_below_it(seed):
    problem, overlap = drawn(seed)
    best = best_by_hand(problem, overlap)
    found = solve_overlap(problem, overlap, solve)
    certificate = verify_overlap(problem, overlap, found)
    assert certificate.ok, [check.words for check in certificate.checks if not check.ok]
    assert found.plan.objective == pytest.approx(best, rel=1e-6)
    assert certificate.objective == pytest.approx(objective_by_hand(problem, overlap, found.plan.chosen))
    assert certificate.upper_bound >= best * (1 - 1e-9)
    assert found.plan.gap == pytest.approx(certificate.gap, abs=1e-9)


def test_without_the_integer_program_the_bound_still_holds():
    for seed in range(12):
        problem, overlap = drawn(seed)
        best = best_by_hand(problem, overlap)
        found = solve_overlap(problem, overlap, solve, exact_up_to=0)
        assert bound_at(problem, overlap, found) >= best * (1 - 1e-9)
        assert found.plan.objective >= 0.9 * best


def test_bounds_hold_at_any_point():
    problem, overlap = drawn(4)
    best = best_by_hand(problem, overlap)
    rng = np.random.default_rng(0)
    for _ in range(20):
        point = rng.random(len(problem))
        plan = solve(overlap.at(problem, point)[0])
        assert bound_at(problem, overlap, OverlapPlan(plan=plan, point=point)) >= best * (1 - 1e-9)


def test_slope_and_gains_against_differences():
    problem, overlap = drawn(1)
    rng = np.random.default_rng(0)
    point = rng.random(len(problem))
    step = 1e-6
    for row in range(len(problem)):
        ahead, behind = point.copy(), point.copy()
        ahead[row] += step
        behind[row] -= step
        difference = (overlap.reach(ahead) - overlap.reach(behind)) / (2 * step)
        assert overlap.slope(point)[row] == pytest.approx(difference, rel=1e-5)
    chosen = rng.random(len(problem)) < 0.5
    for row in range(len(problem)):
        with_it, without = chosen.copy(), chosen.copy()
        with_it[row], without[row] = True, False
        assert overlap.gains(chosen)[row] == pytest.approx(overlap.reach(with_it) - overlap.reach(without))


def test_one_post_for_each_creator_is_the_reach_of_the_set():
    rng = np.random.default_rng(2)
    names = np.array([f"c{number}" for number in range(7)])
    follows, sizes = follows_of(rng, names, 30), rng.integers(50, 500, 7)
    impressions = rng.uniform(5, 50, 7)
    problem = CampaignProblem(creator_id=names, effectiveness=impressions, price=np.ones(7), budget=3.0)
    overlap = Overlap.of(problem, follows=follows, creator_id=names, followers=sizes)
    audiences = Audiences.from_follows(follows, creator_id=names, impressions=impressions, followers=sizes)
    for _ in range(10):
        chosen = rng.random(7) < 0.5
        assert overlap.reach(chosen) == pytest.approx(reach(audiences, chosen))
    assert overlap.alone() == pytest.approx(impressions)
    chosen = np.array([True, True, True, False, False, False, False])
    divided = shares(overlap, problem, chosen)
    assert divided[chosen].sum() == pytest.approx(overlap.reach(chosen))
    assert np.all(divided <= impressions + 1e-9)


def test_without_shared_followers_it_is_the_plain_campaign():
    problem, _ = drawn(5, rho=0.0, rows=LinearRows())
    problem = dataclasses.replace(problem, creator_id=np.array([f"x{number}" for number in range(len(problem))]))
    nobody = pa.table({"source_id": pa.array([], pa.string()), "target_id": pa.array([], pa.string())})
    overlap = Overlap.of(
        problem, follows=nobody, creator_id=problem.creator_id, followers=np.full(len(problem), np.nan)
    )
    found = solve_overlap(problem, overlap, solve)
    assert found.plan.status is Status.OPTIMAL
    assert found.plan.objective == pytest.approx(solve(problem).objective)


def test_says_no_plan_as_the_solver_does():
    problem, overlap = drawn(1)
    strict = dataclasses.replace(
        problem, rows=LinearRows.by_key(np.array(["all"] * len(problem)), setting="posts", name="posts", lower=11)
    )
    found = solve_overlap(strict, overlap, solve)
    assert found.plan.status is Status.INFEASIBLE
    assert verify_overlap(strict, overlap, found).ok


def test_a_false_plan_is_found_out():
    problem, overlap = drawn(2)
    found = solve_overlap(problem, overlap, solve)
    more = dataclasses.replace(found, plan=dataclasses.replace(found.plan, objective=found.plan.objective * 1.01))
    assert not verify_overlap(problem, overlap, more).ok
    poor = np.zeros(len(problem), bool)
    claimed = dataclasses.replace(found.plan, chosen=poor, objective=0.0, status=Status.OPTIMAL, gap=0.0)
    assert not verify_overlap(problem, overlap, dataclasses.replace(found, plan=claimed)).ok
    dear = dataclasses.replace(found.plan, chosen=np.ones(len(problem), bool))
    assert not verify_overlap(problem, overlap, dataclasses.replace(found, plan=dear)).ok


def test_refuses_what_is_not_defined():
    problem, _ = drawn(3)
    follows = pa.table({"source_id": ["c0"], "target_id": ["a"]})
    names = np.unique(problem.creator_id)
    joint = dataclasses.replace(problem, rho=1.0, risk="independent")
    below = dataclasses.replace(problem, effectiveness=problem.effectiveness - 50)
    with pytest.raises(ConfigError, match="independent"):
        Overlap.of(joint, follows=follows, creator_id=names, followers=np.full(len(names), 9))
    with pytest.raises(ConfigError, match="negative"):
        Overlap.of(below, follows=follows, creator_id=names, followers=np.full(len(names), 9))
    with pytest.raises(DataError, match="not given"):
        Overlap.of(problem, follows=follows, creator_id=names[1:], followers=np.full(len(names) - 1, 9))
