"""Campaign solvers from 60,000 to ten million tuples: cvxpy in two forms, HiGHS alone, greedy, and the Lagrangian one.

Run `python scripts/bench_campaign.py [--creators 1000] [--limit 120] [--quick]`. A creator has 3 content types x 4
events x 5 offsets = 60 tuples; rows: budget, a cap per creator, coverage per event, and both limits per genre and
location. Times are CPU seconds of the process; plans are checked by `verify`, the largest ones by numpy here.
"""

import argparse
import math
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np

from micromega.solvers.campaign import CampaignProblem, LinearRows, direct, greedy, ilp, lagrangian, verify
from micromega.solvers.campaign.matrix import Matrices, constraints_on
from micromega.solvers.campaign.patterns import Rows
from micromega.solvers.campaign.problem import TOLERANCE
from micromega.solvers.campaign.separable import separate

TYPES, EVENTS, OFFSETS, GENRES, LOCATIONS = 3, 4, 5, 8, 6
PER = TYPES * EVENTS * OFFSETS


@dataclass(frozen=True, kw_only=True, eq=False)
class Campaign:
    """C creators, N = 60 C tuples in the order creator, content type, event, offset."""

    value: np.ndarray
    price: np.ndarray
    budget: float
    cap: np.ndarray
    genre: np.ndarray
    location: np.ndarray
    keys: tuple[tuple[str, int, np.ndarray], ...]
    lower: np.ndarray
    upper: np.ndarray


def draw(creators: int, seed: int = 0) -> Campaign:
    """Followers, prices and reach are log-normal; genres suit events unequally."""
    rng = np.random.default_rng(seed)
    genre = rng.integers(0, GENRES, creators).astype(np.int8)
    location = rng.integers(0, LOCATIONS, creators).astype(np.int8)
    followers = np.exp(rng.normal(9.5, 1.3, creators))
    price = 0.01 * followers[:, None] * np.array([1.0, 0.6, 1.8]) * np.exp(rng.normal(0, 0.3, (creators, TYPES)))
    reach = 0.06 * followers**0.93 * np.exp(rng.normal(0, 0.4, creators))
    match = np.exp(rng.normal(0, 0.35, (GENRES, EVENTS)))
    value = reach[:, None, None, None] * np.array([1.0, 0.55, 1.7])[:, None, None] * match[genre][:, None, :, None]
    value = value * np.array([0.7, 0.9, 1.0, 0.85, 0.6])
    value *= np.exp(rng.normal(0, 0.25, (creators, TYPES, EVENTS, 1)))
    value *= np.exp(rng.normal(0, 0.1, value.shape))
    posts = 0.15 * creators
    lower = np.repeat([0.15, 0.06, 0.1], [EVENTS, GENRES, LOCATIONS]) * posts
    upper = np.repeat([np.inf, 0.17, 0.2], [EVENTS, GENRES, LOCATIONS]) * posts
    return Campaign(
        value=value.reshape(-1),
        price=np.repeat(price.reshape(-1), EVENTS * OFFSETS),
        budget=float(0.15 * price.min(axis=1).sum()),
        cap=rng.integers(1, 4, creators),
        genre=genre,
        location=location,
        keys=(
            ("event", EVENTS, np.tile(np.repeat(np.arange(EVENTS, dtype=np.int8), OFFSETS), TYPES * creators)),
            ("genre", GENRES, np.repeat(genre, PER)),
            ("location", LOCATIONS, np.repeat(location, PER)),
        ),
        lower=lower.round(),
        upper=upper.round(),
    )


def global_rows(campaign: Campaign) -> Rows:
    """Coverage, genres and locations as plain sparse rows."""
    members = [np.flatnonzero(key == k).astype(np.int32) for _, many, key in campaign.keys for k in range(many)]
    start = np.cumsum([0, *(len(part) for part in members)])
    return Rows.of(start, np.concatenate(members), campaign.lower, campaign.upper)


def problem_of(campaign: Campaign) -> CampaignProblem:
    """The same with ids and names."""
    creators, tuples = len(campaign.cap), len(campaign.value)
    rows = global_rows(campaign)
    names = [(name, f"{name} {k}") for name, many, _ in campaign.keys for k in range(many)]
    caps = LinearRows(
        start=np.arange(creators + 1) * PER,
        members=np.arange(tuples),
        lower=np.zeros(creators),
        upper=campaign.cap.astype(float),
        names=tuple(f"creator {i}" for i in range(creators)),
        settings=("cap",) * creators,
    )
    others = LinearRows(
        start=rows.start,
        members=rows.members,
        lower=rows.lower,
        upper=rows.upper,
        names=tuple(name for _, name in names),
        settings=tuple(setting for setting, _ in names),
    )
    return CampaignProblem(
        creator_id=np.repeat(np.arange(creators).astype(str), PER),
        content_type=np.tile(np.repeat(["post", "story", "video"], EVENTS * OFFSETS), creators),
        event_id=campaign.keys[0][2].astype(str),
        offset_days=np.tile(np.arange(OFFSETS), TYPES * EVENTS * creators),
        effectiveness=campaign.value,
        price=campaign.price,
        budget=campaign.budget,
        rows=LinearRows.stack([others, caps]),
    )


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and CPU seconds."""
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def naive(problem: CampaignProblem) -> tuple[cp.Problem, cp.Variable]:
    """One Python constraint per row, as many a script does it."""
    y = cp.Variable(len(problem), boolean=True)
    rows = problem.rows
    constraints = [problem.price @ y <= problem.budget]
    for row in range(len(rows)):
        total = cp.sum(y[rows.members[rows.start[row] : rows.start[row + 1]]])
        if rows.lower[row] > 0:
            constraints.append(total >= rows.lower[row])
        if np.isfinite(rows.upper[row]):
            constraints.append(total <= rows.upper[row])
    return cp.Problem(cp.Maximize(problem.value @ y), constraints), y


def matrix_form(problem: CampaignProblem) -> cp.Problem:
    """What the exact solver gives to cvxpy."""
    matrices = Matrices.of(problem)
    y = cp.Variable(len(matrices.columns), boolean=True)
    constraints = [row for row, _ in constraints_on(matrices, y).values()]
    return cp.Problem(cp.Maximize(problem.value[matrices.columns] @ y), constraints)


def solve_naive(problem: CampaignProblem, limit: float, gap: float) -> str:
    """Objective and HiGHS's gap in words."""
    program, y = naive(problem)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # at the time limit; the words say it
        program.solve(solver=cp.HIGHS, time_limit=limit, mip_rel_gap=gap, threads=1)
    if y.value is None or not np.any(y.value > 0.5):
        return f"no plan ({program.status})"
    best = float(problem.value[y.value > 0.5].sum())
    bound = -program.solver_stats.extra_stats.mip_dual_bound
    return f"{best:,.0f}, HiGHS's gap {(bound - best) / best:.1e}, {program.status}"


def compare(campaign: Campaign, limit: float, gap: float) -> None:
    """All solvers on one problem."""
    problem, built = timed(lambda: problem_of(campaign))
    size = f"{len(problem):,}"
    print(f"{size} tuples, {len(problem.rows):,} rows; building the problem with its checks took {built:.2f} CPU-s")
    lagrangian.solve(problem_of(draw(30, 1)))  # warm-up: compiled code is loaded
    greedy.solve(problem_of(draw(30, 1)))
    _, one_by_one = timed(lambda: naive(problem)[0].get_problem_data(cp.HIGHS))
    _, at_once = timed(lambda: matrix_form(problem).get_problem_data(cp.HIGHS))
    print(f"figure: compile, one constraint per row, {size} = {one_by_one:.2f} CPU-s")
    print(f"figure: compile, matrix form, {size} = {at_once:.2f} CPU-s")
    print(f"ratio: compile, matrix form against one by one = {one_by_one / at_once:.1f}")
    spent = {}
    for name, work in {
        "Lagrangian": lambda: lagrangian.solve(problem, relative_gap=gap, time_limit_s=limit),
        "Lagrangian, gap 1e-6": lambda: lagrangian.solve(
            problem, relative_gap=1e-6, time_limit_s=limit, proof_cases=10_000
        ),
        "greedy": lambda: greedy.solve(problem, time_limit_s=limit),
        "HiGHS alone": lambda: direct.solve(problem, relative_gap=gap, time_limit_s=limit),
        "cvxpy, matrix form, exact": lambda: ilp.solve(problem, relative_gap=gap, time_limit_s=limit),
    }.items():
        plan, spent[name] = timed(work)
        certificate = verify(problem, plan)
        words = f"{plan.objective:,.0f}, proven gap {certificate.gap:.1e}" if plan.status.has_plan else "no plan"
        claim = "" if plan.bound is None else f", HiGHS's bound {plan.bound:,.0f}"
        print(f"{name}: {plan.status}, {words}{claim}, checked: {certificate.ok or not plan.status.has_plan}")
        print(f"figure: {name}, {size} = {spent[name]:.2f} CPU-s")
    words, spent["cvxpy, one by one"] = timed(lambda: solve_naive(problem, limit, gap))
    print(f"cvxpy, one by one: {words}")
    print(f"figure: cvxpy, one by one, {size} = {spent['cvxpy, one by one']:.2f} CPU-s")
    for name in ("HiGHS alone", "cvxpy, matrix form, exact", "cvxpy, one by one"):
        print(f"ratio: Lagrangian against {name} = {spent[name] / spent['Lagrangian']:.1f}")


def certified_problem(creators: int, gap: float) -> None:
    """The whole way of a problem with ids, names and the independent check."""
    problem = problem_of(draw(creators))
    plan, spent = timed(lambda: lagrangian.solve(problem, relative_gap=gap, time_limit_s=600))
    certificate, check = timed(lambda: verify(problem, plan, relative_gap=gap))
    print(f"{len(problem):,} tuples as a CampaignProblem: {plan.status}, checked: {certificate.ok}")
    print(f"figure: CampaignProblem, {len(problem):,}, its own check included = {spent:.2f} CPU-s")
    print(f"figure: CampaignProblem, {len(problem):,}, proven gap = {certificate.gap:.1e}")
    print(f"figure: CampaignProblem, {len(problem):,}, one more check = {check:.2f} CPU-s")


def arrays(creators: int, gap: float) -> None:
    """Plain arrays: time, gap by the code below, and peak memory of the process with its data."""
    campaign = draw(creators)
    small = draw(30, 1)
    solve_arrays(small, gap)  # warm-up
    (parts, found), spent = timed(lambda: solve_arrays(campaign, gap))
    chosen = parts.in_problem_order(found.core.chosen)
    value, bound = check_arrays(campaign, chosen, found.relaxed.multipliers, found.relaxed.cap_multiplier)
    tuples = f"{len(campaign.value):,}"
    print(f"figure: arrays, {tuples} = {spent:.2f} CPU-s")
    print(f"figure: arrays, {tuples}, proven gap = {(bound - value) / value:.1e}")
    print(f"figure: arrays, {tuples}, evaluations of all inner problems = {found.evaluations}")
    print(f"figure: arrays, {tuples}, peak memory with the data = {peak_gib():.2f} GiB")


def peak_gib() -> float:
    """Peak resident memory; on Linux of this program alone (`getrusage` inherits the parent's)."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def solve_arrays(campaign: Campaign, gap: float) -> Any:
    """Take apart and solve."""
    creators = len(campaign.cap)
    parts = separate(
        value=campaign.value,
        price=campaign.price,
        limit=campaign.budget,
        creator=np.repeat(np.arange(creators, dtype=np.int32), PER),
        cap=campaign.cap,
        rows=global_rows(campaign),
    )
    end = time.monotonic() + 600
    return parts, lagrangian.bounded_choice(parts, relative_gap=gap, left=lambda: end - time.monotonic())


def check_arrays(
    campaign: Campaign, chosen: np.ndarray, multipliers: np.ndarray, caps: np.ndarray
) -> tuple[float, float]:
    """Feasibility and weak duality by other code: no patterns, no inner problems.

    Returns:
        Value of the plan, and what no plan exceeds.
    """
    counts = [np.bincount(key[chosen], minlength=many) for _, many, key in campaign.keys]
    sums = np.concatenate(counts)
    if math.fsum(campaign.price[chosen]) > campaign.budget * (1 + TOLERANCE):
        sys.exit("the plan is over budget")
    if np.any(sums < campaign.lower) or np.any(sums > campaign.upper):
        sys.exit("the plan breaks a row")
    if np.any(chosen.reshape(-1, PER).sum(axis=1) > campaign.cap):
        sys.exit("the plan breaks a cap")
    m0, m = max(0.0, multipliers[0]), multipliers[1:]
    caps = np.maximum(caps, 0.0)
    limits = np.where(m > 0, campaign.upper, campaign.lower)
    bound = m0 * campaign.budget * (1 + TOLERANCE) + math.fsum((m * limits)[m != 0]) + math.fsum(caps * campaign.cap)
    edges = np.cumsum([0, *(many for _, many, _ in campaign.keys)])
    part = PER * 10_000
    for first in range(0, len(chosen), part):
        at = slice(first, first + part)
        reduced = (
            campaign.value[at] - m0 * campaign.price[at] - np.repeat(caps[first // PER : (first + part) // PER], PER)
        )
        for (_, _, key), begin, end in zip(campaign.keys, edges, edges[1:], strict=False):
            reduced -= m[begin:end][key[at]]
        bound += float(np.maximum(reduced, 0.0).sum())
    return math.fsum(campaign.value[chosen]), bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--creators", type=int, default=1_000, help="of the comparison")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of wall time for each solver")
    parser.add_argument("--gap", type=float, default=1e-5, help="relative gap that is asked for")
    parser.add_argument("--arrays", type=int, help="only plain arrays, this many creators")
    parser.add_argument("--quick", action="store_true", help="100 creators, a limit of 3 s, up to a million tuples")
    wanted = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    if wanted.arrays:
        arrays(wanted.arrays, wanted.gap)
        return
    creators, limit = (100, 3.0) if wanted.quick else (wanted.creators, wanted.limit)
    compare(draw(creators), limit, wanted.gap)
    if not wanted.quick:
        certified_problem(16_667, wanted.gap)
    for many in (1_000, 16_667) if wanted.quick else (1_000, 5_000, 16_667, 50_000, 166_667):
        # A process of its own each: peak memory is that of the process.
        subprocess.run([sys.executable, __file__, "--arrays", str(many), "--gap", str(wanted.gap)], check=True)


if __name__ == "__main__":
    main()
