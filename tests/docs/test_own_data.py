"""docs/own_data.md: its files, its map and its commands, as the page gives them."""

import csv
import json
import logging
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.hydra_config import HydraConfig

from micromega import cli
from micromega.market import Market, simulate
from micromega.market.__main__ import main
from micromega.market.importers.mapped.column_map import _TABLE, _TOP, DERIVED
from micromega.market.importers.mapped.values import bad_values, read_values
from micromega.market.schemas import SCHEMAS
from micromega.runs.record import EVALUATION

PAGE = (Path(__file__).parents[2] / "docs" / "own_data.md").read_text(encoding="utf-8")
POSTS, ACCOUNTS = re.findall(r"```csv\n(.*?)```", PAGE, flags=re.DOTALL)
MAP, OWN_WORDS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
PRINTED, MESSAGE = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]
MARKET = [line for line in COMMANDS if line.startswith("python -m micromega.market ")]
TRAIN = [line for line in COMMANDS if line.startswith("python train.py ")]
PLANNING = [line for line in COMMANDS if line.startswith(("python evaluate.py ", "python optimize.py "))]
TINY = "data.min_positives=2 trainer.max_epochs=1 trainer.log_every_n_steps=1 data.hashed_size=16"


@pytest.fixture
def place(tmp_path, monkeypatch):
    folder = tmp_path / "my-files"
    folder.mkdir()
    for name, content in {"posts.csv": POSTS, "accounts.csv": ACCOUNTS, "columns.yaml": MAP}.items():
        (folder / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def market_command(line):
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "micromega.market"]
    return main(words[3:])


def test_every_command_is_run_by_a_test():
    assert len(COMMANDS) == 8
    assert [*MARKET[:2], *TRAIN, *PLANNING, *MARKET[2:]] == COMMANDS


def test_the_map_has_ten_lines_or_so():
    assert len(MAP.splitlines()) <= 10


def test_the_commands_of_the_page(place, capsys):
    for line in MARKET:
        assert market_command(line) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert PRINTED in printed
    assert Market.load(place / "my-market").name == "spring"


def test_the_suggested_map_is_the_one_on_the_page(place):
    (place / "my-files" / "columns.yaml").unlink()
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(block, {})
    assert yaml.safe_load((place / "first.yaml").read_text())["tables"] == yaml.safe_load(MAP)["tables"]


def test_the_message_of_the_page(place, capsys):
    path = place / "my-files" / "posts.csv"
    path.write_text(POSTS.replace("310", "many").replace("25/05/2024", "25 May"))
    assert market_command(MARKET[0]) == 2
    assert capsys.readouterr().err == MESSAGE.split("\n\n", 1)[1]
    assert market_command(MARKET[-1]) == 0


def test_the_words_of_the_page(place):
    (place / "my-files" / "words.yaml").write_text(OWN_WORDS, encoding="utf-8")
    rows = "Konto;Typ;Abonnenten;Verifiziert\nacme;Marke;k. A.;JA\nann;influencer;12.000;nein\nben;Creator;7;ja\n"
    (place / "my-files" / "konten.csv").write_text(rows, encoding="utf-8")
    assert main(["import", "mapped", "my-files/words.yaml", "words"]) == 0
    accounts = Market.load(place / "words").table("accounts")
    assert accounts["kind"].to_pylist() == ["brand", "creator", "creator"]
    assert accounts["followers"].to_pylist() == [None, 12_000, 7]
    assert accounts["verified"].to_pylist() == [True, False, True]
    assert set(accounts["platform"].to_pylist()) == {"instagram"}


def test_columns_are_in_the_tables_that_the_page_names():
    rows = re.findall(r"^\| (`.*?) \| (`.*) \|$", PAGE.split("### Which table")[1].split("###")[0], flags=re.MULTILINE)
    assert len(rows) == 4
    for columns, tables in rows:
        for column in re.findall(r"`(\w+)`", columns):
            holders = [table for table in re.findall(r"`(\w+)`", tables) if column in SCHEMAS[table].columns]
            assert holders == re.findall(r"`(\w+)`", tables), column


def test_the_tables_of_keys_are_complete():
    top, table = (re.findall(r"^\| (`.*?) \|", part, flags=re.MULTILINE) for part in keys_of_the_page())
    assert re.findall(r"`(\w+)`", " ".join(top)) == list(_TOP)
    assert set(re.findall(r"`(\w+)`", " ".join(table))) == set(_TABLE)
    made = PAGE.split("## What is made for you")[1]
    for name, columns in DERIVED.items():
        for column in columns:
            assert f"`{name}.{column}`" in made


def keys_of_the_page():
    return PAGE.split("## The map, key by key")[1].split("### Which table")[0].split("For each table:")


def test_cells_are_read_as_the_page_says():
    import pyarrow as pa

    columns = {"counts": "likes", "numbers": "duration_s", "times": "posted_at", "yes or no": "sponsored"}
    rows = re.findall(r"^\| ([\w ]+) \| (`.*) \|$", PAGE.split("## How cells are read")[1], flags=re.MULTILINE)
    examples = {name: re.findall(r"`(.*?)`", cells) for name, cells in rows}
    assert set(columns) < set(examples)
    for name, column in columns.items():
        cells = pa.chunked_array([examples[name]])
        assert read_values(cells, SCHEMAS["posts"].columns[column], trim=False).null_count == 0, name
    missing = pa.chunked_array([["NA", "NaN", "null", "None", "-"]])
    found = read_values(missing, SCHEMAS["posts"].columns["likes"], trim=False)
    assert found.null_count == 5
    assert not any(bad_values(missing, found).to_pylist())


@pytest.fixture
def enough(place):
    """The page's files with enough in them to train on, and the market of the page's first command."""
    market = simulate(seed=0, brands=16, creators=80, posts=6)
    posts, accounts = (market.table(name).to_pylist() for name in ("posts", "accounts"))
    with (place / "my-files" / "posts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(POSTS.splitlines()[0].split(","))
        for row in posts:
            day = row["posted_at"].strftime("%d/%m/%Y")
            numbers = [row[name] for name in ("likes", "comments", "impressions")]
            writer.writerow([row["post_id"], row["account_id"], day, row["caption"], *numbers])
    with (place / "my-files" / "accounts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(ACCOUNTS.splitlines()[0].split(","))
        writer.writerows([row[name] for name in ("account_id", "kind", "followers", "category")] for row in accounts)
    assert market_command(MARKET[0]) == 0
    return market


def run(step):
    try:
        step()
    except SystemExit as leaving:
        return leaving.code
    return 0


def test_training_on_own_files(enough, place, monkeypatch, capsys):
    mine = Market.load(place / "my-market")
    assert mine.table("mentions").num_rows == enough.table("mentions").num_rows
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for line in (*TRAIN, *PLANNING):
        _, script, *arguments = shlex.split(line)
        if script == "optimize.py":  # for a brand used in training, as the page says
            (path,) = (place / "runs" / "evaluate").glob(f"*/{EVALUATION}")
            brand = json.loads(path.read_text())["facts"]["train_brands"][0]
            arguments = [argument.replace("=acme", f"={brand}") for argument in arguments]
            assert f"problem.brand={brand}" in arguments
        step = {"train.py": cli.train, "evaluate.py": cli.evaluate, "optimize.py": cli.optimize}[script]
        monkeypatch.setattr(sys, "argv", [str(Path(__file__).parents[2] / script), *arguments, *TINY.split()])
        HydraConfig.instance().cfg = None  # as in a new process
        status = run(step)
        for handler in [handler for handler in root.handlers if handler not in handlers]:
            root.removeHandler(handler)  # Hydra's: one writes to what pytest has captured, one to a file
            handler.close()
        root.setLevel(level)
        assert not status, capsys.readouterr()
    assert list((place / "runs" / "train").glob("*/metrics.json"))
    (report,) = (place / "runs" / "optimize").glob("*/report.html")
    assert "trained on this brand" in report.read_text(encoding="utf-8")
