import collections
import datetime as dt

import pyarrow.compute as pc
import pytest
from small_sources import TOPLISTS, A, B, C, rows_of

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import Toplists2022

MEANS = {
    "views_avg": "mean_impressions",
    "likes_avg": "mean_likes",
    "comments_avg": "mean_comments",
    "shares_avg": "mean_shares",
    "engagement_avg": "mean_engagement",
}


def test_small_source_by_hand(tmp_path):
    market = TOPLISTS.read(TOPLISTS.write(tmp_path / "source"), tmp_path / "market")
    names = ("platform", "category", "location", "followers", "hearts", "videos")
    accounts = {row["account_id"]: tuple(row[name] for name in names) for row in market.table("accounts").to_pylist()}
    assert accounts == {
        f"instagram:{A}": ("instagram", "Music", "Spain", 48_500_000, None, None),
        f"tiktok:{A}": ("tiktok", None, None, 2_100, None, None),
        B: ("instagram", "Shows", "Iran", 100, 29_000_000_000, 3_300),  # December's country is a number
        f"youtube:{C}": ("youtube", None, None, 90, None, None),
        f"instagram:{C}": ("instagram", None, None, 13, 14, 12),
    }
    panel = {(row["account_id"], row["date"].isoformat()): row for row in market.table("panel").to_pylist()}
    assert len(panel) == 5
    one = panel[f"tiktok:{A}", "2022-03-01"]
    assert [one[name] for name in ("followers", *MEANS.values())] == [2_100, 348.5, 70.0, 0.0, 70.0, None]
    two = panel[f"youtube:{C}", "2022-03-01"]
    assert [two[name] for name in MEANS.values()] == [None, None, 0.0, None, None]
    assert panel[f"instagram:{A}", "2022-03-01"]["mean_engagement"] == 637_000.0
    assert '2 handles occur on several platforms; their account_id is "<platform>:<id>".' in market.notes
    assert any(
        '"audience_country" holds 1 number that stands for a country (line 4: 10.2M)' in note for note in market.notes
    )
    assert any('"views_avg" holds 1 mean of 0 (line 6: 0.0)' in note for note in market.notes)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("influencer_panel", "48500000.0", "-5", '"followers" holds 1 value that is no count (line 2: -5)'),
        ("influencer_panel", "48500000.0", "1.5", '"followers" holds 1 value that is no count (line 2: 1.5)'),
        ("influencer_panel", "348.5", "nan", '"views_avg" holds 1 value that is no number (line 3: nan)'),
        ("influencer_panel", "348.5", "-1", '"views_avg" holds 1 value that is no number (line 3: -1)'),
        ("influencer_panel", "637000.0", "inf", '"engagement_avg" holds 1 value that is no number (line 2: inf)'),
        ("influencer_panel", "2022-12", "2022-13", '"month" holds 1 malformed month (line 4: 2022-13)'),
        ("influencer_panel", "youtube", "vine", '"platform" holds 1 unknown value (line 6: vine)'),
        ("top_instagram_200", "475.8m", "many", '"Followers" holds 1 value that is no count (line 2: many)'),
        ("top_instagram_200", "29.0b", "", '"Total_likes" holds 1 value that is no count (line 2: )'),
    ],
)
def test_bad_cells_are_named_and_can_be_dropped(tmp_path, file, old, new, words):
    text = next(text for name, text in TOPLISTS.files.items() if name.startswith(file))
    assert old in text
    folder = TOPLISTS.write(tmp_path / "source", **{file: text.replace(old, new, 1)})
    with pytest.raises(DataError) as caught:
        TOPLISTS.read(folder, tmp_path / "market")
    assert words in str(caught.value)
    market = TOPLISTS.read(folder, tmp_path / "market", on_bad_rows="drop")
    assert any(words in note for note in market.notes)


@pytest.mark.realdata
def test_the_real_source(public_data, tmp_path):
    folder = public_data / "influencer-toplists-2022"
    market = open_market(Toplists2022(path=str(folder)), tmp_path)
    rows, top = rows_of(folder / "influencer_panel.csv.gz"), rows_of(folder / "top_instagram_200.csv")
    accounts, panel = market.table("accounts"), market.table("panel")
    # The numbers of the source's README.
    assert panel.num_rows == 14_896
    platform = dict(zip(accounts["account_id"].to_pylist(), accounts["platform"].to_pylist(), strict=True))
    counts = collections.Counter(platform[account] for account in panel["account_id"].to_pylist())
    assert counts == {"instagram": 4_948, "tiktok": 4_955, "youtube": 4_993}
    handles = {account.rpartition(":")[2] for account in panel["account_id"].to_pylist()}
    assert len(handles) == 5_647
    months = collections.Counter(panel["account_id"].to_pylist())
    always = collections.Counter(platform[account] for account, number in months.items() if number == 5)
    assert always == {"instagram": 545, "tiktok": 128, "youtube": 649}
    assert accounts.num_rows - accounts["hearts"].null_count == len(top) == 200
    # Value by value.
    homes = collections.defaultdict(set)
    for row in rows:
        homes[row["creator_id"]].add(row["platform"])
    for row in top:
        homes[row["creator_id"]].add("instagram")

    def named(row):
        handle = row["creator_id"]
        return f"{row['platform']}:{handle}" if len(homes[handle]) > 1 else handle

    found = {(row["account_id"], row["date"]): row for row in panel.to_pylist()}
    for row in rows:
        year, month = map(int, row["month"].split("-"))
        seen = found[named(row), dt.date(year, month, 1)]
        assert seen["followers"] == float(row["followers"])
        for column, name in MEANS.items():
            unknown = row[column] == "" or (column in {"views_avg", "likes_avg"} and float(row[column]) == 0)
            assert seen[name] == (None if unknown else float(row[column]))
    assert pc.sum(pc.match_substring_regex(accounts["location"], "[0-9]")).as_py() == 0
