"""HiGHS on the whole problem without cvxpy in between: no compile time, a warm start, and the incumbent at the limit.

Its branch and bound is trusted for the plan alone. The bound that counts comes from multipliers: of the Lagrangian
dual, which is as tight as the linear relaxation, or of the relaxation itself where there are switches.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.solvers.campaign.certify import proven_bound
from micromega.solvers.campaign.finish import finished, no_plan
from micromega.solvers.campaign.highs_model import Found, maximise
from micromega.solvers.campaign.lagrangian import infeasibility
from micromega.solvers.campaign.matrix import farkas_multipliers
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.campaign.relax import best_multipliers, relax
from micromega.solvers.campaign.risk import solve_joint
from micromega.solvers.campaign.separable import separate_problem
from micromega.solvers.plan import Plan, Status

Floats = NDArray[np.float64]
_SHRINK = 1e-7
_SHARE = 0.2
"""Of the time, at most, for the multipliers."""


def solve(
    problem: CampaignProblem,
    *,
    time_limit_s: float = 60.0,
    relative_gap: float = 1e-6,
    threads: int = 1,
    proof_cases: int = 1000,
    warm_start: NDArray[np.bool_] | None = None,
) -> Plan:
    """Choose the tuples of largest total value with HiGHS alone.

    Args:
        problem: what is asked.
        time_limit_s: wall time, seconds; the best plan so far comes back with its gap.
        relative_gap: the plan is called optimal when it is proven that none is better by more than this share.
        threads: of HiGHS.
        proof_cases: largest number of cases in the proof that `verify` checks; 1 leaves it at linear duality.
        warm_start: a plan to begin with, (N,), for instance of a smaller budget; a broken one is mended or dropped.

    Returns:
        A plan whose status is our own: OPTIMAL and FEASIBLE plans satisfy every constraint by `verify`.
    """
    begin = time.monotonic()

    def linear(part: CampaignProblem, gap: float, seconds: float) -> Plan:
        return _solve_linear(
            part,
            time_limit_s=seconds,
            relative_gap=gap,
            threads=threads,
            proof_cases=proof_cases,
            warm_start=warm_start,
        )

    if not problem.has_joint_risk:
        return replace(linear(problem, relative_gap, time_limit_s), seconds=time.monotonic() - begin)
    plan = solve_joint(
        problem, solve_linear=linear, bound_of=proven_bound, time_limit_s=time_limit_s, relative_gap=relative_gap
    )
    if plan.status.has_plan:
        plan = finished(problem, replace(plan, status=Status.FEASIBLE, notes=()), relative_gap=relative_gap)
    return replace(plan, seconds=time.monotonic() - begin)


def _solve_linear(
    problem: CampaignProblem,
    *,
    time_limit_s: float,
    relative_gap: float,
    threads: int,
    proof_cases: int,
    warm_start: NDArray[np.bool_] | None,
) -> Plan:
    begin = time.monotonic()

    def left() -> float:
        return max(0.0, time_limit_s - (time.monotonic() - begin))

    solver = f"HiGHS {version('highspy')}"
    empty = no_plan(problem, solver=solver)
    if left() <= 0 and warm_start is None:
        return replace(empty, notes=("The time limit came before any plan.",))
    model = Model(problem)
    duals = model.multipliers(left, threads)
    start = None if warm_start is None else problem.column_choice(warm_start)
    found = model.ask(relative_gap=relative_gap / 4, time_limit_s=left(), threads=threads, start=start)
    if found.status == "infeasible":
        plan = replace(empty, status=Status.INFEASIBLE, duals=no_plan_multipliers(problem, left, threads))
        return finished(problem, plan, relative_gap=relative_gap, proof_cases=proof_cases, left=left)
    plan = replace(empty, duals=duals, notes=("The time limit came before any plan.",))
    if found.status == "error":
        plan = replace(plan, status=Status.ERROR, notes=(f"HiGHS failed: {found.words}",))
    for spendable in (1.0, 1 - _SHRINK):
        if spendable < 1:
            if plan.status is not Status.ERROR or left() <= 0:
                break
            # HiGHS may overspend by its tolerance: ask again for a hair less. The first bound stays valid.
            again = model.ask(
                relative_gap=relative_gap / 4, time_limit_s=left(), threads=threads, start=None, spendable=spendable
            )
            found = replace(again, bound=found.bound)
        if found.y is not None:
            plan = _plan_of(problem, replace(empty, duals=duals), found.y, found.bound)
            plan = finished(problem, plan, relative_gap=relative_gap, proof_cases=proof_cases, left=left)
    return _not_below(problem, plan, warm_start, relative_gap)


def _not_below(problem: CampaignProblem, plan: Plan, warm_start: NDArray[np.bool_] | None, relative_gap: float) -> Plan:
    """Keep the plan that was given, if it is one and nothing better was found."""
    if warm_start is None or np.shape(warm_start) != (len(problem),):
        return plan
    if plan.status.has_plan and plan.objective >= problem.worth(warm_start):
        return plan
    empty = no_plan(problem, solver=plan.solver, duals=plan.duals)
    given = _plan_of(problem, empty, problem.column_choice(warm_start), math.inf)
    given = finished(problem, given, relative_gap=relative_gap)
    return given if given.status.has_plan else plan


def _plan_of(problem: CampaignProblem, empty: Plan, y: Floats, bound: float) -> Plan:
    chosen = y[: len(problem)] > 0.5
    objective = problem.worth(chosen)
    known = max(bound, objective) if math.isfinite(bound) else None
    return replace(empty, status=Status.FEASIBLE, chosen=chosen, objective=objective, bound=known)


def no_plan_multipliers(problem: CampaignProblem, left: Callable[[], float], threads: int) -> Floats:
    """Find multipliers that prove infeasibility, where linear duality can.

    Args:
        problem: that a solver calls infeasible.
        left: seconds that are left.
        threads: of HiGHS.

    Returns:
        (1 + R,).
    """
    if not len(problem.switches):
        parts, places = separate_problem(problem)
        proof = infeasibility(parts, deadline=time.monotonic() + left())
        if proof is not None:
            return proof.in_problem(places)
    return farkas_multipliers(problem, threads=threads)


class Model:
    """A problem's rows on the columns that the budget can pay, without rows that cannot bind, scaled."""

    def __init__(self, problem: CampaignProblem) -> None:
        self._problem, rows = problem, problem.rows
        self._columns = np.flatnonzero(problem.column_price <= problem.spending_limit)
        below, above = rows.binds_below, rows.binds_above
        self._rows = np.flatnonzero(below | above)
        shape = (len(rows), problem.columns)
        whole = sp.csr_array((rows.coefficient, rows.members, rows.start), shape=shape)
        part = whole[self._rows][:, self._columns]
        self._size, self._money = rows.size[self._rows], problem.budget or 1.0
        price = sp.csr_array(problem.column_price[self._columns][None, :] / self._money)
        self._matrix = sp.vstack([price, sp.diags_array(1 / self._size) @ part], format="csr")
        low, high = np.where(below, rows.lower, -np.inf), np.where(above, rows.upper, np.inf)
        self._lower = np.concatenate([[-np.inf], low[self._rows] / self._size])
        self._upper = np.concatenate([[problem.budget / self._money], high[self._rows] / self._size])

    def ask(
        self,
        *,
        relative_gap: float,
        time_limit_s: float,
        threads: int,
        start: Floats | None,
        spendable: float = 1.0,
        integer: bool = True,
    ) -> Found:
        """Ask HiGHS.

        Args:
            relative_gap: at which the search may stop.
            time_limit_s: wall time, seconds.
            threads: of HiGHS.
            start: a plan to begin with, (N + K,), or None.
            spendable: share of the budget.
            integer: whole columns, or the linear relaxation.

        Returns:
            Its claims, with y of all columns, (N + K,).
        """
        upper = self._upper.copy()
        upper[0] *= spendable
        found = maximise(
            value=self._problem.column_value[self._columns],
            matrix=self._matrix,
            lower=self._lower,
            upper=upper,
            integer=integer,
            time_limit_s=time_limit_s,
            relative_gap=relative_gap,
            threads=threads,
            start=None if start is None else start[self._columns],
        )
        if found.y is None:
            return found
        y = np.zeros(self._problem.columns)
        y[self._columns] = found.y
        return replace(found, y=y)

    def multipliers(self, left: Callable[[], float], threads: int) -> Floats:
        """Find multipliers for the bound.

        Args:
            left: seconds that are left.
            threads: of HiGHS.

        Returns:
            (1 + R,).
        """
        if not len(self._problem.switches):
            parts, places = separate_problem(self._problem)
            dual = best_multipliers(parts, tolerance=1e-8, deadline=time.monotonic() + _SHARE * left())
            return relax(parts, dual.multipliers).in_problem(places)
        duals = np.zeros(1 + len(self._problem.rows))
        found = self.ask(relative_gap=0.0, time_limit_s=left(), threads=threads, start=None, integer=False)
        if found.status == "optimal" and found.row_dual is not None:
            duals[0] = found.row_dual[0] / self._money
            duals[1 + self._rows] = found.row_dual[1:] / self._size
        return duals
