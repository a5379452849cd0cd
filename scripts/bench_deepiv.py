"""Deep IV's time beside a PyTorch port's, and its growth with the number of rows.

Run `python scripts/bench_deepiv.py [--quick] [--largest] [--only race|growth]`. Times are CPU seconds of processes that
have one thread; what is trained runs in a process of its own, whose peak resident memory is given, libraries (some 0.4
GiB) included.

race: the demand design (scaled noise, ρ 0.5) and the same data for three: ours; ours with early stopping; and a
stand-in for the Deep IV in liyuan9988/DeepFeatureIV (deepiv_peers.py): two draws a row, upper-bound loss, no held-out
rows. Its own code, which wants ray and torch 1.5, is not run; the stand-in is cheaper, and some epochs are run with its
loader and its anomaly mode too. Given are seconds of an epoch of each stage, and seconds until the mean squared error
on the 2,800 points of the grid has come down to a target: the lowest error that the worst of them reaches, and any
--targets. Ours counts stage 1, the nodes and held-out losses; looking at the grid is counted for nobody. The stand-in's
error need not fall: its best epoch counts, which only the truth knows, while ours are the weights that held-out rows
choose.

growth: posts of the platform design, 10³ to 10⁵, with --largest 10⁶: seconds of an epoch of each stage, of the nodes in
between, peak memory, and the exponent in rows between the two largest. Posts are drawn into files by another process,
whose memory is not counted, and read from there.
"""

import argparse
import dataclasses
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
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepiv_designs as designs
import numpy as np
import pytorch_lightning as pl
import torch
from deepiv_peers import UpperBoundDeepIV
from numpy.typing import NDArray

from micromega.models.deepiv.batches import Rows, held_out_batches, spec_of
from micromega.models.deepiv.config import DeepIVModelConfig, OutcomeConfig, StageConfig, TreatmentConfig
from micromega.models.deepiv.elasticity import blocks
from micromega.models.deepiv.integration import integrate
from micromega.models.deepiv.members import draw_members
from micromega.models.deepiv.module import OutcomeModule, TreatmentModule
from micromega.models.loader import EpochBatches, ResumableLoader

STAGES = ("stage 1", "stage 2")
WORDS = {
    **{stage: f"an epoch of {stage}" for stage in STAGES},
    "fit": "whole fit", "error": "grid MSE at the end", "memory": "peak memory",
}  # fmt: skip
GIB, HELD_OUT_ROWS = 2.0**30, 512
OURS, PEER = "DeepIV", "upper-bound stand-in"
QUICK = {"rows": 1_000, "seeds": 1, "epochs": 5, "peer_epochs": 5, "growth": (1_000, 4_000), "growth_epochs": 1}
HEAVY = ["pytorch_lightning", "micromega.models.deepiv.estimator", "micromega.models.deepiv.integration"]
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


@dataclass(frozen=True, kw_only=True)
class Course:
    """How an estimator's error on the grid came down.

    Attributes:
        name: whose.
        epochs: of stage 2 that were done at each look.
        seconds: CPU seconds from the start of stage 1 until then.
        errors: mean squared error on the grid then.
        each: CPU seconds of an epoch of stage 1 and of stage 2.
    """

    name: str
    epochs: tuple[int, ...]
    seconds: tuple[float, ...]
    errors: tuple[float, ...]
    each: tuple[float, float]

    def reached(self, target: float) -> float | None:
        """CPU seconds until the error was at most the target."""
        return next((at for at, error in zip(self.seconds, self.errors, strict=True) if error <= target), None)


def target_of(courses: Sequence[Course]) -> float:
    """The lowest error that each of them reaches."""
    return max(min(course.errors) for course in courses)


class Clock(pl.Callback):
    """CPU seconds of training and its held-out loss; stands still while somebody looks at the grid.

    Args:
        look: told the module after each epoch.
    """

    def __init__(self, look: Callable[[pl.LightningModule], None] = lambda module: None) -> None:
        self.look, self.seconds, self.at = look, 0.0, list[float]()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start."""
        self.began = time.process_time()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation is over: note the time, and look."""
        self.seconds += time.process_time() - self.began
        self.at.append(self.seconds)
        self.look(pl_module)
        self.began = time.process_time()


def trained(module: pl.LightningModule, stage: StageConfig, rows: Rows, held_out: Any, clock: Clock, seed: int) -> None:
    """Train one stage as `DeepIV.fit` does."""
    stop = [] if stage.patience is None else [pl.callbacks.EarlyStopping("val/best", patience=stage.patience)]
    pl.Trainer(
        max_epochs=stage.epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, callbacks=[clock, *stop],
    ).fit(module, ResumableLoader(rows, EpochBatches(len(rows), stage.batch_size, seed)), held_out)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Spent:
    """CPU seconds: of each epoch of both stages, added up, and of what lies between them."""

    first: list[float]
    between: float
    second: list[float]


def deepiv(
    data: designs.Rows, config: DeepIVModelConfig, seed: int, look: Callable[[pl.LightningModule], None]
) -> Spent:
    """Both stages of Deep IV with a clock in each."""
    values = {"t": data.t, "z": data.z, "x": data.x, "y": data.y}
    tensors = {name: torch.from_numpy(of).float() for name, of in values.items()}
    members = draw_members(config, np.arange(len(data)), seed=seed)
    seen, held_out = torch.from_numpy(members.weights), torch.from_numpy(members.held_out)
    spec = spec_of(tensors, torch.ones(len(data)))
    torch.manual_seed(seed)
    first, second = Clock(), Clock(look)
    treatment = TreatmentModule(config, spec)
    judged = held_out_batches(tensors, held_out, HELD_OUT_ROWS)
    trained(treatment, config.treatment, Rows(tensors, seen), judged, first, seed)
    began = time.process_time()
    given = integrate(
        treatment.eval(), tensors, config.outcome, weights=seen, held_out=held_out,
        mixed=torch.from_numpy(members.mixed), draw=torch.from_numpy(members.draw), batch_size=HELD_OUT_ROWS,
    )  # fmt: skip
    between = time.process_time() - began
    outcome = OutcomeModule(config, dataclasses.replace(spec, treatment=treatment.fingerprint))
    trained(outcome, config.outcome, given.rows, given.held_out, second, seed)
    return Spent(first=first.at, between=between, second=second.at)


# ---- race ----


def our_course(rows: int, seed: int, epochs: int, patience: int | None) -> Course:
    """Ours on the demand design."""
    grid = designs.demand_grid()
    price, x = (torch.from_numpy(of).float() for of in grid[:2])
    errors: list[float] = []

    def look(module: pl.LightningModule) -> None:
        assert isinstance(module, OutcomeModule)
        response = torch.cat([value.mean(dim=0)[:, 0] for _, value in blocks(module, "response", price[:, None], x)])
        errors.append(error_of(response.double().numpy(), grid[2]))

    config = DeepIVModelConfig(
        treatment=TreatmentConfig(epochs=epochs, patience=patience),
        outcome=OutcomeConfig(epochs=epochs, patience=patience),
    )
    spent = deepiv(designs.demand(rows, 0.5, seed), config, seed, look)
    before = spent.first[-1] + spent.between
    return Course(
        name=OURS if patience is None else f"{OURS}, patience {patience}",
        epochs=tuple(range(1, len(errors) + 1)),
        seconds=tuple(before + at for at in spent.second),
        errors=tuple(errors),
        each=(spent.first[-1] / len(spent.first), spent.second[-1] / len(spent.second)),
    )


def peer_course(rows: int, seed: int, epochs: int, published: bool = False) -> Course:
    """The stand-in on the same data."""
    grid, data = designs.demand_grid(), designs.demand(rows, 0.5, seed)
    model = UpperBoundDeepIV(epochs, seed=seed, published=published)
    found: list[tuple[int, float, float]] = []

    def look(stage: int, epoch: int) -> None:
        if stage == 2:
            error = error_of(model.predict(t=grid[0], x=grid[1]), grid[2])
            found.append((epoch, sum(model.seconds.values()), error))

    model.fit(x=data.x, z=data.z, t=data.t, y=data.y, watch=look)
    done, seconds, errors = zip(*found, strict=True)
    each = (model.seconds[1] / epochs, model.seconds[2] / epochs)
    return Course(name=PEER, epochs=done, seconds=seconds, errors=errors, each=each)


def error_of(response: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(np.mean((response - truth) ** 2))


def race(wanted: argparse.Namespace) -> None:
    alone(our_course, 300, 0, 1, None)  # warm-up: code and libraries come from the disk
    table: dict[str, dict[str, list[float]]] = {}
    heads = f"{'':28s} {'seed':>4s} {'lowest MSE':>10s} {'last MSE':>10s} {'CPU s':>8s} {'to target':>10s} {'GiB':>5s}"
    print(heads)
    for seed in range(wanted.seeds):
        patiences = (None,) if wanted.quick else (None, wanted.patience)
        runs = [alone(our_course, wanted.rows, seed, wanted.epochs, patience) for patience in patiences]
        runs.append(alone(peer_course, wanted.rows, seed, wanted.peer_epochs))
        target = target_of([course for course, _ in runs])
        for course, memory in runs:
            times = {"target": course.reached(target)} | {f"{of:g}": course.reached(of) for of in wanted.targets}
            print(
                f"{course.name:28s} {seed:4d} {min(course.errors):10,.0f} {course.errors[-1]:10,.0f} "
                f"{course.seconds[-1]:8.1f} {times['target'] or math.nan:10.1f} {memory:5.2f}"
            )
            held = table.setdefault(course.name, {})
            figures = {"stage 1": course.each[0], "stage 2": course.each[1], "fit": course.seconds[-1]}
            figures |= {"error": course.errors[-1], "memory": memory}
            for name, value in figures.items():
                held.setdefault(name, []).append(value)
            for name, at in times.items():
                held.setdefault(f"to {name}", []).append(math.inf if at is None else at)
    told(table, wanted)
    published, _ = alone(peer_course, wanted.rows, 0, min(3, wanted.peer_epochs), True)
    ours = [statistics.median(table[OURS][stage]) for stage in STAGES]
    for stage, mine, theirs in zip(STAGES, ours, published.each, strict=True):
        name = f"{PEER} with its loader and anomaly mode"
        print(f"figure: {name}, {wanted.rows:,} rows, an epoch of {stage} = {theirs:.3f} CPU-s")
        print(f"ratio: {OURS} against the {name}, {wanted.rows:,} rows, an epoch of {stage} = {theirs / mine:.2f}")


def told(table: dict[str, dict[str, list[float]]], wanted: argparse.Namespace) -> None:
    """Figures and ratios, medians over seeds."""
    middle = {name: {key: statistics.median(values) for key, values in of.items()} for name, of in table.items()}
    on = f"{wanted.rows:,} rows"
    units = {"error": "squared units", "memory": "GiB"}
    for name, of in middle.items():
        for key, value in of.items():
            shown = f"{value:.3g} {units.get(key, 'CPU-s')}" if math.isfinite(value) else "not reached"
            print(f"figure: {name}, {on}, {WORDS.get(key, key)} = {shown}")
    for name in [name for name in middle if name != PEER]:
        for key, value in middle[name].items():
            if math.isfinite(value) and math.isfinite(middle[PEER][key]):
                ratio = middle[PEER][key] / value
                print(f"ratio: {name} against the {PEER}, {on}, {WORDS.get(key, key)} = {ratio:.2f}")


# ---- growth ----


def drawn(rows: int, folder: str) -> None:
    """Leave posts in files, one for each array."""
    for field, values in dataclasses.asdict(designs.tiktok(rows, 0)).items():
        kept = values.astype(np.float32) if values.dtype == np.float64 else values
        np.save(Path(folder) / f"{field}.npy", kept)


def grown(folder: str, epochs: int) -> Spent:
    """Some epochs of both stages on posts from files."""
    stage = {"epochs": epochs}
    config = DeepIVModelConfig(treatment=TreatmentConfig(**stage), outcome=OutcomeConfig(**stage))
    data = designs.Rows(**{file.stem: np.load(file, mmap_mode="c") for file in Path(folder).glob("*.npy")})
    return deepiv(data, config, 0, lambda module: None)


def growth(sizes: tuple[int, ...], epochs: int) -> None:
    whole = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            alone(drawn, rows, folder)
            spent, memory = alone(grown, folder, epochs)
        first, second = (of[-1] / len(of) for of in (spent.first, spent.second))
        whole.append(first + second)
        name = f"{OURS}, {rows:,} posts"
        print(f"figure: {name}, an epoch of stage 1 = {first:.2f} CPU-s")
        print(f"figure: {name}, an epoch of stage 2 = {second:.2f} CPU-s")
        print(f"figure: {name}, nodes, once = {spent.between:.2f} CPU-s")
        print(f"figure: {name}, rows per CPU second in an epoch of both = {rows / (first + second):.0f}")
        print(f"figure: {name}, peak memory = {memory:.2f} GiB")
    exponent = math.log(whole[-1] / whole[-2]) / math.log(sizes[-1] / sizes[-2])
    print(f"figure: {OURS}, scaling of an epoch = {exponent:.2f} exponent")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000, help="of the race")
    parser.add_argument("--seeds", type=int, default=3, help="of the race")
    parser.add_argument("--epochs", type=int, default=60, help="of each of our stages")
    parser.add_argument(
        "--peer-epochs", type=int, default=100, help="of each of the stand-in's; its configuration has 300"
    )
    parser.add_argument("--patience", type=int, default=10, help="epochs, of ours with early stopping")
    parser.add_argument(
        "--targets", type=float, nargs="*", default=[5_000.0], help="grid errors besides the common one"
    )
    parser.add_argument("--growth-epochs", type=int, default=2)
    parser.add_argument("--largest", action="store_true", help="10⁶ posts as well")
    parser.add_argument("--only", choices=["race", "growth"])
    parser.add_argument("--quick", action="store_true", help="few rows and epochs")
    wanted = parser.parse_args(arguments)
    wanted.growth = (1_000, 10_000, 100_000)
    if wanted.quick:
        vars(wanted).update(QUICK)
    if wanted.largest:
        wanted.growth = (*wanted.growth, 1_000_000)
    return wanted


def main() -> None:
    wanted = options()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes to come
    calm()
    print(f"load of the machine: {', '.join(f'{load:.1f}' for load in os.getloadavg())} on {os.cpu_count()} cores")
    if wanted.only in {None, "race"}:
        race(wanted)
    if wanted.only in {None, "growth"}:
        growth(wanted.growth, wanted.growth_epochs)


if __name__ == "__main__":
    main()
