"""A proof that no plan is better, in parts that `verify` checks with numpy.

Branch and bound whose only purpose is the proof: the plan is known already, so that every case above the target has to
be split, and the order only matters when a limit strikes. Tuples whose reduced value settles them stay out, which
leaves a small linear program that is kept warm from case to case.
"""

import heapq
import time
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.solvers.campaign.core import settle
from micromega.solvers.campaign.duality import Cases
from micromega.solvers.campaign.problem import TOLERANCE, CampaignProblem
from micromega.solvers.plan import Proof

_WHOLE = 1e-7


def prove(
    problem: CampaignProblem, *, target: float, duals: NDArray[np.float64], cases: int, time_limit_s: float
) -> Proof:
    """Split the problem into cases until none is worth more than the target, or a limit is hit.

    The case with the largest bound is split first, so that a proof that ends early is as good as it can be.

    Args:
        problem: what was asked.
        target: value to get below. Where all values are 0, a target below 0 proves that there is no plan.
        duals: multipliers of the linear relaxation, (1 + R,).
        cases: largest number of leaves.
        time_limit_s: wall time, seconds.

    Returns:
        A proof that `verify` can check; its bound may be above the target.
    """
    deadline = time.monotonic() + time_limit_s
    settled = settle(problem, duals, target)
    program = _Relaxation(problem, settled, target)
    nodes = [_Node(fixed=np.zeros(len(program.cases.open), np.int8), multipliers=duals)]
    program.bound(nodes[0])
    waiting = [(-nodes[0].bound, 0)]
    while waiting and len(nodes) < 2 * cases - 1 and time.monotonic() < deadline:
        _, index = heapq.heappop(waiting)
        node = nodes[index]
        if node.bound <= target or node.split < 0:
            break
        node.children = (len(nodes), len(nodes) + 1)
        for choice in (-1, 1):
            child = _Node(fixed=node.fixed.copy(), multipliers=node.multipliers)
            child.fixed[node.split] = choice
            program.bound(child)
            heapq.heappush(waiting, (-child.bound, len(nodes)))
            nodes.append(child)
    return _collect(nodes, settled, program.cases.open)


@dataclass(kw_only=True, eq=False)
class _Node:
    """One case: what is fixed, the best multipliers known for it, its bound, and the open tuple to split on next."""

    fixed: NDArray[np.int8]
    multipliers: NDArray[np.float64]
    bound: float = np.inf
    split: int = -1
    children: tuple[int, int] | None = None


def _collect(nodes: list[_Node], settled: NDArray[np.int8], tuples: NDArray[np.int64]) -> Proof:
    places = [np.flatnonzero(node.multipliers) if node.children is None else np.zeros(0, np.int64) for node in nodes]
    return Proof(
        settled=settled,
        split=np.array([-1 if node.children is None else tuples[node.split] for node in nodes]),
        without=np.array([-1 if node.children is None else node.children[0] for node in nodes]),
        within=np.array([-1 if node.children is None else node.children[1] for node in nodes]),
        start=np.cumsum([0, *(len(place) for place in places)]),
        place=np.concatenate(places),
        multiplier=np.concatenate([node.multipliers[place] for node, place in zip(nodes, places, strict=True)]),
    )


class _Relaxation:
    """The linear relaxation of the open tuples; money in shares of what is left, values in shares of the largest.

    Attributes:
        cases: what is left to decide.
    """

    def __init__(self, problem: CampaignProblem, settled: NDArray[np.int8], target: float) -> None:
        self.cases = Cases(problem, problem.column_value, settled)
        self._worthless = Cases(problem, np.zeros(problem.columns), settled)
        self._target = target
        self._rows = len(problem.rows)
        n, rows = len(self.cases.open), self.cases.rows
        self._budget = max(self.cases.limit, float(np.max(self.cases.price, initial=0.0)), TOLERANCE)
        self._scale = float(np.max(np.abs(self.cases.value), initial=0.0)) or 1.0
        size = problem.rows.size
        entries = (rows.coefficient / size[rows.row_of], (rows.row_of, rows.members))
        matrix = sp.csr_array(entries, shape=(self._rows, n))
        most, least = (np.asarray(part.sum(axis=1)).ravel() for part in (matrix.maximum(0), matrix.minimum(0)))
        lower, upper = rows.lower / size, rows.upper / size
        self._binding = np.flatnonzero((lower > least) | (upper < most))
        self._size = size[self._binding]
        matrix = sp.vstack([sp.csr_array(self.cases.price[None, :] / self._budget), matrix[self._binding]]).tocsc()
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = matrix.shape[1], matrix.shape[0]
        program.col_cost_ = -self.cases.value / self._scale
        program.col_lower_, program.col_upper_ = np.zeros(n), np.ones(n)
        program.row_lower_ = np.concatenate([[-np.inf], lower[self._binding]])
        program.row_upper_ = np.concatenate([[self.cases.limit / self._budget], upper[self._binding]])
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_, program.a_matrix_.index_ = matrix.indptr, matrix.indices
        program.a_matrix_.value_ = matrix.data
        make: Any = highspy.Highs  # its stubs leave much out
        self._highs = make()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("presolve", "off")
        self._highs.setOptionValue("solver", "simplex")
        self._highs.setOptionValue("primal_feasibility_tolerance", TOLERANCE)
        self._highs.setOptionValue("dual_feasibility_tolerance", TOLERANCE)
        self._highs.passModel(program)
        self._fixed = np.zeros(n, np.int8)

    def bound(self, node: _Node) -> None:
        """Solve a case; note its bound, its multipliers and the tuple to split on."""
        inherited = self.cases.bound(node.multipliers, node.fixed)
        candidate = self._solve(node, inherited)
        own = self.cases.bound(candidate, node.fixed)
        node.bound = min(own, inherited)
        if own <= inherited:
            node.multipliers = candidate

    def _solve(self, node: _Node, inherited: float) -> NDArray[np.float64]:
        if not len(node.fixed):
            return np.zeros(1 + self._rows)  # all is settled, and the value with it
        for column in np.flatnonzero(self._fixed != node.fixed).tolist():
            self._highs.changeColBounds(column, float(node.fixed[column] > 0), float(node.fixed[column] >= 0))
        self._fixed = node.fixed
        self._highs.run()
        if self._highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            return self._impossible(node, inherited)
        solution = self._highs.getSolution()
        y = np.asarray(solution.col_value)
        distance = np.where(node.fixed == 0, np.abs(y - np.round(y)), 0.0)
        if np.max(distance) > _WHOLE:
            node.split = int(np.argmax(distance))
        return self._multipliers(np.asarray(solution.row_dual)) * self._scale

    def _impossible(self, node: _Node, inherited: float) -> NDArray[np.float64]:
        """Add as much of a ray to the parent's multipliers as brings the bound below the target.

        Under no values every plan is worth 0; a ray whose bound is below that proves that the case holds no plan.
        """
        _, found, ray = self._highs.getDualRay()
        if not found:
            return node.multipliers
        for direction in (self._multipliers(np.asarray(ray)), -self._multipliers(np.asarray(ray))):
            fall = -self._worthless.bound(direction, node.fixed)
            if fall > 0:
                return node.multipliers + direction * (2 * max(0.0, inherited - self._target) + self._scale) / fall
        return node.multipliers

    def _multipliers(self, row_dual: NDArray[np.float64]) -> NDArray[np.float64]:
        multipliers = np.zeros(1 + self._rows)
        multipliers[0] = -row_dual[0] / self._budget
        multipliers[1 + self._binding] = -row_dual[1:] / self._size
        return multipliers
