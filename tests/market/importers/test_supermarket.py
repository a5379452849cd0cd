import csv
import datetime as dt
from collections import Counter

import pytest

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import Supermarket
from micromega.market.importers.supermarket import import_folder

HEAD = (
    "Invoice ID,Branch,City,Customer type,Gender,Product line,Unit price,Quantity,Tax 5%,Total,Date,Time,Payment,cogs,"
    "gross margin percentage,gross income,Rating\n"
)
TEXT = HEAD + (
    "750-67-8428,A,Yangon,Member,Female,Health and beauty,74.69,7,26.1415,548.9715,1/5/2019,13:08,Cash,1,4.7,1,9\n"
    "226-31-3081,C,Naypyitaw,Normal,Male,Sports and travel,15.28,5,3.82,80.22,3/18/2019,9:29,Cash,1,4.7,1,9\n"
    "631-41-3108,A,Yangon,Member,Female,Sports and travel,46.33,7,16.2155,340.5255,3/3/2019,13:23,Cash,1,4.7,1,9\n"
)


def source(folder, text=TEXT):
    folder.mkdir()
    (folder / "supermarket_sales.csv").write_text(text)
    return folder


def test_small_source_by_hand(tmp_path):
    market = import_folder(source(tmp_path / "source"), tmp_path / "market")
    assert [(row["account_id"], row["location"]) for row in market.table("accounts").to_pylist()] == [
        ("A|Yangon|Member|Female", "Yangon"),
        ("C|Naypyitaw|Normal|Male", "Naypyitaw"),
    ]
    assert market.table("merchants")["merchant_id"].to_pylist() == ["Health and beauty", "Sports and travel"]
    assert market.table("products")["quota"].to_pylist() == [None, None]
    first, second, third = market.table("orders").to_pylist()
    assert first == {
        "order_id": "750-67-8428",
        "product_id": "Health and beauty",
        "customer_id": "A|Yangon|Member|Female",
        "merchant_id": "Health and beauty",
        "quantity": 7,
        "amount": 548.9715,
        "ordered_at": dt.datetime(2019, 1, 5, 13, 8, tzinfo=dt.UTC),
    }
    assert second["ordered_at"] == dt.datetime(2019, 3, 18, 9, 29, tzinfo=dt.UTC)
    assert third["customer_id"] == first["customer_id"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("226-31-3081", "750-67-8428", 'column "Invoice ID" holds 1 repeated key (line 3: 750-67-8428)'),
        ("226-31-3081", "22", 'column "Invoice ID" holds 1 malformed id (line 3: 22)'),
        ("3/18/2019", "18/3/2019", 'column "Date" holds 1 malformed date (line 3: 18/3/2019)'),
        ("3/18/2019", "2/29/2019", 'column "Date" holds 1 malformed date (line 3: 2/29/2019)'),
        ("9:29", "24:29", 'column "Time" holds 1 malformed time (line 3: 24:29)'),
        ("15.28,5,", "15.28,-5,", 'column "Quantity" holds 1 value that is no count (line 3: -5)'),
        ("80.22", "80,22", "1 row without exactly 17 values"),
        ("80.22", "nan", 'column "Total" holds 1 value that is no amount (line 3: nan)'),
        ("Normal", "", 'column "Customer type" holds 1 empty value (line 3: )'),
    ],
)
def test_bad_lines_are_named_and_can_be_dropped(tmp_path, old, new, words):
    with pytest.raises(DataError) as caught:
        import_folder(source(tmp_path / "source", TEXT.replace(old, new)), tmp_path / "market")
    assert f"supermarket_sales.csv: {words}" in str(caught.value)
    market = import_folder(tmp_path / "source", tmp_path / "market", on_bad_rows="drop")
    assert market.table("orders").num_rows == 2
    assert any(note.startswith("Dropped: supermarket_sales.csv") for note in market.notes)


def test_altered_versions_are_told_apart(tmp_path):
    with pytest.raises(DataError, match=r'column "Total" is missing'):
        import_folder(source(tmp_path / "source", TEXT.replace("Total", "Sales")), tmp_path / "market")


@pytest.mark.realdata
def test_the_real_source(public_data, tmp_path):
    folder = public_data / "supermarket-sales"
    market = open_market(Supermarket(path=str(folder)), tmp_path)
    orders = market.table("orders")
    assert {name: table.num_rows for name, table in market.tables.items()} == {
        "accounts": 12, "merchants": 6, "products": 6, "orders": 1_000
    }  # fmt: skip
    assert sum(orders["amount"].to_pylist()) == pytest.approx(322_966.749, abs=1e-6)  # README
    customers = Counter(orders["customer_id"].to_pylist())
    for part, count in {"A|": 340, "B|": 332, "C|": 328, "|Member|": 501, "|Female": 501}.items():
        assert sum(number for customer, number in customers.items() if part in customer) == count
    lines = Counter(orders["product_id"].to_pylist())
    assert (lines["Fashion accessories"], lines["Health and beauty"]) == (178, 152)
    with (folder / "supermarket_sales.csv").open(newline="") as file:
        for row, order in zip(csv.DictReader(file), orders.to_pylist(), strict=True):
            when = dt.datetime.strptime(f"{row['Date']} {row['Time']}", "%m/%d/%Y %H:%M").replace(tzinfo=dt.UTC)
            assert (order["order_id"], order["ordered_at"]) == (row["Invoice ID"], when)
            assert (order["quantity"], order["amount"]) == (int(row["Quantity"]), float(row["Total"]))
