"""Play campaigns in waves with each policy and print which share of the clairvoyant bound it reaches.

    python scripts/adaptive_table.py [--quick] [--seeds 10]

The bound is what somebody who knew all true effects could expect at most (the linear relaxation), so a share is lower
than that of the best possible plan. A seed draws prices, beliefs, true effects and noise; all policies meet the same.
Creators differ in size by a factor of 2.2 (one deviation), prices grow with size to the power of 0.8, three kinds of
post cost and bring more or less; `prior` is the deviation of true effects around what is believed, as a share of the
belief times two; one post's noise has 0.6 of its belief. "plan once" spends the budget evenly by its first plan.
"""

import argparse
import time

import numpy as np

from micromega.solvers.adaptive import POLICIES, Policy, WavesProblem, draw_effects, optimistic, play, thompson

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two seeds")
    args = parser.parse_args()
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
