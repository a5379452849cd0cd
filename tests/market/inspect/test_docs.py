"""What docs/inspect.md shows is so."""

import re

import pytest

from micromega.market.__main__ import main
from micromega.market.inspect.needs import MODELS


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "inspect.md").read_text(encoding="utf-8")


def test_the_example_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "inspect.md", "exec"), {})


def test_the_table_lists_all_models(page):
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == [model.name for model in MODELS]


@pytest.mark.realdata
def test_the_commands_print_what_the_page_says(page, public_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    session = page.split("```text\n$ ")[1].split("```")[0]
    commands = re.findall(r"^(?:\$ )?python -m micromega\.market (.*)$", session, flags=re.MULTILINE)
    for line in commands:
        words = line.replace("../shared/data", str(public_data)).split()
        assert main(words) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in session.splitlines()[2:] if line not in printed] == []
    assert (tmp_path / "card.html").stat().st_size > 10_000
