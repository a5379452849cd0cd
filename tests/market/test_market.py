import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tiny_market import tiny_tables, with_column, write_tiny

import micromega.market
from micromega.errors import DataError
from micromega.market import Market, write_market


def test_loading_gives_what_was_written(tmp_path):
    written = write_tiny(tmp_path / "m")
    loaded = Market.load(tmp_path / "m")
    assert loaded.fingerprint == written.fingerprint
    assert (loaded.name, loaded.currency, loaded.notes, loaded.path) == ("tiny", "EUR", (), tmp_path / "m")
    assert list(loaded.tables) == ["accounts", "posts", "mentions", "prices", "events"]
    for name, table in written.tables.items():
        assert loaded.table(name).equals(table)
    assert "account_id" not in repr(loaded)


def test_writing_twice_gives_the_same_bytes(tmp_path):
    write_tiny(tmp_path / "a")
    write_tiny(tmp_path / "b")
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == [
        "accounts.parquet",
        "events.parquet",
        "market.yaml",
        "mentions.parquet",
        "posts.parquet",
        "prices.parquet",
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_table_that_is_not_there_says_how_to_make_it(tmp_path):
    tables = {name: tiny_tables()[name] for name in ("accounts", "posts")}
    market = write_market(tmp_path / "m", tables, name="tiny", currency="EUR")
    with pytest.raises(DataError, match=r'Market "tiny" has no table prices .*Add prices\.parquet'):
        market.table("prices")
    with pytest.raises(DataError, match='no table called "price"'):
        market.table("price")


def test_a_needed_column_that_holds_nothing_is_named(tmp_path):
    market = write_tiny(tmp_path / "m")
    assert market.table("posts", needs=("likes", "caption")).num_rows == 4
    with pytest.raises(DataError, match=r'posts\.parquet: column "comments" \(int64: comments\) is needed'):
        market.table("posts", needs=("likes", "comments"))


def test_truth_is_read_apart_and_stays_out_of_the_fingerprint(tmp_path):
    truth = {"affinity": pa.table({"x": [1.0]})}
    market = write_market(tmp_path / "m", tiny_tables(), name="tiny", currency="EUR", truth=truth)
    assert market.truth("affinity").equals(truth["affinity"])
    assert market.fingerprint == write_tiny(tmp_path / "n").fingerprint
    with pytest.raises(DataError, match=r'keeps no truth called "posts" \(it has: affinity\)'):
        Market.load(tmp_path / "m").truth("posts")
    with pytest.raises(DataError, match=r"it has: none"):
        Market.load(tmp_path / "n").truth("posts")


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "m").mkdir()
    with pytest.raises(DataError, match="exists already"):
        write_tiny(tmp_path / "m")
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]
    assert not list((tmp_path / "m").iterdir())


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("micromega.market.storage.ParquetFile.append", full)
    with pytest.raises(OSError, match="No space left"):
        write_tiny(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_invalid_tables_are_not_written(tmp_path):
    with pytest.raises(DataError, match="negative"):
        write_tiny(tmp_path / "m", prices=with_column(tiny_tables()["prices"], "price", [1.0, -1.0, 2.0]))
    with pytest.raises(DataError, match='no table called "likes"'):
        write_market(tmp_path / "m", {"likes": tiny_tables()["posts"]}, name="x", currency="EUR")
    with pytest.raises(DataError, match="needs the table accounts"):
        write_market(tmp_path / "m", {}, name="x", currency="EUR")
    assert not list(tmp_path.iterdir())


def test_a_folder_made_by_hand_needs_name_and_currency_only(tmp_path):
    pq.write_table(tiny_tables()["accounts"], tmp_path / "accounts.parquet")
    (tmp_path / "market.yaml").write_text("name: mine\ncurrency: JPY\n")
    market = Market.load(str(tmp_path))
    assert (market.name, market.currency, market.source) == ("mine", "JPY", "")
    assert list(market.tables) == ["accounts"]


def test_dropping_on_load_is_logged_and_noted(tmp_path, caplog):
    write_tiny(tmp_path / "m")
    pq.write_table(
        with_column(tiny_tables()["prices"], "price", [90.0, -1.0, 400.0]), tmp_path / "m" / "prices.parquet"
    )
    with pytest.raises(DataError, match=r"market\.on_bad_rows=drop"):
        Market.load(tmp_path / "m")
    market = Market.load(tmp_path / "m", on_bad_rows="drop")
    note = 'Dropped: prices.parquet: column "price" holds 1 negative value (row 1: -1.0).'
    assert market.notes == (note,)
    assert note in caplog.text
    assert market.table("prices").num_rows == 2
    assert market.fingerprint != write_tiny(tmp_path / "n").fingerprint


def test_a_table_changed_since_it_was_written_is_noticed(tmp_path):
    write_tiny(tmp_path / "m")
    pq.write_table(with_column(tiny_tables()["posts"], "likes", [100, 50, 70, 901]), tmp_path / "m" / "posts.parquet")
    with pytest.raises(DataError, match=r"posts\.parquet: the content differs from what was written"):
        Market.load(tmp_path / "m")
    description = yaml.safe_load((tmp_path / "m" / "market.yaml").read_text())
    del description["tables"]["posts"]
    (tmp_path / "m" / "market.yaml").write_text(yaml.safe_dump(description))
    assert Market.load(tmp_path / "m").table("posts")["likes"].to_pylist()[-1] == 901


def test_rewriting_with_other_options_changes_nothing(tmp_path):
    market = write_tiny(tmp_path / "m")
    file = tmp_path / "m" / "posts.parquet"
    pq.write_table(pq.read_table(file).take([3, 1, 0, 2]), file, compression="gzip", row_group_size=1)
    assert Market.load(tmp_path / "m").fingerprint == market.fingerprint


def test_notes_and_names_keep_any_character(tmp_path):
    market = write_market(
        tmp_path / "m", tiny_tables(), name="Ça: #1 'x'", currency="€", source="- a: b", notes=["yes", "1.0", "ü\n: x"]
    )
    loaded = Market.load(tmp_path / "m")
    assert (loaded.name, loaded.currency, loaded.source, loaded.notes) == (
        market.name, market.currency, market.source, market.notes,
    )  # fmt: skip


def test_importing_the_package_is_cheap():
    code = (
        "import sys, micromega.market, micromega.market.config; print({'pyarrow', 'numpy', 'torch'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'simulator'"):
        _ = micromega.market.simulator
