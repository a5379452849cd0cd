"""Damaged source files, through every importer: an error that names the file, or a valid market; never a traceback.

Each attempt copies a public data set, breaks one file in one way, and imports it, refusing or dropping bad rows.
"""

import csv
import gzip
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from micromega.errors import MicromegaError
from micromega.market import Market, config, open_market

csv.field_size_limit(sys.maxsize)
TEN_MEGABYTES = "so much to say " * 700_000
CELLS = (
    "",
    "nan",
    "NaN",
    "inf",
    "-1",
    "-3.5",
    "abc",
    "1e400",
    "99999999999999999999",
    "null",
    "[",
    "\u202e\U0001f600",
    "0",
)
LONGEST_MESSAGE = 2_000


@dataclass(frozen=True)
class Source:
    """One public data set and the importer that reads it."""

    choice: str
    folder: str
    files: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    file_is_path: bool = False
    """The importer is given the file instead of its folder."""

    def open(self, folder: Path, on_bad_rows: str) -> Market:
        """Import from a copy of the data set."""
        path = folder / self.files[0] if self.file_is_path else folder
        classes = [
            item for item in vars(config).values() if getattr(item, "config_group", "") == f"market/{self.choice}"
        ]
        return open_market(classes[0](path=str(path), on_bad_rows=on_bad_rows, **self.settings), folder / "cache")


SOURCES = (
    Source("instagram_2017", "instagram-posts-2017", ("posts.csv.gz", "profiles.csv", "brand_accounts.csv")),
    Source(
        "instagram_indonesia_2020",
        "instagram-posts-indonesia-2020",
        ("posts.csv.gz", "influencers.csv", "brand_accounts.csv"),
    ),
    Source("tiktok_creators_2020", "tiktok-creators-2020", ("videos.csv.gz",)),
    Source("tiktok_creators_2020", "tiktok-creators-2020", ("song_videos.csv.gz",), {"videos": "songs"}),
    Source("tiktok_trending_2020", "tiktok-trending-2020", ("trending.csv",)),
    Source("tiktok_growth_vietnam_2025", "tiktok-growth-vn-2025", ("crawl1.csv.gz", "crawl2.csv.gz")),
    Source("toplists_2022", "influencer-toplists-2022", ("influencer_panel.csv.gz", "top_instagram_200.csv")),
    Source(
        "tides",
        "tides-influencers",
        ("tiktok_influencers.csv.gz", "tiktok_audio_adv.csv.gz", "tiktok_caption.csv.gz", "tiktok_faces.csv.gz"),
    ),
    Source(
        "tides", "tides-influencers", ("youtube_influencers.csv.gz", "youtube_caption.csv.gz"), {"platform": "youtube"}
    ),
    Source(
        "mir_features_2019",
        "mir-instagram-2019-features",
        ("brands.csv", "creators.csv", "positives.csv", "features.npz"),
    ),
    Source("snap_ego", "snap-ego-facebook", ("0.edges", "0.feat", "0.circles")),
    Source("snap_ego", "snap-ego-facebook", ("facebook_combined.txt.gz",), {"ego": "combined"}),
    Source("edge_list", "im-benchmark-graphs", ("NetHEPT.txt.gz",), {"directed": False}, file_is_path=True),
    Source("supermarket", "supermarket-sales", ("supermarket_sales.csv",)),
    Source("cdnow", "purchase-history-cdnow", ("CDNOW_master.txt.gz",)),
)

Change = Callable[[bytes, random.Random], bytes]


def _insert(piece: bytes) -> Change:
    def change(data: bytes, rng: random.Random) -> bytes:
        place = rng.randrange(len(data))
        return data[:place] + piece + data[place:]

    return change


def _rows(change: Callable[[list[list[str]], random.Random], None]) -> Change:
    """Change a CSV file's records."""

    def apply(data: bytes, rng: random.Random) -> bytes:
        lines = data.decode("utf-8").splitlines(keepends=True)
        records = list(csv.reader(lines))
        change(records, rng)
        with tempfile.TemporaryFile("w+", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(records)
            file.seek(0)
            return file.read().encode()

    return apply


def _cell(value: str) -> Change:
    def change(records: list[list[str]], rng: random.Random) -> None:
        row = records[rng.randrange(1, len(records))]
        row[rng.randrange(len(row))] = value

    return _rows(change)


def _repeat(records: list[list[str]], rng: random.Random) -> None:
    records.insert(rng.randrange(1, len(records)), records[rng.randrange(1, len(records))])


def _shorter(records: list[list[str]], rng: random.Random) -> None:
    records[rng.randrange(1, len(records))].pop()


def _longer(records: list[list[str]], rng: random.Random) -> None:
    records[rng.randrange(1, len(records))].append("more")


def _without_column(records: list[list[str]], rng: random.Random) -> None:
    place = rng.randrange(len(records[0]))
    for row in records:
        del row[place]


def _column_twice(records: list[list[str]], rng: random.Random) -> None:
    place = rng.randrange(len(records[0]))
    for row in records:
        row.append(row[place])


def _reordered(records: list[list[str]], rng: random.Random) -> None:
    order = list(range(len(records[0])))
    rng.shuffle(order)
    records[:] = [[row[place] for place in order] for row in records]


def _header_only(records: list[list[str]], rng: random.Random) -> None:
    del records[1:]


def _line(text: bytes) -> Change:
    """Put a line among those of a plain text file."""

    def change(data: bytes, rng: random.Random) -> bytes:
        lines = data.splitlines(keepends=True)
        lines.insert(rng.randrange(len(lines)), text + b"\n")
        return b"".join(lines)

    return change


BYTES: dict[str, Change] = {
    "empty file": lambda data, rng: b"",
    "one byte": lambda data, rng: data[:1],
    "cut in the middle": lambda data, rng: data[: rng.randrange(2, len(data))],
    "last byte missing": lambda data, rng: data[:-1],
    "UTF-16": lambda data, rng: data.decode("utf-8").encode("utf-16"),
    "byte that is no UTF-8": _insert(b"\xff\xfe"),
    "zero bytes": _insert(b"\x00\x00"),
    "stray quote": _insert(b'"'),
    "noise": lambda data, rng: rng.randbytes(4_000),
    "Windows line ends": lambda data, rng: data.replace(b"\n", b"\r\n"),
    "byte order mark": lambda data, rng: b"\xef\xbb\xbf" + data,
}
RECORDS: dict[str, Change] = {
    **{f"cell {value!r}": _cell(value) for value in CELLS},
    "cell of 10 MB": _cell(TEN_MEGABYTES),
    "repeated row": _rows(_repeat),
    "row too short": _rows(_shorter),
    "row too long": _rows(_longer),
    "column missing": _rows(_without_column),
    "column twice": _rows(_column_twice),
    "columns in another order": _rows(_reordered),
    "header only": _rows(_header_only),
}
LINES: dict[str, Change] = {
    "line of words": _line(b"seven plus eight"),
    "line with NaN": _line(b"nan nan nan nan"),
    "negative line": _line(b"-1 -2 -3 -4"),
    "line with one number": _line(b"7"),
    "line too long": _line(b"1 2 3 4 5 6 7 8 9"),
    "empty line": _line(b""),
    "line of 10 MB": _line(TEN_MEGABYTES.encode()),
    "number beyond 64 bits": _line(b"1 99999999999999999999999"),
}


def attempts(source: Source, *, times: int) -> Iterator[tuple[str, str, Change | None]]:
    """List (file, what is broken, how); how is None where the stored bytes themselves are broken."""
    for file in source.files:
        yield file, "missing file", None
        yield file, "folder in its place", None
        if file.endswith((".gz", ".npz")):
            yield file, "compressed file cut off", None
            yield file, "compressed file with a wrong byte", None
        changes = dict(BYTES) if not file.endswith(".npz") else {}
        if ".csv" in file:
            changes |= RECORDS
        elif changes:
            changes |= LINES
        for what, change in changes.items():
            for _ in range(times if what.startswith("cell '") else 1):
                yield file, what, change


def damage(path: Path, what: str, change: Change | None, rng: random.Random) -> None:
    """Break one file."""
    if change is not None:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        changed = change(data, rng)
        path.write_bytes(gzip.compress(changed, compresslevel=1) if path.suffix == ".gz" else changed)
        return
    stored = bytearray(path.read_bytes())
    path.unlink()
    if what == "folder in its place":
        path.mkdir()
    elif what == "compressed file cut off":
        path.write_bytes(stored[: rng.randrange(len(stored))])
    elif what == "compressed file with a wrong byte":
        stored[rng.randrange(len(stored) // 4, len(stored))] ^= 0xFF
        path.write_bytes(stored)


def attempt(
    source: Source, data: Path, clean: Market, file: str, what: str, change: Change | None, rng: random.Random,
    on_bad_rows: str,
) -> tuple[str, str]:  # fmt: skip
    """Break one file and import; give (verdict, message): imported, clear error, unclear error, silent loss, defect."""
    with tempfile.TemporaryDirectory(prefix="micromega-source-") as name:
        folder = Path(name) / "source"
        folder.mkdir()
        for path in data.iterdir():
            if path.suffix != ".md":
                shutil.copyfile(path, folder / path.name)
        damage(folder / file, what, change, rng)
        try:
            market = source.open(folder, on_bad_rows)
        except MicromegaError as error:
            text = str(error)
            clear = (Path(file).name.split(".")[0] in text) and len(text) <= LONGEST_MESSAGE
            return ("clear error" if clear else "unclear error"), text[:LONGEST_MESSAGE]
        except Exception as error:
            return "defect", f"{type(error).__name__}: {str(error)[:300]}"
        lost = [
            table
            for table, rows in clean.tables.items()
            if table not in market.tables or market.tables[table].num_rows < rows.num_rows
        ]
        if lost and market.notes == clean.notes and what not in {"cut in the middle", "header only"}:
            return "silent loss", f"fewer rows in {', '.join(lost)} and nothing said"
        return "imported", ""


def fuzz(source: Source, public_data: Path, *, times: int, seed: int, only: str = "") -> Iterator[tuple[str, ...]]:
    """Try every damage of one source; yields (file, what, on_bad_rows, verdict, message)."""
    data = public_data / source.folder
    with tempfile.TemporaryDirectory(prefix="micromega-source-") as name:
        shutil.copytree(data, Path(name) / "clean")
        clean = source.open(Path(name) / "clean", "error")
    for number, (file, what, change) in enumerate(attempts(source, times=times)):
        if only not in what:
            continue
        mode = ("error", "drop")[number % 2] if only == "" else "drop"
        rng = random.Random(f"{seed} {source.choice} {file} {what} {number}")
        yield (file, what, mode, *attempt(source, data, clean, file, what, change, rng, mode))
