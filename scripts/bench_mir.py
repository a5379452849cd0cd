"""The ranker's training beside allRank's ListNet, pytorchltr and LightGBM's LambdaMART on a simulated market.

Run `python scripts/bench_mir.py [--quick] [--only speed|race]`. Two questions, in CPU seconds of the process, which has
one thread:

speed: lists of K = 4 learned from per CPU second. Ours is what a user gets: Lightning's Trainer with our datamodule,
whole epochs with drawing the lists, no validation and no checkpoints. allRank is its own DataLoader path
(LibSVMDataset, FixLength, ToTensor, create_data_loaders, loss_batch), fed with lists that were drawn and described
before the clock starts, pairs as [brand, creator]; and, for its network and loss alone, batches that are gathered from
a matrix of all accounts.

race: CPU seconds until the validation brands' Rec@10 is as good as 95 % of the best that a peer reaches within its
budget (median over seeds), for each peer. All see the same brands, lists and standardised features; peers' networks see
pairs as [brand, creator, product], LightGBM the pair features of our model=lambdamart. The clock runs over training
alone: not over validation, nor over drawing and describing lists for the peers. Ours includes setting up the Trainer.
"""

import argparse
import dataclasses
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import ltr_peers
import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from micromega.errors import MissingExtraError
from micromega.market import Market, simulate
from micromega.models.mir.config import MIRDataConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.lists import ListDataset
from micromega.models.mir.metrics import ranking_metrics
from micromega.models.mir.module import MIRModule

try:
    import lightgbm

    from micromega.models.lambdamart.config import LambdaMARTModelConfig
    from micromega.models.lambdamart.module import LambdaMARTModule
except (ImportError, OSError, MissingExtraError) as error:
    lightgbm, why = None, str(error)

BOTH: tuple[str, ...] = ("text", "visual")
K, LARGE, NEVER = 4, 8192, float("inf")
SHARE = 0.95
"""Of a peer's best Rec@10: what counts as equal quality."""
Curve = list[tuple[float, float]]
"""CPU seconds of training and validation Rec@10 then, ascending in time."""
LISTS = {"lists": "buckets", "list_length": K}
MODELS = {
    "MIR(4)": (LISTS, {}, 40),
    "softmax on pairs": (
        {"lists": "pairs", "batch_size": 256},
        {
            "fusion": "linear", "embedding_size": 128, "dropout": 0.1, "score": "cosine", "loss": "softmax",
            "optimiser": "adamw", "learning_rate": 3e-3, "weight_decay": 1e-3, "schedule": "one_cycle",
        },
        20,
    ),
}  # fmt: skip
"""Ours: name -> settings of the data, of the model, epochs."""
PEER = {"batch": 512, "rate": 1e-3, "dropout": 0.1}
"""How the peers' network is trained in the race."""
QUICK = {
    "brands": 48, "creators": 400, "posts": 8, "seeds": 1, "seconds": 0.1, "budget": 1.0, "trees": 60, "lists": 1024,
    "batches": (512,),
}  # fmt: skip


class Stopwatch:
    """CPU seconds of the process while it runs."""

    def __init__(self) -> None:
        self.spent = 0.0
        self._began: float | None = None

    def start(self) -> None:
        """Let it run."""
        self._began = time.process_time()

    def stop(self) -> float:
        """Halt, and give the seconds so far."""
        if self._began is not None:
            self.spent += time.process_time() - self._began
        self._began = None
        return self.spent


def reached(curve: Curve, level: float) -> float:
    """CPU seconds until a curve first reaches a level; infinite if it never does."""
    return next((seconds for seconds, recall in curve if recall >= level), NEVER)


def best(curves: list[Curve]) -> float:
    """Median over seeds of the best recall of a curve."""
    return statistics.median(max(recall for _, recall in curve) for curve in curves)


def median_reached(curves: list[Curve], level: float) -> float:
    """Median over seeds of the time to a level; a lower one of two."""
    return statistics.median_low([reached(curve, level) for curve in curves])


def next_mark(seconds: float) -> float:
    """When to look at the validation brands next: a tenth later, and not before 0.05 s."""
    return max(1.1 * seconds, seconds + 0.05)


def data_of(market: Market, seed: int = 0, **settings: Any) -> MIRData:
    config = MIRDataConfig(seed=seed, modalities=BOTH, validation_share=0.3, test_share=0.05, **settings)  # type: ignore[arg-type]
    data = MIRData(config, market)
    data.setup("fit")
    return data


class Judge:
    """Rec@10 of the validation brands, among the creators who work with one of them."""

    def __init__(self, data: MIRData) -> None:
        assert data.accounts is not None
        self.brands, accounts = data.splits["validation"], data.accounts
        self.rivals = np.flatnonzero(accounts.candidates(self.brands, data.config.candidates))
        self.labels = accounts.labels()[self.brands][:, self.rivals]
        self.same = accounts.same_category()[self.brands][:, self.rivals]
        views, shown = accounts.shown_views(self.brands)
        self.views = views[shown[:, self.rivals]]
        self.creators = np.broadcast_to(self.rivals, self.views.shape)

    def recall(self, scores_BM: Any) -> float:
        """Of (B, M) scores of the validation brands and their rivals."""
        return ranking_metrics(np.asarray(scores_BM), self.labels, self.same, (10,))["recall_at_10"]


def trainer(epochs: int, callback: pl.Callback) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, callbacks=[callback],
    )  # fmt: skip


# ---- speed ----


class EpochTimes(pl.Callback):
    """CPU seconds of each epoch but the first, until there are enough."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note when the epoch has ended."""
        self.ends.append(time.process_time())
        enough = len(self.ends) > 3 and self.ends[-1] - self.ends[0] > self.seconds
        trainer.should_stop = trainer.should_stop or enough


def our_speed(market: Market, batch: int, seconds: float, **model: Any) -> float:
    """Lists per CPU second of MIR(4), median over epochs of 64 batches, or as many as there are."""
    data = data_of(market, batch_size=batch, **LISTS)
    brands, usual = len(data.splits["train"]), len(data.train_dataloader().dataset)
    if 64 * batch < usual:
        data.config = dataclasses.replace(data.config, lists_per_brand=max(K, 64 * batch // brands))
    pl.seed_everything(0, verbose=False)
    times = EpochTimes(seconds)
    trainer(1000, times).fit(MIRModule(MIRModelConfig(modalities=BOTH, **model), data.spec), datamodule=data)
    return len(data.train_dataloader().dataset) / statistics.median(np.diff(times.ends))


def repeated(epoch: Callable[[], int], seconds: float) -> float:
    """Lists per CPU second of a pass, median over passes after the first."""
    epoch()
    found: list[float] = []
    began = time.process_time()
    while len(found) < 3 or time.process_time() - began < seconds:
        start = time.process_time()
        lists = epoch()
        found.append(lists / (time.process_time() - start))
    return statistics.median(found)


class Pairs:
    """What peers learn from: our lists, each pair described by the standardised features of both sides."""

    def __init__(self, data: MIRData, *, product: bool) -> None:
        assert data.accounts is not None
        self.accounts, self.product = torch.from_numpy(data.standardised()), product
        self.first_creator = data.accounts.first_creator_view
        loaded = data.train_dataloader().dataset
        assert isinstance(loaded, ListDataset)
        self.lists = loaded
        self.columns = self.accounts.shape[1] * (3 if product else 2)

    def describe(self, brand_view: Tensor, creator: Tensor) -> Tensor:
        """Rows of views and of creators, (…), to (…, columns)."""
        brand, side = self.accounts[brand_view], self.accounts[self.first_creator + creator]
        return torch.cat([brand, side, brand * side] if self.product else [brand, side], dim=-1)

    def batches(self, size: int, seed: int) -> Iterator[dict[str, Tensor]]:
        """Our lists, epoch after epoch, not yet described."""
        for epoch in range(10**6):
            order = torch.randperm(len(self.lists), generator=torch.Generator().manual_seed(seed + epoch))
            for rows in order.split(size):
                yield self.lists[epoch, rows]


def network(peer: Any, columns: int, dropout: float) -> torch.nn.Module:
    """Make allRank's fully connected network [128, 64] on pairs."""
    layers = {"sizes": [128, 64], "input_norm": False, "activation": "LeakyReLU", "dropout": dropout}
    made: torch.nn.Module = peer.make_model(layers, None, {"output_activation": None, "d_output": 1}, columns)
    return made


def allrank_speed(peer: Any, pairs: Pairs, batch: int, seconds: float, lists: int) -> tuple[float, float]:
    """Lists per CPU second: through its DataLoader, and of batches gathered at once."""
    rows = torch.randperm(len(pairs.lists), generator=torch.Generator().manual_seed(0))[:lists]
    drawn = pairs.lists[0, rows]
    described = pairs.describe(drawn["brand_view"], drawn["creator"])
    matrix = mock.Mock(toarray=lambda: described.flatten(0, 1).numpy())
    slates = peer.Dataset(
        matrix, drawn["label"].flatten().numpy(), np.repeat(np.arange(len(rows)), K),
        ltr_peers.Compose([peer.FixLength(K), peer.ToTensor()]),
    )  # fmt: skip
    loader, _ = peer.data_loaders(slates, slates, 0, batch)
    torch.manual_seed(0)
    net = network(peer, pairs.columns, 0.5)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)

    def own() -> int:
        return sum(peer.loss_batch(net, peer.list_net, *parts, None, optimiser)[1] for parts in loader)

    def gathered() -> int:
        for part in torch.randperm(len(rows)).split(batch):
            x = pairs.describe(drawn["brand_view"][part], drawn["creator"][part])
            places = torch.arange(K).expand(len(part), K)
            peer.loss_batch(net, peer.list_net, x, drawn["label"][part], places, None, optimiser)
        return len(rows)

    return repeated(own, seconds), repeated(gathered, seconds)


def speed(market: Market, allrank: Any, batches: tuple[int, ...], seconds: float, lists: int) -> None:
    sizes = {"": {}, ", hidden 128, embedding 64": {"hidden_size": 128, "embedding_size": 64}}
    ours, theirs = {}, {}
    for batch in (*batches, LARGE):
        for name, size in sizes.items():
            ours[batch, name] = our_speed(market, batch, seconds, **size)
            print(f"figure: MIR(4){name}, batch {batch} = {ours[batch, name]:.0f} lists per CPU-s")
    if isinstance(allrank, str):
        return
    pairs = Pairs(data_of(market, **LISTS), product=False)
    for batch in batches:
        theirs[batch], gathered = allrank_speed(allrank, pairs, batch, seconds, lists)
        print(f"figure: allRank ListNet, its DataLoader, batch {batch} = {theirs[batch]:.0f} lists per CPU-s")
        print(f"figure: allRank ListNet, gathered, batch {batch} = {gathered:.0f} lists per CPU-s")
    for batch, value in theirs.items():
        for name in sizes:
            print(f"ratio: MIR(4){name} against allRank, batch {batch} = {ours[batch, name] / value:.1f}")
    for name in sizes:
        gain = ours[LARGE, name] / max(theirs.values())
        print(f"ratio: MIR(4){name}, batch {LARGE} against allRank's fastest = {gain:.1f}")


# ---- race ----


class Race(pl.Callback):
    """Stops the clock now and then, to look at the validation brands."""

    def __init__(self, judge: Judge, watch: Stopwatch, budget: float) -> None:
        self.judge, self.watch, self.budget = judge, watch, budget
        self.curve: Curve = []
        self.mark = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Score the validation brands if it is time."""
        assert isinstance(pl_module, MIRModule)
        seconds = self.watch.stop()
        if seconds >= self.mark:
            pl_module.eval()
            scores = pl_module.score(torch.from_numpy(self.judge.brands))[:, torch.from_numpy(self.judge.rivals)]
            self.curve.append((seconds, self.judge.recall(scores.numpy())))
            self.mark = next_mark(seconds)
            pl_module.train()
        trainer.should_stop = trainer.should_stop or seconds > self.budget
        self.watch.start()


def our_curve(name: str, market: Market, seed: int, budget: float) -> Curve:
    settings, model, epochs = MODELS[name]
    data = data_of(market, seed, **settings)  # type: ignore[arg-type]
    judge = Judge(data)
    pl.seed_everything(seed, verbose=False)
    watch = Stopwatch()
    race = Race(judge, watch, budget)
    watch.start()
    module = MIRModule(MIRModelConfig(modalities=BOTH, **model), data.spec)  # type: ignore[arg-type]
    trainer(epochs, race).fit(module, datamodule=data)
    return race.curve


def network_curve(
    step: Callable[[Any, Any, dict[str, Tensor], Tensor], None], peer: Any, market: Market, seed: int, budget: float,
    *, batch: int, rate: float, dropout: float,
) -> Curve:  # fmt: skip
    """Train a peer's network on our lists until its budget is spent."""
    data = data_of(market, seed, **LISTS)
    pairs, judge, watch = Pairs(data, product=True), Judge(data), Stopwatch()
    torch.manual_seed(seed)
    net = network(peer, pairs.columns, dropout)
    optimiser = torch.optim.Adam(net.parameters(), rate)
    shown = torch.from_numpy(judge.views), torch.from_numpy(judge.creators.copy())
    curve: Curve = []
    mark = 0.0
    for drawn in pairs.batches(batch, seed):
        watch.start()
        step(net, optimiser, drawn, pairs.describe(drawn["brand_view"], drawn["creator"]))
        if watch.stop() >= mark:
            net.eval()
            with torch.no_grad():
                rows = zip(*shown, strict=True)
                scores = torch.cat(
                    [net(pairs.describe(view[None], creator[None]), None, None) for view, creator in rows]
                )
            net.train()
            if not scores.isfinite().all():
                name = step.__qualname__.split("_")[0]
                print(f"note: {name} diverged after {watch.spent:.1f} CPU-s; what it had reached counts")
                return curve
            curve.append((watch.spent, judge.recall(scores.numpy())))
            mark = next_mark(watch.spent)
        if watch.spent > budget:
            return curve
    return curve


def allrank_curve(peer: Any, market: Market, seed: int, budget: float, **settings: Any) -> Curve:
    def step(net: Any, optimiser: Any, drawn: dict[str, Tensor], x: Tensor) -> None:
        places = torch.arange(K).expand(len(x), K)
        peer.loss_batch(net, peer.list_net, x, drawn["label"], places, None, optimiser)

    return network_curve(step, peer, market, seed, budget, **settings)


def pytorchltr_curve(peer: Any, networks: Any, market: Market, seed: int, budget: float, **settings: Any) -> Curve:
    """LambdaNDCGLoss2 on allRank's network, since pytorchltr brings none; a partner is relevant, others are not."""
    loss = peer.Loss()

    def step(net: Any, optimiser: Any, drawn: dict[str, Tensor], x: Tensor) -> None:
        found = loss(net(x, None, None), (drawn["label"] > 0).long(), torch.full((len(x),), K)).mean()
        optimiser.zero_grad()
        found.backward()
        optimiser.step()

    return network_curve(step, networks, market, seed, budget, **settings)


def lightgbm_curve(market: Market, seed: int, trees: int) -> Curve:
    """LambdaMART as model=lambdamart grows it, judged after each tree; time includes its pair features."""
    data = data_of(market, seed)
    judge, watch = Judge(data), Stopwatch()
    module = LambdaMARTModule(LambdaMARTModelConfig(seed=seed, max_trees=trees), data.spec)
    module.attach(data)
    tables, spent, grown, table, grow = [], [], [], module._table, lightgbm.train

    def first_table(blocks: Any) -> Any:  # that of the training brands; validation is done here
        if not tables:
            tables.append(table(blocks))
        return tables[0]

    def tick(_: Any) -> None:
        spent.append(watch.stop())
        watch.start()

    def without_validation(settings: Any, learned: Any, rounds: int, **_: Any) -> Any:
        grown.append(grow(settings, learned, rounds, callbacks=[tick]))
        watch.stop()
        return grown[0]

    with mock.patch.object(module, "_table", first_table), mock.patch.object(lightgbm, "train", without_validation):
        watch.start()
        module.fit()
    columns = module._columns(judge.views.ravel(), judge.creators.ravel())
    curve: Curve = []
    mark = 0.0
    for number, seconds in enumerate(spent, start=1):
        if seconds >= mark or number == len(spent):
            scores = grown[0].predict(columns, num_iteration=number).reshape(judge.views.shape)
            curve.append((seconds, judge.recall(scores)))
            mark = next_mark(seconds)
    return curve


def race(market: Market, allrank: Any, ltr: Any, seeds: int, budget: float, trees: int) -> None:
    runs: dict[str, Callable[[int], Curve]] = {
        name: lambda seed, name=name: our_curve(name, market, seed, budget) for name in MODELS
    }
    if not isinstance(allrank, str):
        runs["allRank ListNet"] = lambda seed: allrank_curve(allrank, market, seed, budget, **PEER)
        if not isinstance(ltr, str):
            runs["pytorchltr LambdaNDCGLoss2"] = lambda seed: pytorchltr_curve(
                ltr, allrank, market, seed, budget, **PEER
            )
    if lightgbm is None:
        print(f"LightGBM is missing: {why}")
    else:
        runs["LightGBM LambdaMART"] = lambda seed: lightgbm_curve(market, seed, trees)
    our_curve("softmax on pairs", market, 0, 0.5)  # warm-up
    curves: dict[str, list[Curve]] = {}
    for name, run in runs.items():
        curves[name] = [run(seed) for seed in range(seeds)]
        spent = statistics.median(curve[-1][0] for curve in curves[name])
        print(f"figure: {name}, best validation Rec@10 = {best(curves[name]):.4f} share")
        print(f"figure: {name}, CPU seconds spent = {spent:.1f} CPU-s")
    for peer in [name for name in curves if name not in MODELS]:
        level = SHARE * best(curves[peer])
        times = {name: median_reached(found, level) for name, found in curves.items()}
        for name, seconds in times.items():
            shown = "never" if seconds == NEVER else f"{seconds:.2f} CPU-s"
            print(f"figure: {name} to Rec@10 {level:.4f} ({SHARE:.0%} of the best of {peer}) = {shown}")
        for name in MODELS:
            gain = "never as good" if times[name] == NEVER else f"{times[peer] / times[name]:.1f}"
            print(f"ratio: {name} to the quality of {peer} = {gain}")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brands", type=int, default=120)
    parser.add_argument("--creators", type=int, default=1250)
    parser.add_argument("--posts", type=int, default=20, help="posts per account")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each method of the race")
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU seconds of a figure of speed")
    parser.add_argument("--budget", type=float, default=60.0, help="CPU seconds of a run of the race")
    parser.add_argument("--trees", type=int, default=500, help="trees of LightGBM")
    parser.add_argument("--lists", type=int, default=8192, help="lists that allRank's DataLoader holds")
    parser.add_argument("--peers", type=Path, help="keep the peers' downloaded files here; without it, nowhere")
    parser.add_argument("--only", choices=["speed", "race"])
    parser.add_argument("--quick", action="store_true", help="a small market and one short run of each")
    wanted = parser.parse_args(arguments)
    wanted.batches = (64, 512, 1024)
    if wanted.quick:
        vars(wanted).update(QUICK)
    return wanted


def main() -> None:
    wanted = options()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # Lightning on few workers and few batches
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        market = simulate(
            seed=0, brands=wanted.brands, creators=wanted.creators, posts=wanted.posts, scale=0.02, view_days=0,
            products=0, follows=0, folder=folder / "market",
        )  # fmt: skip
        kept = wanted.peers or folder / "peers"
        peers = {"allRank": ltr_peers.allrank(kept), "pytorchltr": ltr_peers.pytorchltr(kept)}
        for peer, found in peers.items():
            if isinstance(found, str):
                print(f"{peer} is missing: {found}")
        if wanted.only != "race":
            speed(market, peers["allRank"], wanted.batches, wanted.seconds, wanted.lists)
        if wanted.only != "speed":
            race(market, *peers.values(), wanted.seeds, wanted.budget, wanted.trees)


if __name__ == "__main__":
    main()
