"""What more or less money would buy: the best plan at each of several budgets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign.certify import proven_bound
from micromega.solvers.campaign.choose import solve
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.plan import Plan


@dataclass(frozen=True, kw_only=True, eq=False)
class BudgetCurve:
    """The budget-sensitivity curve.

    Attributes:
        budgets: rising, (K,), in the problem's currency.
        objective: value of the best plan found, NaN where the budget is too small for the constraints, (K,).
        upper_bound: proven for every budget, (K,); NaN where there is no plan.
        spend: of that plan, (K,).
        creators: how many different ones it books, (K,).
        shadow_price: value of one more unit of currency, from the linear relaxation of what the budget can pay, (K,);
            NaN where there is no plan.
    """

    budgets: NDArray[np.float64]
    objective: NDArray[np.float64]
    upper_bound: NDArray[np.float64]
    spend: NDArray[np.float64]
    creators: NDArray[np.int64]
    shadow_price: NDArray[np.float64]


def budget_curve(
    problem: CampaignProblem,
    *,
    budgets: Sequence[float] | NDArray[np.float64] | None = None,
    time_limit_s: float = 5.0,
    relative_gap: float = 1e-4,
    threads: int = 1,
) -> BudgetCurve:
    """Solve the same problem at several budgets.

    A plan for a smaller budget is also one for a larger, so the curve never falls, even where a time limit struck.

    Args:
        problem: what is asked; its own budget is ignored if `budgets` are given.
        budgets: to try; 13 from 0 to twice the problem's budget where left out.
        time_limit_s: for each budget, seconds.
        relative_gap: for each budget.
        threads: of HiGHS.
    """
    tried = np.unique(np.linspace(0, 2, 13) * problem.budget if budgets is None else np.asarray(budgets, np.float64))
    if not (tried.size and np.all(np.isfinite(tried)) and tried[0] >= 0):
        raise ConfigError(f"budgets {tried.tolist()}: give at least one, finite and not negative.")
    best: NDArray[np.bool_] | None = None
    points = []
    for budget in tried.tolist():
        at = replace(problem, budget=budget)
        plan = solve(at, time_limit_s=time_limit_s, relative_gap=relative_gap, threads=threads, proof_cases=1)
        if plan.status.has_plan and (best is None or plan.objective > problem.worth(best)):
            best = plan.chosen
        points.append(_point(at, best, plan))
    return BudgetCurve(budgets=tried, **{name: np.array([point[name] for point in points]) for name in points[0]})


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskCurve:
    """Best plans by aversion to risk.

    Attributes:
        rho: rising, (K,).
        expected: total effectiveness of each plan, without what risk takes off, (K,).
        deviation: standard deviation of that total if predictions err independently, (K,).
    """

    rho: NDArray[np.float64]
    expected: NDArray[np.float64]
    deviation: NDArray[np.float64]


def risk_curve(
    problem: CampaignProblem,
    *,
    rhos: Sequence[float] | NDArray[np.float64] | None = None,
    time_limit_s: float = 5.0,
    relative_gap: float = 1e-4,
    threads: int = 1,
) -> RiskCurve | None:
    """Solve the same problem at several aversions to risk.

    Args:
        problem: what is asked; its own aversion is among those that are tried.
        rhos: to try; where left out, five for which risk weighs from nothing to twice what it usually is.
        time_limit_s: for each, seconds.
        relative_gap: for each.
        threads: of HiGHS.

    Returns:
        The curve over all aversions with a plan; None where no uncertainty is known.
    """
    if not np.any(problem.std > 0):
        return None
    usual = float(np.median(problem.std[problem.std > 0])) if problem.risk == "variance" else 1.0
    tried = np.array([0.0, 0.25, 0.5, 1.0, 2.0]) / usual if rhos is None else np.asarray(rhos, np.float64)
    if not (np.all(np.isfinite(tried)) and np.all(tried >= 0)):
        raise ConfigError(f"rhos {tried.tolist()}: give numbers that are finite and not negative.")
    found = []
    for rho in np.unique([*tried, problem.rho]).tolist():
        plan = solve(
            replace(problem, rho=rho),
            time_limit_s=time_limit_s,
            relative_gap=relative_gap,
            threads=threads,
            proof_cases=1,
        )
        if plan.status.has_plan:
            chosen = plan.chosen
            deviation = float(np.sqrt(np.sum(problem.std[chosen] ** 2)))
            found.append((rho, float(problem.effectiveness[chosen].sum()), deviation))
    columns = np.array(found).reshape(-1, 3).T
    return RiskCurve(rho=columns[0], expected=columns[1], deviation=columns[2])


def _point(problem: CampaignProblem, best: NDArray[np.bool_] | None, plan: Plan) -> dict[str, float]:
    if best is None:
        return {"objective": np.nan, "upper_bound": np.nan, "spend": np.nan, "creators": 0, "shadow_price": np.nan}
    return {
        "objective": float(problem.worth(best)),
        "upper_bound": proven_bound(problem, plan),
        "spend": float(problem.price[best].sum()),
        "creators": len(np.unique(problem.creator_id[best])),
        "shadow_price": float(plan.duals[0]),
    }
