"""Campaigns whose audiences overlap, against every plan there is, and against `reach` of sets of creators."""

import dataclasses
import itertools
import math
import time

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError, DataError
from micromega.solvers.campaign import CampaignProblem, LinearRows, rules, solve
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
    """A random campaign with caps, least numbers or distinct groups, and whom its posts reach."""
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
    if seed % 4 == 1:  # something is asked for, even where risk makes it cost
        city = np.array(["rome", "oslo"])[np.arange(tuples) % 2]
        asked = LinearRows.by_key(city, setting="coverage", name="at least 1 post in {key}", lower=1)
        settings["rows"] = LinearRows.stack([settings["rows"], asked])
        settings["rho"] = 6.0 if seed % 8 == 1 else settings["rho"]
    if seed % 4 == 2:
        rule = rules.combine([rules.need_distinct(creator, 3, setting="distinct", noun="creators")], tuples=tuples)
        settings |= {"rows": rule.rows, "switches": rule.switches}
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
        sums = problem.rows.activity(problem.column_choice(y))
        kept = np.all((sums <= problem.rows.upper) & (sums >= problem.rows.lower))
        if problem.price[y].sum() <= problem.budget and kept:
            best = max(best, objective_by_hand(problem, overlap, y))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_finds_the_best_of_all_plans_and_never_bounds_below_it(seed):
    problem, overlap = drawn(seed)
    best = best_by_hand(problem, overlap)
    found = solve_overlap(problem, overlap)
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
        found = solve_overlap(problem, overlap, exact_up_to=0)
        assert bound_at(problem, overlap, found) >= best * (1 - 1e-9)
        assert best - found.plan.objective <= 0.1 * abs(best)


def test_less_than_nothing_is_a_plan_where_posts_are_asked_for():
    """The best of bad plans ends the search: an equal plan is no better one."""
    problem = CampaignProblem(
        creator_id=np.array(["a", "b", "c"]), effectiveness=np.array([2.0, 1.9, 1.5]), std=np.array([5.0, 5.0, 6.0]),
        rho=1.0, price=np.ones(3), budget=2.0,
        rows=LinearRows.by_key(np.array(["x"] * 3), setting="cover", name="at least 1", lower=1),
    )  # fmt: skip
    pairs = [("a", "u"), ("a", "v"), ("b", "u"), ("b", "v"), ("c", "x"), ("c", "y")]
    follows = pa.table({"source_id": [of for of, _ in pairs], "target_id": [to for _, to in pairs]})
    overlap = Overlap.of(problem, follows=follows, creator_id=["a", "b", "c"], followers=[2, 2, 2])
    asked = []

    def counted(part, seconds):
        asked.append(seconds)
        assert len(asked) < 50
        return solve(part, time_limit_s=seconds)

    found = solve_overlap(problem, overlap, counted)
    assert found.plan.objective == pytest.approx(best_by_hand(problem, overlap)) == pytest.approx(2 - 5)


def test_no_linear_campaign_begins_after_the_time():
    problem, overlap = drawn(0)
    given = []

    def slow(part, seconds):
        given.append(seconds)
        time.sleep(0.12)
        return solve(part)

    found = solve_overlap(problem, overlap, slow, time_limit_s=0.3)
    assert found.plan.status.has_plan
    assert len(given) <= 3
    assert given == sorted(given, reverse=True)
    assert 0 < given[-1] < 0.3


def test_predictions_beyond_the_audience_are_kept():
    """1,000 followers of whom one is listed, shared with another creator of 10."""
    problem = CampaignProblem(
        creator_id=np.array(["big", "small"]), effectiveness=np.array([800.0, 5.0]), price=np.ones(2), budget=2.0
    )
    follows = pa.table({"source_id": ["big", "small"], "target_id": ["u", "u"]})
    overlap = Overlap.of(problem, follows=follows, creator_id=["big", "small"], followers=[1000, 10])
    assert overlap.alone() == pytest.approx([800, 5])
    shared = 505  # people that the one listed account stands for: 1,010 followers over two listings
    small = 5 / shared
    both = shared * (1 - (1 - 0.8) * (1 - small)) + (1000 - shared) * 0.8
    assert overlap.reach(np.ones(2)) == pytest.approx(both)


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
    """Sizes in proportion to who is listed, so that nobody has followers beyond those."""
    rng = np.random.default_rng(2)
    names = np.array([f"c{number}" for number in range(7)])
    follows = follows_of(rng, names, 30)
    sizes = 40 * np.array([np.sum(follows["source_id"].to_numpy() == name) for name in names])
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
    found = solve_overlap(problem, overlap)
    assert found.plan.status is Status.OPTIMAL
    assert found.plan.objective == pytest.approx(solve(problem).objective)


def test_says_no_plan_as_the_solver_does():
    problem, overlap = drawn(1)
    strict = dataclasses.replace(
        problem, rows=LinearRows.by_key(np.array(["all"] * len(problem)), setting="posts", name="posts", lower=11)
    )
    found = solve_overlap(strict, overlap)
    assert found.plan.status is Status.INFEASIBLE
    assert verify_overlap(strict, overlap, found).ok


def test_a_false_plan_is_found_out():
    problem, overlap = drawn(2)
    found = solve_overlap(problem, overlap)
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
