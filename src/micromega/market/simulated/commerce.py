"""Merchants, their products and who buys them: the input of the matching of creators to products.

Shapes: C creators (the customers), P products, V merchants, O orders, T lines of orders, L subject dimensions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.schemas import TIME
from micromega.market.simulated.people import CATEGORIES, SUBJECT_DIMS, People
from micromega.market.simulated.vocabulary import CATEGORY_WORDS, SYLLABLES

PRODUCTS_PER_MERCHANT = 5
OWN_LINE = 0.75
"""Share of a merchant's products that are of its main category."""
PLACE_SD = 0.6
"""Spread of products around their category in subject space."""
APPEAL_SD = 1.0
"""Spread of products' log appeal to everybody."""
TASTE = 0.25
"""Log odds of buying lost per unit of squared distance in subject space, halved."""
LOG_PRICE, PRICE_SD = 3.4, 0.8
"""Log-normal prices of products, in the market's currency."""
ORDERS = 10.0
"""Mean number of orders per creator in a year."""
FREQUENCY_SD = 1.0
"""Spread of customers' log frequency: a tenth of the customers place more than a third of the orders."""
MORE_LINES = 0.25
"""Mean number of lines of an order beyond the first."""
MORE_UNITS, UNITS_SD = 0.8, 0.7
"""Mean number of units of a line beyond the first, and the spread of customers' log of it."""
DISCOUNT = 0.15
"""A line is sold at up to this share below the price, evenly; on average at half of it."""
PRODUCT_LOAD, MERCHANT_LOAD = 1.1, 0.9
"""All products together want so many times the number of creators, and all merchants take so many."""
QUOTA_SD = 0.4
"""Products' quotas follow their sales with such a (log) error: merchants set them by hand."""
YEAR_S = 365 * 86_400
_BLOCK = 4_000_000

Tables = Mapping[str, pa.Table]


def commerce_tables(
    rng: np.random.Generator, people: People, *, products: int, last_day: np.datetime64, orders: float = ORDERS
) -> tuple[Tables, Tables]:
    """Draw merchants, products, a year of orders and the quotas that follow from them.

    Quotas keep max l_j <= q_k <= sum l_j over each merchant's products (Gomes & Dias, Problem statement); a merchant's
    quota follows its sales (Approach Description, 2a).

    Args:
        rng: random stream.
        people: the accounts; creators are the customers.
        products: number of products, at least 1.
        last_day: day of the market's last post (datetime64[D]), the last day with orders.
        orders: mean number of orders per creator.

    Returns:
        Tables "merchants", "products", "orders"; truth "tastes" (account_id, expected_orders, mean_units) and
        "products" (product_id, place, appeal). `purchase_probability` turns subject, place and appeal into
        probabilities of each product.
    """
    merchants = max(1, products // PRODUCTS_PER_MERCHANT)
    line_V = np.arange(merchants) % len(CATEGORIES)
    merchant_P = np.sort(np.concatenate([np.arange(merchants), rng.integers(0, merchants, products - merchants)]))
    other_P = rng.integers(0, len(CATEGORIES), products)
    category_P = np.where(rng.random(products) < OWN_LINE, line_V[merchant_P], other_P)
    place_PL = people.centre[category_P] + PLACE_SD * rng.normal(size=(products, SUBJECT_DIMS))
    appeal_P = APPEAL_SD * rng.normal(size=products)
    price_P = np.maximum(np.round(np.exp(rng.normal(LOG_PRICE, PRICE_SD, products)), 2), 0.5)
    subject_CL = people.subject[people.brands :]

    creators = len(subject_CL)
    frequency_C = orders * np.exp(FREQUENCY_SD * rng.normal(size=creators) - FREQUENCY_SD**2 / 2)
    more_C = MORE_UNITS * np.exp(UNITS_SD * rng.normal(size=creators) - UNITS_SD**2 / 2)
    count_C = rng.poisson(frequency_C)
    count_C[rng.integers(creators)] += int(count_C.sum() == 0)  # a table is never empty
    customer_O = np.repeat(np.arange(creators), count_C)
    order_T = np.repeat(np.arange(len(customer_O)), 1 + rng.poisson(MORE_LINES, len(customer_O)))
    product_T = _choices(rng, subject_CL, place_PL, appeal_P, customer_O[order_T])
    units_T = 1 + rng.poisson(more_C[customer_O[order_T]])
    code_T, line = np.unique(order_T * products + product_T, return_inverse=True)  # a product once per order
    order_T, product_T = np.divmod(code_T, products)
    units_T = np.bincount(line, units_T)
    amount_T = np.round(units_T * price_P[product_T] * (1 - DISCOUNT * rng.random(len(units_T))), 2)
    volume_P = np.bincount(product_T, units_T, minlength=products)
    quota_P, quota_V = _quotas(rng, volume_P.astype(np.float64), merchant_P, creators)

    merchant_ids, product_ids = np.char.mod("v%05d", np.arange(merchants)), np.char.mod("g%06d", np.arange(products))
    ids_C = people.ids[people.brands :]
    end = (last_day + 1).astype("datetime64[s]")
    second_O = rng.integers(0, YEAR_S, len(customer_O))
    rank_O = np.argsort(np.argsort(second_O, kind="stable"), kind="stable")  # order ids go by time
    time_T = (end - YEAR_S + second_O[order_T].astype("timedelta64[s]")).astype("datetime64[us]")
    orders_table = pa.table(
        {
            "order_id": np.char.mod("o%08d", rank_O[order_T]),
            "product_id": product_ids[product_T],
            "customer_id": ids_C[customer_O[order_T]],
            "merchant_id": merchant_ids[merchant_P[product_T]],
            "quantity": units_T.astype(np.int64),
            "amount": amount_T,
            "ordered_at": pa.array(time_T).cast(TIME),
        }
    )
    tables = {
        "merchants": pa.table({"merchant_id": merchant_ids, "name": _shop_names(rng, merchants), "quota": quota_V}),
        "products": pa.table(
            {
                "product_id": product_ids,
                "merchant_id": merchant_ids[merchant_P],
                "name": _product_names(rng, category_P),
                "category": np.array(CATEGORIES)[category_P],
                "quota": quota_P,
                "price": price_P,
            }
        ),
        "orders": orders_table.take(np.argsort(rank_O[order_T], kind="stable")),
    }
    places = pa.FixedSizeListArray.from_arrays(pa.array(place_PL.ravel()), SUBJECT_DIMS)
    truth = {
        "tastes": pa.table({"account_id": ids_C, "expected_orders": frequency_C, "mean_units": 1 + more_C}),
        "products": pa.table({"product_id": product_ids, "place": places, "appeal": appeal_P}),
    }
    return tables, truth


def purchase_probability(
    subject: NDArray[np.float64], place: NDArray[np.float64], appeal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability that a line of a customer's order is each product.

    Log odds are the product's appeal minus `TASTE` / 2 times the squared distance of customer and product.

    Args:
        subject: (C, L) what customers are about.
        place: (P, L) where products lie.
        appeal: (P,) log appeal to everybody.

    Returns:
        (C, P); rows sum to 1.
    """
    squared_CP = (subject**2).sum(axis=1)[:, None] + (place**2).sum(axis=1) - 2.0 * subject @ place.T
    odds_CP = appeal - TASTE / 2 * squared_CP
    odds_CP = np.exp(odds_CP - odds_CP.max(axis=1, keepdims=True))
    probability_CP: NDArray[np.float64] = odds_CP / odds_CP.sum(axis=1, keepdims=True)
    return probability_CP


def _choices(
    rng: np.random.Generator,
    subject_CL: NDArray[np.float64],
    place_PL: NDArray[np.float64],
    appeal_P: NDArray[np.float64],
    customer_T: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Draw the product of each line; lines come by customer."""
    products = len(place_PL)
    chosen_T = np.empty(len(customer_T), dtype=np.int64)
    uniform_T = rng.random(len(customer_T))
    step = max(1, _BLOCK // products)
    for start in range(0, len(subject_CL), step):  # blocks, because (C, P) probabilities would not fit
        first, last = np.searchsorted(customer_T, [start, start + step])
        row_T = customer_T[first:last] - start
        cumulated = np.cumsum(purchase_probability(subject_CL[start : start + step], place_PL, appeal_P), axis=1)
        # Row i lives in [i, i + 1), so that one search serves all rows.
        flat = np.searchsorted((cumulated + np.arange(len(cumulated))[:, None]).ravel(), row_T + uniform_T[first:last])
        chosen_T[first:last] = np.clip(flat - row_T * products, 0, products - 1)
    return chosen_T


def _quotas(
    rng: np.random.Generator, volume_P: NDArray[np.float64], merchant_P: NDArray[np.int64], creators: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Set quotas l of products and q of merchants by sales, max l <= q <= sum l for each merchant."""
    weight_P = (volume_P + 1) * np.exp(QUOTA_SD * rng.normal(size=len(volume_P)))
    quota_P = np.maximum(np.round(PRODUCT_LOAD * creators * weight_P / weight_P.sum()), 1).astype(np.int64)
    volume_V = np.bincount(merchant_P, volume_P + 1)
    wanted_V = np.round(MERCHANT_LOAD * creators * volume_V / volume_V.sum()).astype(np.int64)
    starts = np.searchsorted(merchant_P, np.arange(len(volume_V)))  # every merchant has a product
    least_V, most_V = np.maximum.reduceat(quota_P, starts), np.add.reduceat(quota_P, starts)
    return quota_P, np.clip(wanted_V, least_V, most_V)


def _shop_names(rng: np.random.Generator, count: int) -> NDArray[Any]:
    syllables = np.array(SYLLABLES.split(), dtype=object)
    first, second = syllables[rng.integers(0, len(syllables), (2, count))]
    names: NDArray[Any] = first + second + np.array([" store"], dtype=object)
    return names


def _product_names(rng: np.random.Generator, category_P: NDArray[np.int64]) -> NDArray[Any]:
    words_KW = np.array([text.split() for text in CATEGORY_WORDS.values()], dtype=object)
    words_P = words_KW[category_P, rng.integers(0, words_KW.shape[1], len(category_P))]
    names: NDArray[Any] = words_P + np.char.mod(" %d", np.arange(1, len(category_P) + 1)).astype(object)
    return names
