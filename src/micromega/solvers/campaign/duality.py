"""Weak duality: an upper bound on every plan's value from any multipliers at all.

For a feasible choice y in {0, 1}^N, a spending limit B, prices p, rows lower <= A y <= upper, and any m0 >= 0 and m,

    value·y <= m0·B + Σ_r (m_r⁺ upper_r - m_r⁻ lower_r) + Σ_n max(0, value_n - m0 p_n - (Aᵀm)_n).

A proof may settle tuples first and split the rest into cases; then the largest bound of the parts holds. Numpy only.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.plan import Proof

Array = NDArray[np.float64]
_ABSURD = 1e100
_ROUNDING = 64 * 2.0**-52
"""Of the sum of all absolute terms: huge multipliers that cancel must not wipe out the values. (A pairwise sum loses
about 20 units in the last place, a tuple's rows as many as they are.)"""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Limits that are left for the tuples that are still open."""

    row_of: NDArray[np.int64]
    members: NDArray[np.int64]
    coefficient: Array
    lower: Array
    upper: Array


class Cases:
    """The plans of a problem that agree on some settled columns, to be bounded whole or case by case.

    Attributes:
        open: the columns that are not settled and that the budget can pay, (n,); cases fix some of them.
        value: theirs, (n,).
        price: theirs, (n,).
        rows: limits on them, after what the settled tuples take.
        limit: spending limit left for them.
        constant: value of the settled tuples.
    """

    def __init__(self, problem: CampaignProblem, value: Array, settled: NDArray[np.int8] | None = None) -> None:
        known = np.zeros(problem.columns, np.int8) if settled is None else settled
        price = problem.column_price
        # A tuple that alone costs more than everything is in no plan.
        self.open = np.flatnonzero((known == 0) & (price <= problem.spending_limit))
        self.value, self.price = value[self.open], price[self.open]
        self.limit = problem.spending_limit - math.fsum(price[known > 0])
        self.constant = math.fsum(value[known > 0])
        rows = problem.rows
        place = np.full(problem.columns, -1, np.int64)
        place[self.open] = np.arange(len(self.open))
        kept = place[rows.members] >= 0
        taken = rows.activity(known > 0)
        self.rows = _Rows(
            row_of=rows.row_of[kept],
            members=place[rows.members[kept]],
            coefficient=rows.coefficient[kept],
            lower=rows.lower - rows.room - taken,
            upper=rows.upper + rows.room - taken,
        )

    def reduced(self, multipliers: Array) -> tuple[float, Array]:
        """Price limits and tuples.

        Args:
            multipliers: any numbers, (1 + R,): budget, then rows. One that would price a limit that is not there,
                that is not a number or that would overflow, counts as 0.

        Returns:
            What the limits are worth, with the settled tuples; and the open columns' reduced values, (n,); both with
            room for the rounding of all that will be summed.
        """
        known = np.asarray(multipliers, np.float64)
        known = np.where(np.abs(known) < _ABSURD, known, 0.0)
        m0, m = max(0.0, float(known[0])), known[1:]
        m = np.where((m > 0) & np.isfinite(self.rows.upper) | (m < 0) & np.isfinite(self.rows.lower), m, 0.0)
        active = np.flatnonzero(m)
        limits = np.where(m[active] > 0, self.rows.upper[active], self.rows.lower[active])
        entries, n = self.rows.coefficient * m[self.rows.row_of], len(self.open)
        priced = np.bincount(self.rows.members, weights=entries, minlength=n)
        terms = np.array([self.constant, m0 * self.limit, *(m[active] * limits)])
        size = (
            np.abs(self.value) + m0 * self.price + np.bincount(self.rows.members, weights=np.abs(entries), minlength=n)
        )
        # Room column by column: one that clearly loses adds nothing, however large its terms are.
        reduced = self.value - m0 * self.price - priced + _ROUNDING * size
        return math.fsum(terms) + _ROUNDING * float(np.sum(np.abs(terms))), reduced

    def bound(self, multipliers: Array, fixed: NDArray[np.int8] | None = None) -> float:
        """Bound the value of the plans of one case.

        Args:
            multipliers: any numbers, (1 + R,).
            fixed: -1 for "not chosen", +1 for "chosen", 0 for either, (n,); all 0 where left out.
        """
        worth, reduced = self.reduced(multipliers)
        gain = np.maximum(reduced, 0.0)
        if fixed is not None:
            gain = np.where(fixed == 0, gain, np.where(fixed > 0, reduced, 0.0))
        return worth + float(np.sum(gain))


def proof_bound(problem: CampaignProblem, value: Array, duals: Array, proof: Proof) -> float:
    """Bound the value of every plan by a proof in parts.

    Args:
        problem: what was asked.
        value: of each column, (N + K,); zeros to prove infeasibility by a bound below 0.
        duals: multipliers that settle tuples, (1 + R,).
        proof: the parts.

    Returns:
        The largest bound of the parts; infinite if they do not cover every plan.
    """
    if proof.settled.shape != (problem.columns,):
        return math.inf
    every = Cases(problem, value)
    if np.any(np.delete(proof.settled, every.open) > 0):
        return math.inf
    worth, reduced = every.reduced(duals)
    whole = worth + float(np.sum(np.maximum(reduced, 0.0)))
    settled = proof.settled[every.open]
    # The plans with the opposite choice for one settled tuple.
    opposite = whole + np.where(settled < 0, np.minimum(reduced, 0.0), -np.maximum(reduced, 0.0))
    return max(float(np.max(opposite[settled != 0], initial=-math.inf)), _tree_bound(problem, value, proof))


def _tree_bound(problem: CampaignProblem, value: Array, proof: Proof) -> float:
    cases = Cases(problem, value, proof.settled)
    place = np.full(problem.columns, -1, np.int64)
    place[cases.open] = np.arange(len(cases.open))
    stack: list[tuple[int, NDArray[np.int8]]] = [(0, np.zeros(len(cases.open), np.int8))]
    seen = np.zeros(len(proof.split), bool)
    largest = -math.inf
    while stack:
        node, fixed = stack.pop()
        if not 0 <= node < len(seen) or seen[node] or proof.split[node] >= problem.columns:
            return math.inf
        seen[node] = True
        if proof.split[node] < 0:
            part = slice(proof.start[node], proof.start[node + 1])
            multipliers = np.zeros(1 + len(problem.rows))
            multipliers[proof.place[part]] = proof.multiplier[part]
            largest = max(largest, cases.bound(multipliers, fixed))
            continue
        column = place[proof.split[node]]
        if column < 0:
            return math.inf
        for child, choice in ((proof.without[node], -1), (proof.within[node], 1)):
            case = fixed.copy()
            case[column] = choice
            stack.append((int(child), case))
    return largest
