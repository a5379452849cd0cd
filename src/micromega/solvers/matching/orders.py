"""From orders to a matching game (Gomes & Dias, "Approach Description"): customers are potential creators.

Creator i wants the products that it bought, the most valued first. Its reputation r is one number for all merchants, so
that the stable matching is unique: the total it spent (GT), or its average purchase frequency FMC = K / U, the number
of its orders K over the number of customers U. Merchant k takes q_k creators by its share of all sales, product j takes
l_j by its share of its merchant's, so that max l_j <= q_k <= Σ l_j. The document leaves open what a list is sorted by,
how ties fall and how many places there are: lists follow the same measure as the reputation, ties are drawn with a
seed, and there are as many places as customers unless said otherwise.

Shapes: C creators, P products, V merchants, M pairs of a creator and a product that it bought.
"""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching.named import NamedGame, codes, even_quotas, ranked, table_quotas

Measure = Literal["spending", "frequency"]
"""GT, or FMC."""
Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
STANDING_WORDS = {"spending": "total expenditure (GT)", "frequency": "purchase frequency (FMC)"}
WORTH_WORDS = {"spending": "money spent on the product", "frequency": "orders that hold the product"}


def game_from_orders(
    orders: pa.Table, *, measure: Measure = "spending", places: int | None = None, longest: int | None = None,
    quotas: tuple[pa.Table, pa.Table] | None = None, seed: int = 0,
) -> NamedGame:  # fmt: skip
    """Read a game from a market's orders.

    Args:
        orders: order_id, product_id, customer_id, merchant_id, amount; rows without customer or merchant are left out.
        measure: spending (GT) or frequency (FMC).
        places: creators that all merchants take together, about; as many as there are customers where left out.
        longest: most products of a list; no limit where left out.
        quotas: tables merchants and products whose quotas hold, products that nobody bought included; by sales and
            places where left out.
        seed: of the order of products that a creator values alike.

    Returns:
        The game; nothing is random but the order of equals.

    Raises:
        ConfigError: `measure` is unknown, or places or longest below 1.
        DataError: no order names customer and merchant, a product belongs to two merchants, or a quota is missing.
    """
    check_measure(measure)
    if (places is not None and places < 1) or (longest is not None and longest < 1):
        raise ConfigError("places and longest must be 1 or more.")
    rows = _complete(orders)
    (creator_id, creator), (product_id, product), (merchant_id, merchant_of_row) = (
        codes(rows[name]) for name in ("customer_id", "product_id", "merchant_id")
    )
    merchant = _merchant_of(product, merchant_of_row, product_id, merchant_id)
    if quotas is not None:
        product_id, merchant, product = _with_unsold(quotas[1], product_id, merchant, product, merchant_id)
    amount, (_, order) = _amount(rows), codes(rows["order_id"])
    pair, value = _valued(measure, creator, product, order, amount, len(product_id))
    wanting, wanted = np.divmod(pair, len(product_id))
    start, listed, worth = ranked(wanting, wanted, value, len(creator_id), seed=seed, longest=longest)
    if quotas is None:
        q, l_j = _quotas(amount, product, merchant, places or len(creator_id), len(merchant_id))
    else:
        q, l_j = table_quotas(*quotas, merchant_id, product_id)
    return NamedGame(
        creator_id=creator_id,
        product_id=product_id,
        merchant_id=merchant_id,
        start=start,
        product=listed,
        worth=worth,
        reputation=_reputation(measure, creator, order, amount, len(creator_id)),
        standing=np.zeros(0),
        merchant=merchant,
        product_quota=l_j,
        merchant_quota=q,
        measure=measure,
        quotas_given=quotas is not None,
        worth_words=WORTH_WORDS[measure],
        standing_words=STANDING_WORDS[measure],
    )


def reputations(orders: pa.Table, measure: Measure) -> tuple[NDArray[np.str_], Reals]:
    """Customers, sorted, and the reputation r(f) of each: money spent (GT), or orders per customer (FMC).

    Raises:
        ConfigError: `measure` is unknown.
        DataError: no order names customer and merchant.
    """
    check_measure(measure)
    rows = _complete(orders)
    customer_id, customer = codes(rows["customer_id"])
    _, order = codes(rows["order_id"])
    return customer_id, _reputation(measure, customer, order, _amount(rows), len(customer_id))


def check_measure(measure: str) -> None:
    """Refuse a measure that there is not (ConfigError)."""
    if measure not in STANDING_WORDS:
        raise ConfigError(f'measure is "{measure}". Choose spending (GT) or frequency (FMC).')


def _complete(orders: pa.Table) -> pa.Table:
    rows = orders.filter(pc.and_(pc.is_valid(orders["customer_id"]), pc.is_valid(orders["merchant_id"])))
    if not rows.num_rows:
        raise DataError("orders: no row names customer_id and merchant_id. Both are needed to match them.")
    return rows


def _amount(rows: pa.Table) -> Reals:
    amount: Reals = np.nan_to_num(pc.cast(rows["amount"], pa.float64()).to_numpy(zero_copy_only=False))
    return amount


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


def _with_unsold(
    products: pa.Table, product_id: NDArray[np.str_], merchant: Integers, product: Integers,
    merchant_id: NDArray[np.str_],
) -> tuple[NDArray[np.str_], Integers, Integers]:  # fmt: skip
    """Add these merchants' products that no order holds: their quotas count towards Σ l_j.

    Returns:
        Ids and merchants of all products, (P,), and the product of each row.
    """
    mine = pc.is_in(products["merchant_id"], pa.array(merchant_id.tolist()))
    sold = pc.is_in(products["product_id"], pa.array(product_id.tolist()))
    more = products.filter(pc.and_(pc.and_(mine, pc.is_valid(products["quota"])), pc.invert(sold)))
    ids = np.concatenate([product_id, np.asarray(more["product_id"].to_pylist(), str)])
    of = np.asarray(more["merchant_id"].to_pylist(), str)
    merchants = np.concatenate([merchant, np.searchsorted(merchant_id, of)])
    order = np.argsort(ids, kind="stable")
    return ids[order], merchants[order], np.argsort(order)[product]


def _valued(
    measure: Measure, creator: Integers, product: Integers, order: Integers, amount: Reals, products: int
) -> tuple[Integers, Reals]:
    """Pairs of a creator and a product, and the value of each."""
    pair, code = np.unique(creator * products + product, return_inverse=True)
    if measure == "spending":
        return pair, np.bincount(code, weights=amount).astype(np.float64)
    return pair, np.bincount(_once(code, order)).astype(np.float64)


def _reputation(measure: Measure, creator: Integers, order: Integers, amount: Reals, creators: int) -> Reals:
    if measure == "spending":
        spent: Reals = np.bincount(creator, weights=amount, minlength=creators).astype(np.float64)
        return spent
    frequency: Reals = np.bincount(_once(creator, order), minlength=creators) / creators
    return frequency


def _once(of: Integers, order: Integers) -> Integers:
    """First of each distinct pair of a thing and an order."""
    many = int(order.max(initial=0)) + 1
    found: Integers = np.unique(of * many + order) // many
    return found


def _quotas(
    amount: Reals, product: Integers, merchant: Integers, places: int, merchants: int
) -> tuple[Integers, Integers]:
    """Places by shares of sales."""
    sold = np.maximum(np.bincount(product, weights=amount, minlength=len(merchant)), 0.0)
    of_merchant = np.bincount(merchant, weights=sold, minlength=merchants)
    total = of_merchant.sum()
    share = of_merchant / total if total > 0 else np.full(merchants, 1 / merchants)
    many = np.bincount(merchant, minlength=merchants)
    whole = of_merchant[merchant]
    own = np.where(whole > 0, sold / np.where(whole > 0, whole, 1.0), 1 / many[merchant])
    return even_quotas(share, own, merchant, places)
