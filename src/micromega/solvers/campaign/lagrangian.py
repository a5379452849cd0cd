"""Campaigns of 10⁵ to 10⁸ tuples: Lagrangian dual, reduced-cost fixing and a search over the few tuples left open.

Budget and global rows are priced; the caps of each creator stay, and since their inner problems are integral, the dual
is as tight as the linear relaxation (Geoffrion 1974) at a fraction of its cost. Its multipliers settle nearly all
tuples; HiGHS searches over the others. The multipliers of all rows come back with the plan, so that `verify` proves the
gap without any of this.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.campaign import ilp
from micromega.solvers.campaign.bundle import minimise
from micromega.solvers.campaign.certify import proven_bound
from micromega.solvers.campaign.core_search import Core, feasible, search_core
from micromega.solvers.campaign.finish import finished, no_plan
from micromega.solvers.campaign.greedy import greedy_choice
from micromega.solvers.campaign.problem import TOLERANCE, CampaignProblem
from micromega.solvers.campaign.relax import Evaluator, Relaxed, best_multipliers, evaluator, least_worth, relax
from micromega.solvers.campaign.risk import solve_joint
from micromega.solvers.campaign.separable import PRICED, Places, Separable, separate_problem
from micromega.solvers.plan import Plan, Status

Floats = NDArray[np.float64]
EXACT = 20_000
"""Tuples up to which a problem without a plan is handed to the exact solver."""
_TUPLES_PER_OPEN = 4_000
"""Rows that the relaxation keeps to one part in a million are off by more tuples, the more there are: the first search
holds at least one of so many, or HiGHS has nothing to mend them with."""
_ROUNDS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Bounded:
    """A plan on plain arrays with what bounds it.

    Attributes:
        core: the best plan found.
        relaxed: the relaxation; `relaxed.bound` exceeds every plan's value, up to rounding.
        evaluations: of all inner problems.
    """

    core: Core
    relaxed: Relaxed
    evaluations: int

    @property
    def gap(self) -> float:
        """(bound - objective) / |objective|; infinite without a plan."""
        if self.core.chosen is None:
            return math.inf
        difference = max(0.0, self.relaxed.bound - self.core.objective)
        return difference / abs(self.core.objective) if self.core.objective else math.inf * difference or 0.0


def solve(
    problem: CampaignProblem,
    *,
    time_limit_s: float = 60.0,
    relative_gap: float = 1e-6,
    threads: int = 1,
    proof_cases: int = 1000,
    core: int = 500,
    device: str = "cpu",
    warm_start: NDArray[np.bool_] | None = None,
) -> Plan:
    """Choose the tuples of largest total value within budget and rows, whatever their number.

    Problems with switches do not come apart by creator and go to the exact solver. Deterministic with one thread unless
    the time limit strikes.

    Args:
        problem: what is asked.
        time_limit_s: wall time, seconds.
        relative_gap: the plan is called optimal when it is proven that none is better by more than this share.
        threads: of HiGHS.
        proof_cases: largest number of cases in the proof that `verify` checks; 1 leaves it at linear duality.
        core: tuples in the first search.
        device: "cpu" for compiled loops, or a torch device such as "cuda" for the inner problems.
        warm_start: a plan to beat, (N,); left out of account where it breaks a constraint.

    Returns:
        A plan whose status is our own: OPTIMAL and FEASIBLE plans satisfy every constraint by `verify`.
    """
    start = time.monotonic()
    if len(problem.switches):
        from micromega.solvers.campaign import direct  # noqa: PLC0415  (it imports this module)

        exact = ilp.solve if warm_start is None else partial(direct.solve, warm_start=warm_start)
        plan = exact(
            problem, time_limit_s=time_limit_s, relative_gap=relative_gap, threads=threads, proof_cases=proof_cases
        )
        return replace(
            plan, notes=(*plan.notes, "Rules on whether a creator or group occurs: solved by the exact solver.")
        )

    def linear(part: CampaignProblem, gap: float, seconds: float) -> Plan:
        return _solve_linear(
            part, time_limit_s=seconds, relative_gap=gap, threads=threads, proof_cases=proof_cases,
            core=core, device=device, warm_start=warm_start,
        )  # fmt: skip

    if not problem.has_joint_risk:
        return replace(linear(problem, relative_gap, time_limit_s), seconds=time.monotonic() - start)
    plan = solve_joint(
        problem, solve_linear=linear, bound_of=proven_bound, time_limit_s=time_limit_s, relative_gap=relative_gap
    )
    if plan.status.has_plan:
        plan = finished(problem, replace(plan, status=Status.FEASIBLE, notes=()), relative_gap=relative_gap)
    return replace(plan, seconds=time.monotonic() - start)


def bounded_choice(
    parts: Separable,
    *,
    relative_gap: float,
    left: Callable[[], float],
    core: int = 500,
    most: int = EXACT,
    threads: int = 1,
    evaluate: Evaluator | None = None,
    start: NDArray[np.bool_] | None = None,
    known: Floats | None = None,
) -> Bounded:
    """Choose tuples given as plain arrays; ten million take less than a gigabyte.

    Args:
        parts: from `separate`.
        relative_gap: when a plan is good enough.
        left: seconds that are left.
        core: tuples in the first search.
        most: largest number of tuples in a search.
        threads: of HiGHS.
        evaluate: the inner problems; compiled where left out.
        start: a feasible plan to beat, in the order of `parts`, (N,).
        known: multipliers to begin with, (1 + P,).

    Returns:
        The plan, in the order of `parts` (see `Separable.in_problem_order`), and its bound.
    """
    relaxed, evaluations = _relaxed(parts, relative_gap, left, evaluate, known)
    if relaxed.bound < least_worth(parts):
        found = Core(chosen=None, objective=-math.inf, bound=math.inf, infeasible=True, searches=0, open_tuples=0)
    else:
        found = search_core(
            parts,
            relaxed,
            size=max(core, len(parts) // _TUPLES_PER_OPEN),
            most=most,
            relative_gap=relative_gap,
            left=left,
            threads=threads,
            start=start,
        )
    return Bounded(core=found, relaxed=relaxed, evaluations=evaluations)


def _relaxed(
    parts: Separable,
    relative_gap: float,
    left: Callable[[], float],
    evaluate: Evaluator | None,
    known: Floats | None = None,
) -> tuple[Relaxed, int]:
    """The relaxation at its best multipliers, within half of the time, and how many evaluations they took."""
    deadline = time.monotonic() + left() / 2
    tolerance = min(1e-6, relative_gap / 8)
    dual = best_multipliers(parts, tolerance=tolerance, deadline=deadline, evaluate=evaluate, known=known)
    return relax(parts, dual.multipliers), dual.evaluations


def _separated(
    problem: CampaignProblem, relative_gap: float, left: Callable[[], float], device: str
) -> tuple[Separable, Places, Floats | None]:
    """Take the problem apart, with prices on the rows that the relaxation would break, and known multipliers."""
    wanted = np.zeros(0, np.int64)
    parts, places = separate_problem(problem)
    duals = None
    for _ in range(_ROUNDS):
        if not len(places.rest) or left() <= 0:
            break
        known = None if duals is None else duals[np.concatenate([[0], 1 + places.priced])]
        relaxed, _ = _relaxed(parts, relative_gap, left, _on_device(parts, device), known)
        duals = relaxed.in_problem(places)
        sums = parts.rest.matrix(len(parts)) @ relaxed.chosen
        room = TOLERANCE * parts.rest.size
        broken = places.rest[(sums > parts.rest.upper + room) | (sums < parts.rest.lower - room)]
        if not broken.size or len(wanted) + len(broken) > PRICED // 2:
            break
        wanted = np.union1d(wanted, broken)
        parts, places = separate_problem(problem, wanted=wanted)
    return parts, places, None if duals is None else duals[np.concatenate([[0], 1 + places.priced])]


def _solve_linear(
    problem: CampaignProblem,
    *,
    time_limit_s: float,
    relative_gap: float,
    threads: int,
    proof_cases: int,
    core: int,
    device: str,
    warm_start: NDArray[np.bool_] | None,
) -> Plan:
    begin = time.monotonic()

    def left() -> float:
        return max(0.0, time_limit_s - (time.monotonic() - begin))

    solver = f"Lagrangian dual + core search (HiGHS {version('highspy')})"
    parts, places, known = _separated(problem, relative_gap, left, device)
    given, notes = _given(parts, warm_start)
    if left() <= 0 and given is None:
        return replace(no_plan(problem, solver=solver), notes=("The time limit came before any plan.",))
    found = bounded_choice(
        parts, relative_gap=relative_gap, left=left, core=core, threads=threads,
        evaluate=_on_device(parts, device), start=given, known=known,
    )  # fmt: skip
    chosen, duals = found.core.chosen, found.relaxed.in_problem(places)
    if chosen is None:
        return _without_plan(problem, parts, places, found, solver, left, relative_gap, threads, proof_cases)
    empty = no_plan(problem, solver=solver, duals=duals)
    chosen = parts.in_problem_order(chosen)
    claimed = found.core.bound if math.isfinite(found.core.bound) else None
    plan = replace(
        empty,
        status=Status.FEASIBLE,
        chosen=chosen,
        objective=problem.worth(chosen),
        bound=None if claimed is None else max(claimed, problem.worth(chosen)),
        notes=notes,
    )
    return finished(problem, plan, relative_gap=relative_gap, proof_cases=proof_cases, left=left)


def _given(parts: Separable, warm_start: NDArray[np.bool_] | None) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """A plan to begin with, in the order of the parts, if it is one."""
    if warm_start is None:
        return None, ()
    given = np.asarray(warm_start, bool)
    if given.shape != (len(parts),):
        return None, (
            f"The plan to start from has {given.size} tuples, the problem {len(parts)}: left out of account.",
        )
    given = given[parts.order] if len(parts.order) else given
    if not feasible(parts, given):
        return None, ("The plan to start from breaks a constraint: left out of account.",)
    return given, ()


def _on_device(parts: Separable, device: str) -> Evaluator | None:
    if device == "cpu":
        return None
    from micromega.solvers.campaign.inner_torch import torch_evaluator  # noqa: PLC0415  (torch loads slowly)

    return torch_evaluator(parts, device=device)


def _without_plan(
    problem: CampaignProblem,
    parts: Separable,
    places: Places,
    found: Bounded,
    solver: str,
    left: Callable[[], float],
    relative_gap: float,
    threads: int,
    proof_cases: int,
) -> Plan:
    """Prove that there is no plan, or look for one by other means, or say that none was found."""
    proof = infeasibility(parts, deadline=time.monotonic() + left())
    if proof is not None:
        plan = replace(no_plan(problem, solver=solver, duals=proof.in_problem(places)), status=Status.INFEASIBLE)
        return finished(problem, plan, relative_gap=relative_gap)
    empty = no_plan(problem, solver=solver, duals=found.relaxed.in_problem(places))
    if left() <= 0:
        return replace(empty, notes=("The time limit came before any plan.",))
    if len(problem) <= EXACT:
        return ilp.solve(
            problem, time_limit_s=left(), relative_gap=relative_gap, threads=threads, proof_cases=proof_cases
        )
    chosen = greedy_choice(problem)
    if chosen is None:
        return replace(empty, notes=("No plan was found, and none was shown to be impossible.",))
    plan = replace(empty, status=Status.FEASIBLE, chosen=chosen, objective=problem.worth(chosen))
    return finished(problem, plan, relative_gap=relative_gap, proof_cases=proof_cases, left=left)


def infeasibility(parts: Separable, *, deadline: float) -> Relaxed | None:
    """Find multipliers that bound the value 0, which every plan has under no objective, below 0 (Farkas).

    Args:
        parts: the problem.
        deadline: of `time.monotonic()`.

    Returns:
        The proof, or None where there is none to be found by linear duality.
    """
    worthless = replace(parts, value=np.zeros(len(parts)))
    size = np.maximum(np.where(np.isfinite(parts.lower), np.abs(parts.lower), 0.0), 1.0)
    size = np.maximum(size, np.where(np.isfinite(parts.upper), np.abs(parts.upper), 0.0))
    scale = np.concatenate([[1 / (parts.limit or 1.0)], 1 / size])
    dual = minimise(
        worthless, evaluator(worthless), np.zeros(1 + len(parts.lower)), tolerance=1e-9, evaluations=200,
        deadline=deadline, scale=scale, below=-1e-3,
    )  # fmt: skip
    return relax(worthless, dual.multipliers) if dual.bound < 0 else None
