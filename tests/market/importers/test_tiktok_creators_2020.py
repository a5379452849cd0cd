import ast
import shutil
from datetime import UTC, datetime

import numpy as np
import pyarrow.compute as pc
import pytest
from small_sources import CREATORS, P1, P2, P3, P4, SONGS, A, B, C, X, rows_of

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import TiktokCreators2020
from micromega.market.importers.tiktok_creators_2020 import import_folder

VIDEOS, TOP = CREATORS.files["videos.csv.gz"], CREATORS.files["top_creators.csv"]


def test_small_source_by_hand(tmp_path):
    market = CREATORS.read(CREATORS.write(tmp_path / "source"), tmp_path / "market")
    accounts = {row["account_id"]: row for row in market.table("accounts").to_pylist()}
    names = ("kind", "followers", "hearts", "videos", "location", "category")
    assert {key: tuple(row[name] for name in names) for key, row in accounts.items()} == {
        A: ("creator", 510, 1200, 12, "U.S.A", "Dancing"),  # beside the latest video, not the list's 78.9 million
        B: ("creator", 5, 10, 1, None, None),
        C: ("creator", 5, 10, None, None, None),
        X: ("brand", 1500, None, None, "India", None),
    }
    posts = {row["post_id"]: row for row in market.table("posts").to_pylist()}
    one = posts[P1]
    assert one["past_hearts"] == 100.0  # (1100 - 100) / (11 - 1)
    assert posts[P2]["past_hearts"] == pytest.approx((1200 - 50) / 11)
    assert (posts[P3]["past_hearts"], posts[P4]["past_hearts"]) == (None, None)
    assert one["hashtags"] == ["fyp", "it", "it's"]
    assert [posts[post]["music_id"] for post in (P1, P2, P3, P4)] == [None, "Song", None, "original sounds"]
    assert [one[name] for name in ("likes", "shares", "comments", "impressions", "author_followers", "duration_s")] == [
        100,
        3,
        2,
        1000,
        500,
        15.0,
    ]
    assert one["posted_at"] == datetime.fromtimestamp(1604786417, UTC)
    notes = "\n".join(market.notes)
    assert 'videos.csv.gz: column "n_total_vids" holds 1 negative number of videos (line 5: -3).' in notes
    assert "holds 2 numbers of videos without past hearts (lines 4, 5: 1, null)." in notes


def test_the_videos_of_sounds(tmp_path):
    market = SONGS.read(SONGS.write(tmp_path / "source"), tmp_path / "market")
    one, two = market.table("posts").to_pylist()
    assert (one["music_id"], one["past_hearts"], one["hashtags"]) == ("6866862002669718277", 100.0, [])
    assert two["past_hearts"] is None  # fewer hearts than the video has


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("videos", ",100,3,2,1000,", ",-100,3,2,1000,", '"n_likes" holds 1 value that is no count (line 2: -100)'),
        ("videos", ",100,3,2,1000,", ",100,3,2,Share,", '"n_plays" holds 1 value that is no count (line 2: Share)'),
        ("videos", ",1000,500,", ",1000,NaN,", '"n_followers" holds 1 value that is no count (line 2: NaN)'),
        ("videos", ",1200,12,", ",1200,12.5,", '"n_total_vids" holds 1 value that is no count (line 3: 12.5)'),
        ("videos", "1604786418", "", '"create_time" holds 1 value that is no time (line 3: )'),
        ("videos", "Song,9,", "Song,nan,", '"video_length" holds 1 value that is no number (line 3: nan)'),
        ("videos", "['x'],,", "['x',,", '"hashtags" holds 1 value that is no Python list of texts (line 4'),
        ("videos", P2, "2", '"video_id" holds 1 malformed id (line 3: 2)'),
        ("top_creators", "1.5k", "1.5q", '"Followers" holds 1 value that is no count (line 3: 1.5q)'),
        ("top_creators", "1%,1,", "1%,2,", '"Brand Account" holds 1 unknown value (line 3: 2)'),
    ],
)
def test_bad_cells_are_named_and_can_be_dropped(tmp_path, file, old, new, words):
    text = VIDEOS if file == "videos" else TOP
    assert old in text
    if ",," in new and "['x'" in new:
        new = "\"['x'\",,"
    folder = CREATORS.write(tmp_path / "source", **{file: text.replace(old, new, 1)})
    with pytest.raises(DataError) as caught:
        CREATORS.read(folder, tmp_path / "market")
    assert words in str(caught.value)
    market = CREATORS.read(folder, tmp_path / "market", on_bad_rows="drop")
    assert any(words in note for note in market.notes)


def test_pooled_videos_are_those_of_both_files_once(tmp_path):
    folder = CREATORS.write(tmp_path / "source")
    SONGS.write(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "song_videos.csv.gz", folder)
    pooled, first, second = (
        import_folder(folder, tmp_path / f"market-{videos}", videos=videos)
        for videos in ("pooled", "creators", "songs")
    )
    own = first.table("posts").to_pylist()
    known = {post["post_id"] for post in own}
    assert known == {P1, P2, P3, P4}  # both videos of the songs' file stand in the other too
    assert {post["post_id"]: post for post in pooled.table("posts").to_pylist()} == {p["post_id"]: p for p in own}
    assert any("2 videos stand in both files" in note for note in pooled.notes)
    ids = {row["account_id"] for of in (first, second) for row in of.table("accounts").to_pylist()}
    assert set(pooled.table("accounts")["account_id"].to_pylist()) == ids


def test_pooled_videos_of_songs_alone_keep_their_song(tmp_path):
    folder = CREATORS.write(tmp_path / "source")
    other = SONGS.files["song_videos.csv.gz"].replace(P1, "5" * 16).replace(P2, "6" * 16)
    SONGS.write(tmp_path / "songs", song_videos=other)
    shutil.copy(tmp_path / "songs" / "song_videos.csv.gz", folder)
    posts = import_folder(folder, tmp_path / "market", videos="pooled").table("posts").to_pylist()
    assert len(posts) == 6
    assert next(post for post in posts if post["post_id"] == "5" * 16)["music_id"] == "6866862002669718277"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("songs", "videos", "creators", "used", "followers", "plays", "pair"),
    [
        (False, 50_227, 1_843, 50_152, (14.53, 1.99), (12.73, 2.44), 0.798),
        (True, 11_247, 8_483, 11_160, (12.23, 3.13), (13.25, 2.86), 0.651),
    ],
)
def test_the_real_source(public_data, tmp_path, songs, videos, creators, used, followers, plays, pair):
    folder = public_data / "tiktok-creators-2020"
    market = open_market(TiktokCreators2020(path=str(folder), videos="songs" if songs else "creators"), tmp_path)
    rows = rows_of(folder / ("song_videos.csv.gz" if songs else "videos.csv.gz"))
    accounts, posts = market.table("accounts"), market.table("posts")
    # The numbers of the source's README.
    assert (posts.num_rows, pc.count_distinct(posts["account_id"]).as_py()) == (videos, creators)
    top = rows_of(folder / "top_creators.csv")
    assert len(top) == 256
    assert accounts["location"].null_count == accounts.num_rows - 256
    assert set(accounts["account_id"].to_pylist()) == {row["creator_id"] for row in top + rows}
    assert pc.sum(pc.equal(accounts["kind"], "brand")).as_py() == sum(row["Brand Account"] == "1" for row in top)
    impressions, author = (posts[name].to_numpy() for name in ("impressions", "author_followers"))
    total = np.array([int(row["n_total_vids"]) for row in rows])
    usable = (impressions > 0) & (author > 0) & (total > 1)
    hearts = posts["past_hearts"].to_numpy()
    if not songs:
        assert usable.sum() == used
    log_followers, log_plays = np.log(author[usable]), np.log(impressions[usable])
    assert (log_followers.mean(), log_followers.std()) == pytest.approx(followers, abs=0.01)
    assert (log_plays.mean(), log_plays.std()) == pytest.approx(plays, abs=0.01)
    assert np.corrcoef(log_followers, log_plays)[0, 1] == pytest.approx(pair, abs=0.002)
    if songs:  # the README's correlation of the leave-one-out instrument
        both = usable & (np.nan_to_num(hearts) > 0)
        assert np.corrcoef(np.log(hearts[both]), np.log(author[both]))[0, 1] == pytest.approx(0.922, abs=0.002)
    # Value by value.
    for name, column in {
        "likes": "n_likes",
        "shares": "n_shares",
        "comments": "n_comments",
        "impressions": "n_plays",
    }.items():
        assert posts[name].to_pylist() == [int(row[column]) for row in rows]
    expected = []
    for row in rows:
        rest, others = int(row["n_total_likes"]) - int(row["n_likes"]), int(row["n_total_vids"]) - 1
        expected.append(rest / others if others > 0 and rest >= 0 else None)
    assert posts["past_hearts"].to_pylist() == expected
    if not songs:
        tags = [ast.literal_eval(row["hashtags"]) for row in rows]
        assert posts["hashtags"].to_pylist() == [[tag.strip() for tag in some if tag.strip()] for some in tags]
    latest = {}
    for row in rows:
        if row["creator_id"] not in latest or int(row["create_time"]) > int(latest[row["creator_id"]]["create_time"]):
            latest[row["creator_id"]] = row
    found = {row["account_id"]: row for row in accounts.to_pylist()}
    for creator, row in latest.items():
        assert found[creator]["followers"] == int(row["n_followers"])
        assert found[creator]["hearts"] == int(row["n_total_likes"])
