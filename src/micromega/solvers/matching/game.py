"""The matching game as frozen arrays: who wants to advertise what, whom merchants prefer, and how many each takes.

Gomes & Dias: creators f, products p of merchants v, product quotas l_j, merchant quotas q_k; a creator advertises at
most one product, which is student-project allocation (Abraham, Irving & Manlove 2007). Shapes: C creators, P products,
V merchants, M pairs of a creator and a product of its list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError

Integers = NDArray[np.int64]
Lists = Sequence[Sequence[int]] | tuple[ArrayLike, ArrayLike]
"""One list for each agent, best first; or the same as (indptr, indices), CSR."""
_MOST = 2**53
"""Whole numbers below this are exact as floats too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Game:
    """Preference lists and quotas; `of` makes one from lists, data frames or arrays, and checks it.

    Attributes:
        start: where each creator's list begins, (C + 1,).
        product: products of the lists, best first, (M,).
        merchant_start: where each merchant's list begins, (V + 1,).
        creator: creators of the merchants' lists, best first; those who are not listed are refused.
        merchant: of each product, (P,).
        product_quota: l_j, creators, (P,).
        merchant_quota: q_k, creators, (V,).
        shared_order: creators by reputation, best first, where all merchants rank alike: it then stands in place of the
            merchants' own lists, which are empty.
    """

    start: Integers
    product: Integers
    merchant_start: Integers
    creator: Integers
    merchant: Integers
    product_quota: Integers
    merchant_quota: Integers
    shared_order: Integers = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(
        cls,
        creator_preferences: Lists,
        merchant_preferences: Lists,
        product_merchant: ArrayLike,
        product_quota: ArrayLike,
        merchant_quota: ArrayLike,
    ) -> "Game":
        """Check a game and put it into arrays.

        Args:
            creator_preferences: products of each creator, best first: C lists of ints, or (indptr, indices).
            merchant_preferences: creators of each merchant, best first: V lists of ints, or (indptr, indices).
            product_merchant: merchant of each product, (P,).
            product_quota: creators that each product takes, (P,).
            merchant_quota: creators that each merchant takes, (V,).

        Raises:
            DataError: an index outside its range, somebody twice in a list, a quota that is negative or no whole
                number, or lengths that disagree; names the list and the place.
        """
        merchant = whole_numbers(product_merchant, "product_merchant")
        quotas = whole_numbers(product_quota, "product_quota"), whole_numbers(merchant_quota, "merchant_quota")
        if len(quotas[0]) != len(merchant):
            raise DataError(f"product_quota has {len(quotas[0])} entries, product_merchant {len(merchant)}.")
        for name, values in (("product_quota", quotas[0]), ("merchant_quota", quotas[1])):
            wrong = np.flatnonzero(values < 0)
            if wrong.size:
                raise DataError(f"{name}[{wrong[0]}] is {values[wrong[0]]}. A quota is 0 or more.")
        _check_range(merchant, len(quotas[1]), "product_merchant", "merchants")
        start, product = _lists(creator_preferences, "creator_preferences")
        merchant_start, creator = _lists(merchant_preferences, "merchant_preferences")
        if len(merchant_start) - 1 != len(quotas[1]):
            raise DataError(
                f"merchant_preferences has {len(merchant_start) - 1} lists, merchant_quota {len(quotas[1])} entries."
            )
        _check_lists(start, product, len(merchant), "creator_preferences", "products")
        _check_lists(merchant_start, creator, len(start) - 1, "merchant_preferences", "creators")
        return cls(
            start=start,
            product=product,
            merchant_start=merchant_start,
            creator=creator,
            merchant=merchant,
            product_quota=quotas[0],
            merchant_quota=quotas[1],
        )

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            array = np.ascontiguousarray(getattr(self, name), np.int64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def creators(self) -> int:
        """C."""
        return len(self.start) - 1

    @property
    def products(self) -> int:
        """P."""
        return len(self.merchant)

    @property
    def merchants(self) -> int:
        """V."""
        return len(self.merchant_quota)


def check_quotas(game: Game) -> None:
    """Refuse quotas outside the paper's operating rule max l_j <= q_k <= Σ l_j over each merchant's products.

    Raises:
        ConfigError: names the first merchant and what would do.
    """
    largest = np.zeros(game.merchants, np.int64)
    np.maximum.at(largest, game.merchant, game.product_quota)
    total = np.bincount(game.merchant, weights=game.product_quota, minlength=game.merchants).astype(np.int64)
    wrong = np.flatnonzero((game.merchant_quota < largest) | (game.merchant_quota > total))
    if wrong.size:
        k = int(wrong[0])
        raise ConfigError(
            f"merchant {k} takes {game.merchant_quota[k]} creators, but its products take at most {largest[k]} each "
            f"and {total[k]} together: its quota must lie between ({wrong.size} merchants break this rule). Change "
            "the quotas, or leave the rule out with check=False."
        )


def whole_numbers(values: ArrayLike, name: str) -> Integers:
    """Check that values are one row of whole numbers; DataError otherwise."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name}: give one whole number each ({error}).") from None
    if array.ndim != 1:
        raise DataError(f"{name} has {array.ndim} dimensions. Give one number each.")
    if array.size and array.dtype.kind not in "iu":
        if array.dtype.kind != "f" or not np.all((np.abs(array) < _MOST) & (np.floor(array) == array)):
            raise DataError(f"{name} holds {array.dtype} values. Give whole numbers.")
    elif array.size and array.max() >= _MOST:
        raise DataError(f"{name} holds {array.max()}, which is too large.")
    return array.astype(np.int64)


def _lists(given: Any, name: str) -> tuple[Integers, Integers]:
    """CSR of lists, of (indptr, indices), or of a data frame with a row for each agent and a column for each rank."""
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, np.ndarray) for part in given):
        start, values = whole_numbers(given[0], f"{name}[0]"), whole_numbers(given[1], f"{name}[1]")
        if not len(start) or start[0] != 0 or np.any(np.diff(start) < 0) or start[-1] != len(values):
            raise DataError(f"{name}: indptr must rise from 0 to the number of indices, {len(values)}.")
        return start, values
    if hasattr(given, "to_numpy") and hasattr(given, "columns"):
        try:
            table = np.asarray(given.to_numpy(dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise DataError(f"{name}: give numbers, with nothing where a list ends ({error}).") from None
        known = ~np.isnan(table)
        return np.concatenate([[0], known.sum(axis=1).cumsum()]), whole_numbers(table[known], name)
    try:
        sizes = np.fromiter((len(of) for of in given), np.int64, len(given))
        flat = np.concatenate([np.asarray(of) for of in given if len(of)]) if sizes.sum() else np.zeros(0, np.int64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: give a list of whole numbers for each ({error}).") from None
    return np.concatenate([[0], np.cumsum(sizes)]), whole_numbers(flat, name)


def _check_range(values: Integers, many: int, name: str, what: str) -> None:
    wrong = np.flatnonzero((values < 0) | (values >= many))
    if wrong.size:
        raise DataError(f"{name}[{wrong[0]}] is {values[wrong[0]]}. There are {many} {what}: 0 to {many - 1}.")


def _check_lists(start: Integers, values: Integers, many: int, name: str, what: str) -> None:
    def owner(at: int) -> int:
        return int(np.searchsorted(start, at, side="right")) - 1

    wrong = np.flatnonzero((values < 0) | (values >= many))
    if wrong.size:
        at = int(wrong[0])
        raise DataError(f"{name}[{owner(at)}] names {values[at]}. There are {many} {what}: 0 to {many - 1}.")
    at = _first_repeated(start, values, many)
    if at >= 0:
        raise DataError(f"{name}[{owner(at)}] names {values[at]} twice. Name each once.")


@numba.njit(cache=True)
def _first_repeated(start: Integers, values: Integers, many: int) -> int:
    """Place of the first value that stands twice in a list; -1 where none does."""
    last = np.full(many, -1, np.int64)
    for agent in range(len(start) - 1):
        for at in range(start[agent], start[agent + 1]):
            if last[values[at]] == agent:
                return at
            last[values[at]] = agent
    return -1
