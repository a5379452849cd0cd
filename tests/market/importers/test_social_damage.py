"""Every kind of damage to every file of the social sources: a named error, nothing left behind, or a counted drop."""

import csv
import gzip
import io

import pytest
from small_sources import SOURCES, write

from micromega.errors import DataError

FILES = [(name, file) for name, source in SOURCES.items() for file in source.files]


def content(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


SOUND: dict[str, str] = {}


def sound_fingerprint(name, folder):
    """Fingerprint of the undamaged source, read once."""
    if name not in SOUND:
        SOUND[name] = SOURCES[name].read(SOURCES[name].write(folder / "sound"), folder / "sound-market").fingerprint
    return SOUND[name]


def refused(name, folder, target):
    with pytest.raises(DataError) as caught:
        SOURCES[name].read(folder, target)
    assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == [folder.name]
    return str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
def test_the_sound_files_are_read_twice_alike(tmp_path, name):
    folder = SOURCES[name].write(tmp_path / "source")
    first = SOURCES[name].read(folder, tmp_path / "first")
    second = SOURCES[name].read(folder, tmp_path / "second", on_bad_rows="drop")
    assert first.fingerprint == second.fingerprint
    assert first.notes == second.notes
    assert not [note for note in first.notes if note.startswith("Dropped")]


@pytest.mark.parametrize(("name", "file"), FILES)
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2] + b"\xff\xfe" + data[len(data) // 2 :],
        lambda data: data.split(b"\n")[0] + b"\n",
        lambda data: data.decode().encode("utf-16"),
    ],
    ids=["empty", "no utf-8", "header only", "utf-16"],
)
def test_a_damaged_file_is_named(tmp_path, name, file, damage):
    folder = SOURCES[name].write(tmp_path / "source")
    write(folder / file, damage(content(folder / file)))
    assert file in refused(name, folder, tmp_path / "market")


@pytest.mark.parametrize(("name", "file"), [pair for pair in FILES if pair[1].endswith(".gz")])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-9],
        lambda data: data[: len(data) // 2],
        lambda data: data[:30] + bytes([data[30] ^ 255]) + data[31:],
        lambda data: b"no gzip at all",
        lambda data: b"",
    ],
    ids=["cut at the end", "cut in half", "flipped byte", "no gzip", "nothing"],
)
def test_a_damaged_archive_is_named(tmp_path, name, file, damage):
    folder = SOURCES[name].write(tmp_path / "source")
    (folder / file).write_bytes(damage((folder / file).read_bytes()))
    assert file in refused(name, folder, tmp_path / "market")


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_missing_file_is_named(tmp_path, name, file):
    folder = SOURCES[name].write(tmp_path / "source")
    (folder / file).unlink()
    assert f"{file}: there is no such file" in refused(name, folder, tmp_path / "market")


@pytest.mark.parametrize(("name", "file"), FILES)
def test_columns_that_are_missing_or_doubled_are_named(tmp_path, name, file):
    folder = SOURCES[name].write(tmp_path / "source")
    text = content(folder / file).decode()
    header, rest = text.split("\n", 1)
    reads = 0
    for column in header.split(",")[:6]:
        others = ["other" if cell == column else cell for cell in header.split(",")]
        write(folder / file, ",".join(others) + "\n" + rest)
        target = tmp_path / f"without-{column.replace(' ', '')}"
        try:
            SOURCES[name].read(folder, target)
        except DataError as error:
            assert f'{file}: column "{column}" is missing' in str(error)  # noqa: PT017 - some columns are not read
            reads += 1
    assert reads >= 2
    names = header.split(",")
    write(folder / file, ",".join([names[1], *names[1:]]) + "\n" + rest)
    with pytest.raises(DataError, match="appears more than once"):
        SOURCES[name].read(folder, tmp_path / "doubled")


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_row_of_another_width_is_named_with_its_line(tmp_path, name, file):
    folder = SOURCES[name].write(tmp_path / "source")
    text = content(folder / file).decode()
    lines = text.count("\n")
    write(folder / file, text + "a,b,c\n")
    message = refused(name, folder, tmp_path / "market")
    assert f"{file}: 1 row without exactly" in message
    assert f"line {lines + 1})" in message
    market = SOURCES[name].read(folder, tmp_path / "market", on_bad_rows="drop")
    assert sum(note.startswith(f"Dropped: {file}: 1 row without") for note in market.notes) == 1


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_repeated_key_is_named(tmp_path, name, file):
    folder = SOURCES[name].write(tmp_path / "source")
    text = content(folder / file).decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    repeated = io.StringIO()
    csv.writer(repeated, lineterminator="\n").writerow(rows[1])
    write(folder / file, text + repeated.getvalue())
    message = refused(name, folder, tmp_path / "market")
    assert f"{file}: column" in message
    assert "1 repeated key (line" in message
    market = SOURCES[name].read(folder, tmp_path / "market", on_bad_rows="drop")
    assert market.fingerprint == sound_fingerprint(name, tmp_path)
    assert sum(note.startswith("Dropped") for note in market.notes) == 1


@pytest.mark.parametrize("name", SOURCES)
def test_a_text_of_ten_megabytes_is_read(tmp_path, name):
    file, column = SOURCES[name].text
    folder = SOURCES[name].write(tmp_path / "source")
    rows = list(csv.DictReader(io.StringIO(content(folder / file).decode(), newline="")))
    rows[-1][column] = "ab\n#tag " * 1_250_000
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(folder / file, text.getvalue())
    market = SOURCES[name].read(folder, tmp_path / "market")
    texts = [
        value
        for table in market.tables.values()
        for column in ("caption", "music_id", "category", "location")
        if column in table.column_names
        for value in table[column].to_pylist()
    ]
    assert max(len(value) for value in texts if value) >= 1_000 or name in {"songs", "toplists"}


@pytest.mark.parametrize("name", SOURCES)
def test_a_text_with_odd_characters_survives(tmp_path, name):
    file, column = SOURCES[name].text
    folder = SOURCES[name].write(tmp_path / "source")
    rows = list(csv.DictReader(io.StringIO(content(folder / file).decode(), newline="")))
    for row in rows:
        row[column] = "x\x00\x1f\u2028\"'\\,\r\n\ud7ff\U0010ffff"
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(folder / file, text.getvalue())
    SOURCES[name].read(folder, tmp_path / "market")
