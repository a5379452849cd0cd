"""Print mean ± standard deviation over seeds of every method's metrics, from finished evaluations.

    python train.py    --multirun experiment=mir/instagram_2017 seed=0,1,2,3,4
    python evaluate.py --multirun experiment=mir/instagram_2017 seed=0,1,2,3,4
    python scripts/seed_table.py runs/evaluate/mir-instagram_2017-*

Runs must differ in the seed alone; the script says so if they do not.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import yaml


def load(folder: Path) -> tuple[int, str, dict[str, dict[str, float]]]:
    """Read one evaluation: its seed, its settings without the seed, its metrics."""
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    seed = config["seed"]
    config["data"].pop("seed")
    settings = {key: config[key] for key in ("market", "data", "model", "trainer", "callbacks", "evaluation")}
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return seed, json.dumps(settings, sort_keys=True), metrics


def table(runs: list[dict[str, dict[str, float]]]) -> str:
    """Lay out methods by metrics as a Markdown table."""
    names = list(next(iter(runs[0].values())))
    lines = ["| method | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for method in runs[0]:
        cells = []
        for name in names:
            values = [run[method][name] for run in runs if run[method][name] is not None]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            digits = 1 if "rank" in name else 3
            cells.append(f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}" if values else "–")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def wins(runs: list[dict[str, dict[str, float]]], ours: str, other: str) -> str:
    """Count the seeds in which one method is better, metric by metric."""
    parts = []
    for name in next(iter(runs[0].values())):
        sign = -1 if "rank" in name else 1
        defined = [run for run in runs if run[ours][name] is not None]
        better = sum(sign * (run[ours][name] - run[other][name]) > 0 for run in defined)
        parts.append(f"{name} {better}/{len(defined)}")
    return f"{ours} better than {other} in seeds: " + ", ".join(parts)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    loaded = [load(folder) for folder in parser.parse_args().folders if (folder / "metrics.json").is_file()]
    if not loaded:
        print("No finished evaluation among these folders.", file=sys.stderr)
        return 2
    if len({settings for _, settings, _ in loaded}) > 1:
        print("These evaluations differ in more than the seed; give the folders of one request.", file=sys.stderr)
        return 2
    runs = [metrics for _, _, metrics in sorted(loaded, key=lambda item: item[0])]
    print(f"seeds: {', '.join(str(seed) for seed, _, _ in sorted(loaded, key=lambda item: item[0]))}\n")
    print(table(runs))
    first, *others = runs[0]
    print()
    for other in others:
        print(wins(runs, first, other))
    return 0


if __name__ == "__main__":
    sys.exit(main())
