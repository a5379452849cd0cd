"""Break the files of every public data set on purpose, import them, and print what came of it.

Usage: python scripts/fuzz_importers.py [--times 2] [--seed 0] [--only WORD] [--source NAME] [--data FOLDER]

tests/faults/sources.py says how. An attempt is survived if the importer gives an error that names the file, or a valid
market that hides no loss. Exit status 1 if any attempt was not.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "faults"))

import sources

GOOD = ("clear error", "imported")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2, help="attempts of each kind of bad cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only damages whose name holds this word")
    parser.add_argument("--source", default="", help="only importers whose name holds this word")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MICROMEGA_DATA", "../shared/data")))
    options = parser.parse_args()
    total: Counter[str] = Counter()
    began = time.monotonic()
    print(f"{'importer':<34}  {'tried':>5}  {'clear error':>11}  {'imported':>8}  {'not survived':>12}  {'seconds':>7}")
    for source in sources.SOURCES:
        if options.source not in source.choice:
            continue
        start = time.monotonic()
        found: Counter[str] = Counter()
        failures = []
        for file, what, mode, verdict, message in sources.fuzz(
            source, options.data, times=options.times, seed=options.seed, only=options.only
        ):
            found[verdict] += 1
            if verdict not in GOOD:
                failures.append(f"    NOT SURVIVED: {file}, {what}, on_bad_rows={mode}: {verdict}: {message[:300]}")
        total += found
        name = source.choice + "".join(f" {key}={value}" for key, value in source.settings.items())
        print(_row(name, found, time.monotonic() - start), *failures, sep="\n", flush=True)
    print(_row("all", total, time.monotonic() - began))
    return int(any(verdict not in GOOD for verdict in total))


def _row(name: str, found: Counter[str], seconds: float) -> str:
    bad = sum(count for verdict, count in found.items() if verdict not in GOOD)
    return (
        f"{name:<34}  {sum(found.values()):>5}  {found['clear error']:>11}  {found['imported']:>8}  {bad:>12}"
        f"  {seconds:>7.0f}"
    )


if __name__ == "__main__":
    sys.exit(main())
