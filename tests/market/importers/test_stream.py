import gzip
import random
import re
import string

import pyarrow.compute as pc
import pytest

from micromega.errors import DataError
from micromega.market.importers import lines, stream
from micromega.market.importers.blocks import BadRows
from micromega.market.importers.lines import text_blocks
from micromega.market.importers.stream import csv_blocks


def read(path, columns, on_bad_rows="error", **options):
    bad = BadRows(file=path.name, on_bad_rows=on_bad_rows)
    rows = [
        (line, *values)
        for block in csv_blocks(path, columns, bad, **options)
        for line, *values in zip(block.lines.tolist(), *(block.rows[name].to_pylist() for name in columns), strict=True)
    ]
    return rows, bad


@pytest.mark.parametrize("seed", range(20))
def test_line_numbers_survive_blocks_blank_lines_quoted_breaks_and_broken_rows(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(stream, "BLOCK", 700)
    chance = random.Random(seed)
    content, line, expected, broken = "a,b,c\n", 2, [], []
    for number in range(200):
        kind = chance.choices(["blank", "short", "short in quotes", "quoted", "plain", "windows"], [1, 1, 1, 3, 5, 2])[
            0
        ]
        row = {
            "blank": "\n",
            "short": "x,y\n",
            "short in quotes": '"q\nq",y\n',
            "quoted": f'{number},"z\n\nz, ""z""",y\n',
            "plain": f"{number},z,y\n",
            "windows": f"{number},z,y\r\n",
        }[kind]
        if kind.startswith("short"):
            broken.append(line)
        elif kind != "blank":
            expected.append((line, str(number), "y"))
        content, line = content + row, line + row.count("\n")
    (tmp_path / "file.csv").write_text(content, newline="")
    rows, bad = read(tmp_path / "file.csv", ("a", "c"), "drop")
    assert rows == expected
    (note,) = bad.notes
    assert re.match(rf"Dropped: file\.csv: {len(broken)} lines? with \d", note)
    assert ", ".join(map(str, broken[:5])) in note
    with pytest.raises(DataError, match=rf"lines? with \d.* instead of 3 \(.*lines? {broken[0]}[,)]"):
        read(tmp_path / "file.csv", ("a", "c"))


def test_bad_values_are_collected_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK", 100)
    (tmp_path / "file.csv").write_text("a\n" + "".join(f"{-n if n % 10 == 0 else n}\n" for n in range(1, 301)))

    def run(on_bad_rows):
        bad = BadRows(file="file.csv", on_bad_rows=on_bad_rows)
        kept = []
        for block in csv_blocks(tmp_path / "file.csv", ("a",), bad):
            block.require("a", "negative|negatives", "No minus.", lambda values: pc.starts_with(values, "-"))
            kept += block.rows["a"].to_pylist()
        return kept, bad.notes

    kept, notes = run("drop")
    assert kept == [str(n) for n in range(1, 301) if n % 10]
    lines_named = "first 5 lines 11, 21, 31, 41, 51: -10, -20, -30, -40, -50"
    assert notes == (f'Dropped: file.csv: column "a" holds 30 negatives ({lines_named}).',)
    with pytest.raises(DataError, match=r"holds \d negatives? \(.*line.? 11.*\n.*on_bad_rows=drop.*reading stopped"):
        run("error")


def test_gzip_and_other_delimiters_and_encodings(tmp_path):
    with gzip.open(tmp_path / "file.csv.gz", "wt", encoding="cp1252") as file:
        file.write("näme;b\nJosé;2\n")
    rows, _ = read(tmp_path / "file.csv.gz", ("näme", "b"), delimiter=";", encoding="cp1252")
    assert rows == [(2, "José", "2")]
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert read(tmp_path / "bom.csv", ("a",))[0] == [(2, "1")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not readable, or damaged"),
        (b"a,b\n1,2\n3,\xff\n", "line 3 is no UTF-8 text"),
        ("a,b\n1,2\n".encode("utf-16"), "line 1 is no UTF-8 text"),
        (b"a,c\n1,2\n", 'column "b" is missing. The file has: a, c'),
        (b"a,b,b\n1,2,3\n", 'column "b" appears more than once'),
        (b'a,b\n1,"2\n3,4\n5,6\n', "the quotation that begins with '2\\n3,4\\n5,6\\n' never ends"),
        (b'a,b\n"1,2\n3,4\n5,6\n', "1 line with 1 value instead of 2 (line 2)"),
    ],
)
def test_unreadable_files_are_named(tmp_path, content, words):
    (tmp_path / "file.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "file.csv", ("a", "b"))
    assert words in str(caught.value)
    assert "file.csv" in str(caught.value)


@pytest.mark.parametrize("cut", [5, 30, 60])
def test_a_truncated_gzip_file_is_named(tmp_path, cut):
    content = gzip.compress(
        ("a,b\n" + "".join(random.Random(0).choices(string.ascii_letters, k=900)) + ",1\n").encode()
    )
    (tmp_path / "file.csv.gz").write_bytes(content[:-cut])
    with pytest.raises(DataError, match=r"file\.csv\.gz: not readable, or damaged"):
        read(tmp_path / "file.csv.gz", ("a",))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no\.csv: there is no such file"):
        read(tmp_path / "no.csv", ("a",))


def test_a_cell_of_ten_megabytes(tmp_path):
    (tmp_path / "file.csv").write_text("a,b\n1," + "x" * 10_000_000 + "\n2,y\n")
    rows, _ = read(tmp_path / "file.csv", ("a", "b"))
    assert [(line, a, len(b)) for line, a, b in rows] == [(2, "1", 10_000_000), (3, "2", 1)]
    (tmp_path / "file.csv").write_text("a,b\n1," + "x" * 40_000_000 + "\n2,y\n")
    with pytest.raises(DataError, match=r"file\.csv: .*a row is longer than 16,777,216 bytes"):
        read(tmp_path / "file.csv", ("a", "b"))


def test_lines_of_one_form(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", 20)
    (tmp_path / "file.txt").write_text("head line\n# comment\n\n1 2\r\n  3\t4  \nx\n% other comment\n5 6")

    def run(on_bad_rows):
        bad = BadRows(file="file.txt", on_bad_rows=on_bad_rows)
        blocks = text_blocks(tmp_path / "file.txt", r"^(?P<u>\d+)\s+(?P<v>\d+)$", '"1 2"', bad, header="^head")
        return [(*block.lines.tolist(), *block.rows.to_pylist()) for block in blocks], bad.notes

    found, notes = run("drop")
    flat = [item for block in found for item in block]
    assert [item for item in flat if isinstance(item, int)] == [4, 5, 8]
    assert [tuple(item.values()) for item in flat if isinstance(item, dict)] == [("1", "2"), ("3", "4"), ("5", "6")]
    assert notes == ('Dropped: file.txt: column "line" holds 1 unreadable line (line 6: x).',)
    with pytest.raises(DataError, match=r'unreadable line \(line 6: x\).\nA line looks like "1 2"'):
        run("error")


def test_an_endless_line_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", 1000)
    (tmp_path / "file.txt").write_text("1 2\n" + "7" * 5000)
    with pytest.raises(DataError, match="a line is longer than"):
        list(text_blocks(tmp_path / "file.txt", r"^(?P<u>\d+)$", "7", BadRows(file="file.txt", on_bad_rows="drop")))
