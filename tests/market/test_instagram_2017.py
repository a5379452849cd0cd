import collections
import csv
import gzip
import json
import re

import pyarrow.compute as pc
import pytest

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import Instagram2017
from micromega.market.importers.instagram_2017 import import_folder

A, B, C, X, Y = (digit * 12 for digit in "abc12")
BRANDS = "brand_id,brand_handle,category,n_creators,n_posts\n{X},xshop,fashion,1,1\n{C},cshop,media,1,1\n"
PROFILES = (
    "creator_id,numberPosts,numberFollowers,numberFollowing,private,has_website\n"
    "{A},10,1000,5,False,True\n{B},20,2000,5,False,True\n{C},30,3000,5,False,True\n"
)
HEAD = "post_id,creator_id,date,isVideo,multipleImage,numberLikes,tags,mentions,description,has_localization\n"
POSTS = HEAD + (
    '0000000000000001,{A},2017-04-29T05:00:00.000Z,False,False,7,"[""#Sun"", ""##two""]","[""{X}"", ""{Y}"", ""{C}""]",'
    '"first line\nwith ""quotes"", commas\n@{Y} and @{C} and @{Y}",False\n'
    '0000000000000002,{B},1970-01-01T00:00:00.000Z,False,False,0,[],"[""{B}""]",@{B},False\n'
    '0000000000000003,{C},2017-04-30T05:00:00.000Z,False,True,9,[],"[""{C}"", ""{X}""]",,True\n'
)


def fill(text):
    return re.sub(r"\{([ABCXY])\}", lambda found: globals()[found.group(1)], text)


def source(folder, **changed):
    texts = {"brand_accounts.csv": BRANDS, "profiles.csv": PROFILES, "posts.csv.gz": POSTS}
    texts |= {name.replace("_csv", ".csv").replace("_gz", ".gz"): text for name, text in changed.items()}
    folder.mkdir()
    for name, text in texts.items():
        opened = gzip.open if name.endswith(".gz") else open
        with opened(folder / name, "wt", encoding="utf-8", newline="") as file:
            file.write(fill(text))
    return folder


def refused(tmp_path, **changed):
    with pytest.raises(DataError) as caught:
        import_folder(source(tmp_path / "source", **changed), tmp_path / "market")
    assert not (tmp_path / "market").exists()
    return str(caught.value)


def test_small_source_by_hand(tmp_path):
    market = import_folder(source(tmp_path / "source"), tmp_path / "market")
    accounts = {row["account_id"]: row for row in market.table("accounts").to_pylist()}
    assert {key: (row["kind"], row["followers"], row["videos"], row["name"]) for key, row in accounts.items()} == {
        A: ("creator", 1000, 10, None),
        B: ("creator", 2000, 20, None),
        C: ("brand", 3000, 30, "cshop"),
        X: ("brand", None, None, "xshop"),
    }
    one, two, three = market.table("posts").to_pylist()
    assert one["hashtags"] == ["Sun", "two"]
    assert one["mentioned_ids"] == [Y, C, X]  # as in the caption; X is only tagged on the picture
    assert one["brand_id"] == C
    assert one["caption"] == fill('first line\nwith "quotes", commas\n@{Y} and @{C} and @{Y}')
    assert two["posted_at"] is None
    assert (two["mentioned_ids"], two["brand_id"]) == ([B], None)
    assert (three["mentioned_ids"], three["brand_id"], three["caption"]) == ([X, C], X, "")
    assert [(row["creator_id"], row["brand_id"], row["posts"]) for row in market.table("mentions").to_pylist()] == [
        (A, X, 1),
        (A, C, 1),
    ]
    assert "1 accounts are both brand and profile; they are brands here, with posts of their own." in market.notes


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("False,7,", "False,-7,", 'posts.csv.gz: column "numberLikes" holds 1 value that is no count (line 2: -7)'),
        ("False,0,", "False,x,", 'posts.csv.gz: column "numberLikes" holds 1 value that is no count (line 5: x)'),
        ("True,9,", "True,,", 'column "numberLikes" holds 1 value that is no count (line 6: )'),
        ("2017-04-30T", "2017-13-30T", 'column "date" holds 1 malformed date (line 6: 2017-13-30T05'),
        (
            "0000000000000003,{C}",
            "0000000000000003,{Y}",
            'column "creator_id" holds 1 id that is not known (line 6: 2222',
        ),
        ("0000000000000003", "0000000000000001", 'column "post_id" holds 1 repeated key (line 6: 0000000000000001)'),
        ("0000000000000002", "2", 'column "post_id" holds 1 malformed id (line 5: 2)'),
        ('"[""{B}""]"', '"[""{B}"""', 'column "mentions" holds 1 value that is no JSON list of texts (line 5: ["bbb'),
        ('"[""{B}""]"', "[1]", 'column "mentions" holds 1 value that is no JSON list of texts (line 5: [1])'),
        ('"[""{B}""]"', "[null]", "no JSON list of texts (line 5: [null])"),
        ('"[""{B}""]"', '"[],[]"', "no JSON list of texts (line 5: [],[])"),
        ("{B},1970", "{B},extra,1970", "posts.csv.gz: 1 row without exactly 10 values (the first has 11:"),
    ],
)
def test_bad_lines_are_named_and_can_be_dropped(tmp_path, old, new, words):
    assert old in POSTS
    bad = POSTS.replace(old, new)
    message = refused(tmp_path, posts_csv_gz=bad)
    assert words in message
    assert "market.on_bad_rows=drop" in message
    market = import_folder(tmp_path / "source", tmp_path / "market", on_bad_rows="drop")
    assert market.table("posts").num_rows == 2
    assert any(note.startswith("Dropped: posts.csv.gz") for note in market.notes)


def test_defects_of_the_other_files(tmp_path):
    message = refused(tmp_path, profiles_csv=PROFILES.replace("2000", "2e3"))
    assert 'profiles.csv: column "numberFollowers" holds 1 value that is no count (line 3: 2e3)' in message


def test_a_missing_column_is_named(tmp_path):
    message = refused(tmp_path, profiles_csv=PROFILES.replace("numberFollowers", "followers"))
    assert (
        'profiles.csv: column "numberFollowers" is missing. The file has: creator_id, numberPosts, followers' in message
    )


def test_a_missing_file_is_named(tmp_path):
    (source(tmp_path / "source") / "profiles.csv").unlink()
    with pytest.raises(DataError, match=r"profiles\.csv: there is no such file"):
        open_market(Instagram2017(path=str(tmp_path / "source")), tmp_path / "cache")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-20],
        lambda content: content[:40] + bytes([content[40] ^ 255]) + content[41:],
        lambda content: b"no gzip",
        lambda content: b"",
        lambda content: gzip.compress(b""),
        lambda content: gzip.compress(fill(HEAD).encode()),
        lambda content: gzip.compress(fill(POSTS).encode().replace(b"Sun", b"\xff\xfe")),
    ],
)
def test_a_damaged_file_is_a_data_error(tmp_path, damage):
    file = source(tmp_path / "source") / "posts.csv.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"posts\.csv\.gz"):
        import_folder(tmp_path / "source", tmp_path / "market")
    assert not (tmp_path / "market").exists()


@pytest.mark.realdata
def test_the_real_source(public_data, tmp_path):
    folder = public_data / "instagram-posts-2017"
    market = open_market(Instagram2017(path=str(folder)), tmp_path)
    with gzip.open(folder / "posts.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with gzip.open(folder / "mentions.csv.gz", "rt", encoding="utf-8", newline="") as file:
        pairs = {(row["creator_id"], row["mentioned_id"]): int(row["n_posts"]) for row in csv.DictReader(file)}
    with (folder / "brand_accounts.csv").open(encoding="utf-8", newline="") as file:
        brands = {row["brand_id"]: row["brand_handle"] for row in csv.DictReader(file)}

    # The numbers of the source's README.
    posts, accounts, mentions = market.table("posts"), market.table("accounts"), market.table("mentions")
    assert posts.num_rows == 16_539
    assert mentions.num_rows == 1_721
    assert len(set(mentions["creator_id"].to_pylist())) == 459
    kinds = collections.Counter(accounts["kind"].to_pylist())
    assert kinds == {"creator": 976, "brand": 219}
    assert accounts.num_rows - accounts["followers"].null_count == 978
    both = accounts.filter(pc.and_(pc.equal(accounts["kind"], "brand"), pc.is_valid(accounts["followers"])))
    assert sorted(both["name"].to_pylist()) == ["hudabeauty", "travelandleisure"]
    assert posts["posted_at"].null_count == 3
    assert pc.sum(pc.equal(posts["likes"], 0)).as_py() == 4

    # Value by value against another CSV reader and plain loops.
    assert posts["caption"].to_pylist() == [row["description"] for row in rows]
    assert posts["likes"].to_pylist() == [int(row["numberLikes"]) for row in rows]
    assert posts["hashtags"].to_pylist() == [[tag.lstrip("#") for tag in json.loads(row["tags"])] for row in rows]
    derived = {(row["creator_id"], row["brand_id"]): row["posts"] for row in mentions.to_pylist()}
    assert derived == {pair: count for pair, count in pairs.items() if pair[1] in brands}
    for row, post in zip(rows, posts.to_pylist(), strict=True):
        mentioned = json.loads(row["mentions"])
        place = row["description"].find
        expected = sorted(mentioned, key=lambda token: (place("@" + token) % 10**6, token))
        assert post["mentioned_ids"] == expected
        others = [token for token in expected if token in brands and token != row["creator_id"]]
        assert post["brand_id"] == (others[0] if others else None)
        if post["posted_at"]:
            assert post["posted_at"].strftime("%Y-%m-%dT%H:%M:%S.000Z") == row["date"]
