"""What a worker process does: open the extractors once, then media file by media file."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import parent_process
from pathlib import Path

from micromega.features.cache import FeatureCache, pack
from micromega.features.extractor import Arrays, Extractor, MediaError
from micromega.files import sha256_of

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What became of one media file."""

    content: str = ""
    """SHA-256 of the file."""
    computed: int = 0
    """Extractors that had to run; the others' results were in the cache."""
    problems: Mapping[int, str] = field(default_factory=dict)
    """Extractor (its number) -> why it could not read the file."""


class Worker:
    """Extractors and their cache in one process; weights are loaded when the first file needs them.

    Args:
        extractors: what to run.
        signatures: one per extractor.
        cache: where results are looked up and kept.
    """

    def __init__(self, extractors: Sequence[Extractor], signatures: Sequence[str], cache: FeatureCache) -> None:
        self.extractors, self.signatures, self.cache = extractors, signatures, cache
        self._opened: dict[int, Callable[[Path], Arrays]] = {}

    def __call__(self, path: Path) -> Done:
        """Bring one file's results into the cache.

        Args:
            path: media file.

        Returns:
            What became of it. A file that is missing or cannot be decoded is among the `problems`; any other failure
            is a defect and raised.
        """
        try:
            content = _content(path)
        except OSError as error:
            return self._unreadable(path, error)
        found: dict[int, bytes] = {}
        problems: dict[int, str] = {}
        for number, signature in enumerate(self.signatures):
            if self.cache.read(signature, content) is None:
                try:
                    found[number] = pack(self.extract(number, path))
                except MediaError as error:
                    problems[number] = str(error)
        try:
            if found and _content(path) != content:  # these values would stand for the old content for ever
                raise OSError("it changed while it was read")
        except OSError as error:
            return self._unreadable(path, error)
        for number, data in found.items():
            self.cache.write(self.signatures[number], content, data)
        return Done(content=content, computed=len(found), problems=problems)

    def _unreadable(self, path: Path, error: OSError) -> Done:
        reason = f"{path}: cannot be read ({error.strerror or error})."
        return Done(problems=dict.fromkeys(range(len(self.extractors)), reason))

    def extract(self, number: int, path: Path) -> Arrays:
        """Run one extractor on one file.

        Args:
            number: which extractor.
            path: media file; its name is noted on whatever is raised.

        Returns:
            The extractor's arrays, as they are cached.
        """
        try:
            if number not in self._opened:
                self._opened[number] = self.extractors[number].open()
            return self._opened[number](path)
        except Exception as error:
            error.add_note(f"while {type(self.extractors[number]).__name__} read {path}")
            raise


def _content(path: Path) -> str:
    """SHA-256 of a file; a pipe or a device would keep the worker for ever."""
    if path.exists() and not path.is_file():
        raise OSError("it is no file")
    return sha256_of(path)


_worker: Worker | None = None


def start(worker: Worker) -> None:
    """Prepare a worker process: keep the worker, leave Ctrl-C to the parent, and end when the parent has ended."""
    global _worker  # noqa: PLW0603  (a process has one worker; the pool gives tasks no other way to reach it)
    _worker = worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def run(path: Path) -> Done:
    """Run this process's worker."""
    if _worker is None:
        raise RuntimeError("start() comes first")
    return _worker(path)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()  # a killed parent closes no queue, and its workers would wait for ever
        os._exit(1)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes started meanwhile compute with one thread: results must not depend on how many there are."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
