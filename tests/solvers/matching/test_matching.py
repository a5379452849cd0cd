"""Stable allocations against enumeration of all matchings, two libraries and serial dictatorship."""

import contextlib
import importlib
import itertools

import numpy as np
import pytest
from games import PEERS, all_stable, blocking, blocks, compare_with_verify, draw, draw_tight, interested
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching import Game, allocate, allocate_by_reputation, blocking_pairs, unmet, verify


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


def test_every_blocking_pair_and_every_fault_is_found() -> None:
    rng = np.random.default_rng(1)
    seen, several = np.zeros(5, int), 0
    for trial in range(600):
        of = draw(rng, 6, 5, 2)
        if trial % 3 == 0:  # products that are on no list, too
            product = rng.integers(-1, 5, 6).tolist()
        else:
            product = [int(rng.choice([-1, *wanted])) for wanted in of["creator_preferences"]]
        matching = {(c, p) for c, p in enumerate(product) if p >= 0}
        game = Game.of(**of)
        counted = compare_with_verify(of, matching, verify(game, product))
        assert {tuple(pair) for pair in blocking_pairs(game, product).tolist()} == blocking(of, matching)
        if not any(counted[1:]):
            assert blocks(of, tuple(product)) == (counted[0] > 0)
        seen += np.minimum(counted, 1)
        several += counted[0] > 2
    assert seen[[0, 1, 3, 4]].min() > 50
    assert several > 50


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
    compare(library, seed=3, games=100)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["matching", "algmatch"])
def test_both_sides_against_libraries_at_length(library: str) -> None:
    assert compare(library, seed=4, games=2_000) > 50


def compare(library: str, *, seed: int, games: int) -> int:
    """Solve games by a library and by ours; in how many the two sides' matchings differ."""
    pytest.importorskip(library)
    rng = np.random.default_rng(seed)
    several = 0
    for trial in range(games):
        of = draw_tight(rng, int(rng.integers(2, 9))) if trial % 3 == 0 else interested(rng)
        found = {side: allocate(**of, optimal_for=side).product.tolist() for side in ("creators", "merchants")}
        assert {side: PEERS[library](of, side) for side in found} == found
        several += found["creators"] != found["merchants"]
    return several


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


ANYTHING = st.one_of(st.integers(-2, 5), st.integers(), st.floats(), st.text(max_size=2), st.none(), st.booleans())
ENTRY = st.one_of(ANYTHING, st.lists(ANYTHING, max_size=3), st.frozensets(st.integers(0, 4), max_size=2))
LISTS = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=3),
    st.lists(st.one_of(ANYTHING, st.lists(ENTRY, max_size=4)), max_size=5),
)
SANE = st.lists(st.lists(st.integers(0, 3), max_size=4, unique=True), max_size=5)
QUOTAS = st.one_of(ANYTHING, st.lists(ANYTHING, max_size=4), st.lists(st.integers(0, 2), min_size=4, max_size=4))


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(LISTS, SANE),
    st.one_of(LISTS, SANE),
    st.one_of(QUOTAS, st.just([0, 0, 1, 1])),
    QUOTAS,
    st.one_of(QUOTAS, st.just([2, 2])),
    st.sampled_from(["creators", "merchants", "minimum_regret", "", 3, None]),
    st.one_of(st.none(), QUOTAS),
    st.booleans(),
)
def test_anything_gives_a_stable_matching_or_a_clear_error(
    wanted, listed, merchant, product_quota, quota, side, own, check
) -> None:
    try:
        found = allocate(wanted, listed, merchant, product_quota, quota, side, creator_quota=own, check=check)
    except (DataError, ConfigError):
        return
    assert found.check.stable


NUMBERS = st.one_of(st.integers(-3, 4), st.integers(), st.floats())
ROW = st.one_of(
    st.lists(st.integers(-3, 4), max_size=6).map(lambda of: np.array(of, np.int64)),
    st.lists(st.integers(0, 3), min_size=4, max_size=4).map(np.sort),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6).map(lambda of: np.array(of, np.int64)),
    st.lists(st.integers(0, 2**64 - 1), max_size=4).map(lambda of: np.array(of, np.uint64)),
    st.lists(st.floats(), max_size=4).map(np.array),
    st.lists(ANYTHING, max_size=4).map(lambda of: np.array(of, object)),
    st.lists(st.integers(0, 3), max_size=4).map(lambda of: np.ma.masked_equal(of, 2)),
    st.just(np.zeros((2, 2), int)),
)
START = st.one_of(ROW, st.just(np.array([0, 2, 4])), st.just(np.array([0, 1, 1, 4])))
ENTRIES = st.one_of(ROW, st.sampled_from([[0, 1, 1, 0], [0, 1, 2, 3], [1, 2, 0, 1]]).map(np.array))
ARRAYS = st.one_of(
    st.tuples(START, ENTRIES),
    st.tuples(START, ENTRIES, st.one_of(ROW, st.just(np.array([-9, -9, 0, 10**12])))),
    st.lists(st.lists(NUMBERS, min_size=3, max_size=3), max_size=4).map(np.array),
    st.lists(st.permutations(range(4)), min_size=1, max_size=4).map(np.array),
)
SEEDS = st.one_of(st.integers(0, 9), ANYTHING)


@st.composite
def frames(draw_from) -> object:
    pandas = pytest.importorskip("pandas")
    rows = draw_from(st.lists(st.lists(st.one_of(st.integers(0, 3), ANYTHING), min_size=2, max_size=2), max_size=4))
    sane = draw_from(st.lists(st.permutations([0, 1, None]), min_size=1, max_size=4))
    return pandas.DataFrame(rows if draw_from(st.booleans()) else sane)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_any_arrays_frames_and_seeds_give_a_stable_matching_or_a_clear_error(data: st.DataObject) -> None:
    anything = st.one_of(ARRAYS, frames(), SANE, st.none())
    wanted, listed, seed = data.draw(anything), data.draw(anything), data.draw(SEEDS)
    merchant = data.draw(st.sampled_from([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0]]))
    product_quota = data.draw(st.one_of(st.just([1] * len(merchant)), QUOTAS, ROW))
    quota = data.draw(st.one_of(st.just([2, 2]), st.just([1, 1, 1]), ROW))
    reputation = data.draw(st.one_of(QUOTAS, ROW, st.lists(NUMBERS, max_size=4)))
    matching = data.draw(st.one_of(QUOTAS, ARRAYS, ROW))
    least = data.draw(st.one_of(QUOTAS, ROW))
    with contextlib.suppress(DataError, ConfigError):
        found = allocate(wanted, listed, merchant, product_quota, quota, seed=seed, check=False)
        assert found.check.stable
        with contextlib.suppress(DataError):
            verify(found.game, matching)
        with contextlib.suppress(DataError):
            unmet(found, product_least=least, merchant_least=least)
    with contextlib.suppress(DataError, ConfigError):
        assert allocate_by_reputation(
            wanted, reputation, merchant, product_quota, quota, seed=seed, check=False
        ).check.stable  # fmt: skip


@pytest.mark.parametrize("seed", [-1, "a", 1.5, None, True])
def test_bad_seeds_are_named(seed) -> None:
    with pytest.raises(DataError, match=r"seed is .* Give a whole number"):
        allocate([[0]], None, [0], [1], [1], seed=seed)
    with pytest.raises(DataError, match=r"seed is .* Give a whole number"):
        allocate_by_reputation([[0]], [1.0], [0], [1], [1], seed=seed)
    assert allocate([[0]], None, [0], [1], [1], seed=np.int64(3)).check.stable


def test_masked_quotas_are_refused() -> None:
    masked = np.ma.masked_array([1, 1], [False, True])
    with pytest.raises(DataError, match="product_quota has masked entries"):
        allocate([[0]], [[0]], [0, 0], masked, [1])
    with pytest.raises(DataError, match="reputation has masked entries"):
        allocate_by_reputation([[0], [0]], masked, [0], [1], [1])


@pytest.mark.parametrize("side", ["merchants", "minimum_regret"])
def test_what_one_sided_games_exclude_is_named(side: str) -> None:
    rest = ([0, 1], [1, 1], [1, 1])
    with pytest.raises(ConfigError, match=f"merchant_preferences=None does not go with optimal_for={side}"):
        allocate([[0], [1]], None, *rest, side)
    with pytest.raises(ConfigError, match=f"creator_preferences=None does not go with optimal_for={side}"):
        allocate(None, [[0], [1]], *rest, side)
    with pytest.raises(ConfigError, match="creator_preferences=None does not go with creator_quota other than 1"):
        allocate(None, [[0], [1]], *rest, creator_quota=[2, 1])


def test_two_products_of_a_creator_who_takes_one_are_both_seen() -> None:
    game = Game.of([[0, 1]], [[0]], [0, 0], [1, 1], [2])
    found = verify(game, np.array([[0, 0], [0, 1]]))
    assert found.over_creator.tolist() == [0]
    assert found.blocking.tolist() == []
    assert found.creator_ranks.tolist() == [1, 1]


def test_merchants_who_take_anybody_let_creators_choose_in_a_drawn_order() -> None:
    rng = np.random.default_rng(6)
    drawn = set()
    for seed in range(60):
        of = draw(rng, 12, 6, 2)
        found = allocate(**{**of, "merchant_preferences": None}, seed=seed)
        again = allocate(**{**of, "merchant_preferences": None}, seed=seed)
        np.testing.assert_array_equal(found.product, again.product)
        # Weakly stable where merchants like all creators alike, too.
        everybody = Game.of(**{**of, "merchant_preferences": [[list(range(12))]] * 2})
        assert verify(everybody, found.product).stable
        # Nobody can have better without another's loss: the first in the order have what they like best.
        order = found.game.shared_order
        first = of["creator_preferences"][order[0]]
        assert found.product[order[0]] == (first[0] if first else -1)
        drawn.add(tuple(order.tolist()))
    assert len(drawn) > 50


def test_creators_who_take_anything_let_merchants_choose() -> None:
    found = allocate(None, [[2, 0], [1, 0]], [0, 1, 1], [1, 1, 1], [1, 2])
    assert found.game.creators == 3
    assert found.product.tolist()[2] == 0  # merchant 0 has its first
    assert sorted(found.product.tolist()) == [0, 1, 2]
    assert found.check.stable
    with pytest.raises(DataError, match="names 5, but fewer creators than that"):
        allocate(None, [[5, 0], [1]], [0, 1], [1, 1], [1, 1])
    assert allocate(None, [[5, 0], [1]], [0, 1], [1, 1], [1, 1], creator_quota=[1] * 6).check.size == 2
    with pytest.raises(ConfigError, match="Nobody has preferences"):
        allocate(None, None, [0], [1], [1])


def test_unmet_lower_quotas_are_counted() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        found = allocate(**draw(rng, 8, 5, 2))
        least = rng.integers(0, 4, 5)
        short = unmet(found, product_least=least, merchant_least=5)
        taken = [int(np.sum(found.product == p)) for p in range(5)]
        lacks = {p: int(least[p]) - taken[p] for p in range(5) if taken[p] < least[p]}
        assert dict(zip(short.product.tolist(), short.product_short.tolist(), strict=True)) == lacks
        held = [int(np.sum(found.merchant == v)) for v in range(2)]
        assert short.merchant.tolist() == [v for v in range(2) if held[v] < 5]
        assert bool(short) == bool(lacks or min(held) < 5)
    assert not unmet(found)
    for wrong in ([1], -1, "many", [1.5] * 5):
        with pytest.raises(DataError, match="product_least"):
            unmet(found, product_least=wrong)


def test_merchants_have_as_many_creators_in_every_stable_matching() -> None:
    rng = np.random.default_rng(8)
    several = 0
    for _ in range(80):  # so that a lower quota of a merchant is met by all or by none
        of = draw_tight(rng, 4)
        of["merchant_preferences"] = [listed[: rng.integers(2, 5)] for listed in of["merchant_preferences"]]
        merchant = np.array([*of["product_merchant"], -1])
        held = {tuple(np.bincount(merchant[list(found)] + 1, minlength=5)[1:]) for found in all_stable(of)}
        several += len(all_stable(of)) > 1
        assert len(held) == 1
    assert several > 3


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
