"""The risk of independent errors: its chords, and proofs in intervals that are not believed when they are forged."""

import dataclasses

import numpy as np
import pytest

from micromega.solvers.campaign import CampaignProblem, LinearRows, solve, verify
from micromega.solvers.campaign.risk import chord, largest_root
from micromega.solvers.plan import Part, Status


def draw(seed: int, tuples: int = 10, rho: float = 0.8) -> CampaignProblem:
    rng = np.random.default_rng(seed)
    return CampaignProblem(
        creator_id=np.arange(tuples).astype(str),
        effectiveness=rng.lognormal(1, 0.6, tuples),
        std=rng.lognormal(0.5, 0.8, tuples),
        price=rng.uniform(1, 4, tuples),
        budget=float(tuples),
        rho=rho,
        risk="independent",
        rows=LinearRows.by_key(np.arange(tuples) // 2, setting="cap", name="{key}", upper=1),
    )


def everything(problem: CampaignProblem) -> tuple[np.ndarray, np.ndarray]:
    """All choices that keep budget and caps, and what they are worth by the formula."""
    n = len(problem)
    y = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float)
    pairs = y.reshape(len(y), -1, 2).sum(2)
    y = y[(y @ problem.price <= problem.budget * (1 + 1e-9)) & (pairs <= 1).all(1)]
    return y, y @ problem.effectiveness - problem.rho * np.sqrt(y @ problem.std**2)


def test_a_chord_bounds_its_interval_and_is_exact_at_its_ends() -> None:
    problem = draw(0)
    y, worth = everything(problem)
    root = np.sqrt(y @ problem.std**2)
    cut = np.quantile(root, [0.3, 0.7])
    for low, high in ((0.0, cut[0]), (cut[0], cut[1]), (cut[1], largest_root(problem))):
        linear, constant = chord(problem, low, high)
        claimed = y @ linear.value + constant
        inside = (root >= low) & (root <= high)
        assert inside.any()
        assert np.all(claimed[inside] >= worth[inside] - 1e-12)
        assert np.all(claimed[~inside] <= worth[~inside] + 1e-12)
    low, high = np.sort(np.unique(root))[[3, -3]]
    linear, constant = chord(problem, low, high)
    ends = (root == low) | (root == high)
    assert (y @ linear.value + constant)[ends] == pytest.approx(worth[ends])


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0, 3.0])
def test_the_best_plan_and_a_proof(rho: float) -> None:
    for seed in range(6):
        problem = draw(seed, rho=rho)
        best = float(everything(problem)[1].max())
        plan = solve(problem)
        certificate = verify(problem, plan)
        assert certificate.ok
        assert plan.status is Status.OPTIMAL
        assert plan.objective == pytest.approx(best, rel=1e-6)
        assert best - 1e-9 <= certificate.upper_bound <= best * (1 + 2e-6) + 1e-9


def test_the_three_forms_disagree() -> None:
    """Eq. 7 summed tuple by tuple takes off the most; errors that are independent partly cancel."""
    problem = dataclasses.replace(draw(3), rho=1.0)
    worths = {
        form: dataclasses.replace(problem, risk=form).worth(np.ones(10))
        for form in ("linear", "variance", "independent")
    }
    assert worths["linear"] == pytest.approx(np.sum(problem.effectiveness - problem.std))
    assert worths["variance"] == pytest.approx(np.sum(problem.effectiveness - problem.std**2))
    assert worths["independent"] == pytest.approx(problem.effectiveness.sum() - np.sqrt(np.sum(problem.std**2)))
    assert worths["linear"] < worths["independent"]


def test_forged_proofs_are_not_believed() -> None:
    problem = draw(1)
    plan = solve(problem)
    best = plan.objective
    assert len(plan.parts) > 1
    assert verify(problem, plan).gap <= 1e-6
    last = plan.parts[-1]
    forged = [
        plan.parts[:-1],
        (*plan.parts[:-1], dataclasses.replace(last, high=0.9 * last.high)),
        (*plan.parts[:-1], dataclasses.replace(last, high=np.nan)),
        plan.parts[::-1],
        (Part(high=last.high, duals=plan.duals),),
        tuple(dataclasses.replace(part, duals=0 * part.duals, proof=None) for part in plan.parts),
    ]
    for parts in forged:
        certificate = verify(problem, dataclasses.replace(plan, parts=parts))
        assert certificate.upper_bound >= best - 1e-12
        assert not certificate.ok
    worse = plan.chosen.copy()
    worse[np.flatnonzero(worse)[0]] = False
    poor = dataclasses.replace(plan, chosen=worse, objective=problem.worth(worse))
    assert not verify(problem, poor).ok
    linear = float(problem.value @ plan.chosen)
    assert not verify(problem, dataclasses.replace(plan, objective=linear)).ok


def test_no_plan_is_infeasible_under_any_risk() -> None:
    rows = LinearRows.of([("cover", "at least 9", np.arange(10), 9, np.inf)])
    problem = dataclasses.replace(draw(2), rows=rows)
    plan = solve(problem)
    assert plan.status is Status.INFEASIBLE
    assert verify(problem, plan).ok


def test_no_time_is_no_solution() -> None:
    plan = solve(draw(2, tuples=200), time_limit_s=0.0)
    assert plan.status is Status.NO_SOLUTION
    assert not plan.chosen.any()
