"""Most tuples are settled by the linear relaxation; only a core of them needs a search over whole tuples.

First the tuples of smallest reduced value are searched with the others rounded, which gives a good plan. With its
value, reduced values settle all tuples whose opposite choice cannot lead to a better plan; what they leave open is
searched again unless the first core held all of it. The answer is exact.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign.duality import Cases
from micromega.solvers.campaign.matrix import Answer, ask
from micromega.solvers.campaign.problem import CampaignProblem, LinearRows, flat

_CORE = 150


def search(
    problem: CampaignProblem, relaxed: Answer, *, left: Callable[[], float], relative_gap: float, threads: int
) -> Answer:
    """Search for whole tuples with HiGHS.

    Args:
        problem: what is asked.
        relaxed: answer to the linear relaxation; without its multipliers the whole problem is searched.
        left: seconds that are left.
        relative_gap: at which the search may stop.
        threads: of HiGHS.
    """

    def rest(settled: NDArray[np.int8]) -> Answer:
        return _search_rest(problem, settled, time_limit_s=left(), relative_gap=relative_gap, threads=threads)

    nothing = np.zeros(problem.columns, np.int8)
    if relaxed.duals is None or relaxed.y is None or len(problem) <= _CORE:
        return rest(nothing)
    guess = _guess(problem, relaxed.duals, relaxed.y)
    first = rest(guess)
    if first.y is None:
        return rest(nothing)
    value = math.fsum(problem.column_value[first.y > 0.5])
    settled = settle(problem, relaxed.duals, value)
    if first.status == "optimal" and np.all((guess == 0) | (guess == settled)):
        return first
    second = rest(settled)
    if second.y is None or math.fsum(problem.column_value[second.y > 0.5]) < value:
        return Answer(status="limit", y=first.y, bound=second.bound)
    return second


def settle(problem: CampaignProblem, duals: NDArray[np.float64], target: float) -> NDArray[np.int8]:
    """Find the columns whose opposite choice leads only to plans worth less than a target.

    Args:
        problem: what is asked.
        duals: any multipliers, (1 + R,).
        target: a value.

    Returns:
        -1 for "not chosen", +1 for "chosen", 0 for columns that are not settled, (N + K,).
    """
    cases = Cases(problem, problem.column_value)
    _, reduced = cases.reduced(duals)
    sure = cases.bound(duals) - np.abs(reduced) < target
    settled = np.full(problem.columns, -1, np.int8)  # what the budget cannot pay
    settled[cases.open] = np.where(sure, np.where(reduced > 0, 1, -1), 0)
    return settled


def _guess(problem: CampaignProblem, duals: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int8]:
    """Round the relaxation, leaving open the tuples that it is least sure of."""
    cases = Cases(problem, problem.column_value)
    _, reduced = cases.reduced(duals)
    guess = np.full(problem.columns, -1, np.int8)
    guess[cases.open] = np.where(y[cases.open] > 0.5, 1, -1)
    fractional = np.abs(y[cases.open] - np.round(y[cases.open])) > 1e-6
    order = np.lexsort((np.abs(reduced), ~fractional))
    guess[cases.open[order[:_CORE]]] = 0
    guess[len(problem) :] = 0  # a switch follows from its tuples
    return guess


def _search_rest(
    problem: CampaignProblem, settled: NDArray[np.int8], *, time_limit_s: float, relative_gap: float, threads: int
) -> Answer:
    """Search over the open columns alone."""
    chosen, left = settled > 0, np.flatnonzero(settled == 0)
    spent = math.fsum(problem.column_price[chosen])
    if spent > problem.spending_limit:
        return Answer(status="infeasible")
    budget, rows = max(0.0, problem.budget - spent), _rows_left(problem.rows, settled)
    rest = flat(problem, columns=left, rows=rows, budget=budget)
    answer = ask(rest, integer=True, time_limit_s=time_limit_s, relative_gap=relative_gap, threads=threads)
    worth = math.fsum(problem.column_value[chosen])
    y = None
    if answer.y is not None:
        y = chosen.astype(np.float64)
        y[left] = answer.y
    return replace(answer, y=y, bound=None if answer.bound is None else answer.bound + worth)


def _rows_left(rows: LinearRows, settled: NDArray[np.int8]) -> LinearRows:
    """Take what is chosen already off the limits, and all settled columns out of the rows."""
    taken = rows.activity(settled > 0)
    kept = settled[rows.members] == 0
    place = np.cumsum(settled == 0) - 1
    sizes = np.bincount(rows.row_of, weights=kept, minlength=len(rows)).astype(np.int64)
    return LinearRows(
        start=np.concatenate([[0], np.cumsum(sizes)]),
        members=place[rows.members[kept]],
        coefficient=rows.coefficient[kept],
        lower=rows.lower - taken,
        upper=rows.upper - taken,
        names=rows.names,
        settings=rows.settings,
        room=rows.room,
    )
