"""Time and memory of evaluating a ranker with shortlists on a made-up market of very many creators.

Run `python scripts/bench_serving.py [--creators 1000000] [--brands 400] [--retrieve exact|ann] [--competition]`
(`--help` has more). Accounts are known by one feature array around a centre per 1,000 creators, and brands work with
creators of their own centre. The network is a random projection, as the work does not depend on the weights. What is
measured is the code behind `evaluate.py` from set-up to the written files, without opening a market folder and without
the report. Times are CPU seconds of the process; OMP_NUM_THREADS sets the threads.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from micromega.market.arrays import FeatureArray
from micromega.models.mir.config import MIRDataConfig, MIREvaluationConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.evaluate import evaluate
from micromega.models.mir.module import MIRModule
from micromega.runs.calibration import calibrated
from micromega.runs.ranking import rows_of
from micromega.runs.retrieval import write_retrieval
from micromega.scores import Lineage, ScoreKind, affinity_table, calibrate_affinity, write_scores

PARTNERS, PER_CENTRE, SPREAD = 20, 1_000, 0.7


class Market:
    """What the datamodule asks of a market."""

    path, fingerprint, name, currency, feature_names = "made-up", "0" * 64, "made-up", "USD", ("topics",)

    def __init__(self, brands: int, creators: int, dimension: int) -> None:
        rng, count = np.random.default_rng(0), brands + creators
        ids = pa.array([f"b{n:07}" for n in range(brands)] + [f"c{n:08}" for n in range(creators)])
        side = np.repeat(["brand", "creator"], [brands, creators])
        centres = rng.standard_normal((creators // PER_CENTRE + 1, dimension), dtype=np.float32)
        centre = rng.integers(0, len(centres), count)
        values = rng.standard_normal((count, dimension), dtype=np.float32)
        values *= SPREAD
        for first in range(0, count, 1 << 18):
            values[first : first + (1 << 18)] += centres[centre[first : first + (1 << 18)]]
        order = np.argsort(centre[brands:], kind="stable")
        start = np.searchsorted(centre[brands:][order], np.arange(len(centres) + 1))
        near = [order[start[c] : start[c + 1]] for c in centre[:brands]]
        partners = [rng.choice(some, min(PARTNERS, len(some)), replace=False) for some in near]
        brand_of = np.repeat(np.arange(brands), [len(some) for some in partners])
        self.tables = {
            "accounts": pa.table(
                {
                    "account_id": ids,
                    "kind": side,
                    "category": pa.array([f"k{c % 12}" for c in centre[:brands]] + [None] * creators, pa.string()),
                    "followers": pa.array(np.r_[np.zeros(brands), rng.lognormal(9, 1, creators)].astype(np.int64)),
                }
            ),
            "mentions": pa.table(
                {
                    "brand_id": ids.take(pa.array(brand_of)),
                    "creator_id": ids.take(pa.array(brands + np.concatenate(partners))),
                }
            ),
        }
        self.array = FeatureArray(name="topics", key="account_id", ids=ids, values=values, offsets=None)

    def table(self, name: str, **_: Any) -> pa.Table:
        """One table."""
        return self.tables[name]

    def features(self, _: str) -> FeatureArray:
        """The one array."""
        return self.array


def peak() -> float:
    """Largest resident memory so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Make the market, evaluate, write, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--creators", type=int, default=1_000_000)
    parser.add_argument("--brands", type=int, default=400)
    parser.add_argument("--dimension", type=int, default=64, help="of features and of vectors")
    parser.add_argument("--retrieve", choices=["exact", "ann"], default="ann")
    parser.add_argument("--competition", action="store_true")
    parser.add_argument("--passes", type=int, default=32, help="of dropout")
    wanted = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    torch.manual_seed(0)
    market = Market(wanted.brands, wanted.creators, wanted.dimension)
    print(f"figure: memory of the market alone = {peak():.2f} GiB")
    began = time.process_time()
    data = MIRData(MIRDataConfig(modalities=("topics",)), market)
    data.setup("test")
    network = MIRModelConfig(
        modalities=("topics",), fusion="linear", score="cosine", embedding_size=wanted.dimension, dropout=0.1,
        competition=wanted.competition,
    )  # fmt: skip
    module = MIRModule(network, data.spec)
    module.attach(data)
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    del module
    print(f"figure: set-up = {time.process_time() - began:.1f} CPU-s")
    print(f"figure: peak memory after set-up = {peak():.2f} GiB")
    began = time.process_time()
    result = evaluate(
        MIREvaluationConfig(uncertainty_samples=wanted.passes),
        checkpoint=checkpoint, data=data, seed=0, retrieve=wanted.retrieve,
    )  # fmt: skip
    found = result.exported
    print(f"figure: evaluate = {time.process_time() - began:.1f} CPU-s")
    print(f"figure: peak memory after evaluate = {peak():.2f} GiB")
    print(f"figure: test brands = {len(result.test.brand_ids)}, rivals = {result.by_brand.candidates}")
    print(f"figure: pairs scored for calibration = {result.validation.scores.size:,} and {result.test.scores.size:,}")
    print(f"figure: {found.shortlists.facts}")
    print(f"figure: metrics = {result.metrics['MIR']}")
    began = time.process_time()
    calibration = calibrated("platt", result)
    lineage = Lineage(
        score_kind=ScoreKind.PROBABILITY, model="mir", market_fingerprint=market.fingerprint, config_signature="bench"
    )
    with tempfile.TemporaryDirectory() as folder:
        write_retrieval(Path(folder), found, lineage)
        table = calibrate_affinity(affinity_table(**rows_of(found)), calibration.calibration)
        write_scores(table, Path(folder) / "affinity.parquet", lineage=lineage)
        sizes = {path.name: path.stat().st_size for path in sorted(Path(folder).iterdir())}
    print(f"figure: calibrate and write = {time.process_time() - began:.1f} CPU-s, bytes {sizes}")
    print(f"figure: calibration error = {calibration.after.error:.2e}")
    print(f"figure: peak memory = {peak():.2f} GiB")


if __name__ == "__main__":
    main()
