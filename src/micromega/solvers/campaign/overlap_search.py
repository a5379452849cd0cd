"""Search for the campaign that reaches most people, each counted once (see `overlap.py`).

Each linear campaign gives a whole plan and a bound, and the next one touches at the mixture of all plans so far that
reaches most (fully corrective Frank-Wolfe, Jaggi 2013, section 3). It closes in on the best mixture of plans, which no
plan exceeds. What is left between is closed on small problems by an integer program with tangents of each group of
accounts.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.solvers.campaign.certify import verify
from micromega.solvers.campaign.frontier import BudgetCurve
from micromega.solvers.campaign.ilp import solve
from micromega.solvers.campaign.matrix import Matrices, constraints_on, run, solver_options
from micromega.solvers.campaign.overlap import Overlap, OverlapPlan, bound_at, convex_best
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.plan import Plan, Status

Reals = NDArray[np.float64]
Choice = NDArray[np.bool_]
Timed = Callable[[CampaignProblem, float], Plan]
"""Solver of linear campaigns within so many seconds."""
ROUNDS = 30
EXACT = 400
"""Tuples up to which the integer program with tangents is tried."""
_TANGENTS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


def exactly(problem: CampaignProblem, seconds: float) -> Plan:
    """Solve a linear campaign with the exact solver."""
    return solve(problem, time_limit_s=seconds)


def solve_overlap(
    problem: CampaignProblem,
    overlap: Overlap,
    solver: Timed = exactly,
    *,
    time_limit_s: float = 60.0,
    relative_gap: float = 1e-6,
    exact_up_to: int = EXACT,
) -> OverlapPlan:
    """Choose the tuples that reach most people within budget and rows.

    Args:
        problem: what is asked.
        overlap: whom its tuples reach.
        solver: of linear campaigns; its proofs make the bound.
        time_limit_s: wall time, seconds; each linear campaign gets what is left, the first at least a tenth.
        relative_gap: the plan is called optimal when it is proven that none is better by more than this share.
        exact_up_to: tuples up to which an integer program is tried where a gap is left.

    Returns:
        The plan; OPTIMAL only where the bound proves it. Without a plan, the solver's own answer.
    """
    begin = time.monotonic()
    search = _Search(problem, overlap, solver, end=begin + time_limit_s)
    risk = problem.value - problem.effectiveness
    points: list[Choice] = []
    weights, point = np.zeros(0), np.zeros(len(problem))
    for _ in range(ROUNDS):
        plan = search.ask(point)
        if not plan.status.has_plan:
            if search.best is None:
                return OverlapPlan(plan=plan, point=point)
            break
        search.climb()
        known = any(np.array_equal(plan.chosen, seen) for seen in points)
        if search.left <= 0 or known or search.gap <= relative_gap:
            break
        points.append(plan.chosen)
        start = np.append(weights * (1 - 1 / len(points)), 1 / len(points))
        weights = convex_best(overlap, risk, points, start)
        point = sum((w * p for w, p in zip(weights, points, strict=True)), np.zeros(len(problem)))
    claim = None
    if search.gap > relative_gap and len(problem) <= exact_up_to:
        claim = search.finish(relative_gap=relative_gap)
    return search.answer(relative_gap=relative_gap, seconds=time.monotonic() - begin, claim=claim)


def overlap_curve(problem: CampaignProblem, overlap: Overlap, solver: Timed, *, time_limit_s: float) -> BudgetCurve:
    """Solve the same problem at 13 budgets from 0 to twice its own; see `budget_curve`.

    Args:
        problem: what is asked.
        overlap: whom its tuples reach.
        solver: of linear campaigns.
        time_limit_s: for each budget, seconds.
    """
    budgets = np.linspace(0, 2, 13) * problem.budget
    best: Choice | None = None
    columns: dict[str, list[float]] = {name: [] for name in ("objective", "upper_bound", "spend", "creators", "price")}
    for budget in budgets.tolist():
        at = replace(problem, budget=budget)
        found = solve_overlap(at, overlap, solver, time_limit_s=time_limit_s, relative_gap=1e-3, exact_up_to=0)
        if found.plan.status.has_plan and (best is None or found.plan.objective > overlap.worth(problem, best)):
            best = found.plan.chosen
        known = best is not None
        columns["objective"].append(overlap.worth(problem, best) if best is not None else math.nan)
        columns["upper_bound"].append(bound_at(at, overlap, found) if known else math.nan)
        columns["spend"].append(float(problem.price[best].sum()) if known else math.nan)
        columns["creators"].append(len(np.unique(problem.creator_id[best])) if known else 0)
        columns["price"].append(float(found.plan.duals[0]) if known else math.nan)
    return BudgetCurve(
        budgets=budgets,
        objective=np.array(columns["objective"]),
        upper_bound=np.array(columns["upper_bound"]),
        spend=np.array(columns["spend"]),
        creators=np.array(columns["creators"], np.int64),
        shadow_price=np.array(columns["price"]),
    )


class _Search:
    """The best plan and the best bound so far."""

    def __init__(self, problem: CampaignProblem, overlap: Overlap, solver: Timed, *, end: float) -> None:
        self.problem, self.overlap, self.solver, self.end = problem, overlap, solver, end
        self.least = max(0.0, self.left) / 10
        self.best: Choice | None = None
        self.value, self.bound = -math.inf, math.inf
        self.proof: OverlapPlan | None = None

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    @property
    def gap(self) -> float:
        """Proven so far."""
        return (self.bound - self.value) / (abs(self.value) or 1.0)

    def ask(self, point: Reals) -> Plan:
        """Solve the linear campaign that touches at a point; keep its plan and its bound where they are better."""
        plan = self.solver(self.overlap.at(self.problem, point)[0], max(self.left, self.least))
        if plan.status.has_plan:
            found = OverlapPlan(plan=plan, point=point)
            bound = bound_at(self.problem, self.overlap, found)
            if bound < self.bound:
                self.bound, self.proof = bound, found
            self.keep(plan.chosen)
        return plan

    def keep(self, chosen: Choice) -> bool:
        """Take a plan if it is better."""
        value = self.overlap.worth(self.problem, chosen)
        if self.best is not None and value <= self.value + 1e-12 * float(self.overlap.weight.sum()):
            return False
        self.best, self.value = chosen, value
        return True

    def climb(self) -> None:
        """From the best plan to the best by what each tuple adds to it, while that is better."""
        while self.best is not None and self.left > 0:
            plan = self.solver(replace(self.problem, effectiveness=self.overlap.gains(self.best)), self.left)
            if not (plan.status.has_plan and self.keep(plan.chosen)):
                return

    def finish(self, *, relative_gap: float) -> float | None:
        """Integer program with tangents of every group; what HiGHS claims that no plan exceeds."""
        tangents, claim = list(_TANGENTS), None
        while self.left > 0:
            found = _with_tangents(self.problem, self.overlap, tangents, self.left, relative_gap / 4)
            if found is None:
                return claim
            chosen, bound = found
            claim = bound if claim is None else min(claim, bound)
            linear = replace(self.problem, effectiveness=np.zeros(len(self.problem)))
            as_plan = replace(self.proof.plan, chosen=chosen, objective=linear.worth(chosen)) if self.proof else None
            if as_plan is None or not _feasible(linear, as_plan):
                return claim
            self.keep(chosen)
            if claim - self.value <= relative_gap * (abs(self.value) or 1.0):
                return claim
            seen = np.unique(np.round(self.overlap.exposure(chosen.astype(np.float64)), 6)).tolist()
            new = [level for level in seen if level not in tangents]
            if not new:
                return claim
            tangents += new
        return claim

    def answer(self, *, relative_gap: float, seconds: float, claim: float | None) -> OverlapPlan:
        """Say what has been proven, and what is only claimed."""
        if self.best is None or self.proof is None:
            raise RuntimeError("there is no plan to answer with")
        gap = max(0.0, self.gap)
        optimal = gap <= relative_gap
        notes = [f"Each person counts once; counted apart, the same posts reach {self.apart:,.0f}."]
        if not optimal:
            if claim is not None and claim - self.value <= relative_gap * abs(self.value):
                notes.append("HiGHS claims, with tangents for every group of accounts, that no plan reaches more.")
            notes.append(f"Proven is that none is better by more than {100 * gap:.2g} %.")
        plan = replace(
            self.proof.plan,
            status=Status.OPTIMAL if optimal else Status.FEASIBLE,
            chosen=self.best,
            objective=self.value,
            bound=None,
            gap=gap,
            seconds=seconds,
            notes=tuple(notes),
        )
        return OverlapPlan(plan=plan, point=self.proof.point)

    @property
    def apart(self) -> float:
        """People of the best plan's posts, each counted by itself."""
        return float(self.problem.effectiveness[self.best].sum())


def _feasible(linear: CampaignProblem, plan: Plan) -> bool:
    skipped = ("objective", "claimed bound", "optimality")
    return all(check.ok for check in verify(linear, plan).checks if check.name not in skipped)


def _with_tangents(
    problem: CampaignProblem, overlap: Overlap, tangents: list[float], seconds: float, gap: float
) -> tuple[Choice, float] | None:
    """Maximise Σ_a u_a + risk·y where each u_a lies below tangents of w_a (1 - exp(-s_a)) at the given exposures."""
    matrices = Matrices.of(problem)
    columns = matrices.columns
    if not len(columns):
        return None
    tuples = np.flatnonzero(columns < len(problem))
    y: Any = cp.Variable(len(columns), boolean=True)
    u: Any = cp.Variable(len(overlap.weight))
    of_tuple = columns[tuples]
    to_creator = cp.Constant(_scatter(overlap, of_tuple))
    exposure: Any = overlap.audience @ (to_creator @ y[tuples])
    scale = float(overlap.weight.max()) or 1.0
    weight = overlap.weight / scale
    rows = [row for row, _ in constraints_on(matrices, y).values()]
    rows.append(u <= sp.diags_array(weight * -np.expm1(-overlap.least) / overlap.least) @ exposure)
    rows += [
        u <= weight * (1 - math.exp(-at) * (1 + at)) + sp.diags_array(weight * math.exp(-at)) @ exposure
        for at in tangents
    ]
    risk = (problem.value - problem.effectiveness)[of_tuple] / scale
    program: Any = cp.Problem(cp.Maximize(u.sum() + risk @ y[tuples]), rows)
    status, _ = run(program, solver_options(time_limit_s=seconds, relative_gap=gap, threads=1))
    if status not in ("optimal", "limit") or y.value is None:
        return None
    chosen = np.zeros(len(problem), bool)
    chosen[of_tuple] = y.value[tuples] > 0.5
    return chosen, -float(program.solver_stats.extra_stats.mip_dual_bound) * scale


def _scatter(overlap: Overlap, tuples: NDArray[np.int64]) -> sp.csr_array:
    """l_i in the place of its creator, (C, n)."""
    shape = (overlap.audience.shape[1], len(tuples))
    return sp.csr_array((overlap.logs[tuples], (overlap.owner[tuples], np.arange(len(tuples)))), shape=shape)
