import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_market import tiny_tables, with_column

from micromega.errors import DataError
from micromega.market.checks import Origin, Problem, conform, describe
from micromega.market.market import validate
from micromega.market.schemas import ACCOUNTS, EVENTS, POSTS, PRICES, SCHEMAS, TIME


def failing(table: str, changed: pa.Table) -> str:
    with pytest.raises(DataError) as caught:
        validate({**tiny_tables(), table: changed})
    return str(caught.value)


def test_the_tiny_market_is_valid_and_has_all_columns():
    valid, notes = validate(tiny_tables())
    assert notes == ()
    for name, table in valid.items():
        assert table.schema == SCHEMAS[name].arrow
    assert valid["posts"].column("music_id").null_count == 4


def test_absent_list_columns_are_empty_lists():
    table = conform(tiny_tables()["posts"].drop_columns(["hashtags"]), POSTS, "posts.parquet")
    assert table.column("hashtags").to_pylist() == [[]] * 4


def test_null_lists_become_empty_lists():
    posts = with_column(tiny_tables()["posts"], "hashtags", pa.array([["a"], None, [], None], pa.list_(pa.string())))
    assert conform(posts, POSTS, "posts.parquet").column("hashtags").to_pylist() == [["a"], [], [], []]


def test_message_names_file_column_count_rows_values_and_remedy():
    accounts = with_column(tiny_tables()["accounts"], "followers", [5, -1, -40, 7, -3])
    assert failing("accounts", accounts) == (
        'accounts.parquet: column "followers" holds 3 negative values (rows 1, 2, 4: -1, -40, -3).\n'
        "Counts are non-negative integers. Drop or correct those rows, or import with `market.on_bad_rows=drop`, which "
        "reports how many went."
    )


def test_one_bad_row_reads_as_one():
    prices = with_column(tiny_tables()["prices"], "price", [1.0, float("nan"), 2.0])
    assert 'column "price" holds 1 value that is not finite (row 1: nan).' in failing("prices", prices)


def test_many_bad_rows_show_the_first_five_with_thousands_separators():
    table = pa.table({"x": np.arange(5000)})
    problem = Problem(column="x", bad=np.arange(5000) >= 1000, what="bad|bads", rule="")
    origin = Origin(file="f.csv", numbers=np.arange(5000) + 2, word="line")
    expected = (
        'f.csv: column "x" holds 4,000 bads (first 5 lines 1002, 1003, 1004, 1005, 1006: 1000, 1001, 1002, 1003, 1004).'
    )
    assert describe(table, problem, origin) == expected


def test_long_values_are_cut():
    posts = with_column(tiny_tables()["posts"], "account_id", ["x" * 500, "ann", "ben", "cem"])
    assert "x" * 39 + "…)" in failing("posts", posts)


@pytest.mark.parametrize(
    ("table", "column", "values", "words"),
    [
        (
            "accounts",
            "kind",
            ["brand", "brand", "creator", "influencer", "creator"],
            "1 unknown value (row 3: influencer)",
        ),
        ("accounts", "account_id", ["acme", "bolt", "ann", "ann", "ann"], "2 repeated keys (rows 3, 4: ann, ann)"),
        ("accounts", "account_id", ["acme", "bolt", "ann", None, "cem"], "1 null value (row 3: null)"),
        ("accounts", "account_id", ["acme", "bolt", "ann", "", "cem"], "1 empty id (row 3: )"),
        ("posts", "post_id", ["p1", "p2", "p1", "p4"], "1 repeated key (row 2: p1)"),
        ("posts", "account_id", ["ann", "zoe", "ben", "cem"], "1 id that is no known account (row 1: zoe)"),
        ("posts", "brand_id", ["acme", None, "ben", "bolt"], "1 id that is no known brand (row 2: ben)"),
        ("posts", "likes", [1, -2, 3, -4], "2 negative values (rows 1, 3: -2, -4)"),
        ("posts", "duration_s", [1.0, np.inf, None, 2.0], "1 value that is not finite (row 1: inf)"),
        ("posts", "duration_s", [1.0, -0.5, None, 2.0], "1 negative value (row 1: -0.5)"),
        ("posts", "hashtags", [["a", None], [], [], [None, None]], "2 lists with null elements (rows 0, 3"),
        ("mentions", "posts", [1, 0, 1], "1 value below 1 (row 1: 0)"),
        ("mentions", "creator_id", ["ann", "acme", "cem"], "1 id that is no known creator (row 1: acme)"),
        ("mentions", "brand_id", ["acme", "ann", "bolt"], "1 id that is no known brand (row 1: ann)"),
        ("prices", "price", [1.0, None, 2.0], "1 null value (row 1: null)"),
        ("prices", "price", [1.0, -2.0, 2.0], "1 negative value (row 1: -2.0)"),
        ("prices", "creator_id", ["ann", "ann", "cem"], "1 repeated key (row 1: ann)"),
        ("events", "brand_id", ["ann"], "1 id that is no known brand (row 0: ann)"),
        ("events", "scale", [-1.0], "1 negative value (row 0: -1.0)"),
    ],
)
def test_every_rule_names_its_rows(table, column, values, words):
    message = failing(table, with_column(tiny_tables()[table], column, values))
    assert f'{table}.parquet: column "{column}" holds {words}' in message


def test_the_first_mention_is_not_after_the_last():
    mentions = tiny_tables()["mentions"]
    swapped = with_column(mentions, "first_at", mentions.column("last_at").to_pylist()[::-1])
    message = failing("mentions", with_column(swapped, "last_at", mentions.column("first_at").to_pylist()))
    assert 'column "first_at" holds 1 time later than last_at (row 0: 2024-05-04' in message


def test_missing_unknown_and_repeated_columns():
    accounts = tiny_tables()["accounts"]
    assert 'column "kind" (string: brand or creator) is missing' in failing("accounts", accounts.drop_columns(["kind"]))
    renamed = accounts.rename_columns(["account_id", "kind", "folowers", "category"])
    assert 'unknown column "folowers". Did you mean "followers"?' in failing("accounts", renamed)
    assert 'column "kind" appears more than once' in failing(
        "accounts", accounts.append_column("kind", accounts["kind"])
    )


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("likes", pa.array([1.0, 2.0, 3.0, 4.0])),
        ("likes", pa.array(["1", "2", "3", "4"])),
        ("likes", pa.array([True, False, True, False])),
        ("likes", pa.array([2**63, 0, 0, 0], pa.uint64())),
        ("post_id", pa.array([1, 2, 3, 4])),
        ("posted_at", pa.array([0, 1, 2, 3], pa.timestamp("us"))),
        ("posted_at", pa.array(["2024-01-01"] * 4)),
        ("posted_at", pa.array([1, 2, 3, 4], pa.timestamp("ns", tz="UTC"))),
        ("duration_s", pa.array(["1", "2", "3", "4"])),
        ("hashtags", pa.array(["a", "b", "c", "d"])),
        ("hashtags", pa.array([[1], [2], [], []])),
        ("sponsored", pa.array([0, 1, 0, 1])),
    ],
)
def test_a_wrong_type_names_column_and_types(column, values):
    posts = tiny_tables()["posts"]
    changed = posts.append_column(column, values) if column == "sponsored" else with_column(posts, column, values)
    message = failing("posts", changed)
    assert message.startswith(f'posts.parquet: column "{column}"')
    assert str(POSTS.columns[column].type) in message


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("likes", pa.array([1, 2, 3, 4], pa.int16())),
        ("likes", pa.array([1, 2, 3, 4], pa.uint64())),
        ("likes", pa.nulls(4)),
        ("post_id", pa.array(["a", "b", "c", "d"], pa.large_string())),
        ("post_id", pa.array(["a", "b", "c", "d"], pa.string_view())),
        ("caption", pa.array(["a", "b", "a", None]).dictionary_encode()),
        ("posted_at", pa.array([0, 1, 2, 3], pa.timestamp("s", tz="UTC"))),
        ("posted_at", pa.array([0, 1000, 2000, 3000], pa.timestamp("ns", tz="Europe/Berlin"))),
        ("duration_s", pa.array([1, 2, 3, 4])),
        ("duration_s", pa.array([1, 2, 3, 4], pa.float32())),
        ("hashtags", pa.array([["a"], [], [], []], pa.large_list(pa.large_string()))),
    ],
)
def test_lossless_types_are_converted(column, values):
    valid, _ = validate({**tiny_tables(), "posts": with_column(tiny_tables()["posts"], column, values)})
    assert valid["posts"].schema == POSTS.arrow


def test_date64_and_time_zones_keep_the_instant():
    dates = pa.array([1717200000000], pa.date64())
    events = conform(with_column(tiny_tables()["events"], "date", dates), EVENTS, "events.parquet")
    assert str(events.column("date")[0].as_py()) == "2024-06-01"
    berlin = pa.array([1_700_000_000] * 4, pa.timestamp("s", tz="Europe/Berlin"))
    posts = conform(with_column(tiny_tables()["posts"], "posted_at", berlin), POSTS, "posts.parquet")
    assert posts.column("posted_at").cast(pa.int64()).to_pylist() == [1_700_000_000_000_000] * 4
    assert posts.schema.field("posted_at").type == TIME


def test_dropping_takes_dependent_rows_along_and_counts_them():
    accounts = with_column(tiny_tables()["accounts"], "followers", pa.array([None, None, -1, 12000, 50000], pa.int64()))
    valid, notes = validate({**tiny_tables(), "accounts": accounts}, on_bad_rows="drop")
    assert valid["accounts"].column("account_id").to_pylist() == ["acme", "bolt", "ben", "cem"]
    assert valid["posts"].column("post_id").to_pylist() == ["p3", "p4"]
    assert valid["mentions"].num_rows == 2
    assert valid["prices"].column("creator_id").to_pylist() == ["ben", "cem"]
    assert notes == (
        'Dropped: accounts.parquet: column "followers" holds 1 negative value (row 2: -1).',
        'Dropped: posts.parquet: column "account_id" holds 2 ids that are no known account (rows 0, 1: ann, ann).',
        'Dropped: mentions.parquet: column "creator_id" holds 1 id that is no known creator (row 0: ann).',
        'Dropped: prices.parquet: column "creator_id" holds 1 id that is no known creator (row 0: ann).',
    )


def test_dropping_everything_is_an_error():
    prices = with_column(tiny_tables()["prices"], "price", [-1.0, -1.0, -1.0])
    with pytest.raises(DataError, match="holds no rows left after dropping bad ones"):
        validate({**tiny_tables(), "prices": prices}, on_bad_rows="drop")


def test_row_numbers_stay_those_of_the_file_after_drops():
    accounts = pa.table({"account_id": ["a", None, "b", "a"], "kind": ["brand"] * 4})
    _, notes = validate({"accounts": accounts}, on_bad_rows="drop")
    assert notes[1] == 'Dropped: accounts.parquet: column "account_id" holds 1 repeated key (row 3: a).'


creator_ids = st.sampled_from(["ann", "ben", "cem", "acme", "zoe", "", None])
rows = st.lists(
    st.tuples(
        creator_ids, st.sampled_from(["post", "story", None]), st.sampled_from([1.0, -1.0, float("inf"), None, 0.0])
    ),
    min_size=1,
    max_size=12,
)


@given(rows)
def test_dropping_keeps_exactly_the_rows_that_a_plain_loop_keeps(rows):
    kept, seen = [], set()
    for creator, content, price in rows:
        good = creator in {"ann", "ben", "cem", "acme", "zoe"} and content and price is not None and 0 <= price < 9
        if good and (creator, content) not in seen:
            seen.add((creator, content))
            if creator in {"ann", "ben", "cem"}:
                kept.append((creator, content, price))
    columns = [list(column) for column in zip(*rows, strict=True)]
    types = [field.type for field in PRICES.arrow]
    prices = pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names=list(PRICES.columns)
    )
    tables = {"accounts": tiny_tables()["accounts"], "prices": prices}
    if not kept:
        with pytest.raises(DataError):
            validate(tables, on_bad_rows="drop")
        return
    valid, _ = validate(tables, on_bad_rows="drop")
    assert [tuple(row.values()) for row in valid["prices"].to_pylist()] == kept
    if len(kept) < len(rows):
        with pytest.raises(DataError, match=r"prices\.parquet"):
            validate(tables)


def test_schemas_refer_only_to_accounts_and_have_required_keys():
    assert next(iter(SCHEMAS)) == ACCOUNTS.name
    for schema in SCHEMAS.values():
        assert all(schema.columns[name].required for name in schema.key)
        assert schema.arrow.names == list(schema.columns)
