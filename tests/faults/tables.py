"""Eleven kinds of damaged market table and of damaged score file, through the command line."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from kills import _caught
from lab import REPOSITORY, Lab, Row, refusal, row, run_folder

ELEVEN = (
    "truncated to 90 %", "one bit flipped", "wrong type", "missing column", "NaN", "infinity", "null id",
    "repeated key", "negative count", "unknown id", "no rows",
)  # fmt: skip


def damaged_tables(lab: Lab) -> Row:
    """Eleven kinds of damaged market table, through `train.py`."""
    sys.path.insert(0, str(REPOSITORY / "tests" / "market"))
    spec = importlib.util.spec_from_file_location("market_faults", REPOSITORY / "tests" / "market" / "test_faults.py")
    assert spec is not None
    assert spec.loader is not None
    faults = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(faults)

    def attempt(kind: str) -> str | None:
        damage, words = faults.FAULTS[kind]
        folder = lab.place("table") / "m"
        faults.write_tiny(folder)
        damage(folder)
        process = lab.run("train", lab.place("t"), "market=folder", f"market.path={folder}", tiny=False)
        return refusal(process, 2, *words)

    return row(
        "eleven kinds of damaged market table", lab.each(_caught(attempt), ELEVEN), "exit status 2, no traceback"
    )


SCORED = (
    "market.brands=48",
    "market.creators=160",
    "market.posts=12",
    "data.min_positives=2",
    "data.batch_size=64",
    "trainer.max_epochs=15",
    "model.learning_rate=0.003",
    "callbacks.best.monitor=val/auc",
    "callbacks.early_stopping=null",
)


def scored(lab: Lab) -> Path:
    """Train and evaluate once, on a market large enough that scores can be calibrated; give the place."""
    place = lab.root / "scored"
    if not place.exists():
        for script in ("train", "evaluate"):
            process = lab.run(script, place, *SCORED, tiny=False)
            if process.status() != 0:
                raise RuntimeError(process.output)
    return place


def damaged_scores(lab: Lab) -> Row:
    """Eleven kinds of damaged score file, through `optimize.py`."""
    good = run_folder(scored(lab), "evaluate") / "affinity.parquet"
    held = pq.read_table(good)

    def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
        """Another program writes the file with changed rows and without our checksum of the content."""

        def write(path: Path) -> None:
            metadata = {
                k: v for k, v in held.schema.metadata.items() if b"content_sha256" not in k and b"ARROW" not in k
            }
            pq.write_table(change(held).replace_schema_metadata(metadata), path)

        return write

    def with_value(column: str, value: Any) -> Callable[[Path], None]:
        def change(table: pa.Table) -> pa.Table:
            values = table[column].to_pylist()
            values[2] = value
            return table.set_column(table.column_names.index(column), column, pa.array(values))

        return rewritten(change)

    def flip(path: Path) -> None:
        content = bytearray(good.read_bytes())
        column = pq.ParquetFile(good).metadata.row_group(0).column(2)
        content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
        path.write_bytes(content)

    def repeated(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table, table.slice(0, 1)])

    texts = pa.array([str(value) for value in held["score"].to_pylist()])
    kinds: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
        "truncated": (lambda path: path.write_bytes(good.read_bytes()[:-200]), ()),
        "bit flipped": (flip, ()),
        "wrong type": (rewritten(lambda t: t.set_column(2, "score", texts)), ("score",)),
        "missing column": (rewritten(lambda t: t.drop_columns(["score"])), ("score",)),
        "NaN": (with_value("score", float("nan")), ("score", "row 2")),
        "infinity": (with_value("score", float("inf")), ("score", "row 2")),
        "null": (with_value("creator_id", None), ("creator_id", "row 2")),
        "repeated key": (rewritten(repeated), ("creator_id",)),
        "out of range": (with_value("score", -0.5), ("score", "row 2", "-0.5")),
        "unknown id": (with_value("creator_id", "nobody"), ("creator_id", "nobody")),
        "no rows": (rewritten(lambda t: t.slice(0, 0)), ()),
    }

    def attempt(kind: str) -> str | None:
        damage, words = kinds[kind]
        place = lab.place("score")
        path = place / "affinity.parquet"
        damage(path)
        process = lab.run("optimize", place, *SCORED, f"scores={path}", tiny=False)
        if list(place.glob("optimize/*/plan.parquet")):
            return "a plan was written"
        wrong = refusal(process, 2, "affinity.parquet", *words)
        return wrong and f"{kind}: {wrong}"

    assert np.isfinite(held["score"].to_numpy()).all()
    return row(
        "eleven kinds of damaged score file", lab.each(_caught(attempt), list(kinds)), "exit status 2, no traceback"
    )
