"""Allocate creators to merchants' products: the public functions."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError, MicromegaError
from micromega.solvers.matching import algorithms
from micromega.solvers.matching.certificate import MatchingCheck, verify
from micromega.solvers.matching.game import Game, check_quotas
from micromega.solvers.matching.lists import Lists, drawn_order, owners, read_lists, whole_numbers
from micromega.solvers.matching.regret import creator_optimal, least_regret, merchant_optimal
from micromega.solvers.matching.several import creator_optimal_pairs, merchant_optimal_pairs
from micromega.solvers.matching.ties import largest_weakly_stable

Integers = NDArray[np.int64]
Optimum = Literal["creators", "merchants", "minimum_regret"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching:
    """A stable matching and its certificate.

    Attributes:
        pair: places in the creators' lists (`game.product`) that are carried out, ascending, (K,).
        game: what was asked.
        check: what independent code found: feasible, no blocking pair.
    """

    pair: Integers
    game: Game
    check: MatchingCheck

    @cached_property
    def creator(self) -> Integers:
        """Creator of each pair, (K,)."""
        return np.searchsorted(self.game.start, self.pair, side="right") - 1

    @property
    def pairs(self) -> Integers:
        """Creator and product of each pair, (K, 2)."""
        return np.column_stack([self.creator, self.game.product[self.pair]])

    @cached_property
    def product(self) -> Integers:
        """Product of each creator, -1 without, (C,). ConfigError where creators may have several: read `pairs`."""
        if self.game.several and np.any(self.game.creator_quota > 1):
            raise ConfigError(
                "creators may have several products here, so there is no one product of each: read pairs."
            )
        found = np.full(self.game.creators, -1)
        found[self.creator] = self.game.product[self.pair]
        return found

    @property
    def merchant(self) -> Integers:
        """Merchant of each creator, -1 without, (C,); as `product`."""
        if not self.game.products:
            return np.full(len(self.product), -1)
        return np.where(self.product >= 0, self.game.merchant[np.maximum(self.product, 0)], -1)

    def creators_of(self, product: int) -> Integers:
        """Creators of a product, in order of their number."""
        found: Integers = self.creator[self.game.product[self.pair] == product]
        return found


def allocate(
    creator_preferences: Lists | None,
    merchant_preferences: Lists | None,
    product_merchant: ArrayLike,
    product_quota: ArrayLike,
    merchant_quota: ArrayLike,
    optimal_for: Optimum = "creators",
    *,
    creator_quota: ArrayLike | None = None,
    seed: int = 0,
    check: bool = True,
) -> Matching:
    """Find the stable matching that is best for one side (Abraham, Irving & Manlove 2007).

    Args:
        creator_preferences: products of each creator, best first: C lists of ints, in which a list is a tie, a data
            frame with a row a creator and a column a choice, (indptr, indices) arrays, or (indptr, indices, ranks).
            None: a creator would as soon have one product as another of the merchants that list them; goes with
            optimal_for="creators" and one product each.
        merchant_preferences: creators of each merchant, best first, in the same forms; who is not listed is refused.
            None: merchants take anybody; creators choose in an order drawn with `seed`, and optimal_for is "creators".
        product_merchant: merchant of each product, (P,).
        product_quota: l_j, (P,).
        merchant_quota: q_k, (V,).
        optimal_for: the side that gets its best, the other then gets its worst of all stable matchings; or
            minimum_regret, so that the last place that anybody got is as near the top as it can be. With ties nothing
            is best for a side: creators propose, and at least two thirds of the largest number are served.
        creator_quota: products that each creator takes, (C,); one each where left out.
        seed: of the drawn order, if merchants take anybody.
        check: whether quotas have to keep the paper's rule max l_j <= q_k <= Σ l_j.

    Returns:
        The matching; the same for the same input.

    Raises:
        DataError: malformed lists, quotas or seed; names which.
        ConfigError: the rule for quotas is broken, `optimal_for` is unknown, or it does not go with ties, quotas of
            creators or a side without preferences.

    Example:
        >>> found = allocate([[0, 1], [0], [1, 0]], [[1, 0, 2], [2, 0]], [0, 1], [1, 1], [1, 1])
        >>> found.product.tolist(), found.check.stable
        ([-1, 0, 1], True)
    """
    if not isinstance(optimal_for, str) or optimal_for not in get_args(Optimum):
        raise ConfigError(f'optimal_for is "{optimal_for}". Choose creators or merchants, or minimum_regret.')
    drawn_order(seed, 0)  # a bad seed is named whether it is needed or not
    _check_one_sided(creator_preferences, merchant_preferences, optimal_for, creator_quota)
    if creator_preferences is None:
        if merchant_preferences is None:
            raise ConfigError("Nobody has preferences. Give creator_preferences or merchant_preferences.")
        creator_preferences = _any_product(merchant_preferences, product_merchant, creator_quota)
    anybody = merchant_preferences is None
    lists = _nobody(merchant_quota) if merchant_preferences is None else merchant_preferences
    game = Game.of(creator_preferences, lists, product_merchant, product_quota, merchant_quota, creator_quota)
    if check:
        check_quotas(game)
    if anybody:
        return _in_order(game, drawn_order(seed, game.creators))
    return solve(game, optimal_for)


def solve(game: Game, optimal_for: Optimum = "creators") -> Matching:
    """Find a stable matching of a game with lists on both sides; see `allocate`.

    Raises:
        ConfigError: `optimal_for` does not go with ties or quotas of creators, or both of these are there.
    """
    if game.tied:
        if game.several or optimal_for != "creators":
            what = "quotas of creators" if game.several else f"optimal_for={optimal_for}"
            raise ConfigError(f"ties do not go with {what}: break them first, for instance by lot.")
        return certified(game, largest_weakly_stable(game))
    if game.several:
        if optimal_for == "minimum_regret":
            raise ConfigError("minimum_regret needs creators who take one product each. Choose creators or merchants.")
        return certified(
            game, {"creators": creator_optimal_pairs, "merchants": merchant_optimal_pairs}[optimal_for](game)
        )
    solvers = {"creators": creator_optimal, "merchants": merchant_optimal, "minimum_regret": least_regret}
    return certified(game, solvers[optimal_for](game))


def allocate_by_reputation(
    creator_preferences: Lists,
    reputation: ArrayLike,
    product_merchant: ArrayLike,
    product_quota: ArrayLike,
    merchant_quota: ArrayLike,
    *,
    creator_quota: ArrayLike | None = None,
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
        creator_quota: products that each creator takes, (C,); one each where left out.
        seed: of the order of equals.
        check: as of `allocate`.

    Returns:
        The matching: serial dictatorship in order of reputation.

    Raises:
        DataError: malformed lists, quotas, reputations or seed.

    Example:
        >>> allocate_by_reputation([[0, 1], [0, 1]], [5.0, 7.0], [0, 1], [1, 1], [1, 1]).product.tolist()
        [1, 0]
    """
    try:
        r = np.asarray(reputation, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"reputation: give one number for each creator ({error}).") from None
    if np.ma.is_masked(reputation):
        raise DataError("reputation has masked entries. Give one number for each creator, NaN for one to refuse.")
    order = reputation_order(r, seed)
    game = Game.of(
        creator_preferences, _nobody(merchant_quota), product_merchant, product_quota, merchant_quota, creator_quota
    )
    if game.creators != len(r):
        raise DataError(f"reputation has {len(r)} entries, creator_preferences {game.creators} lists.")
    if check:
        check_quotas(game)
    return _in_order(game, order)


def reputation_order(reputation: NDArray[np.float64], seed: int = 0) -> Integers:
    """Creators by falling reputation; equals in a drawn order, NaN left out."""
    if reputation.ndim != 1 or np.any(np.isinf(reputation)):
        raise DataError("reputation: give one finite number for each creator, or NaN.")
    lot = drawn_order(seed, len(reputation))
    order = np.lexsort((lot, -reputation))
    return order[~np.isnan(reputation[order])]


def blocking_pairs(game: Game, matching: ArrayLike) -> Integers:
    """List every blocking pair of a matching: (B, 2) creator and product; see `verify`."""
    return verify(game, matching).blocking


def certified(game: Game, pair: Integers) -> Matching:
    """Hand out pairs (-1: none) once independent code has found them stable; MicromegaError otherwise."""
    pair = np.sort(pair[pair >= 0])
    creator, product = np.searchsorted(game.start, pair, side="right") - 1, game.product[pair]
    matching = np.column_stack([creator, product])
    if not game.several:
        matching = np.full(game.creators, -1)
        matching[creator] = product
    found = verify(game, matching)
    if not found.stable:
        exceeded = len(found.over_product) + len(found.over_merchant) + len(found.over_creator)
        raise MicromegaError(
            f"The matching fails the independent check, so it is not handed out: {len(found.blocking)} blocking pairs, "
            f"{len(found.unwanted)} unwanted, {exceeded} quotas exceeded."
        )
    return Matching(pair=pair, game=game, check=found)


def _in_order(game: Game, order: Integers) -> Matching:
    pair = algorithms.serial_dictatorship(
        order, game.start, game.product, game.merchant, game.product_quota, game.merchant_quota, game.creator_quota
    )
    return certified(replace(game, shared_order=order), pair)


def _check_one_sided(
    creator_preferences: Lists | None, merchant_preferences: Lists | None, optimal_for: str,
    creator_quota: ArrayLike | None,
) -> None:  # fmt: skip
    """Refuse what a side without preferences excludes (ConfigError)."""
    if merchant_preferences is None and creator_preferences is not None and optimal_for != "creators":
        raise ConfigError(
            f"merchant_preferences=None does not go with optimal_for={optimal_for}: who takes anybody has no best "
            "matching. Give their lists, or leave optimal_for out."
        )
    if creator_preferences is None:
        with_it = f"optimal_for={optimal_for}" if optimal_for != "creators" else ""
        if creator_quota is not None and np.any(whole_numbers(creator_quota, "creator_quota") != 1):
            with_it = "creator_quota other than 1"
        if with_it:
            raise ConfigError(
                f"creator_preferences=None does not go with {with_it}: creators who take any product have ties only. "
                "Give their lists, or leave this out."
            )


def _nobody(merchant_quota: ArrayLike) -> tuple[Integers, Integers]:
    """Empty lists of all merchants."""
    return np.zeros(len(whole_numbers(merchant_quota, "merchant_quota")) + 1, np.int64), np.zeros(0, np.int64)


def _any_product(
    merchant_preferences: Lists, product_merchant: ArrayLike, creator_quota: ArrayLike | None
) -> tuple[Integers, Integers, Integers]:
    """Lists of creators who would as soon have one product as another, of the merchants that list them."""
    merchant = whole_numbers(product_merchant, "product_merchant")
    known = None if creator_quota is None else len(whole_numbers(creator_quota, "creator_quota"))
    start, creator, _ = read_lists(merchant_preferences, "merchant_preferences", known, "creators")
    creators = int(creator.max(initial=-1)) + 1 if known is None else known
    lister = owners(start)
    order = np.argsort(merchant, kind="stable")
    begin = np.searchsorted(merchant[order], np.arange(len(start)))
    many = np.diff(begin)[lister]
    wanted = np.repeat(creator, many)
    first = np.repeat(begin[:-1][lister], many)
    within = np.arange(len(wanted)) - np.repeat(np.cumsum(many) - many, many)
    product = order[first + within]
    by_creator = np.lexsort((product, wanted))
    sizes = np.bincount(wanted, minlength=creators)
    return np.concatenate([[0], np.cumsum(sizes)]), product[by_creator], np.zeros(len(product), np.int64)
