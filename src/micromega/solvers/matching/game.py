"""The matching game as frozen arrays: who wants to advertise what, whom merchants prefer, and how many each takes.

Gomes & Dias: creators f, products p of merchants v, product quotas l_j, merchant quotas q_k; a creator advertises at
most one product, which is student-project allocation (Abraham, Irving & Manlove 2007). Past the document: ties in lists
and creators who take several products. Shapes: C creators, P products, V merchants, M pairs of a creator and a product
of its list, N entries of merchants' lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.matching.lists import Lists, read_lists, whole_numbers

Integers = NDArray[np.int64]


def _none() -> Integers:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Game:
    """Preference lists and quotas; `of` makes one from lists, data frames or arrays, and checks it.

    Only `of` checks: who calls the class itself, or replaces a field, vouches for what stands here.

    Attributes:
        start: where each creator's list begins, (C + 1,).
        product: products of the lists, best first, (M,).
        merchant_start: where each merchant's list begins, (V + 1,).
        creator: creators of the merchants' lists, best first; those who are not listed are refused, (N,).
        merchant: of each product, (P,).
        product_quota: l_j, creators, (P,).
        merchant_quota: q_k, creators, (V,).
        shared_order: creators by reputation, best first, where all merchants rank alike: it then stands in place of the
            merchants' own lists, which are empty.
        product_rank: rank of each pair on its creator's list, 0, 1, 2, … and equal within a tie, (M,); empty without
            ties.
        creator_rank: the same of each entry of the merchants' lists, (N,); empty without ties.
        creator_quota: products that each creator takes, (C,); empty: one each.
    """

    start: Integers
    product: Integers
    merchant_start: Integers
    creator: Integers
    merchant: Integers
    product_quota: Integers
    merchant_quota: Integers
    shared_order: Integers = field(default_factory=_none)
    product_rank: Integers = field(default_factory=_none)
    creator_rank: Integers = field(default_factory=_none)
    creator_quota: Integers = field(default_factory=_none)

    @classmethod
    def of(
        cls,
        creator_preferences: Lists,
        merchant_preferences: Lists,
        product_merchant: ArrayLike,
        product_quota: ArrayLike,
        merchant_quota: ArrayLike,
        creator_quota: ArrayLike | None = None,
    ) -> "Game":
        """Check a game and put it into arrays.

        Args:
            creator_preferences: products of each creator, best first: C lists of ints, in which a list is a tie, or
                (indptr, indices), or (indptr, indices, ranks).
            merchant_preferences: creators of each merchant, best first, in the same forms.
            product_merchant: merchant of each product, (P,).
            product_quota: creators that each product takes, (P,).
            merchant_quota: creators that each merchant takes, (V,).
            creator_quota: products that each creator takes, (C,); one each where left out.

        Raises:
            DataError: an index outside its range, somebody twice in a list, a quota that is negative or no whole
                number, or lengths that disagree; names the list and the place.
        """
        merchant = whole_numbers(product_merchant, "product_merchant")
        quotas = _quota(product_quota, "product_quota"), _quota(merchant_quota, "merchant_quota")
        if len(quotas[0]) != len(merchant):
            raise DataError(f"product_quota has {len(quotas[0])} entries, product_merchant {len(merchant)}.")
        _check_range(merchant, len(quotas[1]), "product_merchant", "merchants")
        start, product, product_rank = read_lists(creator_preferences, "creator_preferences", len(merchant), "products")
        merchant_start, creator, creator_rank = read_lists(
            merchant_preferences, "merchant_preferences", len(start) - 1, "creators"
        )
        if len(merchant_start) - 1 != len(quotas[1]):
            raise DataError(
                f"merchant_preferences has {len(merchant_start) - 1} lists, merchant_quota {len(quotas[1])} entries."
            )
        own = _none() if creator_quota is None else _quota(creator_quota, "creator_quota")
        if creator_quota is not None and len(own) != len(start) - 1:
            raise DataError(f"creator_quota has {len(own)} entries, creator_preferences {len(start) - 1} lists.")
        return cls(
            start=start,
            product=product,
            merchant_start=merchant_start,
            creator=creator,
            merchant=merchant,
            product_quota=quotas[0],
            merchant_quota=quotas[1],
            product_rank=product_rank,
            creator_rank=creator_rank,
            creator_quota=_none() if np.all(own == 1) else own,
        )

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            array = np.ascontiguousarray(getattr(self, name), np.int64)
            if array.flags.writeable:
                array = array.view()
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

    @property
    def tied(self) -> bool:
        """Whether a list has a tie."""
        return bool(len(self.product_rank) or len(self.creator_rank))

    @property
    def several(self) -> bool:
        """Whether creators have quotas other than one."""
        return bool(len(self.creator_quota))


def check_quotas(
    game: Game,
    *,
    names: Sequence[str] | None = None,
    advice: str = "Change the quotas, or leave the rule out with check=False.",
) -> None:
    """Refuse quotas outside the paper's operating rule max l_j <= q_k <= Σ l_j over each merchant's products.

    Args:
        game: with the quotas.
        names: of the merchants, for the message; their numbers where left out.
        advice: last sentence of the message.

    Raises:
        ConfigError: names the first merchant and what would do.
    """
    largest = np.zeros(game.merchants, np.int64)
    np.maximum.at(largest, game.merchant, game.product_quota)
    total = np.bincount(game.merchant, weights=game.product_quota, minlength=game.merchants).astype(np.int64)
    wrong = np.flatnonzero((game.merchant_quota < largest) | (game.merchant_quota > total))
    if wrong.size:
        k = int(wrong[0])
        name = str(k) if names is None else f'"{names[k]}"'
        raise ConfigError(
            f"merchant {name} takes {game.merchant_quota[k]} creators, but its products take at most {largest[k]} each "
            f"and {total[k]} together: its quota must lie between (merchants that break this rule: "
            f"{wrong.size}). {advice}"
        )


def _quota(values: ArrayLike, name: str) -> Integers:
    found = whole_numbers(values, name)
    wrong = np.flatnonzero(found < 0)
    if wrong.size:
        raise DataError(f"{name}[{wrong[0]}] is {found[wrong[0]]}. A quota is 0 or more.")
    return found


def _check_range(values: Integers, many: int, name: str, what: str) -> None:
    wrong = np.flatnonzero((values < 0) | (values >= many))
    if wrong.size:
        raise DataError(f"{name}[{wrong[0]}] is {values[wrong[0]]}. There are {many} {what}: 0 to {many - 1}.")
