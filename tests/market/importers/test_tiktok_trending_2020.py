import json
from datetime import UTC, datetime

import pyarrow.compute as pc
import pytest
from small_sources import P1, TRENDING, A, B, Y, rows_of

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import TiktokTrending2020

TEXT = TRENDING.files["trending.csv"]


def test_small_source_by_hand(tmp_path):
    market = TRENDING.read(TRENDING.write(tmp_path / "source"), tmp_path / "market")
    assert [(row["account_id"], row["kind"], row["verified"]) for row in market.table("accounts").to_pylist()] == [
        (A, "creator", True),  # once with, once without the badge
        (B, "creator", False),
    ]
    one, two, _ = market.table("posts").to_pylist()
    assert (one["hashtags"], one["mentioned_ids"], one["music_id"]) == (["a", "b"], [Y], "679")
    counts = [one[name] for name in ("likes", "shares", "impressions", "comments", "duration_s")]
    assert counts == [3710, 50, 44800, 68, 15.0]
    assert one["posted_at"] == datetime.fromtimestamp(1608214517, UTC)
    assert (two["caption"], two["hashtags"], two["mentioned_ids"], two["music_id"]) == (None, [], [], None)
    assert 'trending.csv: column "text" is empty in 1 row (line 3).' in market.notes


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",3710,", ",-3710,", '"diggCount" holds 1 value that is no count (line 2: -3710)'),
        (",44800,", ",nan,", '"playCount" holds 1 value that is no count (line 2: nan)'),
        (",68\n", ",Share\n", '"commentCount" holds 1 value that is no count (line 2: Share)'),
        (",576,15,", ",576,inf,", '"duration" holds 1 value that is no number (line 2: inf)'),
        (",576,15,", ",576,-1,", '"duration" holds 1 value that is no number (line 2: -1)'),
        ("1608214517", "99999999999999", '"createTime" holds 1 value that is no time (line 2: 99999999999999)'),
        ("False", "yes", '"verified" holds 1 unknown value (line 2: yes)'),
        ('"[""' + Y + '""]"', "oops", '"mentions" holds 1 value that is no JSON list of texts (line 2: oops)'),
        (f"{P1},{A}", f"{P1},A", '"creator_id" holds 1 malformed id (line 2: A)'),
    ],
)
def test_bad_cells_are_named_and_can_be_dropped(tmp_path, old, new, words):
    assert old in TEXT
    folder = TRENDING.write(tmp_path / "source", trending=TEXT.replace(old, new, 1))
    with pytest.raises(DataError) as caught:
        TRENDING.read(folder, tmp_path / "market")
    assert words in str(caught.value)
    market = TRENDING.read(folder, tmp_path / "market", on_bad_rows="drop")
    assert market.table("posts").num_rows == 2
    assert any(words in note for note in market.notes)


@pytest.mark.realdata
def test_the_real_source(public_data, tmp_path):
    folder = public_data / "tiktok-trending-2020"
    market = open_market(TiktokTrending2020(path=str(folder)), tmp_path)
    rows = rows_of(folder / "trending.csv")
    accounts, posts = market.table("accounts"), market.table("posts")
    # The numbers of the source's README.
    assert (posts.num_rows, accounts.num_rows, posts["caption"].null_count) == (1_000, 802, 38)
    badge = accounts.filter(accounts["verified"])["account_id"].combine_chunks()
    assert pc.sum(pc.is_in(posts["account_id"], badge)).as_py() == 56
    assert str(pc.min(posts["posted_at"]).as_py().date()) == "2020-09-22"
    assert str(pc.max(posts["posted_at"]).as_py().date()) == "2020-12-21"
    # Value by value.
    assert posts["impressions"].to_pylist() == [int(row["playCount"]) for row in rows]
    assert posts["likes"].to_pylist() == [int(row["diggCount"]) for row in rows]
    assert posts["shares"].to_pylist() == [int(row["shareCount"]) for row in rows]
    assert posts["comments"].to_pylist() == [int(row["commentCount"]) for row in rows]
    assert posts["duration_s"].to_pylist() == [float(row["duration"]) for row in rows]
    assert posts["mentioned_ids"].to_pylist() == [json.loads(row["mentions"]) for row in rows]
    assert posts["hashtags"].to_pylist() == [
        [tag.strip() for tag in json.loads(row["hashtags"]) if tag.strip()] for row in rows
    ]
    assert posts["music_id"].to_pylist() == [row["musicId"] for row in rows]
