"""Numbers in words: never false, never unreadable."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micromega.report import words


@given(st.floats(-1e15, 1e15))
def test_number_reads_back_to_three_digits(value):
    text = words.number(value)
    back = float(text.replace(",", ""))
    assert back == pytest.approx(value, rel=0.006, abs=1e-8)
    assert text != "-0"


@given(st.floats(1e-12, 1.0))
def test_a_gap_is_never_understated(share):
    text = words._small_percent(share).removesuffix("\N{NO-BREAK SPACE}%").replace(",", "")
    assert float(text) / 100 >= share * (1 - 1e-9)
    assert float(text) / 100 <= share * 2.001


@given(st.text(max_size=400), st.integers(2, 200))
def test_shortened_text_is_one_line_of_that_length(text, length):
    short = words.shorten(text, length)
    assert len(short) <= length
    assert len(short.splitlines()) <= 1
    if len(" ".join(text.split())) <= length:
        assert short == " ".join(text.split())


def test_cases_by_hand():
    assert words.number(math.nan) == words.number(None) == "\N{EN DASH}"
    assert (words.number(math.inf), words.number(-math.inf)) == ("∞", "-∞")
    assert (words.number(-0.0001, 2), words.number(999.6), words.number(99.95)) == ("0.00", "1,000", "100.0")
    assert (words.money(-5.0, "EUR"), words.money(0.1, "")) == ("EUR\xa0-5", "0.10")
    assert (words.percent(0.0), words.percent(0.0004, 2), words.percent(2.5)) == ("0\xa0%", "0.04\xa0%", "250.0\xa0%")
    assert words.about(0.0) == "0"
    assert words.shorten("x" * 50, 10) == "x" * 9 + "…"
