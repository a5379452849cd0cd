"""Lower quotas: reported where they are not met, not enforced.

All stable matchings of strict lists give a merchant the same number of creators, and a product of a merchant with room
too (Abraham, Irving & Manlove 2007, theorem 4.1): a merchant that falls short does so in every one, and to serve it
somebody would have to object. Of ties and of full merchants' products this does not hold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.solvers.matching.allocation import Matching
from micromega.solvers.matching.lists import whole_numbers

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Unmet:
    """Products and merchants with fewer creators than wanted.

    Attributes:
        product: (U,) products.
        product_short: creators that they lack, (U,).
        merchant: (W,) merchants.
        merchant_short: creators that they lack, (W,).
    """

    product: Integers
    product_short: Integers
    merchant: Integers
    merchant_short: Integers

    def __bool__(self) -> bool:
        return bool(len(self.product) or len(self.merchant))


def unmet(
    matching: Matching, *, product_least: ArrayLike | None = None, merchant_least: ArrayLike | None = None
) -> Unmet:
    """Say which lower quotas a matching does not meet.

    Args:
        matching: what `allocate` found.
        product_least: creators that each product wants at least, (P,), or one number for all; none where left out.
        merchant_least: creators that each merchant wants at least, (V,), or one number for all.

    Raises:
        DataError: there is not one whole number, 0 or more, for each.

    Example:
        >>> from micromega.solvers.matching import allocate
        >>> found = allocate([[0], [0]], [[0, 1], [1]], [0, 1], [2, 1], [2, 1])
        >>> short = unmet(found, merchant_least=1)
        >>> short.merchant.tolist(), short.merchant_short.tolist()
        ([1], [1])
    """
    game, product = matching.game, matching.game.product[matching.pair]
    lacks = _short(np.bincount(product, minlength=game.products), product_least, "product_least")
    taken = np.bincount(game.merchant[product], minlength=game.merchants)
    lack = _short(taken, merchant_least, "merchant_least")
    return Unmet(
        product=np.flatnonzero(lacks),
        product_short=lacks[lacks > 0],
        merchant=np.flatnonzero(lack),
        merchant_short=lack[lack > 0],
    )


def _short(taken: Integers, least: ArrayLike | None, name: str) -> Integers:
    if least is None:
        return np.zeros_like(taken)
    wanted = whole_numbers(np.full(len(taken), least) if np.ndim(least) == 0 else least, name)
    if len(wanted) != len(taken) or np.any(wanted < 0):
        raise DataError(f"{name}: give one whole number, 0 or more, for all or for each of {len(taken)}.")
    lacks: Integers = np.maximum(wanted - taken, 0)
    return lacks
