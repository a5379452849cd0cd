"""What the report of a campaign says beyond the plan: what rules cost, other plans, risk against return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from micromega.report.content import BindingLimit, OtherPlan, RiskPoint
from micromega.runs.overlapping import Overlapping, aside
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.frontier import risk_curve
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.campaign.questions import Changed, ShadowPrice, alternatives, replan, shadow_prices, why_not
from micromega.solvers.plan import Plan

SECONDS, GAP = 2.0, 1e-3  # of one question: a look aside, not another plan
LARGEST = 20_000
"""Tuples beyond which other plans are not looked for."""
MOST_LIMITS = 8


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """Parts of the report.

    Attributes:
        binding: limits that cost something, the dearest first.
        alternatives: nearly as good plans.
        questions: answers to the questions of the request.
        risk: best plans by aversion to risk; empty without uncertainty.
        notes: what was left out, and why.
    """

    binding: tuple[BindingLimit, ...]
    alternatives: tuple[OtherPlan, ...]
    questions: tuple[OtherPlan, ...]
    risk: tuple[RiskPoint, ...]
    notes: tuple[str, ...] = ()


def what_if(
    config: CampaignConfig,
    problem: CampaignProblem,
    plan: Plan,
    names: Mapping[str, str],
    overlapping: Overlapping | None = None,
) -> WhatIf:
    """Answer what people ask next.

    Args:
        config: the questions.
        problem: what was asked.
        plan: the answer.
        names: of creators, by id.
        overlapping: where people count once.

    Raises:
        ConfigError: a question is about somebody who cannot be booked.
    """
    solver = overlapping.again(seconds=SECONDS, gap=GAP) if overlapping else aside(SECONDS, GAP)
    asked = {
        f"Why not {names.get(creator, creator)}?": why_not(problem, plan, creator, solver=solver)
        for creator in config.why_not
    }
    if config.declined:
        who = ", ".join(names.get(creator, creator) for creator in config.declined)
        answer = replan(problem, plan, config.declined, keep=config.keep_booked, solver=solver)
        asked[f"What if {who} declined?"] = answer
    binding = _binding(shadow_prices(problem, plan))
    questions = tuple(_shown(of, plan, names, question) for question, of in asked.items())
    if len(problem) > LARGEST:
        note = f"Alternatives and risk were not worked out: {len(problem):,} possible posts are more than {LARGEST:,}."
        return WhatIf(binding=binding, alternatives=(), questions=questions, risk=(), notes=(note,))
    others: tuple[Changed, ...] = ()
    if config.alternatives:
        others = alternatives(problem, plan, count=config.alternatives, differ=config.differ, solver=solver)
    return WhatIf(
        binding=binding,
        alternatives=tuple(_shown(of, plan, names, of.question) for of in others),
        questions=questions,
        risk=() if overlapping else _risk(problem),
    )


def _binding(prices: Sequence[ShadowPrice]) -> tuple[BindingLimit, ...]:
    """The dearest limit of each setting: a cap for each of many creators is one rule."""
    of_setting: dict[str, list[ShadowPrice]] = {}
    for price in prices:
        of_setting.setdefault(price.setting, []).append(price)
    return tuple(
        BindingLimit(
            name=alike[0].name + (f" (and {len(alike) - 1:,} more like it)" if len(alike) > 1 else ""),
            worth=alike[0].worth,
        )
        for alike in list(of_setting.values())[:MOST_LIMITS]
    )


def _shown(changed: Changed, plan: Plan, names: Mapping[str, str], question: str) -> OtherPlan:
    if not changed.plan.status.has_plan:
        return OtherPlan(question=question, value=None, lost=None, reason=changed.reason)
    return OtherPlan(
        question=question,
        value=changed.plan.objective,
        lost=changed.lost / abs(plan.objective) if plan.objective else 0.0,
        joined=tuple(names.get(creator, creator) for creator in changed.joined),
        left=tuple(names.get(creator, creator) for creator in changed.left),
    )


def _risk(problem: CampaignProblem) -> tuple[RiskPoint, ...]:
    curve = risk_curve(problem, time_limit_s=SECONDS, relative_gap=GAP)
    if curve is None:
        return ()
    columns = zip(curve.rho.tolist(), curve.expected.tolist(), curve.deviation.tolist(), strict=True)
    return tuple(
        RiskPoint(rho=rho, expected=expected, deviation=deviation, used=rho == problem.rho)
        for rho, expected, deviation in columns
    )
