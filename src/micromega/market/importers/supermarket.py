"""Sales of three supermarkets, January to March 2019 (Kaggle), for the matching game.

The source names no customers, so a customer is a profile: branch, city, customer type and gender, as in the matching
document. It names no manufacturers either: each of the six product lines is one merchant with one product.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.checks import OnBadRows
from micromega.market.config import Supermarket
from micromega.market.importers.source import SourceTable, files_of, read_csv
from micromega.market.importers.times import parse_times
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.write import write_market

FILE = "supermarket_sales.csv"
_PROFILE = ("Branch", "City", "Customer type", "Gender")
_DATE = "%m/%d/%Y"
_COLUMNS = ("Invoice ID", *_PROFILE, "Product line", "Quantity", "Total", "Date", "Time")


def build(config: Supermarket, cache: Path) -> Market:
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

    An order is an invoice, its amount the total with tax. Quotas are not in the source.

    Args:
        source: folder with supermarket_sales.csv.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market with tables accounts, merchants, products and orders.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    sales = read_csv(source / FILE, _COLUMNS, on_bad_rows)
    _check(sales)
    rows = sales.rows
    customer = pc.binary_join_element_wise(*(rows[name] for name in _PROFILE), "|")
    line = rows["Product line"]
    profiles = rows.append_column("account_id", customer).group_by(["account_id", "City"], use_threads=False)
    accounts = profiles.aggregate([]).sort_by("account_id").rename_columns(["account_id", "location"])
    lines = pc.unique(line).sort()
    when = pc.binary_join_element_wise(rows["Date"], rows["Time"], " ")
    orders = {
        "order_id": rows["Invoice ID"],
        "product_id": line,
        "customer_id": customer,
        "merchant_id": line,
        "quantity": sales.integers("Quantity"),
        "amount": rows["Total"].cast(pa.float64()),
        "ordered_at": parse_times(when, f"{_DATE} %H:%M"),
    }
    notes = [
        f"The source names no customers: the {len(accounts)} accounts are profiles (branch, city, type, gender).",
        "Each product line is a merchant with one product. Quotas are not in the source: derive them from the sales.",
        "Times are local and stand here as if they were UTC. Amounts include 5 % tax.",
        "Evenly spread categories and a constant margin suggest that the publisher's data are made up.",
        *sales.notes,
    ]
    return write_market(
        target,
        {
            "accounts": accounts.append_column("kind", pa.repeat("creator", len(accounts))),
            "merchants": pa.table({"merchant_id": lines, "name": lines}),
            "products": pa.table({"product_id": lines, "merchant_id": lines, "name": lines, "category": lines}),
            "orders": pa.table(orders),
        },
        name="supermarket-sales",
        currency="USD",
        source="kaggle.com/datasets/aungpyaeap/supermarket-sales; licence: not stated",
        notes=notes,
    )


def _check(sales: SourceTable) -> None:
    sales.pattern("Invoice ID", r"^\d{3}-\d{2}-\d{4}$", "malformed id|malformed ids", "Ids look like 750-67-8428.")
    sales.unique("Invoice ID")
    for column in (*_PROFILE, "Product line"):
        sales.pattern(column, r"^[^|]+$", "empty value|empty values", 'It is never empty, and has no "|" in it.')
    sales.count("Quantity")
    amount = r"^[0-9]{1,12}(\.[0-9]+)?$"
    sales.pattern("Total", amount, "value that is no amount|values that are no amounts", "Amounts look like 548.9715.")
    what = "malformed date|malformed dates"
    rule = "Dates look like 1/5/2019 (month/day/year)."
    sales.require("Date", what, rule, lambda values: pc.is_null(parse_times(values, _DATE)))
    sales.pattern("Time", r"^([01]?\d|2[0-3]):[0-5]\d$", "malformed time|malformed times", "Times look like 13:08.")
