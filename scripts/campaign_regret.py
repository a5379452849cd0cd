"""What a plan made of predictions is worth beside the plan of somebody who knows all expectations.

    python train.py experiment=effectiveness/default
    python evaluate.py experiment=effectiveness/default
    python scripts/campaign_regret.py runs/markets/simulated-… runs/evaluate/effectiveness-…/effectiveness.parquet

For each brand of the table and each budget (one post a creator): the plan by predicted means, with rho standard
deviations taken off (sigma on), by chance, and the clairvoyant plan; all are judged by the simulator's known
expectations, which no model reads. Regret is the share of the clairvoyant plan's value that is lost; "promised" is what
the plan expects of itself over what it is worth (the optimiser's curse). Every plan is solved to 1e-4 and checked.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from micromega.market import Market
from micromega.market.simulated.known import true_outcome
from micromega.solvers.campaign import CampaignProblem, LinearRows, verify
from micromega.solvers.campaign.choose import solve

Reals = NDArray[np.float64]
GAP, SECONDS = 1e-4, 60.0


def problem_of(table: pa.Table, value: Reals, budget: float) -> CampaignProblem:
    """One post a creator, within the budget."""
    creator = np.asarray(table["creator_id"].to_pylist(), str)
    return CampaignProblem(
        creator_id=creator,
        content_type=np.asarray(table["content_type"].to_pylist(), str),
        event_id=np.asarray(table["event_id"].to_pylist(), str),
        offset_days=table["offset_days"].to_numpy(),
        effectiveness=value,
        price=table["price"].to_numpy(),
        budget=budget,
        rows=LinearRows.by_key(creator, setting="max_posts_per_creator", name="creator {key}", upper=1),
    )


def chosen(problem: CampaignProblem) -> NDArray[np.bool_]:
    """The best plan, checked."""
    plan = solve(problem, time_limit_s=SECONDS, relative_gap=GAP)
    if not plan.status.has_plan or not verify(problem, plan).ok:
        raise SystemExit(f"no checked plan: {plan.status}")
    return plan.chosen


def at_random(problem: CampaignProblem, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Posts by chance, one a creator, until the money is gone."""
    order = rng.permutation(len(problem))
    _, first = np.unique(problem.creator_id[order], return_index=True)
    order = order[np.sort(first)]
    order = order[np.cumsum(problem.price[order]) <= problem.budget]
    taken = np.zeros(len(problem), bool)
    taken[order] = True
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("market", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--budgets", type=float, nargs="+", default=[2_000.0, 10_000.0, 50_000.0])
    parser.add_argument("--rho", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--brands", type=int, default=6)
    args = parser.parse_args()
    market, table = Market.load(args.market), pq.read_table(args.scores)
    table = table.filter(pc.greater(table["price"], 0))
    outcome = {"impressions": "impressions", "engagement": "engagement", "currency": "revenue"}[
        (table.schema.metadata or {}).get(b"micromega.score_kind", b"impressions").decode()
    ]
    events = market.table("events")
    owner = dict(zip(events["event_id"].to_pylist(), events["brand_id"].to_pylist(), strict=True))
    brand = np.asarray([owner[event] for event in table["event_id"].to_pylist()], str)
    plans = ["clairvoyant", "sigma off", *(f"sigma on, rho {rho:g}" for rho in args.rho), "chance"]
    print(f"{outcome}; {len(np.unique(brand))} brands; {table.num_rows:,} possible posts")
    print("| budget | " + " | ".join(plans[1:]) + " | promised / worth |\n" + "|---" * (len(plans) + 1) + "|")
    for budget in args.budgets:
        worth: dict[str, list[float]] = {name: [] for name in plans}
        promised = []
        for name in np.unique(brand)[: args.brands]:
            mine = table.filter(pa.array(brand == name))
            known = true_outcome(
                market,
                **{key: mine[key].to_pylist() for key in ("creator_id", "content_type", "event_id", "offset_days")},
            )
            truth = np.asarray(getattr(known, outcome), np.float64)
            mean, std = mine["mean"].to_numpy(), mine["std"].to_numpy()
            values = {"clairvoyant": truth, "sigma off": mean}
            values |= {f"sigma on, rho {rho:g}": mean - rho * std for rho in args.rho}
            for plan, value in values.items():
                taken = chosen(problem_of(mine, value, budget))
                worth[plan].append(float(truth[taken].sum()))
                if plan == "sigma off":
                    promised.append(float(mean[taken].sum()) / worth[plan][-1])
            rng = np.random.default_rng(0)
            chance = [truth[at_random(problem_of(mine, mean, budget), rng)].sum() for _ in range(20)]
            worth["chance"].append(float(np.mean(chance)))
        regret = {plan: 1 - np.array(of) / np.array(worth["clairvoyant"]) for plan, of in worth.items()}
        cells = [
            f"{of.mean():.3f} [{of.min():.3f}, {of.max():.3f}]" for plan, of in regret.items() if plan in plans[1:]
        ]
        print(f"| {budget:,.0f} | " + " | ".join(cells) + f" | {np.mean(promised):.2f} |", flush=True)


if __name__ == "__main__":
    main()
