"""Stable allocation beside two libraries, and its growth with the number of creators.

    python scripts/bench_matching.py [--quick] [--largest 1000000]

Games: every creator wants 10 products; half as many products as creators, a fifth as many merchants; quotas a tenth
above what is wanted (products) and just that (merchants); popularity of products with a long tail. CPU seconds of this
process, the best of three for ours after a warm-up, once for the libraries (extras `dev` and `bench`; one that is
missing is said). `matching` copies its players recursively, which needs a deep stack from some 300 creators on: it gets
one. Exits with 1 where an answer of a library is another, or a case fails; with 2 on bad options.
"""

import argparse
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from micromega.solvers.matching import allocate

WANTED = 10
SECOND_LARGEST = 100_000


def draw(creators: int, seed: int = 1, wanted: int = WANTED) -> dict[str, Any]:
    """A game as CSR arrays."""
    rng = np.random.default_rng(seed)
    products, merchants = max(creators // 2, wanted), max(creators // 5, 2)
    weight = np.exp(0.5 * rng.standard_normal(products))
    # Draws with repeats, of which the first distinct ones count.
    chosen = np.argsort(rng.random((creators, 3 * wanted)), axis=1)
    drawn = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random((creators, 3 * wanted)))
    drawn = np.take_along_axis(np.minimum(drawn, products - 1), chosen, axis=1)
    product = np.empty(creators * wanted, np.int64)
    size = np.zeros(creators, np.int64)
    for column in range(3 * wanted):
        new = size < wanted
        held = product.reshape(creators, wanted)
        for place in range(wanted):
            new &= ~((place < size) & (held[:, place] == drawn[:, column]))
        rows = np.flatnonzero(new)
        held[rows, size[rows]] = drawn[rows, column]
        size[rows] += 1
    keep = np.arange(wanted)[None] < size[:, None]
    product = product.reshape(creators, wanted)[keep]
    start = np.concatenate([[0], np.cumsum(size)])
    merchant = np.concatenate([np.arange(merchants), rng.integers(0, merchants, products - merchants)])
    load = np.maximum(1, np.round(1.1 * weight / weight.sum() * creators)).astype(np.int64)
    total = np.bincount(merchant, weights=load, minlength=merchants)
    largest = np.zeros(merchants, np.int64)
    np.maximum.at(largest, merchant, load)
    owner = np.repeat(np.arange(creators), size)
    pairs = np.unique(merchant[product] * creators + owner)
    lister, listed = pairs // creators, pairs % creators
    order = np.lexsort((rng.random(len(pairs)), lister))
    return {
        "creator_preferences": (start, product),
        "merchant_preferences": (np.concatenate([[0], np.cumsum(np.bincount(lister, minlength=merchants))]),
                                 listed[order]),
        "product_merchant": merchant,
        "product_quota": load,
        "merchant_quota": np.clip(np.round(total / 1.1), largest, total).astype(np.int64),
    }  # fmt: skip


def as_lists(game: dict[str, Any]) -> dict[str, Any]:
    """The same as Python lists."""
    found = {}
    for name, of in game.items():
        if isinstance(of, tuple):
            found[name] = [part.tolist() for part in np.split(of[1], of[0][1:-1])]
        else:
            found[name] = of.tolist()
    return found


def timed(work: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """CPU seconds, the best of some, and the last result."""
    seconds = []
    for _ in range(times):
        began = time.process_time()
        result = work()
        seconds.append(time.process_time() - began)
    return min(seconds), result


def by_matching(of: dict[str, Any], side: str) -> list[int]:
    """Build and solve with the library `matching`."""
    from matching.games import StudentAllocation  # noqa: PLC0415

    game = StudentAllocation.create_from_dictionaries(
        {f"s{c}": [f"p{p}" for p in wanted] for c, wanted in enumerate(of["creator_preferences"])},
        {f"l{v}": [f"s{c}" for c in listed] for v, listed in enumerate(of["merchant_preferences"])},
        {f"p{p}": f"l{v}" for p, v in enumerate(of["product_merchant"])},
        {f"p{p}": quota for p, quota in enumerate(of["product_quota"])},
        {f"l{v}": quota for v, quota in enumerate(of["merchant_quota"])},
    )
    found = [-1] * len(of["creator_preferences"])
    for product, creators in game.solve(optimal="student" if side == "creators" else "supervisor").items():
        for creator in creators:
            found[int(creator.name[1:])] = int(product.name[1:])
    return found


def by_algmatch(of: dict[str, Any], side: str) -> list[int]:
    """Build and solve with the library `algmatch`."""
    from algmatch import StudentProjectAllocation  # noqa: PLC0415

    merchant = of["product_merchant"]
    quotas = zip(of["merchant_quota"], of["merchant_preferences"], strict=True)
    game = StudentProjectAllocation(
        dictionary={
            "students": {c + 1: [p + 1 for p in wanted] for c, wanted in enumerate(of["creator_preferences"])},
            "projects": {
                p + 1: {"capacity": quota, "lecturer": merchant[p] + 1} for p, quota in enumerate(of["product_quota"])
            },
            "lecturers": {
                v + 1: {"capacity": quota, "preferences": [c + 1 for c in listed]}
                for v, (quota, listed) in enumerate(quotas)
            },
        },
        optimised_side="students" if side == "creators" else "lecturers",
    )
    found = [-1] * len(of["creator_preferences"])
    for student, project in game.get_stable_matching()["student_sided"].items():
        if project:
            found[int(str(student)[1:]) - 1] = int(str(project)[1:]) - 1
    return found


def only_wanted(game: dict[str, Any]) -> dict[str, Any]:
    """Leave products out that nobody wants, and merchants without any."""
    start, product = game["creator_preferences"]
    kept, product = np.unique(product, return_inverse=True)
    merchant = game["product_merchant"][kept]
    known, merchant = np.unique(merchant, return_inverse=True)
    begin, listed = game["merchant_preferences"]
    lists = [listed[begin[v] : begin[v + 1]] for v in known]
    quota = game["product_quota"][kept]
    total = np.bincount(merchant, weights=quota).astype(np.int64)
    largest = np.zeros(len(known), np.int64)
    np.maximum.at(largest, merchant, quota)
    return {
        "creator_preferences": (start, product),
        "merchant_preferences": (np.concatenate([[0], np.cumsum([len(of) for of in lists])]), np.concatenate(lists)),
        "product_merchant": merchant,
        "product_quota": quota,
        "merchant_quota": np.clip(game["merchant_quota"][known], largest, total),
    }


def beside_libraries(sizes: list[int]) -> bool:
    """Time both sides from lists, conversion counted; whether all answers are the same."""
    agreed = True
    print(
        "| creators | side | ours, lists | ours, arrays | matching | algmatch | same |\n|---|---|---|---|---|---|---|"
    )
    for creators in sizes:
        game = only_wanted(draw(creators))
        lists = as_lists(game)
        for side in ("creators", "merchants"):
            of_lists, ours = timed(lambda s=side, g=lists: allocate(**g, optimal_for=s), 3)
            of_arrays, _ = timed(lambda s=side, g=game: allocate(**g, optimal_for=s), 3)
            cells, same = [], []
            for name, peer in (("matching", by_matching), ("algmatch", by_algmatch)):
                try:
                    seconds, found = timed(lambda s=side, g=lists, p=peer: p(g, s))
                except ImportError:
                    cells.append("missing")
                    continue
                cells.append(f"{seconds:.2f}")
                same.append(found == ours.product.tolist())
                print(f"ratio: {name}, {creators} creators, {side}, from lists = {seconds / of_lists:.0f}")
            agreed &= all(same)
            agree = "yes" if same and all(same) else "no" if same else "–"
            print(f"| {creators:,} | {side} | {of_lists:.4f} | {of_arrays:.4f} | {' | '.join(cells)} | {agree} |")
    return agreed


def growth(sizes: list[int]) -> None:
    """Time both sides from arrays, with the independent check."""
    print("\n| creators | pairs | for creators, CPU s | for merchants, CPU s | matched | peak memory, GiB |")
    print("|---|---|---|---|---|---|")
    seen = []
    for creators in sizes:
        game = draw(creators)
        pairs = len(game["creator_preferences"][1])
        before = peak()
        times = 3 if creators <= 100_000 else 1
        found = [
            timed(lambda s=side, g=game: allocate(**g, optimal_for=s), times) for side in ("creators", "merchants")
        ]
        first, second = (seconds for seconds, _ in found)
        size = found[0][1].check.size
        print(f"| {creators:,} | {pairs:,} | {first:.3f} | {second:.3f} | {size:,} | {peak():.2f} ({before:.2f}) |")
        seen.append((pairs, first))
    print("Peak memory of the process; in brackets before solving: the drawing of the game.")
    (few, low), (many, high) = seen[-2:]
    print(f"figure: exponent of time in pairs = {np.log(high / low) / np.log(many / few):.2f}")
    print(f"figure: {sizes[-1]} creators = {high:.2f} CPU s")


def lengths(creators: int, wanted: list[int]) -> None:
    """Time one number of creators with longer and longer lists."""
    print(f"\n| {creators:,} creators, list length | pairs | CPU s | microseconds a pair |\n|---|---|---|---|")
    seen = []
    for many in wanted:
        game = draw(creators, wanted=many)
        pairs = len(game["creator_preferences"][1])
        seconds, _ = timed(lambda g=game: allocate(**g), 3)
        print(f"| {many} | {pairs:,} | {seconds:.3f} | {1e6 * seconds / pairs:.2f} |")
        seen.append((pairs, seconds))
    (few, low), (most, high) = seen[0], seen[-1]
    print(f"figure: exponent of time in list length = {np.log(high / low) / np.log(most / few):.2f}")


def others(creators: int) -> None:
    """Time what else there is: ties, several products, least regret."""
    game = draw(creators)
    (start, product), (begin, creator) = game["creator_preferences"], game["merchant_preferences"]
    place = [
        np.arange(len(of)) - np.repeat(first[:-1], np.diff(first)) for first, of in ((start, product), (begin, creator))
    ]
    tied = {
        **game,
        "creator_preferences": (start, product, place[0] // 3),
        "merchant_preferences": (begin, creator, place[1] // 10),
    }
    two = {**game, "creator_quota": np.full(creators, 2)}
    print(f"\n| {creators:,} creators | CPU s | matched |\n|---|---|---|")
    for words, of, more in (
        ("ties of 3 and of 10", tied, {}),
        ("two products each, for creators", two, {}),
        ("two products each, for merchants", two, {"optimal_for": "merchants"}),
        ("least regret", game, {"optimal_for": "minimum_regret"}),
        ("merchants take anybody", {**game, "merchant_preferences": None}, {}),
    ):
        allocate(**of, **more)  # compiles
        seconds, found = timed(lambda o=of, m=more: allocate(**o, **m))
        print(f"| {words} | {seconds:.3f} | {found.check.size:,} |")


def peak() -> float:
    """Largest memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="small games")
    args = parser.parse_args()
    if args.largest <= SECOND_LARGEST:
        parser.error(f"--largest: give a number above {SECOND_LARGEST}")
    return args


def run(args: argparse.Namespace) -> bool:
    """Run all parts; whether the libraries agree."""
    for side in ("creators", "merchants"):
        allocate(**draw(50), optimal_for=side)  # compiles
    agreed = beside_libraries([100, 300] if args.quick else [1_000, 3_000])
    lengths(10_000 if args.quick else 100_000, [5, 10, 20])
    others(10_000 if args.quick else 100_000)
    growth([10_000, SECOND_LARGEST] if args.quick else [10_000, SECOND_LARGEST, args.largest])
    return agreed


def main() -> int:
    """Run in a thread with a deep stack; exit status."""
    args, agreed = options(), []
    sys.setrecursionlimit(10**8)
    threading.stack_size(2**31 - 4096 * 4)
    thread = threading.Thread(target=lambda: agreed.append(run(args)))
    thread.start()
    thread.join()
    if agreed == [False]:
        print("A library's answer is another than ours.", file=sys.stderr)
    return 0 if agreed == [True] else 1  # empty: the thread has printed why it ended


if __name__ == "__main__":
    sys.exit(main())
