"""The data card as one HTML file: nothing to load, no script, every text escaped, in the style of the report."""

from micromega.market.inspect import DataCard, Histogram
from micromega.report import card_words, words
from micromega.report.environment import environment

WIDTH, HEIGHT = 160.0, 32.0  # of a histogram, in units of its view box
_GAP = 6.0  # between the bar of the zeros and the others


def render(card: DataCard) -> str:
    """Write a data card as HTML.

    The page holds its style and figures, loads nothing, runs no script (a content security policy in the page forbids
    both) and follows the reader's choice of light or dark. The same card gives the same text.

    Args:
        card: of a market, or of files.

    Returns:
        The text of an HTML file; write it as UTF-8.

    Example:
        >>> page = render(DataCard(name="mine", kind="market", tables=(), models=()))
        >>> "Nothing suspicious" in page
        True
    """
    templates = environment(
        number=words.number,
        percent=words.percent,
        plural=words.plural,
        shorten=words.shorten,
        rows=card_words.rows,
        value=card_words.value,
        values=card_words.values,
        missing=card_words.missing,
        described=card_words.described,
        bars=bars,
        zero_bar=zero_bar,
    )
    return templates.get_template("data_card.html").render(
        card=card,
        models=card_words.ordered(card.models),
        verdict=card_words.verdict(card),
        badge=card_words.badge(card),
        severity=card_words.SEVERITY,
        status=card_words.status,
        box=f"0 0 {WIDTH:g} {HEIGHT:g}",
    )


def bars(histogram: Histogram) -> str:
    """Bars as the path of an SVG; they leave room on the left where zeros have a bar of their own."""
    left = WIDTH / (len(histogram.counts) + 1) + _GAP if histogram.zeros else 0.0
    width = (WIDTH - left) / len(histogram.counts)
    return "".join(
        _bar(left + place * width, width, count, _tallest(histogram))
        for place, count in enumerate(histogram.counts)
        if count
    )


def zero_bar(histogram: Histogram) -> str:
    """Path of the bar of the zeros."""
    return _bar(0.0, WIDTH / (len(histogram.counts) + 1), histogram.zeros, _tallest(histogram))


def _bar(left: float, width: float, count: int, tallest: int) -> str:
    height = max(1.0, HEIGHT * count / tallest)  # a single value stays visible
    return f"M{left:.1f} {HEIGHT:g}v{-height:.1f}h{max(width - 1, 0.6):.1f}V{HEIGHT:g}z"


def _tallest(histogram: Histogram) -> int:
    return max(*histogram.counts, histogram.zeros, 1)
