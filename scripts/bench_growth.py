"""The growth model's time against the number of posts: 10³ to 5·10⁵ posts × 14 days, 8 covariates, up to 216 hashtags.

Run `python scripts/bench_growth.py [--quick] [--noise cumulative]`. Posts are drawn from eq. 17–23 of Tian et al.
(2022, Web Appendix G), or with counts that accumulate, so that recovery is printed beside time. CPU seconds are those
of `fit_growth` alone, checks included; OMP_NUM_THREADS sets the threads. The time depends on the number of iterations,
so both are printed. `scaling` is the exponent of CPU seconds per iteration in posts between the two largest sizes: 1 is
linear.
"""

import argparse
import resource
import time
from typing import Any, Literal

import numpy as np

from micromega.models.growth import GrowthFit, fit_growth

DAYS = np.arange(1, 15)
COVARIATES, TAU, SHARE = 8, 500.0, 0.15
SIZES, QUICK = (1_000, 10_000, 100_000, 500_000), (1_000, 5_000, 20_000)


def draw(posts: int, seed: int = 0, *, cumulative: bool = False) -> dict[str, Any]:
    """Posts by eq. 17–23; impressions around 3,000 to start with, noise of 500, or of 15 % of every day's gain."""
    rng = np.random.default_rng(seed)
    hashtags = min(216, posts // 50)
    hashtag = rng.integers(0, hashtags, posts)
    x = rng.standard_normal((posts, COVARIATES))
    beta = rng.normal(0, 0.3, COVARIATES) + 0.15 * rng.standard_normal((hashtags, COVARIATES))
    alpha = rng.normal(0, 0.2, COVARIATES) + 0.1 * rng.standard_normal((hashtags, COVARIATES))
    b = 8.0 + 0.4 * rng.standard_normal(hashtags)[hashtag] + (x * beta[hashtag]).sum(1)
    b += 0.5 * rng.standard_normal(posts)
    chance = rng.standard_normal(posts)
    first = np.exp(b + SHARE * chance) if cumulative else np.maximum(np.exp(b) + TAU * chance, 0)
    a = 7.0 + 0.3 * rng.standard_normal(hashtags)[hashtag] + (x * alpha[hashtag]).sum(1) + 1e-5 * first
    a += 0.6 * rng.standard_normal(posts)
    chance = rng.standard_normal((posts, len(DAYS)))
    if cumulative:
        gain = np.exp(a)[:, None] * np.diff(np.log(DAYS), prepend=0.0) * np.exp(SHARE * chance - SHARE**2 / 2)
        y = first[:, None] + np.cumsum(gain, axis=1)
    else:
        y = np.exp(a)[:, None] * np.log(DAYS) + np.exp(b)[:, None] + TAU * chance
        y[:, 0] = first
    return {"impressions": np.maximum(y, 0), "hashtag": hashtag, "covariates": x, "a": a, "b": b}


def timed(data: dict[str, Any], noise: Literal["absolute", "cumulative"]) -> tuple[GrowthFit, float, float]:
    """The fit, CPU seconds and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    fit = fit_growth(data["impressions"], DAYS, data["hashtag"], data["covariates"], noise=noise)
    return fit, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at most 20,000 posts")
    parser.add_argument("--noise", choices=("absolute", "cumulative"), default="absolute", help="of counts and fit")
    args = parser.parse_args()
    sizes, cumulative = QUICK if args.quick else SIZES, args.noise == "cumulative"
    timed(draw(500, cumulative=cumulative), args.noise)  # warm-up
    each = []
    print("   posts   CPU s  wall s iterations    tau  rmse a  rmse b  95 % cover a, b")
    for posts in sizes:
        data = draw(posts, cumulative=cumulative)
        fit, cpu, wall = timed(data, args.noise)
        each.append(cpu / fit.iterations)
        error = {name: getattr(fit, name) - data[name] for name in ("a", "b")}
        rmse = {name: np.sqrt(np.mean(values**2)) for name, values in error.items()}
        cover = {name: np.mean(np.abs(values) < 1.96 * getattr(fit, f"{name}_sd")) for name, values in error.items()}
        print(
            f"{posts:8d} {cpu:7.2f} {wall:7.2f} {fit.iterations:10d} {fit.tau:6.4g} {rmse['a']:7.3f} {rmse['b']:7.3f}  "
            f"{cover['a']:.3f}, {cover['b']:.3f}{'' if fit.converged else ' (not converged)'}"
        )
        print(f"figure: growth fit of {posts} posts = {cpu:.2f} CPU-s")
        print(f"figure: growth fit of {posts} posts, wall = {wall:.2f} s")
    exponent = np.log(each[-1] / each[-2]) / np.log(sizes[-1] / sizes[-2])
    print(f"figure: growth scaling = {exponent:.2f} exponent")
    print(f"figure: peak memory = {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
