"""docs/growth.md: its examples run and print what the page says; the script that it names exists."""

import re


def test_the_page_holds(repository, tmp_path, monkeypatch, capsys):
    page = (repository / "docs" / "growth.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "growth.md", "exec"), names)
    assert capsys.readouterr().out.strip() == re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)[0].strip()
    for script in re.findall(r"`python ([^\s`]+)", page):
        assert (repository / script).is_file()
