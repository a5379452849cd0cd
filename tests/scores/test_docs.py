"""The examples of docs/scores.md run as they stand."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "scores.md").read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 3
    names = {}
    exec("\n".join(blocks), names)
    assert names["scores"].table["creator_id"].to_pylist() == ["bo", "cy", "ana"]
    assert 0 <= names["error"] <= 1
