"""From orders to a matching game (Gomes & Dias, "Approach Description"): customers are potential creators.

Creator i wants the products that it bought, the most valued first. Its reputation r is one number for all merchants, so
that the stable matching is unique: the total it spent (GT), or its average purchase frequency FMC = K / U, the number
of its orders K over the number of customers U. Merchant k takes q_k creators by its share of all sales, product j takes
l_j by its share of its merchant's, so that max l_j <= q_k <= Σ l_j. The document leaves open what a list is sorted by,
how ties fall and how many places there are: lists follow the same measure as the reputation, ties are drawn with a
seed, and there are as many places as customers unless said otherwise.

Shapes: C creators, P products, V merchants, M pairs of a creator and a product that it bought.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching.allocation import Matching, allocate_by_reputation

Measure = Literal["spending", "frequency"]
"""GT, or FMC."""
Integers = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class OrdersGame:
    """A game read from orders.

    Attributes:
        creator_id: (C,) strings, sorted.
        product_id: (P,) strings, sorted.
        merchant_id: (V,) strings, sorted.
        start: where each creator's list begins, (C + 1,).
        product: lists of products, best first, (M,).
        reputation: r(f), in currency (spending) or orders per customer (frequency), (C,).
        merchant: of each product, (P,).
        product_quota: l_j, (P,).
        merchant_quota: q_k, (V,).
        measure: of reputation and lists.
    """

    creator_id: NDArray[np.str_]
    product_id: NDArray[np.str_]
    merchant_id: NDArray[np.str_]
    start: Integers
    product: Integers
    reputation: Reals
    merchant: Integers
    product_quota: Integers
    merchant_quota: Integers
    measure: Measure

    def solve(self, *, seed: int = 0) -> Matching:
        """Allocate by reputation; equals of it in an order drawn with `seed`."""
        return allocate_by_reputation(
            (self.start, self.product),
            self.reputation,
            self.merchant,
            self.product_quota,
            self.merchant_quota,
            seed=seed,
        )


def game_from_orders(
    orders: pa.Table, *, measure: Measure = "spending", places: int | None = None, longest: int | None = None,
    seed: int = 0,
) -> OrdersGame:  # fmt: skip
    """Read a game from a market's orders.

    Args:
        orders: order_id, product_id, customer_id, merchant_id, amount; rows without customer or merchant are left out.
        measure: spending (GT) or frequency (FMC).
        places: creators that all merchants take together, about; as many as there are customers where left out.
        longest: most products of a list; no limit where left out.
        seed: of the order of products that a creator values alike.

    Returns:
        The game; nothing is random but the order of equals.

    Raises:
        ConfigError: `measure` is unknown, or places or longest below 1.
        DataError: no order names customer and merchant, or a product belongs to two merchants.
    """
    if measure not in ("spending", "frequency"):
        raise ConfigError(f'measure is "{measure}". Choose spending (GT) or frequency (FMC).')
    if (places is not None and places < 1) or (longest is not None and longest < 1):
        raise ConfigError("places and longest must be 1 or more.")
    rows = orders.filter(pc.and_(pc.is_valid(orders["customer_id"]), pc.is_valid(orders["merchant_id"])))
    if not rows.num_rows:
        raise DataError("orders: no row names customer_id and merchant_id. Both are needed to match them.")
    (creator_id, creator), (product_id, product), (merchant_id, merchant_of_row) = (
        _codes(rows[name]) for name in ("customer_id", "product_id", "merchant_id")
    )
    merchant = _merchant_of(product, merchant_of_row, product_id, merchant_id)
    amount = np.nan_to_num(np.asarray(pc.cast(rows["amount"], pa.float64()).to_numpy(zero_copy_only=False)))
    _, order = _codes(rows["order_id"])
    pair, value, reputation = _measured(measure, creator, product, order, amount, len(creator_id), len(product_id))
    start, listed = _preferences(pair, value, len(creator_id), len(product_id), longest, seed)
    q, l_j = _quotas(amount, product, merchant, places or len(creator_id), len(merchant_id))
    return OrdersGame(
        creator_id=creator_id,
        product_id=product_id,
        merchant_id=merchant_id,
        start=start,
        product=listed,
        reputation=reputation,
        merchant=merchant,
        product_quota=l_j,
        merchant_quota=q,
        measure=measure,
    )


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.str_], Integers]:
    """Distinct texts, sorted, and the place of each row's among them."""
    encoded = column.combine_chunks().dictionary_encode()
    known = np.asarray(encoded.dictionary.to_pylist(), str)
    order = np.argsort(known, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return known[order], place[encoded.indices.to_numpy()]


def _merchant_of(
    product: Integers, merchant: Integers, product_id: NDArray[np.str_], merchant_id: NDArray[np.str_]
) -> Integers:
    found = np.zeros(len(product_id), np.int64)
    found[product] = merchant
    wrong = np.flatnonzero(found[product] != merchant)
    if wrong.size:
        row = wrong[0]
        raise DataError(
            f'orders: product "{product_id[product[row]]}" is sold by "{merchant_id[merchant[row]]}" and by '
            f'"{merchant_id[found[product[row]]]}". Give each merchant\'s product an id of its own.'
        )
    return found


def _measured(
    measure: Measure, creator: Integers, product: Integers, order: Integers, amount: Reals, creators: int, products: int
) -> tuple[Integers, Reals, Reals]:
    """Pairs of a creator and a product, the value of each, and reputation, (C,)."""
    pair, code = np.unique(creator * products + product, return_inverse=True)
    if measure == "spending":
        spent: Reals = np.bincount(creator, weights=amount, minlength=creators).astype(np.float64)
        return pair, np.bincount(code, weights=amount).astype(np.float64), spent
    orders_of_pair = np.unique(np.stack([code, order]), axis=1)
    orders_of_creator = np.unique(np.stack([creator, order]), axis=1)
    value = np.bincount(orders_of_pair[0]).astype(np.float64)
    return pair, value, np.bincount(orders_of_creator[0], minlength=creators) / creators


def _preferences(
    pair: Integers, value: Reals, creators: int, products: int, longest: int | None, seed: int
) -> tuple[Integers, Integers]:
    creator, product = np.divmod(pair, products)
    lot = np.random.default_rng(seed).permutation(len(product))
    order = np.lexsort((lot, -value, creator))
    creator, product = creator[order], product[order]
    size = np.bincount(creator, minlength=creators)
    start = np.concatenate([[0], np.cumsum(size)])
    if longest is not None:
        kept = np.arange(len(product)) - start[creator] < longest
        product = product[kept]
        start = np.concatenate([[0], np.cumsum(np.minimum(size, longest))])
    return start, product


def _quotas(
    amount: Reals, product: Integers, merchant: Integers, places: int, merchants: int
) -> tuple[Integers, Integers]:
    """Places by shares of sales: q_k rounded, l_j rounded up, both 1 or more."""
    sold = np.maximum(np.bincount(product, weights=amount, minlength=len(merchant)), 0.0)
    of_merchant = np.bincount(merchant, weights=sold, minlength=merchants)
    total = of_merchant.sum()
    share = of_merchant / total if total > 0 else np.full(merchants, 1 / merchants)
    q = np.maximum(1, np.round(places * share)).astype(np.int64)
    many = np.bincount(merchant, minlength=merchants)
    whole = of_merchant[merchant]
    own = np.where(whole > 0, sold / np.where(whole > 0, whole, 1.0), 1 / many[merchant])
    l_j = np.clip(np.ceil(q[merchant] * own - 1e-9), 1, q[merchant]).astype(np.int64)
    return q, l_j
