"""Every kind of constraint and risk against enumeration of all choices, by what the rules mean, not by their rows."""

import dataclasses
import itertools
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from micromega.solvers.campaign import CampaignProblem, explain, rules, solve, verify
from micromega.solvers.campaign.levels import at_levels
from micromega.solvers.campaign.problem import LINK
from micromega.solvers.campaign.tuples import Tuples
from micromega.solvers.plan import Status

RANDOM, SLOW = 72, 620
ROUND = 1e-9


@cache
def choices(tuples: int) -> np.ndarray:
    """All 2^N choices, (2^N, N)."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=tuples))).reshape(-1, tuples)


class Drawn:
    """Random tuples of a few creators, events, days, brands and groups, and the rules drawn for them.

    A rule comes with its meaning: a function of all choices that says which of them keep it.
    """

    def __init__(self, seed: int, tuples: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.tuples = tuples
        creators = rng.integers(1, max(2, tuples // 2) + 1)
        owner = np.sort(rng.integers(0, creators, tuples))
        self.creator = np.array([f"c{i}" for i in owner])
        of_creator = {name: rng.integers(0, 3, creators)[owner].astype(str) for name in ("category", "tier")}
        self.category, self.tier = of_creator["category"], of_creator["tier"]
        event = rng.integers(0, 3, tuples)
        self.event = np.array([f"e{i}" for i in event])
        self.location = np.array(["rome", "oslo", ""])[rng.integers(0, 3, 3)[event]]
        self.offset = rng.integers(-2, 3, tuples)
        days = np.array(["2024-05-04", "2024-05-06", "2024-05-13"], "datetime64[D]")
        self.date = days[event] + self.offset
        self.brand = np.array(["nike", "adidas", "ours"])[rng.integers(0, 3, tuples)]
        self.kind = np.array(["post", "story"])[rng.integers(0, 2, tuples)]
        whole = rng.random() < 0.5
        self.price = rng.integers(0, 7, tuples).astype(float) if whole else rng.lognormal(1, 0.7, tuples)
        self.value = rng.integers(-2, 9, tuples).astype(float) if whole else rng.normal(2, 3, tuples)
        self.std = rng.integers(0, 4, tuples).astype(float) if whole else rng.lognormal(0, 0.7, tuples)
        self.rules: list[rules.Rule] = []
        self.meanings: list[Callable[[np.ndarray], np.ndarray]] = []

    def add(self, rule: rules.Rule, meaning: Callable[[np.ndarray], np.ndarray]) -> None:
        self.rules.append(rule)
        self.meanings.append(meaning)

    def key(self) -> np.ndarray:
        return [self.category, self.tier, self.event, self.location, self.kind][self.rng.integers(0, 5)]

    def posts_each(self) -> None:
        keys = [self.creator, np.char.add(self.creator, self.event), np.char.add(self.creator, self.date.astype(str))]
        key, most = keys[self.rng.integers(0, 3)], int(self.rng.integers(1, 3))
        least = int(self.rng.random() < 0.1)
        self.add(
            rules.limit_each(key, least, most, setting="each", what="by {key}"),
            lambda y: np.all([(y[:, key == k].sum(1) <= most) & (y[:, key == k].sum(1) >= least) for k in set(key)], 0),
        )

    def posts_of_some(self) -> None:
        key = self.key()
        low = int(self.rng.integers(0, 3))
        most = [None, low + int(self.rng.integers(0, 3))][self.rng.integers(0, 2)]
        name = str(self.rng.choice(key))
        self.add(
            rules.limit_posts(key, {name: (low, most)}, setting="some", what="for {key}"),
            lambda y: (
                (y[:, key == name].sum(1) >= low) & (y[:, key == name].sum(1) <= (np.inf if most is None else most))
            ),
        )

    def must_include(self) -> None:
        name = str(self.rng.choice(self.creator))
        self.add(
            rules.limit_posts(self.creator, {name: (1, None)}, setting="must_include", what="by creator {key}"),
            lambda y: y[:, self.creator == name].any(1),
        )

    def part_budgets(self) -> None:
        weeks = np.array(["{}-W{:02}".format(*day.isocalendar()) for day in self.date.tolist()])
        key = [self.event, weeks, self.brand][self.rng.integers(0, 3)]
        limits = {str(k): float(self.rng.uniform(0, 0.8) * self.price[key == k].sum()) for k in np.unique(key)}
        self.add(
            rules.limit_spend(key, self.price, limits, setting="money", what="for {key}"),
            lambda y: np.all([y[:, key == k] @ self.price[key == k] <= v * (1 + ROUND) for k, v in limits.items()], 0),
        )

    def gap(self) -> None:
        gap = int(self.rng.integers(1, 7))
        near = np.abs((self.date[:, None] - self.date[None, :]).astype(int)) < gap
        clash = np.triu(near & (self.creator[:, None] == self.creator[None, :]), 1)
        self.add(
            rules.keep_apart(self.creator, self.date, gap),
            lambda y: np.einsum("ki,ij,kj->k", y, clash.astype(float), y) == 0,
        )

    def share(self) -> None:
        key, by = self.key(), ["posts", "spend"][self.rng.integers(0, 2)]
        share = float(self.rng.choice([0.2, 0.3, 0.5, 0.6]))
        weight = self.price if by == "spend" else np.ones(self.tuples)
        groups = sorted({k for k in key.tolist() if k})
        only = [] if self.rng.random() < 0.5 else groups[:1]
        self.add(
            rules.cap_share(
                key, share, price=self.price, by=by, budget=1e9, only=only, setting="share", what="go to {key}"
            ),
            lambda y: np.all(
                [np.ones(len(y), bool)]
                + [
                    y[:, key == k] @ weight[key == k] <= share * (y @ weight) + ROUND * weight.max(initial=0)
                    for k in (only or groups)
                ],
                0,
            ),
        )

    def distinct(self) -> None:
        key, least = self.key(), int(self.rng.integers(1, 4))
        self.add(
            rules.need_distinct(key, least, setting="distinct", noun="kinds"),
            lambda y: (
                sum((y[:, key == k].any(1).astype(int) for k in set(key.tolist()) - {""}), np.zeros(len(y))) >= least
            ),
        )

    def exclusive(self) -> None:
        pairs = [("nike", "adidas"), ("ours", "nike")][: self.rng.integers(1, 3)]
        self.add(
            rules.keep_exclusive(self.creator, self.brand, pairs, setting="competitors"),
            lambda y: np.all(
                [
                    ~(y[:, mine & (self.brand == a)].any(1) & y[:, mine & (self.brand == b)].any(1))
                    for mine in (self.creator == name for name in set(self.creator))
                    for a, b in pairs
                ],
                0,
            ),
        )

    def enough(self) -> None:
        least = float(self.rng.choice([2.0, 5.0, 8.5]))
        self.add(
            rules.spend_enough(self.creator, self.price, least),
            lambda y: np.all(
                [
                    ~y[:, mine].any(1) | (y[:, mine] @ self.price[mine] >= least * (1 - ROUND))
                    for mine in (self.creator == name for name in set(self.creator))
                ],
                0,
            ),
        )

    def problem(self, risk: str, rho: float) -> CampaignProblem:
        rule = rules.combine(self.rules, tuples=self.tuples)
        return CampaignProblem(
            creator_id=self.creator,
            event_id=self.event,
            content_type=np.array([f"{kind}{i}" for i, kind in enumerate(self.kind)]),
            offset_days=self.offset,
            date=self.date,
            brand_id=self.brand,
            effectiveness=self.value,
            std=self.std,
            price=self.price,
            budget=float(self.rng.choice([0.0, 0.2, 0.4, 0.4, 0.7, 1.0]) * self.price.sum()),
            rho=rho,
            risk=risk,
            rows=rule.rows,
            switches=rule.switches,
        )

    def best(self, problem: CampaignProblem) -> float | None:
        y = choices(self.tuples)
        kept = y @ self.price <= problem.budget * (1 + ROUND)
        for meaning in self.meanings:
            kept &= meaning(y)
        risk = {
            "linear": lambda: y @ self.std,
            "variance": lambda: y @ self.std**2,
            "independent": lambda: np.sqrt(y @ self.std**2),
        }[problem.risk]()
        worth = y @ self.value - problem.rho * risk
        return float(worth[kept].max()) if kept.any() else None


KINDS = [
    "posts_each", "posts_of_some", "must_include", "part_budgets", "gap", "share", "distinct", "exclusive", "enough",
]  # fmt: skip
RISKS = ["linear", "variance", "independent"]


def draw(seed: int) -> tuple[Drawn, CampaignProblem]:
    """The first problems have one kind of rule each, under each risk; the others several."""
    rng = np.random.default_rng(10_000 + seed)
    drawn = Drawn(seed, int(rng.integers(1, 13)))
    alone = seed < 2 * len(KINDS) * len(RISKS)
    names = [KINDS[seed % len(KINDS)]] if alone else rng.choice(KINDS, rng.integers(2, 6), replace=False)
    for name in names:
        getattr(drawn, name)()
    risk = RISKS[(seed // len(KINDS)) % 3] if alone else RISKS[rng.integers(0, 3)]
    return drawn, drawn.problem(risk, float(rng.choice([0.0, 0.3, 0.7, 1.5])))


def check(seed: int) -> Status:
    drawn, problem = draw(seed)
    best, plan = drawn.best(problem), solve(problem)
    certificate = verify(problem, plan)
    assert certificate.ok, (seed, certificate.to_json())
    if best is None:
        assert plan.status is Status.INFEASIBLE, seed
        return plan.status
    assert plan.status is Status.OPTIMAL, (seed, plan.notes)
    assert all(meaning(plan.chosen[None].astype(float))[0] for meaning in drawn.meanings), seed
    assert plan.objective == pytest.approx(best, abs=2e-6 * max(1.0, abs(best))), seed
    assert certificate.upper_bound >= best - 1e-9 * (1 + abs(best)), seed
    return plan.status


@pytest.mark.parametrize("block", range(3))
def test_every_constraint_and_risk(block: int) -> None:
    """Kinds alone and mixed: right status, right value, every rule kept, and proven without the solver."""
    many = RANDOM // 3
    assert {Status.OPTIMAL, Status.INFEASIBLE} <= {
        check(seed) for seed in range(7 * block * many, 7 * (block + 1) * many, 7)
    }


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_every_constraint_and_risk_many_times(block: int) -> None:
    many = SLOW // 10
    statuses = [check(seed) for seed in range(block * many, (block + 1) * many)]
    assert {Status.OPTIMAL, Status.INFEASIBLE} <= set(statuses)


def keep(problem: CampaignProblem, settings: tuple[str, ...]) -> CampaignProblem:
    """The same problem with only some settings."""
    kept = np.array([name in settings or name == LINK for name in problem.rows.settings], bool)
    budget = problem.budget if "budget" in settings else float(problem.price.sum())
    return dataclasses.replace(problem, rows=problem.rows.where(kept), budget=budget)


def test_conflicts_of_every_constraint_are_real_and_minimal(brute_force) -> None:
    """And the budget that is said to work works, with none a cent smaller."""
    explained: set[str] = set()
    for seed in range(54, 1200):
        _, problem = draw(seed)
        new = {setting.split(".")[0] for setting in problem.rows.settings} - explained - {LINK}
        if not new or len(problem) > 8 or brute_force(problem) is not None:
            continue
        conflict = explain(problem)
        explained |= {setting.split(".")[0] for setting in conflict.settings}
        assert brute_force(keep(problem, conflict.settings)) is None, seed
        for setting in conflict.settings:
            fewer = tuple(other for other in conflict.settings if other != setting)
            assert brute_force(keep(problem, fewer)) is not None, (seed, setting)
            assert any(words.startswith(f"{setting}: ") for words in conflict.words), (seed, setting)
        assert LINK not in conflict.settings
        if conflict.smallest_budget is None:
            assert brute_force(dataclasses.replace(problem, budget=1e9)) is None, seed
        else:
            assert brute_force(dataclasses.replace(problem, budget=conflict.smallest_budget)) is not None, seed
            below = conflict.smallest_budget - 0.011
            assert below < 0 or brute_force(dataclasses.replace(problem, budget=below)) is None, seed
    assert explained == {
        "budget", "distinct", "share", "must_include", "some", "each", "money", "min_gap_days", "competitors",
        "min_spend_per_creator",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_spend_levels_against_every_choice(seed: int) -> None:
    """Each post at one of three prices or not at all, at most two posts for a creator: all that there is to choose."""
    rng = np.random.default_rng(seed)
    posts, prices = 5, np.array([0.5, 1.0, 2.0])
    words = {name: np.full(posts, "x") for name in ("content_type", "brand_id", "category", "tier", "genre")}
    numbers = {name: rng.uniform(1, 9, posts) for name in ("effectiveness", "std", "price", "followers")}
    usual = Tuples(
        creator_id=np.array(["a", "a", "a", "b", "b"]), event_id=np.array(list("vwxyz")), location=np.full(posts, ""),
        offset_days=np.zeros(posts, np.int64), date=np.full(posts, np.datetime64("2024-05-01")),
        level=np.ones(posts), **words, **numbers,
    )  # fmt: skip
    effect = np.sort(rng.uniform(0.2, 2, (posts, 3)), axis=1)
    many, rule = at_levels(usual, price=prices, effect=effect)
    cap = rules.limit_each(many.creator_id, 0, 2, setting="cap", what="by {key}")
    rows = rules.combine([rule, cap], tuples=len(many)).rows
    problem = CampaignProblem(
        creator_id=many.creator_id, event_id=many.event_id, level=many.level, effectiveness=many.effectiveness,
        std=many.std, price=many.price, budget=float(rng.uniform(4, 20)), rho=0.2, rows=rows,
    )  # fmt: skip
    best = 0.0
    for chosen in itertools.product([None, 0, 1, 2], repeat=posts):
        bought = [(post, level) for post, level in enumerate(chosen) if level is not None]
        creators = [usual.creator_id[post] for post, _ in bought]
        cost = sum(usual.price[post] * prices[level] for post, level in bought)
        if cost <= problem.budget and max(map(creators.count, creators), default=0) <= 2:
            best = max(
                best, sum(effect[of] * (usual.effectiveness[of[0]] - 0.2 * usual.std[of[0]]) for of in bought)
            )  # fmt: skip
    plan = solve(problem)
    assert plan.status is Status.OPTIMAL
    assert verify(problem, plan).ok
    assert plan.objective == pytest.approx(best, rel=2e-6, abs=1e-9)
