"""What people ask once there is a plan: why not her, what if he declines, what else is nearly as good, what binds.

Every answer is a plan of its own, solved and checked like the first.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign.ilp import solve
from micromega.solvers.campaign.infeasible import explain
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.campaign.rows import LinearRows
from micromega.solvers.campaign.switches import LINK, Switches
from micromega.solvers.plan import Plan, Status

Solve = Callable[[CampaignProblem], Plan]
_QUESTIONS = {"why_not", "declined", "booked", "alternatives"}
"""Settings of the rows that questions add."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Changed:
    """A plan beside the first one.

    Attributes:
        question: in words.
        problem: what was asked, with the question's own rows.
        plan: the answer; its status says whether there is one.
        lost: value of the first plan less that of this one, in the problem's unit; NaN without a plan.
        joined: creators that this plan has and the first has not, sorted.
        left: creators that the first plan has and this one has not, sorted.
        reason: why there is no plan, in words; "" with one.
    """

    question: str
    problem: CampaignProblem
    plan: Plan
    lost: float
    joined: tuple[str, ...]
    left: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ShadowPrice:
    """What loosening a limit by one would be worth, by the linear relaxation.

    Attributes:
        setting: where the limit comes from.
        name: what it limits, in words.
        limit: the limit that binds.
        worth: value of one unit more of an upper limit or one less of a lower one, in the problem's unit.
    """

    setting: str
    name: str
    limit: float
    worth: float


def why_not(problem: CampaignProblem, plan: Plan, creator_id: str, *, solver: Solve = solve) -> Changed:
    """Find the best plan with a creator forced in, and what that costs.

    Args:
        problem: what was asked.
        plan: the answer.
        creator_id: who is not in it.
        solver: of campaign problems.

    Returns:
        The plan with at least one post of theirs; where there is none, why.

    Raises:
        ConfigError: the creator has no tuple.
    """
    tuples = _tuples_of(problem, creator_id)
    row = ("why_not", f"at least 1 post by creator {creator_id}", tuples, 1.0, np.inf)
    return _asked(problem, plan, [row], f"Why not {creator_id}?", solver)


def replan(
    problem: CampaignProblem, plan: Plan, declined: Sequence[str], *, keep: bool = True, solver: Solve = solve
) -> Changed:
    """Plan again when creators decline.

    Args:
        problem: what was asked.
        plan: the answer.
        declined: creators who are not available any more.
        keep: whether the other posts of the plan are booked already and stay.
        solver: of campaign problems.

    Returns:
        The new plan; where there is none that keeps all bookings, why.

    Raises:
        ConfigError: a creator has no tuple.
    """
    gone = [_tuples_of(problem, creator) for creator in declined]
    rows = [
        ("declined", f"at most 0 posts by creator {creator}", tuples, -np.inf, 0.0)
        for creator, tuples in zip(declined, gone, strict=True)
    ]
    booked = np.setdiff1d(np.flatnonzero(plan.chosen), np.concatenate([np.zeros(0, np.int64), *gone]))
    if keep and booked.size:
        rows.append(("booked", f"all {booked.size} posts that are booked", booked, float(booked.size), np.inf))
    return _asked(problem, plan, rows, f"What if {', '.join(declined)} declined?", solver)


def alternatives(
    problem: CampaignProblem, plan: Plan, *, count: int = 3, differ: int = 1, solver: Solve = solve
) -> tuple[Changed, ...]:
    """Find the best other plans, each without at least `differ` creators of every plan before it.

    Args:
        problem: what was asked.
        plan: the best plan.
        count: how many at most.
        differ: creators of each earlier plan that are not booked.
        solver: of campaign problems.

    Returns:
        Alternatives, the best first; fewer than `count` where there are no more.

    Raises:
        ConfigError: count or differ below 1.
    """
    if count < 1 or differ < 1:
        raise ConfigError("alternatives: count and differ must be 1 or more.")
    booked = Switches.by_key(problem.creator_id, name="creator {key}")
    creators = np.unique(problem.creator_id)
    first = problem.columns
    wider = replace(problem, switches=Switches.stack([problem.switches, booked]))
    found: list[Changed] = []
    rows = []
    before = plan
    while len(found) < count:
        of = np.flatnonzero(np.isin(creators, problem.creator_id[before.chosen]))
        name = f"at most {len(of) - differ} of the {len(of)} creators of plan {len(found) + 1}"
        if len(of) < differ:
            break
        rows.append(("alternatives", name, first + of, -np.inf, float(len(of) - differ)))
        other = _asked(wider, plan, rows, f"Alternative {len(found) + 1}", solver, explained=False)
        if not other.plan.status.has_plan:
            break
        found.append(other)
        before = other.plan
    return tuple(found)


def shadow_prices(problem: CampaignProblem, plan: Plan) -> tuple[ShadowPrice, ...]:
    """List the limits that bind in the linear relaxation, the dearest first, the budget among them.

    Args:
        problem: what was asked.
        plan: with the multipliers of the relaxation.

    Returns:
        Limits with a price; of whole posts the worth of one unit may differ, as of the last of many.
    """
    rows = problem.rows
    priced = np.flatnonzero(np.abs(plan.duals[1:]) > 1e-9 * max(1.0, float(np.abs(plan.duals).max(initial=0.0))))
    found = [
        ShadowPrice(
            setting=rows.settings[row],
            name=rows.names[row],
            limit=float(rows.upper[row] if plan.duals[1 + row] > 0 else rows.lower[row]),
            worth=float(abs(plan.duals[1 + row])),
        )
        for row in priced.tolist()
        if rows.settings[row] != LINK
    ]
    if plan.duals[0] > 0:
        name = f"1 {problem.currency or 'unit of money'} more"
        found.append(ShadowPrice(setting="budget", name=name, limit=problem.budget, worth=float(plan.duals[0])))
    return tuple(sorted(found, key=lambda of: -of.worth))


def _asked(
    problem: CampaignProblem,
    plan: Plan,
    rows: Iterable[tuple[str, str, NDArray[np.int64], float, float]],
    question: str,
    solver: Solve,
    *,
    explained: bool = True,
) -> Changed:
    asked = replace(problem, rows=LinearRows.stack([problem.rows, LinearRows.of(rows)]))
    answer = solver(asked)
    if not answer.status.has_plan:
        reason = f"No plan was found: {answer.status}."
        if explained and answer.status is Status.INFEASIBLE:
            reason = _reason(asked)
        return Changed(question=question, problem=asked, plan=answer, lost=np.nan, joined=(), left=(), reason=reason)
    then, now = (set(problem.creator_id[of.chosen].tolist()) for of in (plan, answer))
    return Changed(
        question=question,
        problem=asked,
        plan=answer,
        lost=float(plan.objective - answer.objective),
        joined=tuple(sorted(now - then)),
        left=tuple(sorted(then - now)),
    )


def _reason(asked: CampaignProblem) -> str:
    """Say which of the user's own rules stand against a question."""
    conflict = explain(asked)
    if conflict is None:
        return "No plan was found in the time that a question gets."
    against = [
        words for words, setting in zip(conflict.words, conflict.settings, strict=True) if setting not in _QUESTIONS
    ]
    needed = conflict.smallest_budget
    budget = "" if needed is None else f" A budget of {needed:,.2f} {conflict.currency} would do.".replace(" .", ".")
    return f"No plan: {'; '.join(against) or 'the question contradicts itself'}.{budget}"


def _tuples_of(problem: CampaignProblem, creator_id: str) -> NDArray[np.int64]:
    tuples = np.flatnonzero(problem.creator_id == creator_id)
    if not tuples.size:
        raise ConfigError(f'campaign: creator "{creator_id}" cannot be booked: the problem has no post of theirs.')
    return tuples
