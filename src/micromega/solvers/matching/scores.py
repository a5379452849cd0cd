"""From learned scores to a matching game.

Merchants rank creators by affinity, effectiveness or reputation; creators rank products by affinity × pay. Brands of
the affinity table are the merchants. Two readings of what a creator can take from them:

- shops: the table merchants knows the brands. Products are those of the table products; the pay is a share of the
  product's price, the same share for all, so that the price stands for it; quotas are those of the tables, if given.
- commissions: it does not. A brand's products are the kinds of content that creators have prices for; the pay is the
  creator's own price; brands share the places evenly, and so do a brand's kinds of content. Without prices every brand
  has one product, a post, and pay plays no part.

Shapes: C creators, P products, V merchants, M pairs of a creator and a product.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching.named import NamedGame, codes, even_quotas, ranked, table_quotas
from micromega.solvers.matching.orders import STANDING_WORDS, Measure, reputations

RankBy = Literal["affinity", "effectiveness", "reputation"]
Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
Texts = NDArray[np.str_]
_POST = "post"


class MarketTables(Protocol):
    """What is needed of a market."""

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The tables that the market holds."""

    def table(self, name: str) -> pa.Table:
        """One table; an error that says how to make it where there is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Offers:
    """What brands offer: products (P,), pairs of an affinity row and a product, (M,), the pay, and how it was read."""

    product_id: Texts
    merchant: Integers
    row: Integers
    product: Integers
    pay: Reals
    quotas: tuple[pa.Table, pa.Table] | None
    note: str


def game_from_scores(
    affinity: pa.Table, market: MarketTables, *, merchants_rank_by: RankBy = "affinity",
    effectiveness: pa.Table | None = None, measure: Measure = "spending", places: int | None = None,
    longest: int | None = None, seed: int = 0,
) -> NamedGame:  # fmt: skip
    """Read a game from scores.

    Args:
        affinity: brand_id, creator_id, score; scores are probabilities of fit.
        market: for products, prices, events and orders.
        merchants_rank_by: affinity to the creator; effectiveness, the mean over the brand's events (a creator without
            a row is refused); or reputation, money spent or orders placed, 0 without orders.
        effectiveness: table creator_id, event_id, mean, if merchants rank by it.
        measure: of reputations.
        places: creators that all merchants take together, about, unless the tables give quotas; as many as there are
            creators where left out.
        longest: most products of a creator's list; no limit where left out.
        seed: of the order of equals on creators' lists.

    Returns:
        The game, with notes on how the tables were read.

    Raises:
        ConfigError: places or longest below 1, an unknown `merchants_rank_by`, or no effectiveness for it.
        DataError: a table that is needed is missing, has no row for these brands, or names a pair twice; a score or
            price is no finite number.
    """
    if (places is not None and places < 1) or (longest is not None and longest < 1):
        raise ConfigError("places and longest must be 1 or more.")
    if not affinity.num_rows:
        raise DataError("affinity: no row. Score brands and creators first (evaluate.py).")
    (merchant_id, brand), (creator_id, creator) = codes(affinity["brand_id"]), codes(affinity["creator_id"])
    score = _finite(affinity, "score", "affinity")
    _check_once(brand * len(creator_id) + creator, affinity, ("brand_id", "creator_id"), "affinity")
    offers = _shops(market, merchant_id, brand) or _commissions(market, merchant_id, brand, creator_id, creator)
    standing, words = _standing(
        merchants_rank_by, market, effectiveness, measure, merchant_id, brand, creator_id, creator, score
    )
    worth, owner = score[offers.row] * offers.pay, creator[offers.row]
    start, order, _ = ranked(owner, np.arange(len(owner)), worth, len(creator_id), seed=seed, longest=longest)
    if offers.quotas is None:
        many = np.bincount(offers.merchant, minlength=len(merchant_id))
        q, l_j = even_quotas(
            np.full(len(merchant_id), 1 / len(merchant_id)),
            1 / many[offers.merchant],
            offers.merchant,
            places or len(creator_id),
        )
    else:
        q, l_j = table_quotas(*offers.quotas, merchant_id, offers.product_id)
    return NamedGame(
        creator_id=creator_id,
        product_id=offers.product_id,
        merchant_id=merchant_id,
        start=start,
        product=offers.product[order],
        worth=worth[order],
        reputation=np.zeros(0),
        standing=standing[offers.row[order]],
        merchant=offers.merchant,
        product_quota=l_j,
        merchant_quota=q,
        measure=merchants_rank_by,
        quotas_given=offers.quotas is not None,
        worth_words="affinity × pay" if np.any(offers.pay != 1) else "affinity",
        standing_words=words,
        notes=(offers.note,),
    )


def _shops(market: MarketTables, merchant_id: Texts, brand: Integers) -> _Offers | None:
    """Products of the market's own tables; None where they do not know the brands."""
    if not {"merchants", "products"} <= set(market.tables):
        return None
    products, merchants = market.table("products"), market.table("merchants")
    known = set(merchants["merchant_id"].to_pylist()) & set(products["merchant_id"].to_pylist())
    unknown = [name for name in merchant_id.tolist() if name not in known]
    if len(unknown) == len(merchant_id):
        return None
    if unknown:
        raise DataError(
            f'affinity: {len(unknown)} of {len(merchant_id)} brands (first "{unknown[0]}") are no merchants with '
            "products, while others are. Add them to merchants.parquet and products.parquet, or leave them unscored."
        )
    held = products.filter(pc.is_in(products["merchant_id"], pa.array(merchant_id.tolist())))
    held = held.sort_by("product_id")
    merchant = np.searchsorted(merchant_id, np.asarray(held["merchant_id"].to_pylist(), str))
    row, product = _each_of(brand, merchant)
    price = np.asarray(pc.fill_null(held["price"], np.nan).to_numpy(zero_copy_only=False), np.float64)
    priced = not np.any(np.isnan(price))
    given = merchants["quota"].null_count == 0 and held["quota"].null_count == 0
    return _Offers(
        product_id=np.asarray(held["product_id"].to_pylist(), str),
        merchant=merchant,
        row=row,
        product=product,
        pay=price[product] if priced else np.ones(len(product)),
        quotas=(merchants, held) if given else None,
        note="Merchants are the scored brands, with the products of products.parquet. "
        + (
            "The pay is taken for a share of the product's price."
            if priced
            else "Not all products have a price: pay is left out."
        )
        + (" Quotas are those of the tables." if given else " Places are shared evenly."),
    )


def _commissions(
    market: MarketTables, merchant_id: Texts, brand: Integers, creator_id: Texts, creator: Integers
) -> _Offers:
    """A brand's products are kinds of content; the pay is the creator's price."""
    if "prices" not in market.tables:
        kinds, of_creator, kind_of, asked = np.array([_POST]), np.arange(len(creator_id)), 0, np.ones(len(creator_id))
        kind = np.zeros(len(creator_id), np.int64) + kind_of
        note = "The market has no prices: every brand has one product, a post, and pay is left out."
    else:
        prices = market.table("prices")
        prices = prices.filter(pc.is_in(prices["creator_id"], pa.array(creator_id.tolist())))
        if not prices.num_rows:
            raise DataError("prices: none of the scored creators has a price. Give theirs, or leave the table out.")
        kinds, kind = codes(prices["content_type"])
        of_creator = np.searchsorted(creator_id, np.asarray(prices["creator_id"].to_pylist(), str))
        asked = _finite(prices, "price", "prices")
        _check_once(of_creator * len(kinds) + kind, prices, ("creator_id", "content_type"), "prices")
        note = (
            "Merchants are the scored brands; what a brand offers are kinds of content "
            f"({', '.join(kinds.tolist())}), and the pay is the creator's price. Places are shared evenly."
        )
    row, offer = _each_of(creator, of_creator)
    return _Offers(
        product_id=np.array([f"{name}: {what}" for name in merchant_id.tolist() for what in kinds.tolist()]),
        merchant=np.repeat(np.arange(len(merchant_id)), len(kinds)),
        row=row,
        product=brand[row] * len(kinds) + kind[offer],
        pay=asked[offer],
        quotas=None,
        note=note,
    )


def _finite(table: pa.Table, column: str, name: str) -> Reals:
    values = np.asarray(pc.fill_null(table[column], np.nan).to_numpy(zero_copy_only=False), np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise DataError(f"{name}: {wrong.size} rows have no finite {column} (first: row {wrong[0]}). Give one number.")
    return values


def _check_once(key: Integers, table: pa.Table, columns: tuple[str, str], name: str) -> None:
    """Refuse a table that has two rows for one pair."""
    _, first, many = np.unique(key, return_index=True, return_counts=True)
    if np.any(many > 1):
        row = int(first[many > 1][0])
        pair = ", ".join(f'{column} "{table[column][row].as_py()}"' for column in columns)
        raise DataError(f"{name}: several rows for {pair} ({np.sum(many > 1)} such pairs). Keep one.")


def _each_of(key: Integers, other: Integers) -> tuple[Integers, Integers]:
    """All pairs of a row of `key` and a row of `other` that agree, by row of `key`."""
    order = np.argsort(other, kind="stable")
    first = np.searchsorted(other[order], key)
    many = np.searchsorted(other[order], key, side="right") - first
    row = np.repeat(np.arange(len(key)), many)
    within = np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many)
    return row, order[np.repeat(first, many) + within]


def _standing(
    by: str, market: MarketTables, effectiveness: pa.Table | None, measure: Measure, merchant_id: Texts,
    brand: Integers, creator_id: Texts, creator: Integers, score: Reals,
) -> tuple[Reals, str]:  # fmt: skip
    """What the brand of each affinity row ranks the row's creator by, and the words for it."""
    if by == "affinity":
        return score, "affinity"
    if by == "reputation":
        known, reputation = reputations(market.table("orders"), measure)
        at = np.minimum(np.searchsorted(known, creator_id), len(known) - 1)
        own = np.where(known[at] == creator_id, reputation[at], 0.0)
        return own[creator], STANDING_WORDS[measure]
    if by != "effectiveness":
        raise ConfigError(f'merchants_rank_by is "{by}". Choose affinity, effectiveness or reputation.')
    if effectiveness is None:
        raise ConfigError("merchants_rank_by: effectiveness needs its score table: problem.effectiveness=FILE.")
    return _effectiveness(market, effectiveness, merchant_id, brand, creator_id, creator), "effectiveness"


def _effectiveness(
    market: MarketTables, table: pa.Table, merchant_id: Texts, brand: Integers, creator_id: Texts, creator: Integers
) -> Reals:
    """Mean effectiveness of each row's creator over all posts for events of the row's brand; NaN without any."""
    events = market.table("events")
    brand_of = dict(zip(events["event_id"].to_pylist(), events["brand_id"].to_pylist(), strict=True))
    event_id, event = codes(table["event_id"])
    place = {name: at for at, name in enumerate(merchant_id.tolist())}
    of_event = np.array([place.get(brand_of.get(name), -1) for name in event_id.tolist()], np.int64)
    names, who = codes(table["creator_id"])
    at = np.minimum(np.searchsorted(creator_id, names), len(creator_id) - 1)
    of_name = np.where(creator_id[at] == names, at, -1)
    known = (of_event[event] >= 0) & (of_name[who] >= 0)
    if not known.any():
        raise DataError("effectiveness: no row for an event of the scored brands. Evaluate with these brands' events.")
    key = of_event[event][known] * len(creator_id) + of_name[who][known]
    pair, code = np.unique(key, return_inverse=True)
    mean = np.bincount(code, weights=_finite(table, "mean", "effectiveness")[known]) / np.bincount(code)
    wanted = brand * len(creator_id) + creator
    found = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
    return np.where(pair[found] == wanted, mean[found], np.nan)
