"""The campaign certificate: everything recomputed from problem and plan in numpy, whatever made the plan.

It knows no algorithm. Feasibility is arithmetic; that no plan is better follows from weak duality (`duality.py`), which
holds for any multipliers at all: bad ones make the bound loose, never wrong.
"""

import math

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign.duality import Cases, proof_bound
from micromega.solvers.campaign.problem import LINK, CampaignProblem, LinearRows
from micromega.solvers.campaign.risk import parts_bound
from micromega.solvers.plan import Certificate, Check, Plan, Status

_ROUNDING = 1e-9


def verify(problem: CampaignProblem, plan: Plan, *, relative_gap: float | None = None) -> Certificate:
    """Check a plan against its problem.

    Args:
        problem: what was asked.
        plan: what was answered; nothing in it is believed.
        relative_gap: what was asked of a plan that is called optimal; None: what the plan claims.

    Returns:
        Checks of integrality, the budget, every row and the objective, with a proven upper bound. For a plan that says
        INFEASIBLE the only check is whether its multipliers prove that.
    """
    if plan.status is Status.INFEASIBLE:
        return _verify_infeasible(problem, plan)
    chosen = np.asarray(plan.chosen)
    shaped = chosen.shape == (len(problem),)
    whole = bool(shaped and np.all((chosen == 0) | (chosen == 1)))
    y = chosen.astype(np.float64) if shaped else np.zeros(len(problem))
    sums = problem.rows.activity(problem.column_choice(y))
    slack = _row_slack(problem, sums)
    objective, spend = problem.worth(y), math.fsum(problem.price[y != 0] * y[y != 0])
    bound = proven_bound(problem, plan)
    room = _value_room(problem, y)
    checks = [
        _check_whole(chosen, problem, whole),
        _check_budget(problem, spend),
        *_check_rows(problem, sums, slack),
        *_check_objective(problem, plan, objective, bound, room, relative_gap),
    ]
    if not plan.status.has_plan:
        words = "There is no plan: the solver found none within its limits."
        checks, objective, spend = [_check("plan", False, 0.0, 1.0, words)], math.nan, math.nan
    return Certificate(
        status=plan.status,
        checks=tuple(checks),
        objective=objective,
        spend=spend,
        upper_bound=bound,
        gap=_gap(problem, objective, bound, room),
        row_slack=slack,
        cases=_cases(plan),
    )


def upper_bound(problem: CampaignProblem, multipliers: NDArray[np.float64]) -> float:
    """Bound the value of every feasible plan by weak duality.

    Args:
        problem: what was asked.
        multipliers: any numbers, (1 + R,): budget, then rows. Signs that would price a limit that is not there are set
            to 0.

    Returns:
        A number that no plan's value exceeds (with independent errors it bounds the sum before the risk comes off).
    """
    return float(Cases(problem, problem.column_value).bound(multipliers))


def proven_bound(problem: CampaignProblem, plan: Plan) -> float:
    """Find the smallest bound that the plan's own proof, its multipliers or none at all give."""
    bounds = [upper_bound(problem, np.zeros(1 + len(problem.rows))), upper_bound(problem, plan.duals)]
    if plan.proof is not None:
        bounds.append(proof_bound(problem, problem.column_value, plan.duals, plan.proof))
    if plan.parts and problem.has_joint_risk:
        bounds.append(parts_bound(problem, plan, proven_bound))
    return min(bounds)


def _cases(plan: Plan) -> int:
    proofs = [part.proof for part in plan.parts] or [plan.proof]
    return sum(proof.cases if proof else 1 for proof in proofs)


def _verify_infeasible(problem: CampaignProblem, plan: Plan) -> Certificate:
    """No plan exists if weak duality bounds the value 0 of every plan by a negative number (Farkas)."""
    nothing = np.zeros(problem.columns)
    bound = Cases(problem, nothing).bound(plan.duals)
    if plan.proof is not None:
        bound = min(bound, proof_bound(problem, nothing, plan.duals, plan.proof))
    proven = bound < 0
    words = (
        "The multipliers prove that no plan satisfies all constraints."
        if proven
        else "The solver says that no plan satisfies all constraints; its multipliers alone do not prove that."
    )
    return Certificate(
        status=plan.status,
        checks=(_check("infeasible", proven, bound, 0.0, words, slack=-bound),),
        objective=math.nan,
        spend=math.nan,
        upper_bound=math.nan,
        gap=math.nan,
        row_slack=np.zeros(0),
        cases=_cases(plan),
    )


def _value_room(problem: CampaignProblem, y: NDArray[np.float64]) -> float:
    """A billionth of the values, for the rounding of their sum and for each limit of 0 that has room for rounding."""
    rows = problem.rows
    at_zero = np.sum((rows.room > 0) & ((rows.lower == 0) | (rows.upper == 0)))
    affordable = problem.value[problem.price <= problem.spending_limit]
    size = max(math.fsum(np.abs(problem.value[y != 0])), float(np.max(affordable, initial=0.0)))
    return _ROUNDING * size * (1 + float(at_zero))


def _row_slack(problem: CampaignProblem, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Room left in every row, (R,); what the rounding of sums takes is none."""
    rows = problem.rows
    above = np.where(rows.binds_below, sums - rows.lower, np.inf)
    slack = np.minimum(above, rows.upper - sums)
    return np.where((slack < 0) & (slack >= -rows.room), 0.0, slack)


def _check_whole(chosen: NDArray[np.bool_], problem: CampaignProblem, whole: bool) -> Check:
    words = "Every tuple is either chosen or not." if whole else "The plan holds fractions or has the wrong length."
    return _check("whole tuples", whole, float(chosen.size), float(len(problem)), words)


def _check_budget(problem: CampaignProblem, spend: float) -> Check:
    words = f"The plan costs {spend:,.2f} of {problem.budget:,.2f} {problem.currency}".rstrip() + "."
    ok = spend <= problem.spending_limit
    return _check("budget", ok, spend, problem.budget, words, slack=problem.budget - spend)


def _check_rows(problem: CampaignProblem, sums: NDArray[np.float64], slack: NDArray[np.float64]) -> list[Check]:
    """One check per setting: its tightest row, with how many rows it has and how many are broken.

    Links are left out: the switches were worked out from the tuples.
    """
    rows = problem.rows
    asked = np.flatnonzero([setting != LINK for setting in rows.settings])
    if not asked.size:
        return []
    settings, first, code = np.unique(np.array(rows.settings)[asked], return_index=True, return_inverse=True)
    order = np.lexsort((slack[asked], code))
    tightest = asked[order[np.searchsorted(code[order], np.arange(len(settings)))]]
    size, broken = np.bincount(code), np.bincount(code, weights=slack[asked] < 0)
    below = rows.binds_below & (sums - rows.lower < rows.upper - sums)
    checks = []
    for group in np.argsort(first):
        row = int(tightest[group])
        limit = float(rows.lower[row] if below[row] else rows.upper[row])
        words = f"{rows.names[row]}: {_found(rows, row, float(sums[row]), float(slack[row]))}."
        if size[group] > 1:
            words = f"{size[group]} rows, {int(broken[group])} broken; the tightest: {words}"
        name = str(settings[group])
        checks.append(_check(name, broken[group] == 0, float(sums[row]), limit, words, slack=float(slack[row])))
    return checks


def _found(rows: LinearRows, row: int, total: float, slack: float) -> str:
    """Say what a plan has; a sum that holds a share or a switch means nothing by itself, only what is left does."""
    if np.any(rows.coefficient[rows.start[row] : rows.start[row + 1]] < 0):
        return f"broken by {-slack:,.6g}" if slack < 0 else f"kept with {slack:,.6g} to spare"
    return f"the plan has {total:,.10g}"


def _check_objective(
    problem: CampaignProblem, plan: Plan, objective: float, bound: float, room: float, relative_gap: float | None
) -> list[Check]:
    difference = abs(plan.objective - objective)
    words = f"The plan says {plan.objective:,.6g} {problem.unit}, the sum is {objective:,.6g}."
    checks = [_check("objective", difference <= room, plan.objective, objective, words, slack=room - difference)]
    if plan.bound is not None:
        words = f"The solver says that no plan exceeds {plan.bound:,.6g}; this plan has {objective:,.6g}."
        slack = plan.bound + room - objective
        checks.append(_check("claimed bound", slack >= 0, objective, plan.bound, words, slack=slack))
    # A plan that is called the best must say how close to the bound it is, and keep to what was asked.
    unsaid = 0.0 if plan.status is Status.OPTIMAL else math.inf
    claim = unsaid if plan.gap is None else plan.gap
    if plan.status is Status.OPTIMAL and relative_gap is not None:
        claim = min(claim, relative_gap)
    gap = _gap(problem, objective, bound, room)
    words = f"No plan exceeds {bound:,.6g} (proven), so none is better than this one by more than {100 * gap:.3g} %."
    ok = gap <= claim * (1 + _ROUNDING) + _ROUNDING
    checks.append(_check("optimality", ok or plan.status is not Status.OPTIMAL, gap, claim, words))
    return checks


def _gap(problem: CampaignProblem, objective: float, bound: float, room: float) -> float:
    """(bound - objective) / |objective|, 0 within the room for rounding; see `CampaignProblem.measure`."""
    if math.isnan(objective):
        return math.nan
    difference, size = bound - objective, problem.measure(objective)
    if difference <= room:
        return 0.0
    return difference / size if size else math.inf


def _check(name: str, ok: bool, value: float, limit: float, words: str, *, slack: float | None = None) -> Check:
    room = limit - value if slack is None else slack
    return Check(name=name, ok=bool(ok), value=float(value), limit=float(limit), slack=float(room), words=words)
