"""Train and evaluate the VS-VAE with several seeds on one market and print what Tian et al. (2022) judge it by.

    python scripts/vsvae_tables.py small                  # simulated posts
    python scripts/vsvae_tables.py tiktok_creators_2020   # real hashtags and lengths of videos
    python scripts/vsvae_tables.py tiktok_trending_2020   # real captions
    python scripts/vsvae_tables.py tiktok_growth_vietnam_2025  # real captions, and how impressions grew
    python scripts/vsvae_tables.py tides                  # real sounds, faces and captions of accounts

A seed is a split of the posts, the weights and the order; the market is the same. Each seed runs as train.py and
evaluate.py do, in a folder that is removed afterwards; what evaluate.py finds is a line of <experiment>.jsonl in
--results. Seeds that are there, with the same --set, are not run again, so a stopped run goes on.
"""

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from micromega.config import schema, signature
from micromega.config.validate import validate
from micromega.models.vsvae.result import ACTIVE
from micromega.runs import evaluate, record, train

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = ("small", "tiktok_creators_2020", "tiktok_trending_2020", "tiktok_growth_vietnam_2025", "tides")
TASKS = {"train": train.run, "evaluate": evaluate.run}
Evaluation = Mapping[str, Any]
"""What evaluate.py writes to evaluation.json."""


def composed(task: str, overrides: Sequence[str], runs: Path) -> tuple[DictConfig, Path]:
    """Compose a request as Hydra does, and name its run folder."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(task, [*overrides, f"paths.runs={runs}"], return_hydra_config=True)
    with read_write(config), open_dict(config):
        hydra = config.copy()
        del config["hydra"]
        folder = runs / task / signature.run_name(config, task)
        hydra.hydra.runtime.output_dir = str(folder)
    HydraConfig.instance().set_config(hydra)
    return config, folder


def run(overrides: Sequence[str]) -> tuple[Evaluation, dict[str, float]]:
    """Train and evaluate once.

    Args:
        overrides: of the configuration.

    Returns:
        The evaluation, and the CPU seconds of each command.
    """
    seconds = {}
    with tempfile.TemporaryDirectory(prefix="vsvae-tables-") as runs:
        for task, command in TASKS.items():
            begun = time.process_time()
            config, folder = composed(task, overrides, Path(runs))
            folder.mkdir(parents=True)
            command(validate(config), config, folder)
            seconds[task] = time.process_time() - begun
        return json.loads((folder / record.EVALUATION).read_text(encoding="utf-8")), seconds


def spread(values: Iterable[float | None], digits: int = 3) -> str:
    """Mean ± standard deviation over seeds of the values that there are; a dash without any."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return "–"
    deviation = f" ± {np.std(known, ddof=1):.{digits}f}" if len(known) > 1 else ""
    return f"{np.mean(known):.{digits}f}{deviation}"


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def grouped(evaluations: Sequence[Evaluation], part: str, *keys: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """Rows of a list in each evaluation, those of all seeds together, by their keys."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for evaluation in evaluations:
        held = evaluation.get(part) or ()
        for row in held["rows"] if isinstance(held, Mapping) else held:
            found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def restored(evaluations: Sequence[Evaluation]) -> str:
    """Table 2: words restored at their places, squared errors, and R² of numbers in training posts' deviations."""
    rows = []
    for (part, measure), of in grouped(evaluations, "reconstruction", "part", "measure").items():
        digits = 3 if measure == "accuracy" else _digits(row["no_information"] for row in of)
        name = f"{part}, share of words" if measure == "accuracy" else f"{part}, MSE"
        rows.append([name, *(spread((row[key] for row in of), digits) for key in ("model", "pca", "no_information"))])
        if measure == "mse":
            explained = [spread(row[key] for row in of) for key in ("explained", "explained_by_pca")]
            rows.append([f"{part}, R²", *explained, "0"])
    return markdown(["restored", "VS-VAE", "PCA", "no information"], rows)


def _digits(values: Iterable[float]) -> int:
    """Decimals that show three digits of a typical value."""
    typical = float(np.mean(list(values)))
    return max(0, 2 - math.floor(math.log10(typical))) if typical > 0 else 3


def neighbours(evaluations: Sequence[Evaluation]) -> str:
    """Figure 5 in one number: share of the nearest posts that have the hashtag."""
    found = [evaluation["neighbourhood"] for evaluation in evaluations if evaluation["neighbourhood"]]
    keys = {"r": "same_hashtag", "PCA": "by_pca", "by chance": "same_hashtag_by_chance"}
    return _if(found, lambda: markdown(["nearest posts of the same hashtag", *keys], [
        [f"of {found[0]['k']}", *(spread(of[key] for of in found) for key in keys.values())]
    ]))  # fmt: skip


def popularity(evaluations: Sequence[Evaluation]) -> str:
    """The popularity test: signs and values of what initial conditions leave unexplained."""
    rows = [
        [*names, *(spread(row[key] for row in of) for key in ("accuracy", "majority", "r_squared"))]
        for names, of in grouped(evaluations, "popularity", "target", "representation").items()
    ]
    return _if(rows, lambda: markdown(["residual of", "read from", "signs right", "majority", "R² of values"], rows))


def probes(evaluations: Sequence[Evaluation]) -> str:
    """R² of the simulator's truth, read from r and from principal components by a straight line."""
    rows = [
        [target, *(spread(row["scores"][name] for row in of) for name in ("r", "PCA"))]
        for (target,), of in grouped(evaluations, "probes", "target").items()
    ]
    return _if(rows, lambda: markdown(["truth, R²", "r", "PCA"], rows))


def bounds(evaluations: Sequence[Evaluation], seconds: Sequence[Mapping[str, float]]) -> str:
    """The bound with what it is made of, use of r, and what it took."""
    held = [evaluation["bounds"] for evaluation in evaluations]
    used = [sum(v > ACTIVE for v in evaluation["latent"]["variance_of_mean"]) for evaluation in evaluations]
    rows = [
        *([f"log likelihood of {part}", spread((of["log_likelihood"][part] for of in held), 2)]
          for part in held[0]["log_likelihood"]),
        ["minus the divergence", spread((-of["divergence"] for of in held), 2)],
        ["evidence lower bound", spread((of["elbo"] for of in held), 2)],
        ["importance-weighted bound", spread((of["importance_weighted"] for of in held), 2)],
        [f"active numbers of r, of {evaluations[0]['facts']['latent_size']}", spread(used, 1)],
        *([f"CPU seconds, {task}", spread((of[task] for of in seconds), 0)] for task in TASKS),
    ]  # fmt: skip
    return markdown(["nats per held-out post", ""], rows)


def _if(rows: Sequence[Any], table: Callable[[], str]) -> str:
    return table() if rows else ""


def printed(lines: Sequence[Mapping[str, Any]]) -> str:
    """All tables, and what could not be computed."""
    found = [line["evaluation"] for line in lines]
    posts, parts = found[0]["facts"]["posts"], found[0]["facts"]["parts"]
    counted = ", ".join(f"{count:,} {name}" for name, count in posts.items())
    head = f"{len(lines)} seeds; {counted}; {', '.join(f'{part} {size:,}' for part, size in parts.items())}."
    tables = [restored(found), neighbours(found), popularity(found), probes(found)]
    tables.append(bounds(found, [line["cpu_s"] for line in lines]))
    absent = dict.fromkeys(sentence for evaluation in found for sentence in evaluation["absent"])
    return "\n\n".join([head, *filter(None, tables), "\n".join(f"- {sentence}" for sentence in absent)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="other settings, as for train.py")
    parser.add_argument(
        "--public-data", type=Path, default=Path(os.environ.get("MICROMEGA_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--cache", type=Path, default=ROOT / "runs/markets")
    parser.add_argument("--results", type=Path, default=ROOT / "runs/vsvae_tables")
    args = parser.parse_args(arguments)
    schema.register()
    signature.register_resolvers()
    args.results.mkdir(parents=True, exist_ok=True)
    file = args.results / f"{args.experiment}.jsonl"
    done = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    lines = {line["seed"]: line for line in done if line["set"] == args.set}
    places = [f"paths.public_data={args.public_data.resolve()}", f"paths.markets={args.cache.resolve()}"]
    for seed in args.seeds:
        if seed in lines:
            continue
        evaluation, seconds = run([f"experiment=vsvae/{args.experiment}", f"seed={seed}", *places, *args.set])
        lines[seed] = {"seed": seed, "set": args.set, "cpu_s": seconds, "evaluation": evaluation}
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(lines[seed]) + "\n")
        shown = ", ".join(f"{name} {value:.4g}" for name, value in evaluation["metrics"]["VSVAE"].items())
        print(f"{args.experiment} seed {seed}: {shown} ({sum(seconds.values()):.0f} CPU s)", flush=True)
    print("\n" + printed([lines[seed] for seed in args.seeds]))


if __name__ == "__main__":
    main()
