"""Damaged market folders: every one is a DataError that names the file, never another exception."""

import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_market import tiny_tables, with_column, write_tiny

from micromega.errors import DataError
from micromega.market import Market, write_market


@pytest.fixture
def folder(tmp_path):
    write_tiny(tmp_path / "m")
    return tmp_path / "m"


def rewrite(folder, table, changed):
    pq.write_table(changed, folder / f"{table}.parquet")


def posts(column, values):
    return lambda folder: rewrite(folder, "posts", with_column(tiny_tables()["posts"], column, values))


def prices(column, values):
    return lambda folder: rewrite(folder, "prices", with_column(tiny_tables()["prices"], column, values))


def truncate(share):
    def damage(folder):
        file = folder / "posts.parquet"
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])

    return damage


def flip_a_data_bit(folder):
    file = folder / "posts.parquet"
    content = bytearray(file.read_bytes())
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    file.write_bytes(content)


def text_of(name, text):
    return lambda folder: (folder / name).write_text(text)


FAULTS = {
    "truncated to 90 %": (truncate(0.9), ["posts.parquet"]),
    "truncated to 10 bytes": (truncate(0.002), ["posts.parquet"]),
    "empty file": (truncate(0), ["posts.parquet"]),
    "one bit flipped": (flip_a_data_bit, ["posts.parquet"]),
    "wrong type": (posts("likes", ["1", "2", "3", "4"]), ["posts.parquet", '"likes"']),
    "missing column": (
        lambda folder: rewrite(folder, "posts", tiny_tables()["posts"].drop_columns(["account_id"])),
        ["posts.parquet", '"account_id"'],
    ),
    "unknown column": (
        lambda folder: rewrite(folder, "posts", tiny_tables()["posts"].append_column("like", pa.array([1, 2, 3, 4]))),
        ["posts.parquet", '"like"', '"likes"'],
    ),
    "NaN": (prices("price", [1.0, float("nan"), 2.0]), ["prices.parquet", '"price"', "row 1", "nan"]),
    "infinity": (prices("price", [1.0, 2.0, float("-inf")]), ["prices.parquet", '"price"', "row 2", "-inf"]),
    "null id": (posts("post_id", ["p1", None, "p3", "p4"]), ["posts.parquet", '"post_id"', "row 1"]),
    "repeated key": (posts("post_id", ["p1", "p2", "p3", "p1"]), ["posts.parquet", '"post_id"', "row 3", "p1"]),
    "negative count": (posts("likes", [1, -7, 3, 4]), ["posts.parquet", '"likes"', "row 1", "-7"]),
    "unknown id": (
        posts("account_id", ["ann", "ann", "ben", "zoe"]),
        ["posts.parquet", '"account_id"', "row 3", "zoe"],
    ),
    "no rows": (lambda folder: rewrite(folder, "posts", tiny_tables()["posts"].slice(0, 0)), ["posts.parquet"]),
    "rows lost": (
        lambda folder: rewrite(folder, "posts", tiny_tables()["posts"].slice(0, 3)),
        ["posts.parquet", "differs from what was written"],
    ),
    "no columns": (lambda folder: rewrite(folder, "posts", pa.table({})), ["posts.parquet", '"post_id"']),
    "no Parquet but CSV": (text_of("posts.parquet", "post_id,account_id\np1,ann\n"), ["posts.parquet"]),
    "a folder instead of a file": (
        lambda folder: ((folder / "posts.parquet").unlink(), (folder / "posts.parquet").mkdir()),
        ["posts.parquet"],
    ),
    "accounts missing": (lambda folder: (folder / "accounts.parquet").unlink(), ["accounts.parquet"]),
    "a listed table missing": (lambda folder: (folder / "prices.parquet").unlink(), ["prices.parquet"]),
    "a table of unknown name": (
        lambda folder: (folder / "posts.parquet").rename(folder / "post.parquet"),
        ["post.parquet", "posts"],
    ),
    "market.yaml missing": (lambda folder: (folder / "market.yaml").unlink(), ["market.yaml", "currency"]),
    "market.yaml empty": (text_of("market.yaml", ""), ["market.yaml"]),
    "market.yaml no YAML": (text_of("market.yaml", "name: [a\ncurrency: x"), ["market.yaml"]),
    "market.yaml no text": (lambda folder: (folder / "market.yaml").write_bytes(b"\xff\xfe\x00"), ["market.yaml"]),
    "market.yaml a list": (text_of("market.yaml", "- a\n- b\n"), ["market.yaml"]),
    "market.yaml without currency": (text_of("market.yaml", "name: a\n"), ["market.yaml", '"currency"']),
    "market.yaml with a number as name": (
        text_of("market.yaml", "name: 1\ncurrency: EUR\n"),
        ["market.yaml", '"name"'],
    ),
    "market.yaml with an unknown key": (
        text_of("market.yaml", "name: a\ncurrency: EUR\ncurency: x\n"),
        ["market.yaml", '"curency"'],
    ),
    "market.yaml with a text as tables": (text_of("market.yaml", "name: a\ncurrency: E\ntables: x\n"), ["market.yaml"]),
    "market.yaml that runs code": (
        text_of("market.yaml", "name: !!python/object/apply:os.getcwd []\ncurrency: EUR\n"),
        ["market.yaml"],
    ),
    "folder missing": (shutil.rmtree, ["no such folder"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_a_data_error_that_names_the_file(folder, fault):
    damage, words = FAULTS[fault]
    damage(folder)
    with pytest.raises(DataError) as caught:
        Market.load(folder)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.strip().endswith((".", "…"))


def test_damaged_truth_is_a_data_error(tmp_path):
    write_tiny(tmp_path / "m")
    (tmp_path / "m" / "truth").mkdir()
    (tmp_path / "m" / "truth" / "affinity.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(DataError, match=r"affinity\.parquet"):
        Market.load(tmp_path / "m").truth("affinity")


def test_text_that_is_no_utf8_is_a_data_error(folder):
    accounts = tiny_tables()["accounts"]
    broken = pa.array([b"food", b"\xff\xfe", b"x", None, b"y"]).view(pa.string())
    rewrite(folder, "accounts", with_column(accounts, "category", broken))
    with pytest.raises(DataError, match=r"accounts\.parquet"):
        Market.load(folder)


def test_no_flipped_bit_goes_unnoticed(folder):
    """A bit anywhere in the file: the load fails with a DataError, or the content is what it was."""
    file, market = folder / "posts.parquet", Market.load(folder)
    content = file.read_bytes()
    draw = random.Random(0)
    refused = unharmed = 0
    for _ in range(300):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        try:
            assert Market.load(folder).table("posts").equals(market.table("posts"))
        except DataError as error:
            refused += "posts.parquet" in str(error)
        else:
            unharmed += 1
    assert refused + unharmed == 300
    assert refused > 100


def test_no_truncation_goes_unnoticed(folder):
    file = folder / "posts.parquet"
    content = file.read_bytes()
    for length in range(0, len(content), 97):
        file.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"posts\.parquet"):
            Market.load(folder)


def test_truth_has_no_fingerprint_but_page_checksums(tmp_path):
    draw = random.Random(1)
    values = pa.table({"x": [draw.random() for _ in range(2000)]})
    market = write_market(tmp_path / "m", tiny_tables(), name="tiny", currency="EUR", truth={"affinity": values})
    file = tmp_path / "m" / "truth" / "affinity.parquet"
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    content = file.read_bytes()
    start, size = column.dictionary_page_offset, column.total_compressed_size
    for position in range(start + size // 8, start + size, size // 8):
        file.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(DataError, match=r"affinity\.parquet: not a readable Parquet file, or damaged"):
            market.truth("affinity")
    file.write_bytes(content)
    assert market.truth("affinity").equals(values)
