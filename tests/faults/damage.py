"""Damaged and impossible content: full disks, broken checkpoints, numbers that are none, broken tables and scores."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from kills import _caught
from lab import Lab, Row, checkpoints, finished_as, refusal, row, run_folder


def full_disk(lab: Lab) -> Row:
    """The disk fills while checkpoints are written; the old ones stay, and the run resumes once there is room."""
    results = [_caught(lambda _: _limited_file_size(lab))(0)]
    note = "file size limit"
    mounted = lab.place("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=3600k", "tmpfs", str(mounted)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        note += ", and a run on a full disk of 3.5 MB"
        try:
            results.append(_caught(lambda _: _run_on_full_disk(lab, mounted))(0))
        finally:
            subprocess.run(["umount", "-l", str(mounted)], check=False)
    else:
        note += " (no tmpfs could be mounted for a whole run)"
    return row("disk full while a checkpoint is written", results, note)


def _run_on_full_disk(lab: Lab, mounted: Path) -> str | None:
    from micromega.runs.checkpoint import load_checkpoint

    process = lab.run("train", mounted)
    if wrong := refusal(process, 1, str(mounted), "No space left on device", "cannot be written"):
        return wrong
    kept = checkpoints(mounted)
    if not kept:
        return "no checkpoint is left"
    for path in kept:
        load_checkpoint(path)
    subprocess.run(["mount", "-o", "remount,size=30m", str(mounted)], check=True)
    process = lab.run("train", mounted)
    if "Resuming from" not in process.output:
        return "did not resume"
    return finished_as(process, mounted, lab.reference())


def _limited_file_size(lab: Lab) -> str | None:
    import torch

    from micromega.errors import CheckpointError
    from micromega.runs.checkpoint import AtomicCheckpointIO, load_checkpoint

    path = lab.place("limit") / "latest-step-000000001.ckpt"
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"state_dict": {"w": torch.ones(10)}}, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, before[1]))
    try:
        writer.save_checkpoint({"state_dict": {"w": torch.ones(1 << 20)}}, path)
    except CheckpointError as error:
        if str(path) not in str(error):
            return f"the message does not name the path: {error}"
    else:
        return "no error"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    intact = torch.equal(load_checkpoint(path)["state_dict"]["w"], torch.ones(10))
    left = [item.name for item in path.parent.iterdir() if item != path]
    return None if intact and not left else f"the old checkpoint is gone, or files are left: {left}"


def damaged_checkpoint(lab: Lab) -> Row:
    """The newest checkpoint of a killed run is damaged; the one before serves, the run says so, the bits are equal."""
    kinds = [_truncate, _flip, _empty, _text, _flip, _truncate]
    cases = 4 if lab.quick else 20
    expected = lab.reference()

    def attempt(number: int) -> str | None:
        draw = random.Random(3000 + number)
        place = lab.place(f"damaged-{number}")
        process = lab.start("train", place)
        process.until(lambda: len(checkpoints(place)) >= 2)
        process.kill()
        *_, before, newest = checkpoints(place)
        damaged = [newest, before] if number % 10 == 9 else [newest]
        for path in damaged:
            kinds[number % len(kinds)](path, draw)
        process = lab.run("train", place)
        if (
            process.output.count("Passed over a damaged checkpoint") != len(damaged)
            or newest.name not in process.output
        ):
            return f"does not say that {newest.name} is damaged: {process.output[-500:]}"
        resumed = f"Resuming from {before}" in process.output
        if resumed == (before in damaged):
            return "did not resume from the checkpoint before it"
        return finished_as(process, place, expected)

    return row(
        "the newest checkpoint truncated, bit-flipped, empty or a text file",
        lab.each(_caught(attempt), range(cases)),
        "one in ten with the one before damaged as well",
    )


def _truncate(path: Path, draw: random.Random) -> None:
    os.truncate(path, draw.randrange(1, path.stat().st_size))


def _empty(path: Path, draw: random.Random) -> None:
    os.truncate(path, 0)


def _text(path: Path, draw: random.Random) -> None:
    path.write_text("This is no checkpoint.\n" * draw.randrange(1, 100))


def _flip(path: Path, draw: random.Random) -> None:
    with zipfile.ZipFile(path) as archive:
        info = draw.choice([item for item in archive.infolist() if "/data/" in item.filename and item.file_size > 4])
    content = bytearray(path.read_bytes())
    names = len(info.filename) + int.from_bytes(content[info.header_offset + 28 : info.header_offset + 30], "little")
    content[info.header_offset + 30 + names + draw.randrange(info.file_size)] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


class PutNaN:
    """Make one feature NaN after some steps, as a faulty kernel or memory would."""

    def __init__(self, step: int, value: float) -> None:
        self.step, self.value = step, value

    def __call__(self) -> None:
        from micromega.models.mir.module import MIRModule

        original, step, value = MIRModule.training_step, self.step, self.value

        def training_step(module: Any, batch: dict[str, Any], index: int) -> Any:
            if module.trainer.global_step == step:
                module._get("features_text")[:] = value
            return original(module, batch, index)

        MIRModule.training_step = training_step


def not_a_number(lab: Lab) -> Row:
    """NaN and infinity: refused in tables, and stopped at that step in training, with no checkpoint that holds one."""

    def in_table(case: tuple[str, str, float]) -> str | None:
        table, column, value = case
        folder = _market_copy(lab, f"nan-{column}")
        path = folder / f"{table}.parquet"
        held = pq.read_table(path)
        values = held[column].to_pylist()
        values[3] = value
        _replace(path, held, column, pa.array(values, held.schema.field(column).type))
        place = lab.place("nan")
        process = lab.run("train", place, "market=folder", f"market.path={folder}", tiny=False)
        return refusal(process, 2, path.name, f'"{column}"', "row 3")

    def in_training(case: tuple[Any, tuple[str, ...], int]) -> str | None:
        before, overrides, step = case
        place = lab.place("nan-loss")
        process = lab.run("train", place, *overrides, before=before)
        if wrong := refusal(process, 1, f"at step {step} ", "Batch: ", "brands (", "creators ("):
            return wrong
        return _non_finite_checkpoints(place, step)

    tables = [("prices", "price", float("nan")), ("prices", "price", float("inf")), ("events", "scale", float("nan"))]
    training = [
        (PutNaN(0, float("nan")), (), 0),
        (PutNaN(13, float("nan")), (), 13),
        (PutNaN(31, float("inf")), ("data.num_workers=2",), 31),
        (None, ("model.initial_range=1e20",), 0),
    ]
    results = lab.each(_caught(in_table), tables) + lab.each(_caught(in_training), training)
    return row("NaN and infinity in a table or in training", results, "no checkpoint holds one")


def _non_finite_checkpoints(place: Path, step: int) -> str | None:
    import torch

    from micromega.runs.checkpoint import load_checkpoint

    for path in place.glob("train/*/checkpoints/*.ckpt"):
        held = load_checkpoint(path)
        if held["global_step"] > step or not all(bool(item.isfinite().all()) for item in held["state_dict"].values()):
            return f"{path.name} holds numbers that are none"
    record = json.loads((run_folder(place) / "run.json").read_text())
    assert isinstance(torch.__version__, str)
    return "the run counts as done" if record["status"] == "done" else None


def _market_copy(lab: Lab, name: str) -> Path:
    """Copy the tiny simulated market, which a reference run has built."""
    lab.reference()
    markets = [path.parent for path in (lab.root / "markets").glob("*/market.yaml")]
    built = min(markets, key=lambda path: (path / "posts.parquet").stat().st_size)
    return Path(shutil.copytree(built, lab.place(name) / "market"))


def _replace(path: Path, held: pa.Table, column: str, values: pa.Array) -> None:
    pq.write_table(held.set_column(held.column_names.index(column), column, values), path)
