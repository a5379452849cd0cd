"""A data card in words, the same on the page and in the terminal."""

import datetime as dt
from collections.abc import Mapping, Sequence

from micromega.market.inspect import ColumnCard, DataCard, Histogram, ModelCard, TableCard
from micromega.report.words import NONE, day, number, percent, plural

SEVERITY: Mapping[str, tuple[str, str]] = {
    "serious": ("bad", "serious"),
    "check": ("fair", "worth checking"),
    "note": ("good", "good to know"),
}
"""Severity -> tone and words."""
_STATUS: Mapping[str, tuple[str, str]] = {
    "ready": ("good", "can run"),
    "weak": ("fair", "little data"),
    "no": ("off", "cannot run"),
    "after import": ("good", "columns suffice"),
}
"""Status of a model -> tone, words."""
_UNITS = {"text": "char.", "list": "items"}


def verdict(card: DataCard) -> str:
    """The card in two sentences."""
    sizes = [plural(table.rows, *_nouns(table.name)) for table in card.tables if table.name in ("accounts", "posts")]
    if not sizes:
        more = "" if all(table.whole for table in card.tables) else "more than "
        sizes = [more + plural(sum(table.rows for table in card.tables), "row")]
    span = ""
    if card.first is not None and card.last is not None:
        span = f", {day(card.first)} to {day(card.last)}" if card.first != card.last else f", all of {day(card.first)}"
    return f"{' and '.join(sizes)}{span}. {_able(card)}."


def _able(card: DataCard) -> str:
    """How many models the data suffice for."""
    if card.kind == "files" and not card.suggestion:
        return "No model can run: no column has a name that says what it is, so write a column map by hand"
    share = _share(card.models)
    if card.kind == "files":
        if not card.ready:
            return "No model can run after an import by the column map below"
        return (
            f"The columns suffice for {share} models; row counts are checked after the import by the column map below"
        )
    return f"{share[0].upper()}{share[1:]} models can run" if share else "No model can run"


def _share(models: Sequence[ModelCard]) -> str:
    able = sum(model.status != "no" for model in models)
    return f"{able or 'none'} of {len(models)}".replace(" ", "\N{NO-BREAK SPACE}") if models else ""


def status(model: ModelCard) -> tuple[str, str]:
    """Whether a model can run: (tone, a few words)."""
    return _STATUS[model.status]


def rows(table: TableCard) -> str:
    """How many rows a table has, or how many of a file are described.

    Example:
        >>> rows(TableCard(name="x.csv", rows=1200, columns=(), whole=False))
        'the first 1,200 rows'
    """
    return plural(table.rows, "row") if table.whole else f"the first {plural(table.rows, 'row')}"


def badge(card: DataCard) -> tuple[str, str, str]:
    """How suspicious the data are: (tone, a few words, one sentence)."""
    if card.kind == "files":
        return "fair", "No market yet", "These files have to be imported before anything can be checked."
    counts = {severity: len(card.found(severity)) for severity in SEVERITY}
    if not sum(counts.values()):
        return "good", "Nothing suspicious", "No check found anything."
    said = ", ".join(f"{count:,} {SEVERITY[severity][1]}" for severity, count in counts.items() if count)
    tone = next(SEVERITY[severity][0] for severity, count in counts.items() if count)
    words = {"bad": "Look before use", "fair": "Some things to check", "good": "Nothing serious"}[tone]
    return tone, words, f"{plural(sum(counts.values()), 'finding')}: {said}."


def value(found: float | dt.date | None, kind: str = "") -> str:
    """One value of a column; lengths of texts and lists with their unit.

    Example:
        >>> value(1200.0), value(dt.date(2020, 3, 1)), value(12.0, "text")
        ('1,200', '1 Mar 2020', '12 char.')
    """
    if isinstance(found, dt.date):
        return day(found).replace("\N{NO-BREAK SPACE}", " ")
    text = number(found)
    unit = "item" if kind == "list" and found == 1 else _UNITS.get(kind, "")
    return f"{text} {unit}" if found is not None and unit else text


def values(column: ColumnCard) -> str:
    """Frequent values of a column, or how many different ones there are."""
    if column.kind == "yes/no":
        return ", ".join(f"{word} {percent(count / max(column.known, 1))}" for word, count in column.top)
    if column.distinct is None:
        return ""
    if column.kind == "text" and column.distinct == column.known:
        return "all different"
    return plural(column.distinct, "different item" if column.kind == "list" else "different value")


def ranged(column: ColumnCard) -> str:
    """Smallest, middle and largest value in one line."""
    if column.low is None:
        return ""
    if column.low == column.high:
        return value(column.low, column.kind)
    unit = f" {_UNITS[column.kind]}" if column.kind in _UNITS else ""
    low, middle, high = (value(end) for end in (column.low, column.median, column.high))
    if middle in (low, high) or column.kind in ("time", "day"):
        return f"{low} to {high}{unit}"
    return f"{low} to {high}{unit}, median {middle}"


def described(histogram: Histogram, name: str) -> str:
    """A histogram in one sentence, for who cannot see it."""
    scale = "on a log scale" if histogram.log else "of equal width"
    zeros = f", beside {plural(histogram.zeros, 'zero')}" if histogram.zeros else ""
    return f"{name}: {plural(sum(histogram.counts), 'value')} in {len(histogram.counts)} bins {scale}{zeros}"


def missing(column: ColumnCard) -> str:
    """Share of rows without a value."""
    return NONE if not column.missing else percent(column.missing / column.rows)


def ordered(models: Sequence[ModelCard]) -> list[ModelCard]:
    """Models that can run first."""
    return sorted(models, key=lambda model: model.status == "no")


def _nouns(table: str) -> tuple[str, str]:
    return table.removesuffix("s"), table
