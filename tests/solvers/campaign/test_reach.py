"""The reach of a set against enumeration of who is reached, and greedy sets against all sets."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError, DataError
from micromega.solvers.campaign import Audiences, gains, maximise_reach, reach


def draw(seed: int, creators: int = 7, accounts: int = 9, *, weighted: bool = True) -> Audiences:
    rng = np.random.default_rng(seed)
    held = rng.random((creators, accounts)) < 0.4
    start = np.concatenate([[0], held.sum(axis=1).cumsum()])
    probability = rng.choice([0.0, 0.3, 0.8, 1.0], creators)
    weight = rng.uniform(0, 5, accounts) if weighted else np.ones(accounts)
    return Audiences(start=start, accounts=np.nonzero(held)[1], probability=probability, weight=weight)


def enumerated(audiences: Audiences, chosen: tuple[int, ...]) -> float:
    """Expected people by going through all outcomes, account by account."""
    total = 0.0
    for account, weight in enumerate(audiences.weight):
        chances = [audiences.probability[c] for c in chosen if account in audiences.of(c)]
        for outcome in itertools.product([0, 1], repeat=len(chances)):
            likely = np.prod([p if seen else 1 - p for p, seen in zip(chances, outcome, strict=True)])
            total += weight * likely * any(outcome)
    return total


def subsets(creators: int) -> list[tuple[int, ...]]:
    return [of for size in range(creators + 1) for of in itertools.combinations(range(creators), size)]


@pytest.mark.parametrize("seed", range(3))
def test_reach_is_the_expectation_over_all_outcomes(seed: int) -> None:
    audiences = draw(seed, creators=5)
    for chosen in subsets(5):
        assert reach(audiences, chosen) == pytest.approx(enumerated(audiences, chosen), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_gains_are_differences_of_reach_and_only_fall(seed: int) -> None:
    audiences = draw(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(audiences))
    before = gains(audiences, [])
    for many in range(1, len(order)):
        chosen = order[:many]
        now = gains(audiences, chosen)
        for creator in order[many:]:
            assert now[creator] == pytest.approx(
                reach(audiences, [*chosen, creator]) - reach(audiences, chosen), abs=1e-12
            )
        assert np.all(now <= before + 1e-12)
        before = now


def test_sets_without_shared_followers_add_up() -> None:
    audiences = Audiences(start=np.array([0, 2, 4]), accounts=np.arange(4), probability=np.array([0.5, 0.25]))
    assert reach(audiences, [0, 1]) == pytest.approx(reach(audiences, [0]) + reach(audiences, [1]))
    same = Audiences(start=np.array([0, 2, 4]), accounts=np.array([0, 1, 0, 1]), probability=np.ones(2))
    assert reach(same, [0, 1]) == reach(same, [0]) == 2


def test_greedy_keeps_its_guarantee_and_its_bound_holds() -> None:
    found = []
    for seed in range(60):
        audiences = draw(100 + seed)
        rng = np.random.default_rng(seed)
        price = rng.uniform(1, 4, len(audiences))
        budget = float(rng.uniform(0, price.sum()))
        plan = maximise_reach(audiences, price=price, budget=budget)
        sets = [of for of in subsets(len(audiences)) if price[list(of)].sum() <= budget * (1 + 1e-9)]
        best = max(reach(audiences, of) for of in sets)
        assert plan.spend <= budget * (1 + 1e-9)
        assert plan.spend == pytest.approx(price[plan.chosen].sum())
        assert (1 - np.exp(-0.5)) * best <= plan.reach + 1e-12
        assert plan.reach <= best + 1e-9 <= plan.bound + 2e-9
        assert plan.counted_apart >= plan.reach - 1e-9
        found.append(plan.reach / best if best else 1.0)
    assert np.mean(found) > 0.95


def test_lazy_greedy_is_greedy() -> None:
    audiences = draw(5, creators=40, accounts=200)
    price = np.random.default_rng(0).uniform(1, 4, 40)
    plan = maximise_reach(audiences, price=price, budget=30.0)
    chosen = np.zeros(40, bool)
    while True:
        fits = ~chosen & (price[chosen].sum() + price <= 30.0)
        ratio = np.where(fits, gains(audiences, chosen) / price, 0.0)
        if ratio.max() <= 0:
            break
        chosen[ratio.argmax()] = True
    np.testing.assert_array_equal(plan.chosen, chosen)
    assert 0 <= plan.gap < 0.1


def test_nothing_affordable_is_an_empty_set() -> None:
    plan = maximise_reach(draw(0), price=np.full(7, 10.0), budget=5.0)
    assert not plan.chosen.any()
    assert plan.reach == plan.bound == plan.gap == 0


FOLLOWS = pa.table(
    {"source_id": ["ann", "ann", "bob", "bob", "eve"], "target_id": ["x", "y", "y", "z", "x"]},
)


def test_one_creator_alone_reaches_its_impressions_however_many_followers_are_listed() -> None:
    rng = np.random.default_rng(0)
    listed = {"mega": 12, "micro": 4, "mid": 40}
    pairs = [(who, f"f{f}") for who, many in listed.items() for f in rng.permutation(60)[:many]]
    follows = pa.table({"source_id": [who for who, _ in pairs], "target_id": [f for _, f in pairs]})
    impressions, followers = [100_000.0, 500.0, 9_000.0], [1_000_000.0, 1_000.0, 8_000.0]
    audiences = Audiences.from_follows(follows, creator_id=list(listed), impressions=impressions, followers=followers)
    alone = [reach(audiences, [c]) for c in range(3)]
    assert alone == pytest.approx([100_000, 500, 8_000])  # no more people than followers
    assert reach(audiences, [0, 1, 2]) < sum(alone)


def test_no_more_people_are_reached_than_stand_behind_the_listed() -> None:
    audiences = Audiences.from_follows(
        FOLLOWS, creator_id=["bob", "ann"], impressions=[300.0, 50.0], followers=[200.0, 100.0]
    )
    np.testing.assert_allclose(audiences.probability, [1.0, 50 / 150])  # 75 people behind each of four pairs
    assert reach(audiences, [0]) == pytest.approx(150)
    assert reach(audiences, [0, 1]) == pytest.approx(75 * (1 + 1 + 1 / 3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"creator_id": ["bob", "cy"]}, "nobody who follows cy"),
        ({"creator_id": ["bob", "bob"]}, "named twice"),
        ({"followers": [1.0]}, "one entry for each creator"),
        ({"followers": [1.0, 0.0]}, "followers must be 1 or more"),
        ({"impressions": [1.0, np.nan]}, "impressions 0 or more"),
    ],
)
def test_malformed_markets_are_named(change: dict[str, list], words: str) -> None:
    good = {"creator_id": ["bob", "ann"], "impressions": [3.0, 5.0], "followers": [20.0, 10.0]}
    Audiences.from_follows(FOLLOWS, **good)
    with pytest.raises(DataError, match=words):
        Audiences.from_follows(FOLLOWS, **{**good, **change})


@pytest.mark.parametrize("chosen", [[0, 0, 1], [-1], [7], [0.5], [True, False]])
def test_sets_of_creators_are_checked(chosen: list) -> None:
    with pytest.raises(DataError, match="chosen"):
        reach(draw(0), chosen)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": np.array([0, 3, 2])}, "rises from 0"),
        ({"accounts": np.array([0, -1])}, "outside 0"),
        ({"accounts": np.array([1, 1])}, "same account twice"),
        ({"probability": np.array([1.5])}, r"probability 0 is 1\.5"),
        ({"weight": np.array([1.0, np.nan])}, "weight 1 is nan"),
        ({"accounts": np.array([0, 10**12])}, "Give codes from 0 on"),
    ],
)
def test_malformed_audiences_are_named(change: dict[str, np.ndarray], words: str) -> None:
    good = {"start": np.array([0, 2]), "accounts": np.array([0, 1]), "probability": np.array([0.5])}
    with pytest.raises(DataError, match=words):
        Audiences(**{**good, **change})


def test_prices_and_budget_are_checked() -> None:
    with pytest.raises(ConfigError, match="one positive number"):
        maximise_reach(draw(0), price=np.zeros(7), budget=5.0)
    with pytest.raises(ConfigError, match="budget is -1"):
        maximise_reach(draw(0), price=np.ones(7), budget=-1.0)
