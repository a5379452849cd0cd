"""docs/simulator.md: its example runs, and its table of settings is complete."""

import inspect
import re
from pathlib import Path

from micromega.market import simulate

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert capsys.readouterr().out.startswith("672 ['kind', 'description', 'log_followers'")
    market = names["market"]
    section = PAGE.split("## The truth")[1].split("##")[0]
    listed = {
        name
        for row in re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert listed == {file.stem for file in (market.path / "truth").glob("*.parquet")}


def test_every_setting_is_listed():
    section = PAGE.split("| setting |")[1].split("\n\n")[0]
    listed = {
        name
        for row in re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert listed == set(inspect.signature(simulate).parameters) - {"folder"}
