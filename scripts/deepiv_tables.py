"""Compare Deep IV with its rivals on designs with known responses and print medians and quartiles over seeds.

    python scripts/deepiv_tables.py demand                         # grid MSE, five correlations, four sizes
    python scripts/deepiv_tables.py demand --rho 0.5 --rows 5000 --seeds 0 1 2 3 4 5 6 7 8 9
    python scripts/deepiv_tables.py tiktok --rows 20000            # errors of the FEI, classes of curves, best sizes
    python scripts/deepiv_tables.py tiktok --draws 50 --estimators "control function, bootstrap"    # coverage

A seed is a draw of the design and the estimator's own. demand: mean squared error over the 2,800 points in the units of
the outcome, and mean absolute error of the slope there; `--noise raw` is the convention in which no method can be told
from regression (see deepiv_designs.py). tiktok: on 600 fresh posts, 200 of each kind, at 40 sizes between 300 and 5
million followers, the mean absolute error of each post's FEI and of a kind's average curve; the share of 30 campaigns,
20 posts of one kind each, whose curve falls into the true class; for the same curves the median distance of the best
number of followers from the true one in logs, and the share of the highest profit that it earns; and how often bands of
95 % hold the truth, point by point. CPU seconds are those of fitting. Each fit is a line of <design>.jsonl in
--results; what is there is not fitted again, so a stopped run goes on. The stand-in is in deepiv_peers.py.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import deepiv_designs as designs
import numpy as np
import torch
from deepiv_peers import UpperBoundDeepIV
from numpy.typing import NDArray

from micromega.models.deepiv import DeepIV
from micromega.models.deepiv.curves import integrate_elasticity
from micromega.models.deepiv.rivals import KernelIV, NaiveNetwork, TwoStageLeastSquares
from micromega.models.deepiv.shapes import curve_shape, tier_averages
from micromega.models.dfiv import DFIV
from micromega.solvers.sizing import optimal_followers

ROOT = Path(__file__).resolve().parents[1]
Reals = NDArray[np.floating]
BOOTSTRAP = "bootstrap"
"""In the names of estimators that have bands."""
Make = Callable[[int, argparse.Namespace], Any]
"""From a seed and the command line to an estimator."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "demand": {"outcome": {"smoothness": 3.0}},
    "tiktok": {"treatment": {"learning_rate": 0.003}, "outcome": {"learning_rate": 0.003, "smoothness": 0.0}},
}
"""Of Deep IV on each design: a response that is straight in the price, and as in the experiments deepiv/default and
deepiv/control_function. (Smoothness of demand was chosen on seeds 0 to 2, with the truth in view.)"""
CONTROL = {"estimation": "control_function", "weight_decay": 0.1}
SCALED = {"treatment_scale": 6.0}


def deep_iv(outcome: Mapping[str, Any] | None = None, **settings: Any) -> Make:
    """Deep IV with the settings of the design, and others."""

    def make(seed: int, args: argparse.Namespace) -> DeepIV:
        base = SETTINGS[args.design]
        more = {"bootstrap": args.draws} if settings.get("bootstrap") else {}
        both = {**base, **settings, **more, "outcome": {**base.get("outcome", {}), **(outcome or {})}}
        return DeepIV(seed=seed, **both)

    return make


ESTIMATORS: Mapping[str, Make] = {
    "Deep IV": deep_iv(),
    "Deep IV, scaled": deep_iv(SCALED),
    "Deep IV, scaled, 3 starts": deep_iv(SCALED, starts=3),
    "Deep IV, 3 folds": deep_iv(folds=3),
    "Deep IV, two samples": deep_iv({"rule": "monte_carlo", "nodes": 1}),
    "Deep IV, bootstrap": deep_iv(bootstrap=True),
    "control function": deep_iv(CONTROL),
    "control function, 3 folds": deep_iv(CONTROL, folds=3),
    "control function, bootstrap": deep_iv(CONTROL, bootstrap=True),
    "DFIV": lambda seed, _: DFIV(seed=seed),
    "DFIV, 1 feature": lambda seed, _: DFIV(seed=seed, treatment={"features": 1, "hidden": (16,)}),
    "kernel IV": lambda seed, _: KernelIV(seed=seed),
    "2SLS": lambda *_: TwoStageLeastSquares(),
    "2SLS, degree 2": lambda *_: TwoStageLeastSquares(2),
    "2SLS, degree 3": lambda *_: TwoStageLeastSquares(3),
    "naive network": lambda seed, args: NaiveNetwork(seed=seed, outcome=SETTINGS[args.design].get("outcome", {})),
    "upper-bound Deep IV (stand-in)": lambda seed, _: UpperBoundDeepIV(seed=seed),
}
DEFAULT = {
    "demand": ("Deep IV", "control function, 3 folds", "DFIV", "kernel IV", "2SLS", "2SLS, degree 3", "naive network"),
    "tiktok": ("control function, 3 folds", "Deep IV, scaled", "DFIV", "kernel IV", "2SLS", "2SLS, degree 2",
               "naive network"),
}  # fmt: skip
RHO, ROWS = (0.1, 0.25, 0.5, 0.75, 0.9), {"demand": (1_000, 5_000, 10_000, 20_000), "tiktok": (20_000,)}

SIZES = np.linspace(np.log(300.0), np.log(5e6), 40)
POSTS, CAMPAIGNS = 200, 10
"""Of each kind."""
VALUE, COST = 0.02, 10.0
"""Of an impression, and of a thousand followers: the best size of every kind lies between 10⁴ and 10⁶ followers."""
FRESH = 1_000_000
"""Seeds of fresh posts begin here."""


# ---- one fit ----


def judge_demand(model: Any) -> dict[str, Any]:
    """Errors on the grid."""
    price, x, response = designs.demand_grid()
    return {
        "mse": float(np.mean((model.predict(t=price, x=x) - response) ** 2)),
        "slope": float(np.mean(np.abs(model.elasticity(t=price, x=x) - designs.demand_slope(x)))),
    }


def fresh_posts(seed: int) -> list[Reals]:
    """Controls of new posts of each kind, (200, X) each."""
    posts = designs.tiktok(12 * POSTS, FRESH + seed)
    return [posts.x[posts.kind == kind][:POSTS] for kind in range(len(designs.KINDS))]


def judge_tiktok(model: Any, seed: int) -> dict[str, Any]:
    """Errors of the FEI, classes and best sizes; with a bootstrap, coverage."""
    found: dict[str, Any] = {}
    classes, distance, earned = [], [], []
    for kind, x in enumerate(fresh_posts(seed)):
        truth = designs.fei(kind, SIZES)
        slopes = np.asarray(model.elasticity(t=SIZES, x=x, grid=True), dtype=np.float64)
        held = {
            "post": float(np.abs(slopes - truth).mean()),
            "curve": float(np.abs(slopes.mean(axis=0) - truth).mean()),
        }
        if getattr(getattr(model, "config", None), "bootstrap", 0) > 1:
            held |= coverage(model, x, truth)
        found[designs.KINDS[kind]] = held
        for campaign in np.split(slopes, CAMPAIGNS):
            curve = campaign.mean(axis=0)
            classes.append(class_of(curve) == class_of(truth))
            away, share = sized(curve, kind)
            distance.append(away)
            earned.append(share)
    return found | {
        "classes": float(np.mean(classes)), "distance": float(np.median(distance)), "profit": float(np.mean(earned)),
    }  # fmt: skip


def class_of(curve: Reals) -> str:
    """Shape of an FEI curve over `SIZES`."""
    return str(curve_shape(tier_averages(SIZES, curve)))


def coverage(model: DeepIV, x: Reals, truth: Reals) -> dict[str, float]:
    """Share of points at which 95 % bands hold the truth, of posts and of their average curve, and the mean width."""
    of_posts = model.bands(t=SIZES, x=x, grid=True)
    of_curve = model.bands(t=SIZES, x=x, grid=True, average=True)
    return {
        "covered, post": float(np.mean((of_posts.lower <= truth) & (truth <= of_posts.upper))),
        "covered, curve": float(np.mean((of_curve.lower <= truth) & (truth <= of_curve.upper))),
        "width": float(np.mean(of_posts.upper - of_posts.lower)),
    }


def sized(curve: Reals, kind: int) -> tuple[float, float]:
    """Distance of the best size by an FEI curve from the true one, in logs, and its share of the best profit."""
    by_curve = integrate_elasticity(SIZES, curve, anchor=designs.ANCHOR, log_impressions=designs.LEVEL)
    by_truth = designs.LEVEL + designs.gain(kind, SIZES)
    chosen, best = (
        optimal_followers(
            log_followers=SIZES, log_impressions=of, value_per_impression=VALUE, cost_per_thousand=COST
        ).optimum.followers
        for of in (by_curve, by_truth)
    )

    def profit(followers: float) -> float:
        reached = np.exp(designs.LEVEL + designs.gain(kind, np.log(followers)))
        return float(VALUE * reached - COST * followers / 1000)

    return abs(float(np.log(chosen / best))), profit(chosen) / profit(best)


def fitted(design: str, name: str, key: Mapping[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Draw, fit and judge once."""
    seed = key["seed"]
    if design == "demand":
        rows = designs.demand(key["rows"], key["rho"], seed, key["noise"])
    else:
        rows = designs.tiktok(key["rows"], seed)
    model = ESTIMATORS[name](seed, args)
    began = time.process_time()
    model.fit(x=rows.x, z=rows.z, t=rows.t, y=rows.y)
    seconds = time.process_time() - began
    found = judge_demand(model) if design == "demand" else judge_tiktok(model, seed)
    return {**found, "cpu_s": seconds}


# ---- tables ----


def spread(values: Iterable[float], digits: int) -> str:
    """Median and quartiles over seeds; a dash where nothing is known."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return "–"
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    quartiles = f" [{low:,.{digits}f}, {high:,.{digits}f}]" if len(known) > 1 else ""
    return f"{middle:,.{digits}f}{quartiles}"


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def by_estimator(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Lines of each estimator, in the order in which they came."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        found.setdefault(str(line["estimator"]), []).append(line)
    return found


def demand_table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Grid errors of each estimator on one design."""
    rows = [
        [name, str(len(of)), spread((line["mse"] for line in of), 0), spread((line["slope"] for line in of), 2),
         spread((line["cpu_s"] for line in of), 1)]
        for name, of in by_estimator(lines).items()
    ]  # fmt: skip
    return markdown(["estimator", "seeds", "grid MSE", "error of the slope", "CPU s"], rows)


def tiktok_table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Errors of the FEI of each estimator, what follows from them, and coverage where there are bands."""
    rows = []
    for name, of in by_estimator(lines).items():
        errors = [
            spread((line[kind][which] for line in of), 3) for which in ("post", "curve") for kind in designs.KINDS
        ]
        rest = [spread((line[key] for line in of), digits) for key, digits in
                (("classes", 2), ("distance", 2), ("profit", 3), ("cpu_s", 1))]  # fmt: skip
        rows.append([name, str(len(of)), *errors, *rest])
    kinds = [f"{which}, {kind}" for which in ("posts", "curve") for kind in designs.KINDS]
    tables = [markdown(["estimator", "seeds", *kinds, "classes", "size", "profit", "CPU s"], rows)]
    banded = {
        name: [line for line in of if "width" in line[designs.KINDS[0]]] for name, of in by_estimator(lines).items()
    }
    rows = [
        [name, str(len(of)), *(spread((line[kind][key] for line in of), 2)
         for key in ("covered, post", "covered, curve", "width") for kind in designs.KINDS)]
        for name, of in banded.items() if of
    ]  # fmt: skip
    if rows:
        heads = [f"{which}, {kind}" for which in ("posts", "curve", "width") for kind in designs.KINDS]
        tables.append(markdown(["held by 95 % bands", "seeds", *heads], rows))
    return "\n\n".join(tables)


TABLES = {"demand": demand_table, "tiktok": tiktok_table}


def printed(design: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """A table for each variant of the design."""
    variants: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for line in lines:
        variants.setdefault((line["rows"], line.get("rho"), line.get("noise")), []).append(line)
    found = []
    for (rows, rho, noise), of in variants.items():
        head = f"{design}, {rows:,} rows" + ("" if rho is None else f", ρ {rho:g}, {noise} noise")
        found.append(f"{head}\n\n{TABLES[design](of)}")
    return "\n\n".join(found)


def keys_of(design: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What tells fits apart, without the estimator."""
    if design == "tiktok":
        return [{"rows": rows, "seed": seed} for rows in args.rows for seed in args.seeds]
    return [
        {"noise": args.noise, "rho": rho, "rows": rows, "seed": seed}
        for rows in args.rows
        for rho in args.rho
        for seed in args.seeds
    ]


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("design", choices=DEFAULT)
    parser.add_argument("--rows", type=int, nargs="+", help="sizes of the sample")
    parser.add_argument("--rho", type=float, nargs="+", default=list(RHO), help="correlations, of demand")
    parser.add_argument("--noise", choices=["scaled", "raw"], default="scaled", help="its convention, of demand")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, metavar="NAME", help=", ".join(ESTIMATORS))
    parser.add_argument("--draws", type=int, default=20, help="of the bootstrap")
    parser.add_argument("--results", type=Path, default=ROOT / "runs/deepiv_tables")
    args = parser.parse_args(arguments)
    args.rows = args.rows or list(ROWS[args.design])
    args.estimators = args.estimators or list(DEFAULT[args.design])
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    args = options(arguments)
    torch.set_num_threads(1)
    args.results.mkdir(parents=True, exist_ok=True)
    file = args.results / f"{args.design}.jsonl"
    done = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []

    def same(line: Mapping[str, Any], key: Mapping[str, Any], name: str) -> bool:
        draws = line.get("draws") in {None, args.draws}
        return line["estimator"] == name and draws and all(line[part] == value for part, value in key.items())

    lines = []
    for key in keys_of(args.design, args):
        for name in args.estimators:
            line = next((of for of in done if same(of, key, name)), None)
            if line is None:
                draws = {"draws": args.draws} if BOOTSTRAP in name else {}
                line = {**key, "estimator": name, **draws, **fitted(args.design, name, key, args)}
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(line) + "\n")
                shown = ", ".join(f"{part} {of:.4g}" for part, of in line.items() if isinstance(of, float))
                print(f"{args.design} seed {key['seed']} {name}: {shown}", flush=True)
            lines.append(line)
    print("\n" + printed(args.design, lines))


if __name__ == "__main__":
    main()
