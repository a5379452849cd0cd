"""Games from orders against counting by hand, on small tables and on the real supermarket data."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching import check_quotas
from micromega.solvers.matching.orders import game_from_orders

ROWS = [  # order, product, customer, merchant, amount
    ("o1", "tea", "ann", "m1", 5.0),
    ("o1", "cup", "ann", "m2", 20.0),
    ("o2", "tea", "ann", "m1", 5.0),
    ("o3", "tea", "bob", "m1", 50.0),
    ("o3", "pot", "bob", "m1", 10.0),
    ("o4", "cup", None, "m2", 99.0),
    ("o5", "pot", "cy", "m1", 10.0),
]


def table(rows: list[tuple]) -> pa.Table:
    names = ("order_id", "product_id", "customer_id", "merchant_id", "amount")
    return pa.table(dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True)))


def lists(game) -> dict[str, list[str]]:
    parts = np.split(game.product_id[game.product], game.start[1:-1])
    return dict(zip(game.creator_id.tolist(), [part.tolist() for part in parts], strict=True))


def test_spending_by_hand() -> None:
    game = game_from_orders(table(ROWS))
    assert game.creator_id.tolist() == ["ann", "bob", "cy"]
    assert game.reputation.tolist() == [30.0, 60.0, 10.0]
    assert lists(game) == {"ann": ["cup", "tea"], "bob": ["tea", "pot"], "cy": ["pot"]}
    # 80 of 100 were sold by m1: 2.4 of three places; of these tea sold 60 of 80.
    assert dict(zip(game.merchant_id.tolist(), game.merchant_quota.tolist(), strict=True)) == {"m1": 2, "m2": 1}
    assert dict(zip(game.product_id.tolist(), game.product_quota.tolist(), strict=True)) == {
        "cup": 1, "pot": 1, "tea": 2,
    }  # fmt: skip
    found = game.solve()
    assert [game.product_id[p] if p >= 0 else None for p in found.product] == ["cup", "tea", "pot"]


def test_frequency_by_hand() -> None:
    game = game_from_orders(table(ROWS), measure="frequency")
    assert game.reputation.tolist() == [2 / 3, 1 / 3, 1 / 3]
    assert lists(game)["ann"] == ["tea", "cup"]


def test_equals_are_drawn_with_the_seed() -> None:
    rows = [("o1", f"p{i}", "ann", "m", 1.0) for i in range(6)]
    orders = [game_from_orders(table(rows), seed=seed).product.tolist() for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1]
    assert len({tuple(of) for of in orders}) > 1
    assert game_from_orders(table(rows), longest=2).product.tolist() == orders[0][:2]


@pytest.mark.parametrize("measure", ["spending", "frequency"])
def test_drawn_orders_keep_the_rule_and_match_counting(measure: str) -> None:
    rng = np.random.default_rng(0)
    merchant = rng.integers(0, 5, 30)
    rows = []
    for i in range(800):
        product = int(rng.integers(30))
        rows.append(
            (f"o{i // 2}", f"p{product:02}", f"c{rng.integers(60):02}", f"m{merchant[product]}", float(rng.lognormal()))
        )
    rows = list({(row[0], row[1]): row for row in rows}.values())
    game = game_from_orders(table(rows), measure=measure, places=40)
    found = game.solve()
    assert found.check.stable
    check_quotas(found.game)
    value: dict[tuple[str, str], float] = defaultdict(float)
    total: dict[str, float] = defaultdict(float)
    seen = set()
    for order, product, customer, _, amount in rows:
        value[customer, product] += amount if measure == "spending" else 1.0
        if measure == "spending":
            total[customer] += amount
        elif (customer, order) not in seen:
            total[customer] += 1 / len(game.creator_id)
        seen.add((customer, order))
    np.testing.assert_allclose(game.reputation, [total[c] for c in game.creator_id.tolist()])
    for customer, wanted in lists(game).items():
        values = [value[customer, product] for product in wanted]
        assert values == sorted(values, reverse=True)
        assert set(wanted) == {product for who, product in value if who == customer}


def test_what_cannot_be_matched_is_named() -> None:
    with pytest.raises(DataError, match=r'product "tea" is sold by "m[12]" and by "m[12]"'):
        game_from_orders(table([*ROWS, ("o6", "tea", "cy", "m2", 1.0)]))
    with pytest.raises(DataError, match="no row names customer_id"):
        game_from_orders(table([("o4", "cup", None, "m2", 99.0)]).cast(
            pa.schema([(name, pa.string()) for name in ("order_id", "product_id", "customer_id", "merchant_id")]
                      + [("amount", pa.float64())])))  # fmt: skip
    with pytest.raises(ConfigError, match="Choose spending"):
        game_from_orders(table(ROWS), measure="mood")
    with pytest.raises(ConfigError, match="places and longest"):
        game_from_orders(table(ROWS), places=0)


def quota_tables(of_m1: int) -> tuple[pa.Table, pa.Table]:
    """Tables in which m1 sells sugar too, which no order holds; of spice the quota is not known."""
    merchants = pa.table({"merchant_id": ["m1", "m2", "m3"], "quota": [of_m1, 1, 1]})
    rows = [
        ("tea", "m1", 2),
        ("pot", "m1", 2),
        ("cup", "m2", 1),
        ("sugar", "m1", 1),
        ("salt", "m3", 1),
        ("spice", "m1", None),
    ]
    names = ("product_id", "merchant_id", "quota")
    return merchants, pa.table(dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True)))


@pytest.mark.parametrize("ties", ["drawn", "kept"])
def test_products_that_nobody_bought_count_for_the_quotas_of_the_tables(ties: str) -> None:
    game = game_from_orders(table(ROWS), quotas=quota_tables(5))
    assert game.quotas_given
    assert game.product_id.tolist() == ["cup", "pot", "sugar", "tea"]
    assert game.merchant_id[game.merchant].tolist() == ["m2", "m1", "m1", "m1"]
    assert (game.merchant_quota.tolist(), game.product_quota.tolist()) == ([5, 1], [1, 2, 1, 2])
    assert lists(game) == lists(game_from_orders(table(ROWS)))
    found = game.solve(ties=ties)
    assert [game.product_id[p] for p in found.product] == ["cup", "tea", "pot"]
    too_many = game_from_orders(table(ROWS), quotas=quota_tables(6))
    with pytest.raises(
        ConfigError, match=r'merchant "m1" takes 6 .* 5 together.*products.parquet.*problem.quotas=sales'
    ):
        too_many.solve(ties=ties)
    with pytest.raises(ConfigError) as said:
        too_many.solve(ties=ties)
    assert "check=False" not in str(said.value)


@pytest.mark.realdata
def test_the_supermarkets(public_data, tmp_path) -> None:
    from micromega.market.importers.supermarket import import_folder

    market = import_folder(public_data / "supermarket-sales", tmp_path / "market")
    for measure in ("spending", "frequency"):
        game = game_from_orders(market.table("orders"), measure=measure)
        assert (len(game.creator_id), len(game.product_id), len(game.merchant_id)) == (12, 6, 6)
        found = game.solve()
        assert found.check.stable
        assert found.check.size == min(12, int(game.merchant_quota.sum()))
        best = int(np.argmax(game.reputation))
        assert found.product[best] == game.product[game.start[best]]
