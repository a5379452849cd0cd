"""Purchases of an electronics store, January to November 2020, in the format of the public file (REES46, Kaggle).

One row per unit bought: event_time, order_id, product_id, category_id, category_code, brand, price, user_id. Most rows
of the public file (2,069,352 of 2,633,521) name no user and a sixth no price or brand: without them there is no
customer, merchant or amount, so such rows are left out and counted. Merchants are the brands, as in the matching
document.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.market.checks import OnBadRows, Problem
from micromega.market.config import ElectronicsStore
from micromega.market.importers.blocks import BadRows, Block, no_rows
from micromega.market.importers.source import files_of
from micromega.market.importers.stream import csv_blocks
from micromega.market.importers.times import parse_times
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.write import MarketWriter

FILES = ("kz.csv", "kz.csv.gz")
_COLUMNS = ("event_time", "order_id", "product_id", "category_code", "brand", "price", "user_id")
_NEEDED = ("user_id", "brand", "price")
_ID = r"^(0|[1-9][0-9]{0,17}|[1-8][0-9]{18})$"
_CHUNK = 500_000


def build(config: ElectronicsStore, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the folder of the source.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    folder, sources = Path(config.path), files_of(config.path, FILES)
    return cached(config, cache, sources, lambda target: import_folder(folder, target, on_bad_rows=config.on_bad_rows))


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error") -> Market:
    """Turn the source's file into a market folder; the file is read in blocks and never whole in memory.

    Rows of one order and product are units: their number is the quantity, the sum of their prices the amount. A
    product belongs to the brand that most of its units name (of equals the first in the alphabet) and has the mean
    price of its units. Times of 1970 are unknown.

    Args:
        source: folder with kz.csv or kz.csv.gz.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market with tables accounts, merchants, products and orders.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    path = next((source / name for name in FILES if (source / name).is_file()), source / FILES[0])
    bad = BadRows(file=path.name, on_bad_rows=on_bad_rows)
    without = dict.fromkeys(_NEEDED, 0)
    blocks = [_compact(block, without) for block in csv_blocks(path, _COLUMNS, bad)]
    units = pa.concat_tables(blocks).unify_dictionaries() if blocks else pa.table({"order": []})
    if units.num_rows:
        units = _one_customer_per_order(units, bad)
    if not units.num_rows:
        missing = ", ".join(f"{count:,} without {name}" for name, count in without.items())
        raise DataError(f"{no_rows(path.name, bad)} Rows left out: {missing}.")
    orders = units.group_by(["order", "product"], use_threads=False).aggregate(
        [("user", "min"), ("at", "min"), ("price", "sum"), ("price", "count")]
    )
    products, changing = _products(units)
    notes = [
        *(f"{count:,} rows without {name} left out." for name, count in without.items()),
        f"{units.num_rows:,} rows (units bought) make {orders.num_rows:,} pairs of order and product.",
        f"{changing:,} products name several brands; they belong to the one named most.",
        f"{orders['at_min'].null_count:,} pairs have no known time (1970 in the source).",
        "Quotas are not in the source: derive them from the sales. The currency is not stated.",
        *bad.notes,
    ]
    del units, blocks  # the tables are checked as a whole when the market closes, which takes memory
    writer = MarketWriter(
        target,
        name="electronics-store",
        currency="USD",
        source="kaggle.com/datasets/mkechinov/ecommerce-purchase-history-from-electronics-store (REES46)",
        notes=notes,
    )
    with writer:
        users = pc.unique(orders["user_min"]).sort().cast(pa.string())
        writer.append("accounts", pa.table({"account_id": users, "kind": pa.repeat("creator", len(users))}))
        brands = pc.unique(products["merchant_id"]).sort()
        writer.append("merchants", pa.table({"merchant_id": brands, "name": brands}))
        writer.append("products", products)
        for rows in _orders(orders, products):
            writer.append("orders", rows)
        del orders
    return writer.market


def _compact(block: Block, without: dict[str, int]) -> pa.Table:
    """Check a block and give its units with ids as integers and brands as dictionary."""
    for name in _NEEDED:
        empty = np.asarray(pc.equal(block.rows[name], ""), dtype=bool)
        without[name] += int(empty.sum())
        block.keep(~empty)
    for name in ("order_id", "product_id", "user_id"):
        rule = "Ids are whole numbers; 1.5e+18 has lost digits in another program: take the original file."
        block.pattern(name, _ID, "malformed id|malformed ids", rule)
    amount = r"^[0-9]{1,12}(\.[0-9]+)?$"
    block.pattern("price", amount, "value that is no price|values that are no prices", "Prices look like 162.01.")
    what, rule = "malformed time|malformed times", "Times look like 2020-04-24 11:50:39 UTC."
    block.require("event_time", what, rule, lambda values: pc.is_null(parse_times(values)))
    rows = block.rows
    at = parse_times(rows["event_time"])
    known = pc.greater(pc.year(at), 1970)
    return pa.table(
        {
            "order": rows["order_id"].cast(pa.int64()),
            "product": rows["product_id"].cast(pa.int64()),
            "user": rows["user_id"].cast(pa.int64()),
            "brand": pc.utf8_trim_whitespace(rows["brand"]).dictionary_encode(),
            "category": rows["category_code"].dictionary_encode(),
            "price": rows["price"].cast(pa.float64()),
            "at": pc.if_else(known, at, pa.scalar(None, at.type)),
            "line": block.lines,
        }
    )


def _one_customer_per_order(units: pa.Table, bad: BadRows) -> pa.Table:
    order, user = units["order"].to_numpy(), units["user"].to_numpy()
    _, first, which = np.unique(order, return_index=True, return_inverse=True)
    other: NDArray[np.bool_] = user != user[first][which]
    if other.any():
        problem = Problem(
            column="user",
            bad=other,
            what="user_id that is not the order's first one|user_ids that are not the order's first one",
            rule="All rows of an order_id have the same user_id.",
        )
        bad.refuse(units, units["line"].to_numpy(), problem)
        units = units.filter(pa.array(~other))
    return units.drop_columns(["line"])


def _products(units: pa.Table) -> tuple[pa.Table, int]:
    """Products with brand, category and mean price; and how many name several brands."""
    named = {
        name: units.select(["product", name])
        .group_by(["product", name], use_threads=False)
        .aggregate([([], "count_all")])
        for name in ("brand", "category")
    }
    changing = named["brand"].num_rows - len(pc.unique(units["product"]))
    prices = units.select(["product", "price"]).group_by("product", use_threads=False).aggregate([("price", "mean")])
    prices = prices.sort_by("product")
    columns = {name: _most_named(counts, name) for name, counts in named.items()}
    category = columns["category"]
    table = {
        "product_id": prices["product"].cast(pa.string()),
        "merchant_id": columns["brand"],
        "category": pc.if_else(pc.equal(category, ""), pa.scalar(None, pa.string()), category),
        "price": prices["price_mean"],
    }
    return pa.table(table), changing


def _most_named(counts: pa.Table, name: str) -> pa.ChunkedArray:
    """The value that each product names most, in the order of products."""
    plain = counts.set_column(counts.schema.get_field_index(name), name, counts[name].cast(pa.string()))
    ordered = plain.sort_by([("product", "ascending"), ("count_all", "descending"), (name, "ascending")])
    first = np.flatnonzero(np.diff(ordered["product"].to_numpy(), prepend=-1))
    return ordered[name].take(pa.array(first))


def _orders(orders: pa.Table, products: pa.Table) -> Iterator[pa.Table]:
    known = products["product_id"].cast(pa.int64()).combine_chunks()
    for start in range(0, orders.num_rows, _CHUNK):
        rows = orders.slice(start, _CHUNK)
        merchant = products["merchant_id"].take(pc.index_in(rows["product"], value_set=known))
        yield pa.table(
            {
                "order_id": rows["order"].cast(pa.string()),
                "product_id": rows["product"].cast(pa.string()),
                "customer_id": rows["user_min"].cast(pa.string()),
                "merchant_id": merchant,
                "quantity": rows["price_count"],
                "amount": rows["price_sum"],
                "ordered_at": rows["at_min"],
            }
        )
