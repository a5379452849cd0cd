"""The example of docs/report.md runs as it stands."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "report.md").read_text(encoding="utf-8"), flags=re.S)
    exec("\n".join(blocks), {})
    assert "Linen in the morning" in (tmp_path / "report.html").read_text(encoding="utf-8")
