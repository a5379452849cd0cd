"""The data card in the terminal."""

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from micromega.market.inspect import ColumnCard, DataCard, Finding, Histogram, ModelCard, TableCard
from micromega.report import card_words
from micromega.report.words import shorten

_STYLE = {"good": "green", "fair": "yellow", "bad": "red", "off": "dim"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_LONGEST_NOTE = 400
_EXAMPLES = 3


def show(card: DataCard, console: Console) -> None:
    """Print a data card.

    Texts of the data are shown as they are: neither rich's markup nor control characters in them have any effect.

    Args:
        card: of a market, or of files.
        console: where to.
    """
    tone, headline, sentence = card_words.badge(card)
    console.print(_text(card.name, "bold"), _text(f" · {card_words.verdict(card)}"), sep="")
    console.print(_text(headline, f"bold {_STYLE[tone]}"), _text(f" · {sentence}"), sep="")
    for title, parts in (
        ("tables" if card.kind == "market" else "files", [_table(table) for table in card.tables]),
        ("features", [_features(card)] if card.features else []),
        ("models", [_models(card_words.ordered(card.models))] if card.models else []),
        ("suspicious", [_finding(finding) for finding in card.findings]),
        ("column map to start from", [_text(card.suggestion, lines=True)] if card.suggestion else []),
        (
            "notes" if card.kind == "market" else "before the import",
            [_text(f"· {shorten(note, _LONGEST_NOTE)}") for note in card.notes],
        ),
    ):
        if parts:
            console.print(Rule(title, align="left", style="dim"))
            console.print(Group(*parts))
    if card.fingerprint:
        currency = f" · currency {card.currency}" if card.currency else ""
        console.print(_text(f"\nfingerprint {card.fingerprint}{currency}", "dim", lines=True))


def plain(text: str, *, lines: bool = False) -> str:
    r"""Replace what could steer a terminal: control characters, escape sequences, marks of direction.

    Args:
        text: any.
        lines: keep line breaks.

    Returns:
        Printable text.

    Example:
        >>> plain("a\x1b[31mb\n")
        'a�[31mb '
    """
    kept = "\n" if lines else ""
    flat = (text if lines else text.replace("\n", " ")).replace("\N{NO-BREAK SPACE}", " ")
    return "".join(letter if letter.isprintable() or letter in kept else "\N{REPLACEMENT CHARACTER}" for letter in flat)


def spark(histogram: Histogram) -> str:
    """A histogram as a row of blocks; a dot stands for an empty bin, a bar parts the zeros from the rest."""
    counts = ([histogram.zeros] if histogram.zeros else []) + list(histogram.counts)
    tallest = max(counts)
    blocks = "".join(_BLOCKS[(8 * count - 1) // tallest] if count else "·" for count in counts)
    return f"{blocks[0]}|{blocks[1:]}" if histogram.zeros else blocks


def _text(text: str, style: str = "", *, lines: bool = False) -> Text:
    return Text(plain(text, lines=lines), style=style)


def _table(table: TableCard) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, width=18)
    grid.add_column(style="dim", no_wrap=True, width=6)
    grid.add_column(justify="right", no_wrap=True, width=15)
    grid.add_column(overflow="fold", min_width=40)
    grid.add_column(no_wrap=True, style="cyan", width=30)
    for column in table.columns:
        gone = "" if not column.missing else f"{card_words.missing(column)} missing"
        drawn = column.histogram
        picture = "" if drawn is None else spark(drawn) + (" log" if drawn.log else "")
        grid.add_row(
            _text(column.name), column.kind, _text(gone, "yellow"), _text(_content(column)), Text(picture)
        )  # fmt: skip
    parts: list[RenderableType] = [_text(f"{table.name}  {card_words.rows(table)}", "bold"), Padding(grid, (0, 2))]
    if table.empty:
        parts.append(Padding(_text(f"empty: {', '.join(table.empty)}", "dim"), (0, 2)))
    return Group(*parts)


def _content(column: ColumnCard) -> str:
    if column.kind not in ("text", "list"):
        return card_words.ranged(column) or card_words.values(column)
    if column.kind == "text" and column.top:
        top = ", ".join(f"{shorten(text, 20)} {count / column.known:.0%}" for text, count in column.top)
        return f"{card_words.values(column)}: {top}"
    return f"{card_words.values(column)}, {card_words.ranged(column)}"


def _features(card: DataCard) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for feature in card.features:
        grid.add_row(_text(feature.name), f"{feature.rows:,} {feature.key}s", _text(feature.shape))
    return Padding(grid, (0, 2))


def _models(models: list[ModelCard]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for model in models:
        tone, status = card_words.status(model)
        lines = [f"{model.title}: {model.gives}", *filter(None, (model.words, model.advice))]
        lines += [f"needs {lack.what} ({', '.join(lack.parts)}): {lack.remedy}" for lack in model.lacks]
        grid.add_row(_text(model.name), Text(status, _STYLE[tone]), _text("\n".join(lines), lines=True))
    return Padding(grid, (0, 2))


def _finding(finding: Finding) -> RenderableType:
    tone, severity = card_words.SEVERITY[finding.severity]
    where = f"{finding.table}.{finding.column}" if finding.column else finding.table
    line = Text.assemble(
        (severity, f"bold {_STYLE[tone]}"), f"  {plain(finding.sentence)}  ", (plain(where), "dim")
    )  # fmt: skip
    shown = finding.examples[:_EXAMPLES]
    more = ", …" if finding.count > len(shown) else ""
    parts: list[RenderableType] = [Padding(_text(finding.remedy), (0, 4))]
    if shown:
        parts.append(Padding(_text(f"{', '.join(shown)}{more}", "dim"), (0, 4)))
    return Group(line, *parts)
