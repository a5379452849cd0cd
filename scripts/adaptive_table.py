"""Play campaigns in waves with each policy and print which share of the clairvoyant bound it reaches.

    python scripts/adaptive_table.py [--quick] [--seeds 10]
    python scripts/adaptive_table.py --market runs/markets/simulated-… --scores runs/…/effectiveness.parquet

The bound is what somebody who knew all true effects could expect at most (the linear relaxation), so a share is lower
than that of the best possible plan. A seed draws prices, beliefs, true effects and noise; all policies meet the same.
Creators differ in size by a factor of 2.2 (one deviation), prices grow with size to the power of 0.8, three kinds of
post cost and bring more or less; `prior` is the deviation of true effects around what is believed, as a share of the
belief times two; one post's noise has 0.6 of its belief. "plan once" spends the budget evenly by its first plan.

With --market and --scores: brands of a simulated market, arms of a creator and a content type, what is believed of
them from a table of effectiveness (mean over events and days; std less what one post varies anyway, --noise in logs),
what is true from the simulator. --waves waves, --cap posts a creator, a budget of --budget.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from micromega.market import Market
from micromega.market.simulated.known import true_outcome
from micromega.solvers.adaptive import POLICIES, Policy, WavesProblem, draw_effects, optimistic, play, thompson

Reals = NDArray[np.float64]
SETTINGS = {"900 arms, 20 waves": (300, 20, 5), "90 arms, 100 waves": (30, 100, 60)}
TRIED: dict[str, Policy] = {
    "random": POLICIES["random"],
    "plan once": POLICIES["plan_once"],
    "re-solve, posterior mean": POLICIES["greedy"],
    "re-solve, mean + 1 sd": POLICIES["optimistic"],
    "re-solve, mean + 0.5 sd": optimistic(0.5),
    "Thompson sampling": POLICIES["thompson"],
    "Thompson sampling, 0.3 sd": thompson(0.3),
}


def draw(seed: int, creators: int, waves: int, cap: int, prior: float) -> WavesProblem:
    """Draw a campaign."""
    rng = np.random.default_rng(seed)
    kinds, arms = 3, 3 * creators
    size = np.exp(rng.normal(0, 0.8, creators)).repeat(kinds)
    price = size**0.8 * np.tile([1.0, 1.7, 2.6], creators) * np.exp(rng.normal(0, 0.2, arms))
    mean = size * np.tile([1.0, 1.5, 2.0], creators) * np.exp(rng.normal(0, 0.3, arms))
    return WavesProblem(
        creator=np.repeat(np.arange(creators), kinds),
        price=price,
        mean=mean,
        std=prior * 0.5 * mean,
        noise=0.6 * mean,
        budget=float(0.15 * cap * price.reshape(creators, kinds).min(axis=1).sum()),
        waves=waves,
        cap=np.full(creators, cap),
    )


def from_market(args: argparse.Namespace) -> Iterator[tuple[WavesProblem, Reals]]:
    """One campaign for each brand of a table of effectiveness, with the true effects."""
    market, table = Market.load(args.market), pq.read_table(args.scores)
    table = table.filter(pc.greater(table["price"], 0))
    events = market.table("events")
    owner = dict(zip(events["event_id"].to_pylist(), events["brand_id"].to_pylist(), strict=True))
    brand = np.asarray([owner[event] for event in table["event_id"].to_pylist()], str)
    for name in np.unique(brand):
        mine = table.filter(pa.array(brand == name))
        keys = ("creator_id", "content_type", "event_id", "offset_days")
        truth = np.asarray(true_outcome(market, **{key: mine[key].to_pylist() for key in keys}).impressions, float)
        creator, kind = (np.asarray(mine[key].to_pylist(), str) for key in keys[:2])
        creators, who = np.unique(creator, return_inverse=True)
        kinds, what = np.unique(kind, return_inverse=True)
        arm, code = np.unique(who * len(kinds) + what, return_inverse=True)
        many = np.bincount(code)
        mean, true, price, std = (
            np.bincount(code, weights=of) / many
            for of in (mine["mean"].to_numpy(), truth, mine["price"].to_numpy(), mine["std"].to_numpy())
        )
        varies = mean * np.sqrt(np.expm1(args.noise**2))  # of a lognormal outcome
        yield (
            WavesProblem(
                creator=arm // len(kinds),
                price=price,
                mean=mean,
                std=np.sqrt(np.maximum(std**2 - varies**2, (0.1 * mean) ** 2)),
                noise=varies,
                budget=args.budget,
                waves=args.waves,
                cap=np.full(len(creators), args.cap),
            ),
            true,
        )


def on_the_market(args: argparse.Namespace) -> None:
    """Play each brand's campaign and print shares."""
    shares: dict[str, list[float]] = {policy: [] for policy in TRIED}
    for problem, effect in from_market(args):
        for policy, of in TRIED.items():
            games = [play(problem, effect, of, seed=seed).share for seed in range(args.seeds)]
            shares[policy].append(float(np.mean(games)))
    what = (
        f"budget {args.budget:,.0f}, {args.waves} waves, {args.cap} posts a creator, {args.seeds} draws of noise each"
    )
    print(f"{len(shares['random'])} brands, {what}")
    print("| policy | share of the clairvoyant bound | range over brands |\n|---|---|---|")
    for policy, found in shares.items():
        print(f"| {policy} | {np.mean(found):.3f} | {min(found):.3f} to {max(found):.3f} |")
    points = 100 * (np.mean(shares["re-solve, mean + 1 sd"]) - np.mean(shares["plan once"]))
    print(f"figure: re-solving beats planning once on the simulated market = {points:.1f} points of the bound")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two seeds")
    parser.add_argument("--market", type=Path, help="folder of a simulated market")
    parser.add_argument("--scores", type=Path, help="effectiveness.parquet of that market")
    parser.add_argument("--budget", type=float, default=20_000.0)
    parser.add_argument("--waves", type=int, default=20)
    parser.add_argument("--cap", type=int, default=5)
    parser.add_argument("--noise", type=float, default=0.35, help="deviation of the log of what one post brings")
    args = parser.parse_args()
    if args.market:
        on_the_market(args)
        return
    began = time.process_time()
    for name, (creators, waves, cap) in SETTINGS.items():
        print(f"\n{name}\n\n| policy | prior 0.5 | prior 1 | prior 2 |\n|---|---|---|---|")
        shares = {policy: np.zeros((3, 2 if args.quick else args.seeds)) for policy in TRIED}
        for column, prior in enumerate((0.5, 1.0, 2.0)):
            for seed in range(shares["random"].shape[1]):
                problem = draw(seed, creators, waves, cap, prior)
                # An effect is not negative, so beliefs are cut where truth is drawn.
                effect = np.maximum(draw_effects(problem, np.random.default_rng([seed, 2])), 0.0)
                for policy, of in TRIED.items():
                    shares[policy][column, seed] = play(problem, effect, of, seed=seed).share
        for policy, found in shares.items():
            errors = found.std(axis=1, ddof=1) / np.sqrt(found.shape[1])
            cells = " | ".join(f"{m:.3f} ± {e:.3f}" for m, e in zip(found.mean(axis=1), errors, strict=True))
            print(f"| {policy} | {cells} |")
        better = (shares["re-solve, mean + 1 sd"] - shares["plan once"]).mean(axis=1) * 100
        for prior, points in zip((0.5, 1, 2), better, strict=True):
            print(f"figure: re-solving beats planning once, {name}, prior {prior} = {points:.1f} points of the bound")
    print(f"figure: whole table = {time.process_time() - began:.1f} CPU s")


if __name__ == "__main__":
    main()
