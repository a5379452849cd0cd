"""Break the training and planning commands on purpose and print what survived: fault, tried, survived.

Usage: python scripts/fault_table.py [--quick] [--only WORD]

Every fault is injected into real processes of `train.py`, `evaluate.py` and `optimize.py` on a tiny simulated market
(tests/faults says how). Exit status 1 if anything did not survive.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "faults"))

import asked
import damage
import kills
import tables
from lab import Lab, Row

FAULTS = (
    kills.killed_training,
    kills.killed_while_writing,
    damage.full_disk,
    damage.damaged_checkpoint,
    kills.stopped_by_signal,
    damage.not_a_number,
    tables.damaged_tables,
    tables.damaged_scores,
    asked.impossible_campaigns,
    kills.same_second,
    asked.secrets,
    asked.attacks,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer attempts of each fault")
    parser.add_argument("--only", default="", help="only faults whose name holds this word")
    options = parser.parse_args()
    rows: list[Row] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="micromega-faults-") as folder:
        lab = Lab(Path(folder), quick=options.quick)
        print(f"{'fault':<74}  {'tried':>5}  {'survived':>8}  {'seconds':>7}", flush=True)
        for inject in FAULTS:
            if options.only not in inject.__name__:
                continue
            start = time.monotonic()
            rows.append(inject(lab))
            line = f"{rows[-1].fault:<74}  {rows[-1].tried:>5}  {rows[-1].survived:>8}"
            print(f"{line}  {time.monotonic() - start:>7.0f}", flush=True)
            for text in (rows[-1].note, *(f"NOT SURVIVED: {failure}" for failure in rows[-1].failures)):
                if text:
                    print(f"    {text}", flush=True)
    tried, survived = sum(item.tried for item in rows), sum(item.survived for item in rows)
    print(f"{'all':<74}  {tried:>5}  {survived:>8}  {time.monotonic() - began:>7.0f}")
    return int(survived < tried)


if __name__ == "__main__":
    sys.exit(main())
