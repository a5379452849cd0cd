"""Games from learned scores against the tables that they are read from."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching.answer import certify
from micromega.solvers.matching.scores import game_from_scores


@dataclass
class Tables:
    tables: dict[str, pa.Table] = field(default_factory=dict)

    def table(self, name: str) -> pa.Table:
        if name not in self.tables:
            raise DataError(f"no table {name}")
        return self.tables[name]


AFFINITY = pa.table(
    {
        "brand_id": ["b1", "b1", "b1", "b2", "b2", "b2"],
        "creator_id": ["ann", "bob", "cy", "ann", "bob", "cy"],
        "score": [0.9, 0.5, 0.1, 0.3, 0.4, 0.8],
    }
)
PRICES = pa.table(
    {
        "creator_id": ["ann", "ann", "bob", "cy", "zoe"],
        "content_type": ["post", "video", "post", "video", "post"],
        "price": [10.0, 40.0, 20.0, 30.0, 1.0],
    }
)
EVENTS = pa.table({"event_id": ["e1", "e2", "e3"], "brand_id": ["b1", "b1", "b2"]})
EFFECTIVENESS = pa.table(
    {
        "creator_id": ["ann", "ann", "bob", "bob", "cy"],
        "event_id": ["e1", "e2", "e1", "e3", "e9"],
        "mean": [1.0, 2.0, 5.0, 1.0, 9.0],
    }
)
ORDERS = pa.table(
    {
        "order_id": ["o1", "o2", "o3"],
        "product_id": ["x", "x", "x"],
        "customer_id": ["bob", "bob", "ann"],
        "merchant_id": ["m", "m", "m"],
        "amount": [5.0, 5.0, 30.0],
    }
)


def lists(game) -> dict[str, list[str]]:
    parts = np.split(game.product_id[game.product], game.start[1:-1])
    return dict(zip(game.creator_id.tolist(), [part.tolist() for part in parts], strict=True))


def ranked(game) -> dict[str, list[str]]:
    """Creators of each merchant by falling standing, as its list is made."""
    made = game.solve().game
    parts = np.split(game.creator_id[made.creator], made.merchant_start[1:-1])
    return dict(zip(game.merchant_id.tolist(), [part.tolist() for part in parts], strict=True))


def test_commissions_are_kinds_of_content_at_the_creators_price() -> None:
    game = game_from_scores(AFFINITY, Tables({"prices": PRICES}))
    assert game.product_id.tolist() == ["b1: post", "b1: video", "b2: post", "b2: video"]
    assert game.merchant.tolist() == [0, 0, 1, 1]
    # ann: b1 video 36, b2 video 12, b1 post 9, b2 post 3; bob has no video; cy: b2 24, b1 3.
    assert lists(game) == {
        "ann": ["b1: video", "b2: video", "b1: post", "b2: post"],
        "bob": ["b1: post", "b2: post"],
        "cy": ["b2: video", "b1: video"],
    }
    assert game.worth.tolist() == pytest.approx([36, 12, 9, 3, 10, 8, 24, 3])
    assert ranked(game) == {"b1": ["ann", "bob", "cy"], "b2": ["cy", "bob", "ann"]}
    assert game.merchant_quota.tolist() == [2, 2]  # three places for two brands: 1.5 each, to the even number
    assert game.product_quota.tolist() == [1, 1, 1, 1]
    found = game.solve()
    assert [game.product_id[p] for p in found.product] == ["b1: video", "b1: post", "b2: video"]
    assert certify(game, found).ok


def test_shops_have_products_prices_and_quotas_of_their_own() -> None:
    merchants = pa.table({"merchant_id": ["b2", "b1", "other"], "quota": [1, 2, 1]})
    products = pa.table(
        {
            "product_id": ["p2", "p1", "p3", "p4"],
            "merchant_id": ["b1", "b1", "b2", "other"],
            "quota": [1, 2, 1, 1],
            "price": [10.0, 1.0, 4.0, 9.0],
        }
    )
    market = Tables({"prices": PRICES, "merchants": merchants, "products": products})
    game = game_from_scores(AFFINITY, market)
    assert game.product_id.tolist() == ["p1", "p2", "p3"]
    assert (game.merchant_quota.tolist(), game.product_quota.tolist()) == ([2, 1], [2, 1, 1])
    assert lists(game) == {"ann": ["p2", "p3", "p1"], "bob": ["p2", "p3", "p1"], "cy": ["p3", "p2", "p1"]}
    without = products.set_column(3, "price", pa.array([None, 1.0, 4.0, 9.0], pa.float64()))
    game = game_from_scores(AFFINITY, Tables({"merchants": merchants.drop_columns("quota").append_column(
        "quota", pa.nulls(3, pa.int64())), "products": without}))  # fmt: skip
    assert "pay is left out" in game.notes[0]
    assert game.worth_words == "affinity"
    assert game.merchant_quota.tolist() == [2, 2]
    one = Tables({"merchants": merchants.slice(0, 1), "products": products.slice(2, 1)})
    with pytest.raises(DataError, match='1 of 2 brands \\(first "b1"\\) are no merchants'):
        game_from_scores(AFFINITY, one)


def test_without_prices_every_brand_has_one_post() -> None:
    game = game_from_scores(AFFINITY, Tables())
    assert game.product_id.tolist() == ["b1: post", "b2: post"]
    assert lists(game)["cy"] == ["b2: post", "b1: post"]
    assert lists(game_from_scores(AFFINITY, Tables(), longest=1))["cy"] == ["b2: post"]
    assert game_from_scores(AFFINITY, Tables(), places=10).merchant_quota.tolist() == [5, 5]


def test_merchants_rank_by_effectiveness_or_reputation() -> None:
    market = Tables({"prices": PRICES, "events": EVENTS, "orders": ORDERS})
    game = game_from_scores(AFFINITY, market, merchants_rank_by="effectiveness", effectiveness=EFFECTIVENESS)
    assert ranked(game) == {"b1": ["bob", "ann"], "b2": ["bob"]}  # ann: mean 1.5; cy has no row: refused
    assert certify(game, game.solve()).ok
    for measure, order in (("spending", ["ann", "bob", "cy"]), ("frequency", ["bob", "ann", "cy"])):
        game = game_from_scores(AFFINITY, market, merchants_rank_by="reputation", measure=measure)
        assert ranked(game) == {"b1": order, "b2": order}


def test_drawn_scores_give_lists_that_follow_them() -> None:
    rng = np.random.default_rng(0)
    brands, creators = [f"b{i:02}" for i in range(8)], [f"c{i:02}" for i in range(40)]
    affinity = pa.table(
        {"brand_id": np.repeat(brands, 40), "creator_id": np.tile(creators, 8), "score": rng.random(320).round(1)}
    )
    prices = pa.table(
        {"creator_id": np.repeat(creators, 2), "content_type": np.tile(["post", "video"], 40),
         "price": rng.integers(1, 4, 80).astype(float)}
    )  # fmt: skip
    for settings in ({}, {"optimal_for": "merchants"}, {"optimal_for": "minimum_regret"}, {"ties": "kept"},
                     {"creator_quota": 2}):  # fmt: skip
        game = game_from_scores(affinity, Tables({"prices": prices}), places=30)
        found = game.solve(**settings)
        certificate = certify(game, found)
        assert certificate.ok, certificate.to_json()
        assert found.game.tied == (settings.get("ties") == "kept")
    upside_down = game.standing.copy()
    upside_down[:] = 1 - upside_down
    broken = certify(game, type(game)(**{**vars(game), "standing": upside_down}).solve())
    assert [check.name for check in broken.checks if not check.ok] == ["ranking"]


@pytest.mark.parametrize(
    ("tables", "settings", "error", "words"),
    [
        ({}, {"places": 0}, ConfigError, "places and longest"),
        ({}, {"merchants_rank_by": "mood"}, ConfigError, "Choose affinity, effectiveness or reputation"),
        ({}, {"merchants_rank_by": "effectiveness"}, ConfigError, "needs its score table"),
        ({}, {"merchants_rank_by": "reputation"}, DataError, "no table orders"),
        ({"prices": PRICES.slice(4)}, {}, DataError, "none of the scored creators has a price"),
        (
            {"events": EVENTS},
            {"merchants_rank_by": "effectiveness", "effectiveness": EFFECTIVENESS.slice(4)},
            DataError,
            "no row for an event of the scored brands",
        ),
    ],
)
def test_what_is_missing_is_named(tables: dict, settings: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        game_from_scores(AFFINITY, Tables(tables), **settings)


def with_value(table: pa.Table, column: str, value: float | None) -> pa.Table:
    values = [*table[column].to_pylist()[:-1], value]
    return table.set_column(table.column_names.index(column), column, pa.array(values, pa.float64()))


def test_repeated_rows_and_values_that_are_no_numbers_are_named() -> None:
    twice = pa.concat_tables([AFFINITY, AFFINITY.slice(1, 1)])
    with pytest.raises(DataError, match='affinity: several rows for brand_id "b1", creator_id "bob"'):
        game_from_scores(twice, Tables())
    twice = pa.concat_tables([PRICES, PRICES.slice(1, 1)])
    with pytest.raises(DataError, match='prices: several rows for creator_id "ann", content_type "video"'):
        game_from_scores(AFFINITY, Tables({"prices": twice}))
    for value in (np.nan, np.inf, None):
        with pytest.raises(DataError, match=r"affinity: 1 rows have no finite score \(first: row 5\)"):
            game_from_scores(with_value(AFFINITY, "score", value), Tables())
        with pytest.raises(DataError, match=r"prices: 1 rows have no finite price \(first: row 3\)"):
            game_from_scores(AFFINITY, Tables({"prices": with_value(PRICES.slice(0, 4), "price", value)}))
        broken = with_value(EFFECTIVENESS, "mean", value)
        with pytest.raises(DataError, match="effectiveness: 1 rows have no finite mean"):
            game_from_scores(
                AFFINITY, Tables({"events": EVENTS}), merchants_rank_by="effectiveness", effectiveness=broken
            )


def test_no_scores_are_named() -> None:
    with pytest.raises(DataError, match="affinity: no row"):
        game_from_scores(AFFINITY.slice(0, 0), Tables())
