"""Names of metrics and verdicts on a ranker, in words that a manager reads without help."""

import math
from collections.abc import Mapping

from micromega.report.ranking_content import RankingReport
from micromega.report.words import number, percent, plural

_NAMES = {"auc": "AUC", "cauc": "cAUC", "median_first_rank": "MedR"}
LOWER_IS_BETTER = frozenset({"median_first_rank"})
BASELINES = {
    "SBR": "similarity of the same features, without learning",
    "RAND": "chance",
    "POP": "most followers first, whatever the brand",
}
CERTAIN = 0.05
"""A p-value below this is called a difference."""
_RANGE = "\N{EN DASH}"


def metric_name(name: str) -> str:
    """Name of a metric as tables show it.

    Example:
        >>> metric_name("recall_at_10"), metric_name("median_first_rank")
        ('Rec@10', 'MedR')
    """
    return _NAMES.get(name, name.replace("recall_at_", "Rec@"))


def metric_value(value: float, name: str) -> str:
    """Value of a metric: ranks with one digit, the rest with three.

    Example:
        >>> metric_value(0.84, "auc"), metric_value(6.0, "median_first_rank")
        ('0.840', '6.0')
    """
    return number(value, 1 if name in LOWER_IS_BETTER else 3)


def interval_text(bounds: tuple[float, float] | None, name: str) -> str:
    """Both ends of an interval.

    Example:
        >>> interval_text((0.81, 0.87), "auc")
        '0.810–0.870'
    """
    return "" if bounds is None else _RANGE.join(metric_value(bound, name) for bound in bounds)


def signed(value: float, name: str) -> str:
    """Difference with its sign.

    Example:
        >>> signed(0.0123, "auc"), signed(-2.0, "median_first_rank")
        ('+0.012', '−2.0')
    """
    text = metric_value(abs(value), name)
    zero = float(text.replace(",", "")) == 0 if math.isfinite(value) else False
    return text if zero else ("+" if value > 0 else "−") + text


def p_text(p_value: float) -> str:
    """p-value as text.

    Example:
        >>> p_text(0.0312), p_text(0.00002)
        ('p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def verdict(report: RankingReport) -> str:
    """How good the ranker is beside the baselines and chance, in one sentence."""
    name = report.headline
    mine = report.metrics[report.model][name]
    rivals = {
        method: report.metrics[method][name]
        for method in report.baselines
        if method != "RAND" and math.isfinite(report.metrics[method].get(name, math.nan))
    }
    beside = []
    if rivals:
        best = max(rivals, key=lambda method: rivals[method])
        what = f" ({BASELINES[best]})" if best in BASELINES else ""
        beside.append(f"the best baseline, {best}{what}, gets {_headline(rivals[best], name)}")
    if math.isfinite(chance := report.metrics.get("RAND", {}).get(name, math.nan)):
        beside.append(f"chance {_headline(chance, name)}")
    value = _headline(mine, name) + _range(report.intervals.get(report.model, {}).get(name), name)
    first = f"On {plural(report.brands, 'brand')} that it has not seen, {report.model}"
    if name == "auc":
        done = f"ranks a partner above another creator with a chance of {value}"
    else:
        places = name.rsplit("_", 1)[1]
        done = f"puts {value} of a brand’s partners among its first {places} of {plural(report.candidates, 'creator')}"
    return f"{first} {done}" + (f"; {', '.join(beside)}." if beside else ".")


def _headline(value: float, name: str) -> str:
    return number(value, 3) if name == "auc" else percent(value, 0 if value >= 0.1 else 1)


def _range(bounds: tuple[float, float] | None, name: str) -> str:
    if bounds is None:
        return ""
    low, high = (_headline(bound, name) for bound in bounds)
    return f" (95\N{NO-BREAK SPACE}% interval {low} to {high})"


def badge(report: RankingReport) -> tuple[str, str, str]:
    """Whether the baselines are beaten: (tone, a few words, one sentence); tone is good, fair or bad."""
    names = list(dict.fromkeys(("auc", report.headline)))
    outcome: dict[str, dict[str, list[str]]] = {"ahead": {}, "even": {}, "behind": {}}
    for method in report.baselines:
        for name in names:
            test = report.tests.get(method, {}).get(name)
            if test is not None:
                where = "even" if test.p_value >= CERTAIN else "ahead" if test.difference > 0 else "behind"
                outcome[where].setdefault(method, []).append(f"{metric_name(name)} {p_text(test.p_value)}")
    if outcome["behind"]:
        return "bad", "Behind a baseline", f"Behind {_listed(outcome['behind'])}, on the same brands."
    if outcome["even"]:
        sentence = f"On these brands it cannot be told apart from {_listed(outcome['even'])}."
        return "fair", "Not clearly better", sentence
    if outcome["ahead"]:
        return "good", "Better than every baseline", f"Ahead of {_listed(outcome['ahead'])}, on the same brands."
    return "fair", "Not tested", "Too few brands, or no baseline, to test against."


def _listed(found: Mapping[str, list[str]]) -> str:
    """Methods, each with its metrics in brackets."""
    items = [f"{method} ({', '.join(metrics)})" for method, metrics in found.items()]
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def best_methods(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Best value of each metric that two methods or more have."""
    best = {}
    for name in dict.fromkeys(name for values in metrics.values() for name in values):
        known = [values[name] for values in metrics.values() if math.isfinite(values.get(name, math.nan))]
        if len(known) > 1:
            best[name] = min(known) if name in LOWER_IS_BETTER else max(known)
    return best
