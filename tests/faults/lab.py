"""What every fault needs: a place for runs, the three commands as processes to be killed, and a run's fingerprint.

A process is started cold (`python train.py …`) or, to spare most of them the import of torch, warm: forked from a
server that has imported the libraries and then runs the same `train.py`. Both are processes of their own with the same
command line, exit status and signals.
"""

import contextlib
import hashlib
import itertools
import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

REPOSITORY = Path(__file__).parents[2]
TINY = (
    "market.brands=16",
    "market.creators=80",
    "market.posts=6",
    "data.min_positives=2",
    "data.batch_size=64",
    "trainer.max_epochs=6",
    "callbacks.latest.every_n_train_steps=3",
    "callbacks.early_stopping=null",
)
PATIENCE_S = 180.0
T = TypeVar("T")

_TURN = threading.Lock()  # two threads that ask for the same exit status get one of them 255
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "cvxpy",
        "matplotlib.figure",
        "micromega.cli",
        "micromega.config.validate",
        "micromega.models.mir.evaluate",
        "micromega.models.mir.module",
        "micromega.runs.evaluate",
        "micromega.runs.optimize",
        "micromega.runs.train",
    ]
)


@dataclass(frozen=True)
class Row:
    """A line of the fault table: how many times a fault was injected, and what did not survive."""

    fault: str
    tried: int
    failures: tuple[str, ...] = ()
    note: str = ""

    @property
    def survived(self) -> int:
        return self.tried - len(self.failures)


def row(fault: str, results: Iterable[str | None], note: str = "") -> Row:
    """Make a row from one result per attempt: None, or what went wrong."""
    found = list(results)
    return Row(fault, len(found), tuple(item for item in found if item is not None), note)


@dataclass
class Process:
    """One of the three commands, running or ended."""

    log: Path
    handle: Any
    cold: bool

    @property
    def pid(self) -> int:
        return int(self.handle.pid)

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def status(self) -> int | None:
        """Exit status as a shell shows it; None while it runs."""
        with _TURN:
            code = self.handle.poll() if self.cold else self.handle.exitcode
        return code if code is None or code >= 0 else 128 - int(code)

    def wait(self, timeout: float = PATIENCE_S) -> int:
        """Wait for the end; a process that does not end is killed and has status 999."""
        ended = self.until(lambda: self.status() is not None, timeout)
        if not ended:
            self.kill()
            return 999
        status = self.status()
        assert status is not None
        return status

    def until(self, condition: Callable[[], bool], timeout: float = PATIENCE_S) -> bool:
        """Wait for a condition, or the end of the process; say whether the condition holds."""
        end = time.monotonic() + timeout
        while not condition():
            if self.status() is not None or time.monotonic() > end:
                return condition()
            time.sleep(0.004)
        return True

    def send(self, number: int, *, group: bool = False) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL and reap."""
        self.handle.kill()
        while self.status() is None:
            time.sleep(0.002)


@dataclass
class Lab:
    """A temporary folder with one shared market, and two processes at a time."""

    root: Path
    quick: bool = False
    _numbers: Iterator[int] = field(default_factory=itertools.count, init=False)
    _references: dict[tuple[str, ...], "Result"] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        os.environ.pop("WANDB_API_KEY", None)

    def place(self, name: str) -> Path:
        """Make a fresh folder."""
        path = self.root / f"{next(self._numbers):03d}-{name}"
        path.mkdir(parents=True)
        return path

    def start(
        self,
        script: str,
        place: Path,
        *overrides: str,
        cold: bool = False,
        tiny: bool = True,
        env: dict[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> Process:
        """Start a command whose runs lie in a place.

        Args:
            script: "train", "evaluate" or "optimize".
            place: folder for the runs.
            overrides: further overrides.
            cold: start a new interpreter.
            tiny: whether the tiny simulated market and training are asked for.
            env: additions to the environment.
            before: called in the (warm) process before the script, to inject something.
        """
        arguments = [
            *(TINY if tiny else ()),
            f"paths.runs={place}",
            f"paths.markets={self.root / 'markets'}",
            *overrides,
        ]
        log = self.root / f"{next(self._numbers):03d}-{script}.log"
        if not cold:
            handle = _SERVER.Process(target=run_script, args=(script, arguments, log, env or {}, before))
            with _TURN:
                handle.start()
            return Process(log, handle, cold=False)
        with log.open("wb") as file:
            command = [sys.executable, str(REPOSITORY / f"{script}.py"), *arguments]
            popen = subprocess.Popen(
                command, cwd=self.root, env=os.environ | (env or {}), stdout=file, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        return Process(log, popen, cold=True)

    def run(self, script: str, place: Path, *overrides: str, **options: Any) -> Process:
        """Start a command and wait for its end."""
        process = self.start(script, place, *overrides, **options)
        process.wait()
        return process

    def reference(self, *overrides: str) -> "Result":
        """Fingerprint of an unbroken run of the same request, made once."""
        if overrides not in self._references:
            place = self.place("unbroken")
            began = time.monotonic()
            process = self.run("train", place, *overrides)
            if process.status() != 0:
                raise RuntimeError(process.output)
            self._references[overrides] = Result.of(place, seconds=time.monotonic() - began)
        return self._references[overrides]

    def each(self, function: Callable[[Any], T], items: Sequence[Any], at_once: int = 2) -> list[T]:
        """Apply a function to items, two at a time."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(function, items))


@dataclass(frozen=True)
class Result:
    """What a training run ends with: everything that must be equal bit for bit."""

    weights: str
    optimiser: str
    metrics_csv: bytes
    metrics_json: bytes
    seconds: float = 0.0

    @classmethod
    def of(cls, place: Path, seconds: float = 0.0) -> "Result":
        from micromega.runs.checkpoint import load_checkpoint, newest_valid

        folder = run_folder(place)
        newest = newest_valid(folder / "checkpoints")
        assert newest is not None, f"no checkpoint in {folder}"
        held = load_checkpoint(newest)
        return cls(
            weights=_digest(held["state_dict"]),
            optimiser=_digest([held["optimizer_states"], held["lr_schedulers"], held["epoch"], held["global_step"]]),
            metrics_csv=(folder / "metrics.csv").read_bytes(),
            metrics_json=(folder / "metrics.json").read_bytes(),
            seconds=seconds,
        )

    def difference(self, other: "Result") -> str | None:
        """Name what differs."""
        names = ("weights", "optimiser", "metrics_csv", "metrics_json")
        differ = [name for name in names if getattr(self, name) != getattr(other, name)]
        return f"{', '.join(differ)} differ from the unbroken run's" if differ else None


def run_folder(place: Path, task: str = "train") -> Path:
    """Find the only run folder of a task."""
    (found,) = (place / task).iterdir()
    return found


def checkpoints(place: Path) -> list[Path]:
    """List the checkpoints to resume from, oldest first."""
    found = place.glob("train/*/checkpoints/*.ckpt")
    return sorted((path for path in found if not path.name.startswith("best")), key=lambda path: path.name[-12:])


def finished_as(process: Process, place: Path, expected: Result) -> str | None:
    """Check a resumed run: exit status 0 and the same bits."""
    if process.status() != 0:
        return f"exit status {process.status()}: {process.output[-600:]}"
    return Result.of(place).difference(expected)


def refusal(process: Process, status: int, *words: str) -> str | None:
    """Check a refusal: the exit status, no traceback, and what must be named."""
    output = process.output
    if process.status() != status:
        return f"exit status {process.status()} instead of {status}: {output[-600:]}"
    if "Traceback" in output:
        return f"traceback: {output[-600:]}"
    missing = [word for word in words if word not in output]
    return f"the message does not name {', '.join(missing)}: {output[-600:]}" if missing else None


def run_script(
    script: str, arguments: list[str], log: Path, env: dict[str, str], before: Callable[[], None] | None
) -> None:
    """Run a command in a process forked from the server, as `python script.py …` would."""
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # Linux's default, which the server has changed
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.update(env)
    path = REPOSITORY / f"{script}.py"
    os.chdir(log.parent)
    sys.argv = [str(path), *arguments]
    if before is not None:
        before()
    runpy.run_path(str(path), run_name="__main__")


def _digest(value: Any) -> str:
    """Hash nested containers of tensors and plain values, bit by bit."""
    import torch

    digest = hashlib.sha256()

    def feed(item: Any) -> None:
        if isinstance(item, torch.Tensor):
            digest.update(f"{item.dtype}{tuple(item.shape)}".encode() + item.contiguous().numpy().tobytes())
        elif isinstance(item, dict):
            for key in sorted(item, key=str):
                digest.update(str(key).encode())
                feed(item[key])
        elif isinstance(item, list | tuple):
            for part in item:
                feed(part)
        else:
            digest.update(repr(item).encode())

    feed(value)
    return digest.hexdigest()
