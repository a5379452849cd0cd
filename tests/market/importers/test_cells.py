import json
import re
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sources import A

from micromega.errors import DataError
from micromega.market.importers.cells import (
    bad_text_lists,
    hashtags_in,
    mentions_in,
    newest,
    parse_lists,
    parse_minutes,
    parse_short_counts,
    python_value,
    tidy_hashtags,
)
from micromega.market.importers.source import read_csv

CAPTIONS = st.lists(st.none() | st.text("@#ab_ \x00\n0é" + A[:2], max_size=40).map(lambda text: text.replace("aa", A)))
LISTS = st.lists(st.lists(st.text(max_size=6), max_size=4), min_size=1, max_size=6)


def column(values):
    return pa.chunked_array([pa.array(values, pa.string())])


@given(st.lists(st.tuples(st.integers(0, 999_999), st.integers(0, 999), st.sampled_from("KMBkmb")), min_size=1))
def test_short_counts_are_exact(parts):
    texts = [f"{whole}.{part:03}{unit}" for whole, part, unit in parts]
    sizes = {"K": 3, "M": 6, "B": 9}
    expected = [int(Decimal(text[:-1]).scaleb(sizes[text[-1].upper()])) for text in texts]
    assert parse_short_counts(column(texts)).to_pylist() == expected


def test_plain_counts_are_not_rounded():
    texts = ["0", "454", "999999999999999999", "9007199254740993", None, "1B"]
    assert parse_short_counts(column(texts)).to_pylist() == [
        0, 454, 999999999999999999, 9007199254740993, None, 1_000_000_000,
    ]  # fmt: skip


def test_minutes():
    assert parse_minutes(column(["00:31", "01:05", "1234:59"])).to_pylist() == [31.0, 65.0, 74099.0]


@settings(deadline=None)
@given(CAPTIONS)
def test_mentions_and_hashtags_against_plain_loops(captions):
    clean = [(text or "").replace("\x00", " ") for text in captions]
    found = [list(dict.fromkeys(re.findall(r"@([0-9a-f]{12})(?![0-9a-f])", text))) for text in clean]
    assert mentions_in(column(captions)).to_pylist() == found
    assert hashtags_in(column(captions)).to_pylist() == [re.findall(r"#(\w+)", text) for text in clean]


@settings(deadline=None)
@given(LISTS, st.sampled_from(["json", "python"]))
def test_lists_come_back(lists, kind):
    write, read = (json.dumps, json.loads) if kind == "json" else (repr, python_value)
    texts = column([write(items) for items in lists])
    assert not bad_text_lists(texts, read).any()
    assert parse_lists(texts, read).to_pylist() == lists


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "[",
        "]",
        "oops",
        "[1]",
        "[None]",
        "[['a']]",
        "{'a'}",
        "['a'], ['b']",
        "['a",
        "'a']",
        "[a]",
        "['a'] * 9",
        "[" * 500,
    ],
)
def test_a_bad_list_is_found_among_good_ones(bad):
    texts = column(["['x', 'y']", bad, "[]"])
    np.testing.assert_array_equal(bad_text_lists(texts, python_value), [False, True, False])


def test_two_bad_lists_do_not_make_a_good_one():
    texts = column(["['a]", "[b']", "[], []"])  # joined by commas they would be three lists
    assert bad_text_lists(texts, python_value).all()


def test_tidy_hashtags():
    lists = pa.array([["a ", "", "\u2028b"], [], ["  "], ["c"]])
    assert tidy_hashtags(lists).to_pylist() == [["a", "b"], [], [], ["c"]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1))
def test_newest_against_a_plain_loop(rows):
    best = {}
    for place, (key, time) in enumerate(rows):
        if key not in best or time > best[key][0]:
            best[key] = (time, place)
    table = pa.table(
        {"key": [key for key, _ in rows], "time": [time for _, time in rows], "place": list(range(len(rows)))}
    )
    assert newest(table, "key", "time")["place"].to_pylist() == [best[key][1] for key in sorted(best)]


def test_lines_are_right_after_broken_rows_and_line_breaks(tmp_path):
    (tmp_path / "a.csv").write_text('id,text\n1,"a\nb"\n2\n3,"x\ny",z\n4,c\nbad,d\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"2 rows without exactly 2 values \(the first has 1: '2'; lines 4, 5\)"):
        read_csv(tmp_path / "a.csv", ("id",), "error")
    rows = read_csv(tmp_path / "a.csv", ("id", "text"), "drop")
    rows.count("id")
    assert rows.rows["id"].to_pylist() == ["1", "4"]
    assert 'a.csv: column "id" holds 1 value that is no count (line 8: bad).' in rows.notes[1]


def test_what_is_unknown_is_noted_and_not_dropped(tmp_path):
    (tmp_path / "a.csv").write_text("id,n\n1,\n2,Share\n3,4\n", encoding="utf-8")
    rows = read_csv(tmp_path / "a.csv", ("id", "n"), "error")
    rows.blank("n")
    rows.unknown("n", "^Share$", "label|labels")
    rows.short_count("n")
    rows.number("n")
    assert rows.short_counts("n").to_pylist() == [None, None, 4]
    assert rows.notes == [
        'a.csv: column "n" is empty in 1 row (line 2).',
        'Unknown: a.csv: column "n" holds 1 label (line 3: Share).',
    ]


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e999", "1_0", " 1", "1,5", "0x1", "१"])
def test_odd_numbers_are_refused(tmp_path, text):
    (tmp_path / "a.csv").write_text(f'id,n\n1,"{text}"\n', encoding="utf-8")
    for check in ("number", "count", "whole", "short_count"):
        rows = read_csv(tmp_path / "a.csv", ("n",), "error")
        with pytest.raises(DataError, match="line 2"):
            getattr(rows, check)("n")
