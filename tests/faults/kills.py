"""Processes that end at the worst moment: SIGKILL in training and in writing, signals to stop, many at once."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

from lab import Lab, Process, Row, checkpoints, finished_as, refusal, row, run_folder

WORKERS = "data.num_workers=2"


def killed_training(lab: Lab) -> Row:
    """SIGKILL at random moments of a run, start-up included; the same command then ends with the same bits."""
    cases = 5 if lab.quick else 20
    stages: Counter[str] = Counter()
    lab.reference(WORKERS)
    expected = {workers: lab.reference(*workers) for workers in ((), (WORKERS,))}
    lasts = {}  # seconds of an unbroken run, cold or not, with workers or not
    results: list[str | None] = []
    for cold, workers in ((False, ()), (False, (WORKERS,)), (True, ())):
        place, began = lab.place("again"), time.monotonic()
        process = lab.run("train", place, *workers, cold=cold)
        lasts[cold, workers] = time.monotonic() - began
        if wrong := finished_as(process, place, expected[workers]):
            results.append(f"without a kill: {wrong}")

    def attempt(number: int) -> str | None:
        draw = random.Random(number)
        cold = number % 4 == 0 and not (lab.quick and number)
        workers = (WORKERS,) if number % 5 == 3 else ()
        place = lab.place(f"kill-{number}")
        for _ in range(2 if number % 3 == 2 else 1):  # some are killed a second time
            for _ in range(10):  # a moment at which the run has ended does not count
                process = lab.start("train", place, *workers, cold=cold)
                if draw.random() < 0.5:
                    time.sleep(draw.uniform(0, lasts[cold, workers if not cold else ()]))
                else:  # however slow the machine is now, at a random step of training
                    wanted = draw.randrange(1, 54)
                    process.until(lambda: any(_step(path) >= wanted for path in checkpoints(place)))  # noqa: B023
                    time.sleep(draw.uniform(0, 0.1))
                stage = _stage(process, place)
                process.kill()
                if stage is not None:
                    break
                shutil.rmtree(place)
            stages[stage or "after the end"] += 1
        process = lab.run("train", place, *workers)
        return finished_as(process, place, expected[workers])

    results += lab.each(_caught(attempt), range(cases))
    met = ", ".join(f"{stage} {count}" for stage, count in sorted(stages.items()))
    return row("kill -9 at a random moment of training, then the same command", results, f"kills met: {met}")


def _stage(process: Process, place: Path) -> str | None:
    """Say what a process is at; None if it has ended."""
    if process.status() is not None:
        return None
    if not (place / "train").exists():
        return "start-up"
    if list(place.glob("train/*/checkpoints/.*.tmp")):
        return "a checkpoint being written"
    if list(place.glob("train/*/metrics.json")):
        return "the end"
    return "training" if checkpoints(place) else "before the first checkpoint"


def killed_while_writing(lab: Lab) -> Row:
    """SIGKILL in a loop of checkpoint writes, the system's temporary folder on another file system."""
    cases = 8 if lab.quick else 40
    elsewhere = Path("/dev/shm") if Path("/dev/shm").is_dir() else lab.root
    leftovers = []

    def attempt(number: int) -> str | None:
        from micromega.runs.checkpoint import load_checkpoint, newest_valid
        from micromega.runs.lock import locked

        draw = random.Random(1000 + number)
        place = lab.place(f"writes-{number}")
        process = lab.start("train", place, env={"TMPDIR": str(elsewhere)}, before=WriteForever(place))
        process.until(lambda: bool(list(place.glob("*.ckpt"))))
        time.sleep(draw.uniform(0, 0.25))
        process.kill()
        leftovers.append(bool(list(place.glob(".*.tmp"))))
        for path in place.glob("*.ckpt"):
            load_checkpoint(path)  # raises if damaged
        with locked(place):
            pass
        if newest_valid(place) is None or list(place.glob(".*.tmp")):
            return "no valid checkpoint, or temporary files left"
        return None

    return row(
        "kill -9 while checkpoints are written",
        lab.each(_caught(attempt), range(cases)),
        f"{sum(leftovers)} kills in the middle of a write; temporary folder on {elsewhere}",
    )


class WriteForever:
    """Write checkpoints of 8 MB through `AtomicCheckpointIO` until killed."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __call__(self) -> None:
        import torch

        from micromega.runs.checkpoint import KEY, AtomicCheckpointIO, remove_older

        writer = AtomicCheckpointIO()
        for step in range(10**9):
            content = {"state_dict": {"w": torch.full((2 << 20,), float(step))}, KEY: {"moment": "batch", "means": {}}}
            writer.save_checkpoint(content, self.place / f"latest-step-{step:09d}.ckpt")
            remove_older(self.place, step=step, keep=2)


def _caught(attempt):
    def safe(number: int) -> str | None:
        try:
            return attempt(number)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    return safe


def stopped_by_signal(lab: Lab) -> Row:
    """SIGTERM, SIGINT, SIGUSR1: the exit status schedulers expect, a checkpoint at that step, the same bits."""
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
    cases = [(number, workers) for number in numbers for workers in ((), (), (WORKERS,))][:: 3 if lab.quick else 1]

    def attempt(case: tuple[int, tuple[signal.Signals, tuple[str, ...]]]) -> str | None:
        index, (number, workers) = case
        draw = random.Random(2000 + index)
        expected = lab.reference(*workers)
        place = lab.place(f"signal-{index}")
        process = lab.start("train", place, *workers)
        if not process.until(lambda: bool(checkpoints(place))):
            return f"ended by itself: {process.output[-600:]}"
        time.sleep(draw.uniform(0, 0.4))
        before = max(_step(path) for path in checkpoints(place))
        process.send(number, group=number == signal.SIGINT)  # a terminal's Ctrl-C goes to the workers, too
        process.wait(30)
        if wrong := refusal(process, 128 + number, "The same command resumes the run", "signal-step-"):
            return wrong
        saved = list(place.glob("train/*/checkpoints/signal-step-*.ckpt"))
        if not saved or _step(saved[0]) < before:
            return f"saved {[path.name for path in saved]}, but step {before} had been reached"
        process = lab.run("train", place, *workers)
        if "Resuming from" not in process.output or saved[0].name not in process.output:
            return f"did not resume from {saved[0].name}"
        return finished_as(process, place, expected)

    lab.reference(WORKERS)
    return row(
        "SIGTERM, SIGINT, SIGUSR1 in an epoch, then the same command",
        lab.each(attempt, list(enumerate(cases))),
        "exit status 143, 130, 138; no finished step lost",
    )


def _step(path: Path) -> int:
    return int(path.stem[-9:])


def same_second(lab: Lab) -> Row:
    """Identical and different requests started together: one folder for the former, one for each of the latter."""
    count = 4 if lab.quick else 16
    place = lab.place("together")
    lab.reference()  # builds the market
    gate = lab.root / "gate"
    gate.unlink(missing_ok=True)
    wait = WaitFor(gate)
    short = ("trainer.max_epochs=1",)
    same = [lab.start("train", place, *short, before=wait) for _ in range(count)]
    different = [lab.start("train", place, *short, f"seed={seed}", before=wait) for seed in range(1, count + 1)]
    gate.touch()
    for process in same + different:
        process.wait(600)
    results: list[str | None] = [
        None if process.status() == 0 else process.output[-400:] for process in same + different
    ]
    trained = sum("Trained." in process.output for process in same)
    found = sum("Already trained" in process.output for process in same)
    folders = list((place / "train").iterdir())
    if (trained, found) != (1, count - 1) or len(folders) != count + 1:
        results[0] = f"{trained} trained, {found} reused, {len(folders)} folders of {count + 1}"
    import yaml

    seeds = sorted(yaml.safe_load((folder / "config.yaml").read_text())["seed"] for folder in folders)
    if seeds != list(range(count + 1)):
        results[-1] = f"mixed folders: seeds {seeds}"
    for seed in (1, count):
        alone = lab.place("alone")
        lab.run("train", alone, *short, f"seed={seed}")
        (folder,) = (item for item in folders if item.name == run_folder(alone).name)
        if (folder / "metrics.csv").read_bytes() != (run_folder(alone) / "metrics.csv").read_bytes():
            results[count + seed - 1] = f"seed {seed}: other metrics than alone"
    return row(f"{count} identical and {count} different runs started in the same second", results)


class WaitFor:
    """Wait until a file exists, so that all processes go on at the same moment."""

    def __init__(self, gate: Path) -> None:
        self.gate = gate

    def __call__(self) -> None:
        while not os.path.exists(self.gate):  # noqa: PTH110
            time.sleep(0.001)
