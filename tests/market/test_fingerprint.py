import hashlib
import io
import struct
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_market import tiny_tables, with_column

from micromega.market.checks import conform
from micromega.market.fingerprint import market_fingerprint, table_fingerprint
from micromega.market.schemas import POSTS, PRICES


def of(posts: pa.Table) -> str:
    return table_fingerprint(conform(posts, POSTS, "posts.parquet"), POSTS)


def test_it_is_the_same_in_every_process_and_version():
    code = (
        "import pyarrow as pa\n"
        "from micromega.market.fingerprint import table_fingerprint\n"
        "from micromega.market.schemas import PRICES\n"
        "t = pa.table({'creator_id': ['b', 'a'], 'content_type': ['post', 'post'], 'price': [2.0, 1.5]})\n"
        "print(table_fingerprint(t, PRICES))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == "4c2bf292383c316ea15a8f0a503cdca80b8c5bdca817ce00754ad765f2bc132c"


def test_golden_value_by_hand():
    text = b"prices:2"
    for name, kind, values in (("creator_id", "string", ["a", "b"]), ("content_type", "string", ["post", "post"])):
        text += f"|{name}:{kind}:".encode() + bytes([0b11000000])
        text += struct.pack("<2q", *map(len, values)) + "".join(values).encode()
    text += b"|price:double:" + bytes([0b11000000]) + struct.pack("<2d", 1.5, 2.0)
    assert hashlib.sha256(text).hexdigest() == "4c2bf292383c316ea15a8f0a503cdca80b8c5bdca817ce00754ad765f2bc132c"


@given(st.permutations(range(4)))
def test_row_order_does_not_count(order):
    posts = tiny_tables()["posts"]
    assert of(posts.take(order)) == of(posts)


@pytest.mark.parametrize("options", [{"compression": "none"}, {"row_group_size": 1}, {"use_dictionary": False}])
def test_the_way_of_writing_does_not_count(options):
    posts = tiny_tables()["posts"]
    file = io.BytesIO()
    pq.write_table(posts, file, **options)
    assert of(pq.read_table(io.BytesIO(file.getvalue()))) == of(posts)


def test_slices_and_chunks_do_not_count():
    posts = tiny_tables()["posts"]
    padded = pa.concat_tables([posts, posts, posts]).slice(4, 4)
    assert of(padded) == of(posts)
    assert of(pa.concat_tables([posts.slice(0, 1), posts.slice(1)])) == of(posts)


def test_columns_that_hold_nothing_do_not_count():
    posts = tiny_tables()["posts"]
    assert of(posts.append_column("comments", pa.nulls(4, pa.int64()))) == of(posts)
    without = posts.drop_columns(["hashtags"])
    assert of(without.append_column("hashtags", pa.array([[]] * 4, pa.list_(pa.string())))) == of(without)


CHANGES = {
    "a count": ("likes", [101, 50, 70, 900]),
    "null instead of zero": ("duration_s", [1.5, 0.0, 2.0, 0.0]),
    "null instead of empty": ("caption", ["soup @acme", "rain", None, "drive"]),
    "letters moved to the next row": ("caption", ["soup @acmer", "ain", "", "drive"]),
    "elements moved to the next list": ("hashtags", [[], ["food"], [], ["cars", "road"]]),
    "elements joined": ("hashtags", [["food"], [], [], ["carsroad"]]),
    "order inside a list": ("hashtags", [["food"], [], [], ["road", "cars"]]),
    "a column's values in another column": ("brand_id", [None, "acme", None, "bolt"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_of_content_counts(change):
    posts = tiny_tables()["posts"]
    assert of(with_column(posts, *CHANGES[change])) != of(posts)


@given(st.data())
def test_any_single_value_counts(data):
    size = data.draw(st.integers(1, 6))
    values = data.draw(st.lists(st.floats(0, 1e9), min_size=size, max_size=size))
    table = pa.table({"creator_id": [str(i) for i in range(size)], "content_type": ["post"] * size, "price": values})
    row = data.draw(st.integers(0, size - 1))
    other = data.draw(st.floats(0, 1e9).filter(lambda value: value != values[row]))
    changed = with_column(table, "price", [*values[:row], other, *values[row + 1 :]])
    assert table_fingerprint(changed, PRICES) != table_fingerprint(table, PRICES)


def test_minus_zero_is_zero():
    table = tiny_tables()["prices"]
    assert table_fingerprint(with_column(table, "price", [0.0, 1.0, 2.0]), PRICES) == table_fingerprint(
        with_column(table, "price", np.array([-0.0, 1.0, 2.0])), PRICES
    )


def test_a_market_is_its_tables_whatever_their_order():
    assert market_fingerprint({"posts": "b", "accounts": "a"}) == market_fingerprint({"accounts": "a", "posts": "b"})
    assert market_fingerprint({"accounts": "a"}) != market_fingerprint({"accounts": "a", "posts": "b"})
    assert market_fingerprint({"accounts": "b", "posts": "a"}) != market_fingerprint({"accounts": "a", "posts": "b"})
