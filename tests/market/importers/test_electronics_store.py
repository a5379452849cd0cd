import datetime as dt
import gzip
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import ElectronicsStore
from micromega.market.importers import stream
from micromega.market.importers.electronics_store import import_folder

HEAD = "event_time,order_id,product_id,category_id,category_code,brand,price,user_id\n"
TEXT = HEAD + (
    "2020-04-24 11:50:39 UTC,2294359932054536986,11,226,electronics.tablet,samsung,162.01,1515\n"
    "2020-04-24 11:50:39 UTC,2294359932054536986,11,226,electronics.tablet,samsung,160.01,1515\n"
    "2020-04-24 14:37:43 UTC,22,12,226,,huawei,77.52,1515\n"
    "1970-01-01 00:33:40 UTC,23,11,226,electronics.tablet,other,158.98,1516\n"
    "2020-04-24 19:16:21 UTC,24,12,226,,huawei,10.00,\n"
    "2020-04-24 19:16:21 UTC,25,12,,huawei,10.00,,1516\n"
    "2020-04-24 19:16:21 UTC,26,13,226,appliances,,10.00,1516\n"
)


def source(folder, text=TEXT, name="kz.csv"):
    folder.mkdir()
    with (gzip.open if name.endswith(".gz") else open)(folder / name, "wt") as file:
        file.write(text)
    return folder


@pytest.mark.parametrize("name", ["kz.csv", "kz.csv.gz"])
def test_small_source_by_hand(tmp_path, name):
    market = import_folder(source(tmp_path / "source", name=name), tmp_path / "market")
    assert market.table("accounts")["account_id"].to_pylist() == ["1515", "1516"]
    assert market.table("merchants")["merchant_id"].to_pylist() == ["huawei", "samsung"]
    products = {row["product_id"]: row for row in market.table("products").to_pylist()}
    assert {key: (row["merchant_id"], row["category"]) for key, row in products.items()} == {
        "11": ("samsung", "electronics.tablet"),
        "12": ("huawei", None),
    }
    assert products["11"]["price"] == pytest.approx((162.01 + 160.01 + 158.98) / 3)
    orders = [tuple(row.values()) for row in market.table("orders").to_pylist()]
    when = dt.datetime(2020, 4, 24, 11, 50, 39, tzinfo=dt.UTC)
    assert orders == [
        ("2294359932054536986", "11", "1515", "samsung", 2, pytest.approx(322.02), when),
        ("22", "12", "1515", "huawei", 1, 77.52, dt.datetime(2020, 4, 24, 14, 37, 43, tzinfo=dt.UTC)),
        ("23", "11", "1516", "samsung", 1, 158.98, None),
    ]
    for note in (
        "1 rows without user_id left out.",
        "1 rows without brand left out.",
        "1 rows without price left out.",
        "1 products name several brands; they belong to the one named most.",
        "1 pairs have no known time (1970 in the source).",
    ):
        assert note in market.notes


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("UTC,22,", "UTC,2.2e+18,", 'column "order_id" holds 1 malformed id (line 4: 2.2e+18)'),
        ("UTC,22,", "UTC,,", 'column "order_id" holds 1 malformed id (line 4: )'),
        ("UTC,22,", "UTC,9999999999999999999,", 'column "order_id" holds 1 malformed id (line 4: 9999999999999999999)'),
        ("77.52,1515", "77.52,1.5e+18", 'column "user_id" holds 1 malformed id (line 4: 1.5e+18)'),
        ("77.52", "-77.52", 'column "price" holds 1 value that is no price (line 4: -77.52)'),
        ("77.52", "nan", 'column "price" holds 1 value that is no price (line 4: nan)'),
        ("2020-04-24 14:37:43 UTC", "2020-02-30 14:37:43 UTC", 'column "event_time" holds 1 malformed time (line 4'),
        (",77.52,1515", ",77.52", "1 line with 7 values instead of 8 (line 4)"),
        ("UTC,22,", "UTC,23,", "is not the order's first one (line 5: 1516)"),
    ],
)
def test_bad_lines_are_named_and_can_be_dropped(tmp_path, old, new, words):
    assert old in TEXT
    with pytest.raises(DataError) as caught:
        import_folder(source(tmp_path / "source", TEXT.replace(old, new)), tmp_path / "market")
    assert "kz.csv: " in str(caught.value)
    assert words in str(caught.value)
    assert not (tmp_path / "market").exists()
    market = import_folder(tmp_path / "source", tmp_path / "market", on_bad_rows="drop")
    assert market.table("orders").num_rows == 2
    assert any(note.startswith("Dropped: kz.csv") for note in market.notes)


def test_copies_with_lost_digits_and_files_without_a_usable_row(tmp_path):
    text = TEXT.replace(",1515\n", ",1.515915625441994e+18\n")
    with pytest.raises(DataError, match="has lost digits in another program"):
        import_folder(source(tmp_path / "source", text), tmp_path / "market")
    anonymous = HEAD + "2020-04-24 11:50:39 UTC,1,11,226,electronics.tablet,samsung,162.01,\n"
    (tmp_path / "source" / "kz.csv").write_text(anonymous)
    with pytest.raises(DataError, match=r"kz\.csv: the file holds no rows.*1 without user_id"):
        open_market(ElectronicsStore(path=str(tmp_path / "source")), tmp_path / "cache")
    (tmp_path / "source" / "kz.csv").unlink()
    with pytest.raises(DataError, match=r"kz\.csv: there is no such file"):
        open_market(ElectronicsStore(path=str(tmp_path / "source")), tmp_path / "cache")


def write_large(path, rows, known_users):
    """A file of the public one's form: repeated units, orders of several products, most users unknown."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(HEAD)
        for start in range(0, rows, 100_000):
            count = min(100_000, rows - start)
            order = 2294359932054536986 + start + np.cumsum(rng.random(count) < 0.55)
            product = rng.zipf(1.3, count) % 25_000
            known = (order * 2654435761 % 1000) < 1000 * known_users
            user = order * 2654435761 % 400_000
            file.writelines(
                f"2020-0{1 + o % 9}-11 11:50:39 UTC,{o},{1515966223509089906 + p},2268105426648170900,"
                f"{f'electronics.c{p % 100}' if p % 4 else ''},brand{p % 600},{10 + p % 977}.{10 + p % 90},"
                f"{1515915625441993984 + u if k else ''}\n"
                for o, p, u, k in zip(order.tolist(), product.tolist(), user.tolist(), known.tolist(), strict=True)
            )


def test_many_blocks_against_plain_loops(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK", 50_000)
    (tmp_path / "source").mkdir()
    write_large(tmp_path / "source" / "kz.csv", 5_000, 0.6)
    market = import_folder(tmp_path / "source", tmp_path / "market")
    units, money, brands = Counter(), defaultdict(float), defaultdict(Counter)
    with (tmp_path / "source" / "kz.csv").open() as file:
        for line in list(file)[1:]:
            _, order, product, _, _, brand, price, user = line.strip().split(",")
            if user:
                units[order, product, user] += 1
                money[order, product, user] += float(price)
                brands[product][brand] += 1
    rows = market.table("orders").to_pylist()
    assert Counter({(r["order_id"], r["product_id"], r["customer_id"]): r["quantity"] for r in rows}) == units
    for row in rows:
        assert row["amount"] == pytest.approx(money[row["order_id"], row["product_id"], row["customer_id"]])
        assert row["merchant_id"] == brands[row["product_id"]].most_common()[0][0]


@pytest.mark.slow
def test_half_a_million_rows_take_less_than_a_gibibyte(tmp_path):
    # The whole 2,633,521 rows, all with a user, were measured once: 1.1 GiB at the most.
    (tmp_path / "source").mkdir()
    write_large(tmp_path / "source" / "kz.csv", 500_000, 1.0)
    script = (
        "import resource, sys, pathlib\n"
        "from micromega.market.importers.electronics_store import import_folder\n"
        "import_folder(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "source"), str(tmp_path / "market")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 1 << 20  # KiB
