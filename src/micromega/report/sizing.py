"""The report of a sizing plan as one HTML file: nothing to load, no script, every text escaped."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from micromega.report import response_words, sizing_direct, sizing_plots, words
from micromega.report.environment import environment
from micromega.solvers.sizing.answer import Size, SizingPlan, Standing
from micromega.solvers.sizing.problem import SizingProblem
from micromega.tiers import TIERS

if TYPE_CHECKING:
    from micromega.solvers.plan import Certificate
    from micromega.solvers.sizing.direct import DirectEffects
    from micromega.solvers.sizing.hull import Heatmap

from markupsafe import Markup  # isort: skip  # comes with jinja2

SIZING_LIMITS = (
    "Followers are one thing that sets creators apart. Whether a creator fits the brand is not asked here.",
    "The curve says what the same post would get from creators of other sizes; one post may do far better or worse "
    "than expected.",
    "Value per impression and prices are taken as given. Only the ratio of cost to value moves the best size; the "
    "heatmap shows how far.",
    "A band or interval speaks of the sampling variability of the curve alone: not of wrong prices, nor of an "
    "instrument that does not hold.",
)
"""What every report of a size must admit."""

_BADGES = {
    Standing.INTERIOR: ("good", "Among observed sizes", "Smaller and larger creators that were observed earn less."),
    Standing.EDGE: ("fair", "At the edge", "The best size ends the range: a better one may lie beyond it."),
    Standing.EXTRAPOLATED: (
        "bad",
        "Outside what was observed",
        "The curve’s own optimum is a guess: do not act on it.",
    ),
    Standing.UNPROFITABLE: ("bad", "No size pays", "No size brings in more than it costs."),
}


def render_sizing(
    problem: SizingProblem,
    plan: SizingPlan,
    certificate: "Certificate",
    heatmap: "Heatmap | None",
    direct: "DirectEffects | None" = None,
    *,
    market: str,
    facts: Mapping[str, Any],
) -> str:
    """Write the report as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same plan gives the same text.

    Args:
        problem: what was asked.
        plan: what was answered.
        certificate: what the checker says of it.
        heatmap: best sizes at other values and costs; None: that section is left out.
        direct: best size by direct effect of the instrument; None: the same.
        market: name of the market.
        facts: of this run: signature, seed, git_commit, packages, started_at.

    Returns:
        The text of an HTML file; write it as UTF-8.
    """
    templates = environment(
        number=words.number,
        about=words.about,
        percent=words.percent,
        plural=words.plural,
        shorten=words.shorten,
        compact=response_words.compact,
        slope=response_words.slope,
        signed=response_words.signed,
    )
    interval = plan.interval
    rows = None if heatmap is None else heatmap_rows(heatmap, problem)
    shares = None if interval is None else interval.tier_shares
    return templates.get_template("sizing.html").render(
        problem=problem,
        plan=plan,
        certificate=certificate,
        market=market,
        subject=response_words.group_name(problem.subject or "Size of creator"),
        best=plan.supported,
        alarms=alarms(plan),
        simulated=market.startswith("simulated"),
        verdict=verdict(plan),
        caution=caution(plan),
        badge=badge(plan, certificate),
        money=lambda value: money(value, problem.currency),
        amount=lambda value: amount(value, problem.currency),
        interval=interval,
        narrow=None if interval is None else narrow(plan),
        level=words.percent(problem.level, 0),
        tier_shares={} if shares is None else dict(zip(TIERS, shares.tolist(), strict=True)),
        best_tier=max(plan.tiers, key=lambda size: size.profit).tier if plan.recommended and plan.tiers else None,
        observed=observed(problem),
        figure=Markup(sizing_plots.sizing_plot(plan)),  # noqa: S704 (matplotlib and ElementTree have escaped it)
        cut=sizing_plots.is_cut(plan),
        heatmap=rows,
        beyond=any(cell["pays"] and not cell["observed"] for _, cells in rows or () for cell in cells),
        costs=() if heatmap is None else heatmap.costs.tolist(),
        direct=None if direct is None else sizing_direct.direct_words(direct, problem),
        direct_figure="" if direct is None else Markup(sizing_direct.direct_plot(direct, problem.currency)),  # noqa: S704
        limits=SIZING_LIMITS,
        lineage=lineage_rows(facts),
    )


def money(value: float, currency: str) -> str:
    r"""Amount after its currency, with a true minus sign before both.

    Example:
        >>> money(-9870.0, "EUR")
        '−EUR\xa09,870'
    """
    return ("\N{MINUS SIGN}" if value < 0 else "") + words.money(abs(value), currency)


def amount(value: float, currency: str) -> str:
    r"""The same for headlines: no cents from 100 up.

    Example:
        >>> amount(-9870.25, "EUR")
        '−EUR\xa09,870'
    """
    return ("\N{MINUS SIGN}" if value < 0 else "") + words.amount(abs(value), currency)


def observed(problem: SizingProblem) -> str | None:
    """Sizes that were observed, in words; None where that is not known."""
    if problem.support is None:
        return None
    low, high = (words.about(math.exp(end)) for end in problem.inner_range)
    return f"{low} to {high} followers"


def alarms(plan: SizingPlan) -> list[str]:
    """What must not be missed: that the curve's instrument is weak, that its optimum was not observed."""
    found = _weak(plan)
    if plan.standing is Standing.EXTRAPOLATED:
        found.append(
            f"The optimum lies outside what was observed. The curve is highest at "
            f"{words.about(plan.optimum.followers)} followers ({plan.optimum.tier}), but only creators with "
            f"{observed(plan.problem)} were observed: beyond, the curve is a guess."
        )
    return found


def narrow(plan: SizingPlan) -> str | None:
    """The note of a response table whose model was fitted without a bootstrap (`runs/response.py`), if it is there."""
    return next((note for note in plan.notes if note.startswith("Bands leave out")), None)


def _weak(plan: SizingPlan) -> list[str]:
    """Notes that the response table brought along from `models/deepiv/verdict.py`."""
    return [note for note in plan.notes if note.startswith("WEAK INSTRUMENT")]


def verdict(plan: SizingPlan) -> str:
    """The size to look for, or that none pays, in one or two sentences."""
    currency, best = plan.problem.currency, plan.supported
    among = "" if plan.problem.support is None else " that was observed"
    if plan.recommended is None:
        lost = f"would lose {amount(-best.profit, currency)}" if best.profit < 0 else "would earn nothing"
        return f"Sponsor nobody at these prices: the best size{among}, {_size(best)}, {lost}."
    beyond = plan.standing is Standing.EXTRAPOLATED
    look = "Among sizes that were observed, the best is" if beyond else "Look for a creator with"
    first = (
        f"{look} about {_size(best)}: expect about {words.about(best.impressions)} impressions for "
        f"{amount(best.cost, currency)}, and a profit of {amount(best.profit, currency)}."
    )
    if plan.standing is Standing.EDGE:
        end = _end(plan)
        return f"{first} That is the {end[0]} size {end[1]}: a {end[2]} one may earn more."
    return first


def _size(size: Size) -> str:
    return f"{words.about(size.followers)} followers ({size.tier})"


def _end(plan: SizingPlan) -> tuple[str, str, str]:
    """(smallest or largest, of what, smaller or larger) for a plan at the edge."""
    ends, u = plan.problem.inner_range, math.log(plan.supported.followers)
    last = bool(abs(u - ends[1]) < abs(u - ends[0]))
    of = "of the curve" if ends[last] == plan.problem.log_followers[-1 if last else 0] else "observed"
    return ("largest", of, "larger") if last else ("smallest", of, "smaller")


def caution(plan: SizingPlan) -> str | None:
    """That the recommended size may lose money, where its interval says so."""
    interval = plan.interval
    if interval is None or plan.recommended is None or interval.profit[0] >= 0:
        return None
    low, high = (amount(value, plan.problem.currency) for value in interval.profit)
    return f"It may lose money: the {words.percent(interval.level, 0)} interval of its profit is {low} to {high}."


def badge(plan: SizingPlan, certificate: "Certificate") -> tuple[str, str, str]:
    """How far the size can be trusted: (tone, a few words, one sentence); tone is good, fair or bad."""
    failed = sum(not check.ok for check in certificate.checks)
    if failed or not certificate.status.has_plan:
        broken = words.plural(failed, "check fails", "checks fail") if failed else f"it is “{certificate.status}”"
        return "bad", "Do not use", f"The independent check rejects this plan: {broken}."
    tone, name, sentence = _BADGES[plan.standing]
    if _weak(plan):
        return "bad", "Weak instrument", "The plan is right for its curve, but the curve is not to be relied on."
    if plan.inside_support is None and plan.standing is Standing.INTERIOR:
        tone, name, sentence = "fair", "Support unknown", "Nothing says whether such creators were observed."
    kept = f"Independent code recomputed {words.plural(len(certificate.checks), 'check')}, and all hold."
    return tone, name, f"{sentence} {kept}"


def heatmap_rows(heatmap: "Heatmap", problem: SizingProblem) -> list[tuple[float, list[dict[str, Any]]]]:
    """Rows of the heatmap: value, and for each cost what its cell shows.

    Args:
        heatmap: best sizes.
        problem: its own value and cost are marked.

    Returns:
        (value per impression, cells); a cell has `text` (thousands of followers), `share` (0 for the smallest size of
        the map, 1 for the largest, in logs), `pays`, `observed` and `here`.
    """
    pays = heatmap.profit > 0
    sizes = np.log(heatmap.followers)
    low, high = (float(end(sizes[pays])) if pays.any() else 0.0 for end in (np.min, np.max))
    rows = []
    for v, value in enumerate(heatmap.values.tolist()):
        cells = []
        for c, cost in enumerate(heatmap.costs.tolist()):
            share = (float(sizes[v, c]) - low) / (high - low) if high > low else 0.5
            here = problem.cost_per_thousand is not None and math.isclose(cost, problem.cost_per_thousand)
            cells.append(
                {
                    "text": response_words.thousands(float(heatmap.followers[v, c])),
                    "share": round(min(1.0, max(0.0, share)), 3),
                    "pays": bool(pays[v, c]),
                    "observed": bool(heatmap.inside_support[v, c]),
                    "here": here and math.isclose(value, problem.value_per_impression),
                }
            )
        rows.append((value, cells))
    return rows


def lineage_rows(facts: Mapping[str, Any]) -> dict[str, str]:
    """Label -> value of what the report says of its making; what the facts lack is left out."""
    packages = facts.get("packages") or {}
    rows = {
        "Signature": facts.get("signature"),
        "Market fingerprint": facts.get("market_fingerprint"),
        "Code (git commit)": facts.get("git_commit"),
        "Seed": facts.get("seed"),
        "Made": facts.get("started_at"),
        "Versions": ", ".join(f"{name} {version}" for name, version in packages.items()),
    }
    return {label: str(value) for label, value in rows.items() if value not in (None, "")}
