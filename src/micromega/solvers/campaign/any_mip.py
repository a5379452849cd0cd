"""Any solver of integer programs that cvxpy finds: SCIP, Gurobi, cuOpt on a machine with a GPU, and others.

The problem goes to cvxpy in matrix form. The solver is trusted for the plan alone: the bound comes from our own
multipliers, and the answer leaves after `verify`.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import cvxpy as cp
import numpy as np
from cvxpy.reductions.solvers.defines import INSTALLED_MI_SOLVERS
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign.certify import proven_bound
from micromega.solvers.campaign.direct import Model, no_plan_multipliers
from micromega.solvers.campaign.finish import finished, no_plan
from micromega.solvers.campaign.matrix import Matrices, constraints_on, solver_options
from micromega.solvers.campaign.problem import TOLERANCE, CampaignProblem
from micromega.solvers.campaign.risk import solve_joint
from micromega.solvers.plan import Plan, Status

_OPTIONS: Mapping[str, Callable[[float, float, int], dict[str, Any]]] = {
    "HIGHS": lambda seconds, gap, threads: solver_options(time_limit_s=seconds, relative_gap=gap, threads=threads),
    "SCIP": lambda seconds, gap, _: {
        "scip_params": {"limits/time": seconds, "limits/gap": gap, "numerics/feastol": TOLERANCE}
    },
    "CUOPT": lambda seconds, gap, _: {"time_limit": seconds, "mip_relative_gap": gap},
    "GUROBI": lambda seconds, gap, threads: {"TimeLimit": seconds, "MIPGap": gap, "Threads": threads},
    "SCIPY": lambda seconds, gap, _: {"scipy_options": {"time_limit": seconds, "mip_rel_gap": gap}},
    "GLPK_MI": lambda seconds, gap, _: {"tm_lim": int(1000 * seconds), "mip_gap": gap},
    "CBC": lambda seconds, gap, threads: {"maximumSeconds": seconds, "allowablePercentageGap": 100 * gap},
}
"""How each solver is told its limits; others run without them."""


def solve(
    problem: CampaignProblem,
    *,
    mip_solver: str = "HIGHS",
    time_limit_s: float = 60.0,
    relative_gap: float = 1e-6,
    threads: int = 1,
    proof_cases: int = 1000,
) -> Plan:
    """Choose the tuples of largest total value with a solver that cvxpy finds.

    Args:
        problem: what is asked.
        mip_solver: its name in cvxpy.
        time_limit_s: wall time, seconds, for solvers that can be told.
        relative_gap: the plan is called optimal when it is proven that none is better by more than this share.
        threads: where the solver can be told.
        proof_cases: largest number of cases in the proof that `verify` checks; 1 leaves it at linear duality.

    Returns:
        A plan whose status is our own: OPTIMAL and FEASIBLE plans satisfy every constraint by `verify`.

    Raises:
        ConfigError: cvxpy does not find that solver.
    """
    if mip_solver not in INSTALLED_MI_SOLVERS:
        found = ", ".join(sorted(INSTALLED_MI_SOLVERS))
        raise ConfigError(
            f"solver.mip_solver: cvxpy finds no {mip_solver} here that takes whole numbers. It finds {found}."
        )
    begin = time.monotonic()

    def linear(part: CampaignProblem, gap: float, seconds: float) -> Plan:
        return _solve_linear(
            part, mip_solver, time_limit_s=seconds, relative_gap=gap, threads=threads, proof_cases=proof_cases
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
    mip_solver: str,
    *,
    time_limit_s: float,
    relative_gap: float,
    threads: int,
    proof_cases: int,
) -> Plan:
    begin = time.monotonic()

    def left() -> float:
        return max(0.0, time_limit_s - (time.monotonic() - begin))

    empty = no_plan(problem, solver=f"{mip_solver} through cvxpy {version('cvxpy')}")
    if left() <= 0:
        return replace(empty, notes=("The time limit came before any plan.",))
    duals = Model(problem).multipliers(left, threads)
    status, y = _ask(problem, mip_solver, left(), relative_gap / 4, threads)
    if status in (cp.INFEASIBLE, cp.settings.INFEASIBLE_OR_UNBOUNDED):  # all is bounded
        plan = replace(empty, status=Status.INFEASIBLE, duals=no_plan_multipliers(problem, left, threads))
        return finished(problem, plan, relative_gap=relative_gap, proof_cases=proof_cases, left=left)
    if y is None:
        return replace(empty, duals=duals, notes=(f"{mip_solver} found no plan ({status}).",))
    chosen = y[: len(problem)] > 0.5
    plan = replace(empty, status=Status.FEASIBLE, chosen=chosen, objective=problem.worth(chosen), duals=duals)
    return finished(problem, plan, relative_gap=relative_gap, proof_cases=proof_cases, left=left)


def _ask(
    problem: CampaignProblem, mip_solver: str, seconds: float, gap: float, threads: int
) -> tuple[str, NDArray[np.float64] | None]:
    """What the solver claims: cvxpy's status, and y of all columns where there is one."""
    matrices = Matrices.of(problem)
    result = np.zeros(problem.columns)
    # Some interfaces drop rows without columns (SCIP's in cvxpy 1.9), and with them that there is no plan.
    most, least = matrices.lower.maximum(0).sum(axis=1), matrices.upper.minimum(0).sum(axis=1)
    if np.any(matrices.lower_limit > most + TOLERANCE) or np.any(matrices.upper_limit < least - TOLERANCE):
        return cp.INFEASIBLE, None
    if not len(matrices.columns):
        return cp.OPTIMAL, result
    value = problem.column_value[matrices.columns]
    y = cp.Variable(len(value), boolean=True)
    constraints = [row for row, _ in constraints_on(matrices, y).values()]
    program: Any = cp.Problem(cp.Maximize((value / (float(np.max(np.abs(value))) or 1.0)) @ y), constraints)
    options = _OPTIONS[mip_solver](seconds, gap, threads) if mip_solver in _OPTIONS else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate", category=UserWarning)
        try:
            program.solve(solver=mip_solver, **options)
        except (cp.SolverError, ValueError) as error:
            return str(error), None
    status = str(program.status)
    if y.value is None or not np.all(np.isfinite(y.value)):
        return status, None
    if status != cp.OPTIMAL and not np.any(y.value > 0.5):
        return status, None  # without a plan, some interfaces report zeros as if they were one
    result[matrices.columns] = y.value
    return status, result
