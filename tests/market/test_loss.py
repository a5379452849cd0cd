"""Dropped rows are counted: by table, once each, whichever way they go, and the count is kept."""

import logging

import pyarrow as pa
import pytest
import yaml
from tiny_market import tiny_tables, write_tiny

from micromega.errors import DataError
from micromega.market import Market
from micromega.market.importers import edge_list
from micromega.market.importers.mapped import import_folder
from micromega.market.importers.source import read_csv
from micromega.market.inspect import inspect_market
from micromega.market.loss import DropNote, Loss, alarm, losses
from micromega.market.storage import write_parquet

MAP = """name: mine
currency: EUR
tables:
  posts: {file: my.csv, columns: {post_id: id, account_id: author, likes: likes, comments: comments}}
"""


def write_posts(folder, rows):
    (folder / "map.yaml").write_text(MAP)
    (folder / "my.csv").write_text("id,author,likes,comments\n" + "".join(f"{row}\n" for row in rows))
    return folder / "map.yaml"


def test_notes_are_texts_that_count():
    notes = ["plain", DropNote("a", where="posts", rows=3, of=100), DropNote("b", where="posts", rows=7, of=97)]
    assert notes[1] == "a"
    assert type(str(notes[1])) is str
    assert losses(notes) == {"posts": Loss(rows=10, of=100)}
    assert losses(notes, {"posts": Loss(rows=5, of=105), "x": Loss(rows=1, of=2)}) == {
        "posts": Loss(rows=15, of=105),
        "x": Loss(rows=1, of=2),
    }


@pytest.mark.parametrize(
    ("rows", "of", "words"), [(1, 3, "(33.3%), kept 2"), (1, 5_000, "(under 0.1%), kept 4,999"), (2, 2, "(100.0%)")]
)
def test_words(rows, of, words):
    assert words in Loss(rows=rows, of=of).words


def test_an_alarm_only_above_a_tenth():
    assert alarm({"a": Loss(rows=10, of=100)}) == ""
    assert "b dropped 11 of 100 rows (11.0%), kept 89" in alarm({"a": Loss(rows=1, of=100), "b": Loss(rows=11, of=100)})


def test_every_way_to_lose_a_row_counts_once(tmp_path, caplog):
    good = [f"{i},ann,{i},1" for i in range(10)]
    bad = ["10,ann,many,1", "11,ann,1,few", "12,ann", "3,ann,1,1", ",ann,1,1", "13,ann,-5,1"]
    source = write_posts(tmp_path, [*good, *bad])
    with caplog.at_level(logging.WARNING):
        market = import_folder(source, tmp_path / "market", on_bad_rows="drop")
    assert market.tables["posts"].num_rows == 10
    assert market.dropped == {"posts": Loss(rows=6, of=16)}
    assert "WARNING: more than 10% of the rows were dropped: posts dropped 6 of 16 rows (37.5%)" in caplog.text
    again = Market.load(tmp_path / "market")
    assert (again.dropped, again.notes, again.fingerprint) == (market.dropped, market.notes, market.fingerprint)
    assert all(type(note) is str for note in market.notes)


def test_a_market_that_lost_nothing_says_nothing(tmp_path):
    market = write_tiny(tmp_path / "m")
    assert market.dropped == {}
    assert "dropped" not in (tmp_path / "m" / "market.yaml").read_text(encoding="utf-8")


def test_load_adds_to_what_the_import_lost(tmp_path):
    market = import_folder(
        write_posts(tmp_path, [*(f"{i},ann,{i},1" for i in range(50)), "x,ann,-1,1"]),
        tmp_path / "m",
        on_bad_rows="drop",
    )
    assert market.dropped == {"posts": Loss(rows=1, of=51)}
    posts = market.tables["posts"]
    (tmp_path / "m" / "posts.parquet").unlink()
    write_parquet(pa.concat_tables([posts, posts.slice(0, 4)]), tmp_path / "m" / "posts.parquet")
    loaded = Market.load(tmp_path / "m", on_bad_rows="drop")
    assert loaded.dropped == {"posts": Loss(rows=5, of=54)}


def test_rows_that_refer_to_dropped_rows_count_for_their_own_table(tmp_path):
    write_tiny(tmp_path / "m")
    accounts = tiny_tables()["accounts"]
    spoilt = accounts.set_column(2, "followers", pa.array([None, None, -1, 12000, 50000], pa.int64()))
    (tmp_path / "m" / "accounts.parquet").unlink()
    write_parquet(spoilt, tmp_path / "m" / "accounts.parquet")
    dropped = Market.load(tmp_path / "m", on_bad_rows="drop").dropped
    assert dropped["accounts"] == Loss(rows=1, of=5)
    assert dropped["posts"] == Loss(rows=2, of=4)
    assert dropped["mentions"] == Loss(rows=1, of=3)


def test_comments_and_blank_lines_are_no_rows(tmp_path):
    (tmp_path / "graph.txt").write_text("# nodes\n1 2\n\n2 3\nx\n3 4\n")
    market = edge_list.import_folder(tmp_path / "graph.txt", tmp_path / "m", on_bad_rows="drop")
    assert market.dropped == {"graph.txt": Loss(rows=1, of=4)}


def test_rows_of_another_width_and_bad_cells_of_one_file_add_up(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n1\n3,no\n4,5\n")
    rows = read_csv(tmp_path / "x.csv", ("a", "b"), "drop")
    rows.count("b")
    assert losses(rows.notes) == {"x.csv": Loss(rows=2, of=4)}
    assert rows.rows.num_rows == 2


@pytest.mark.parametrize(
    "text", ["posts: 5", "posts: {rows: 5}", "posts: {rows: 5, of: 4}", "posts: {rows: x, of: 4}", "- posts"]
)
def test_a_record_that_is_none_is_refused(text, tmp_path):
    write_tiny(tmp_path / "m")
    path = tmp_path / "m" / "market.yaml"
    path.write_text(path.read_text(encoding="utf-8") + f"dropped:\n  {text}\n")
    yaml.safe_load(path.read_text(encoding="utf-8"))
    with pytest.raises(DataError, match='"dropped" maps tables'):
        Market.load(tmp_path / "m")


@pytest.mark.parametrize(("bad", "severity"), [(0, None), (1, None), (2, "check"), (10, "check"), (12, "serious")])
def test_the_card_names_the_loss(bad, severity, tmp_path):
    source = write_posts(
        tmp_path, [*(f"{i},a{i},{i},1" for i in range(100 - bad)), *(f"x{i},ann,no,1" for i in range(bad))]
    )
    market = import_folder(source, tmp_path / "m", on_bad_rows="drop" if bad else "error")
    found = [finding for finding in inspect_market(market).findings if "dropped" in finding.what]
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    if found:
        assert (found[0].table, found[0].count, found[0].total) == ("posts", bad, 100)
        assert inspect_market(market).findings[0] == found[0]
