"""Creators with quotas above one, against enumeration of all pairwise-stable matchings by choice functions."""

import itertools

import numpy as np
import pytest
from games import Instance, Pair, compare_with_verify

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching import Game, allocate, allocate_by_reputation, verify


def draw(rng: np.random.Generator) -> Instance:
    creators, merchants = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    products = merchants + int(rng.integers(0, 3))
    merchant = np.concatenate([np.arange(merchants), rng.integers(0, merchants, products - merchants)])
    return {
        "creator_preferences": [rng.permutation(products)[: rng.integers(1, 4)].tolist() for _ in range(creators)],
        "merchant_preferences": [rng.permutation(creators)[: rng.integers(1, 4)].tolist() for _ in range(merchants)],
        "product_merchant": merchant.tolist(),
        "product_quota": rng.integers(1, 3, products).tolist(),
        "merchant_quota": rng.integers(1, 4, merchants).tolist(),
        "creator_quota": rng.integers(0, 4, creators).tolist(),
    }


def draw_tight(rng: np.random.Generator) -> Instance:
    """One place a product and complete lists: more often several stable matchings."""
    merchants = int(rng.integers(2, 4))
    merchant = [p % merchants for p in range(3)]
    return {
        "creator_preferences": [rng.permutation(3).tolist() for _ in range(3)],
        "merchant_preferences": [rng.permutation(3).tolist() for _ in range(merchants)],
        "product_merchant": merchant,
        "product_quota": rng.integers(1, 3, 3).tolist(),
        "merchant_quota": (np.bincount(merchant) + rng.integers(0, 2, merchants)).tolist(),
        "creator_quota": rng.integers(1, 3, 3).tolist(),
    }


def chosen_by_creator(of: Instance, c: int, offered: set[Pair]) -> set[Pair]:
    wanted = of["creator_preferences"][c]
    ranked = sorted((pair for pair in offered if pair[0] == c), key=lambda pair: wanted.index(pair[1]))
    return set(ranked[: of["creator_quota"][c]])


def chosen_by_merchant(of: Instance, v: int, offered: set[Pair]) -> set[Pair]:
    """Greedy by the merchant's list, then by the creator's, within both quotas."""
    listed, kept = of["merchant_preferences"][v], set[Pair]()
    mine = [pair for pair in offered if of["product_merchant"][pair[1]] == v and pair[0] in listed]
    for c, p in sorted(
        mine, key=lambda pair: (listed.index(pair[0]), of["creator_preferences"][pair[0]].index(pair[1]))
    ):
        if len(kept) < of["merchant_quota"][v] and sum(q == p for _, q in kept) < of["product_quota"][p]:
            kept.add((c, p))
    return kept


def pairwise_stable(of: Instance, matching: set[Pair]) -> bool:
    """Nobody drops anything, and no pair would be chosen by both."""

    def keeps(offered: set[Pair], pair: Pair) -> bool:
        v = of["product_merchant"][pair[1]]
        return pair in chosen_by_creator(of, pair[0], offered) and pair in chosen_by_merchant(of, v, offered)

    pairs = {(c, p) for c, wanted in enumerate(of["creator_preferences"]) for p in wanted}
    if not all(keeps(matching, pair) for pair in matching):
        return False
    return not any(keeps(matching | {pair}, pair) for pair in pairs - matching)


def blocking_by_choice(of: Instance, matching: set[Pair]) -> set[Pair]:
    """Pairs that creator and merchant would both choose beside what a matching within all quotas gives them."""
    pairs = {(c, p) for c, wanted in enumerate(of["creator_preferences"]) for p in wanted}
    return {
        (c, p)
        for c, p in pairs - matching
        if (c, p) in chosen_by_creator(of, c, matching | {(c, p)})
        and (c, p) in chosen_by_merchant(of, of["product_merchant"][p], matching | {(c, p)})
    }


def all_stable(of: Instance) -> list[set[Pair]]:
    pairs = [(c, p) for c, wanted in enumerate(of["creator_preferences"]) for p in wanted]
    subsets = itertools.chain.from_iterable(itertools.combinations(pairs, many) for many in range(len(pairs) + 1))
    return [set(some) for some in subsets if pairwise_stable(of, set(some))]


def compare(seed: int, games: int) -> int:
    rng = np.random.default_rng(seed)
    several = 0
    for trial in range(games):
        of = draw_tight(rng) if trial % 2 else draw(rng)
        stable = all_stable(of)
        several += len(stable) > 1
        found = {
            side: {tuple(pair) for pair in allocate(**of, optimal_for=side, check=False).pairs.tolist()}
            for side in ("creators", "merchants")
        }
        assert found["creators"] in stable
        assert found["merchants"] in stable
        for c in range(len(of["creator_preferences"])):
            # Best for creators: it is what a creator chooses from all that any stable matching gives; and worst.
            for other in stable:
                best, worst = (found[side] for side in ("creators", "merchants"))
                mine = {pair for pair in best if pair[0] == c}
                assert chosen_by_creator(of, c, best | other) == mine
                theirs = {pair for pair in other if pair[0] == c}
                assert chosen_by_creator(of, c, worst | other) == theirs
    return several


def test_both_sides_against_every_pairwise_stable_matching() -> None:
    assert compare(0, 150) > 1


@pytest.mark.slow
def test_both_sides_against_every_pairwise_stable_matching_at_length() -> None:
    assert compare(1, 3_000) > 20


def test_verify_is_the_definition_by_choice_functions() -> None:
    rng = np.random.default_rng(1)
    seen, faulty, several = {True: 0, False: 0}, np.zeros(5, int), 0
    for trial in range(400):
        of = draw(rng)
        pairs = [(c, p) for c, wanted in enumerate(of["creator_preferences"]) for p in wanted]
        if trial % 4 == 0:  # products that are on no list, too
            pairs = list(itertools.product(range(len(of["creator_preferences"])), range(len(of["product_merchant"]))))
        matching = {pair for pair in pairs if rng.random() < 0.4}
        found = verify(Game.of(**of), np.array(sorted(matching), int).reshape(-1, 2))
        counted = compare_with_verify(of, matching, found)
        faulty += np.minimum(counted, 1)
        if not any(counted[1:]):
            expected = pairwise_stable(of, matching)
            assert found.stable == expected
            assert {tuple(pair) for pair in found.blocking.tolist()} == blocking_by_choice(of, matching)
            seen[expected] += 1
            several += counted[0] > 1
    assert faulty.min() > 15
    assert several > 15
    assert min(seen.values()) > 15


def test_with_one_product_each_it_is_the_strict_game() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        wanted = [rng.permutation(12)[:6].tolist() for _ in range(30)]
        listed = [rng.permutation(30).tolist() for _ in range(4)]
        rest = (np.arange(12) % 4, rng.integers(1, 4, 12), rng.integers(2, 8, 4))
        for side in ("creators", "merchants"):
            strict = allocate(wanted, listed, *rest, side, check=False)
            # One more creator who may take two things, but whom nobody lists.
            more = allocate([*wanted, [0, 1]], listed, *rest, side, creator_quota=[1] * 30 + [2], check=False)
            assert more.game.several
            np.testing.assert_array_equal(more.pairs, strict.pairs)


def test_one_reputation_with_quotas_is_unique() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        wanted = [rng.permutation(10)[:6].tolist() for _ in range(20)]
        order = rng.permutation(20)
        rest = (np.arange(10) % 3, rng.integers(1, 5, 10), rng.integers(2, 12, 3))
        quota = rng.integers(0, 4, 20)
        found = allocate_by_reputation(wanted, -np.argsort(order), *rest, creator_quota=quota, check=False)
        for side in ("creators", "merchants"):
            other = allocate(wanted, [order.tolist()] * 3, *rest, side, creator_quota=quota, check=False)
            np.testing.assert_array_equal(found.pairs, other.pairs)


def test_what_several_products_exclude_is_said() -> None:
    rest = ([0, 0], [1, 1], [2])
    found = allocate([[0, 1]], [[0]], *rest, creator_quota=[2])
    assert found.pairs.tolist() == [[0, 0], [0, 1]]
    assert found.creators_of(1).tolist() == [0]
    with pytest.raises(ConfigError, match="read pairs"):
        _ = found.product
    assert allocate([[0, 1]], [[0]], *rest, creator_quota=[0]).product.tolist() == [-1]
    with pytest.raises(ConfigError, match="minimum_regret needs creators who take one"):
        allocate([[0, 1]], [[0]], *rest, "minimum_regret", creator_quota=[2])
    with pytest.raises(DataError, match="creator_quota has 2 entries, creator_preferences 1 lists"):
        allocate([[0, 1]], [[0]], *rest, creator_quota=[2, 2])
    with pytest.raises(DataError, match=r"creator_quota\[0\] is -1"):
        allocate([[0, 1]], [[0]], *rest, creator_quota=[-1])
    for wrong, words in (([[0, 0], [0, 0]], "twice"), ([[0, 5]], "products 0 to 1"), ([[3, 0]], "creators are 0 to 0")):
        with pytest.raises(DataError, match=words):
            verify(found.game, np.array(wrong))
