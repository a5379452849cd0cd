"""Print how rankers, modalities and pooling compare on simulated markets (Gan et al. 2019, section 5, Tables 1 and 2).

    python scripts/mir_orderings.py                                     # the paper's sizes, three markets
    python scripts/mir_orderings.py --brands 60 --creators 600 --posts 20 --seeds 0 1

Each seed is a market of its own, with its own split of the brands and its own weights; all methods of a seed see the
same market and split. 15 % of the training brands choose the epoch (the paper has no validation brands); the share of
test brands is the paper's, 74 of 360. Everything else is the ranker's defaults, the same for all.
"""

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint

from micromega.market.config import Simulated
from micromega.market.market import Market
from micromega.market.open import open_market
from micromega.models.mir.baselines import random_scores, similarity_scores
from micromega.models.mir.config import MIRDataConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.module import MIRModule, ranking_metrics

Metrics = dict[str, float]
HEADS = {"auc": "AUC", "cauc": "cAUC", "recall_at_10": "Rec@10", "recall_at_50": "Rec@50", "median_first_rank": "MedR"}
TEST_SHARE = 74 / 360
VALIDATION_SHARE = 0.15 * (1 - TEST_SHARE)
BOTH = ("text", "visual")


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of the table."""

    name: str
    modalities: tuple[str, ...]
    pooling: str
    learns: bool


METHODS = (
    Method(name="SBR, text", modalities=("text",), pooling="average", learns=False),
    Method(name="SBR, visual", modalities=("visual",), pooling="average", learns=False),
    Method(name="SBR, both, average", modalities=BOTH, pooling="average", learns=False),
    Method(name="SBR, both, weighted", modalities=BOTH, pooling="weighted", learns=False),
    Method(name="MIR, text, average", modalities=("text",), pooling="average", learns=True),
    Method(name="MIR, visual, average", modalities=("visual",), pooling="average", learns=True),
    Method(name="MIR, visual, weighted", modalities=("visual",), pooling="weighted", learns=True),
    Method(name="MIR, both, average", modalities=BOTH, pooling="average", learns=True),
    Method(name="MIR, both, weighted", modalities=BOTH, pooling="weighted", learns=True),
)
CLAIMS = (
    ("RAND < SBR", "SBR, both, weighted", "RAND"),
    ("SBR < MIR", "MIR, both, weighted", "SBR, both, weighted"),
    ("text < visual (MIR)", "MIR, visual, average", "MIR, text, average"),
    ("text < visual (SBR)", "SBR, visual", "SBR, text"),
    ("visual < both", "MIR, both, weighted", "MIR, visual, weighted"),
    ("average < weighted (MIR, both)", "MIR, both, weighted", "MIR, both, average"),
    ("average < weighted (MIR, visual)", "MIR, visual, weighted", "MIR, visual, average"),
    ("average < weighted (SBR, both)", "SBR, both, weighted", "SBR, both, average"),
)
"""What the paper says, as (claim, row that should be better, row that should be worse)."""


def measured(scores: NDArray[Any], data: MIRData) -> Metrics:
    """Metrics on the test brands, candidates being the creators who work with one of them."""
    accounts, test = data.accounts, data.splits["test"]
    assert accounts is not None
    rivals = accounts.candidates(test, data.config.candidates)
    return ranking_metrics(
        scores[:, rivals], accounts.labels()[test][:, rivals], accounts.same_category()[test][:, rivals], (10, 50)
    )


def trained_scores(data: MIRData, method: Method, args: argparse.Namespace, seed: int) -> NDArray[Any]:
    """Train on the training brands, keep the epoch that does best on the validation brands, score the test brands."""
    pl.seed_everything(seed, verbose=False)
    module = MIRModule(MIRModelConfig(modalities=method.modalities, tied=not args.untied), data.spec)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="val/recall_at_50", mode="max", save_weights_only=True)
        trainer = pl.Trainer(
            max_epochs=args.epochs,
            accelerator="cpu",
            logger=False,
            callbacks=[best],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, datamodule=data)
        weights = torch.load(best.best_model_path, weights_only=True)["state_dict"]
    module.load_state_dict(weights)
    return module.eval().score(torch.from_numpy(data.splits["test"])).double().numpy()


def oracle(market: Market, data: MIRData) -> NDArray[np.float64]:
    """True affinities of the test brands: what nobody can beat, since who works with whom is drawn from them."""
    accounts, truth = data.accounts, market.truth("affinity")
    assert accounts is not None
    brands, brand = np.unique(truth["brand_id"].to_numpy(), return_inverse=True)
    creators, creator = np.unique(truth["creator_id"].to_numpy(), return_inverse=True)
    matrix = np.empty((len(brands), len(creators)))
    matrix[brand, creator] = truth["affinity"].to_numpy()
    rows = np.searchsorted(brands, accounts.brand_ids[data.splits["test"]].astype(object))
    return matrix[rows][:, np.searchsorted(creators, accounts.creator_ids.astype(object))]


def one_market(args: argparse.Namespace, seed: int) -> dict[str, Metrics]:
    """Metrics of every method on one market."""
    config = Simulated(
        seed=seed, brands=args.brands, creators=args.creators, posts=args.posts, scale=args.scale, view_days=0,
        products=0, follows=0,
    )  # fmt: skip
    begun = time.perf_counter()
    market = open_market(config, Path(args.cache))
    print(f"seed {seed}: market in {time.perf_counter() - begun:.0f} s", flush=True)
    found: dict[str, Metrics] = {}
    prepared: dict[tuple[tuple[str, ...], str], MIRData] = {}
    for method in METHODS:
        begun, key = time.perf_counter(), (method.modalities, method.pooling)
        if key not in prepared:
            settings: Mapping[str, Any] = {"modalities": method.modalities, "pooling": method.pooling}
            prepared[key] = MIRData(
                MIRDataConfig(
                    seed=seed, visual=tuple(args.visual), validation_share=VALIDATION_SHARE, test_share=TEST_SHARE,
                    lists_per_brand=args.lists, **settings,
                ),
                market,
            )  # fmt: skip
            prepared[key].setup("fit")
        data = prepared[key]
        test = data.splits["test"]
        assert data.accounts is not None
        if not found:
            rivals = data.accounts.candidates(test, data.config.candidates)
            facts = f"{len(test)} test brands, {rivals.sum()} candidates, {len(data.accounts.pair_brand)} pairs"
            print(f"  {facts}, {len(data.accounts.pair_brand) / len(data.accounts.brand_ids):.1f} a brand", flush=True)
            found["RAND"] = measured(random_scores(len(test), len(data.accounts.creator_ids), seed), data)
            found["true affinity"] = measured(oracle(market, data), data)
        if method.learns:
            scores = trained_scores(data, method, args, seed)
        else:
            scores = similarity_scores(data.accounts, data.standardised(), test)
        found[method.name] = measured(scores, data)
        shown = " ".join(f"{HEADS[name]} {value:.3f}" for name, value in found[method.name].items())
        print(f"  {method.name}: {shown} ({time.perf_counter() - begun:.0f} s)", flush=True)
    return found


def table(runs: list[dict[str, Metrics]]) -> str:
    """Lay out methods by metrics, mean ± standard deviation over markets."""
    lines = ["| method | " + " | ".join(HEADS.values()) + " |", "|---" * (len(HEADS) + 1) + "|"]
    order = ["RAND", *(method.name for method in METHODS), "true affinity"]
    for method in order:
        cells = []
        for metric in HEADS:
            values = [run[method][metric] for run in runs]
            digits = 1 if metric == "median_first_rank" else 3
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            cells.append(f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(runs: list[dict[str, Metrics]]) -> str:
    """Per claim and metric: mean difference in the direction of the claim, and in how many markets it holds."""
    lines = ["| the paper's ordering | " + " | ".join(HEADS.values()) + " |", "|---" * (len(HEADS) + 1) + "|"]
    for claim, better, worse in CLAIMS:
        cells = []
        for metric in HEADS:
            rank = metric == "median_first_rank"
            gains = [(run[better][metric] - run[worse][metric]) * (-1 if rank else 1) for run in runs]
            cells.append(f"{np.mean(gains):+.{1 if rank else 3}f} ({sum(gain > 0 for gain in gains)}/{len(gains)})")
        lines.append(f"| {claim} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brands", type=int, default=360)
    parser.add_argument("--creators", type=int, default=3748)
    parser.add_argument("--posts", type=int, default=50)
    parser.add_argument("--scale", type=float, default=0.02, help="share of the real feature dimensions")
    parser.add_argument("--visual", nargs="+", default=["image_frames"], help="feature arrays of the modality visual")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lists", type=int, help="lists per brand and epoch; without it, what the paper prescribes")
    parser.add_argument("--untied", action="store_true", help="towers of brands and creators are separate")
    parser.add_argument("--cache", default="runs/markets", help="folder where markets are kept")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # Lightning on few workers, few batches, no logger
    runs = [one_market(args, seed) for seed in args.seeds]
    print(
        f"\n{table(runs)}\n\nDifference in favour of the paper's ordering (markets where it holds):\n\n{verdicts(runs)}"
    )


if __name__ == "__main__":
    main()
