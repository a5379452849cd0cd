"""Which solver for which problem: the exact one while it is quick, the Lagrangian one beyond."""

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign import direct, ilp, lagrangian
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.plan import Plan


def solve(
    problem: CampaignProblem,
    *,
    time_limit_s: float = 60.0,
    relative_gap: float = 1e-6,
    threads: int = 1,
    proof_cases: int = 1000,
    exact_up_to: int = lagrangian.EXACT,
    device: str = "cpu",
    warm_start: NDArray[np.bool_] | None = None,
) -> Plan:
    """Solve with the backend that suits the size.

    Up to `exact_up_to` tuples, and wherever there are switches: the exact solver (with a plan to start from: HiGHS
    without cvxpy, which can use it). Beyond: the Lagrangian one.

    Args:
        problem: what is asked.
        time_limit_s: wall time, seconds.
        relative_gap: the plan is called optimal when it is proven that none is better by more than this share.
        threads: of HiGHS.
        proof_cases: largest number of cases in the proof that `verify` checks; 1 leaves it at linear duality.
        exact_up_to: tuples.
        device: of the Lagrangian solver's inner problems: "cpu", or a torch device such as "cuda".
        warm_start: a plan to begin with, (N,).

    Returns:
        A plan whose status is our own: OPTIMAL and FEASIBLE plans satisfy every constraint by `verify`.
    """
    if len(problem) > exact_up_to and not len(problem.switches):
        return lagrangian.solve(
            problem,
            time_limit_s=time_limit_s,
            relative_gap=relative_gap,
            threads=threads,
            proof_cases=proof_cases,
            device=device,
            warm_start=warm_start,
        )
    if warm_start is not None:
        return direct.solve(
            problem,
            time_limit_s=time_limit_s,
            relative_gap=relative_gap,
            threads=threads,
            proof_cases=proof_cases,
            warm_start=warm_start,
        )
    return ilp.solve(
        problem, time_limit_s=time_limit_s, relative_gap=relative_gap, threads=threads, proof_cases=proof_cases
    )
