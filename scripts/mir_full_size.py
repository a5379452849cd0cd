"""Run the ranker at the paper's full size: pictures of 25,088 numbers, towers 25,088 -> 4,096 -> 512, one epoch.

Makes a market of the paper's 360 brands and 3,748 creators with a feature map of 7 x 7 x 512 for every post, pools it
(a block of posts at a time, with local response normalisation), reads what was stored, and trains one epoch with the
paper's batches of 64 lists. Each stage runs in a process of its own, so that the peaks are its own. Memory is that of
the process itself; pages of the mapped file, which the system takes back when it needs them, do not count (on Linux).

    python scripts/mir_full_size.py                         # 5 posts an account: 1.5 GB of disk, 6 GB of memory
    python scripts/mir_full_size.py --posts 50 --pool-only  # the paper's 205,400 posts: 10.3 GB of disk
    python scripts/mir_full_size.py --lists 495             # the paper's whole epoch: hours on a CPU
"""

import argparse
import json
import logging
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch

from micromega.market import Market, simulate
from micromega.market.arrays import FOLDER, ArrayWriter
from micromega.models.mir.config import MIRDataConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.module import MIRModule

NAME, SHAPE = "image_map", (7, 7, 512)
LATENT, BLOCK = 16, 512
STATUS = Path("/proc/self/status")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=5, help="posts an account, at least 3; 50 in the paper")
    parser.add_argument("--lists", type=int, default=3, help="lists of each brand in the epoch, at least 3")
    parser.add_argument("--optimiser", default="adam", choices=("adam", "sgd"), help="the paper's is sgd")
    parser.add_argument("--pool-only", action="store_true", help="do not train")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the market is made")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.posts < 3:
        parser.error("--posts: creators need two posts of their own beside an advertisement")
    if options.stage:
        STAGES[options.stage](options)
        return
    need = options.posts * 4108 * np.prod(SHAPE) * 2 + 2 * 2**30
    if (free := shutil.disk_usage(options.folder).free) < need:
        sys.exit(f"{options.folder}: {need / 2**30:.1f} GiB are needed, {free / 2**30:.1f} are free. Give --folder.")
    print(f"{'stage':>8} {'wall s':>8} {'cpu s':>8} {'peak GiB':>9}  what")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for stage in ("make", "pool", "stored", *(() if options.pool_only else ("train",))):
            call = [sys.executable, __file__, "--stage", stage, "--folder", str(Path(folder, "market"))]
            call += ["--posts", str(options.posts), "--lists", str(options.lists), "--optimiser", options.optimiser]
            done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            what = found.pop("what")
            print("{:>8} {wall:8.1f} {cpu:8.1f} {peak:9.2f}  {}".format(stage, what, **found), flush=True)
            print(f"figure: mir_full_size_{stage}_seconds = {found['wall']:.1f} s")
            print(f"figure: mir_full_size_{stage}_memory = {found['peak']:.2f} GiB", flush=True)


@contextmanager
def measured() -> Iterator[dict[str, object]]:
    """Measure wall and CPU time and the peak of memory, and print them with what is put in."""
    found: dict[str, object] = {}
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield found
    finally:
        found |= {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        over.set()
        watcher.join()
    print(json.dumps({**found, "peak": max(peak[0], memory())}))


def memory() -> float:
    """GiB of this process's own pages now; its peak of all pages where the system does not tell."""
    if STATUS.is_file():
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def make(options: argparse.Namespace) -> None:
    with measured() as found:
        market = simulate(
            seed=0, brands=360, creators=3748, posts=options.posts, view_days=0, products=0, follows=0,
            folder=options.folder,
        )  # fmt: skip
        ids, author = market.table("posts")["post_id"], market.table("posts")["account_id"].dictionary_encode()
        author = author.combine_chunks().indices.to_numpy()
        rng, size = np.random.default_rng(0), int(np.prod(SHAPE))
        look = rng.normal(size=(author.max() + 1, LATENT)).astype(np.float32)
        mixing = (rng.normal(size=(LATENT, size)) / 4).astype(np.float32)
        with ArrayWriter(
            market.path / FOLDER, name=NAME, key="post_id", shape=SHAPE, dtype="float16", source="random"
        ) as writer:
            for first in range(0, len(ids), BLOCK):
                rows = slice(first, first + BLOCK)
                values = look[author[rows]] @ mixing + rng.standard_normal((len(author[rows]), size), np.float32)
                writer.append(ids[rows].combine_chunks(), np.maximum(values, 0).reshape(-1, *SHAPE))
        found["what"] = f"{len(ids):,} posts x {size:,} numbers, {len(ids) * size * 2 / 2**30:.1f} GiB"


def data_of(options: argparse.Namespace) -> MIRData:
    config = MIRDataConfig(
        modalities=("text", "visual"),
        visual=(NAME,),
        hashed_size=300,
        local_response_normalisation=True,
        list_length=3,
        lists_per_brand=options.lists,
        batch_size=64,
        validation_share=0.1,
        test_share=74 / 360,
    )
    data = MIRData(config, Market.load(options.folder))
    data.setup("fit")
    return data


def pool(options: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with measured() as found:
        shape = tuple(data_of(options).features["visual"].shape)
        found["what"] = f"load the market, features of {shape[0]:,} views x {shape[1]:,} numbers"


def train(options: argparse.Namespace) -> None:
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    data = data_of(options)
    pl.seed_everything(0, verbose=False)
    config = MIRModelConfig(
        modalities=("text", "visual"), hidden_size=4096, embedding_size=512, tied=False, dropout=0.5,
        dropout_on="weights", initial_range=0.1, loss="top_one", optimiser=options.optimiser, learning_rate=1e-3,
        l1=1e-3,
    )  # fmt: skip
    with measured() as found:
        module = MIRModule(config, data.spec)
        trainer = pl.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, datamodule=data)
        lists, weights = len(data.train_dataloader().dataset), sum(p.numel() for p in module.parameters())
        loss = float(trainer.callback_metrics["train/loss"])
        assert np.isfinite(loss)
        found["what"] = (
            f"an epoch of {lists:,} lists in {trainer.global_step} steps and the validation, {weights / 1e6:.0f} M "
            f"weights, {torch.get_num_threads()} threads, loss {loss:.4g}"
        )


STAGES = {"make": make, "pool": pool, "stored": pool, "train": train}

if __name__ == "__main__":
    main()
