"""Risk of independent errors: maximise Σ f·y - rho·sqrt(Σ σ²·y) with nothing but linear problems.

The root is concave in v = Σ σ²·y, which is linear in y. For plans with a <= sqrt(v) <= b the chord lies below it,

    sqrt(v) >= (v + a·b) / (a + b),

so that the linear problem with values f - rho·σ²/(a + b) and the constant -rho·a·b/(a + b) bounds all of them, exactly
where sqrt(v) is a or b. Branch and bound over intervals of sqrt(v): solve, note what the plan is truly worth, split
there. A plan outside the interval is truly worth more than its chord says, so that no row for v is needed.
"""

import heapq
import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.plan import Part, Plan

_INTERVALS = 500
_SAME = 1e-9


def largest_root(problem: CampaignProblem) -> float:
    """No plan's sqrt(Σ σ²·y) is above this."""
    paid = problem.price <= problem.spending_limit
    return math.sqrt(math.fsum(problem.std[paid] ** 2)) * (1 + 1e-12)


def chord(problem: CampaignProblem, low: float, high: float) -> tuple[CampaignProblem, float]:
    """Make the linear problem that bounds all plans whose risk lies in an interval.

    Args:
        problem: with independent errors.
        low: of sqrt(Σ σ²·y), in `unit`.
        high: the same, above `low`.

    Returns:
        The problem, and the constant to add to its objective.
    """
    width = low + high
    value = problem.effectiveness - problem.rho * problem.std**2 / width
    return replace(problem, effectiveness=value, rho=0.0, risk="linear"), -problem.rho * low * high / width


def solve_joint(
    problem: CampaignProblem,
    *,
    solve_linear: Callable[[CampaignProblem, float, float], Plan],
    bound_of: Callable[[CampaignProblem, Plan], float],
    time_limit_s: float,
    relative_gap: float,
) -> Plan:
    """Find the best plan under the risk of independent errors.

    Args:
        problem: what is asked.
        solve_linear: (linear problem, relative gap, seconds) -> plan.
        bound_of: (linear problem, plan) -> bound that the plan's multipliers and proof give.
        time_limit_s: wall time, seconds.
        relative_gap: at which the search may stop.

    Returns:
        The best plan found, with one part for each interval; its status and gap are for `verify` to say. Where there is
        no plan, what the first linear problem said.
    """
    deadline = time.monotonic() + time_limit_s
    best: Plan | None = None
    queue: list[tuple[float, float, float, Plan | None]] = [(-math.inf, 0.0, largest_root(problem), None)]
    done: list[tuple[float, float, Plan]] = []
    worth, target, end = -math.inf, -math.inf, queue[0][2]
    while queue:
        _, low, high, inherited = heapq.heappop(queue)
        linear, constant = chord(problem, low, high)
        if inherited is not None and bound_of(linear, inherited) + constant <= target:
            done.append((low, high, inherited))
            continue
        left = deadline - time.monotonic()
        if best is not None and (left <= 0 or len(done) + len(queue) >= _INTERVALS):
            done.append((low, high, inherited or best))
            continue
        plan = solve_linear(linear, relative_gap / 8 * _share(worth, best, constant), max(0.0, left))
        if not plan.status.has_plan:
            if best is None:
                return plan
            done.append((low, high, inherited or best))
            continue
        if (found := problem.worth(plan.chosen)) > worth:
            best, worth = plan, found
            target = worth + relative_gap * problem.measure(worth) / 2
        bound = bound_of(linear, plan) + constant
        root = math.sqrt(math.fsum(problem.std[plan.chosen] ** 2))
        # Where the best linear value is below the target already, only its proof is open, and splitting proves nothing.
        if min(bound, plan.objective + constant) <= target or high - low <= _SAME * end:
            done.append((low, high, plan))
            continue
        inside = low + _SAME * end < root < high - _SAME * end
        middle = root if inside else (low + high) / 2
        for part in ((low, middle), (middle, high)):
            heapq.heappush(queue, (-bound, *part, plan))
    assert best is not None
    done.sort(key=lambda item: item[0])
    parts = tuple(Part(high=high, duals=plan.duals, proof=plan.proof) for _, high, plan in done)
    root = math.sqrt(math.fsum(problem.std[best.chosen] ** 2))
    here = next((plan for _, high, plan in done if root <= high), best)
    return replace(best, objective=worth, bound=None, duals=here.duals, proof=None, parts=parts)


def _share(worth: float, best: Plan | None, constant: float) -> float:
    """How much finer the linear problem must be solved: its objective is larger than the plan's by the constant."""
    if best is None or worth <= 0:
        return 1.0
    return worth / (worth - constant)


def parts_bound(problem: CampaignProblem, plan: Plan, bound_of: Callable[[CampaignProblem, Plan], float]) -> float:
    """Bound the worth of every plan by a proof in intervals.

    Args:
        problem: with independent errors.
        plan: whose parts are the proof; nothing in it is believed.
        bound_of: (linear problem, plan) -> bound that the plan's multipliers and proof give.

    Returns:
        The largest bound of the intervals; infinite where they do not cover every plan.
    """
    highs = np.array([part.high for part in plan.parts])
    lows = np.concatenate([[0.0], highs[:-1]])
    if not (len(highs) and np.all(np.isfinite(highs)) and np.all(highs > lows) and highs[-1] >= largest_root(problem)):
        return math.inf
    largest = -math.inf
    for low, part in zip(lows.tolist(), plan.parts, strict=True):
        linear, constant = chord(problem, low, part.high)
        bound = bound_of(linear, replace(plan, duals=part.duals, proof=part.proof, parts=()))
        largest = max(largest, bound + constant + _SAME * 1e-3 * (abs(bound) + abs(constant)))
    return largest
