"""Greedy choice: value per price, as many people would do it by hand; the baseline that the other solvers must beat.

First the least that rows ask for: tuples that help most unmet rows per price, with lazy re-evaluation, since what a
tuple helps only falls. Then tuples of positive value in falling order of value per price. Every upper limit is kept at
every step.
"""

import heapq
import math
import time
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.solvers.campaign import ilp
from micromega.solvers.campaign.finish import finished, no_plan
from micromega.solvers.campaign.inner import compiled
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.campaign.relax import best_multipliers, relax
from micromega.solvers.campaign.separable import separate_problem
from micromega.solvers.plan import Plan, Status

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_PASSES = 5


def solve(
    problem: CampaignProblem,
    *,
    time_limit_s: float = 60.0,
    relative_gap: float = 1e-6,
    threads: int = 1,
    proof_cases: int = 1,
) -> Plan:
    """Choose greedily; the gap comes from weak duality.

    Args:
        problem: what is asked; with switches or independent risk it goes to the exact solver.
        time_limit_s: wall time, seconds, for the bound.
        relative_gap: a plan that is proven to be that close to the best is called optimal.
        threads: of the exact solver.
        proof_cases: of the exact solver.

    Returns:
        FEASIBLE with its gap (OPTIMAL where the bound happens to prove it), or NO_SOLUTION.
    """
    begin = time.monotonic()
    if len(problem.switches) or problem.has_joint_risk:
        return ilp.solve(
            problem, time_limit_s=time_limit_s, relative_gap=relative_gap, threads=threads, proof_cases=proof_cases
        )
    empty = no_plan(problem, solver="greedy by value per price")
    if time_limit_s <= 0:
        return replace(empty, notes=("The time limit came before any plan.",))
    chosen = greedy_choice(problem)
    parts, places = separate_problem(problem)
    dual = best_multipliers(parts, tolerance=1e-6, deadline=begin + time_limit_s)
    plan = replace(empty, duals=relax(parts, dual.multipliers).in_problem(places))
    if chosen is None:
        note = "The greedy choice keeps the upper limits but reaches not every minimum; there may be a plan."
        return replace(plan, notes=(note,), seconds=time.monotonic() - begin)
    plan = replace(plan, status=Status.FEASIBLE, chosen=chosen, objective=problem.worth(chosen))
    return replace(finished(problem, plan, relative_gap=relative_gap), seconds=time.monotonic() - begin)


def greedy_choice(problem: CampaignProblem) -> NDArray[np.bool_] | None:
    """Choose tuples greedily, several times over.

    The least that rows ask for is taken by price or by one of three merits: value per price, value, or value per share
    of all limits that a tuple uses up (Toyoda 1975). What is left of the budget is filled by one of these merits.

    Args:
        problem: without switches.

    Returns:
        The best of these plans, (N,); None where none meets every row.
    """
    held = problem.rows
    matrix = sp.csr_array((held.coefficient, held.members, held.start), shape=(len(held), len(problem)))
    columns = matrix.tocsc()
    structure = (columns.indptr.astype(np.int64), columns.indices.astype(np.int64), columns.data)
    limits = (held.lower - held.room, held.upper + held.room)
    value, price, most = problem.value, problem.price, problem.spending_limit
    cheap = np.maximum(price, 1e-9 * (float(np.max(price, initial=0.0)) or 1.0))
    scale = float(np.max(np.abs(value), initial=0.0)) or 1.0
    share = np.divide(1.0, held.upper, out=np.zeros(len(held)), where=np.isfinite(held.upper) & (held.upper > 0))
    used = np.maximum(matrix.T @ share, 0.0) + cheap / (most or 1.0)
    merits = (value / cheap, value, value / used)
    orders = [_falling(value, merit) for merit in merits]
    best, worth = None, -math.inf
    for help_first in (1 / cheap, *(np.maximum(merit, 1e-9 * scale) for merit in merits)):
        covered, activity = np.zeros(len(problem), bool), np.zeros(len(held))
        spent = _cover(price, most, help_first, *structure, *limits, covered, activity)
        for order in orders:
            chosen = covered.copy()
            _fill(price, most, order, *structure, *limits, chosen, activity.copy(), spent)
            sums = matrix @ chosen
            met = np.all(sums >= limits[0]) and np.all(sums <= limits[1])
            if met and math.fsum(price[chosen]) <= most and problem.worth(chosen) > worth:
                best, worth = chosen, problem.worth(chosen)
    return best


def _falling(value: Floats, merit: Floats) -> Ints:
    order = np.argsort(-merit, kind="stable")
    return order[value[order] > 0]


@compiled
def _fits(
    i: int,
    start: Ints,
    row: Ints,
    coefficient: Floats,
    lower: Floats,
    upper: Floats,
    activity: Floats,
) -> bool:
    """Whether a tuple keeps all upper limits, and all lower limits that are met."""
    for k in range(start[i], start[i + 1]):
        after = activity[row[k]] + coefficient[k]
        if coefficient[k] > 0 and after > upper[row[k]]:
            return False
        if coefficient[k] < 0 and after < lower[row[k]] <= activity[row[k]]:
            return False
    return True


@compiled
def _helps(i: int, start: Ints, row: Ints, coefficient: Floats, lower: Floats, activity: Floats) -> float:
    """By what share of a unit a tuple helps rows below their lower limit."""
    total = 0.0
    for k in range(start[i], start[i + 1]):
        missing = lower[row[k]] - activity[row[k]]
        if missing > 0 and coefficient[k] > 0:
            total += min(1.0, coefficient[k] / missing) if coefficient[k] != 1.0 else 1.0
    return total


@compiled
def _take(i: int, start: Ints, row: Ints, coefficient: Floats, chosen: NDArray[np.bool_], activity: Floats) -> None:
    chosen[i] = True
    for k in range(start[i], start[i + 1]):
        activity[row[k]] += coefficient[k]


@compiled
def _cover(
    price: Floats,
    limit: float,
    merit: Floats,
    start: Ints,
    row: Ints,
    coefficient: Floats,
    lower: Floats,
    upper: Floats,
    chosen: NDArray[np.bool_],
    activity: Floats,
) -> float:
    """Take what lower limits ask for, the largest help times merit first; scores only fall: old ones bound new ones."""
    spent = 0.0
    heap = [(0.0, -1)]
    for i in range(price.size):
        help_now = _helps(i, start, row, coefficient, lower, activity)
        if help_now > 0.0 and price[i] <= limit:
            heap.append((-help_now * merit[i], i))
    heapq.heapify(heap)
    while len(heap) > 0:
        score, i = heapq.heappop(heap)
        if i < 0:
            break
        now = -_helps(i, start, row, coefficient, lower, activity) * merit[i]
        if now == 0.0:
            continue
        if now > score:
            heapq.heappush(heap, (now, i))
            continue
        if spent + price[i] <= limit and _fits(i, start, row, coefficient, lower, upper, activity):
            _take(i, start, row, coefficient, chosen, activity)
            spent += price[i]
    return spent


@compiled
def _fill(
    price: Floats,
    limit: float,
    order: Ints,
    start: Ints,
    row: Ints,
    coefficient: Floats,
    lower: Floats,
    upper: Floats,
    chosen: NDArray[np.bool_],
    activity: Floats,
    spent: float,
) -> float:
    """Take tuples in the order given while they fit; again while that makes room for others (share caps)."""
    for _ in range(_PASSES):
        before = spent
        for i in order:
            open_yet = not chosen[i] and spent + price[i] <= limit
            if open_yet and _fits(i, start, row, coefficient, lower, upper, activity):
                _take(i, start, row, coefficient, chosen, activity)
                spent += price[i]
        if spent == before:
            break
    return spent
