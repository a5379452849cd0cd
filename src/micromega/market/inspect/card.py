"""The data card of a market."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from micromega.market.inspect.columns import ColumnCard, column_card, day_of, kind_of, numbers_of
from micromega.market.inspect.enough import usable
from micromega.market.inspect.finding import SEVERITIES, Finding
from micromega.market.inspect.habits import habits
from micromega.market.inspect.impossible import impossible
from micromega.market.inspect.leaks import leaks
from micromega.market.inspect.needs import MODELS, Lack, ModelNeeds, lacking, parts_of
from micromega.market.loss import SERIOUS, WORTH_CHECKING, Loss
from micromega.market.market import Market
from micromega.market.schemas import SCHEMAS

_MONEY = "in the market's currency"
"""What the schemas say of columns that hold money."""
Progress = Callable[[str], None]
_SPAN = {"posts": "posted_at", "orders": "ordered_at", "campaigns": "posted_on", "panel": "date", "exposures": "at"}


@dataclass(frozen=True, kw_only=True)
class TableCard:
    """One table, or one file.

    Attributes:
        name: of the table or file.
        rows: number of them, as far as read.
        columns: those that hold something.
        empty: names of columns that hold nothing.
        whole: all rows are counted; of a large text file only the first ones are.
    """

    name: str
    rows: int
    columns: tuple[ColumnCard, ...]
    empty: tuple[str, ...] = ()
    whole: bool = True


@dataclass(frozen=True, kw_only=True)
class FeatureCard:
    """One feature array.

    Attributes:
        name: of the feature.
        key: post_id, account_id or word.
        rows: ids that have it.
        shape: of one item, in words.
        source: what made it.
    """

    name: str
    key: str
    rows: int
    shape: str
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Whether one model can run.

    Attributes:
        name: as in configs.
        title: in words.
        gives: what one gets from it.
        status: ready; weak: it runs, but on little data; no: it cannot run; after import: the columns of files suffice.
        words: how much it can use.
        advice: what stands against it, or what goes with it.
        lacks: what it cannot do without.
        wishes: what would help it.
    """

    name: str
    title: str
    gives: str
    status: Literal["ready", "weak", "no", "after import"]
    words: str = ""
    advice: str = ""
    lacks: tuple[Lack, ...] = ()
    wishes: tuple[Lack, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """What data hold.

    Attributes:
        name: of the market, file or folder.
        kind: a market, or files that are none yet.
        currency: unit of all money; "" where there is none.
        source: where the data come from.
        fingerprint: of the market.
        first: earliest time of anything that happened.
        last: latest one.
        tables: tables or files.
        features: feature arrays.
        truth: whether a simulator keeps its truth beside the tables.
        models: which can run.
        findings: what is suspicious, the worst first.
        notes: of the import.
        suggestion: for files: YAML of a column map to start from.
    """

    name: str
    kind: Literal["market", "files"]
    currency: str = ""
    source: str = ""
    fingerprint: str = ""
    first: dt.date | None = None
    last: dt.date | None = None
    tables: tuple[TableCard, ...]
    features: tuple[FeatureCard, ...] = ()
    truth: bool = False
    models: tuple[ModelCard, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    suggestion: str = ""

    def found(self, severity: str) -> tuple[Finding, ...]:
        """Findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    @property
    def ready(self) -> tuple[ModelCard, ...]:
        """Models whose needs are met."""
        return tuple(model for model in self.models if model.status != "no")


def inspect_market(market: Market, *, now: dt.datetime | None = None) -> DataCard:
    """Make the data card of a market.

    Args:
        market: validated.
        now: dates after it lie in the future; the clock by default.

    Returns:
        The card; the same market and `now` give the same card.

    Example:
        >>> from micromega.market import simulate
        >>> card = inspect_market(simulate(seed=0, brands=12, creators=50, posts=4))
        >>> card.tables[0].name, card.tables[0].rows
        ('accounts', 62)
    """
    now = now or dt.datetime.now(dt.UTC)
    first, last = _span(market)
    findings = (
        *_lost(market.dropped),
        *leaks(market.tables),
        *impossible(market.tables),
        *habits(market.tables, now),
    )
    return DataCard(
        name=market.name,
        kind="market",
        currency=market.currency if _holds_money(market) else "",
        source=market.source,
        fingerprint=market.fingerprint,
        first=first,
        last=last,
        tables=tuple(_table_card(market, name) for name in SCHEMAS if name in market.tables),
        features=tuple(_features(market)),
        truth=(market.path / "truth").is_dir(),
        models=tuple(_model_card(market)),
        findings=tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        notes=market.notes,
    )


def _holds_money(market: Market) -> bool:
    return any(
        _MONEY in column.doc and rows[name].null_count < rows.num_rows
        for table, rows in market.tables.items()
        for name, column in SCHEMAS[table].columns.items()
    )


def _lost(dropped: Mapping[str, Loss]) -> Iterator[Finding]:
    """Tables that lost much of what they had at the import, or now."""
    for where, loss in dropped.items():
        if loss.share > WORTH_CHECKING:
            yield Finding(
                severity="serious" if loss.share > SERIOUS else "check", table=where, count=loss.rows, total=loss.of,
                what="row dropped because it broke a rule|rows dropped because they broke a rule",
                remedy=f"{loss.of - loss.rows:,} of {loss.of:,} rows are left, which may be no fair sample. The notes "
                "say which rules were broken: correct the source or the column map, and import again.",
            )  # fmt: skip


def _table_card(market: Market, name: str) -> TableCard:
    table, schema = market.tables[name], SCHEMAS[name]
    cards = [column_card(column, table[column], schema.columns[column].doc) for column in table.column_names]
    return TableCard(
        name=name,
        rows=table.num_rows,
        columns=tuple(card for card in cards if card.known),
        empty=tuple(card.name for card in cards if not card.known),
    )


def _features(market: Market) -> Iterator[FeatureCard]:
    for name in market.feature_names:
        feature = market.features(name)
        size = " × ".join(map(str, feature.shape)) or "1"
        yield FeatureCard(
            name=name,
            key=feature.key,
            rows=len(feature),
            shape=f"{size} {feature.values.dtype.name}" if feature.offsets is None else
            f"sequence of {size} {feature.values.dtype.name}",
            source=feature.source,
        )  # fmt: skip


def _model_card(market: Market) -> Iterator[ModelCard]:
    parts = parts_of(market)
    for model in MODELS:
        lacks = lacking(model.needs, parts)
        wishes = lacking(model.helps, parts)
        otherwise = bool(lacks and model.otherwise) and not lacking(model.otherwise, parts)
        if lacks and not otherwise:
            yield model_card(model, status="no", lacks=lacks)
            continue
        if otherwise:
            wishes = lacks
        use = usable(model.name, market, otherwise=otherwise)
        yield model_card(
            model,
            status="no" if use.stop else "weak" if use.warning else "ready",
            words=use.words,
            advice=" ".join(filter(None, (use.stop or use.warning, use.advice))),
            wishes=wishes,
        )


def model_card(
    model: ModelNeeds,
    *,
    status: Literal["ready", "weak", "no", "after import"],
    words: str = "",
    advice: str = "",
    lacks: tuple[Lack, ...] = (),
    wishes: tuple[Lack, ...] = (),
) -> ModelCard:
    """Say of one model whether it can run."""
    return ModelCard(
        name=model.name, title=model.title, gives=model.gives, status=status, words=words, advice=advice,
        lacks=lacks, wishes=wishes,
    )  # fmt: skip


def _span(market: Market) -> tuple[dt.date | None, dt.date | None]:
    """First and last day of anything that happened."""
    days = []
    for name, column in _SPAN.items():
        if name in market.tables:
            values = market.tables[name][column].drop_null()
            if len(values):
                unit = 86_400_000_000 if kind_of(values.type) == "time" else 1
                found = numbers_of(values)
                days += [int(found.min()) // unit, int(found.max()) // unit]
    if not days:
        return None, None
    return day_of(min(days)), day_of(max(days))
