"""The stable matching of least regret, against enumeration of all stable matchings."""

import numpy as np
import pytest
from games import Instance, all_stable, draw, draw_tight

from micromega.solvers.matching import allocate
from micromega.solvers.matching.regret import regret


def regret_of(of: Instance, product: tuple[int, ...]) -> int:
    """Last place that a matched creator, or a merchant of one, got something at."""
    places = [
        max(of["creator_preferences"][c].index(p), of["merchant_preferences"][of["product_merchant"][p]].index(c)) + 1
        for c, p in enumerate(product)
        if p >= 0
    ]
    return max(places, default=0)


def compare(seed: int, games: int) -> int:
    """Check games one by one; how many have a smaller regret than both extremes."""
    rng = np.random.default_rng(seed)
    between = 0
    for trial in range(games):
        of = draw_tight(rng, int(rng.integers(2, 6))) if trial % 4 else draw(rng, int(rng.integers(1, 6)), 4, 2)
        stable = all_stable(of)
        found = allocate(**of, optimal_for="minimum_regret")
        product = tuple(found.product.tolist())
        assert product in stable
        least = min(regret_of(of, other) for other in stable)
        assert max(regret(found.check)) == regret_of(of, product) == least
        for c, wanted in enumerate(of["creator_preferences"]):  # of all of that regret the best for creators
            held = [wanted.index(other[c]) for other in stable if other[c] >= 0 and regret_of(of, other) == least]
            assert product[c] < 0 or wanted.index(product[c]) == min(held)
        extremes = [allocate(**of, optimal_for=side).product.tolist() for side in ("creators", "merchants")]
        between += all(regret_of(of, tuple(other)) > least for other in extremes)
    return between


def test_no_stable_matching_has_less_regret() -> None:
    compare(0, 120)


@pytest.mark.slow
def test_no_stable_matching_has_less_regret_at_length() -> None:
    assert compare(1, 2_000) > 5


def test_in_between_of_both_sides() -> None:
    # Three stable matchings: a Latin square. Creators' best has merchants at their last place, and the other way round.
    of = {
        "creator_preferences": [[0, 1, 2], [1, 2, 0], [2, 0, 1]],
        "merchant_preferences": [[1, 2, 0], [2, 0, 1], [0, 1, 2]],
        "product_merchant": [0, 1, 2],
        "product_quota": [1, 1, 1],
        "merchant_quota": [1, 1, 1],
    }
    assert len(all_stable(of)) == 3
    found = {side: allocate(**of, optimal_for=side) for side in ("creators", "merchants", "minimum_regret")}
    assert [found[side].product.tolist() for side in found] == [[0, 1, 2], [2, 0, 1], [1, 2, 0]]
    assert [regret(found[side].check) for side in found] == [(1, 3), (3, 1), (2, 2)]


def test_larger_games() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        lists = [rng.permutation(150).tolist() for _ in range(150)], [rng.permutation(150).tolist() for _ in range(150)]
        rest = (np.arange(150), np.ones(150, int), np.ones(150, int))
        found = {side: allocate(*lists, *rest, side) for side in ("creators", "merchants", "minimum_regret")}
        least = max(regret(found["minimum_regret"].check))
        assert all(least <= max(regret(of.check)) for of in found.values())
        ranks = [of.check.creator_ranks @ np.arange(len(of.check.creator_ranks)) for of in found.values()]
        assert ranks[0] <= ranks[2] <= ranks[1]
