"""HiGHS without a modelling layer in between: sparse rows are handed over as they are."""

import math
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.solvers.campaign.problem import TOLERANCE

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What HiGHS claims.

    Attributes:
        status: "optimal", "infeasible", "limit" or "error".
        y: value of every column, or None.
        bound: upper bound of the objective, infinite where it has none.
        row_dual: multipliers of the rows of a linear program, positive at upper limits, or None.
        words: its own words.
    """

    status: str
    y: Floats | None
    bound: float
    row_dual: Floats | None
    words: str


def maximise(
    *,
    value: Floats,
    matrix: sp.csr_array,
    lower: Floats,
    upper: Floats,
    integer: bool,
    time_limit_s: float = math.inf,
    relative_gap: float = 0.0,
    constant: float = 0.0,
    threads: int = 1,
    column_upper: Floats | float = 1.0,
    start: Floats | None = None,
    enough: float = math.inf,
) -> Found:
    """Maximise value·y + constant over 0 <= y <= column_upper and lower <= matrix y <= upper.

    Args:
        value: (n,).
        matrix: (r, n).
        lower: (r,).
        upper: (r,).
        integer: whole columns, or the linear relaxation.
        time_limit_s: wall time, seconds.
        relative_gap: at which the search for whole columns may stop, as a share of the objective with its constant.
        constant: part of the objective that is settled.
        threads: of HiGHS.
        column_upper: largest value of the columns, (n,); columns whose limit is not 1 are not made whole.
        start: a feasible y to begin with, (n,).
        enough: the search may stop at this objective.
    """
    n = len(value)
    most = np.broadcast_to(np.asarray(column_upper, np.float64), (n,))
    if not n:
        broken = bool(np.any(lower > TOLERANCE) or np.any(upper < -TOLERANCE))
        status = "infeasible" if broken else "optimal"
        y = None if broken else np.zeros(0)
        return Found(status=status, y=y, bound=constant, row_dual=np.zeros(len(lower)), words=status)
    scale = float(np.max(np.abs(value))) or 1.0
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = n, matrix.shape[0]
    model.sense_ = highspy.ObjSense.kMaximize
    model.col_cost_, model.offset_ = value / scale, constant / scale
    model.col_lower_, model.col_upper_ = np.zeros(n), most
    model.row_lower_, model.row_upper_ = lower, upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
    model.a_matrix_.value_ = matrix.data
    if integer:
        kinds = highspy.HighsVarType
        model.integrality_ = [kinds.kInteger if limit == 1.0 else kinds.kContinuous for limit in most.tolist()]
    highs = silent(threads=threads, time_limit_s=time_limit_s)
    highs.setOptionValue("mip_rel_gap", relative_gap)
    highs.setOptionValue("mip_abs_gap", TOLERANCE)
    if math.isfinite(enough):
        highs.setOptionValue("objective_target", enough / scale)
    highs.passModel(model)
    if start is not None:
        given = highspy.HighsSolution()
        given.col_value = start.tolist()
        highs.setSolution(given)
    highs.run()
    return _read(highs, integer=integer, scale=scale)


def silent(*, threads: int = 1, time_limit_s: float = math.inf) -> Any:
    """Make a HiGHS that prints nothing, with tolerances that match what `verify` grants on scaled rows."""
    make: Any = highspy.Highs  # its stubs leave much out
    highs = make()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", threads)
    highs.setOptionValue("random_seed", 0)
    if math.isfinite(time_limit_s):
        highs.setOptionValue("time_limit", max(0.0, time_limit_s))
    for name in ("mip_feasibility_tolerance", "primal_feasibility_tolerance", "dual_feasibility_tolerance"):
        highs.setOptionValue(name, TOLERANCE)
    return highs


def _read(highs: Any, *, integer: bool, scale: float) -> Found:
    status, info = highs.getModelStatus(), highs.getInfo()
    codes = highspy.HighsModelStatus
    words = str(highs.modelStatusToString(status))
    names = {codes.kOptimal: "optimal", codes.kInfeasible: "infeasible", codes.kUnboundedOrInfeasible: "infeasible"}
    limits = (codes.kTimeLimit, codes.kObjectiveTarget, codes.kObjectiveBound, codes.kSolutionLimit)
    name = names.get(status, "limit" if status in limits else "error")
    known = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    solution = highs.getSolution()
    y = np.array(solution.col_value) if known else None
    bound = info.mip_dual_bound if integer else info.objective_function_value if name == "optimal" else math.inf
    row_dual = np.array(solution.row_dual) if not integer and solution.dual_valid else None
    return Found(
        status=name,
        y=y,
        bound=float(bound) * scale,
        row_dual=None if row_dual is None else row_dual * scale,
        words=words,
    )
