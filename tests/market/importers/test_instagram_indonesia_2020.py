import ast
import collections
import re
from datetime import UTC, datetime

import pyarrow.compute as pc
import pytest
from small_sources import INDONESIA, P1, A, B, C, X, Y, rows_of

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import InstagramIndonesia2020

POSTS = INDONESIA.files["posts.csv.gz"]


def test_small_source_by_hand(tmp_path):
    market = INDONESIA.read(INDONESIA.write(tmp_path / "source"), tmp_path / "market")
    accounts = {row["account_id"]: row for row in market.table("accounts").to_pylist()}
    assert {key: (row["kind"], row["name"], row["followers"], row["videos"]) for key, row in accounts.items()} == {
        A: ("creator", None, 1000, 10),
        B: ("creator", None, 2000, 20),
        C: ("brand", "cshop", 3000, 30),
        X: ("brand", "xshop", None, None),
    }
    # A mentions the media brand C alone; B mentions nobody; the source's subjects are kept apart.
    assert {key: (row["category"], row["biography"]) for key, row in accounts.items()} == {
        A: ("media", "Singer"),
        B: (None, "Film, Music & Books, it's"),
        C: ("media", None),
        X: ("fashion", None),
    }
    one, two, three = market.table("posts").to_pylist()
    assert (one["mentioned_ids"], one["hashtags"], one["brand_id"]) == ([Y, C], ["Sun", "two"], C)
    assert one["posted_at"] == datetime.fromtimestamp(1594174009, UTC)
    assert (one["likes"], one["comments"], one["content_type"]) == (154552, 0, "image")
    assert (two["caption"], two["mentioned_ids"], two["brand_id"], two["content_type"]) == (None, [], None, "video")
    assert (three["mentioned_ids"], three["hashtags"], three["brand_id"]) == ([C, X], ["x", "y"], X)
    assert three["content_type"] == "carousel"
    assert [(row["creator_id"], row["brand_id"], row["posts"]) for row in market.table("mentions").to_pylist()] == [
        (A, C, 1)
    ]
    assert 'posts.csv.gz: column "captions" is empty in 1 row (line 4).' in market.notes


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("posts", "GraphImage,154552", "GraphImage,-1", '"likes" holds 1 value that is no count (line 2: -1)'),
        (
            "posts",
            "GraphVideo,5,1",
            "GraphVideo,5,NaN",
            '"comment_counts" holds 1 value that is no count (line 4: NaN)',
        ),
        ("posts", "GraphVideo", "Reel", '"type_posts" holds 1 unknown value (line 4: Reel)'),
        ("posts", "1594174010", "2020-07-08", '"dates" holds 1 value that is no time (line 4: 2020-07-08)'),
        ("posts", f"{P1},{A}", f"{P1},{Y}", f'"creator_id" holds 1 id that is not known (line 2: {Y})'),
        ("posts", P1, P1.replace("1", "g"), '"post_id" holds 1 malformed id (line 2: gggg'),
        ("influencers", "['Singer']", "['Singer'", '"category" holds 1 value that is no Python list of texts (line 2'),
        ("influencers", "['Singer']", "[1]", '"category" holds 1 value that is no Python list of texts (line 2: [1])'),
        ("influencers", "['Singer']", r"['\d']", '"category" holds 1 value that is no Python list of texts (line 2'),
        ("influencers", ",20,2000", ",20,2e3", '"followers" holds 1 value that is no count (line 3: 2e3)'),
        ("brand_accounts", X, "X", '"brand_id" holds 1 malformed id (line 2: X)'),
    ],
)
def test_bad_cells_are_named_and_can_be_dropped(tmp_path, file, old, new, words):
    text = next(text for name, text in INDONESIA.files.items() if name.startswith(file))
    assert old in text
    folder = INDONESIA.write(tmp_path / "source", **{file: text.replace(old, new, 1)})
    with pytest.raises(DataError) as caught:
        INDONESIA.read(folder, tmp_path / "market")
    assert words in str(caught.value)
    assert "market.on_bad_rows=drop" in str(caught.value)
    market = INDONESIA.read(folder, tmp_path / "market", on_bad_rows="drop")
    assert any(words in note for note in market.notes)


@pytest.mark.realdata
def test_the_real_source(public_data, tmp_path):
    folder = public_data / "instagram-posts-indonesia-2020"
    market = open_market(InstagramIndonesia2020(path=str(folder)), tmp_path)
    rows, people = rows_of(folder / "posts.csv.gz"), rows_of(folder / "influencers.csv")
    brands = {row["brand_id"]: row for row in rows_of(folder / "brand_accounts.csv")}
    pairs = {
        (row["creator_id"], row["mentioned_id"]): int(row["n_posts"]) for row in rows_of(folder / "mentions.csv.gz")
    }

    # The numbers of the source's README.
    accounts, posts, mentions = (market.table(name) for name in ("accounts", "posts", "mentions"))
    assert posts.num_rows == 48_174
    assert collections.Counter(posts["content_type"].to_pylist()) == {
        "image": 23_882,
        "video": 13_848,
        "carousel": 10_444,
    }
    assert posts["caption"].null_count == 257
    assert accounts.num_rows - accounts["followers"].null_count == 720
    assert pc.count_distinct(posts["account_id"]).as_py() == 524
    assert (pc.min(accounts["followers"]).as_py(), pc.max(accounts["followers"]).as_py()) == (79_900, 33_500_000)
    assert pc.sum(pc.equal(accounts["kind"], "brand")).as_py() == len(brands) == 113
    named = {pair: count for pair, count in pairs.items() if pair[1] in brands}
    assert (len(named), len({creator for creator, _ in named})) == (1_013, 327)
    both = {row["creator_id"] for row in people} & set(brands)
    assert len(both) == 19  # brands with posts of their own are no creators here
    derived = {(row["creator_id"], row["brand_id"]): row["posts"] for row in mentions.to_pylist()}
    assert derived == {pair: count for pair, count in named.items() if pair[0] not in both}

    # Value by value against another CSV reader and plain loops.
    assert posts["likes"].to_pylist() == [int(row["likes"]) for row in rows]
    assert posts["comments"].to_pylist() == [int(row["comment_counts"]) for row in rows]
    assert [value or "" for value in posts["caption"].to_pylist()] == [row["captions"] for row in rows]
    assert [value.timestamp() for value in posts["posted_at"].to_pylist()] == [int(row["dates"]) for row in rows]
    assert posts["hashtags"].to_pylist() == [re.findall(r"#(\w+)", row["captions"]) for row in rows]
    tokens = [list(dict.fromkeys(re.findall(r"@([0-9a-f]{12})(?![0-9a-f])", row["captions"]))) for row in rows]
    assert posts["mentioned_ids"].to_pylist() == tokens
    assert posts["brand_id"].to_pylist() == [
        next((token for token in found if token in brands and token != row["creator_id"]), None)
        for row, found in zip(rows, tokens, strict=True)
    ]
    subjects = {row["creator_id"]: ", ".join(ast.literal_eval(row["category"])) or None for row in people}
    assert {
        row["account_id"]: row["biography"] for row in accounts.to_pylist() if row["account_id"] in subjects
    } == subjects
