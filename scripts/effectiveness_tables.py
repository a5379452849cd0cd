"""Tables of docs/effectiveness.md: five models of what a post brings, on simulated markets with known truth.

    python scripts/effectiveness_tables.py --seeds 0 1 2 --cache /tmp/cache
    python scripts/effectiveness_tables.py --quick

Each seed is a market of its own, and the seed of the models. All models learn from the same campaigns, stop on the same
later ones, are calibrated on those after them and judged on the last. Posts for events to come are judged against the
known expectation, which no campaign shows.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl

from micromega.market import simulate
from micromega.models.effectiveness.config import (
    EffectivenessDataConfig,
    EffectivenessEvaluationConfig,
    EffectivenessModelConfig,
    NetworkConfig,
)
from micromega.models.effectiveness.data import EffectivenessData
from micromega.models.effectiveness.evaluate import fit
from micromega.models.effectiveness.judge import coverage_by_tier, inside, score, test_rows
from micromega.models.effectiveness.module import EffectivenessModule
from micromega.models.effectiveness.truth import compare_with_truth
from micromega.models.effectiveness.upcoming import Upcoming, find_upcoming, predict_rows

KINDS = ("hybrid", "mlp", "trees", "additive", "creator_mean")
SAMPLE = 20_000
"""Posts for events to come that are judged."""
TABLES: Mapping[str, Mapping[str, str]] = {
    "On the test window": {
        "log_rmse": "RMSE, log",
        "expectation_error": "RMSE against the known expectation, log",
        "expectation_rank_correlation": "rank correlation with it",
        "total_ratio": "sum of outcomes / sum of means",
        "standardised_error": "RMS of (outcome − mean) / std",
    },
    "Intervals of 90 % on the test window": {
        "coverage": "coverage",
        "coverage nano": "nano",
        "coverage micro": "micro",
        "coverage mid-tier": "mid-tier",
        "half_width": "mean half width, log",
    },
    "Posts for events to come": {
        "to_come_log_error": "RMSE against the known expectation, log",
        "to_come_rank_correlation": "rank correlation",
        "to_come_total_ratio": "sum of expectations / sum of means",
        "seconds": "CPU s to fit",
    },
}


def run(
    seed: int, sizes: Mapping[str, int], outcome: str, kinds: Sequence[str], epochs: int
) -> dict[str, dict[str, float]]:
    """Fit and judge all models on one market: title -> metric -> value."""
    market = simulate(seed=seed, **sizes, view_days=0, products=0, follows=0)
    data = EffectivenessData(EffectivenessDataConfig(seed=seed, outcome=outcome), market)
    data.setup("fit")
    judged, level = test_rows(data), EffectivenessEvaluationConfig().level
    upcoming = find_upcoming(EffectivenessEvaluationConfig(), data)
    found = {}
    for kind in kinds:
        pl.seed_everything(seed, verbose=False)
        began = time.process_time()
        config = EffectivenessModelConfig(seed=seed, network=NetworkConfig(epochs=epochs))
        model = fit(config, kind, data, seed)
        seconds = time.process_time() - began
        predicted = model.predict(data.features.take(judged.rows), judged.tier)
        values = score(judged, predicted, model.conformal(), level)
        tiers = coverage_by_tier(judged, inside(judged, predicted, model.conformal(), level))
        values |= {f"coverage {name}": share for name, share in tiers.items()} | {"seconds": seconds}
        values |= {f"to_come_{name}": value for name, value in to_come(upcoming, model, data, seed).items()}
        found[model.title] = values
        print(f"seed {seed} {outcome} {model.title}: {seconds:.1f} CPU s", flush=True)
    return found


def to_come(upcoming: Upcoming, model: EffectivenessModule, data: EffectivenessData, seed: int) -> dict[str, float]:
    """Judge posts drawn at random from all that can be bought, against the truth."""
    count = min(SAMPLE, upcoming.rows)
    rows = np.sort(np.random.default_rng(seed).choice(upcoming.rows, count, replace=False))
    return compare_with_truth(data.market, [predict_rows(upcoming, model, data, rows)], data.config.outcome)


def table(runs: Sequence[Mapping[str, Mapping[str, float]]], columns: Mapping[str, str]) -> str:
    """Markdown: mean and range over seeds."""
    lines = ["| model | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for title in runs[0]:
        cells = []
        for name in columns:
            values = np.array([one[title][name] for one in runs if name in one[title]])
            spread = f" ({values.min():.3g} to {values.max():.3g})" if len(values) > 1 else ""
            cells.append(f"{values.mean():.3f}{spread}" if len(values) else "–")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--brands", type=int, default=60)
    parser.add_argument("--creators", type=int, default=2500)
    parser.add_argument("--outcome", choices=("impressions", "engagement", "revenue"), default="impressions")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--cache", type=Path, help="folder that keeps each seed's numbers")
    parser.add_argument("--quick", action="store_true", help="one small market and short training, for a look")
    given = parser.parse_args()
    seeds, sizes = given.seeds, {"brands": given.brands, "creators": given.creators, "posts": 4}
    if given.quick:
        seeds, sizes = seeds[:1], {"brands": 12, "creators": 150, "posts": 4}
    runs = []
    for seed in seeds:
        kept = (
            given.cache / f"{given.outcome}-{'-'.join(map(str, sizes.values()))}-{'-'.join(given.kinds)}-{seed}.json"
            if given.cache
            else None
        )
        if kept and kept.is_file():
            runs.append(json.loads(kept.read_text()))
            continue
        runs.append(run(seed, sizes, given.outcome, given.kinds, 2 if given.quick else NetworkConfig().epochs))
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(runs[-1], indent=1))
    floor = [one[next(iter(one))]["noise_floor"] for one in runs]
    print(
        f"\nnoise floor, RMSE in logs of whoever knows the expectation: {', '.join(f'{value:.3f}' for value in floor)}"
    )
    for title, columns in TABLES.items():
        print(f"\n**{title}** (mean, range over {len(runs)} seeds)\n\n{table(runs, columns)}")


if __name__ == "__main__":
    main()
