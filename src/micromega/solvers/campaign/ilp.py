"""The exact campaign solver: integer linear program through cvxpy and HiGHS, believed only after `verify`."""

import math
import time
from dataclasses import replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign.certify import proven_bound, verify
from micromega.solvers.campaign.core import search
from micromega.solvers.campaign.matrix import Answer, ask, farkas_multipliers
from micromega.solvers.campaign.problem import TOLERANCE, CampaignProblem
from micromega.solvers.campaign.prove import prove
from micromega.solvers.campaign.risk import solve_joint
from micromega.solvers.plan import Plan, Status

_SHRINK = 1e-7


def solve(
    problem: CampaignProblem,
    *,
    time_limit_s: float = 60.0,
    relative_gap: float = 1e-6,
    threads: int = 1,
    proof_cases: int = 1000,
) -> Plan:
    """Choose the tuples of largest total value within budget and rows (eq. 6 to 12, with b = p·y).

    The linear relaxation comes first: its multipliers prove an upper bound and price the budget. Deterministic with one
    thread unless the time limit strikes.

    Args:
        problem: what is asked.
        time_limit_s: wall time, seconds.
        relative_gap: the plan is called optimal when it is proven that none is better by more than this share.
        threads: of HiGHS.
        proof_cases: largest number of cases in the proof that `verify` checks; 1 leaves it at linear duality.

    Returns:
        A plan whose status is our own: OPTIMAL and FEASIBLE plans satisfy every constraint by `verify`.
    """
    start = time.monotonic()
    if not problem.has_joint_risk:
        return _solve_linear(
            problem, time_limit_s=time_limit_s, relative_gap=relative_gap, threads=threads, proof_cases=proof_cases
        )

    def linear(part: CampaignProblem, gap: float, seconds: float) -> Plan:
        return _solve_linear(part, time_limit_s=seconds, relative_gap=gap, threads=threads, proof_cases=proof_cases)

    plan = solve_joint(
        problem, solve_linear=linear, bound_of=proven_bound, time_limit_s=time_limit_s, relative_gap=relative_gap
    )
    if plan.status.has_plan:
        plan = replace(plan, status=Status.FEASIBLE, notes=())
    plan = _with_status(problem, plan, relative_gap=relative_gap, claims_optimum=False)
    return replace(plan, seconds=time.monotonic() - start)


def _solve_linear(
    problem: CampaignProblem, *, time_limit_s: float, relative_gap: float, threads: int, proof_cases: int
) -> Plan:
    start = time.monotonic()

    def left() -> float:
        return max(0.0, time_limit_s - (time.monotonic() - start))

    relaxed = ask(problem, integer=False, time_limit_s=left(), threads=threads)
    if relaxed.status == "infeasible":
        plan = _without_plan(problem, Status.INFEASIBLE, farkas_multipliers(problem, threads=threads))
        return replace(plan, seconds=time.monotonic() - start)
    duals = np.zeros(1 + len(problem.rows)) if relaxed.duals is None else relaxed.duals
    finer = relative_gap / 4  # leaves room for the proof
    answer = search(problem, relaxed, left=left, relative_gap=finer, threads=threads)
    plan = _plan_from(problem, answer, duals)
    if plan.status is Status.ERROR and answer.y is not None:
        # HiGHS may overspend by its tolerance: ask again for a hair less. The first bound stays valid.
        less = replace(problem, budget=problem.budget * (1 - _SHRINK))
        again = ask(less, integer=True, time_limit_s=left(), relative_gap=finer, threads=threads)
        plan = _plan_from(problem, replace(again, bound=answer.bound), duals)
    if left() > 0:
        plan = _with_proof(problem, plan, cases=proof_cases, relative_gap=relative_gap, time_limit_s=left())
    plan = _with_status(problem, plan, relative_gap=relative_gap, claims_optimum=answer.status == "optimal")
    return replace(plan, seconds=time.monotonic() - start)


def _plan_from(problem: CampaignProblem, answer: Answer, duals: NDArray[np.float64]) -> Plan:
    """Turn HiGHS's claim into a plan: round it and check it; what passes is FEASIBLE."""
    if answer.status == "infeasible":
        return _without_plan(problem, Status.INFEASIBLE, np.zeros_like(duals))
    if answer.y is None:
        status = Status.NO_SOLUTION if answer.status == "limit" else Status.ERROR
        note = "The time limit came before any plan." if answer.status == "limit" else f"HiGHS failed: {answer.words}"
        return replace(_without_plan(problem, status, duals), notes=(note,))
    chosen = answer.y[: len(problem)] > 0.5
    objective = math.fsum(problem.value[chosen])
    bound = None if answer.bound is None else max(answer.bound, objective)
    empty = _without_plan(problem, Status.FEASIBLE, duals)
    plan = replace(empty, chosen=chosen, objective=objective, bound=bound)
    broken = [check.words for check in verify(problem, plan).checks if not check.ok]
    if broken:
        return replace(empty, status=Status.ERROR, notes=("HiGHS's answer breaks constraints.", *broken))
    return plan


def _with_proof(problem: CampaignProblem, plan: Plan, *, cases: int, relative_gap: float, time_limit_s: float) -> Plan:
    """Add cases where linear duality alone does not prove what the plan claims."""
    certificate = verify(problem, plan)
    if plan.status is Status.INFEASIBLE and not certificate.ok:
        blank = replace(problem, effectiveness=np.zeros(len(problem)), std=np.zeros(len(problem)))
        return replace(plan, proof=prove(blank, target=-1e-6, duals=plan.duals, cases=cases, time_limit_s=time_limit_s))
    if not plan.status.has_plan or certificate.gap <= relative_gap:
        return plan
    largest = np.max(np.abs(problem.value[problem.price <= problem.spending_limit]), initial=0.0)
    target = plan.objective + max(relative_gap * problem.measure(plan.objective), TOLERANCE * float(largest)) / 2
    proof = prove(problem, target=target, duals=plan.duals, cases=cases, time_limit_s=time_limit_s)
    return replace(plan, proof=proof)


def _with_status(problem: CampaignProblem, plan: Plan, *, relative_gap: float, claims_optimum: bool) -> Plan:
    """Say what has been proven, and what is only claimed."""
    certificate = verify(problem, plan)
    if plan.status is Status.INFEASIBLE and not certificate.ok:
        return replace(plan, notes=(*plan.notes, "HiGHS says that there is no plan; the proof is not complete."))
    if not plan.status.has_plan:
        return plan
    if certificate.gap <= relative_gap:
        return replace(plan, gap=certificate.gap, status=Status.OPTIMAL)
    claim = (
        "HiGHS claims that this plan is the best" if claims_optimum else "A limit came before the best plan was shown"
    )
    note = f"{claim}; proven is that none is better by more than {100 * certificate.gap:.2g} %."
    return replace(plan, gap=certificate.gap, notes=(*plan.notes, note))


def _without_plan(problem: CampaignProblem, status: Status, duals: NDArray[np.float64]) -> Plan:
    return Plan(
        status=status,
        chosen=np.zeros(len(problem), bool),
        objective=math.nan,
        bound=None,
        gap=None,
        solver=f"HiGHS {version('highspy')} through cvxpy {version('cvxpy')}",
        seconds=0.0,
        duals=duals,
    )
