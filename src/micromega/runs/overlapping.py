"""Planning a campaign in which people whom two posts reach count once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import pyarrow as pa

from micromega.errors import ConfigError
from micromega.solvers.campaign.choose import solve
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.frontier import BudgetCurve
from micromega.solvers.campaign.overlap import Overlap, OverlapPlan, shares, verify_overlap
from micromega.solvers.campaign.overlap_search import Timed, overlap_curve, solve_overlap
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.plan import Certificate, Plan


class Tables(Protocol):
    """What is needed of a market."""

    def table(self, name: str) -> pa.Table:
        """One table; an error that says how to make it where there is none."""


Solve = Callable[[CampaignProblem], Plan]
_PEOPLE = ("impressions", "engagements", "engagements that fit", "impressions that fit")
"""Units in which a person can count once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlapping:
    """A problem whose posts share people.

    Attributes:
        problem: what was asked, each tuple by itself.
        overlap: whom the tuples reach.
    """

    problem: CampaignProblem
    overlap: Overlap

    @classmethod
    def of(cls, config: CampaignConfig, problem: CampaignProblem, market: Tables) -> "Overlapping":
        """Read audiences off the market's follows (ConfigError where the request is not about people)."""
        if config.brands:
            raise ConfigError("problem.overlap plans for one brand at a time: leave problem.brands out.")
        if problem.unit not in _PEOPLE:
            raise ConfigError(
                f"problem.overlap counts people, and this objective adds up {problem.unit}. Choose objective "
                "engagement or impressions."
            )
        accounts = market.table("accounts")
        followers = accounts["followers"].cast("double").to_numpy(zero_copy_only=False)
        ids = accounts["account_id"].to_numpy(zero_copy_only=False)
        overlap = Overlap.of(problem, follows=market.table("follows"), creator_id=ids, followers=followers)
        return cls(problem=problem, overlap=overlap)

    def solve(self, linear: Timed, *, time_limit_s: float, relative_gap: float) -> OverlapPlan:
        """Plan, with a solver of linear campaigns inside."""
        return solve_overlap(self.problem, self.overlap, linear, time_limit_s=time_limit_s, relative_gap=relative_gap)

    def check(self, found: OverlapPlan, *, relative_gap: float) -> Certificate:
        """Check it again, account by account."""
        return verify_overlap(self.problem, self.overlap, found, relative_gap=relative_gap)

    def shown(self, plan: Plan) -> CampaignProblem:
        """The problem with what each post of a plan adds, and what others would add to it."""
        return replace(self.problem, effectiveness=shares(self.overlap, self.problem, plan.chosen))

    def curve(self, *, seconds: float, gap: float) -> BudgetCurve:
        """Value at other budgets."""
        return overlap_curve(self.problem, self.overlap, _timed(gap), time_limit_s=seconds)

    def again(self, *, seconds: float, gap: float) -> Solve:
        """Solver of the same problem with other rows, for questions."""
        return lambda other: solve_overlap(
            replace(other, effectiveness=self.problem.effectiveness), self.overlap, _timed(gap),
            time_limit_s=seconds, relative_gap=gap, exact_up_to=0,
        ).plan  # fmt: skip


def aside(seconds: float, gap: float) -> Solve:
    """A quick solver of linear campaigns, for a look aside."""
    return partial(solve, time_limit_s=seconds, relative_gap=gap, proof_cases=1)


def _timed(gap: float) -> Timed:
    return lambda problem, seconds: solve(problem, time_limit_s=seconds, relative_gap=gap, proof_cases=1)
