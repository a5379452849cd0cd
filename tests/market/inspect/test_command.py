"""The two commands: what they print, what they write, and their exit statuses."""

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_market import tiny_tables, write_tiny

import micromega.market
from micromega.market import Market
from micromega.market.__main__ import main
from micromega.market.inspect import importers
from micromega.market.storage import write_parquet


@pytest.fixture
def run(capsys):
    def run_one(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, capsys.readouterr()

    return run_one


def test_a_market_is_inspected(run, tmp_path):
    write_tiny(tmp_path / "m")
    status, seen = run("inspect", tmp_path / "m", "--html", tmp_path / "card.html")
    assert status == 0, seen.err
    assert "tiny · 5 accounts and 4 posts, 1 May 2024 to 4 May 2024." in seen.out
    assert f"written: {tmp_path / 'card.html'}" in seen.out
    page = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    assert str(tmp_path) not in page  # the same market gives the same page on any machine


def spoil(folder):
    accounts = tiny_tables()["accounts"]
    bad = pa.concat_tables([accounts, accounts.slice(4)])  # the same id twice
    (folder / "accounts.parquet").unlink()
    write_parquet(bad, folder / "accounts.parquet")


def test_bad_rows_stop_or_are_listed(run, tmp_path):
    write_tiny(tmp_path / "m")
    spoil(tmp_path / "m")
    status, seen = run("inspect", tmp_path / "m")
    assert status == 2
    assert 'accounts.parquet: column "account_id" holds 1 repeated key' in seen.err
    assert "--on-bad-rows drop" in seen.err
    assert "Traceback" not in seen.err
    status, seen = run("inspect", tmp_path / "m", "--on-bad-rows", "drop")
    assert status == 0
    assert "Dropped: accounts.parquet" in " ".join(seen.out.split())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, "there is no such file or folder"),
        (lambda folder: folder.mkdir(), "neither a market"),
        (lambda folder: (folder.mkdir(), (folder / "market.yaml").write_text("[")), "market.yaml"),
        (lambda folder: (folder.mkdir(), (folder / "accounts.parquet").write_text("x")), "market.yaml is missing"),
        (lambda folder: (folder.mkdir(), (folder / "x.csv").write_text("")), "empty"),
        (lambda folder: (folder.mkdir(), (folder / "x.parquet").write_text("no")), "not readable, or damaged"),
        (lambda folder: (folder.mkdir(), (folder / "x.csv.gz").write_text("no")), "not readable, or damaged"),
        (lambda folder: folder.write_text("x"), "neither CSV nor Parquet"),
    ],
)
def test_what_is_no_data_gives_a_message(make, words, run, tmp_path):
    make(tmp_path / "it")
    status, seen = run("inspect", tmp_path / "it")
    assert status == 2
    assert words in seen.err
    assert "Traceback" not in seen.err


def test_what_may_not_be_read_gives_a_message(run, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)  # the tests may run as root, who may read everything
    status, seen = run("inspect", tmp_path / "it")
    assert status == 2
    assert seen.err == f"{tmp_path / 'it'}: Permission denied.\n"


def test_dropping_is_offered_only_where_it_helps(run, tmp_path):
    (tmp_path / "market.yaml").write_text("name: x\n")
    assert "--on-bad-rows" not in run("inspect", tmp_path)[1].err


def test_a_page_in_a_folder_that_is_missing(run, tmp_path):
    write_tiny(tmp_path / "m")
    status, seen = run("inspect", tmp_path / "m", "--html", tmp_path / "nowhere" / "x.html")
    assert status == 2
    assert "--html: there is no folder" in seen.err


def test_a_near_name_is_offered(run, tmp_path):
    write_tiny(tmp_path / "market")
    _, seen = run("inspect", tmp_path / "markt")
    assert 'Did you mean "market"?' in seen.err


POSTS = "post_id,creator_id,date,numberLikes,tags,mentions,description\n"
POST = '{},{},2017-04-29T05:00:00.000Z,{},"[]","[""@ffffffffffff""]",x @ffffffffffff\n'


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    ids = ["0123456789ab", "0123456789ac"]
    (folder / "profiles.csv").write_text(f"creator_id,numberPosts,numberFollowers\n{ids[0]},5,100\n{ids[1]},6,200\n")
    (folder / "brand_accounts.csv").write_text("brand_id,brand_handle,category\nffffffffffff,acme,food\n")
    rows = POSTS + POST.format("0" * 16, ids[0], 5) + POST.format("1" * 16, ids[1], -6)
    with pa.CompressedOutputStream(str(folder / "posts.csv.gz"), "gzip") as file:
        file.write(rows.encode())
    return folder


def test_a_data_set_is_imported(run, source, tmp_path):
    status, seen = run("import", "instagram_2017", source, tmp_path / "m")
    assert status == 2
    assert "posts.csv.gz" in seen.err
    assert not (tmp_path / "m").exists()
    status, seen = run("import", "instagram_2017", source, tmp_path / "m", "--on-bad-rows", "drop")
    assert status == 0, seen.err
    assert "accounts                3 rows" in seen.out
    assert "Dropped: posts.csv.gz" in seen.out
    assert Market.load(tmp_path / "m").table("posts").num_rows == 1
    status, seen = run("import", "instagram_2017", source, tmp_path / "m", "--on-bad-rows", "drop")
    assert status == 2
    assert "exists already" in seen.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("instagram_2071", "x", "y"), 'no importer called "instagram_2071". Did you mean "instagram_2017"?'),
        (("folder", "x", "y"), "There are: cdnow"),
        (("tides", "x", "y", "platform=myspace"), "platform: Input should be 'tiktok' or 'youtube' (got 'myspace')"),
        (
            ("tides", "x", "y", "colour=red"),
            '"colour=red" is no setting of tides. Settings are: on_bad_rows=…, platform=….',
        ),
        (("instagram_2017", "x", "y", "path=z"), "Settings are: on_bad_rows=…."),
        (("instagram_2017", "no-such-folder", "y"), "there is no such file"),
        (("instagram_2017", "no-such-folder", "y"), "(market.path is the PATH of this command: no-such-folder)"),
        (("instagram_2017", "x", "y", "on_bad_rows=maybe"), "on_bad_rows: Input should be 'error' or 'drop'"),
        (("edge_list", ".", "y"), ". is a folder; give the file."),
    ],
)
def test_wrong_requests(arguments, words, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, seen = run("import", *arguments)
    assert status == 2
    assert words in seen.err


@pytest.mark.parametrize(
    "words",
    [("--on-bad-rows", "drop"), ("on_bad_rows=drop",), ("market.on_bad_rows=drop",), ("--on-bad-rows=drop",)],
    ids=" ".join,
)
def test_rows_are_dropped_by_the_option_and_by_the_name_that_messages_give(words, run, source, tmp_path):
    status, seen = run("import", "instagram_2017", source, tmp_path / "m", *words)
    assert status == 0, seen.err
    assert "bad rows: posts.csv.gz dropped 1 of 2 rows (50.0%), kept 1\n" in seen.out
    assert seen.err.startswith("WARNING: more than 10% of the rows were dropped: posts.csv.gz dropped 1 of 2 rows")
    assert seen.err.count("WARNING") == 1
    _, seen = run("inspect", tmp_path / "m")
    assert "Look before use" in seen.out
    assert "serious  1 row dropped because it broke a rule  posts.csv.gz" in seen.out


def test_an_import_that_drops_nothing_does_not_speak_of_it(run, tmp_path):
    (tmp_path / "graph.txt").write_text("1 2\n2 3\n")
    status, seen = run("import", "edge_list", tmp_path / "graph.txt", tmp_path / "m", "--on-bad-rows", "drop")
    assert status == 0
    assert "bad rows" not in seen.out
    assert seen.err == ""


def test_settings_may_stand_behind_options(run, tmp_path):
    (tmp_path / "graph.txt").write_text("1 2\n2 3\n")
    words = ("import", "edge_list", tmp_path / "graph.txt", tmp_path / "m")
    status, _ = run(*words, "--on-bad-rows", "drop", "market.directed=false")
    assert status == 0
    assert Market.load(tmp_path / "m").table("follows").num_rows == 4
    with pytest.raises(SystemExit):
        run(*words, "--colour", "red")
    with pytest.raises(SystemExit):
        run("inspect", tmp_path / "m", "directed=false")


def test_help_lists_every_data_set(capsys):
    with pytest.raises(SystemExit):
        main(["import", "-h"])
    said = capsys.readouterr().out
    assert "NAME PATH TARGET [KEY=VALUE ...]" in said
    for name, choice in importers().items():
        assert re.search(rf"^  {name} +{re.escape(choice.__doc__.splitlines()[0])}$", said, flags=re.MULTILINE)


@pytest.mark.parametrize("name", sorted(importers()))
def test_every_importer_takes_its_settings_by_name(name):
    module = importlib.import_module(f"micromega.market.importers.{name}")
    wanted = inspect.signature(module.import_folder).parameters
    settings = {field.name for field in dataclasses.fields(importers()[name])} - {"path"}
    assert settings == set(wanted) - {"source", "target"}


def test_help_is_quick_to_import():
    program = "import sys; from micromega.market.__main__ import _parser; _parser(); print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_as_a_module(tmp_path):
    write_tiny(tmp_path / "m")
    done = subprocess.run(
        [sys.executable, "-m", "micromega.market", "inspect", str(tmp_path / "m")],
        check=False, capture_output=True, text=True, env={"LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "fingerprint" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_nothing_in_the_market_imports_the_report_but_the_entry_point():
    package = Path(micromega.market.__file__).parent
    for file in package.rglob("*.py"):
        if file.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith("micromega.report")], file


def test_a_parquet_file_of_unknown_columns(run, tmp_path):
    pq.write_table(pa.table({"q": [1, 2], "z": [None, None]}), tmp_path / "x.parquet")
    status, seen = run("inspect", tmp_path / "x.parquet")
    assert status == 0, seen.err
    assert "x.parquet  2 rows" in seen.out
    assert "empty: z" in seen.out
