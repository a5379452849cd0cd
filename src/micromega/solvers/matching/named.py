"""A game with names: who the creators, products and merchants are, and the numbers that their lists follow.

Shapes: C creators, P products, V merchants, M pairs of a creator and a product of its list.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching.allocation import Matching, Optimum, allocate_by_reputation, solve
from micromega.solvers.matching.game import Game, check_quotas
from micromega.solvers.matching.lists import dense_ranks, drawn_order, owners

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
Ties = Literal["drawn", "kept"]
"""Equals in an order drawn with the seed; or left equal, and as many creators served as can be promised."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedGame:
    """A game read from tables.

    Attributes:
        creator_id: (C,) strings, sorted.
        product_id: (P,) strings, sorted.
        merchant_id: (V,) strings, sorted.
        start: where each creator's list begins, (C + 1,).
        product: lists of products, best first, (M,).
        worth: what the lists are sorted by, (M,).
        merchant: of each product, (P,).
        product_quota: l_j, (P,).
        merchant_quota: q_k, (V,).
        reputation: r(f) where all merchants rank by it, (C,); else empty.
        standing: what the pair's merchant ranks the pair's creator by, (M,), NaN: refused; empty where by reputation.
        measure: of both, for the plan's metadata.
        worth_words: what creators' lists follow, in words.
        standing_words: what merchants' lists follow, in words.
        quotas_given: whether quotas are those of the market's tables.
        notes: how the tables were read, for people.
    """

    creator_id: NDArray[np.str_]
    product_id: NDArray[np.str_]
    merchant_id: NDArray[np.str_]
    start: Integers
    product: Integers
    worth: Reals
    merchant: Integers
    product_quota: Integers
    merchant_quota: Integers
    reputation: Reals
    standing: Reals
    measure: str
    worth_words: str
    standing_words: str
    quotas_given: bool = False
    notes: tuple[str, ...] = ()

    @property
    def by_reputation(self) -> bool:
        """Whether all merchants rank by one number of each creator."""
        return not len(self.standing)

    @property
    def standing_of_pairs(self) -> Reals:
        """What each pair's merchant ranks its creator by, (M,)."""
        return self.reputation[owners(self.start)] if self.by_reputation else self.standing

    def solve(
        self, *, optimal_for: Optimum = "creators", ties: Ties = "drawn", creator_quota: int = 1, seed: int = 0
    ) -> Matching:
        """Find a stable matching.

        Args:
            optimal_for: as of `allocate`; of no effect where all merchants rank alike.
            ties: how equals are put in order.
            creator_quota: products that each creator takes.
            seed: of the order of equals.

        Raises:
            ConfigError: the settings do not go together, or quotas break the rule.
        """
        if ties == "kept" and creator_quota > 1:
            raise ConfigError("ties: kept does not go with creator_quota above 1. Choose drawn.")
        quota = np.full(len(self.creator_id), creator_quota) if creator_quota != 1 else None
        if self.by_reputation and ties == "drawn":
            found = allocate_by_reputation(
                (self.start, self.product), self.reputation, self.merchant, self.product_quota, self.merchant_quota,
                creator_quota=quota, seed=seed, check=False,
            )  # fmt: skip
            self._check_quotas(found.game)
            return found
        game = self._game(ties, quota, seed)
        self._check_quotas(game)
        return solve(game, optimal_for)

    def _check_quotas(self, game: Game) -> None:
        instead = ", or derive quotas from the sales: problem.quotas=sales" if self.by_reputation else ""
        advice = f"Change the column quota of merchants.parquet or products.parquet{instead}."
        check_quotas(game, names=self.merchant_id.tolist(), advice=advice)

    def _game(self, ties: Ties, quota: Integers | None, seed: int) -> Game:
        standing, owner = self.standing_of_pairs, owners(self.start)
        known = ~np.isnan(standing)
        key = self.merchant[self.product[known]] * max(len(self.creator_id), 1) + owner[known]
        of, first = np.unique(key, return_index=True)  # a merchant ranks a creator once, whatever the product
        lister, creator = np.divmod(of, max(len(self.creator_id), 1))
        start, creator, value = ranked(lister, creator, standing[known][first], len(self.merchant_id), seed=seed)
        kept = ties == "kept"
        return Game(
            start=self.start,
            product=self.product,
            merchant_start=start,
            creator=creator,
            merchant=self.merchant,
            product_quota=self.product_quota,
            merchant_quota=self.merchant_quota,
            product_rank=dense_ranks(self.start, self.worth) if kept else np.zeros(0, np.int64),
            creator_rank=dense_ranks(start, value) if kept else np.zeros(0, np.int64),
            creator_quota=np.zeros(0, np.int64) if quota is None else quota,
        )


def ranked(
    owner: Integers, what: Integers, value: Reals, agents: int, *, seed: int, longest: int | None = None
) -> tuple[Integers, Integers, Reals]:
    """Lists by falling value; equals in an order drawn with a seed.

    Args:
        owner: whose list each entry stands on, (M,).
        what: the entries, (M,).
        value: of each, (M,).
        agents: how many lists there are.
        seed: of the order of equals.
        longest: most entries of a list; no limit where left out.

    Returns:
        Where each list begins (A + 1,), the entries, and their values.
    """
    lot = drawn_order(seed, len(what))
    order = np.lexsort((lot, -value, owner))
    owner, what, value = owner[order], what[order], value[order]
    size = np.bincount(owner, minlength=agents)
    start = np.concatenate([[0], np.cumsum(size)])
    if longest is not None:
        kept = np.arange(len(what)) - start[owner] < longest
        what, value = what[kept], value[kept]
        start = np.concatenate([[0], np.cumsum(np.minimum(size, longest))])
    return start, what, value


def even_quotas(share: Reals, product_share: Reals, merchant: Integers, places: int) -> tuple[Integers, Integers]:
    """Quotas by shares: q_k rounded, l_j of q_k rounded up, both 1 or more, so that max l_j <= q_k <= Σ l_j.

    Args:
        share: of each merchant in all places, (V,).
        product_share: of each product in its merchant's, (P,).
        merchant: of each product, (P,).
        places: creators that all merchants take together, about.
    """
    q = np.maximum(1, np.round(places * share)).astype(np.int64)
    l_j = np.clip(np.ceil(q[merchant] * product_share - 1e-9), 1, q[merchant]).astype(np.int64)
    return q, l_j


def table_quotas(
    merchants: pa.Table, products: pa.Table, merchant_id: NDArray[np.str_], product_id: NDArray[np.str_]
) -> tuple[Integers, Integers]:
    """Quotas q_k and l_j as the market's tables give them.

    Raises:
        DataError: a quota is not given; names the first.
    """
    found = []
    for kind, table, ids in (("merchant", merchants, merchant_id), ("product", products, product_id)):
        quota = dict(zip(table[f"{kind}_id"].to_pylist(), table["quota"].to_pylist(), strict=True))
        missing = [name for name in ids.tolist() if quota.get(name) is None]
        if missing:
            raise DataError(
                f'{kind}s.parquet gives no quota for {len(missing)} of {len(ids)} {kind}s (first "{missing[0]}"). Fill '
                "the column quota, or derive quotas from the sales: problem.quotas=sales."
            )
        found.append(np.array([quota[name] for name in ids.tolist()], np.int64))
    return found[0], found[1]


def codes(column: pa.ChunkedArray) -> tuple[NDArray[np.str_], Integers]:
    """Distinct texts, sorted, and the place of each row's among them."""
    encoded = column.combine_chunks().dictionary_encode()
    known = np.asarray(encoded.dictionary.to_pylist(), str)
    order = np.argsort(known, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return known[order], place[encoded.indices.to_numpy()]
