"""Cascades per second beside other libraries, and the time that the best seeds take.

    python scripts/bench_cascade.py [--quick] [--data ../shared/data] [--only nethept]

Simulations: Independent Cascade from the ten nodes of highest degree, on the Facebook graph (4,039 nodes, both
directions) and on a Barabási–Albert graph of 10⁶ directed edges, in one process without threads. Every engine runs for
some CPU seconds in turn, several times over after a warm-up; rates are medians, ratios medians of the rounds' ratios.
Preparation is timed apart. Seeds: k = 50 on NetHEPT and soc-Epinions1 (weighted cascade), and growth with the number of
edges. Peers are the extra `bench`; one that is missing, and data that are, are said. `--only nethept`: what the seeds
of each algorithm reach on NetHEPT by 40,000 simulations, in Independent Cascade and in linear threshold, nothing else.
"""

import argparse
import gzip
import math
import os
import random
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np

from micromega.solvers.cascade import Network, distinct_edges, maximise_influence, spread
from micromega.solvers.cascade.chances import over_in_degree
from micromega.solvers.cascade.simulate import simulate
from micromega.solvers.cascade.simulate_torch import simulate_on

K = 50
Runner = Callable[[int], np.ndarray]
"""Runs a chunk of cascades, given its number; gives their sizes."""


def facebook(data: Path) -> tuple[np.ndarray, int]:
    lines = read(data / "snap-ego-facebook" / "facebook_combined.txt.gz", 0)
    return distinct_edges(lines, int(lines.max()) + 1, both_directions=True)[0], int(lines.max()) + 1


def barabasi_albert(nodes: int) -> tuple[np.ndarray, int]:
    graph = nx.barabasi_albert_graph(nodes, 5, seed=7)
    return distinct_edges(np.array(graph.edges), nodes, both_directions=True)[0], nodes


def read(path: Path, skip: int) -> np.ndarray:
    with gzip.open(path, "rt") as file:
        return np.array(file.read().split()[skip:], np.int64).reshape(-1, 2)


# --- engines: prepare, then run chunks ---


def ours(network: Network, seeds: np.ndarray, chunk: int) -> Runner:
    network.arrivals  # noqa: B018  (prepares)
    return lambda number: simulate(network, seeds, chunk, seed=number)


def ours_torch(network: Network, seeds: np.ndarray, chunk: int) -> Runner:
    return lambda number: simulate_on(network, seeds, chunk, seed=number)


def by_cynetdiff(network: Network, seeds: np.ndarray, chunk: int) -> Runner:
    from cynetdiff.models import IndependentCascadeModel  # noqa: PLC0415

    start, target = array("I", network.start[:-1].tolist()), array("I", network.target.tolist())
    if np.ptp(network.probability) == 0:
        model = IndependentCascadeModel(start, target, activation_prob=float(network.probability[0]))
    else:
        chances = array("f", network.probability.tolist())
        model = IndependentCascadeModel(start, target, activation_probs=chances)
    model.set_seeds(seeds.tolist())

    def run(number: int) -> np.ndarray:
        sizes = []
        for _ in range(chunk):
            model.reset_model()
            model.advance_until_completion()
            sizes.append(model.get_num_activated_nodes())
        return np.array(sizes)

    return run


def by_ndlib(network: Network, seeds: np.ndarray, chunk: int) -> Runner:
    from ndlib.models.epidemics import IndependentCascadesModel  # noqa: PLC0415
    from ndlib.models.ModelConfig import Configuration  # noqa: PLC0415

    graph = nx.DiGraph()
    graph.add_nodes_from(range(network.nodes))
    edges = list(zip(network.source.tolist(), network.target.tolist(), strict=True))
    graph.add_edges_from(edges)
    settings = Configuration()
    settings.add_model_initial_configuration("Infected", seeds.tolist())
    for edge, chance in zip(edges, network.probability.tolist(), strict=True):
        settings.add_edge_configuration("threshold", edge, chance)
    model = IndependentCascadesModel(graph)
    model.set_initial_status(settings)

    def run(number: int) -> np.ndarray:
        sizes = []
        for _ in range(chunk):
            model.reset(infected_nodes=seeds.tolist())
            while (step := model.iteration())["node_count"][1]:
                pass
            sizes.append(step["node_count"][2])
        return np.array(sizes)

    return run


def by_networkx(network: Network, seeds: np.ndarray, chunk: int) -> Runner:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(network.nodes))
    edges = zip(network.source.tolist(), network.target.tolist(), network.probability.tolist(), strict=True)
    graph.add_weighted_edges_from(edges)
    draws = random.Random(1)

    def run(number: int) -> np.ndarray:
        sizes = []
        for _ in range(chunk):
            active = set(seeds.tolist())
            new = list(active)
            while new:
                tried, new = new, []
                for v in tried:
                    for w, edge in graph.adj[v].items():
                        if w not in active and draws.random() < edge["weight"]:
                            active.add(w)
                            new.append(w)
            sizes.append(len(active))
        return np.array(sizes)

    return run


ENGINES = {
    "ours": (ours, 50),
    "ours, torch": (ours_torch, 20),
    "cynetdiff": (by_cynetdiff, 10),
    "networkx": (by_networkx, 1),
    "ndlib": (by_ndlib, 1),
}


def simulations(name: str, network: Network, engines: list[str], seconds: float, rounds: int) -> None:
    """Run all engines in turn; print rates, ratios and whether the spreads agree."""
    seeds = np.sort(np.argsort(-np.diff(network.start), kind="stable")[:10])
    runners, prepared = {}, {}
    for engine in engines:
        prepare, chunk = ENGINES[engine]
        began = time.process_time()
        try:
            runners[engine] = prepare(network, seeds, chunk)
        except ImportError:
            print(f"| {name} | {engine} | missing: pip install 'micromega[bench]' | | | |")
            continue
        prepared[engine] = time.process_time() - began
        runners[engine](0)
    rates = {engine: [] for engine in runners}
    sizes = {engine: [] for engine in runners}
    for number in range(rounds):
        for engine, run in runners.items():
            began, many = time.process_time(), 0
            while (spent := time.process_time() - began) < seconds or not many:
                sizes[engine].append(run(1 + number * 1_000_000 + many))
                many += 1
            rates[engine].append(many * ENGINES[engine][1] / spent)
    means = {engine: summary(np.concatenate(of)) for engine, of in sizes.items()}
    for engine, (mean, error) in means.items():
        z = (mean - means["ours"][0]) / (math.hypot(error, means["ours"][1]) or 1)
        agree = "" if engine == "ours" else "yes" if abs(z) < 4 else f"NO (z = {z:.1f})"
        rate = f"{np.median(rates[engine]):,.0f}" if rates[engine][0] > 20 else f"{np.median(rates[engine]):.2f}"
        print(f"| {name} | {engine} | {prepared[engine]:.2f} | {rate} | {mean:,.1f} ± {error:.1f} | {agree} |")
    for engine in runners:
        factor = np.median(np.array(rates["ours"]) / rates[engine])
        if engine != "ours":
            print(f"ratio: cascades per CPU second over {engine}, {name} = {factor:.1f}")


def summary(sizes: np.ndarray) -> tuple[float, float]:
    return float(sizes.mean()), float(sizes.std(ddof=1) / math.sqrt(len(sizes)))


def seeds_on(name: str, edges: np.ndarray, multiplicity: np.ndarray | None, nodes: int, methods: list[str]) -> None:
    chance = over_in_degree(edges, nodes, multiplicity=multiplicity)
    for method in methods:
        began = time.process_time()
        found = maximise_influence(edges, chance, K, nodes=nodes, method=method, seed=1)
        spent = time.process_time() - began
        proven, (low, high) = found.guarantee, found.spread.interval
        sure = "on its worlds" if proven.confidence is None else f"probability {proven.confidence:.5f}"
        print(f"| {name} | {method} | {spent:.2f} | {low:,.0f} to {high:,.0f} | {proven.ratio:.3f}, {sure} |")
        print(f"figure: {K} seeds, {name}, {method} = {spent:.2f} CPU s")


def nethept(data: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Edges, how many lines each stands for, and nodes."""
    lines = read(data / "im-benchmark-graphs" / "NetHEPT.txt.gz", 2)
    return *distinct_edges(lines, 15_233, both_directions=True), 15_233


def judge(edges: np.ndarray, multiplicity: np.ndarray, nodes: int, methods: list[str], simulations: int) -> None:
    """Print what the seeds of each algorithm reach in either model, by simulations that none of them used."""
    chance = over_in_degree(edges, nodes, multiplicity=multiplicity)
    print("| model | algorithm | CPU s to choose | mean spread | standard error |\n|---|---|---|---|---|")
    for model in ("ic", "lt"):
        for method in methods:
            began = time.process_time()
            found = maximise_influence(
                edges, chance, K, nodes=nodes, method=method, model=model, seed=1, simulations=10
            )
            spent = time.process_time() - began
            reached = spread(edges, chance, found.seeds, nodes=nodes, model=model, simulations=simulations, seed=7)
            print(
                f"| {model} | {method} | {spent:.2f} | {reached.mean:,.1f} | {reached.standard_error:.2f} |", flush=True
            )


def growth(sizes: list[int]) -> None:
    print("\n| edges | nodes | 1,000 cascades from 10 seeds, p = 0.05 | per active node, ns | 50 seeds, opim_c |")
    print("|---|---|---|---|---|")
    seen = []
    for nodes in sizes:
        edges, _ = barabasi_albert(nodes)
        network = Network.of(edges, 0.05, nodes)
        first = np.argsort(-np.diff(network.start), kind="stable")[:10]
        network.arrivals  # noqa: B018  (prepares)
        began = time.process_time()
        reached = simulate(network, first, 1_000, 1).mean()
        cascades = time.process_time() - began
        per = cascades / 1_000 / reached * 1e9
        began = time.process_time()
        maximise_influence(edges, over_in_degree(edges, nodes), K, nodes=nodes, seed=1)
        chosen = time.process_time() - began
        print(f"| {len(edges):,} | {nodes:,} | {cascades:.2f} CPU s | {per:.0f} | {chosen:.2f} CPU s |")
        seen.append((len(edges), cascades, chosen))
    (few, low, quick), (many, high, slow) = seen[0], seen[-1]
    print(f"figure: exponent of cascades in edges = {math.log(high / low) / math.log(many / few):.2f}")
    print(f"figure: exponent of seeds in edges = {math.log(slow / quick) / math.log(many / few):.2f}")


def with_data(what: str, work: Callable[[], None]) -> None:
    try:
        work()
    except FileNotFoundError as error:
        print(f"missing data for {what}: {error.filename} (give --data or $MICROMEGA_DATA)")


def compile_all(methods: list[str]) -> None:
    for probability in (0.5, [0.5, 0.2]):
        network = Network.of([[0, 1], [0, 2]], probability, 3)
        simulate(network, [0], 2, 1)
        simulate_on(network, [0], 2, 1)
    for method in methods:
        maximise_influence([[0, 1], [0, 2]], [0.5, 0.2], 1, nodes=3, method=method)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MICROMEGA_DATA", "../shared/data")))
    parser.add_argument("--quick", action="store_true", help="short runs")
    parser.add_argument("--only", choices=["nethept"], help="this part alone")
    args = parser.parse_args()
    methods = ["opim_c", "imm"] if args.quick else ["opim_c", "imm", "celf"]
    compile_all(methods)
    if args.only:
        with_data("NetHEPT", lambda: judge(*nethept(args.data), methods, 2_000 if args.quick else 40_000))
        return
    seconds, rounds = (0.1, 3) if args.quick else (1.0, 3)
    print("| graph, probability | engine | preparation, CPU s | cascades per CPU s | spread | agrees with ours |")
    print("|---|---|---|---|---|---|")

    def small() -> None:
        edges, nodes = facebook(args.data)
        for name, chance in (("0.01", 0.01), ("0.05", 0.05), ("1/in-degree", over_in_degree(edges, nodes))):
            simulations(f"Facebook, {name}", Network.of(edges, chance, nodes), list(ENGINES), seconds, rounds)

    with_data("the Facebook graph", small)
    edges, nodes = barabasi_albert(100_000)
    fast = ["ours", "cynetdiff"] if args.quick else ["ours", "ours, torch", "cynetdiff", "networkx"]
    for name, chance in (("0.05", 0.05), ("1/in-degree", over_in_degree(edges, nodes)))[: 1 if args.quick else 2]:
        simulations(f"10⁶ edges, {name}", Network.of(edges, chance, nodes), fast, seconds, rounds)

    print("\n| graph | method | CPU s, all in | spread, 95 % | share of the best, proven |\n|---|---|---|---|---|")

    def epinions() -> None:
        lines = read(args.data / "im-benchmark-graphs" / "soc-Epinions1-undirected.txt.gz", 0)
        merged = distinct_edges(lines, 75_879, both_directions=True)
        seeds_on("soc-Epinions1", *merged, 75_879, ["opim_c"] if args.quick else ["opim_c", "imm"])

    with_data("NetHEPT", lambda: seeds_on("NetHEPT", *nethept(args.data), methods))
    with_data("soc-Epinions1", epinions)
    growth([3_000, 10_000] if args.quick else [10_000, 30_000, 100_000, 300_000])


if __name__ == "__main__":
    main()
