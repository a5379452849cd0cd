"""Files that are no market yet: what they hold, what they could become, and that the import agrees."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from micromega.errors import DataError
from micromega.market.importers.mapped import import_folder
from micromega.market.inspect import files as module
from micromega.market.inspect import inspect_files, inspect_market, is_market
from micromega.market.inspect.files import derived
from micromega.market.inspect.needs import MODELS, lacking, parts_of, parts_of_tables
from micromega.report.card_words import verdict
from micromega.report.data_card import render

POSTS = """id,author,caption,likes,date,views,followers
1,ann,soup @acme #food,120,2024-05-01 10:00:00,1000,9000
2,ann,rain #sky,20,2024-05-02 10:00:00,900,9000
3,ben,,7,2024-05-03 10:00:00,,12000
"""
ORDERS = """order_id,product_id,user_id,brand,price,event_time
o1,x,ann,acme,5.5,2024-05-01 10:00:00
o2,y,ben,bolt,2.5,2024-05-01 11:00:00
"""
EDGES = "source,target\nann,ben\nann,cem\n"
PAID = "id,author,caption,likes,date,brand\n" + "".join(
    f"{i},{author},words,5,2024-05-0{1 + i % 9} 10:00:00,{brand}\n"
    for i, (author, brand) in enumerate([("ann", "acme"), ("ann", ""), ("ben", "acme"), ("ben", "bolt"), ("cem", "")])
)


def columns(card):
    return {column.name: column for table in card.tables for column in table.columns}


def test_a_csv_file(tmp_path):
    (tmp_path / "my.csv").write_text(POSTS)
    card = inspect_files(tmp_path / "my.csv")
    assert (card.name, card.kind, card.tables[0].rows) == ("my.csv", "files", 3)
    found = columns(card)
    assert (found["likes"].low, found["likes"].high, found["views"].missing) == (7, 120, 1)
    assert found["caption"].missing == 1
    spec = yaml.safe_load(card.suggestion)["tables"]["posts"]["columns"]
    assert spec["likes"] == "likes"
    assert spec["impressions"] == "views"
    status = {model.name: model.status for model in card.models}
    assert status["cascade"] == "no"
    (deepiv,) = [model for model in card.models if model.name == "deepiv"]
    assert (deepiv.status, deepiv.lacks) == ("no", ())
    assert deepiv.advice == "3 rows of posts: it needs 30 or more, all else being there."
    assert "No model can run after an import" in verdict(card)
    assert "column map" in render(card)


@pytest.mark.parametrize("name", ["my.csv.gz", "my.tsv", "my.parquet", "my.csv", "semicolon.csv"])
def test_forms_of_files(name, tmp_path):
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(POSTS.encode()))
    elif name.endswith(".parquet"):
        pq.write_table(pa.table({"id": ["1", "2", "3"], "author": ["a"] * 3, "likes": [7, 8, 120]}), path)
    else:
        sign = {"my.tsv": "\t", "semicolon.csv": ";"}.get(name, ",")
        path.write_text(POSTS.replace(",", sign))
    card = inspect_files(path)
    assert card.tables[0].rows == 3
    assert columns(card)["likes"].high == 120


@pytest.mark.parametrize(
    "contents", [{"posts.csv": POSTS}, {"orders.csv": ORDERS}, {"edges.csv": EDGES}, {"paid.csv": PAID},
                 {"posts.csv": POSTS, "orders.csv": ORDERS}],
    ids="+".join,
)  # fmt: skip
def test_the_import_holds_what_the_card_promised(contents, tmp_path):
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    card = inspect_files(tmp_path)
    (tmp_path / "map.yaml").write_text(card.suggestion)
    market = import_folder(tmp_path / "map.yaml", tmp_path / "market")
    mapped = {name: spec["columns"] for name, spec in yaml.safe_load(card.suggestion)["tables"].items()}
    imported = parts_of(market)
    extra = {"accounts.category", "mentions.first_at", "mentions.last_at"}
    assert imported <= parts_of_tables(derived(mapped)) | extra
    after = {model.name: model for model in inspect_market(market).models}
    for model, said in zip(MODELS, card.models, strict=True):
        assert (said.lacks == ()) == (lacking(model.needs, imported) == ()), model.name
        if said.status == "no":  # for want of columns or rows, and then the market says so, too
            assert after[model.name].status == "no"
    assert set(after) == {model.name for model in card.models}


def test_a_folder_of_files(tmp_path):
    (tmp_path / "posts.csv").write_text(POSTS)
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "readme.md").write_text("x")
    card = inspect_files(tmp_path)
    assert [table.name for table in card.tables] == ["orders.csv", "posts.csv"]
    assert set(yaml.safe_load(card.suggestion)["tables"]) == {"orders", "posts"}


def test_what_is_missing_is_said(tmp_path):
    (tmp_path / "my.csv").write_text("text,likes\nsoup,5\n")
    notes = " ".join(inspect_files(tmp_path / "my.csv").notes)
    assert "posts.account_id (author), which is required" in notes
    assert "No column names brands" in notes


def test_no_model_is_promised_while_required_columns_are_missing(tmp_path):
    (tmp_path / "posts.csv").write_text("video_id,author,hashtag\n1,ann,soup\n")
    views = tmp_path / "views.csv"
    views.write_text("video_id,views\n1,5\n")  # views.day is missing: the map would be refused
    card = inspect_files(tmp_path)
    assert not card.ready
    growth = next(model for model in card.models if model.name == "growth")
    assert growth.lacks[0].parts == ("views.day",)
    views.write_text("video_id,day,views\n1,1,5\n")
    assert not inspect_files(tmp_path).ready  # one row
    views.write_text("video_id,day,views\n" + "1,1,5\n" * 20)
    card = inspect_files(tmp_path)
    assert verdict(card).replace("\N{NO-BREAK SPACE}", " ") == (
        "21 rows. The columns suffice for 1 of 9 models; row counts are checked after the import by the column map "
        "below."
    )
    assert "columns suffice" in render(card)
    assert {model.name for model in card.ready} == {"growth"}


def test_nothing_fits(tmp_path):
    (tmp_path / "my.csv").write_text("q,z\n1,2\n")
    card = inspect_files(tmp_path / "my.csv")
    assert card.models == ()
    assert card.suggestion == ""
    assert verdict(card).startswith("1 row. No model can run: no column has a name that says what it is")
    assert isinstance(render(card), str)


def test_large_files_are_described_by_their_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 2_000)
    rows = [f"{i},ann,{i}" for i in range(1_000)]
    (tmp_path / "my.csv").write_text("id,author,likes\n" + "\n".join(rows))
    card = inspect_files(tmp_path / "my.csv")
    assert 100 < card.tables[0].rows < 200
    assert columns(card)["likes"].low == 0
    assert f"described by its first {card.tables[0].rows} rows" in " ".join(card.notes)
    assert verdict(card).startswith(f"more than {card.tables[0].rows} rows.")
    assert f"the first {card.tables[0].rows} rows" in render(card)


def test_what_is_large_is_seen_behind_the_compression(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 2_000)
    (tmp_path / "my.csv.gz").write_bytes(gzip.compress(b"id,author,likes\n" + b"1,ann,5\n" * 1_000))
    assert (tmp_path / "my.csv.gz").stat().st_size < 2_000
    card = inspect_files(tmp_path / "my.csv.gz")
    assert not card.tables[0].whole
    assert "described by its first" in " ".join(card.notes)


def test_rows_that_are_not_described_are_counted(tmp_path):
    (tmp_path / "my.csv").write_text("id,author\n1,ann\n2\n3,ben,x\n4,cem\n")
    card = inspect_files(tmp_path / "my.csv")
    assert card.tables[0].rows == 2
    assert "my.csv: 2 rows without exactly 2 values not described" in " ".join(card.notes)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "a.csv: the file is empty"),
        ("a.parquet", b"no", "a.parquet: not readable"),
        ("a.csv", b"x,y\n\xff,1\n", "line 2 is no UTF-8 text"),
        ("a.csv", b"x,x\n1,2\n", "appears more than once"),
    ],
)
def test_a_file_that_cannot_be_read_does_not_hide_the_others(name, content, words, tmp_path):
    (tmp_path / "posts.csv").write_text(POSTS)
    (tmp_path / name).write_bytes(content)
    card = inspect_files(tmp_path)
    assert [table.name for table in card.tables] == ["posts.csv"]
    assert words in " ".join(card.notes)
    assert set(yaml.safe_load(card.suggestion)["tables"]) == {"posts"}
    (tmp_path / "posts.csv").write_bytes(content)
    (tmp_path / "posts.csv").rename(tmp_path / f"b{name}")
    with pytest.raises(DataError, match="none of its 2 files can be read"):
        inspect_files(tmp_path)


def test_links_to_nothing_and_endings_in_capitals(tmp_path):
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        inspect_files(tmp_path / "gone.csv")
    (tmp_path / "MY.CSV.GZ").write_bytes(gzip.compress(POSTS.encode()))
    assert inspect_files(tmp_path / "MY.CSV.GZ").tables[0].rows == 3


def test_one_endless_line(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 2_000)
    (tmp_path / "my.csv").write_bytes(b"x" * 5_000)
    with pytest.raises(DataError, match="first line is longer than 2,000 bytes"):
        inspect_files(tmp_path / "my.csv")


def test_values_with_line_breaks(tmp_path):
    (tmp_path / "my.csv").write_text('id,author,caption\n1,ann,"two\nlines"\n2,ben,x\n')
    assert inspect_files(tmp_path / "my.csv").tables[0].rows == 2


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00\x01bad", b"a,b\n1\n2,3,4\n", b"\x00" * 100, b'id,author\n"open', b"a,a\n1,2\n", b"\n\n\n"],
)
def test_broken_files_give_a_card_or_a_message(content, tmp_path):
    (tmp_path / "my.csv").write_bytes(content)
    try:
        said = render(inspect_files(tmp_path / "my.csv"))
    except DataError as error:
        said = str(error)
    assert "my.csv" in said


def test_markets_are_told_from_files(tmp_path):
    assert not is_market(tmp_path)
    (tmp_path / "market.yaml").write_text("name: x\ncurrency: EUR\n")
    assert is_market(tmp_path)


@pytest.mark.realdata
def test_a_public_data_set_is_recognised(public_data):
    card = inspect_files(public_data / "instagram-posts-2017")
    assert any("market import instagram_2017" in note for note in card.notes)
    assert "posts.csv.gz" in [table.name for table in card.tables]
