import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micromega.market.importers.times import parse_times


def parse(texts, form="iso"):
    return parse_times(pa.chunked_array([pa.array(texts, pa.string())]), form).to_pylist()


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_iso_as_python_writes_it(moment, minutes):
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    aware = moment.replace(tzinfo=zone)
    assert parse([aware.isoformat(), aware.isoformat(sep=" "), moment.isoformat(), moment.date().isoformat()]) == [
        aware,
        aware,
        moment.replace(tzinfo=dt.UTC),
        dt.datetime.combine(moment.date(), dt.time(), dt.UTC),
    ]


@given(
    st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2060, 1, 1)),
    st.sampled_from(["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y", "%Y%m%d", "%d %b %Y %I:%M %p", "%Y-%m-%d %H"]),
)
def test_patterns_as_python_writes_them(moment, form):
    text = moment.strftime(form)
    expected = dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
    assert parse([text, text.lower()], form) == [expected, expected]


@given(st.integers(0, 253_402_300_799))
def test_seconds_and_milliseconds_since_1970(seconds):
    expected = dt.datetime.fromtimestamp(seconds, dt.UTC)
    assert parse([str(seconds), f"{seconds}.0"], "unix") == [expected, expected]
    assert parse([str(seconds * 1000)] if seconds < 10**10 else ["0"], "unix_ms") == [
        expected if seconds < 10**10 else dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    ]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2023-02-29", "iso"),
        ("2024-13-01", "iso"),
        ("2024-04-31T10:00:00Z", "iso"),
        ("2024-01-01T24:00:00", "iso"),
        ("2024-01-01 10", "iso"),
        ("31/02/2024", "%d/%m/%Y"),
        ("31/04/2024 10:00", "%d/%m/%Y %H:%M"),
        ("12/31/2024", "%d/%m/%Y"),
        ("1/1/2024 x", "%d/%m/%Y"),
        ("-1", "unix"),
        ("1e9", "unix"),
        ("9999999999999", "unix"),
        ("", "iso"),
        ("tomorrow", "iso"),
        (None, "iso"),
        (None, "%d/%m/%Y"),
    ],
)
def test_what_is_no_time_is_null(text, form):
    assert parse([text], form) == [None]


def test_numbers_without_leading_zeros():
    assert parse(["1/5/2019 3:08"], "%m/%d/%Y %H:%M") == [dt.datetime(2019, 1, 5, 3, 8, tzinfo=dt.UTC)]
