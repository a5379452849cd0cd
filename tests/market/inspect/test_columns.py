"""The numbers of a column against counting by hand."""

import datetime as dt
import math
import statistics

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micromega.market.inspect.columns import BINS, column_card, histogram

NUMBERS = st.lists(st.integers(0, 10**12), min_size=2, max_size=200)


@given(NUMBERS, st.booleans())
def test_every_value_is_in_a_bin_or_a_zero(values, counts):
    found = histogram(np.array(values), counts=counts)
    if len(set(values)) == 1:
        assert found is None
        return
    assert sum(found.counts) + found.zeros == len(values)
    assert len(found.counts) <= BINS
    assert found.low <= min(v for v in values if v > 0 or not found.log)
    assert found.high >= max(values)
    assert found.zeros == (values.count(0) if found.log else 0)


@given(NUMBERS)
def test_bins_hold_what_lies_between_their_edges(values):
    found = histogram(np.array(values), counts=True)
    if found is None:
        return
    edges = np.linspace(*(np.log10([found.low, found.high]) if found.log else (found.low, found.high)),
                        len(found.counts) + 1)  # fmt: skip
    place = [math.log10(value) if found.log else value for value in values if value > 0 or not found.log]
    clear = [x for x in place if np.abs(edges[1:-1] - x).min(initial=1) > 1e-9]
    for count, low, high in zip(found.counts, edges, edges[1:], strict=False):
        sure = sum(low - 1e-9 <= x <= high + 1e-9 for x in clear)
        assert sure <= count <= sure + len(place) - len(clear)


def test_a_few_small_counts_have_a_bin_each():
    found = histogram(np.array([1, 1, 2, 5]), counts=True)
    assert found.counts == (2, 1, 0, 0, 1)
    assert (found.low, found.high, found.log) == (0.5, 5.5, False)


def test_counts_that_span_magnitudes_are_on_a_log_scale():
    found = histogram(np.array([0, 0, 1, 10, 100, 1000, 10_000]), counts=True)
    assert found.log
    assert found.zeros == 2
    assert sum(found.counts) == 5
    assert found.counts[0] == found.counts[-1] == 1


@pytest.mark.parametrize("values", [[], [3], [3, 3, 3], [0, 0]])
def test_no_histogram_of_one_value(values):
    assert histogram(np.array(values, dtype=np.int64), counts=True) is None


def test_counts_of_one_magnitude_are_on_a_linear_scale():
    assert not histogram(np.array([4855, 4856, 9000]), counts=True).log


def test_negative_numbers_stay_on_a_linear_scale():
    assert not histogram(np.array([-1.0, 1e9]), counts=False).log


@given(st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), min_size=1, max_size=99))
def test_ranges_of_integers(values):
    card = column_card("x", pa.chunked_array([pa.array(values, pa.int64())]))
    known = [value for value in values if value is not None]
    assert (card.rows, card.missing, card.known) == (len(values), values.count(None), len(known))
    if known:
        assert (card.low, card.median, card.high) == (min(known), statistics.median_high(known), max(known))
    else:
        assert card.low is card.median is card.high is card.histogram is None


def test_texts():
    card = column_card("x", pa.chunked_array([pa.array(["ab", "ab", "c", None, "äöü", "ab", "ab"])]))
    assert (card.kind, card.missing, card.distinct) == ("text", 1, 3)
    assert (card.low, card.median, card.high) == (1, 2, 3)
    assert card.top == (("ab", 4), ("c", 1), ("äöü", 1))


def test_ids_have_no_frequent_values():
    card = column_card("x", pa.chunked_array([pa.array([f"p{i}" for i in range(20)])]))
    assert card.distinct == 20
    assert card.top == ()


def test_lists_count_empty_ones_as_missing():
    card = column_card("x", pa.chunked_array([pa.array([["a", "b"], [], ["a"]]), pa.array([["a"]])]))
    assert (card.kind, card.missing, card.distinct, card.high) == ("list", 1, 2, 2)
    assert card.top == (("a", 3), ("b", 1))


def test_flags_times_and_days():
    flags = column_card("x", pa.chunked_array([pa.array([True, False, None, True])]))
    assert (flags.kind, flags.top, flags.missing) == ("yes/no", (("yes", 2), ("no", 1)), 1)
    time = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    times = column_card(
        "x", pa.chunked_array([pa.array([time, time + dt.timedelta(days=1)], pa.timestamp("ms", "UTC"))])
    )
    assert (times.low, times.high - times.low) == (time, dt.timedelta(days=1))
    days = column_card("x", pa.chunked_array([pa.array([dt.date(1997, 1, 1), None])]))
    assert (days.low, days.kind, days.missing) == (dt.date(1997, 1, 1), "day", 1)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.5, float("nan"), float("inf")]),
        pa.array([{"a": 1}]),
        pa.nulls(3),
        pa.array([b"x"]),
        pa.array([2**63], pa.uint64()),
        pa.array([], pa.string()),
        pa.array([[1, 2]]),
        pa.array([dt.time(1)]),
    ],
)
def test_odd_columns_of_files_are_described_too(values):
    card = column_card("x", pa.chunked_array([values]))
    assert card.rows == len(values)
    assert card.high is None or math.isfinite(card.high)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2_001, None], pa.timestamp("ns")),  # nanoseconds, as pandas writes them
        pa.array([-(10**17), 10**17, 0], pa.timestamp("us")),  # years that no calendar of Python has
        pa.array([2**31 - 1, -(2**31)], pa.date32()),
        pa.array([1_700_000_000_000_000, 1_700_000_000_000_001], pa.timestamp("us")),
        pa.array([1e308, -1e308]),
        pa.array([1.0, 1.0 + 2**-52]),
    ],
)
def test_values_at_the_edge_of_what_numbers_hold(values):
    card = column_card("x", pa.chunked_array([values]))
    assert card.low is not None
    assert card.low <= card.high
