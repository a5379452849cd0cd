"""Media features on many machines: the functions of `python -m micromega.features` as Ray Data's map_batches.

    RAY_ADDRESS=auto python scripts/extract_ray.py market=folder market.path=/shared/mine media=/shared/videos \
        cache=/shared/cache workers=64

`workers` is the number of actors, one core each. The media and the cache must be on a file system that all machines
see. Results meet in the cache, so a stopped run resumes, on these machines or, with the plain command, on one. Ray is
no dependency of this package: give it an environment of its own (`pip install "ray[data]"`), since what it pins
differs.
Texts and topics need no cluster: run the plain command with features=text.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray

from micromega.cli import CONF
from micromega.errors import MicromegaError
from micromega.features import command
from micromega.features.cache import FeatureCache
from micromega.features.pipeline import Extraction, gather, media_paths
from micromega.features.worker import THREADS, Done, Worker
from micromega.market import Market, open_market
from micromega.market.arrays import FOLDER
from micromega.runs.lock import locked

BATCH = 8  # files; a batch is what a stopped run loses at most, per actor


class ExtractBatch:
    """What an actor does: open the extractors once, then bring batches of files into the cache."""

    def __init__(self, work: Worker) -> None:
        self.work = work

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Bring a batch ("row", "path") into the cache and say what became of each file."""
        done = [self.work(Path(str(path))) for path in batch["path"]]
        return {
            "row": batch["row"],
            "content": np.array([each.content for each in done]),
            "computed": np.array([each.computed for each in done]),
            "problems": np.array([json.dumps(dict(each.problems)) for each in done]),
        }


def results(rows: Sequence[dict[str, Any]]) -> list[Done]:
    """Bring what the actors gave, in any order, into the order of the files."""
    return [
        Done(
            content=str(row["content"]),
            computed=int(row["computed"]),
            problems={int(number): reason for number, reason in json.loads(row["problems"]).items()},
        )
        for row in sorted(rows, key=lambda row: int(row["row"]))
    ]


def extract_on_cluster(market: Market, work: Worker, *, media: Path, workers: int) -> Extraction:
    """Run the extractors on a Ray cluster (RAY_ADDRESS; without it, on this machine) and write the arrays."""
    if "RAY_ADDRESS" not in os.environ:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # else Ray writes a token into the home folder
    import ray  # noqa: PLC0415  (the batch functions work, and are tested, without it)

    started = time.monotonic()
    ray.init(runtime_env={"env_vars": dict.fromkeys(THREADS, "1")}, include_dashboard=False)
    try:
        paths = [str(path.resolve()) for path in media_paths(market, media)]
        table = pa.table({"row": np.arange(len(paths)), "path": paths})
        # One block per batch from the start, and at least one actor rather than all: a repartition, or actors for more
        # cores than there are, would wait for a core that the actors hold, for ever.
        blocks = ray.data.from_arrow([table.slice(start, BATCH) for start in range(0, len(paths), BATCH)])
        mapped = blocks.map_batches(
            ExtractBatch, fn_constructor_kwargs={"work": work}, batch_size=BATCH, concurrency=(1, workers), num_cpus=1
        )
        done = results(mapped.take_all())
    finally:
        ray.shutdown()
    return gather(market, work, done, media=media, seconds=time.monotonic() - started)


def main() -> int:
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("extract", overrides=sys.argv[1:])
    try:
        request = command.validate(config)
        market = open_market(request.market, Path(request.paths.markets))
        extractors = [part for part in (request.features.image, request.features.audio) if part is not None]
        work = Worker(
            extractors, [each.signature() for each in extractors], FeatureCache(Path(request.cache).resolve())
        )
        media = Path(request.media) if request.media else market.path
        with locked(market.path / FOLDER / ".lock"):
            done = extract_on_cluster(market, work, media=media, workers=max(1, request.workers))
    except MicromegaError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(f"{done.posts} posts in {done.seconds:.0f} s, {done.computed} results computed; arrays: {done.arrays}")
    for row in done.problems.slice(0, 20).to_pylist():
        print(f"cannot be read: {row['reason']}")
    print(f"{done.problems.num_rows} problems")
    return 0


if __name__ == "__main__":
    sys.exit(main())
