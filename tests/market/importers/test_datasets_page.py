"""docs/datasets.md names every importer, and its numbers are those of the markets."""

import re
from pathlib import Path

import pytest

from micromega.market import config, open_market

PAGE = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
FOLDERS = {
    "instagram_2017": "instagram-posts-2017",
    "instagram_indonesia_2020": "instagram-posts-indonesia-2020",
    "mir_features_2019": "mir-instagram-2019-features",
    "tiktok_creators_2020": "tiktok-creators-2020",
    "tiktok_trending_2020": "tiktok-trending-2020",
    "tiktok_growth_vietnam_2025": "tiktok-growth-vn-2025",
    "toplists_2022": "influencer-toplists-2022",
    "tides": "tides-influencers",
    "snap_ego": "snap-ego-facebook",
    "supermarket": "supermarket-sales",
    "cdnow": "purchase-history-cdnow",
}
CLASSES = {
    choice.config_group.removeprefix("market/"): choice
    for choice in vars(config).values()
    if hasattr(choice, "config_group")
}
ROWS = re.findall(r"^\| `market=(\w+)((?: market\.\w+=\w+)*)` \| (.*?) \|", PAGE, flags=re.MULTILINE)
GRAPHS = re.findall(r"^\| (\S+\.txt\.gz) \| (.*?) \| ([\d,]+) \| ([\d,]+) \|$", PAGE, flags=re.MULTILINE)


def number(text):
    return int(text.replace(",", ""))


def test_every_importer_is_on_the_page():
    importers = {name for name, choice in CLASSES.items() if "importers" in choice.config_target} - {"mapped"}
    assert {name for name, _, _ in ROWS} == importers
    assert set(re.findall(r"^### (\w+)$", PAGE, flags=re.MULTILINE)) == importers


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "options", "counts"), [row for row in ROWS if row[0] in FOLDERS])
def test_the_rows_are_those_of_the_market(public_data, tmp_path, name, options, counts):
    settings = dict(option.removeprefix("market.").split("=") for option in options.split())
    market = open_market(CLASSES[name](path=str(public_data / FOLDERS[name]), **settings), tmp_path)
    tables, _, features = counts.partition("features ")
    found = {table: number(rows) for table, rows in re.findall(r"(\w+) ([\d,]*\d)", tables)}
    assert found == {table: rows.num_rows for table, rows in market.tables.items()}
    found = {feature: number(rows) for feature, rows in re.findall(r"(\w+) ([\d,]*\d)", features)}
    assert found == {feature: len(market.features(feature)) for feature in market.feature_names}


@pytest.mark.realdata
@pytest.mark.parametrize(("file", "setting", "accounts", "follows"), GRAPHS)
def test_the_graphs_have_the_numbers_of_the_page(public_data, tmp_path, file, setting, accounts, follows):
    path = public_data / "im-benchmark-graphs" / file
    market = open_market(config.EdgeList(path=str(path), directed="false" not in setting), tmp_path)
    assert market.table("accounts").num_rows == number(accounts)
    assert market.table("follows").num_rows == number(follows)


@pytest.mark.realdata
def test_the_example_runs(public_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiktok-creators-2020").symlink_to(public_data / "tiktok-creators-2020")
    exec(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[0], {})
    assert capsys.readouterr().out == "50227\n"
