import datetime as dt
from collections import defaultdict

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tiny_market import tiny_tables

from micromega.market.checks import conform
from micromega.market.market import validate
from micromega.market.mentions import mentions_from_posts, with_creator_categories
from micromega.market.schemas import MENTIONS, POSTS

ACCOUNTS = tiny_tables()["accounts"]
KIND = dict(zip(ACCOUNTS["account_id"].to_pylist(), ACCOUNTS["kind"].to_pylist(), strict=True))
ids = st.sampled_from(["acme", "bolt", "ann", "ben", "stranger"])
posts_of_two = st.lists(
    st.tuples(
        st.sampled_from(["ann", "ben", "acme"]),
        st.lists(ids, max_size=4),
        st.sampled_from([None, "acme", "bolt"]),
        st.one_of(st.none(), st.integers(0, 10**6)),
    ),
    min_size=1,
    max_size=12,
)


@given(posts_of_two)
def test_it_counts_what_a_plain_loop_counts(posts):
    expected = defaultdict(list)
    for author, mentioned, brand, second in posts:
        for other in {*mentioned, brand}:
            if KIND[author] == "creator" and KIND.get(other) == "brand":
                expected[author, other].append(second)
    table = pa.table(
        {
            "post_id": [str(i) for i in range(len(posts))],
            "account_id": [post[0] for post in posts],
            "mentioned_ids": pa.array([post[1] for post in posts], pa.list_(pa.string())),
            "brand_id": pa.array([post[2] for post in posts], pa.string()),
            "posted_at": pa.array([post[3] for post in posts], pa.timestamp("s", tz="UTC")),
        }
    )
    found = mentions_from_posts(conform(table, POSTS, "posts.parquet"), ACCOUNTS)
    assert found.schema == MENTIONS.arrow
    rows = {(row["creator_id"], row["brand_id"]): row for row in found.to_pylist()}
    assert list(rows) == sorted(expected)
    for key, seconds in expected.items():
        known = [dt.datetime.fromtimestamp(second, dt.UTC) for second in seconds if second is not None]
        assert rows[key]["posts"] == len(seconds)
        assert rows[key]["first_at"] == (min(known) if known else None)
        assert rows[key]["last_at"] == (max(known) if known else None)


def test_the_tiny_market_agrees_with_its_own_table():
    valid, _ = validate(tiny_tables())
    assert mentions_from_posts(valid["posts"], valid["accounts"]).equals(valid["mentions"])


def test_a_creators_category_is_that_of_the_brands_mentioned_most():
    accounts = pa.table(
        {
            "account_id": ["b1", "b2", "b3", "b4", "c1", "c2", "c3", "c4"],
            "kind": ["brand"] * 4 + ["creator"] * 4,
            "category": ["shoes", "food", "food", None, None, None, "own", None],
        }
    )
    mentions = pa.table(
        {
            "creator_id": ["c1", "c1", "c1", "c2", "c2", "c3", "c4"],
            "brand_id": ["b1", "b2", "b3", "b1", "b2", "b1", "b4"],
            "posts": [3, 2, 2, 1, 1, 9, 5],
        }
    )
    found = with_creator_categories(accounts, mentions)
    assert found["category"].to_pylist() == ["shoes", "food", "food", None, "food", "food", "own", None]
    assert found.schema == accounts.schema
