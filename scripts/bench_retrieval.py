"""Shortlists over ten million creators: exact and through the index, beside FAISS Flat and numpy's argpartition.

Run `python scripts/bench_retrieval.py [--kind clustered|isotropic|both] [--creators 10000000] [--quick]`. Clustered
vectors lie around a centre per 1,000 creators; isotropic ones have no structure that an index could use. Times are CPU
seconds of the process (wall time where it says so); OMP_NUM_THREADS sets the threads of both sides.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from micromega.models.retrieval import CreatorIndex, top_k_exact
from micromega.models.retrieval.shortlists import choose_effort, recall

try:
    import faiss
except ImportError:
    faiss = None

DIMENSION, BRANDS, SHORTLIST, ALONE = 64, 256, 50, 8
PER_CENTRE, SPREAD = 1_000, 0.7
PART = 1 << 18


def draw(kind: str, count: int, centres: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors; clustered ones share the centres of seed 0."""
    vectors = rng.standard_normal((count, DIMENSION), dtype=np.float32)
    if kind == "clustered":
        centre = np.random.default_rng(0).standard_normal((centres, DIMENSION), dtype=np.float32)
        vectors *= SPREAD
        vectors += centre[rng.integers(0, centres, count)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def write(path: Path, kind: str, creators: int, dtype: str) -> np.ndarray:
    """A file of vectors, written in parts and memory-mapped."""
    rng = np.random.default_rng(1)
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(creators, DIMENSION))
    for first in range(0, creators, PART):
        mapped[first : first + PART] = draw(kind, min(PART, creators - first), creators // PER_CENTRE, rng)
    mapped.flush()
    return np.load(path, mmap_mode="r")


def timed(work: Callable[[], Any], queries: int = 1, repeats: int = 1) -> tuple[Any, float]:
    """The result, and the least CPU milliseconds per query of some repeats."""
    least = np.inf
    for _ in range(repeats):
        began = time.process_time()
        result = work()
        least = min(least, time.process_time() - began)
    return result, 1e3 * least / queries


def peers(queries: np.ndarray, creators: np.ndarray, repeats: int) -> dict[str, float]:
    """CPU milliseconds per query of FAISS Flat and numpy."""

    def whole() -> np.ndarray:
        scores = queries[:ALONE] @ creators.T
        best = np.argpartition(scores, -SHORTLIST, axis=1)[:, -SHORTLIST:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        return np.take_along_axis(best, order, axis=1)

    found = {"numpy argpartition, 8 at once": timed(whole, ALONE, repeats)[1]}
    if faiss is None:
        return found
    flat = faiss.IndexFlatIP(DIMENSION)
    for first in range(0, len(creators), PART):
        flat.add(creators[first : first + PART])
    found["faiss Flat, together"] = timed(lambda: flat.search(queries, SHORTLIST), BRANDS, repeats)[1]
    one_by_one = timed(lambda: [flat.search(query[None], SHORTLIST) for query in queries[:ALONE]], ALONE, repeats)
    return found | {"faiss Flat, one by one": one_by_one[1]}


def index_figures(
    kind: str, queries: np.ndarray, creators: np.ndarray, exact_rows: np.ndarray, repeats: int
) -> dict[str, float]:
    """Build the index, find the effort that is enough, and time it; prints all but the times of answering."""
    wall, (index, built) = time.perf_counter(), timed(lambda: CreatorIndex.build(creators))
    wall = time.perf_counter() - wall
    print(f"figure: {kind} index build = {built / 1e3:.1f} CPU-s")
    print(f"figure: {kind} index build, wall = {wall:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        size = (Path(folder) / "index").stat().st_size
    print(f"figure: {kind} index size = {size / len(creators):.1f} bytes per creator")
    effort = choose_effort(index, queries, creators, SHORTLIST)
    print(f"figure: {kind} index recall@10 = {effort.recall:.4f} share")
    print(f"figure: {kind} index lists read = {effort.probes} of {index.lists}")
    if not effort.enough:
        print(f"{kind}: a quarter of the lists is not enough, so `retrieve=ann` answers exactly and says so")
    (rows, _), together = timed(lambda: index.search(queries, SHORTLIST, probes=effort.probes), BRANDS, repeats)
    print(f"figure: {kind} index recall@{SHORTLIST} = {recall(rows, exact_rows).mean():.4f} share")
    alone = timed(
        lambda: [index.search(query[None], SHORTLIST, probes=effort.probes) for query in queries[:ALONE]],
        ALONE,
        repeats,
    )[1]
    return {"index, together": together, "index, one by one": alone}


def bench(kind: str, number: int, folder: Path, repeats: int) -> None:
    """All figures of one kind of vectors."""
    queries = draw(kind, BRANDS, number // PER_CENTRE, np.random.default_rng(2))
    half = write(folder / "half.npy", kind, number, "float16")
    top_k_exact(queries, half[:PART], SHORTLIST)  # warm-up
    _, halved = timed(lambda: top_k_exact(queries, half, SHORTLIST), BRANDS, repeats)
    (folder / "half.npy").unlink()
    creators = write(folder / "single.npy", kind, number, "float32")
    (exact_rows, _), together = timed(lambda: top_k_exact(queries, creators, SHORTLIST), BRANDS, repeats)
    alone = timed(lambda: [top_k_exact(query[None], creators, SHORTLIST) for query in queries[:ALONE]], ALONE, repeats)[
        1
    ]
    times = {"exact, together": together, "exact, together, float16": halved, "exact, one by one": alone}
    times |= peers(queries, creators, repeats)
    if faiss is None:
        print("faiss is missing: no index, no Flat (pip install 'micromega[retrieval]')")
    else:
        times |= index_figures(kind, queries, creators, exact_rows, repeats)
    for name, value in times.items():
        print(f"figure: {kind} {name} = {value:.2f} CPU-ms per query")
    print(f"ratio: {kind} exact against numpy argpartition = {times['numpy argpartition, 8 at once'] / together:.2f}")
    if faiss is not None:
        print(f"ratio: {kind} exact against faiss Flat = {times['faiss Flat, together'] / together:.2f}")
        print(f"ratio: {kind} index against exact, together = {together / times['index, together']:.2f}")
        flat = times["faiss Flat, one by one"]
        print(f"ratio: {kind} index against faiss Flat, one by one = {flat / times['index, one by one']:.2f}")
    (folder / "single.npy").unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=["clustered", "isotropic", "both"], default="both")
    parser.add_argument("--creators", type=int, default=10_000_000)
    parser.add_argument("--quick", action="store_true", help="100,000 creators")
    wanted = parser.parse_args()
    number, repeats = (100_000, 2) if wanted.quick else (wanted.creators, 1)
    sys.stdout.reconfigure(line_buffering=True)
    print(f"{number:,} creators, {BRANDS} brands, vectors of length {DIMENSION}, shortlists of {SHORTLIST}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ["clustered", "isotropic"] if wanted.kind == "both" else [wanted.kind]:
            bench(kind, number, Path(folder), repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"figure: peak memory, mapped files included = {peak:.1f} GiB")


if __name__ == "__main__":
    main()
