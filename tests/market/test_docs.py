import re
from pathlib import Path

from micromega.market.schemas import SCHEMAS

PAGE = (Path(__file__).parents[2] / "docs" / "market.md").read_text(encoding="utf-8")


def test_the_examples_run_and_print_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)  # the page's blocks build on one another
    printed = capsys.readouterr().out
    assert printed.startswith("112 USD ")
    assert re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)[0] in printed


def test_the_table_of_tables_is_complete():
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert [name for name, _, _ in rows] == list(SCHEMAS)
    for name, key, columns in rows:
        schema = SCHEMAS[name]
        assert tuple(key.split(", ")) == schema.key
        plain = re.sub(r"\([^)]*\)", "", columns)
        listed = [column.strip() for column in plain.split(",")]
        assert [column.strip("*") for column in listed] == list(schema.columns)
        assert [column for column in listed if column.startswith("**")] == [
            f"**{column}**" for column, what in schema.columns.items() if what.required
        ]
