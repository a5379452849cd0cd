"""Why there is no plan: which settings conflict, and what would work."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from micromega.errors import InfeasibleError
from micromega.solvers.campaign.matrix import ask, farkas_multipliers
from micromega.solvers.campaign.problem import LINK, TOLERANCE, CampaignProblem, flat

BUDGET = "budget"


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A smallest set of settings that cannot hold together; without any one of them there is a plan.

    Attributes:
        settings: as the user wrote them, the budget last.
        words: what each of them asks.
        smallest_budget: at which all settings hold, rounded up to 0.01; None if no budget is enough.
        proven: whether `smallest_budget` is shown to be the smallest (a time limit may leave it a little too large).
        reachable: setting of the conflict -> the number that would work if the others stay, for settings of one row.
        currency: of the budget.
    """

    settings: tuple[str, ...]
    words: tuple[str, ...]
    smallest_budget: float | None
    proven: bool
    reachable: dict[str, float]
    currency: str

    def message(self) -> str:
        """Say it to the user."""
        lines = ["No plan satisfies all constraints. These conflict:"]
        lines += [f"  - {words}" for words in self.words]
        if self.smallest_budget is not None:
            most = "The smallest budget that works is" if self.proven else "A budget that works is"
            lines.append(f"{most} {self.smallest_budget:,.2f} {self.currency}".rstrip() + ".")
        else:
            lines.append("No budget is large enough: loosen one of them.")
        changes = [f"{name}: {number:g}" if number else f"no {name}" for name, number in self.reachable.items()]
        if changes:
            lines.append(f"With everything else as it is, this would work: {'; or '.join(changes)}.")
        return "\n".join(lines)

    def error(self) -> InfeasibleError:
        """Make the error to raise."""
        return InfeasibleError(self.message())


def explain(problem: CampaignProblem, *, time_limit_s: float = 20.0, threads: int = 1) -> Conflict | None:
    """Find out why a problem has no plan.

    A deletion filter over settings: each is left out in turn and stays out if there is still no plan without it. The
    budget is tried last, and not at all where no budget is enough.

    Args:
        problem: that a solver calls infeasible.
        time_limit_s: for each question to HiGHS, seconds.
        threads: of HiGHS.

    Returns:
        The conflict, or None if there is a plan after all.
    """
    asker = _Asker(time_limit_s=time_limit_s, threads=threads)
    if asker.feasible(problem):
        return None
    smallest, proven = asker.smallest_budget(problem)
    # Where some budget works, the budget is part of every conflict; where none does, there is a conflict without it.
    subject = problem if smallest is not None else _without_budget(problem)
    kept = _support(subject)
    if asker.feasible(_keep(subject, kept)):
        kept = _settings(problem)
    for setting in list(kept):
        fewer = [other for other in kept if other != setting]
        if not asker.feasible(_keep(subject, fewer)):
            kept = fewer
    ends = () if smallest is None else (BUDGET,)
    return Conflict(
        settings=(*kept, *ends),
        words=_words(problem, kept, with_budget=smallest is not None),
        smallest_budget=smallest,
        proven=proven,
        reachable=asker.reachable(problem, kept),
        currency=problem.currency,
    )


@dataclass(frozen=True, kw_only=True)
class _Asker:
    """Questions to HiGHS, each within a time limit."""

    time_limit_s: float
    threads: int

    def feasible(self, problem: CampaignProblem) -> bool:
        """Whether there may be a plan (a time limit counts as yes, so that no setting is blamed without reason)."""
        blank = flat(problem, value=np.zeros(problem.columns))
        for integer in (False, True):
            answer = ask(blank, integer=integer, time_limit_s=self.time_limit_s, threads=self.threads)
            if answer.status == "infeasible":
                return False
        return True

    def best(self, problem: CampaignProblem, value: NDArray[np.float64]) -> tuple[float | None, bool]:
        """Largest value of a plan, (N + K,), and whether it is shown to be the largest; None if there is no plan."""
        asked = flat(problem, value=value)
        answer = ask(asked, integer=True, time_limit_s=self.time_limit_s, threads=self.threads)
        if answer.y is None:
            return None, answer.status == "infeasible"
        return math.fsum(value[answer.y > 0.5]), answer.status == "optimal"

    def smallest_budget(self, problem: CampaignProblem) -> tuple[float | None, bool]:
        """Least spend of a plan under all rows, rounded up to 0.01; None if no budget is enough."""
        spend, proven = self.best(_without_budget(problem), -problem.column_price)
        return (None if spend is None else math.ceil(-spend * 100 * (1 - TOLERANCE / 2)) / 100), proven

    def reachable(self, problem: CampaignProblem, settings: Sequence[str]) -> dict[str, float]:
        """For each setting of one row with a lower limit: how much of it the other settings leave room for."""
        result = {}
        for setting in settings:
            rows = [row for row, name in enumerate(problem.rows.settings) if name == setting]
            if len(rows) != 1 or problem.rows.lower[rows[0]] <= 0:
                continue
            entries = problem.rows.row_of == rows[0]
            inside = np.zeros(problem.columns)
            inside[problem.rows.members[entries]] = problem.rows.coefficient[entries]
            others = [name for name in _settings(problem) if name != setting]
            most, _ = self.best(_keep(problem, others), inside)
            if most is not None:
                result[setting] = most
        return result


def _support(problem: CampaignProblem) -> list[str]:
    """Settings that the proof of infeasibility uses: a good start, since the conflict can be found among them."""
    used = np.flatnonzero(np.abs(farkas_multipliers(problem)[1:]) > 1e-9)
    return [name for name in dict.fromkeys(problem.rows.settings[row] for row in used) if name != LINK]


def _settings(problem: CampaignProblem) -> list[str]:
    """All settings that rows come from, without the links of switches."""
    return [name for name in dict.fromkeys(problem.rows.settings) if name != LINK]


def _keep(problem: CampaignProblem, settings: Sequence[str]) -> CampaignProblem:
    """The same problem with only the rows of some settings."""
    wanted = {*settings, LINK}
    return replace(problem, rows=problem.rows.where(np.array([name in wanted for name in problem.rows.settings], bool)))


def _without_budget(problem: CampaignProblem) -> CampaignProblem:
    return replace(problem, budget=math.fsum(problem.price))


def _words(problem: CampaignProblem, settings: Sequence[str], *, with_budget: bool) -> tuple[str, ...]:
    words = []
    for setting in settings:
        names = [name for name, of in zip(problem.rows.names, problem.rows.settings, strict=True) if of == setting]
        more = f" (and {len(names) - 1} more like it)" if len(names) > 1 else ""
        words.append(f"{setting}: {names[0]}{more}")
    if with_budget:
        words.append(f"{BUDGET}: at most {problem.budget:,.2f} {problem.currency}".rstrip())
    return tuple(words)
