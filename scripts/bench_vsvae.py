"""The VS-VAE beside MultiVae's JMVAE, MVTCAE and MoPoE, beside itself with padded sequences, and as markets grow.

Run `python scripts/bench_vsvae.py [--quick] [--only speed|quality|growth]`. Three questions; times are CPU seconds of
processes that have one thread. What is trained on a market runs in a process of its own, whose peak resident memory is
given, libraries (some 0.4 GiB) and pages of mapped files included.

speed: posts learned from per CPU second. MultiVae has no sequences, so posts are three vectors here (image, audio,
editing), through networks of the same widths: its models and ours, batches gathered from tensors in memory; then the
whole path of a user, its own trainer and data set against Lightning and our stored arrays. Its MVTCAE and our product
of experts do the same work; JMVAE runs each encoder twice, MoPoE has seven experts. Whole posts with their texts and
frames: ours beside itself without sorting by length, with packed sequences, and padded to 50 words and 13 frames, where
LSTMs and the layer above them run over padding, and over texts that a post lacks.

quality: the same posts, split, numbers of r, epochs and posts per step for all: how much of what drives a simulated
post (subject, style, quality, popularity) a straight line reads from r, and how well held-out posts are restored (R²;
of texts, the share of known words). MultiVae and PCA see shares of words and mean frames, scaled alike. Ours is trained
as experiment=vsvae/small has it; MultiVae's models with a constant rate, and with our rate in one cycle.

growth: CPU seconds of setting up, posts per CPU second and peak memory for 10³ to 10⁵ posts, with --largest 10⁶. An
epoch is measured where it has at most --steps steps, else as many steps are run.
"""

import argparse
import itertools
import logging
import math
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
import vae_peers
import yaml
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from micromega.market import simulate
from micromega.market.market import Market
from micromega.models.vsvae import pca, sequences
from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.config import VSVAEDataConfig, VSVAEModelConfig
from micromega.models.vsvae.data import PostData
from micromega.models.vsvae.describe import describe, posterior_means
from micromega.models.vsvae.module import VSVAEModule
from micromega.models.vsvae.parts import SEQUENCES, TEXTS
from micromega.models.vsvae.probes import probe, true_latents
from micromega.models.vsvae.reconstruction import fit_no_information, judge
from micromega.models.vsvae.result import NO_INFORMATION, PCA
from micromega.models.vsvae.schedule import one_cycle

POSTERIORS = ("joint", "product", "mixture")
EQUALS = {"JMVAE": "joint", "MVTCAE": "product", "MoPoE": "mixture"}
"""Model of MultiVae -> our posterior that is nearest to it."""
VECTORS = {"image": ("objects", "sentiment"), "audio": ("audio",), "editing": ("editing",)}
SIZES = {
    "simulated": {"objects": 102, "sentiment": 42, "audio": 21, "editing": 17},
    "real": {"objects": 1000, "sentiment": 2089, "audio": 543, "editing": 157},
}
"""Numbers of each part: as the simulator has them at scale 0.02 (objects with mean frames), and as published."""
VARIANTS = ("ours", "unsorted", "packed", "padded")
"""How sequences are treated: the last three are no setting of ours, or one that nobody should choose."""
SMALL = VSVAEModelConfig()
EXPERIMENT = Path(__file__).parents[1] / "conf" / "experiment" / "vsvae" / "small.yaml"
LAYERS = {"text": (SMALL.text_size,), "image": SMALL.image_sizes, "audio": (SMALL.audio_size,), "editing": (16,)}
RATE, BATCH, GIB = 1e-3, 256, 2.0**30
SCALES = (1.0, 0.5)
"""Deviations of MultiVae's likelihoods: 1, as it comes, and one at which it keeps more."""
SCHEDULES = ("constant", "one_cycle")
"""How the learning rate of MultiVae's models goes."""
QUICK = {
    "creators": 200, "epochs": 1, "seconds": 0.05, "batches": (32,), "growth": (1_000,), "steps": 8,
    "posteriors": ("joint",), "models": ("MVTCAE",), "scales": (1.0,), "schedules": ("one_cycle",),
    "variants": ("ours", "padded"), "kinds": ("simulated",),
}  # fmt: skip
HEAVY = ["pyarrow.parquet", "pytorch_lightning", "micromega.market", "micromega.models.vsvae.evaluate"]
"""What a process of its own has imported before its memory is looked at."""


def alone(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Call a function in a process of its own: what it gives, and the peak resident memory in GiB."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_watched, work, arguments).result()


def _watched(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float]:
    calm()
    found = work(*arguments)
    return found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def calm() -> None:
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # Lightning on few workers and few batches


def market_of(creators: int, cache: Path) -> Path:
    """Folder of the market of conf/experiment/vsvae/small.yaml with some number of creators, five posts each."""
    folder = cache / f"market_{creators}"
    if not (folder / "market.yaml").exists():
        simulate(
            seed=0, audience="tiktok", brands=12, creators=creators, posts=5, scale=0.02, products=0, follows=0,
            folder=folder,
        )  # fmt: skip
    return folder


def data_of(folder: Path, **settings: Any) -> PostData:
    data = PostData(VSVAEDataConfig(**settings), Market.load(folder))
    data.setup("fit")
    return data


class Clock(pl.Callback):
    """CPU seconds and posts from the start of training; stops it after some steps."""

    def __init__(self, steps: int) -> None:
        self.steps, self.posts, self.done, self.seconds = steps, 0, 0, 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.began = time.process_time()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, out: Any, batch: Any, _: int
    ) -> None:
        """Count posts."""
        self.posts += len(batch)
        self.done += 1
        self.seconds = time.process_time() - self.began
        trainer.should_stop = trainer.should_stop or self.done >= self.steps


def train(data: PostData, epochs: int, clock: Clock, **model: Any) -> VSVAEModule:
    """Train ours as a user does, without validation."""
    module = VSVAEModule(VSVAEModelConfig(**model), data.spec)
    pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, callbacks=[clock],
    ).fit(module, datamodule=data)  # fmt: skip
    return module


# ---- speed ----


def repeated(step: Callable[[Tensor], None], posts: int, batch: int, seconds: float) -> float:
    """Posts per CPU second of steps on random rows, median over blocks of some steps after the first."""
    generator, found, began = torch.Generator().manual_seed(0), [], time.process_time()
    while len(found) < 4 or time.process_time() - began < seconds:
        rows = torch.randperm(posts, generator=generator).split(batch)
        start = time.process_time()
        for some in rows:
            step(some)
        found.append(posts / (time.process_time() - start))
    return statistics.median(found[1:])


def drawn(sizes: Mapping[str, int], posts: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {part: torch.randn(posts, d, generator=generator) for part, d in sizes.items()}


def our_step(sizes: Mapping[str, int], values: Mapping[str, Tensor], posterior: str) -> Callable[[Tensor], None]:
    spec = PostSpec(
        sizes=dict(sizes), words=(), word_vectors=torch.zeros(0, 1),
        mean={part: torch.zeros(d) for part, d in sizes.items()},
        deviation={part: torch.ones(d) for part, d in sizes.items()},
    )  # fmt: skip
    torch.manual_seed(0)
    module = VSVAEModule(VSVAEModelConfig(posterior=posterior, learning_rate=RATE), spec)  # type: ignore[arg-type]
    net, optimiser = module.network, module.configure_optimizers()

    def step(rows: Tensor) -> None:
        one = torch.ones(len(rows), dtype=torch.int64)
        held = PostBatch(post=rows, values={p: v[rows] for p, v in values.items()}, lengths=dict.fromkeys(sizes, one))
        found = net.encode(held)
        likelihood = net.log_likelihood(found.sample(torch.randn_like(found.mean)), held)
        loss = found.divergence().sum(1).mean() - torch.stack([of.mean() for of in likelihood.values()]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def peer_step(peer: Any, name: str, values: Mapping[str, Tensor]) -> Callable[[Tensor], None]:
    sizes = {modality: of.shape[1] for modality, of in values.items()}
    torch.manual_seed(0)
    made = vae_peers.model(peer, name, sizes, LAYERS, SMALL.latent_size)
    optimiser = torch.optim.Adam(made.parameters(), RATE)

    def step(rows: Tensor) -> None:
        loss = made(peer.data({modality: of[rows] for modality, of in values.items()}), epoch=1).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def joined(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Part -> values to modality -> values."""
    return {name: torch.cat([values[part] for part in parts], dim=1) for name, parts in VECTORS.items()}


def packed(lstm: torch.nn.LSTM, values: Tensor, lengths: Tensor) -> Tensor:
    """As ours runs on other devices than the CPU."""
    states, _ = lstm(pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(states, batch_first=True)[0]


def padded(batch: PostBatch, config: VSVAEDataConfig) -> PostBatch:
    """All sequences as long as the longest that are kept."""
    values, lengths = dict(batch.values), dict(batch.lengths)
    for part in set(SEQUENCES) & set(values):
        longest = config.max_length if part in TEXTS else config.max_frames
        room = longest - values[part].shape[1]
        values[part] = F.pad(values[part], (0, room) if part in TEXTS else (0, 0, 0, room))
        lengths[part] = torch.full_like(lengths[part], longest)
    return PostBatch(post=batch.post, values=values, lengths=lengths)


def our_epoch(folder: Path, variant: str, settings: dict[str, Any]) -> float:
    """Posts per CPU second of an epoch through Lightning and our stored arrays."""
    if variant in {"unsorted", "padded"}:
        settings = settings | {"bucketing": 0}
    data = data_of(folder, **settings)
    clock = Clock(10**9)
    if variant == "padded":
        read = data._posts.batch_of
        data._posts.batch_of = lambda rows: padded(read(rows), data.config)  # type: ignore[method-assign]
    with mock.patch.object(sequences, "_states", packed if variant == "packed" else sequences._states):
        pl.seed_everything(0, verbose=False)
        train(data, 1, clock)
    return clock.posts / clock.seconds


def peer_epoch(folder: Path, name: str, kept: Path, batch: int) -> float:
    """Posts per CPU second of an epoch of MultiVae's own trainer on the same vectors, which are in memory."""
    peer = vae_peers.multivae(kept)
    data = data_of(folder, parts=("objects", "sentiment", "audio", "editing"))
    held = data.batch_of(data.splits["train"]).values
    values = joined({part: (of - data.spec.mean[part]) / data.spec.deviation[part] for part, of in held.items()})
    torch.manual_seed(0)
    sizes = {modality: of.shape[1] for modality, of in values.items()}
    made = vae_peers.model(peer, name, sizes, LAYERS, SMALL.latent_size)  # type: ignore[arg-type]
    ready = vae_peers.trainer(peer, made, values, batch, RATE)  # type: ignore[arg-type]
    began = time.process_time()
    ready.train_step(1)
    return len(data.splits["train"]) / (time.process_time() - began)


def speed_of_steps(peer: Any, kinds: tuple[str, ...], batches: tuple[int, ...], seconds: float) -> None:
    """Our networks beside MultiVae's, from tensors in memory."""
    for kind, sizes in [(kind, SIZES[kind]) for kind in kinds]:
        for batch in batches:
            posts, found = 8 * batch, {}
            values = drawn(sizes, posts)
            for posterior in POSTERIORS:
                found[posterior] = repeated(our_step(sizes, values, posterior), posts, batch, seconds)
            for name in [] if isinstance(peer, str) else vae_peers.MODELS:
                found[name] = repeated(peer_step(peer, name, joined(values)), posts, batch, seconds)
            for name, rate in found.items():
                owner = "VS-VAE" if name in POSTERIORS else "MultiVae"
                print(f"figure: {owner} {name}, {kind} vectors, batch {batch} = {rate:.0f} posts per CPU-s")
            for name in [name for name in EQUALS if name in found]:
                gain = found[EQUALS[name]] / found[name]
                print(f"ratio: VS-VAE {EQUALS[name]} against {name}, {kind} vectors, batch {batch} = {gain:.2f}")


def speed_of_paths(folder: Path, batch: int, kept: Path, models: tuple[str, ...], variants: tuple[str, ...]) -> None:
    """What a user gets: vectors beside MultiVae's trainer, whole posts beside other ways to treat sequences."""

    def told(name: str, measured: tuple[float, float]) -> float:
        print(f"figure: {name}, batch {batch} = {measured[0]:.0f} posts per CPU-s")
        print(f"figure: {name}, batch {batch}, peak memory = {measured[1]:.2f} GiB")
        return measured[0]

    settings = {"parts": ("objects", "sentiment", "audio", "editing"), "batch_size": batch}
    ours = told("VS-VAE joint, vectors, whole path", alone(our_epoch, folder, "ours", settings))
    for name in models:
        theirs = told(f"MultiVae {name}, vectors, its trainer", alone(peer_epoch, folder, name, kept, batch))
        print(f"ratio: VS-VAE joint against {name}, vectors, whole path, batch {batch} = {ours / theirs:.2f}")
    rates = {
        variant: told(f"VS-VAE, whole posts, {variant}", alone(our_epoch, folder, variant, {"batch_size": batch}))
        for variant in variants
    }
    for variant in variants[1:]:
        print(f"ratio: VS-VAE, ours against {variant}, batch {batch} = {rates['ours'] / rates[variant]:.2f}")


# ---- quality ----


class PeerPosts:
    """Posts as MultiVae sees them, and its vectors as posts again.

    Args:
        fitted: whose scaling is used: shares of words, mean frames, numbers; 0 where a post lacks a part.
        data: of the posts.
    """

    def __init__(self, fitted: pca.PostPCA, data: PostData) -> None:
        self.fitted, self.data = fitted, data
        grouped = {
            "text": TEXTS,
            "image": ("frames", "objects", "sentiment"),
            "audio": ("audio",),
            "editing": ("editing",),
        }
        self.grouped = {name: [part for part in of if part in fitted.columns] for name, of in grouped.items()}
        self.sizes = {name: sum(len(fitted.columns[part].mean) for part in of) for name, of in self.grouped.items()}

    def vectors(self, batch: PostBatch) -> dict[str, Tensor]:
        """Modality -> (B, d)."""
        found = {}
        for part, (value, present) in pca._rows(batch, self.fitted.columns).items():
            column = self.fitted.columns[part]
            dense = value.toarray() if part in TEXTS else value
            found[part] = torch.from_numpy(((dense - column.mean) * present[:, None] * column.scale).astype(np.float32))
        return {name: torch.cat([found[part] for part in of], dim=1) for name, of in self.grouped.items()}

    def restored(self, decoded: Mapping[str, Tensor], batch: PostBatch) -> dict[str, Tensor]:
        """Part -> values: the same likeliest word at each place, the same frame again and again."""
        found = {}
        for name, parts in self.grouped.items():
            widths = [len(self.fitted.columns[part].mean) for part in parts]
            for part, scaled in zip(parts, decoded[name].split(widths, dim=1), strict=True):
                column, held = self.fitted.columns[part], batch.values[part]
                scale = np.divide(1, column.scale, out=np.zeros_like(column.scale), where=column.scale > 0)
                value = scaled.double().numpy() * scale + column.mean
                if part in TEXTS:
                    word = torch.from_numpy(np.where(self.fitted.known, value, -np.inf).argmax(axis=1))
                    found[part] = word[:, None].expand_as(held)
                else:
                    vector = torch.from_numpy(value).to(held)
                    found[part] = vector[:, None].expand_as(held) if held.dim() == 3 else vector
        return found


Method = tuple[Callable[[PostBatch], Any], Callable[[PostBatch], Mapping[str, Tensor]], float]
"""Batch to r, batch to restored parts, CPU seconds of training."""


def settings_of_experiment() -> dict[str, Any]:
    """What experiment=vsvae/small sets of the model."""
    found = yaml.safe_load(EXPERIMENT.read_text(encoding="utf-8"))
    return dict(found.get("model", {}))


def latent_size() -> int:
    """Numbers of r in quality, for all methods."""
    return int(settings_of_experiment().get("latent_size", SMALL.latent_size))


def our_method(data: PostData, epochs: int, seed: int, posterior: str) -> Method:
    pl.seed_everything(seed, verbose=False)
    clock = Clock(10**9)
    network = train(data, epochs, clock, **settings_of_experiment() | {"posterior": posterior}).network.eval()
    means = posterior_means(network, torch.device("cpu"))
    return means, lambda batch: network.reconstruct(network.encode(batch).mean, batch), clock.seconds


def peer_method(
    peer: Any,
    name: str,
    posts: PeerPosts,
    held: Mapping[str, Tensor],
    epochs: int,
    seed: int,
    scale: float,
    schedule: str,
) -> Method:
    """Train a model of MultiVae; all but the deviation of its likelihood is as it comes."""
    torch.manual_seed(seed)
    settings = {"decoder_dist_params": {modality: {"scale": scale} for modality in posts.sizes}}
    made = vae_peers.model(peer, name, posts.sizes, LAYERS, latent_size(), **settings)
    rate = RATE if schedule == "constant" else settings_of_experiment().get("learning_rate", RATE)
    optimiser = torch.optim.Adam(made.parameters(), rate)
    began = time.process_time()
    count = len(next(iter(held.values())))
    cycle = one_cycle(optimiser, rate, epochs * math.ceil(count / BATCH)) if schedule == "one_cycle" else None
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(count).split(BATCH):
            loss = made(peer.data({modality: of[rows] for modality, of in held.items()}), epoch=epoch).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if cycle is not None:
                cycle.step()
    spent = time.process_time() - began
    made.eval()

    def means(batch: PostBatch) -> Tensor:
        return made.encode(peer.data(posts.vectors(batch)), return_mean=True).z

    def restore(batch: PostBatch) -> dict[str, Tensor]:
        return posts.restored(made.decode(peer.output(z=means(batch), one_latent_space=True)), batch)

    return means, restore, spent


def quality_of(
    folder: Path,
    kept: Path,
    epochs: int,
    seed: int,
    posterior: str | None,
    models: tuple[tuple[str, float, str], ...],
) -> dict[str, dict[str, float]]:
    """Judge one of our posteriors, or PCA and MultiVae's models: method -> name of a figure -> value."""
    data = data_of(folder, seed=seed)
    splits, spec, latent = data.splits, data.spec, latent_size()
    fitted = pca.fit_pca(lambda: data.batches(splits["train"], 1024), spec, latent, seed=seed)
    methods: dict[str, Method] = {}
    if posterior is not None:
        methods[f"VS-VAE {posterior}"] = our_method(data, epochs, seed, posterior)
    else:
        methods[PCA] = fitted.transform, fitted, 0.0
        posts = PeerPosts(fitted, data)
        batches = [posts.vectors(batch) for batch in data.batches(splits["train"], 1024)] if models else []
        held = {modality: torch.cat([batch[modality] for batch in batches]) for modality in posts.sizes if batches}
        peer = vae_peers.multivae(kept) if models else None
        for name, scale, schedule in models:
            full = f"{name}, scale {scale:g}, {schedule.replace('_', ' ')}"
            methods[full] = peer_method(peer, name, posts, held, epochs, seed, scale, schedule)
    nothing = fit_no_information(data.batches(splits["train"], 1024), spec)
    everything = np.sort(np.concatenate(list(splits.values())))
    r = {
        name: describe(data.batches(everything, 1024), means, len(data.post_ids), latent)
        for name, (means, _, _) in methods.items()
    }
    probes = probe(r, true_latents(data.market, data.post_ids), train=splits["train"], test=splits["test"])
    restore = {NO_INFORMATION: nothing, **{name: of for name, (_, of, _) in methods.items()}}
    judged = judge(data.batches(splits["test"], 1024), restore, spec).errors
    found: dict[str, dict[str, float]] = {}
    for name, (_, _, seconds) in methods.items():
        found[name] = {f"R² of {of.target} from r": of.scores[name] for of in probes}
        for part, without in judged[NO_INFORMATION].squared.items():
            varies = without > 0
            error = judged[name].squared[part][varies] / without[varies]
            found[name][f"R² of {part} restored"] = float(1 - error.mean())
        found[name] |= {f"share of {part} restored": of for part, of in judged[name].accuracy.items()}
        found[name]["CPU seconds of training"] = seconds
    return found


def quality(folder: Path, peer: Any, kept: Path, wanted: argparse.Namespace) -> None:
    tasks: list[tuple[str | None, tuple[tuple[str, float, str], ...]]] = [(name, ()) for name in wanted.posteriors]
    models = () if isinstance(peer, str) else wanted.models
    tasks.append((None, tuple(itertools.product(models, wanted.scales, wanted.schedules))))
    seeds: list[dict[str, dict[str, float]]] = []
    for seed in range(wanted.seeds):
        seeds.append({})
        for posterior, peers in tasks:
            found, _ = alone(quality_of, folder, kept, wanted.epochs, seed, posterior, peers)
            seeds[-1] |= found
            for name, figures in found.items():
                print(f"seed {seed}, {name}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()))
    mean = {
        name: {key: statistics.mean(of[name][key] for of in seeds) for key in figures}
        for name, figures in seeds[0].items()
    }
    for name, figures in mean.items():
        for key, value in figures.items():
            print(f"figure: {name}, {key} = {value:.3f}")
    ours = [name for name in mean if name.startswith("VS-VAE")]
    for key in next(iter(mean.values())):
        best = {name: max(of[key] for other, of in mean.items() if (other in ours) == name) for name in (True, False)}
        if key != "CPU seconds of training":
            print(f"difference: best VS-VAE minus best of the others, {key} = {best[True] - best[False]:+.3f}")


# ---- growth ----


def grown(folder: Path, steps: int) -> dict[str, float]:
    """Train at the small widths for an epoch, or some steps of it; on small markets again and again."""
    began = time.process_time()
    data = data_of(folder)
    setup = time.process_time() - began
    pl.seed_everything(0, verbose=False)
    epoch = len(data.train_dataloader())
    clock = Clock(min(steps, max(epoch, steps // 4)))
    train(data, 10**6, clock)
    files = sum(path.stat().st_size for path in (folder / "features").rglob("*") if path.is_file())
    return {
        "posts": len(data.post_ids), "setup": setup, "steps": clock.done, "steps of an epoch": epoch,
        "rate": clock.posts / clock.seconds, "epoch": len(data.splits["train"]) * clock.seconds / clock.posts,
        "files": files / GIB, "mapped": mapped(),
    }  # fmt: skip


def mapped() -> float:
    """GiB of resident pages of files; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssFile")) * 1024 / GIB


def growth(sizes: tuple[int, ...], steps: int, cache: Path, largest: Path | None) -> None:
    rates = []
    for posts in sizes:
        is_given = largest is not None and posts == max(sizes)
        folder = largest if is_given else market_of(posts // 5 - 12, cache)
        found, peak = alone(grown, folder, steps)
        rates.append(found["rate"])
        name = f"{found['posts']:,.0f} posts"
        print(f"figure: {name}, setting up = {found['setup']:.2f} CPU-s")
        print(f"figure: {name}, training = {found['rate']:.0f} posts per CPU-s")
        whole = "" if found["steps"] >= found["steps of an epoch"] else ", reckoned from these steps"
        print(f"figure: {name}, an epoch{whole} = {found['epoch']:.1f} CPU-s")
        print(f"figure: {name}, steps run = {found['steps']:.0f}, an epoch has {found['steps of an epoch']:.0f}")
        print(f"figure: {name}, peak memory = {peak:.2f} GiB")
        print(f"figure: {name}, of it pages of files = {found['mapped']:.2f} GiB; arrays = {found['files']:.2f} GiB")
    print(f"ratio: posts per CPU second, largest against smallest market = {rates[-1] / rates[0]:.2f}")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--creators", type=int, default=4000, help="of the market of quality; speed has a quarter")
    parser.add_argument("--epochs", type=int, default=30, help="of quality")
    parser.add_argument("--seeds", type=int, default=1, help="of quality")
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU seconds of a figure of speed on vectors")
    parser.add_argument("--steps", type=int, default=400, help="of training on a growing market, at most")
    parser.add_argument("--cache", type=Path, help="keep the markets here; without it, nowhere")
    parser.add_argument("--peers", type=Path, help="keep the peers' downloaded files here; without it, nowhere")
    parser.add_argument("--largest", action="store_true", help="10⁶ posts as well")
    parser.add_argument("--market", type=Path, help="a market that stands, in place of the largest of growth")
    parser.add_argument("--only", choices=["speed", "quality", "growth"])
    parser.add_argument("--quick", action="store_true", help="small markets, few epochs, one peer")
    wanted = parser.parse_args(arguments)
    wanted.batches, wanted.growth = (32, 256), (1_000, 10_000, 100_000)
    wanted.posteriors, wanted.models, wanted.scales, wanted.schedules = POSTERIORS, vae_peers.MODELS, SCALES, SCHEDULES
    wanted.variants, wanted.kinds = VARIANTS, tuple(SIZES)
    if wanted.quick:
        vars(wanted).update(QUICK)
    if wanted.largest or wanted.market:
        wanted.growth = (*wanted.growth, 1_000_000)
    return wanted


def main() -> None:
    wanted = options()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes to come
    calm()
    with tempfile.TemporaryDirectory() as name:
        cache = wanted.cache or Path(name) / "markets"
        kept = wanted.peers or Path(name) / "peers"
        cache.mkdir(parents=True, exist_ok=True)
        print(f"load of the machine: {', '.join(f'{load:.1f}' for load in os.getloadavg())} on {os.cpu_count()} cores")
        peer = vae_peers.multivae(kept) if wanted.only != "growth" else ""
        if isinstance(peer, str) and peer:
            print(f"MultiVae is missing: {peer}")
        if wanted.only in {None, "speed"}:
            speed_of_steps(peer, wanted.kinds, wanted.batches, wanted.seconds)
            folder = market_of(wanted.creators // 4, cache)
            for batch in wanted.batches:
                models = () if isinstance(peer, str) else wanted.models
                speed_of_paths(folder, batch, kept, models, wanted.variants)
        if wanted.only in {None, "quality"}:
            quality(market_of(wanted.creators, cache), peer, kept, wanted)
        if wanted.only in {None, "growth"}:
            growth(wanted.growth, wanted.steps, cache, wanted.market)


if __name__ == "__main__":
    main()
