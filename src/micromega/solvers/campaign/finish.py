"""The last step of a solver: check the plan, complete the proof where that is cheap, and say what is proven."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign.certify import verify
from micromega.solvers.campaign.problem import TOLERANCE, CampaignProblem
from micromega.solvers.campaign.prove import prove
from micromega.solvers.plan import Plan, Status


def no_plan(problem: CampaignProblem, *, solver: str, duals: NDArray[np.float64] | None = None) -> Plan:
    """Begin with nothing: NO_SOLUTION.

    Args:
        problem: what is asked.
        solver: name and version.
        duals: multipliers, (1 + R,); zeros where left out.
    """
    return Plan(
        status=Status.NO_SOLUTION,
        chosen=np.zeros(len(problem), bool),
        objective=math.nan,
        bound=None,
        gap=None,
        solver=solver,
        seconds=0.0,
        duals=np.zeros(1 + len(problem.rows)) if duals is None else duals,
    )


def finished(
    problem: CampaignProblem,
    plan: Plan,
    *,
    relative_gap: float,
    proof_cases: int = 1,
    left: Callable[[], float] = lambda: 0.0,
) -> Plan:
    """Let `verify` decide what a plan is.

    Args:
        problem: what is asked.
        plan: FEASIBLE or INFEASIBLE, to be checked.
        relative_gap: the plan is called optimal when it is proven that none is better by more than this share.
        proof_cases: largest number of cases to add to the proof; 1 for none.
        left: seconds that are left for that.

    Returns:
        The plan with the status and gap that are proven; without tuples and ERROR where it breaks a constraint.
    """
    certificate = verify(problem, plan)
    if plan.status is Status.INFEASIBLE:
        if not certificate.ok and proof_cases > 1 and left() > 0:
            blank = replace(problem, effectiveness=np.zeros(len(problem)), std=np.zeros(len(problem)))
            proof = prove(blank, target=-1e-6, duals=plan.duals, cases=proof_cases, time_limit_s=left())
            plan = replace(plan, proof=proof)
            certificate = verify(problem, plan)
        note = "There seems to be no plan; the proof is not complete."
        return plan if certificate.ok else replace(plan, status=Status.NO_SOLUTION, notes=(*plan.notes, note))
    broken = tuple(check.words for check in certificate.checks if not check.ok)
    if broken:
        empty = no_plan(problem, solver=plan.solver, duals=plan.duals)
        return replace(empty, status=Status.ERROR, notes=("The answer breaks constraints.", *broken))
    if certificate.gap > relative_gap and proof_cases > 1 and left() > 0:
        paid = problem.price <= problem.spending_limit
        largest = float(np.max(np.abs(problem.value[paid]), initial=0.0))
        target = plan.objective + 0.9 * max(relative_gap * abs(plan.objective), TOLERANCE * largest)
        proof = prove(problem, target=target, duals=plan.duals, cases=proof_cases, time_limit_s=left())
        plan = replace(plan, proof=proof)
        certificate = verify(problem, plan)
    if certificate.gap <= relative_gap:
        return replace(plan, gap=certificate.gap, status=Status.OPTIMAL)
    claim = ""
    if plan.bound is not None and plan.bound - plan.objective <= relative_gap * abs(plan.objective):
        claim = "HiGHS claims that this plan is the best; "
    note = f"{claim}proven is that none is better by more than {100 * certificate.gap:.2g} %."
    return replace(plan, gap=certificate.gap, notes=(*plan.notes, note[0].upper() + note[1:]))
