"""Real purchases of CDs at CDNOW, January 1997 to June 1998 (Fader and Hardie 2001).

One cohort: everybody made the first purchase in the first quarter of 1997. There are no products and no categories.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.checks import OnBadRows
from micromega.market.config import Cdnow
from micromega.market.importers.blocks import BadRows, no_rows
from micromega.market.importers.lines import text_blocks
from micromega.market.importers.source import files_of
from micromega.market.importers.times import parse_times
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.write import write_market

FILE = "CDNOW_master.txt.gz"
_LINE = r"^(?P<customer>[0-9]{1,18})\s+(?P<date>[0-9]{8})\s+(?P<cds>[0-9]{1,9})\s+(?P<dollars>[0-9]{1,9}\.[0-9]{2})$"


def build(config: Cdnow, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the folder of the source.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    folder, sources = Path(config.path), files_of(config.path, (FILE,))
    return cached(config, cache, sources, lambda target: import_folder(folder, target, on_bad_rows=config.on_bad_rows))


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error") -> Market:
    """Turn the source's file into a market folder.

    An order is what one customer bought on one day: lines of the same customer and day (also those that are equal in
    every value) are several purchases, and are summed. All orders are of one product of one merchant.

    Args:
        source: folder with CDNOW_master.txt.gz.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market with tables accounts, merchants, products and orders.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    bad = BadRows(file=FILE, on_bad_rows=on_bad_rows)
    lines = []
    what, rule = "malformed date|malformed dates", "Dates look like 19970101 (year, month, day)."
    for block in text_blocks(source / FILE, _LINE, '"00001 19970101 1 11.77"', bad, header="customer_id"):
        block.require("date", what, rule, lambda values: pc.is_null(parse_times(values, "%Y%m%d")))
        lines.append(block.rows)
    rows = pa.concat_tables(lines) if lines else pa.table({})
    if not rows.num_rows:
        raise no_rows(FILE, bad)
    purchases = pa.table(
        {
            "customer_id": rows["customer"],
            "date": rows["date"],
            "quantity": rows["cds"].cast(pa.int64()),
            "cents": pc.replace_substring(rows["dollars"], ".", "").cast(pa.int64()),  # whole numbers sum exactly
        }
    )
    orders = purchases.group_by(["customer_id", "date"], use_threads=False).aggregate(
        [("quantity", "sum"), ("cents", "sum")]
    )
    free = pc.sum(pc.equal(purchases["cents"], 0)).as_py()
    notes = (
        f"{rows.num_rows:,} lines make {orders.num_rows:,} orders: lines of one customer and day are summed.",
        f"{free:,} lines carry 0.00 dollars and are kept.",
        "One cohort: every first purchase falls between January and March 1997. No products, brands or categories.",
        "Days without a time of day stand as midnight, UTC. Quotas are not in the source.",
        *bad.notes,
    )
    customers = pc.unique(orders["customer_id"]).sort()
    return write_market(
        target,
        {
            "accounts": pa.table({"account_id": customers, "kind": pa.repeat("creator", len(customers))}),
            "merchants": pa.table({"merchant_id": ["cdnow"], "name": ["CDNOW"]}),
            "products": pa.table({"product_id": ["cd"], "merchant_id": ["cdnow"], "category": ["music"]}),
            "orders": _orders(orders),
        },
        name="cdnow",
        currency="USD",
        source="brucehardie.com/datasets (Fader and Hardie 2001); free for academic use",
        notes=notes,
    )


def _orders(orders: pa.Table) -> pa.Table:
    count = orders.num_rows
    return pa.table(
        {
            "order_id": pc.binary_join_element_wise(orders["customer_id"], orders["date"], "-"),
            "product_id": pa.repeat("cd", count),
            "customer_id": orders["customer_id"],
            "merchant_id": pa.repeat("cdnow", count),
            "quantity": orders["quantity_sum"],
            "amount": pc.divide(orders["cents_sum"].cast(pa.float64()), 100.0),
            "ordered_at": parse_times(orders["date"], "%Y%m%d"),
        }
    )
