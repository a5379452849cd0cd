"""Allocate creators to merchants' products: the public functions."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError, MicromegaError
from micromega.solvers.matching import algorithms
from micromega.solvers.matching.certificate import MatchingCheck, verify
from micromega.solvers.matching.game import Game, Lists, check_quotas, whole_numbers

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching:
    """A stable matching and its certificate.

    Attributes:
        product: of each creator, -1 without, (C,).
        game: what was asked.
        check: what independent code found: feasible, no blocking pair.
    """

    product: Integers
    game: Game
    check: MatchingCheck

    @property
    def merchant(self) -> Integers:
        """Merchant of each creator, -1 without, (C,)."""
        if not self.game.products:
            return np.full(len(self.product), -1)
        return np.where(self.product >= 0, self.game.merchant[np.maximum(self.product, 0)], -1)

    def creators_of(self, product: int) -> Integers:
        """Creators of a product, in order of their number."""
        return np.flatnonzero(self.product == product)


def allocate(
    creator_preferences: Lists,
    merchant_preferences: Lists,
    product_merchant: ArrayLike,
    product_quota: ArrayLike,
    merchant_quota: ArrayLike,
    optimal_for: Literal["creators", "merchants"] = "creators",
    *,
    check: bool = True,
) -> Matching:
    """Find the stable matching that is best for one side (Abraham, Irving & Manlove 2007).

    Args:
        creator_preferences: products of each creator, best first: C lists of ints, a data frame with a row a creator
            and a column a choice, or (indptr, indices) arrays.
        merchant_preferences: creators of each merchant, best first, in the same forms; who is not listed is refused.
        product_merchant: merchant of each product, (P,).
        product_quota: l_j, (P,).
        merchant_quota: q_k, (V,).
        optimal_for: the side that gets its best; the other gets its worst of all stable matchings.
        check: whether quotas have to keep the paper's rule max l_j <= q_k <= Σ l_j.

    Returns:
        The matching; the same for the same input.

    Raises:
        DataError: malformed lists or quotas; names which.
        ConfigError: the rule for quotas is broken, or `optimal_for` is unknown.

    Example:
        >>> found = allocate([[0, 1], [0], [1, 0]], [[1, 0, 2], [2, 0]], [0, 1], [1, 1], [1, 1])
        >>> found.product.tolist(), found.check.stable
        ([-1, 0, 1], True)
    """
    game = Game.of(creator_preferences, merchant_preferences, product_merchant, product_quota, merchant_quota)
    if check:
        check_quotas(game)
    solvers = {"creators": algorithms.creator_optimal, "merchants": algorithms.merchant_optimal}
    if not isinstance(optimal_for, str) or optimal_for not in solvers:
        raise ConfigError(f'optimal_for is "{optimal_for}". Choose creators or merchants.')
    found = solvers[optimal_for](
        game.start,
        game.product,
        game.merchant_start,
        game.creator,
        game.merchant,
        game.product_quota,
        game.merchant_quota,
    )
    return _certified(game, found)


def allocate_by_reputation(
    creator_preferences: Lists,
    reputation: ArrayLike,
    product_merchant: ArrayLike,
    product_quota: ArrayLike,
    merchant_quota: ArrayLike,
    *,
    seed: int = 0,
    check: bool = True,
) -> Matching:
    """Find the one stable matching where every merchant ranks creators by the same number r(f).

    Args:
        creator_preferences: as of `allocate`.
        reputation: r(f), more is better, (C,); equal ones are put in an order drawn with `seed`. NaN: refused by all.
        product_merchant: merchant of each product, (P,).
        product_quota: l_j, (P,).
        merchant_quota: q_k, (V,).
        seed: of the order of equals.
        check: as of `allocate`.

    Returns:
        The matching: serial dictatorship in order of reputation.

    Raises:
        DataError: malformed lists, quotas or reputations.

    Example:
        >>> allocate_by_reputation([[0, 1], [0, 1]], [5.0, 7.0], [0, 1], [1, 1], [1, 1]).product.tolist()
        [1, 0]
    """
    try:
        r = np.asarray(reputation, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"reputation: give one number for each creator ({error}).") from None
    order = reputation_order(r, seed)
    empty = np.zeros(len(whole_numbers(merchant_quota, "merchant_quota")) + 1, np.int64), np.zeros(0, np.int64)
    game = Game.of(creator_preferences, empty, product_merchant, product_quota, merchant_quota)
    if game.creators != len(r):
        raise DataError(f"reputation has {len(r)} entries, creator_preferences {game.creators} lists.")
    if check:
        check_quotas(game)
    found = algorithms.serial_dictatorship(
        order, game.start, game.product, game.merchant, game.product_quota, game.merchant_quota
    )
    return _certified(replace(game, shared_order=order), found)


def reputation_order(reputation: NDArray[np.float64], seed: int = 0) -> Integers:
    """Creators by falling reputation; equals in a drawn order, NaN left out."""
    if reputation.ndim != 1 or np.any(np.isinf(reputation)):
        raise DataError("reputation: give one finite number for each creator, or NaN.")
    lot = np.random.default_rng(seed).permutation(len(reputation))
    order = np.lexsort((lot, -reputation))
    return order[~np.isnan(reputation[order])]


def blocking_pairs(game: Game, product: ArrayLike) -> Integers:
    """List every blocking pair of a matching: (B, 2) creator and product; see `verify`."""
    return verify(game, product).blocking


def _certified(game: Game, product: Integers) -> Matching:
    found = verify(game, product)
    if not found.stable:
        raise MicromegaError(
            f"The matching fails the independent check, so it is not handed out: {len(found.blocking)} blocking pairs, "
            f"{len(found.unwanted)} unwanted, {len(found.over_product) + len(found.over_merchant)} quotas exceeded."
        )
    return Matching(product=product, game=game, check=found)
