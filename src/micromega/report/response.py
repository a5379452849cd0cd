"""The report of Deep IV as one HTML file: nothing to load, no script, every text escaped."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from micromega.models.deepiv.verdict import direct_words
from micromega.report import (
    response_cases,
    response_direct,
    response_methods,
    response_plots,
    response_posts,
    response_words,
    words,
)
from micromega.report.environment import environment

if TYPE_CHECKING:
    from micromega.models.deepiv.result import CausalEvaluation

from markupsafe import Markup  # isort: skip  # comes with jinja2

MOST_PANELS = 12  # of the small multiples; the table shows every group
MOST_ITEMS = 12  # of a list among the facts


def render_response(result: "CausalEvaluation", *, market: str, lineage: Mapping[str, str], notice: str | None) -> str:
    """Write the report as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same result gives the same text.

    Args:
        result: what evaluation has found; its first subject is all posts, its first method the model.
        market: name of the market.
        lineage: label -> value: fingerprints, commit, versions, seed, signature, time.
        notice: what a reader must know first, for instance that the market is simulated.

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
    )
    found = result.diagnostics.verdict
    scale = response_words.tier_scale(result)
    return templates.get_template("response.html").render(
        result=result,
        market=market,
        model=next(iter(result.metrics), "Deep IV"),
        notice=notice,
        warnings=found.warnings,
        weak=found.weak,
        verdict=response_words.verdict(result),
        badge=response_words.badge(result),
        thin=response_words.thin_band(result),
        words=response_words,
        findings=findings(result),
        level=_level(result),
        scale=scale,
        methods=response_methods.method_rows(result, scale),
        comparison=response_methods.best_words(result),
        classes=response_cases.class_rows(result),
        examples=response_cases.examples(result),
        by_kind=response_words.by_kind(result),
        direct=None if result.diagnostics.direct is None else direct_words(result.diagnostics.direct),
        statistics=[] if result.description is None else response_posts.summary_rows(result.description),
        peaks=[response_words.peak(result, subject) for subject in result.subjects],
        peak_of=lambda subject: response_words.peak(result, subject),
        errors=response_words.errors_by_kind(result),
        coverage=response_words.coverage_words(result),
        most_panels=MOST_PANELS,
        figures=_figures(result),
        report={
            "limits": response_words.RESPONSE_LIMITS,
            "facts": fact_rows(result),
            "lineage": lineage,
        },
    )


def _level(result: "CausalEvaluation") -> str:
    """What bands are called: with their level and kind, where the facts know them."""
    level = result.facts.get("level")
    kind = "band for the whole curve" if result.facts.get("bands") == "simultaneous" else "interval"
    return kind if level is None else f"{words.percent(float(level), 0)} {kind}"


def _figures(result: "CausalEvaluation") -> dict[str, Any]:
    """The figures, as markup that must not be escaped a second time; None where there is nothing to draw."""
    drawn: dict[str, str | None] = dict.fromkeys(("average", "cases", "truth", "direct", "distribution", "scatter"))
    if result.subjects:
        drawn["average"] = response_plots.average_plot(result)
    if result.subjects[1:]:
        drawn["cases"] = response_cases.cases_plot(result)
    if result.truth:
        drawn["truth"] = response_plots.truth_plot(result)
    if result.diagnostics.direct is not None:
        drawn["direct"] = response_direct.direct_plot(result)
    if result.description is not None:
        drawn["distribution"] = response_posts.distribution_plot(result)
        drawn["scatter"] = response_posts.scatter_plot(result)
    groups = [
        response_plots.group_plot(result, found[:MOST_PANELS], name=f"groups-{place}")
        for place, (_, found) in enumerate(response_words.by_kind(result))
    ]
    # matplotlib and ElementTree have escaped every text in these figures.
    marked: dict[str, Any] = {name: None if text is None else Markup(text) for name, text in drawn.items()}  # noqa: S704
    return marked | {"groups": [Markup(text) for text in groups]}  # noqa: S704


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One diagnostic.

    Attributes:
        name: what it is.
        value: as shown.
        beside: what to hold it against.
        tone: good, fair, bad, or "" where it neither speaks for nor against.
        tag: the tone in a word.
    """

    name: str
    value: str
    beside: str = ""
    tone: str = ""
    tag: str = ""


def findings(result: "CausalEvaluation") -> list[Finding]:
    """The diagnostics as rows."""
    known = result.diagnostics
    strength = known.strength
    correlation = ", ".join(response_words.slope(value, 3) for value in strength.correlation.tolist())
    force = response_words.force_text(strength.f_effective)
    critical = (
        f"weak below 10; bias of 2SLS under 10\N{NO-BREAK SPACE}% of the worst above {strength.critical_value:.1f}"
    )
    tone = ("bad", "weak") if strength.weak else ("fair", "middling")
    tone = ("good", "strong") if strength.f_effective > max(strength.critical_value, 10) else tone
    rows = [
        Finding(name="Correlation of followers and instrument", value=correlation, beside="logs, all posts"),
        Finding(name="R² of followers on the instrument", value=response_words.slope(strength.r2, 3)),
        Finding(name="R² beyond the controls", value=response_words.slope(strength.partial_r2, 3)),
        Finding(name="Effective F", value=force, beside=critical, tone=tone[0], tag=tone[1]),
        Finding(
            name="Robust F",
            value=response_words.force_text(strength.f_robust),
            beside=_sample(strength.rows, strength.clusters),
        ),
    ]
    if known.gain is not None:
        sure = known.gain.mean > 0 and known.gain.p_value <= response_words.CERTAIN
        rows.append(
            Finding(
                name="Gain of stage 1 from the instrument",
                value=f"{response_words.signed(known.gain.mean)} ± {words.number(known.gain.standard_error)} nats",
                beside=f"per held-out post; {response_words.p_text(known.gain.p_value)}",
                tone="good" if sure else "fair" if known.gain.mean > 0 else "bad",
                tag="gain" if sure else "within the noise" if known.gain.mean > 0 else "none",
            )
        )
    if known.gamma is not None:
        against = known.gamma.speaks_against(response_words.CERTAIN)
        beside = [_sample(known.gamma.rows, known.gamma.clusters)]
        if len(known.gamma.reference):
            ends = (
                response_words.signed(float(value))
                for value in (known.gamma.reference.min(), known.gamma.reference.max())
            )
            beside = [f"{' to '.join(ends)} with random signs", response_words.p_text(known.gamma.p_value), *beside]
        rows.append(
            Finding(
                name="γ, predictability of the residual",
                value=response_words.signed(known.gamma.value),
                beside="; ".join(filter(None, beside)),
                tone="fair" if against else "",
                tag="speaks against it" if against else "no proof",
            )
        )
    if known.residuals is not None:
        against = known.residuals.p_value <= response_words.CERTAIN
        rows.append(
            Finding(
                name="Residual-prediction test of a linear response",
                value=response_words.p_text(known.residuals.p_value) or words.NONE,
                beside=_sample(known.residuals.rows, known.residuals.clusters),
                tone="fair" if against else "",
                tag="not linear, or invalid" if against else "no proof",
            )
        )
    return rows


def _sample(rows: int, clusters: int) -> str:
    return f"{words.plural(rows, 'post')} of {words.plural(clusters, 'creator')}"


def fact_rows(result: "CausalEvaluation") -> dict[str, str]:
    """Label -> value of what is known of the data; values that are unknown here are shown as they are."""
    rows: dict[str, str] = {}
    for name, value in result.facts.items():
        label, text = _fact(name, value)
        if text:
            rows[label] = text
    low, high = (words.about(math.exp(end)) for end in result.support)
    rows["Observed sizes"] = f"{low} to {high} followers (central 99\N{NO-BREAK SPACE}% of posts)"
    rows["Smearing factor"] = words.number(result.smearing)
    return rows


_LABELS = {
    "posts": "Posts",
    "authors": "Creators",
    "controls": "Controls",
    "left_out": "Controls left out",
    "dropped": "Posts left out",
    "instrument": "Instrument",
    "bootstrap": "Bootstrap samples",
    "members": "Members of the ensemble",
    "curves_over": "Posts behind the curves",
    "epochs": "Epochs",
    "level": "Level of the bands",
    "bands": "Bands",
    "judged_on": "Posts that no estimator has learnt from",
}


def _fact(name: str, value: Any) -> tuple[str, str]:
    label = _LABELS.get(name, name.replace("_", " ").capitalize())
    if name == "level" and isinstance(value, float):
        return label, words.percent(value, 0)
    if isinstance(value, Mapping):
        return label, "; ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        more = f" and {len(value) - MOST_ITEMS} more" if len(value) > MOST_ITEMS else ""
        return label, ", ".join(map(_plain, value[:MOST_ITEMS])) + more
    return label, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return words.number(value)
