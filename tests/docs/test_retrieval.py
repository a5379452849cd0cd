"""docs/retrieval.md: its commands leave the files it lists, and its examples run on them."""

import json
import logging
import re
import shlex
import sys

import pytest
from hydra.core.hydra_config import HydraConfig

from micromega import cli

SMALL = (
    "market.brands=16 market.creators=80 market.posts=6 data.min_positives=2 trainer.max_epochs=1 data.hashed_size=16 "
    "evaluation.uncertainty_samples=0 evaluation.calibration=none"
)


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "retrieval.md").read_text(encoding="utf-8")


@pytest.fixture
def run(repository, monkeypatch):
    """Run a command line in this process."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def run_one(line):
        script, *arguments = shlex.split(line)
        monkeypatch.setattr(sys, "argv", [str(repository / script), *arguments, *SMALL.split()])
        HydraConfig.instance().cfg = None  # as in a new process
        getattr(cli, script.removesuffix(".py"))()
        for handler in [handler for handler in root.handlers if handler not in before[0]]:
            root.removeHandler(handler)
            handler.close()

    yield run_one
    root.handlers[:], root.level = before


def test_the_page_holds(page, run, tmp_path, monkeypatch, capsys):
    pytest.importorskip("faiss", reason="the extra `retrieval` is not installed")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^python (.*)$", page, flags=re.MULTILINE)
    assert [command.split(".py")[0] for command in commands[:2]] == ["train", "evaluate"]
    for command in commands[:2]:
        run(command)
    (folder,) = (tmp_path / "runs" / "evaluate").iterdir()
    listed = {name for row in re.findall(r"^\| (`.*?`) \| ", page, flags=re.MULTILINE) for name in row.split("`")}
    named = {name for name in listed if name.endswith((".parquet", ".faiss", ".json"))}
    assert len(named) == 5
    assert named <= {path.name for path in folder.iterdir()}
    shown = json.loads(page.split("retrieval.json\n{")[1].split("```")[0].join(["{", ""]))
    facts = json.loads((folder / "retrieval.json").read_text())
    assert list(facts) == list(shown)
    assert (facts["served"], facts["shortlist"]) == (shown["served"], shown["shortlist"])
    names = {}
    capsys.readouterr()
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(block, "retrieval.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("ann ")
    assert len(names["rows"][0]) == 5
    assert printed[1].count("'") == 10


def test_other_commands_name_what_exists(page, repository):
    others = re.findall(r"^python (\S+)", page, flags=re.MULTILINE)[2:]
    assert others
    for script in others:
        assert (repository / script).is_file()
