"""Tables of docs/diffusion.md: five models of who activates whom, on simulated markets with known probabilities.

    python scripts/diffusion_tables.py --seeds 0 1 2 3 4 --cache /tmp/cache
    python scripts/diffusion_tables.py --quick
    python scripts/diffusion_tables.py --throughput

Each seed is a market of its own, and the seed of the models. Designs: `default` takes the exposures of the market;
`few` and `many` draw others over the same edges (cascades from as many posts as it takes); `cold` takes all exposures
of a fifth of the edges away, so that there are edges to judge that nobody has seen; `shared` says of each exposure
whether the target passed the post on, whoever did it (the literal reading of the schema), and `misread` takes those for
the exposures' own outcomes.
"""

import argparse
import dataclasses
import json
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytorch_lightning as pl

from micromega.market import simulate
from micromega.market.market import Market
from micromega.market.simulated import cascade
from micromega.models.diffusion.config import DiffusionDataConfig, DiffusionModelConfig, NetworkConfig
from micromega.models.diffusion.data import DiffusionData
from micromega.models.diffusion.evaluate import fit
from micromega.models.diffusion.graph import read_graph
from micromega.models.diffusion.judge import against, known_probabilities, log_loss, outcomes, score

KINDS = ("empirical_bayes", "network", "em_smoothed", "em", "rate")
DESIGNS = ("default", "few", "many", "cold", "shared", "misread")
TIMES = {"few": 0.25, "many": 8.0}
COLD = 0.2
"""Share of edges without exposures in the design `cold`."""
HELD_OUT = {"log_loss": "log loss", "auc": "AUC", "brier": "Brier score", "calibration_error": "calibration error"}
TRUTH = {
    "rmse": "RMSE",
    "mae": "mean error",
    "correlation": "correlation",
    "rank_correlation": "rank correlation",
    "seen_rmse": "RMSE, seen edges",
    "unseen_rmse": "RMSE, unseen edges",
}
DESIGN = {
    "log_loss": "log loss",
    "rmse": "RMSE",
    "correlation": "correlation",
    "unseen_rmse": "RMSE, unseen edges",
    "unseen_correlation": "correlation, unseen edges",
}
"""Metric -> column of the tables: predictions, against known probabilities, other designs."""


def designed(market: Market, design: str, seed: int) -> Market:
    """Replace the exposures of a market."""
    table = market.table("exposures")
    if design in TIMES:
        table = drawn(market, TIMES[design], seed)
    elif design == "cold":
        graph = read_graph(market)
        cold = np.random.default_rng(seed).random(len(graph.source)) < COLD
        edge = graph.edge_of(graph.places(table["source_id"]), graph.places(table["target_id"]))
        table = table.filter(pa.array(~cold[edge]))
    elif design in ("shared", "misread"):
        post = np.asarray(table["post_id"].combine_chunks().dictionary_encode().indices).astype(np.int64)
        _, group = np.unique(post * 10**9 + read_graph(market).places(table["target_id"]), return_inverse=True)
        activated = table["activated"].to_numpy(zero_copy_only=False).astype(bool)
        outcome = (np.bincount(group, activated) > 0)[group]
        table = table.set_column(table.schema.get_field_index("activated"), "activated", pa.array(outcome))
    return dataclasses.replace(market, tables={**market.tables, "exposures": table})


def drawn(market: Market, times: float, seed: int) -> pa.Table:
    """Draw other exposures over the market's edges: so many times as many, posts taken over and over."""
    rng = np.random.default_rng(seed)
    truth, posts = market.truth("activation"), market.table("posts")
    ids = np.unique(truth["source_id"].to_pylist() + truth["target_id"].to_pylist())
    source, target = (np.searchsorted(ids, truth[f"{end}_id"].to_pylist()) for end in ("source", "target"))
    order = np.lexsort((target, source))
    probability = truth["probability"].to_numpy()[order]
    graph = cascade.Graph(nodes=len(ids), source=source[order], target=target[order], probability=probability)
    author = np.searchsorted(ids, posts["account_id"].to_pylist())
    own = np.flatnonzero(ids[np.minimum(author, len(ids) - 1)] == posts["account_id"].to_pylist())
    wanted, parts, begin = round(times * market.table("exposures").num_rows), [], 0
    while wanted > 0:
        chosen = rng.permutation(own)[: max(50, wanted // 20)]
        found = cascade.draw_attempts(rng, graph, author[chosen])
        posted = posts["posted_at"].take(pa.array(chosen)).cast(pa.int64()).to_numpy()
        at = posted[found.cascade] + (found.step * 6 * 3.6e9).astype(np.int64)
        parts.append(
            pa.table(
                {
                    "post_id": pa.array(np.char.mod("d%d", found.cascade + begin)),
                    "source_id": pa.array(ids[graph.source[found.edge]]),
                    "target_id": pa.array(ids[graph.target[found.edge]]),
                    "activated": pa.array(found.activated),
                    "at": pa.array(at).cast(pa.timestamp("us", tz="UTC")),
                }
            )
        )
        begin, wanted = begin + len(chosen), wanted - len(found.edge)
    return pa.concat_tables(parts)


def run(seed: int, creators: int, design: str, epochs: int) -> dict[str, dict[str, float]]:
    """Fit and judge all models on one market: title -> metric -> value."""
    market = designed(
        simulate(seed=seed, brands=12, creators=creators, posts=20, view_days=0, products=0), design, seed
    )
    outcome = {"shared": "shared", "misread": "own"}.get(design, "auto")
    data = DiffusionData(DiffusionDataConfig(seed=seed, outcome=outcome), market)
    data.setup("fit")
    judged, known = outcomes(data.exposures, "test"), known_probabilities(market, data.graph)
    assert known is not None
    seen, found = data.evidence["train"].trials > 0, {}
    for kind in KINDS:
        pl.seed_everything(seed, verbose=False)
        began = time.process_time()
        model = fit(DiffusionModelConfig(network=NetworkConfig(epochs=epochs)), kind, data, seed)
        values = {"seconds": time.process_time() - began}
        probability, deviation = model.probabilities(data, data.evidence["train"])
        values |= score(judged, probability, known, bins=10)
        values["inside"] = float(np.mean(np.abs(probability - known) <= 1.645 * deviation))
        values["seen_rmse"] = against(probability[seen], known[seen])["rmse"]
        if (~seen).any():
            unseen = against(probability[~seen], known[~seen])
            values |= {"unseen_rmse": unseen["rmse"], "unseen_correlation": unseen["correlation"]}
        values |= {"weight": model.weight, "unseen": float((~seen).sum()), "exposures": len(data.exposures.edge)}
        values["floor"] = float(log_loss(judged.chance(known), judged.label).mean())
        values["floor calibration error"] = score(judged, known, None, bins=10)["calibration_error"]
        found[model.title] = values
        print(f"seed {seed} {design} {model.title}: {values['seconds']:.1f} CPU s", flush=True)
    return found


def table(runs: Sequence[Mapping[str, Mapping[str, float]]], columns: Mapping[str, str]) -> str:
    """Markdown: mean and range over seeds."""
    shown = [name for name in columns if any(name in one[title] for one in runs for title in one)]
    lines = ["| model | " + " | ".join(columns[name] for name in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for title in runs[0]:
        cells = []
        for name in shown:
            values = np.array([one[title].get(name, np.nan) for one in runs])
            values = values[np.isfinite(values)]
            digits = 2 if "correlation" in name else 3 if name == "auc" else 4
            spread = f" ({values.min():.{digits}f} to {values.max():.{digits}f})" if len(values) > 1 else ""
            cells.append(f"{values.mean():.{digits}f}{spread}" if len(values) else "–")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def throughput(creators: int, seed: int) -> None:
    """Train the default model once and tell how long each part took."""
    market = simulate(seed=seed, brands=12, creators=creators, posts=20, view_days=0, products=0)
    began = time.process_time()
    data = DiffusionData(DiffusionDataConfig(seed=seed), market)
    data.setup("fit")
    read = time.process_time() - began
    exposures, edges = len(data.exposures.edge), len(data.graph.source)
    pl.seed_everything(seed, verbose=False)
    began = time.process_time()
    model = fit(DiffusionModelConfig(), "empirical_bayes", data, seed)
    train = time.process_time() - began
    began = time.process_time()
    model.probabilities(data, data.evidence["all"])
    score_all = time.process_time() - began
    began = time.process_time()
    fit(DiffusionModelConfig(), "em", data, seed).probabilities(data, data.evidence["all"])
    em = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{exposures:,} exposures over {edges:,} edges of {creators:,} creators, CPU s of one thread: read and "
        f"describe {read:.1f}, train {train:.1f} ({model.epochs} epochs), probabilities {score_all:.1f}, EM alone "
        f"{em:.1f}; peak memory with the simulator's {peak:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--creators", type=int, default=1000)
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--cache", type=Path, help="folder that keeps each seed's numbers")
    parser.add_argument("--quick", action="store_true", help="one small market and short training, for a look")
    parser.add_argument("--throughput", action="store_true", help="time the default model on --creators instead")
    given = parser.parse_args()
    if given.throughput:
        throughput(given.creators, given.seeds[0])
        return
    seeds, creators, epochs = given.seeds, given.creators, NetworkConfig().epochs
    if given.quick:
        seeds, creators, epochs = seeds[:1], 200, 3
    for design in given.designs:
        runs = []
        for seed in seeds:
            kept = given.cache / f"{design}-{creators}-{epochs}-{seed}.json" if given.cache else None
            if kept and kept.is_file():
                runs.append(json.loads(kept.read_text()))
                continue
            runs.append(run(seed, creators, design, epochs))
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(runs[-1], indent=1))
        first = next(iter(runs[0]))
        facts = ("floor", "floor calibration error", "exposures", "unseen", "weight", "inside")
        told = {name: [one[first][name] for one in runs if name in one[first]] for name in facts}
        print(f"\n**{design}** (mean, range over {len(runs)} seeds)")
        for name, values in told.items():  # inside: share of edges whose known probability lies within 1.645 std
            print(f"{name}: {', '.join(f'{value:.4g}' for value in values)}")
        for columns in (HELD_OUT, TRUTH) if design == "default" else (DESIGN,):
            print(f"\n{table(runs, columns)}")


if __name__ == "__main__":
    main()
