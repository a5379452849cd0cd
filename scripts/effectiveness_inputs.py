"""What scores of other models and the graph add to the effectiveness predictor, on simulated markets with known truth.

    python scripts/effectiveness_inputs.py --seeds 0 1 2 --work /tmp/inputs
    python scripts/effectiveness_inputs.py --quick

For each seed one market; on it the ranker and the VS-VAE are trained and write their score tables as their commands do;
the graph is a table of creators' vectors made of who follows them (truncated SVD of the follows, 16 numbers). Then the
hybrid is fitted with none of them and with each. The tables have no dates: ranker and VS-VAE have seen posts that are
later than the day of a plan, so what they add here is the most that they could.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytorch_lightning as pl
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from micromega.market import Market
from micromega.models.effectiveness.config import (
    EffectivenessDataConfig,
    EffectivenessEvaluationConfig,
    EffectivenessModelConfig,
)
from micromega.models.effectiveness.data import EffectivenessData
from micromega.models.effectiveness.evaluate import fit
from micromega.models.effectiveness.judge import score, test_rows
from micromega.scores import Lineage, ScoreKind, embedding_table, write_scores

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"brands": 60, "creators": 2500, "posts": 4, "scale": 0.02, "view_days": 0, "products": 0, "follows": 10}
QUICK = {**SIZES, "brands": 12, "creators": 150}
METRICS: Mapping[str, str] = {
    "log_rmse": "RMSE, log",
    "expectation_error": "RMSE against the known expectation, log",
    "expectation_rank_correlation": "rank correlation with it",
}
VECTORS = 16


def command(script: str, work: Path, *overrides: str) -> None:
    """Run one of the three commands, quietly."""
    paths = [f"paths.runs={work / 'runs'}", f"paths.markets={work / 'markets'}"]
    given = [sys.executable, str(ROOT / script), *overrides, *paths]
    ran = subprocess.run(given, check=False, capture_output=True, text=True, cwd=work)
    if ran.returncode:
        raise SystemExit(f"{script} {' '.join(overrides)} failed:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")


def score_tables(seed: int, sizes: Mapping[str, float], work: Path, epochs: int | None) -> dict[str, Path]:
    """Train ranker and VS-VAE on the market of a seed; their affinity and embedding tables."""
    found = {}
    market = [f"market.{name}={value}" for name, value in sizes.items()] + [f"market.seed={seed}", f"seed={seed}"]
    for experiment, name, more in (
        ("mir/simulated", "affinity", ["evaluation.brands=all", "trainer.max_epochs=3"]),  # it gains nothing after
        ("vsvae/small", "embedding", ["market.audience=micro"]),
    ):
        short = [] if epochs is None else [f"trainer.max_epochs={epochs}"]
        for script in ("train.py", "evaluate.py"):
            command(script, work, f"experiment={experiment}", *market, *more, *short)
        found[name] = max(work.glob(f"runs/evaluate/*/{name}.parquet"), key=lambda path: path.stat().st_mtime)
    return found


def graph_table(market: Market, folder: Path) -> Path:
    """Vectors of creators from who follows them: each follower counts for less, the more accounts they follow."""
    accounts = market.table("accounts")
    ids = accounts.filter(pc.equal(accounts["kind"], "creator"))["account_id"].combine_chunks()
    follows = market.table("follows")
    source = pc.index_in(follows["source_id"], value_set=ids)
    target = pc.index_in(follows["target_id"], value_set=ids)
    both = pc.and_(pc.is_valid(source), pc.is_valid(target))
    rows, columns = (np.asarray(of.filter(both).to_numpy(), np.int64) for of in (source, target))
    weight = 1 / np.sqrt(np.bincount(columns, minlength=len(ids))[columns])
    held = csr_array((weight, (rows, columns)), shape=(len(ids), len(ids)))
    count = min(VECTORS, len(ids) - 2)
    left, size, _ = svds(held, k=count, v0=np.ones(len(ids)))
    table = embedding_table(subject_ids=ids.to_pylist(), vectors=(left * size).astype(np.float32))
    path = folder / "graph.parquet"
    lineage = Lineage(
        score_kind=ScoreKind.VECTOR,
        model="svd of follows",
        market_fingerprint=market.fingerprint,
        config_signature="effectiveness_inputs",
    )
    write_scores(table, path, name="embedding", lineage=lineage)
    return path


def measure(seed: int, sizes: Mapping[str, float], work: Path, epochs: int | None) -> dict[str, dict[str, float]]:
    """Scores of the hybrid on the test window of one market, by what it is given."""
    tables = score_tables(seed, sizes, work, epochs)
    market = Market.load(next(path.parent for path in (work / "markets").glob("*/campaigns.parquet")))
    graph = graph_table(market, work)
    inputs: dict[str, dict[str, Any]] = {
        "none": {},
        "graph": {"embedding": str(graph)},
        "affinity": {"affinity": str(tables["affinity"])},
        "content vectors": {"embedding": str(tables["embedding"])},
    }
    found = {}
    for name, given in inputs.items():
        data = EffectivenessData(EffectivenessDataConfig(seed=seed, **given), market)
        data.setup("fit")
        pl.seed_everything(seed, verbose=False)
        judged = test_rows(data)
        model = fit(EffectivenessModelConfig(seed=seed), "hybrid", data, seed)
        predicted = model.predict(data.features.take(judged.rows), judged.tier)
        found[name] = score(judged, predicted, model.conformal(), EffectivenessEvaluationConfig().level)
        print(f"seed {seed} {name}: {found[name]['expectation_error']:.4f}", flush=True)
    return found


def table(runs: Sequence[Mapping[str, Mapping[str, float]]]) -> str:
    """Markdown: mean over seeds, and by how much each seed differs from the predictor that is given nothing."""
    lines = ["| given | " + " | ".join(METRICS.values()) + " |", "|---" * (len(METRICS) + 1) + "|"]
    for name in runs[0]:
        cells = []
        for metric in METRICS:
            values = np.array([one[name][metric] for one in runs])
            apart = values - np.array([one["none"][metric] for one in runs])
            more = "" if name == "none" else f" ({', '.join(f'{of:+.3f}' for of in apart)})"
            cells.append(f"{values.mean():.3f}{more}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, help="folder for markets and runs; left where it is given")
    parser.add_argument("--quick", action="store_true", help="one small market and short training, for a look")
    given = parser.parse_args()
    runs = []
    for seed in given.seeds[:1] if given.quick else given.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            work = (given.work or Path(scratch)) / f"seed{seed}"
            work.mkdir(parents=True, exist_ok=True)
            runs.append(measure(seed, QUICK if given.quick else SIZES, work, 1 if given.quick else None))
    print(f"\n{table(runs)}")


if __name__ == "__main__":
    main()
