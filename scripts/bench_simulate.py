"""Time and peak memory of simulating a market: 10^6 posts of 50,000 accounts, with everything but feature arrays.

Each size runs in a process of its own, so that the peak is its own. CPU time is that of the process, wall time includes
writing to disk. There is no peer that draws such a market.

    python scripts/bench_simulate.py [--quick] [--audience tiktok] [--scale 0.02]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BRANDS, POSTS = 60, 20
SIZES, QUICK = (10_000, 100_000, 1_000_000), (10_000, 50_000)


def simulate_once(posts: int, audience: str, scale: float) -> None:
    """Simulate one market and print seconds and bytes."""
    from micromega.market import simulate  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        market = simulate(
            seed=0, brands=BRANDS, creators=posts // POSTS - BRANDS, posts=POSTS, audience=audience, scale=scale,
            folder=Path(folder) / "market",
        )  # fmt: skip
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        disk = sum(file.stat().st_size for file in market.path.rglob("*") if file.is_file())
        rows = sum(table.num_rows for table in market.tables.values())
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(wall, cpu, peak, disk, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, within 50 seconds")
    parser.add_argument("--audience", default="micro", choices=("micro", "tiktok"))
    parser.add_argument("--scale", type=float, default=0.0, help="share of the real dimensions of feature arrays")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        simulate_once(options.only, options.audience, options.scale)
        return
    print(f"{'posts':>10} {'rows of all tables':>18} {'wall s':>8} {'cpu s':>8} {'peak GiB':>9} {'disk MiB':>9}")
    for posts in QUICK if options.quick else SIZES:
        call = [sys.executable, __file__, "--only", str(posts), "--audience", options.audience]
        done = subprocess.run([*call, "--scale", str(options.scale)], check=True, capture_output=True, text=True)
        wall, cpu, peak, disk, rows = (float(value) for value in done.stdout.split())
        print(f"{posts:10,} {rows:18,.0f} {wall:8.1f} {cpu:8.1f} {peak / 2**30:9.2f} {disk / 2**20:9.0f}", flush=True)
    print(f"figure: simulate_seconds = {wall:.1f} s for {posts:,} posts")
    print(f"figure: simulate_peak_memory = {peak / 2**30:.2f} GiB for {posts:,} posts")


if __name__ == "__main__":
    main()
