from datetime import UTC, datetime

import numpy as np
import pyarrow.compute as pc
import pytest
from small_sources import P1, P2, VIETNAM, A, B, Y, rows_of

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import TiktokGrowthVietnam2025


def test_small_source_by_hand(tmp_path):
    market = VIETNAM.read(VIETNAM.write(tmp_path / "source"), tmp_path / "market")
    # 7.96 days and 16.04 days; 0 days count as 1; P2 shows no views at the second crawl, P3 none at all.
    assert [tuple(row.values()) for row in market.table("views").to_pylist()] == [
        (P1, 8, 541_200),
        (P1, 16, 2_100_000),
        (P2, 1, 1_000_000_000),
    ]
    one, two, three = market.table("posts").to_pylist()
    counts = ("impressions", "likes", "comments", "shares", "author_followers")
    assert [one[name] for name in counts] == [2_100_000, 30_000, 657, None, 304_900]
    assert [two[name] for name in counts] == [1_000_000_000, 27_700_000, None, 10_200, 305_000]
    assert [three[name] for name in counts] == [None, 5, 6, 7, None]
    assert (one["hashtags"], one["mentioned_ids"], one["music_id"]) == (["a", "b 💫"], [Y], "7.5e+18")
    assert [row["duration_s"] for row in (one, two, three)] == [31.0, 65.0, 1800.0]
    assert (two["caption"], two["hashtags"], two["music_id"]) == (None, [], None)
    assert one["posted_at"] == datetime(2025, 5, 21, 9, tzinfo=UTC)
    assert [(row["account_id"], row["followers"]) for row in market.table("accounts").to_pylist()] == [
        (A, 305_400),  # of the crawl of 6 June
        (B, None),
    ]
    notes = "\n".join(market.notes)
    assert 'Unknown: crawl2.csv.gz: column "vid_nshare" holds 1 button\'s name (line 2: Share).' in notes
    assert 'crawl2.csv.gz: column "vid_nview" is empty in 1 row (line 3).' in notes


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "crawl1",
            "541.2K",
            "-541.2K",
            'crawl1.csv.gz: column "vid_nview" holds 1 value that is no count (line 2: -541.2K)',
        ),
        ("crawl1", "541.2K", "nan", '"vid_nview" holds 1 value that is no count (line 2: nan)'),
        ("crawl1", "21.9K", "21.9", '"vid_nlike" holds 1 value that is no count (line 2: 21.9)'),
        ("crawl2", "2.1m", "2,1m", "crawl2.csv.gz: 1 row without exactly 17 values"),
        ("crawl1", ",00:31,", ",31,", '"vid_duration" holds 1 value that is no duration (line 2: 31)'),
        (
            "crawl1",
            "2025-05-29 08",
            "2025-02-30 08",
            '"vid_scrapeTime" holds 1 value that is no time (line 2: 2025-02-30',
        ),
        (
            "crawl1",
            "2025-05-29 08",
            "2025-05-20 08",
            '"vid_scrapeTime" holds 1 crawl before the publication (line 2: 2025',
        ),
        (
            "crawl2",
            "2025-06-06 10",
            "2025-05-29 10",
            '"vid_scrapeTime" holds 1 crawl on the day of the first (line 2',
        ),
        ("crawl2", P1, "9" * 16, '"video_id" holds 1 id that is not known (line 2: 9999'),
        ("crawl2", f"{P1},{A}", f"{P1},?", '"creator_id" holds 1 malformed id (line 2: ?)'),
    ],
)
def test_bad_cells_are_named_and_can_be_dropped(tmp_path, file, old, new, words):
    text = VIETNAM.files[f"{file}.csv.gz"]
    assert old in text
    folder = VIETNAM.write(tmp_path / "source", **{file: text.replace(old, new, 1)})
    with pytest.raises(DataError) as caught:
        VIETNAM.read(folder, tmp_path / "market")
    assert words in str(caught.value)
    market = VIETNAM.read(folder, tmp_path / "market", on_bad_rows="drop")
    assert any(words in note for note in market.notes)


def test_crawls_that_round_to_one_day_of_the_age_are_named(tmp_path):
    """0.4 and 1.4 days are both day 1, although more than a day lies between them."""
    first, second = VIETNAM.files["crawl1.csv.gz"], VIETNAM.files["crawl2.csv.gz"]
    folder = VIETNAM.write(
        tmp_path / "source",
        crawl1=first.replace("2025-05-29 08:00:00", "2025-05-21 18:00:00", 1),
        crawl2=second.replace("2025-06-06 10:00:00", "2025-05-22 19:00:00", 1),
    )
    with pytest.raises(DataError, match=r"crawl2.*1 crawl on the day of the first \(line 2"):
        VIETNAM.read(folder, tmp_path / "market")
    market = VIETNAM.read(folder, tmp_path / "market", on_bad_rows="drop")
    assert [row["day"] for row in market.table("views").to_pylist() if row["post_id"] == P1] == [1]


def count(text):
    """Read a count as the app shows it, in decimal arithmetic by hand."""
    units = {"K": 3, "M": 6, "B": 9}
    whole, _, part = text.rstrip("KMB").partition(".")
    zeros = units.get(text[-1:], 0)
    return int(whole + part.ljust(zeros, "0")) if text not in {"", "Share"} else None


@pytest.mark.realdata
def test_the_real_source(public_data, tmp_path):
    folder = public_data / "tiktok-growth-vn-2025"
    market = open_market(TiktokGrowthVietnam2025(path=str(folder)), tmp_path)
    first, second = rows_of(folder / "crawl1.csv.gz"), rows_of(folder / "crawl2.csv.gz")
    accounts, posts, views = (market.table(name) for name in ("accounts", "posts", "views"))
    # The numbers of the source's README.
    assert (posts.num_rows, accounts.num_rows) == (10_102, 6_883)
    assert views.num_rows == 10_102 + 2_409 - 357
    twice = pc.value_counts(views["post_id"])
    assert pc.sum(pc.equal(twice.field("counts"), 2)).as_py() == 2_052
    assert posts["caption"].null_count == 1_399
    assert pc.sum(pc.equal(pc.list_value_length(posts["hashtags"]), 0)).as_py() == 2_622
    assert sum("vid_nshare" in note and "Share" in note for note in market.notes) == 1
    growth = {}
    for row in views.to_pylist():
        growth.setdefault(row["post_id"], []).append(row["impressions"])
    logs = np.array([np.log(pair[1] / pair[0]) for pair in growth.values() if len(pair) == 2])
    assert (logs.mean(), np.median(logs), logs.max()) == pytest.approx((0.168, 0.080, 2.07), abs=0.005)
    assert logs.min() >= 0
    start = {row["video_id"]: count(row["vid_nview"]) for row in first}
    seen = np.array([start[post] for post in posts["post_id"].to_pylist()])
    author = posts["author_followers"].fill_null(0).to_numpy()
    usable = (author > 0) & (seen > 0)
    assert usable.sum() == 10_088
    log_followers, log_views = np.log(author[usable]), np.log(seen[usable])
    assert np.corrcoef(log_followers, log_views)[0, 1] == pytest.approx(0.23, abs=0.005)
    assert (log_followers.mean(), log_followers.std()) == pytest.approx((11.22, 2.63), abs=0.01)
    assert (log_views.mean(), log_views.std()) == pytest.approx((14.62, 0.97), abs=0.01)
    # Value by value.
    later = {row["video_id"]: row for row in second if row["vid_nview"]}
    names = {"impressions": "vid_nview", "likes": "vid_nlike", "comments": "vid_ncomment", "shares": "vid_nshare"}
    for name, column in names.items():
        assert posts[name].to_pylist() == [count(later.get(row["video_id"], row)[column]) for row in first]
    assert posts["author_followers"].to_pylist() == [count(row["user_nfollower"]) for row in first]
    days = {}
    for row in first + second:
        age = datetime.fromisoformat(row["vid_scrapeTime"]) - datetime.fromisoformat(row["vid_postTime"])
        if row["vid_nview"]:
            days[row["video_id"], max(1, round(age.total_seconds() / 86_400))] = count(row["vid_nview"])
    assert {(row["post_id"], row["day"]): row["impressions"] for row in views.to_pylist()} == days
