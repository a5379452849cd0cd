"""Damage in one place is found, counted and named; a sound market is not accused."""

import datetime as dt
import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_market import tiny_tables, with_column, write_tiny

from micromega.market import simulate
from micromega.market.checks import conform, repeated
from micromega.market.inspect import inspect_market
from micromega.market.inspect.habits import far_out, habits
from micromega.market.inspect.impossible import impossible
from micromega.market.inspect.leaks import leaks
from micromega.market.schemas import SCHEMAS

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TIME = pa.timestamp("us", tz="UTC")


def found(**changed):
    """(severity, table, column) -> finding of the tiny market with changed tables."""
    tables = {**tiny_tables(), **changed}
    tables = {name: conform(table, SCHEMAS[name], name) for name, table in tables.items()}
    findings = [*leaks(tables), *impossible(tables), *habits(tables, NOW)]
    assert all(finding.remedy and finding.sentence for finding in findings)
    return {(finding.severity, finding.table, finding.column): finding for finding in findings}


def posts(**columns):
    table = tiny_tables()["posts"]
    for name, values in columns.items():
        column = values if isinstance(values, pa.Array) else pa.array(values)
        known = name in table.column_names
        table = with_column(table, name, column) if known else table.append_column(name, column)
    return table


def accounts(**columns):
    return pa.table({"account_id": columns.pop("ids"), **columns})


def test_the_tiny_market_is_sound():
    assert found() == {}


def test_the_simulated_market_is_sound():
    card = inspect_market(simulate(seed=3, brands=24, creators=150, posts=8), now=NOW)
    assert not card.found("serious"), [finding.sentence for finding in card.findings]


def check(finding, *, count, total=None, example=None):
    assert finding.count == count
    assert total is None or finding.total == total
    assert example is None or finding.examples[0] == example


def test_repeated_posts():
    table = tiny_tables()["posts"]
    copy = with_column(table.slice(0, 2), "post_id", ["p9", "p8"])
    finding = found(posts=pa.concat_tables([table, copy]))["serious", "posts", ""]
    check(finding, count=2, total=6, example="p9 (account_id ann)")
    later = with_column(copy, "posted_at", pa.array([NOW - dt.timedelta(days=1)] * 2, TIME))
    check(found(posts=pa.concat_tables([table, later]))["note", "posts", "caption"], count=2)


def test_posts_without_text_are_no_copies():
    table = posts(caption=["", "", " ", None], account_id=["ann"] * 4, posted_at=pa.nulls(4, TIME))
    assert ("serious", "posts", "") not in found(posts=table)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2)), max_size=40))
def test_repeated_rows_are_those_seen_before(rows):
    columns = [pa.chunked_array([pa.array([row[0] for row in rows], pa.string())]),
               pa.chunked_array([pa.array([row[1] for row in rows], pa.int64())])]  # fmt: skip
    seen = Counter()
    expected = []
    for row in rows:
        expected.append(seen[row] > 0)
        seen[row] += 1
    assert repeated(columns).tolist() == expected


@pytest.mark.parametrize("column", ["likes", "comments", "shares"])
def test_more_of_something_than_impressions(column):
    finding = found(posts=posts(**{column: [5, 5, 5, 50]}, impressions=[10, None, 5, 49]))["serious", "posts", column]
    check(finding, count=1, total=3, example=f"p4 ({column} 50, impressions 49)")


def test_authors_without_followers():
    finding = found(posts=posts(author_followers=[0, 1, None, 0], likes=[100, 5, 5, 9]))["check", "posts", "likes"]
    check(finding, count=1, example="p1 (account_id ann, likes 100)")


def test_more_likes_than_hearts_and_more_posts_than_videos():
    table = accounts(ids=["acme", "bolt", "ann", "ben", "cem"], kind=["brand"] * 2 + ["creator"] * 3,
                     followers=[1] * 5, hearts=[None, 1, 99, 1_000, 1_000], videos=[None, 0, 1, 1, 1])  # fmt: skip
    result = found(accounts=table)
    check(result["serious", "posts", "likes"], count=1, total=4, example="p1 (account_id ann, likes 100)")
    check(result["check", "accounts", "videos"], count=1, total=4, example="ann (videos 1)")


@pytest.mark.parametrize("seed", range(6))
def test_falling_views_in_any_order(seed):
    rows = [("p1", 1, 10), ("p1", 2, 9), ("p1", 4, 30), ("p2", 1, 5), ("p2", 3, 5), ("p2", 7, 4)]
    if seed:  # 0: in order, which takes a shorter way
        random.Random(seed).shuffle(rows)
    views = pa.table(
        {"post_id": [r[0] for r in rows], "day": [r[1] for r in rows], "impressions": [r[2] for r in rows]}
    )
    result = found(views=views, posts=posts(impressions=[30, 3, None, None]))
    falls = result["serious", "views", "impressions"]
    check(falls, count=2, total=6)
    assert sorted(falls.examples) == ["p1 (day 2, impressions 9)", "p2 (day 7, impressions 4)"]
    check(result["check", "views", "impressions"], count=1, total=2, example="p2 (day 7, impressions 4)")


def test_quotas_loops_and_foreign_merchants():
    result = found(
        merchants=pa.table({"merchant_id": ["m", "n", "o"], "quota": [1, 9, 3]}),
        products=pa.table({"product_id": ["x", "y", "z"], "merchant_id": ["m", "n", "o"], "quota": [2, 2, 3]}),
        orders=pa.table({"order_id": ["1", "2"], "product_id": ["x", "y"], "customer_id": ["ann", "ben"],
                         "merchant_id": ["m", "m"]}),
        follows=pa.table({"source_id": ["ann", "ben"], "target_id": ["ben", "ben"]}),
    )  # fmt: skip
    check(result["check", "merchants", "quota"], count=1, total=3, example="m (quota 1)")
    check(result["note", "merchants", "quota"], count=1, example="n (quota 9)")
    check(result["serious", "orders", "merchant_id"], count=1, total=2, example="2 (product_id y, merchant_id m)")
    check(result["check", "follows", ""], count=1, example="ben")


def test_dates_that_cannot_be():
    when = [dt.datetime(1970, 1, 1, tzinfo=dt.UTC), None, NOW + dt.timedelta(days=2), NOW - dt.timedelta(days=2)]
    tables = {name: conform(table, SCHEMAS[name], name) for name, table in tiny_tables().items()}
    tables["posts"] = conform(posts(posted_at=pa.array(when, TIME)), SCHEMAS["posts"], "")
    findings = [finding for finding in habits(tables, NOW) if finding.column == "posted_at"]
    assert [finding.sentence for finding in findings] == ["1 date in the future", "1 date of 1970 or earlier"]
    assert [finding.examples[0].split()[0] for finding in findings] == ["p3", "p1"]
    assert all(finding.total == 3 for finding in findings)


def wide(n, **columns):
    """`n` posts of ann."""
    rows = np.arange(n)
    day = pa.array([dt.datetime(2024, 1, 1, 7, tzinfo=dt.UTC) + dt.timedelta(hours=int(i)) for i in rows], TIME)
    base = {
        "post_id": [f"p{i}" for i in rows],
        "account_id": ["ann", "ben"] * (n // 2) + ["ann"] * (n % 2),
        "posted_at": day,
    }
    return pa.table(base | columns)


def habits_of(table):
    tables = {name: conform(rows, SCHEMAS[name], name) for name, rows in {**tiny_tables(), "posts": table}.items()}
    return {f.column or f.what: f for f in habits(tables, NOW) if f.table == "posts"}


def test_rounding():
    likes = [*range(10_000, 22_000, 1_000), 123, 10_001]
    result = habits_of(wide(len(likes), likes=likes))
    (finding,) = result.values()
    assert finding.examples == ("likes: 92% of 13 values",)
    assert "rounded" in finding.sentence


def test_unrounded_and_small_counts_are_no_finding():
    assert habits_of(wide(30, likes=[10_000 + 37 * i for i in range(30)])) == {}
    assert habits_of(wide(30, likes=[100 * i for i in range(30)])) == {}


def test_constant_columns_and_midnights():
    day = pa.array([dt.datetime(2024, 1, 1 + i, tzinfo=dt.UTC) for i in range(12)], TIME)
    table = wide(12, likes=[7] * 12, music_id=["song"] * 11 + [None], comments=list(range(12)))
    result = habits_of(with_column(table, "posted_at", day))
    assert result["posted_at"].sentence == "All times are midnight: only days are known"
    constant = next(finding for finding in result.values() if "one value" in finding.what)
    assert constant.count == 2
    assert constant.examples == ("likes: 7", "music_id: song")


def test_outliers():
    rng = np.random.default_rng(0)
    likes = np.exp(rng.normal(5, 0.5, 1_000)).astype(int)
    assert habits_of(wide(1_000, likes=likes)) == {}
    likes[77] = 10**8
    finding = habits_of(wide(1_000, likes=likes))["likes"]
    check(finding, count=1, total=1_000, example="p77 (likes 100,000,000)")


def test_heavy_tails_are_no_outliers():
    values = np.exp(np.random.default_rng(0).standard_t(1.5, 10_000))
    assert not far_out(values).any()
    assert not far_out(np.array([0.0] * 50 + [9.0])).any()
    assert not far_out(np.full(50, np.nan)).any()


def test_names_that_differ_only_by_case():
    table = accounts(ids=["acme", "bolt", "ann", "ben", "cem", "Ann"], kind=["brand"] * 2 + ["creator"] * 4,
                     category=["Food", "food ", "cars", None, None, None])  # fmt: skip
    result = found(accounts=table)
    check(result["serious", "accounts", "account_id"], count=2, total=6, example="'ann'")
    check(result["check", "accounts", "category"], count=2, total=3, example="'Food'")


def test_creators_of_whom_something_is_missing():
    table = accounts(ids=["acme", "bolt", "ann", "ben", "cem", "dan"], kind=["brand"] * 2 + ["creator"] * 4,
                     followers=[1, 1, 5, None, 6, 7])  # fmt: skip
    result = found(accounts=table)
    check(result["check", "accounts", "followers"], count=1, total=4, example="ben")
    check(result["note", "accounts", ""], count=1, example="dan")


def many(brands, served):
    """Accounts, posts and mentions of brands by their creators."""
    pairs = [(brand, creator) for brand, creators in served.items() for creator in creators]
    creators = sorted({creator for _, creator in pairs})
    return {
        "accounts": pa.table({"account_id": [*brands, *creators],
                              "kind": ["brand"] * len(brands) + ["creator"] * len(creators),
                              "name": [*brands.values(), *[None] * len(creators)]}),
        "posts": pa.table({"post_id": [f"{b}-{c}" for b, c in pairs], "account_id": [c for _, c in pairs],
                           "mentioned_ids": [[b] for b, _ in pairs]}),
        "mentions": pa.table({"creator_id": [c for _, c in pairs], "brand_id": [b for b, _ in pairs],
                              "posts": [1] * len(pairs)}),
    }  # fmt: skip


TWINS = {"a": "cdef", "b": "cdefg", "h": "cxyz"}
NAMES = {"a": "Linen & Co", "b": "linenco", "h": "Other"}


def leaks_of(tables):
    tables = {name: conform(table, SCHEMAS[name], name) for name, table in tables.items()}
    return {(finding.severity, finding.table): finding for finding in leaks(tables)}


def test_twin_brands():
    result = leaks_of(many(NAMES, TWINS))
    check(result["check", "mentions"], count=1, example="Linen & Co (a) and linenco (b) (4 shared creators)")
    check(result["check", "accounts"], count=2, total=3, example="a (name Linen & Co)")
    assert ("serious", "mentions") not in result


@pytest.mark.parametrize(("part", "severity"), [("test", "serious"), ("train", "check")])
def test_twins_across_the_split_are_serious(part, severity):
    splits = pa.table({"account_id": ["a", "b", "c", "c"], "split": ["train", part, "train", "test"]})
    result = leaks_of({**many(NAMES, TWINS), "splits": splits})
    check(result[severity, "mentions"], count=1)
    check(result["note", "splits"], count=1, example="c")
    assert ("serious", "splits") not in result


def test_a_brand_in_two_parts():
    splits = pa.table({"account_id": ["a", "a", "b"], "split": ["train", "test", "test"]})
    check(leaks_of({**many(NAMES, TWINS), "splits": splits})["serious", "splits"], count=1, total=3, example="a")


def test_pairs_without_a_post():
    tables = many(NAMES, TWINS)
    tables["posts"] = tables["posts"].slice(2)
    check(leaks_of(tables)["serious", "mentions"], count=2, total=13, example="c (brand_id a)")


def test_brands_in_captions_that_are_not_marked():
    table = posts(
        caption=["soup @acme", "@Bolt. and x@y", "mail me@bolt.com @nobody", "no sign: acme"],
        mentioned_ids=pa.array([["acme"], [], [], ["bolt", "acme"]], pa.list_(pa.string())),
    )
    result = found(posts=table)["serious", "posts", "mentioned_ids"]
    check(result, count=1, total=4, example="p2 (caption @Bolt. and x@y)")


def test_brand_names_count_as_handles_and_own_posts_do_not():
    tables = many({"a": "Acme", "b": None, "h": "h"}, TWINS)
    count = tables["posts"].num_rows
    own = pa.table({"post_id": ["own"], "account_id": ["a"], "mentioned_ids": pa.array([[]], pa.list_(pa.string()))})
    tables["posts"] = pa.concat_tables([tables["posts"], own]).append_column(
        "caption", pa.array([None] * (count - 1) + ["with @ACME", "I am @acme"])
    )
    check(leaks_of(tables)["serious", "posts"], count=1, example="h-z (caption with @ACME)")


def test_the_worst_comes_first(tmp_path):
    market = write_tiny(tmp_path / "m", posts=posts(impressions=[1, 1, 1, 1], author_followers=[0] * 4))
    severities = [finding.severity for finding in inspect_market(market, now=NOW).findings]
    assert severities == sorted(severities, key=("serious", "check", "note").index)
    assert severities[0] == "serious"
