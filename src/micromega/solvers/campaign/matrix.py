"""The campaign problem in cvxpy's matrix form: one vector variable, never an indexed loop.

(At 60,000 tuples one Python constraint per creator takes 100 times as long to compile.) Prices are divided by the
budget and values by the largest one, so that the solver's absolute tolerances mean the same in every currency.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.errors import MicromegaError
from micromega.solvers.campaign.problem import TOLERANCE, CampaignProblem

_WORDS = {  # the variables are bounded, so that "or unbounded" is out
    "optimal": "optimal",
    "infeasible": "infeasible",
    "infeasible_or_unbounded": "infeasible",
    "user_limit": "limit",
}
_HAS_SOLUTION = 2  # highspy.SolutionStatus.kSolutionStatusFeasible


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What HiGHS claims.

    Attributes:
        status: "optimal", "infeasible", "limit" or "error".
        y: value of every column, (N + K,), or None.
        bound: claimed upper bound of the objective in the problem's unit, or None.
        duals: multipliers in the problem's units, (1 + R,), or None (integer problems have none).
        words: its own words.
    """

    status: str
    y: NDArray[np.float64] | None = None
    bound: float | None = None
    duals: NDArray[np.float64] | None = None
    words: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrices:
    """A problem's rows on the columns that the budget can pay, without rows that cannot bind.

    Every row is divided by its size, so that the solver's absolute tolerance means the room that `verify` grants.

    Attributes:
        columns: the columns kept, (n,); the others are never chosen.
        price: share of the reference budget, (n,).
        reference: the budget, which prices are divided by.
        size: what each row is divided by, (R,).
        upper_rows: rows with an upper limit that can be broken, (U,).
        upper: their coefficients, (U, n).
        upper_limit: (U,).
        lower_rows: rows with a lower limit that can be broken, (L,).
        lower: their coefficients, (L, n).
        lower_limit: (L,).
    """

    columns: NDArray[np.int64]
    price: NDArray[np.float64]
    reference: float
    size: NDArray[np.float64]
    upper_rows: NDArray[np.int64]
    upper: sp.csr_array
    upper_limit: NDArray[np.float64]
    lower_rows: NDArray[np.int64]
    lower: sp.csr_array
    lower_limit: NDArray[np.float64]

    @classmethod
    def of(cls, problem: CampaignProblem) -> "Matrices":
        """Build them."""
        columns = np.flatnonzero(problem.column_price <= problem.spending_limit)
        rows, size = problem.rows, problem.rows.size
        entries = (rows.coefficient / size[rows.row_of], rows.members, rows.start)
        matrix = sp.csr_array(entries, shape=(len(rows), problem.columns)).tocsc()[:, columns].tocsr()
        # Rows that cannot bind on all columns but whose columns are too dear to be kept may still ask for something.
        most, least = (np.asarray(part.sum(axis=1)).ravel() for part in (matrix.maximum(0), matrix.minimum(0)))
        upper_rows = np.flatnonzero(rows.upper / size < most)
        lower_rows = np.flatnonzero(rows.lower / size > least)
        upper_rows = np.union1d(upper_rows, np.flatnonzero(rows.upper / size < least))
        lower_rows = np.union1d(lower_rows, np.flatnonzero(rows.lower / size > most))
        return cls(
            columns=columns,
            price=problem.column_price[columns] / (problem.budget or 1.0),
            reference=problem.budget or 1.0,
            size=size,
            upper_rows=upper_rows,
            upper=matrix[upper_rows],
            upper_limit=rows.upper[upper_rows] / size[upper_rows],
            lower_rows=lower_rows,
            lower=matrix[lower_rows],
            lower_limit=rows.lower[lower_rows] / size[lower_rows],
        )

    def multipliers(self, rows: int, duals: dict[str, Any]) -> NDArray[np.float64]:
        """Put the duals of "budget", "upper" and "lower" in their places, (1 + R,), budget per unit of currency."""
        result = np.zeros(1 + rows)
        if "budget" in duals:
            result[0] = np.sum(duals["budget"]) / self.reference
        if "upper" in duals:
            result[1 + self.upper_rows] += duals["upper"] / self.size[self.upper_rows]
        if "lower" in duals:
            result[1 + self.lower_rows] -= duals["lower"] / self.size[self.lower_rows]
        return result


def ask(
    problem: CampaignProblem, *, integer: bool, time_limit_s: float, relative_gap: float = 1e-6, threads: int = 1
) -> Answer:
    """Put a campaign problem to HiGHS.

    Args:
        problem: what is asked.
        integer: whole tuples, or the linear relaxation.
        time_limit_s: wall time, seconds.
        relative_gap: at which the search for whole tuples may stop.
        threads: of HiGHS.
    """
    matrices = Matrices.of(problem)
    n, rows = len(matrices.columns), problem.rows
    if not n:  # nothing can be paid, and cvxpy has no empty variables
        if np.any(rows.lower > rows.room) or np.any(rows.upper < -rows.room):
            return Answer(status="infeasible")
        return Answer(status="optimal", y=np.zeros(problem.columns), bound=0.0, duals=np.zeros(1 + len(rows)))
    value = problem.column_value[matrices.columns]
    scale = float(np.max(np.abs(value))) or 1.0
    y = cp.Variable(n, boolean=True) if integer else cp.Variable(n, bounds=[0, 1])
    constraints = constraints_on(matrices, y)
    program: Any = cp.Problem(cp.Maximize((value / scale) @ y), [row for row, _ in constraints.values()])
    status, words = run(program, solver_options(time_limit_s=time_limit_s, relative_gap=relative_gap, threads=threads))
    if status not in ("optimal", "limit"):
        return Answer(status=status, words=words)
    stats = program.solver_stats.extra_stats
    whole = None
    if stats.primal_solution_status == _HAS_SOLUTION:  # without one, cvxpy reports zeros as if they were a plan
        whole = np.zeros(problem.columns)
        whole[matrices.columns] = y.value
    if integer:
        bound = -stats.mip_dual_bound * scale
        return Answer(status=status, y=whole, bound=bound if math.isfinite(bound) else None)
    if status == "limit":
        return Answer(status=status)
    duals = {name: row.dual_value for name, (row, _) in constraints.items()}
    return Answer(
        status=status, y=whole, bound=program.value * scale, duals=matrices.multipliers(len(rows), duals) * scale
    )


def farkas_multipliers(problem: CampaignProblem, *, threads: int = 1) -> NDArray[np.float64]:
    """Find multipliers that prove infeasibility, where the linear relaxation is infeasible.

    They are the duals of "break the constraints as little as possible": weak duality with them bounds the value 0,
    which every plan has under no objective, by minus the least total violation.

    Args:
        problem: with no plan.
        threads: of HiGHS.

    Returns:
        (1 + R,), zero where the relaxation is feasible.
    """
    matrices = Matrices.of(problem)
    n = len(matrices.columns)
    if not n:
        impossible = (problem.rows.upper < 0).astype(np.float64) - (problem.rows.lower > 0)  # whatever their size
        return np.concatenate([[0.0], impossible])
    y = cp.Variable(n, bounds=[0, 1])
    constraints = constraints_on(matrices, y, elastic=True)
    excess = [excess for _, excess in constraints.values()]
    if not excess:
        return np.zeros(1 + len(problem.rows))
    program = cp.Problem(cp.Minimize(sum(part.sum() for part in excess)), [row for row, _ in constraints.values()])
    status, words = run(program, solver_options(time_limit_s=math.inf, relative_gap=0.0, threads=threads))
    if status != "optimal":
        raise MicromegaError(f"HiGHS could not say how far the campaign constraints are from feasible ({words}).")
    return matrices.multipliers(len(problem.rows), {name: row.dual_value for name, (row, _) in constraints.items()})


def constraints_on(matrices: Matrices, y: Any, *, elastic: bool = False) -> dict[str, tuple[Any, Any]]:
    """Build the constraints by name, each with its excess: 0, or a variable where constraints may be broken."""

    def excess(size: int) -> Any:
        return cp.Variable(size, nonneg=True) if elastic else 0.0

    constraints = {}
    if np.any(matrices.price > 0):
        part = excess(1)
        constraints["budget"] = (matrices.price @ y <= 1.0 + part, part)
    if matrices.upper_rows.size:
        part = excess(len(matrices.upper_rows))
        constraints["upper"] = (matrices.upper @ y <= matrices.upper_limit + part, part)
    if matrices.lower_rows.size:
        part = excess(len(matrices.lower_rows))
        constraints["lower"] = (matrices.lower @ y >= matrices.lower_limit - part, part)
    return constraints


def solver_options(*, time_limit_s: float, relative_gap: float, threads: int) -> dict[str, Any]:
    """Set HiGHS to tolerances on scaled rows that match what `verify` grants."""
    return {
        "time_limit": time_limit_s,
        "mip_rel_gap": relative_gap,
        "mip_abs_gap": TOLERANCE,
        "mip_feasibility_tolerance": TOLERANCE,
        "primal_feasibility_tolerance": TOLERANCE,
        "dual_feasibility_tolerance": TOLERANCE,
        "threads": threads,
    }


def run(program: Any, options: dict[str, Any]) -> tuple[str, str]:
    """Solve a cvxpy problem.

    Returns:
        Status as in `Answer`, and the library's own words.
    """
    with warnings.catch_warnings():
        # The status says the same, and no solution is used unchecked.
        warnings.filterwarnings("ignore", message="Solution may be inaccurate", category=UserWarning)
        try:
            program.solve(solver=cp.HIGHS, **options)
        except (cp.SolverError, ValueError) as error:
            return "error", str(error)
    return _WORDS.get(program.status, "error"), str(program.status)
