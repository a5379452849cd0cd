"""Stable allocations against enumeration of all matchings, two libraries and serial dictatorship."""

import contextlib
import importlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching import Game, allocate, allocate_by_reputation, blocking_pairs, verify

Instance = dict[str, list]


def draw(rng: np.random.Generator, creators: int, products: int, merchants: int, *, complete: bool = False) -> Instance:
    """Random lists and quotas; some creators want nothing, some are listed by nobody."""
    merchant = np.concatenate([np.arange(merchants), rng.integers(0, merchants, products - merchants)])
    rng.shuffle(merchant)
    wanted = [rng.permutation(products)[: rng.integers(0, products + 1)].tolist() for _ in range(creators)]
    listed = [rng.permutation(creators) for _ in range(merchants)]
    if not complete:
        listed = [of[: rng.integers(0, creators + 1)] for of in listed]
    product_quota = rng.integers(1, 3, products)
    total = np.bincount(merchant, weights=product_quota, minlength=merchants).astype(int)
    largest = np.array([product_quota[merchant == v].max() for v in range(merchants)])
    return {
        "creator_preferences": wanted,
        "merchant_preferences": [of.tolist() for of in listed],
        "product_merchant": merchant.tolist(),
        "product_quota": product_quota.tolist(),
        "merchant_quota": rng.integers(largest, total + 1).tolist(),
    }


def draw_tight(rng: np.random.Generator, creators: int) -> Instance:
    """One place a product, complete lists, merchants with one or two products: often several stable matchings."""
    merchants = (creators + 1) // 2 if rng.random() < 0.5 else creators
    merchant = [p % merchants for p in range(creators)]
    return {
        "creator_preferences": [rng.permutation(creators).tolist() for _ in range(creators)],
        "merchant_preferences": [rng.permutation(creators).tolist() for _ in range(merchants)],
        "product_merchant": merchant,
        "product_quota": [1] * creators,
        "merchant_quota": np.bincount(merchant).tolist(),
    }


def blocks(of: Instance, product: tuple[int, ...]) -> bool | None:  # noqa: C901  (the definition, word by word)
    """Whether any pair blocks, by the paper's words, one by one; None where the matching is not feasible."""
    merchant, lists = of["product_merchant"], of["merchant_preferences"]
    with_product = [[c for c, p in enumerate(product) if p == j] for j in range(len(merchant))]
    with_merchant = [[c for c, p in enumerate(product) if p >= 0 and merchant[p] == v] for v in range(len(lists))]
    for c, p in enumerate(product):
        if p >= 0 and (p not in of["creator_preferences"][c] or c not in lists[merchant[p]]):
            return None
    if any(len(held) > quota for held, quota in zip(with_product, of["product_quota"], strict=True)):
        return None
    if any(len(held) > quota for held, quota in zip(with_merchant, of["merchant_quota"], strict=True)):
        return None
    for c, wanted in enumerate(of["creator_preferences"]):
        for p in wanted[: wanted.index(product[c])] if product[c] >= 0 else wanted:
            v = merchant[p]
            if c not in lists[v]:
                continue
            place = lists[v].index
            product_room = len(with_product[p]) < of["product_quota"][p]
            merchant_room = len(with_merchant[v]) < of["merchant_quota"][v]
            if product_room and merchant_room:
                return True
            if product_room and (c in with_merchant[v] or place(c) < max(map(place, with_merchant[v]), default=-1)):
                return True
            if not product_room and place(c) < max(map(place, with_product[p]), default=-1):
                return True
    return False


def all_stable(of: Instance) -> list[tuple[int, ...]]:
    choices = [[*wanted, -1] for wanted in of["creator_preferences"]]
    return [found for found in itertools.product(*choices) if blocks(of, found) is False]


def test_both_sides_against_every_stable_matching() -> None:
    rng = np.random.default_rng(0)
    several = 0
    for trial in range(150):
        tight = trial % 2 == 0  # as many creators as places, and everybody knows everybody
        of = draw_tight(rng, int(rng.integers(2, 5))) if tight else draw(rng, int(rng.integers(1, 6)), 4, 2)
        stable = all_stable(of)
        assert stable
        several += len(stable) > 1
        best = allocate(**of).product
        worst = allocate(**of, optimal_for="merchants").product
        assert tuple(best) in stable
        assert tuple(worst) in stable
        for c, wanted in enumerate(of["creator_preferences"]):
            places = [wanted.index(found[c]) if found[c] >= 0 else len(wanted) for found in stable]
            held = [wanted.index(p) if p >= 0 else len(wanted) for p in (best[c], worst[c])]
            assert held == [min(places), max(places)]
    assert several > 5


def test_every_blocking_pair_is_found() -> None:
    rng = np.random.default_rng(1)
    seen = {True: 0, False: 0, None: 0}
    for _ in range(400):
        of = draw(rng, 4, 4, 2)
        product = tuple(rng.choice([-1, *wanted]) if wanted else -1 for wanted in of["creator_preferences"])
        expected = blocks(of, product)
        game = Game.of(**of)
        found = verify(game, product)
        assert found.feasible == (expected is not None)
        if expected is not None:
            assert bool(len(blocking_pairs(game, product))) == expected
            assert found.stable == (not expected)
        seen[expected] += 1
    assert min(seen.values()) > 15


def test_larger_games_are_stable_on_both_sides() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        of = draw(rng, 60, 25, 6)
        sides = [allocate(**of, optimal_for=side) for side in ("creators", "merchants")]
        assert all(found.check.stable for found in sides)
        # The same creators are matched in all stable matchings (Abraham et al. 2007, theorem 4.1).
        np.testing.assert_array_equal(sides[0].product >= 0, sides[1].product >= 0)


@pytest.mark.parametrize("library", ["matching", "algmatch"])
def test_both_sides_against_libraries(library: str) -> None:
    pytest.importorskip(library)
    rng = np.random.default_rng(3)
    for _ in range(120):
        of = draw(rng, int(rng.integers(2, 9)), int(rng.integers(2, 7)), 2, complete=True)
        of["creator_preferences"] = [
            wanted or rng.permutation(len(of["product_merchant"])).tolist() for wanted in of["creator_preferences"]
        ]
        # The libraries want merchants to list just those who want a product of theirs, and every product wanted.
        merchant = np.array(of["product_merchant"])
        interested = [{int(v) for v in merchant[wanted]} for wanted in of["creator_preferences"]]
        of["merchant_preferences"] = [
            [c for c in listed if v in interested[c]] for v, listed in enumerate(of["merchant_preferences"])
        ]
        wanted = {p for some in of["creator_preferences"] for p in some}
        if len(wanted) < len(merchant):
            continue
        for side in ("creators", "merchants"):
            ours = allocate(**of, optimal_for=side).product.tolist()
            assert PEERS[library](of, side) == ours


def by_matching(of: Instance, side: str) -> list[int]:
    from matching.games import StudentAllocation

    merchant = of["product_merchant"]
    game = StudentAllocation.create_from_dictionaries(
        {f"s{c}": [f"p{p}" for p in wanted] for c, wanted in enumerate(of["creator_preferences"])},
        {f"l{v}": [f"s{c}" for c in listed] for v, listed in enumerate(of["merchant_preferences"])},
        {f"p{p}": f"l{v}" for p, v in enumerate(merchant)},
        {f"p{p}": quota for p, quota in enumerate(of["product_quota"])},
        {f"l{v}": quota for v, quota in enumerate(of["merchant_quota"])},
    )
    solved = game.solve(optimal="student" if side == "creators" else "supervisor")
    found = [-1] * len(of["creator_preferences"])
    for product, creators in solved.items():
        for creator in creators:
            found[int(creator.name[1:])] = int(product.name[1:])
    return found


def by_algmatch(of: Instance, side: str) -> list[int]:
    from algmatch import StudentProjectAllocation

    merchant = of["product_merchant"]
    game = StudentProjectAllocation(
        dictionary={
            "students": {c + 1: [p + 1 for p in wanted] for c, wanted in enumerate(of["creator_preferences"])},
            "projects": {
                p + 1: {"capacity": quota, "lecturer": merchant[p] + 1} for p, quota in enumerate(of["product_quota"])
            },
            "lecturers": {
                v + 1: {"capacity": quota, "preferences": [c + 1 for c in listed]}
                for v, (quota, listed) in enumerate(zip(of["merchant_quota"], of["merchant_preferences"], strict=True))
            },
        },
        optimised_side="students" if side == "creators" else "lecturers",
    )
    stable = game.get_stable_matching()
    found = [-1] * len(of["creator_preferences"])
    for student, project in stable["student_sided"].items():
        if project:
            found[int(str(student)[1:]) - 1] = int(str(project)[1:]) - 1
    return found


PEERS = {"matching": by_matching, "algmatch": by_algmatch}


def test_one_reputation_is_serial_dictatorship() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        of = draw(rng, 30, 12, 4)
        reputation = rng.permutation(30).astype(float)
        order = np.argsort(-reputation)
        alike = allocate(**{**of, "merchant_preferences": [order.tolist()] * 4})
        served = {name: value for name, value in of.items() if name != "merchant_preferences"}
        for side in ("creators", "merchants"):
            both = allocate(**{**of, "merchant_preferences": [order.tolist()] * 4}, optimal_for=side)
            np.testing.assert_array_equal(both.product, alike.product)
        found = allocate_by_reputation(reputation=reputation, **served)
        np.testing.assert_array_equal(found.product, alike.product)
        assert found.check.stable


def test_ties_of_reputation_are_drawn_and_nan_is_refused() -> None:
    same = [allocate_by_reputation([[0]] * 4, np.ones(4), [0], [1], [1], seed=seed) for seed in (0, 0, 1, 2, 3, 4)]
    served = [int(found.product.argmax()) for found in same]
    assert served[0] == served[1]
    assert len(set(served)) > 1
    found = allocate_by_reputation([[0], [0]], [np.nan, 1.0], [0], [2], [2])
    assert found.product.tolist() == [-1, 0]


def test_lists_frames_and_arrays_are_the_same() -> None:
    of = draw(np.random.default_rng(5), 12, 6, 2)
    lists = allocate(**of).product

    def csr(some: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate([[0], np.cumsum([len(x) for x in some])]), np.array(
            list(itertools.chain(*some)), dtype=int
        )

    forms = [csr]
    with contextlib.suppress(ImportError):
        pandas = importlib.import_module("pandas")
        forms.append(lambda some: pandas.DataFrame(list(itertools.zip_longest(*some))).T)
    for form in forms:
        other = {name: form(of[name]) for name in ("creator_preferences", "merchant_preferences")}
        np.testing.assert_array_equal(allocate(**{**of, **other}).product, lists)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"creator_preferences": [[0, 5]]}, DataError, r"creator_preferences\[0\] names 5. There are 2 products"),
        ({"creator_preferences": [[0, 0]]}, DataError, r"names 0 twice"),
        ({"creator_preferences": [["a"]]}, DataError, "Give whole numbers"),
        ({"creator_preferences": [3]}, DataError, "give a list of whole numbers"),
        ({"merchant_preferences": [[1]]}, DataError, r"merchant_preferences\[0\] names 1. There are 1 creators"),
        ({"merchant_preferences": [[0], [0]]}, DataError, "has 2 lists, merchant_quota 1"),
        ({"product_quota": [1, -1]}, DataError, r"product_quota\[1\] is -1"),
        ({"product_quota": [1]}, DataError, "product_quota has 1 entries, product_merchant 2"),
        ({"product_quota": [1, 1.5]}, DataError, "whole numbers"),
        ({"product_merchant": [0, 3]}, DataError, r"product_merchant\[1\] is 3. There are 1 merchants"),
        ({"merchant_quota": [3]}, ConfigError, "must lie between"),
        ({"merchant_quota": [0]}, ConfigError, "merchant 0 takes 0 creators"),
        ({"optimal_for": "nobody"}, ConfigError, "Choose creators or merchants"),
        ({"optimal_for": ["creators"]}, ConfigError, "Choose creators or merchants"),
        ({"product_quota": [1, [2]]}, DataError, "product_quota: give one whole number each"),
        ({"merchant_quota": 3}, DataError, "merchant_quota has 0 dimensions"),
    ],
)
def test_malformed_games_are_named(change: dict, error: type[Exception], words: str) -> None:
    good = {
        "creator_preferences": [[0, 1]],
        "merchant_preferences": [[0]],
        "product_merchant": [0, 0],
        "product_quota": [1, 1],
        "merchant_quota": [1],
    }
    assert allocate(**good).product.tolist() == [0]
    with pytest.raises(error, match=words):
        allocate(**{**good, **change})


ANYTHING = st.one_of(st.integers(-2, 5), st.floats(), st.text(max_size=2), st.none())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(ANYTHING, max_size=4), max_size=5),
    st.lists(st.lists(ANYTHING, max_size=4), max_size=3),
    st.lists(ANYTHING, max_size=4),
    st.lists(ANYTHING, max_size=4),
    st.lists(ANYTHING, max_size=3),
)
def test_anything_gives_a_stable_matching_or_a_clear_error(wanted, listed, merchant, product_quota, quota) -> None:
    try:
        found = allocate(wanted, listed, merchant, product_quota, quota, check=False)
    except (DataError, ConfigError):
        return
    assert found.check.stable


def test_empty_games() -> None:
    assert allocate([], [], [], [], []).product.tolist() == []
    nobody = allocate([[], []], [[0, 1]], [0], [0], [0])
    assert nobody.product.tolist() == [-1, -1]
    assert nobody.check.stable


def test_malformed_reputations_and_matchings_are_named() -> None:
    with pytest.raises(DataError, match="reputation: give one number"):
        allocate_by_reputation([[0]], ["high"], [0], [1], [1])
    with pytest.raises(DataError, match="merchant_quota has 0 dimensions"):
        allocate_by_reputation([[0]], [1.0], [0], [1], 3)
    game = allocate([[0]], [[0]], [0], [1], [1]).game
    assert verify(game, np.array([0.0])).stable
    for wrong in (["0"], [0.5], [1], [0, 0]):
        with pytest.raises(DataError, match="matching"):
            verify(game, wrong)
