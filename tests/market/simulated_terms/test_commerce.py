"""Merchants, products, orders: quotas by brute force, tastes against scipy, moments against what was drawn."""

import collections
import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from micromega.market.market import validate
from micromega.market.simulated.commerce import commerce_tables, purchase_probability
from micromega.market.simulated.people import CATEGORIES, draw_people

LAST = np.datetime64("2024-06-30")


def draw(seed=0, brands=6, creators=600, products=60, **settings):
    rng = np.random.default_rng(seed)
    people = draw_people(rng, brands=brands, creators=creators)
    return people, *commerce_tables(rng, people, products=products, last_day=LAST, **settings)


@pytest.fixture(scope="module")
def shop():
    return draw()


def check_quotas(tables):
    products = tables["products"].to_pylist()
    for merchant in tables["merchants"].to_pylist():
        quotas = [row["quota"] for row in products if row["merchant_id"] == merchant["merchant_id"]]
        assert quotas, "every merchant has a product"
        assert min(quotas) >= 1
        assert max(quotas) <= merchant["quota"] <= sum(quotas)


def test_default_sizes(shop):
    _, tables, truth = shop
    assert (tables["merchants"].num_rows, tables["products"].num_rows) == (12, 60)
    assert 5_400 < len(set(tables["orders"]["order_id"].to_pylist())) < 6_600
    assert truth["tastes"].num_rows == 600
    check_quotas(tables)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), creators=st.integers(1, 25), products=st.integers(1, 70))
def test_any_size_is_valid(seed, creators, products):
    people, tables, _ = draw(seed, brands=1, creators=creators, products=products)
    accounts = pa.table({"account_id": people.ids, "kind": ["brand"] + ["creator"] * creators})
    _, notes = validate({"accounts": accounts, **tables})
    assert notes == ()
    check_quotas(tables)
    assert tables["products"].num_rows == products


def test_orders_are_whole(shop):
    people, tables, _ = shop
    of_product = {row["product_id"]: row for row in tables["products"].to_pylist()}
    orders = collections.defaultdict(set)
    times = []
    for row in tables["orders"].to_pylist():
        product = of_product[row["product_id"]]
        assert row["merchant_id"] == product["merchant_id"]
        assert row["quantity"] >= 1
        full = row["quantity"] * product["price"]
        assert 0.85 * full - 0.01 <= row["amount"] <= full + 0.01
        orders[row["order_id"]].add((row["customer_id"], row["ordered_at"]))
        times.append(row["ordered_at"])
    assert all(len(seen) == 1 for seen in orders.values()), "one customer and one time for all lines of an order"
    assert times == sorted(times)
    assert max(times).date() <= dt.date(2024, 6, 30)
    assert (max(times) - min(times)).days in range(355, 366)
    assert {customer for seen in orders.values() for customer, _ in seen} <= set(people.ids[people.brands :])


def test_probability_is_a_softmax_of_distance_and_appeal():
    rng = np.random.default_rng(1)
    subject, place, appeal = rng.normal(size=(5, 16)), rng.normal(size=(7, 16)), rng.normal(size=7)
    distance = np.array([[np.sum((one - other) ** 2) for other in place] for one in subject])
    expected = special.softmax(appeal - 0.125 * distance, axis=1)
    assert purchase_probability(subject, place, appeal) == pytest.approx(expected)


def test_customers_buy_by_their_tastes():
    """Six customers with many orders: units of each product against frequency, tastes and units."""
    people, tables, truth = draw(4, creators=6, products=8, orders=20_000.0)
    place = np.array(truth["products"]["place"].to_pylist())
    probability = purchase_probability(people.subject[6:], place, truth["products"]["appeal"].to_numpy())
    frequency, units = truth["tastes"]["expected_orders"].to_numpy(), truth["tastes"]["mean_units"].to_numpy()
    customer = np.array(tables["orders"]["customer_id"].to_pylist())
    product = np.array(tables["orders"]["product_id"].to_pylist())
    cell = np.searchsorted(people.ids[6:], customer) * 8 + np.searchsorted(np.unique(product), product)
    quantity = tables["orders"]["quantity"].to_numpy()
    found, squares = (np.bincount(cell, quantity**power, minlength=48).reshape(6, 8) for power in (1, 2))
    expected = frequency[:, None] * 1.25 * probability * units[:, None]
    z = (found - expected)[expected > 20] / np.sqrt(squares[expected > 20])  # a compound Poisson's variance
    assert len(z) > 10
    assert np.abs(z).max() < 4.5
    assert stats.kstest(z, "norm").pvalue > 1e-4


def test_frequency_and_spending_are_heavy_tailed():
    _, tables, truth = draw(5, creators=8_000)
    frequency = truth["tastes"]["expected_orders"].to_numpy()
    assert frequency.mean() == pytest.approx(10, rel=0.1)
    customers, amounts = (np.array(tables["orders"][name].to_pylist()) for name in ("customer_id", "amount"))
    ids, place = np.unique(customers, return_inverse=True)
    for total in (np.bincount(place), np.bincount(place, amounts)):
        top = np.sort(total)[::-1][: len(ids) // 10].sum() / total.sum()
        assert top > 0.33
        assert stats.skew(np.log(total)) < 0.5, "log-normal rather than exponential"


def test_quotas_follow_sales():
    _, tables, _ = draw(6, creators=5_000, products=200)
    orders = tables["orders"]
    for table, key in (("merchants", "merchant_id"), ("products", "product_id")):
        sold = collections.Counter()
        for name, quantity in zip(orders[key].to_pylist(), orders["quantity"].to_pylist(), strict=True):
            sold[name] += quantity
        quota = tables[table]["quota"].to_numpy()
        assert stats.spearmanr([sold[name] for name in tables[table][key].to_pylist()], quota).statistic > 0.7
    assert tables["products"]["quota"].to_numpy().sum() == pytest.approx(1.1 * 5_000, rel=0.05)
    assert tables["merchants"]["quota"].to_numpy().sum() == pytest.approx(0.9 * 5_000, rel=0.1)


def test_similar_products_are_bought_by_similar_people(shop):
    people, tables, _ = shop
    line = dict(
        zip(tables["products"]["product_id"].to_pylist(), tables["products"]["category"].to_pylist(), strict=True)
    )
    category = dict(zip(people.ids.tolist(), np.array(CATEGORIES)[people.category].tolist(), strict=True))
    rows = tables["orders"].to_pylist()
    same = np.mean([category[row["customer_id"]] == line[row["product_id"]] for row in rows])
    assert same > 1.5 / 12
    assert len(set(line.values())) == 12
