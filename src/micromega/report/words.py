"""Numbers and verdicts in words that a manager reads without help."""

import math
from datetime import date

from micromega.report.content import CampaignReport
from micromega.solvers.plan import Certificate, Status

NONE = "\N{EN DASH}"
"""Shown where there is no number."""


def number(value: float | None, digits: int | None = None) -> str:
    """Thousands separators; three significant digits below 100, none after the point above, unless `digits` says.

    Example:
        >>> number(1234567), number(0.01234), number(12.0)
        ('1,234,567', '0.0123', '12')
    """
    if value is None or not math.isfinite(value):
        return NONE if value is None or math.isnan(value) else ("∞" if value > 0 else "-∞")
    if digits is None:
        if value == 0 or float(value).is_integer():
            digits = 0
        else:
            digits = max(0, 2 - math.floor(math.log10(abs(value)))) if abs(value) < 100 else 0
    text = f"{value:,.{min(digits, 8)}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text


def about(value: float) -> str:
    """Three significant digits, for sentences.

    Example:
        >>> about(45321.7), about(7.0), about(0.12345)
        ('45,300', '7', '0.123')
    """
    if not math.isfinite(value) or value == 0:
        return number(value)
    return number(round(value, 2 - math.floor(math.log10(abs(value)))))


def money(value: float | None, currency: str, digits: int | None = None) -> str:
    r"""Amount after its currency; cents only where there are any and the amount is below 10,000.

    Example:
        >>> money(9870.0, "EUR"), money(12.5, "EUR"), money(123456.78, "EUR")
        ('EUR\xa09,870', 'EUR\xa012.50', 'EUR\xa0123,457')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if digits is None:
        digits = 2 if abs(value) < 10_000 and round(value, 2) != round(value) else 0
    return f"{currency}\N{NO-BREAK SPACE}{value:,.{digits}f}" if currency else f"{value:,.{digits}f}"


def amount(value: float | None, currency: str) -> str:
    r"""Amount for headlines: no cents from 100 up.

    Example:
        >>> amount(2746.22, "EUR"), amount(4.5, "EUR")
        ('EUR\xa02,746', 'EUR\xa04.50')
    """
    return money(value, currency, 0 if value is not None and abs(value) >= 100 else None)


def percent(share: float | None, digits: int = 1) -> str:
    r"""Share of one as per cent.

    Example:
        >>> percent(0.9871), percent(0.00004), percent(1), percent(1, 0)
        ('98.7\xa0%', '< 0.1\xa0%', '100\xa0%', '100\xa0%')
    """
    if share is None or not math.isfinite(share):
        return NONE
    if 0 < share < 0.5 * 10 ** (-digits - 2):
        return f"< {10**-digits:.{digits}f}\N{NO-BREAK SPACE}%"
    text = f"{100 * share:,.{digits}f}"
    whole = text.rstrip("0").rstrip(".") if "." in text and float(text.replace(",", "")) in {0.0, 100.0} else text
    return f"{whole}\N{NO-BREAK SPACE}%"


def day(value: date | None) -> str:
    r"""Calendar day, as 3 Mar 2026.

    Example:
        >>> day(date(2026, 3, 3))
        '3\xa0Mar\xa02026'
    """
    return NONE if value is None else f"{value.day}\N{NO-BREAK SPACE}{value:%b}\N{NO-BREAK SPACE}{value.year}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Count with its noun.

    Example:
        >>> plural(1, "creator"), plural(1200, "creator")
        ('1 creator', '1,200 creators')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shorten(text: str, length: int = 180) -> str:
    r"""One line of at most `length` characters, cut at a word where possible.

    Example:
        >>> shorten("one  two\nthree", 9)
        'one two…'
    """
    flat = " ".join(text.split())
    if len(flat) <= length:
        return flat
    cut = flat[: length - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[length // 2 :] else cut) + "…"


def verdict(report: CampaignReport) -> str:
    """The plan in one sentence."""
    if not report.planned:
        return "Book nobody: within the rules and the budget, no post can be had that adds anything."
    posts = "" if report.creators == len(report.planned) else f" with {plural(len(report.planned), 'post')}"
    return (
        f"Book {plural(report.creators, 'creator')}{posts} for {amount(report.spend, report.currency)} of the "
        f"{amount(report.budget, report.currency)} budget and expect about {about(report.value)} {report.value_unit}."
    )


def badge(certificate: Certificate | None) -> tuple[str, str, str]:
    """What the certificate says: (tone, a few words, one sentence); tone is good, fair or bad."""
    if certificate is None:
        return "fair", "Not certified", "No checker has looked at this plan."
    failed = sum(not check.ok for check in certificate.checks)
    if failed or not certificate.status.has_plan:
        broken = (
            f"{plural(failed, 'check fails', 'checks fail')}" if failed else f"its status is “{certificate.status}”"
        )
        return "bad", "Do not use", f"The independent check rejects this plan: {broken}."
    kept = f"Independent code recomputed {plural(len(certificate.checks), 'check')}, and all hold."
    if certificate.status is Status.OPTIMAL:
        return "good", "Certified best", f"{kept} {_room(certificate.gap)}"
    return "fair", "Certified, perhaps not best", f"{kept} The proof stopped before it closed. {_room(certificate.gap)}"


def _room(gap: float) -> str:
    """How much better another plan could be."""
    if not math.isfinite(gap):
        return "How far it is from the best plan is not known."
    if gap <= 1e-9:
        return "No plan that keeps the rules can be better."
    return f"No plan that keeps the rules can be better by more than {_small_percent(gap)}."


def _small_percent(share: float) -> str:
    """Per cent with one digit that is rounded up, so that the statement stays true."""
    points = 100 * share
    digits = max(0, -math.floor(math.log10(points)))
    return f"{math.ceil(points * 10**digits) / 10**digits:.{digits}f}\N{NO-BREAK SPACE}%"
