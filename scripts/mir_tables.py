"""Train every ranker on one market with several seeds and print the paper's tables (Gan et al. 2019, Tables 1 and 2).

    python scripts/mir_tables.py simulated              # market=mir_paper
    python scripts/mir_tables.py paper_accounts         # the paper's own accounts and split; no pictures, no posts
    python scripts/mir_tables.py instagram_2017         # real posts, split by brand
    python scripts/mir_tables.py instagram_indonesia

A seed is a split of the brands (the published one for paper_accounts, where it draws the validation brands) and the
weights. Validation brands choose the epoch, or calibrate alone. K is compared at equal numbers of lists: 100 a brand
and epoch. Results are kept by brand in --results; what is there is not trained again, so a stopped run goes on.
"""

import argparse
import json
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint

from micromega.config import schema, signature
from micromega.config.validate import validate
from micromega.market.market import Market
from micromega.market.open import open_market
from micromega.models.lambdamart.module import LambdaMARTModule
from micromega.models.mir.baselines import popularity_scores, random_scores, similarity_scores
from micromega.models.mir.blend import Blend
from micromega.models.mir.data import MIRData
from micromega.models.mir.features import numbers
from micromega.models.mir.intervals import paired_test
from micromega.models.mir.metrics import metrics_by_brand
from micromega.models.mir.module import MIRModule
from micromega.models.mir.ranker import Scorer

ROOT = Path(__file__).resolve().parents[1]
HEADS = {"auc": "AUC", "cauc": "cAUC", "recall_at_10": "Rec@10", "recall_at_50": "Rec@50", "first_rank": "MedR"}
LISTS = "data.lists_per_brand=100"
ADAM = [
    "model.optimiser=adam",
    "model.reduction=mean",
    "model.l1=0",
    "model.learning_rate=0.001",
    "data.batch_size=1024",
]
PAPER = ["experiment=mir/paper", *ADAM, LISTS, "trainer.max_epochs=10"]
"""The paper's network, labels and lists with Adam: its own optimiser stays at chance (docs/results_mir.md)."""
MARKETS: Mapping[str, Mapping[str, list[str]]] = {
    "simulated": {
        "MIR(2)": [*PAPER, "data.list_length=2"],
        "MIR(3) = MIR-wap": PAPER,
        "MIR(4)": [*PAPER, "data.list_length=4"],
        "MIR v-only": [*PAPER, "model.modalities=[visual]"],
        "MIR t-only": [*PAPER, "model.modalities=[text]"],
        "MIR-concat": [*PAPER, "model.fusion=concatenation"],
        "MIR-ap": [*PAPER, "data.pooling=average"],
        "MIR(3) without LRN": [*PAPER, "data.local_response_normalisation=false"],
        "LambdaMART": ["experiment=mir/best_lambdamart"],
        "mir/best": ["experiment=mir/best"],
        "mir/best, no competition": ["experiment=mir/best", "model.competition=false"],
    },
    "paper_accounts": {
        **{f"MIR({k})": ["experiment=mir/paper_accounts_mir", LISTS, f"data.list_length={k}"] for k in (2, 3, 4)},
        "MIR(3) t-only": ["experiment=mir/paper_accounts_mir", LISTS, "model.modalities=[topics]"],
        "LambdaMART": ["experiment=mir/paper_accounts_lambdamart"],
        "mir/paper_accounts": ["experiment=mir/paper_accounts"],
        "the same without competition": ["experiment=mir/paper_accounts", "model.competition=false"],
        "mir/paper_accounts + LambdaMART": ["experiment=mir/paper_accounts"],
    },
    **{
        market: {
            **{f"MIR({k})": [f"experiment=mir/{market}", LISTS, f"data.list_length={k}"] for k in (2, 3, 4)},
            "LambdaMART": [f"experiment=mir/{market}", "model=lambdamart"],
            "mir best": [f"experiment=mir/{market}_best"],
        }
        for market in ("instagram_2017", "instagram_indonesia")
    },
}

MIXED = {"mir/paper_accounts + LambdaMART": "LambdaMART"}
"""Method that evaluates a mixture -> the other ranker in it."""
OURS = {"simulated": "mir/best", "paper_accounts": "mir/paper_accounts + LambdaMART"} | dict.fromkeys(
    ("instagram_2017", "instagram_indonesia"), "mir best"
)


def requested(overrides: list[str], seed: int, public_data: Path, cache: Path) -> Any:
    """Compose and validate a request as train.py does."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        places = [f"paths.public_data={public_data}", f"paths.markets={cache}"]
        return validate(compose("train", [*overrides, f"seed={seed}", *places]))


def prepared(request: Any, markets: dict[str, Market], known: dict[str, MIRData]) -> MIRData:
    """The datamodule of a request; views and pooled features are stored with the market."""
    name = repr(request.market)
    if name not in markets:
        markets[name] = open_market(request.market, Path(request.paths.markets))
    key = name + repr(request.data)
    if key not in known:
        known.clear()  # one at a time in memory
        known[key] = MIRData(request.data, markets[name])
        known[key].setup("fit")
    return known[key]


def trained(request: Any, data: MIRData, seed: int) -> LambdaMARTModule | MIRModule:
    """Train, and keep the epoch that is best on the validation brands."""
    pl.seed_everything(seed, verbose=False)
    kind = LambdaMARTModule if "lambdamart" in type(request.model).__module__ else MIRModule
    module = kind(request.model, data.spec)
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor=request.callbacks["best"]["monitor"], mode="max", save_weights_only=True)
        trainer = pl.Trainer(
            max_epochs=request.trainer["max_epochs"],
            accelerator="cpu",
            deterministic=True,
            logger=False,
            callbacks=[best],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, datamodule=data)
        return kind.restore(torch.load(best.best_model_path, weights_only=True))


def scored(ranker: Scorer, data: MIRData) -> NDArray[np.float64]:
    """Scores of the test brands."""
    ranker.attach(data, held_out=True)
    ranker.eval()
    with torch.no_grad():
        return np.asarray(ranker.score(torch.from_numpy(data.splits["test"])).double().numpy())


def by_brand(scores: NDArray[Any], data: MIRData) -> dict[str, list[float]]:
    """Metrics of each test brand; candidates are the creators who work with one of them."""
    accounts, test = data.accounts, data.splits["test"]
    assert accounts is not None
    rivals = accounts.candidates(test, data.config.candidates)
    labels, same = accounts.labels()[test][:, rivals], accounts.same_category()[test][:, rivals]
    found = metrics_by_brand(scores[:, rivals], labels, same, (10, 50))
    return {"brand": accounts.brand_ids[test].tolist(), **{name: values.tolist() for name, values in found.items()}}


def oracle(data: MIRData) -> NDArray[np.float64] | None:
    """True affinity of the test brands on a simulated market: the log odds that partners are drawn from."""
    accounts = data.accounts
    assert accounts is not None
    if not data.market.name.startswith("simulated"):
        return None
    truth = data.market.truth("affinity")
    brands, brand = np.unique(truth["brand_id"].to_numpy(), return_inverse=True)
    creators, creator = np.unique(truth["creator_id"].to_numpy(), return_inverse=True)
    matrix = np.empty((len(brands), len(creators)))
    matrix[brand, creator] = truth["affinity"].to_numpy()
    rows = np.searchsorted(brands, accounts.brand_ids[data.splits["test"]].astype(object))
    return matrix[rows][:, np.searchsorted(creators, accounts.creator_ids.astype(object))]


def judged(data: MIRData) -> NDArray[np.float32]:
    """(V, d) standardised modalities of the values that test brands are scored with, side by side."""
    mean, deviation = data.spec.mean, data.spec.deviation
    parts = [(values - mean[name]) / deviation[name] for name, values in data.held_out_features.items()]
    return np.asarray(torch.cat(parts, dim=1).numpy())


def untrained(data: MIRData, seed: int) -> dict[str, NDArray[Any]]:
    """Baselines, and the oracle where there is one."""
    accounts, test = data.accounts, data.splits["test"]
    assert accounts is not None
    table, truth = data.market.table("accounts"), oracle(data)
    place = dict(zip(table["account_id"].to_pylist(), numbers(table["followers"]).tolist(), strict=True))
    followers = np.array([place[creator] for creator in accounts.creator_ids.tolist()])
    found = {
        "RAND": random_scores(len(test), len(accounts.creator_ids), seed),
        "SBR": similarity_scores(accounts, judged(data), test),
    }
    found |= {} if np.isnan(followers).all() else {"POP": popularity_scores(followers, len(test))}
    return found | ({} if truth is None else {"true affinity": truth})


def table(rows: Mapping[tuple[str, int], Mapping[str, list[float]]]) -> str:
    """Mean ± standard deviation over seeds of the metrics over brands, as Markdown."""
    methods, lines = list(dict.fromkeys(method for method, _ in rows)), []
    heads = [name for name in HEADS if any(np.isfinite(np.array(row[name], float)).any() for row in rows.values())]
    lines += ["| method | " + " | ".join(HEADS[name] for name in heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for method in methods:
        cells = []
        for name in heads:
            over = np.nanmedian if name == "first_rank" else np.nanmean
            values = [over(np.array(row[name], float)) for (other, _), row in rows.items() if other == method]
            digits = 1 if name == "first_rank" else 3
            cells.append(
                f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.{digits}f}"
            )
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tests(rows: Mapping[tuple[str, int], Mapping[str, list[float]]], ours: str) -> str:
    """Permutation tests of one method against the others over brands; a brand counts once, by its mean over seeds."""
    lines = ["| against | Rec@10 difference | 95 % | p | brands |", "|---|---|---|---|---|"]
    for method in dict.fromkeys(method for method, _ in rows):
        if method == ours:
            continue
        differences: dict[str, list[float]] = {}
        for (other, seed), row in rows.items():
            if other == method and (ours, seed) in rows:
                mine = dict(zip(rows[ours, seed]["brand"], rows[ours, seed]["recall_at_10"], strict=True))
                for brand, value in zip(row["brand"], row["recall_at_10"], strict=True):
                    differences.setdefault(str(brand), []).append(mine[brand] - value)
        means = np.array([np.mean(values) for values in differences.values()])
        found = paired_test(means, np.zeros_like(means))
        interval = f"{found.low:+.3f} to {found.high:+.3f}"
        lines.append(f"| {method} | {found.difference:+.3f} | {interval} | {found.p_value:.4f} | {found.brands} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("market", choices=MARKETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--methods", nargs="+", help="only these")
    parser.add_argument(
        "--public-data", type=Path, default=Path(os.environ.get("MICROMEGA_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--cache", type=Path, default=ROOT / "runs/markets")
    parser.add_argument("--results", type=Path, default=ROOT / "runs/mir_tables")
    args = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    schema.register()
    signature.register_resolvers()
    args.results.mkdir(parents=True, exist_ok=True)
    file = args.results / f"{args.market}.jsonl"
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    rows = {(entry["method"], entry["seed"]): entry["metrics"] for entry in done}

    def keep(method: str, seed: int, metrics: dict[str, list[float]], seconds: float) -> None:
        rows[method, seed] = metrics
        with file.open("a") as lines:
            lines.write(
                json.dumps({"method": method, "seed": seed, "cpu_s": round(seconds), "metrics": metrics}) + "\n"
            )
        shown = ", ".join(f"{name} {np.nanmean(metrics[name]):.3f}" for name in ("auc", "recall_at_10", "recall_at_50"))
        print(f"{args.market} seed {seed} {method}: {shown} ({seconds:.0f} CPU s)", flush=True)

    markets: dict[str, Market] = {}
    chosen = {name: over for name, over in MARKETS[args.market].items() if not args.methods or name in args.methods}
    first = next(iter(MARKETS[args.market].values()))  # baselines see the features of the paper's ranker
    for seed in args.seeds:
        known: dict[str, MIRData] = {}
        if ("RAND", seed) not in rows:
            data = prepared(requested(first, seed, args.public_data, args.cache), markets, known)
            for name, scores in untrained(data, seed).items():
                keep(name, seed, by_brand(scores, data), 0)
        for method, overrides in chosen.items():
            if (method, seed) not in rows:
                begun = time.process_time()
                request = requested(overrides, seed, args.public_data, args.cache)
                data = prepared(request, markets, known)
                ranker: Scorer = trained(request, data, seed)
                if method in MIXED:
                    other = requested(MARKETS[args.market][MIXED[method]], seed, args.public_data, args.cache)
                    own = prepared(other, markets, {})
                    ranker = Blend(ranker, [(trained(other, own, seed), own)], request.evaluation.blend_weight)
                keep(method, seed, by_brand(scored(ranker, data), data), time.process_time() - begun)
    print("\n" + table(rows) + "\n\n" + tests(rows, OURS[args.market]))


if __name__ == "__main__":
    main()
