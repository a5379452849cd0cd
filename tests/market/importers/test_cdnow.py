import gzip
from collections import defaultdict

import pytest

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import Cdnow
from micromega.market.importers.cdnow import import_folder

TEXT = (
    " customer_id  date number_of_cds  dollar_value\r\n"
    " 00001 19970101  1   11.77\r\n"
    " 00002 19970112  1   12.00\r\n"
    " 00002 19970112  5   77.00\r\n"
    " 00001 19980630  2    0.00\r\n"
    " 00002 19970112  1   12.00\r\n"
)


def source(folder, text=TEXT):
    folder.mkdir()
    with gzip.open(folder / "CDNOW_master.txt.gz", "wt", newline="") as file:
        file.write(text)
    return folder


def test_small_source_by_hand(tmp_path):
    market = import_folder(source(tmp_path / "source"), tmp_path / "market")
    assert market.table("accounts")["account_id"].to_pylist() == ["00001", "00002"]
    orders = {row["order_id"]: (row["quantity"], row["amount"]) for row in market.table("orders").to_pylist()}
    assert orders == {"00001-19970101": (1, 11.77), "00002-19970112": (7, 101.0), "00001-19980630": (2, 0.0)}
    assert "5 lines make 3 orders: lines of one customer and day are summed." in market.notes
    assert "1 lines carry 0.00 dollars and are kept." in market.notes


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("19980630", "19980631", 'column "date" holds 1 malformed date (line 5: 19980631)'),
        ("19980630", "1998063", 'column "line" holds 1 unreadable line (line 5: 00001 1998063  2    0.00)'),
        ("0.00", "-1.00", 'column "line" holds 1 unreadable line (line 5'),
        ("  0.00", "", 'column "line" holds 1 unreadable line (line 5'),
        ("  0.00", "nan", 'column "line" holds 1 unreadable line (line 5'),
    ],
)
def test_bad_lines_are_named_and_can_be_dropped(tmp_path, old, new, words):
    assert old in TEXT
    with pytest.raises(DataError) as caught:
        import_folder(source(tmp_path / "source", TEXT.replace(old, new)), tmp_path / "market")
    assert f"CDNOW_master.txt.gz: {words}" in str(caught.value)
    market = import_folder(tmp_path / "source", tmp_path / "market", on_bad_rows="drop")
    assert market.table("orders").num_rows == 2
    assert any(note.startswith("Dropped: CDNOW_master.txt.gz") for note in market.notes)


def test_nothing_left_and_no_file(tmp_path):
    with pytest.raises(DataError, match=r"CDNOW_master\.txt\.gz: the file holds no rows"):
        import_folder(source(tmp_path / "source", TEXT.split("\r\n", maxsplit=1)[0]), tmp_path / "market")
    (tmp_path / "source" / "CDNOW_master.txt.gz").unlink()
    with pytest.raises(DataError, match=r"CDNOW_master\.txt\.gz: there is no such file"):
        open_market(Cdnow(path=str(tmp_path / "source")), tmp_path / "cache")


@pytest.mark.realdata
def test_the_real_source(public_data, tmp_path):
    folder = public_data / "purchase-history-cdnow"
    market = open_market(Cdnow(path=str(folder)), tmp_path)
    orders = market.table("orders")
    assert market.table("accounts").num_rows == 23_570  # README
    assert any(note.startswith("69,659 lines make") for note in market.notes)
    assert any(note.startswith("80 lines carry 0.00") for note in market.notes)
    assert sum(orders["amount"].to_pylist()) == pytest.approx(2_500_315.63)
    sums = defaultdict(lambda: [0, 0])
    with gzip.open(folder / "CDNOW_master.txt.gz", "rt") as file:
        for customer, day, cds, dollars in (line.split() for line in file.readlines()[1:]):
            total = sums[f"{customer}-{day}"]
            total[0] += int(cds)
            total[1] += round(float(dollars) * 100)
    found = zip(*(orders[name].to_pylist() for name in ("order_id", "quantity", "amount")), strict=True)
    assert {order: [cds, round(dollars * 100)] for order, cds, dollars in found} == sums
