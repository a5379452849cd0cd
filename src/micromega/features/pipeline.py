"""From a market's media files to its feature arrays: cached, resumable, parallel, every bad file named."""

import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from micromega.errors import ConfigError, DataError, MicromegaError
from micromega.features import worker
from micromega.features.cache import FeatureCache
from micromega.features.extractor import ArraySpec, Extractor, Media, check_values
from micromega.features.media import media_of, media_posts
from micromega.features.worker import Done, Worker
from micromega.market.arrays import FOLDER, ArrayWriter
from micromega.market.market import Market

log = logging.getLogger(__name__)
_AHEAD = 4  # files handed out per worker before their results are asked for
_BLOCK = 64 << 20  # bytes of values held before they are written
_OVERHEAD = 256  # bytes of a post's id and array beside the values
_NEWS_S = 60.0  # between two lines of progress in a log


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What an extraction did."""

    posts: int
    """Posts with a media file."""
    computed: int
    """Results computed now; the rest came from the cache."""
    seconds: float
    """Time spent on the files."""
    arrays: dict[str, int]
    """Array -> posts that have it."""
    problems: pa.Table
    """post_id, path, extractor, reason: what could not be read."""


def extract(
    market: Market,
    extractors: Sequence[Extractor],
    *,
    cache: Path,
    workers: int = 1,
    media: Path | None = None,
    progress: bool = False,
) -> Extraction:
    """Run extractors on every media file of a market and write their arrays into the market's folder.

    The result depends on the files and the extractors alone, not on the number of workers, on the order in which they
    finish, or on how often the extraction was interrupted.

    Args:
        market: its posts table names the files (`media_path`).
        extractors: what to run.
        cache: folder of results by content; may be shared by all markets and processes.
        workers: processes, with one thread each; 0: this process, with as many threads as it has, on which the last
            digits that a network gives do depend.
        media: folder that media_path is relative to; None: the market's.
        progress: show a bar.

    Returns:
        What was done. A post whose file an extractor cannot read is absent from that extractor's arrays, listed in
        `problems`, and tried again next time.

    Raises:
        DataError: the posts name no media, or no extractor could read any file.
        MicromegaError: a worker died.
    """
    started = time.monotonic()
    _check_names(extractors)
    folder = media or market.path
    work = Worker(extractors, [extractor.signature() for extractor in extractors], FeatureCache(cache))
    done = _run(work, media_paths(market, folder), workers, progress)
    return gather(market, work, done, media=folder, seconds=time.monotonic() - started)


def media_paths(market: Market, media: Path) -> list[Path]:
    """List the media files in the order of the posts.

    Args:
        market: its posts table names them.
        media: folder that media_path is relative to.
    """
    return [media / name for name in media_posts(market).column("media_path").to_pylist()]


def gather(market: Market, work: Worker, done: Sequence[Done], *, media: Path, seconds: float = 0.0) -> Extraction:
    """Write the arrays from the cache, whoever filled it.

    Args:
        market: its folder receives them.
        work: extractors, signatures and cache.
        done: what became of each file, in the order of `media_paths`.
        media: folder that media_path is relative to.
        seconds: time that was spent on the files.

    Returns:
        What was done; see `extract`.

    Raises:
        DataError: no extractor could read any file.
    """
    posts, paths = media_posts(market), media_paths(market, media)
    problems = _problems(posts, paths, done, work.extractors)
    if all(len(each.problems) == len(work.extractors) for each in done):
        first = problems.slice(0, 1).to_pylist()[0]
        raise DataError(
            f"None of {len(paths)} media files can be read. {first['extractor']}: {first['reason']}\n"
            f"They were looked for in {media}; media=FOLDER names another folder."
        )
    rows: dict[str, int] = {}
    for number, extractor in enumerate(work.extractors):
        kept = pa.array([number not in each.problems for each in done])
        contents = [each.content for each in done if number not in each.problems]
        items = zip(media_of(posts.filter(kept), media), contents, strict=True)
        rows |= _write(market.path / FOLDER, extractor, work.signatures[number], items, work.cache)
    return Extraction(
        posts=len(paths),
        computed=sum(each.computed for each in done),
        seconds=seconds,
        arrays=rows,
        problems=problems,
    )


def _check_names(extractors: Sequence[Extractor]) -> None:
    names = [spec.name for extractor in extractors for spec in extractor.outputs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"features: two extractors make the array {min(twice)}. Leave one of them out.")


def _run(work: Worker, paths: Sequence[Path], workers: int, progress: bool) -> list[Done]:
    """Work through the files; results in the order of the files."""
    done: list[Done] = []
    columns = TextColumn("extracting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    news = time.monotonic() + _NEWS_S
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("", total=len(paths))
        for each in map(work, paths) if workers == 0 else _parallel(work, paths, workers):
            done.append(each)
            bar.advance(task)
            if time.monotonic() > news:
                bad = sum(bool(one.problems) for one in done)
                log.info("%d of %d files, %d of them with problems", len(done), len(paths), bad)
                news = time.monotonic() + _NEWS_S
    return done


def _parallel(work: Worker, paths: Sequence[Path], workers: int) -> Iterator[Done]:
    context = multiprocessing.get_context("spawn")  # decoders and networks have threads, which a fork would break
    waiting: deque[tuple[Path, Future[Done]]] = deque()
    with (
        worker.one_thread_each(),
        ProcessPoolExecutor(workers, mp_context=context, initializer=worker.start, initargs=(work,)) as pool,
    ):
        try:
            for path in paths:
                waiting.append((path, pool.submit(worker.run, path)))
                if len(waiting) >= _AHEAD * workers:
                    yield waiting.popleft()[1].result()
            while waiting:
                yield waiting.popleft()[1].result()
        except BrokenProcessPool as error:
            files = ", ".join(str(path) for path, _ in list(waiting)[:workers])
            raise MicromegaError(
                "An extraction process died (out of memory, or a decoder crashed) at one of the files that come after "
                f"{len(paths) - len(waiting)} …: {files}. What is done is kept: the same command resumes."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _problems(
    posts: pa.Table, paths: Sequence[Path], done: Sequence[Done], extractors: Sequence[Extractor]
) -> pa.Table:
    ids, names = posts.column("post_id"), [type(extractor).__name__ for extractor in extractors]
    rows = [
        {"post_id": ids[row].as_py(), "path": str(paths[row]), "extractor": names[number], "reason": reason}
        for row, each in enumerate(done)
        for number, reason in each.problems.items()
    ]
    schema = pa.schema([(name, pa.string()) for name in ("post_id", "path", "extractor", "reason")])
    return pa.Table.from_pylist(rows, schema=schema)


def _write(
    folder: Path, extractor: Extractor, signature: str, items: Iterable[tuple[Media, str]], cache: FeatureCache
) -> dict[str, int]:
    """Gather one extractor's results, in the order of the posts, into its arrays."""
    source = f"{type(extractor).__name__} {signature[:12]}"
    with ExitStack() as stack:
        writers = {
            spec.name: _Buffer(spec, stack.enter_context(_writer(folder, spec, source))) for spec in extractor.outputs
        }
        for item, content in items:
            values = cache.read(signature, content)
            if values is None:
                raise MicromegaError(
                    f"{cache.path(signature, content)} has gone while it was needed. The same command makes it again."
                )
            completed = extractor.complete(values, item)
            check_values(completed, extractor.outputs, item)
            for name, value in completed.items():
                writers[name].add(item.post_id, value)
        return {name: buffer.flush() for name, buffer in writers.items()}


def _writer(folder: Path, spec: ArraySpec, source: str) -> ArrayWriter:
    return ArrayWriter(
        folder, name=spec.name, key="post_id", shape=spec.shape, dtype=spec.dtype, ragged=spec.ragged, source=source
    )


class _Buffer:
    """Collects single posts' values and writes them many at a time."""

    def __init__(self, spec: ArraySpec, writer: ArrayWriter) -> None:
        self.spec, self.writer = spec, writer
        self.ids: list[str] = []
        self.values: list[NDArray[Any]] = []
        self.bytes = self.rows = 0

    def add(self, post_id: str, value: NDArray[Any]) -> None:
        self.ids.append(post_id)
        self.values.append(value if self.spec.ragged else value[None])
        self.bytes += value.nbytes + _OVERHEAD
        if self.bytes > _BLOCK:
            self.flush()

    def flush(self) -> int:
        """Write what is held; the number of posts written so far."""
        if self.ids:
            lengths = np.array([len(value) for value in self.values], dtype=np.int64) if self.spec.ragged else None
            self.writer.append(self.ids, np.concatenate(self.values), lengths)
            self.rows += len(self.ids)
        self.ids, self.values, self.bytes = [], [], 0
        return self.rows
