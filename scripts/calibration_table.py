"""Compare the simulated TikTok market with Tian, Dew & Iyengar (2022): Tables 1, 4 and 6, and the instrument.

    python scripts/calibration_table.py [--quick] [--seed 0]

Posts of creators count, those of brands do not. Figures of the paper that contradict others of its own are not matched;
the table marks them with *.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from micromega.market import Market, simulate

BRANDS, POSTS = 12, 5
TABLE_1 = {
    "Followers": (486_169, 1_335_649, 2, 60_102, 71_000_679),
    "Impressions": (1_038_728, 2_468_832, 109, 4_444_500, 165_200_000),
}
TABLE_6 = {
    "Num Hashtags": (6.662, 3.275, 0, 6, 47),
    "Num Trending": (1.078, 0.853, 0, 1, 10),
    "Has FYP": (0.604, 0.489, 0, 1, 1),
    "Hashtag Age": (6.003, 13.316, 0, 1, 148),
    "Is Trending": (0.767, 0.423, 0, 1, 1),
    "Ranking": (1029, 586.495, 1, 1_037, 2_000),
    "Video Age": (35.212, 102.947, 0, 1.327, 2_015),
    "Is sponsored": (0.001, 0.031, 0, 0, 1),
    "Is verified": (0.003, 0.171, 0, 0, 1),
}
MISPRINTS = {
    ("Impressions", "median"): "the median cannot be above twice the mean; 444,450 fits",
    ("Is verified", "mean"): "a share of 0.003 has a standard deviation of 0.055; 0.030 fits 0.171",
}
TIERS = np.log([1, 1e3, 1e4, 5e4, 5e5, 1e6, 71_000_679])
TIER_NAMES = ("sub-nano", "nano", "micro", "mid-tier", "macro", "mega")
TABLE_4 = {  # averages of the campaigns of each shape
    "s-shaped": (0.1825, 0.4725, 0.5200, 0.2625, 0.1200, 0.0525),
    "linear": (0.2231, 0.2756, 0.2506, 0.2762, 0.2663, 0.2325),
    "concave": (0.4930, 0.2710, 0.2090, 0.1500, 0.1040, 0.0450),
}
STATISTICS = ("mean", "sd", "min", "median", "max")


def of_creators(market: Market) -> dict[str, np.ndarray]:
    """The variables of Tables 1 and 6 for posts of creators."""
    posts = market.table("posts")
    posts = posts.filter(pc.starts_with(posts["account_id"], "c"))
    accounts = market.table("accounts")
    author = pc.index_in(posts["account_id"], value_set=accounts["account_id"].combine_chunks())
    lists = posts["hashtags"].combine_chunks()
    has_fyp = np.zeros(len(posts), dtype=bool)
    has_fyp[np.asarray(pc.list_parent_indices(lists).filter(pc.equal(pc.list_flatten(lists), "fyp")))] = True
    return {
        "Followers": posts["author_followers"].to_numpy(),
        "Impressions": posts["impressions"].to_numpy(),
        "Num Hashtags": pc.list_value_length(lists).to_numpy(),
        "Num Trending": posts["trending_hashtags"].to_numpy(),
        "Has FYP": has_fyp,
        "Hashtag Age": posts["hashtag_age_days"].to_numpy(),
        "Is Trending": posts["is_trending"].to_numpy(),
        "Ranking": posts["ranking"].to_numpy(),
        "Video Age": posts["age_days"].to_numpy(),
        "Is sponsored": posts["sponsored"].to_numpy(),
        "Is verified": accounts["verified"].take(author).to_numpy(),
        "past": posts["past_hearts"].to_numpy(),
    }


def moments(values: np.ndarray) -> tuple[float, ...]:
    """Mean, standard deviation, smallest, median, largest."""
    numbers = values.astype(np.float64)
    return numbers.mean(), numbers.std(), numbers.min(), float(np.median(numbers)), numbers.max()


def short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3f}".rstrip("0").rstrip(".")


def print_moments(found: dict[str, np.ndarray], paper: dict[str, tuple[float, ...]], table: str) -> None:
    print(f"\n| {table} | " + " | ".join(f"{name}: paper | simulated" for name in STATISTICS) + " |")
    print("|---" * (1 + 2 * len(STATISTICS)) + "|")
    for name, wanted in paper.items():
        cells = []
        for statistic, theirs, ours in zip(STATISTICS, wanted, moments(found[name]), strict=True):
            star = "*" if (name, statistic) in MISPRINTS else ""
            cells.append(f"{short(theirs)}{star} | {short(ours)}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def print_tiers(market: Market) -> None:
    curves = market.truth("curves")
    print("\n| Table 4, elasticity: paper / simulated | " + " | ".join(TIER_NAMES) + " |")
    print("|---" * 7 + "|")
    for kind, wanted in TABLE_4.items():
        rows = curves.filter(pc.equal(curves["kind"], kind))
        log_followers, fei = rows["log_followers"].to_numpy(), rows["fei"].to_numpy()
        cells = []
        for low, high, theirs in zip(TIERS[:-1], TIERS[1:], wanted, strict=True):
            ours = np.interp(np.linspace(low, high, 200), log_followers, fei).mean()
            cells.append(f"{theirs:.2f} / {ours:.2f}")
        print(f"| {kind} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="50,000 posts instead of 518,300")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    creators = (50_000 if options.quick else 518_300) // POSTS
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        market = simulate(
            seed=options.seed, brands=BRANDS, creators=creators, posts=POSTS, audience="tiktok", view_days=0,
            products=0, follows=0, folder=Path(folder) / "market",
        )  # fmt: skip
        found = of_creators(market)
        print(f"{len(found['past']):,} posts of {creators:,} creators, seed {options.seed}")
        print_moments(found, TABLE_1, "Table 1")
        print_moments(found, TABLE_6, "Table 6")
        print_tiers(market)
    correlation = np.corrcoef(np.log(found["past"]), np.log(found["Followers"]))[0, 1]
    print("\n| instrument (logs) | paper | simulated |\n|---|---|---|")
    print(f"| corr(past hearts, followers) | 0.736 | {correlation:.3f} |\n| R² | 0.542 | {correlation**2:.3f} |")
    print("\n* not matched on purpose, the paper contradicts itself:")
    for (name, statistic), why in MISPRINTS.items():
        print(f"  {name}, {statistic}: {why}.")
    print("  Number of videos: 216 hashtags of 1,500 to 2,000 are at most 432,000, not 518,303.")
    print(f"\nfigure: calibration_seconds = {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
