"""docs/cascade.md: its commands leave the files it lists, its example runs, and its settings exist."""

import doctest
import re

import pytest

from micromega.solvers.cascade.config import CascadeConfig

FEW = "problem.simulations=200"
SMALL = f"{FEW} problem.starts=1 problem.time_bounds=[1] problem.alternatives=0 problem.candidates=40"
SMALL_MARKET = "market.creators=120 market.brands=12 market.posts=4"
FRIENDS = "ann bob\nbob cy\ncy dan\nann eve\neve fay\nfay gil\nbob gil\ngil hal\n"


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "cascade.md").read_text(encoding="utf-8")


def test_the_page_holds(page, run_commands, tmp_path, capsys):
    (tmp_path / "friends.txt").write_text(FRIENDS, encoding="utf-8")
    before = page.split("## The document's network")[0]
    ours = "\n".join(line for line in before.splitlines() if "market=simulated" in line)
    lines = {
        reach: [line for line in ours.splitlines() if ("objective=influence" in line) == reach] for reach in (0, 1)
    }
    assert run_commands("\n".join(lines[0]), f"{SMALL} {SMALL_MARKET}") == ["optimize"] * 2
    assert run_commands("\n".join(lines[1]), f"{FEW} {SMALL_MARKET}") == ["optimize"]
    others = "\n".join(line for line in before.splitlines() if "market=edge_list" in line)
    assert run_commands(others, SMALL) == ["optimize"]
    folders = {path.parent for path in (tmp_path / "runs" / "optimize").glob("*/plan.parquet")}
    assert len(folders) == 4
    named = set(re.findall(r"`(\w+\.(?:parquet|json|html))`", before))
    assert named == {"plan.parquet", "certificate.json", "report.html"}
    for folder in folders:
        assert named <= {path.name for path in folder.iterdir()}
    (block,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    example = doctest.DocTestParser().get_doctest(block, {}, "cascade.md", None, None)
    assert doctest.DocTestRunner().run(example).failed == 0
    assert capsys.readouterr().out == ""


@pytest.mark.realdata
def test_the_documents_network(page, run_commands, public_data, tmp_path):
    after = page.split("## The document's network")[1]
    assert run_commands(after, f"paths.public_data={public_data} problem.time_bounds=[] problem.alternatives=0") == [
        "optimize"
    ]
    assert list(tmp_path.glob("runs/optimize/*/plan.parquet"))


def test_the_settings_exist(page):
    rows = re.findall(r"^\| (`[^|]*`) \|", page, flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"problem"}
    assert named == set(CascadeConfig.__dataclass_fields__)
    for name in re.findall(r"`?problem\.(\w+)", page):
        assert name in CascadeConfig.__dataclass_fields__, name
