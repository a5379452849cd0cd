"""What every solver returns and what every checker says about it."""

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Status(StrEnum):
    """What a plan is, as our own checks see it; a solver library's status is a claim, not a status."""

    OPTIMAL = "optimal"
    """Feasible, and proven that no plan is better by more than the requested gap."""
    FEASIBLE = "feasible"
    """Feasible; a limit was hit before optimality was proven, and the gap is stated."""
    INFEASIBLE = "infeasible"
    """No plan satisfies the constraints."""
    NO_SOLUTION = "no_solution"
    """A limit was hit before any plan was found."""
    ERROR = "error"
    """The solver failed or gave an answer that breaks the constraints."""

    @property
    def has_plan(self) -> bool:
        """Whether there is something to carry out."""
        return self in (Status.OPTIMAL, Status.FEASIBLE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Proof:
    """Why no plan is better, in a form that a few lines of numpy can check.

    First, tuples that are settled by the plan's multipliers: changing any of them costs more than there is to win.
    Then, for the others, a tree of cases: every inner node splits on one tuple (not chosen / chosen), every leaf holds
    multipliers of the constraints, whose weak-duality bound covers all plans of that case.

    Attributes:
        settled: -1 for "not chosen", +1 for "chosen", 0 for tuples that the tree decides, (N,).
        split: tuple that a node splits on, -1 at a leaf, (K,). Node 0 is the root.
        without: node for "tuple not chosen", -1 at a leaf, (K,).
        within: node for "tuple chosen", -1 at a leaf, (K,).
        start: where each node's multipliers begin in the next two, (K + 1,).
        place: 0 for the budget, 1 + r for row r.
        multiplier: positive ones price the budget and upper limits, negative ones lower limits.
    """

    settled: NDArray[np.int8]
    split: NDArray[np.int64]
    without: NDArray[np.int64]
    within: NDArray[np.int64]
    start: NDArray[np.int64]
    place: NDArray[np.int64]
    multiplier: NDArray[np.float64]

    @property
    def cases(self) -> int:
        """Number of leaves."""
        return int(np.sum(self.split < 0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Why no plan of one interval is better, where the objective is linear on intervals only.

    Attributes:
        high: end of the interval; it begins where the one before it ends, the first at 0.
        duals: as in `Plan`.
        proof: as in `Plan`.
    """

    high: float
    duals: NDArray[np.float64]
    proof: Proof | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """An answer and the means to check it.

    Attributes:
        status: see `Status`.
        chosen: which tuples are carried out, (N,); all False without a plan.
        objective: total value of the chosen tuples; NaN without a plan.
        bound: upper bound that the solver library claims, None where it claims none.
        gap: proven by `duals` and `proof`: no plan is better by more than this share of |objective|; None without.
        solver: name and version.
        seconds: wall time.
        notes: what a reader should know, in words.
        duals: multipliers of the linear relaxation, (1 + R,): budget first (value per unit of currency), then rows.
        proof: cases for `verify`; None where there is nothing beyond `duals`.
        parts: the proof where the objective holds a root (risk of independent errors); empty otherwise.
    """

    status: Status
    chosen: NDArray[np.bool_]
    objective: float
    bound: float | None
    gap: float | None
    solver: str
    seconds: float
    notes: tuple[str, ...] = ()
    duals: NDArray[np.float64]
    proof: Proof | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was recomputed.

    Attributes:
        name: the setting it belongs to, as the user wrote it.
        ok: whether it holds.
        value: what the plan has.
        limit: what is allowed or claimed.
        slack: room left, negative where broken.
        words: one sentence for people.
    """

    name: str
    ok: bool
    value: float
    limit: float
    slack: float
    words: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Certificate:
    """What a checker found, from problem and plan alone.

    Attributes:
        status: the plan's own claim.
        checks: one per setting, the tightest row of each.
        objective: recomputed; NaN without a plan.
        spend: recomputed; NaN without a plan.
        upper_bound: proven by weak duality: no plan is worth more. NaN for an infeasible problem.
        gap: (upper_bound - objective) / |objective|, 0 if they differ by a billionth of the values at most; NaN
            without a plan; at objective 0 a share of the largest value that the budget can pay.
        row_slack: room left in every single row, (R,).
        cases: number of cases in the proof.
        ok: whether all checks hold.
    """

    status: Status
    checks: tuple[Check, ...]
    objective: float
    spend: float
    upper_bound: float
    gap: float
    row_slack: NDArray[np.float64]
    cases: int

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> str:
        """Write the certificate as JSON text; numbers that are not finite become null."""
        content = {
            "status": str(self.status),
            "ok": self.ok,
            "objective": _finite(self.objective),
            "spend": _finite(self.spend),
            "upper_bound": _finite(self.upper_bound),
            "gap": _finite(self.gap),
            "proof_cases": self.cases,
            "rows_checked": len(self.row_slack),
            "checks": [{key: _finite(value) for key, value in vars(check).items()} for check in self.checks],
        }
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
