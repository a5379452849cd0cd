"""The examples of the pages and of the docstrings run; the commands of docs/matching.md do what it says."""

import doctest
import logging
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hydra.core.hydra_config import HydraConfig

from micromega import cli
from micromega.solvers.matching.config import MatchingConfig

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "matching.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python ((?:train|evaluate|optimize)\.py.*)$", PAGE, flags=re.MULTILINE)
SMALL = (
    "market.creators=120 market.brands=20 market.posts=6 data.min_positives=2 data.hashed_size=64 trainer.max_epochs=3 "
    "evaluation.uncertainty_samples=2"
)


@pytest.mark.parametrize("page", ["matching.md", "matching_library.md"])
def test_examples_of_the_pages(page: str) -> None:
    failed, tried = doctest.testfile(str(DOCS / page), module_relative=False)
    assert failed == 0
    assert tried > 5


@pytest.mark.parametrize(("name", "lines"), [("", 3), (".allocation", 3), (".least", 4)])
def test_examples_of_the_docstrings(name: str, lines: int) -> None:
    module = import_module("micromega.solvers.matching" + name)
    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=lines)


def test_every_setting_stands_on_the_page() -> None:
    for name in MatchingConfig.__dataclass_fields__:
        assert f"`{name}`" in PAGE or f"problem.{name}" in PAGE, name


@pytest.fixture(name="run")
def run_fixture(tmp_path, monkeypatch, capsys):
    """Run a command line in this process; give its exit status and what it printed."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> tuple[int, str]:
        script, *arguments = shlex.split(line)
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        HydraConfig.instance().cfg = None  # as in a new process
        capsys.readouterr()
        try:
            getattr(cli, script.removesuffix(".py"))()
            status = 0
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        for handler in [handler for handler in root.handlers if handler not in before[0]]:
            root.removeHandler(handler)
            handler.close()
        seen = capsys.readouterr()
        return status, seen.out + seen.err

    yield run
    root.handlers[:], root.level = before


def test_the_commands_are_these() -> None:
    assert [line.split(".py")[0] for line in COMMANDS] == ["optimize", "train", "evaluate", "optimize"]
    assert "market=supermarket" in COMMANDS[0]  # run in tests/runs/test_matching.py


@pytest.mark.slow
def test_from_learned_scores(run, tmp_path: Path) -> None:
    for line in COMMANDS[1:]:
        status, said = run(f"{line} {SMALL}")
        assert status == 0, said
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    rows = pq.read_table(plan)
    assert rows.num_rows > 50
    assert {"score", "worth", "choice"} <= set(rows.column_names)
    assert "The stable matchings" in (plan.parent / "report.html").read_text(encoding="utf-8")
