"""Markets written in chunks against the same markets written at once."""

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import DataError
from micromega.market import Market, MarketWriter, write_market
from micromega.market.schemas import SCHEMAS, TIME

ACCOUNTS = pa.table({"account_id": ["b", "c", "d"], "kind": ["brand", "creator", "creator"], "followers": [1, 2, None]})
POSTS = pa.table({"post_id": ["p1", "p2", "p3"], "account_id": ["c", "c", "d"], "likes": [1, 2, 3]})
TABLES = {
    "accounts": ACCOUNTS,
    "posts": POSTS,
    "views": pa.table({"post_id": ["p1", "p1", "p2"], "day": [1, 2, 1], "impressions": [5, 9, 4]}),
    "merchants": pa.table({"merchant_id": ["m"], "quota": [2]}),
    "products": pa.table({"product_id": ["x", "y"], "merchant_id": ["m", "m"], "quota": [1, 1]}),
    "orders": pa.table(
        {
            "order_id": ["o", "o"],
            "product_id": ["x", "y"],
            "customer_id": ["c", "c"],
            "merchant_id": ["m", "m"],
            "amount": [1.5, 2.5],
            "ordered_at": pa.array([0, 1], TIME),
        }
    ),
    "follows": pa.table({"source_id": ["c"], "target_id": ["d"], "probability": [0.5]}),
    "exposures": pa.table({"post_id": ["p1"], "source_id": ["c"], "target_id": ["d"], "activated": [True]}),
    "splits": pa.table({"account_id": ["c", "c"], "split": ["train", "test"]}),
}


def test_chunks_and_whole_tables_give_the_same_market(tmp_path):
    whole = write_market(tmp_path / "whole", TABLES, name="m", currency="EUR")
    writer = MarketWriter(tmp_path / "chunks", name="m", currency="EUR", notes=["first"])
    with writer:
        for name, table in TABLES.items():
            for row in range(table.num_rows):
                writer.append(name, table.slice(row, 1))
        with writer.array("audio", key="post_id", shape=(2,), dtype="float32") as array:
            array.append(["p1"], np.ones((1, 2)))
        writer.truth("posts", pa.table({"post_id": ["p1"], "quality": [0.5]}))
        writer.notes.append("second")
    loaded = Market.load(tmp_path / "chunks")
    assert whole.fingerprint == writer.market.fingerprint == loaded.fingerprint
    assert loaded.notes == ("first", "second")
    assert loaded.feature_names == ("audio",)
    assert loaded.features("audio").take(np.array([0])).tolist() == [[1, 1]]
    assert loaded.truth("posts")["quality"].to_pylist() == [0.5]
    with pytest.raises(DataError, match=r"no feature video \(it has: audio\)"):
        loaded.features("video")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": pa.table({"post_id": ["p9"], "day": [1], "impressions": [5]})}, "no known post"),
        ({"views": pa.table({"post_id": ["p1"], "day": [0], "impressions": [5]})}, "below 1"),
        ({"follows": pa.table({"source_id": ["c"], "target_id": ["d"], "probability": [1.5]})}, "above 1"),
        ({"follows": pa.table({"source_id": ["c"], "target_id": ["z"]})}, "no known account"),
        ({"products": pa.table({"product_id": ["x"], "merchant_id": ["q"]})}, "no known merchant"),
        ({"merchants": None}, r"refers to merchants, but the market has no table merchants"),
        ({"posts": None}, r"refers to posts, but the market has no table posts"),
        ({"orders": TABLES["orders"].append_column("price", [[1.0, 2.0]])}, 'unknown column "price"'),
        ({"exposures": pa.concat_tables([TABLES["exposures"]] * 2)}, "repeated key"),
        ({"splits": pa.table({"account_id": ["c"], "split": ["dev"]})}, "unknown value"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_left(tmp_path, change, message):
    tables = {name: table for name, table in (TABLES | change).items() if table is not None}
    with pytest.raises(DataError, match=message):
        write_market(tmp_path / "market", tables, name="m", currency="EUR")
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_the_block_leaves_nothing(tmp_path):
    def fail_halfway():
        with MarketWriter(tmp_path / "m", name="m", currency="EUR") as writer:
            writer.append("accounts", ACCOUNTS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []


def test_a_table_comes_after_those_that_it_refers_to():
    from micromega.market.schemas import REFERENCE_TABLE

    order = list(SCHEMAS)
    for name, schema in SCHEMAS.items():
        for column in schema.columns.values():
            if column.refers_to:
                home = REFERENCE_TABLE[column.refers_to]
                assert order.index(home) < order.index(name) or home == name
