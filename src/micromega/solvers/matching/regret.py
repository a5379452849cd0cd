"""The stable matching with the least regret: nobody on either side gets anything far down their list.

The regret of a matching is the largest place at which a matched creator's product stands on its list, or the creator on
its merchant's. Cut the merchants' lists after place r. If a stable matching has nobody beyond place r of a merchant's
list, it is stable in the cut game too, and the cut game's creator-optimal matching is at least as good for all
creators; that one is stable in the whole game: a pair that was cut away could only block where its product has room,
and since merchants have as many creators, and merchants with room as many on each product, in all stable matchings
(Abraham, Irving & Manlove 2007, theorem 4.1), it would block the first matching as well. So one run and one check for
each r find the best for creators among the stable matchings with merchants' regret r or less, or that there is none;
creators' regret falls as r grows, and the least r that is no less than it is found by halving.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from micromega.errors import MicromegaError
from micromega.solvers.matching import algorithms
from micromega.solvers.matching.certificate import MatchingCheck, verify
from micromega.solvers.matching.game import Game
from micromega.solvers.matching.lists import places

Integers = NDArray[np.int64]


def least_regret(game: Game) -> Integers:
    """Find, of the stable matchings of least regret, the one that is best for creators.

    Args:
        game: strict lists of both sides, creators with one product each.

    Returns:
        Pair that each creator gets, -1 without, (C,).

    Raises:
        MicromegaError: no matching was found, which theory excludes.
    """
    low, high = 1, max(1, int(np.diff(game.start).max(initial=0)), int(np.diff(game.merchant_start).max(initial=0)))
    found = _within(game, high)
    while low < high:
        middle = (low + high) // 2
        smaller = _within(game, middle)
        if smaller is None:
            low = middle + 1
        else:
            high, found = middle, smaller
    if found is None:
        raise MicromegaError("No stable matching was found, though there is one. Please report this game.")
    return found


def regret(check: MatchingCheck) -> tuple[int, int]:
    """Largest place that a creator, and that a merchant, got something at; 0 where nobody got anything."""
    return len(check.creator_ranks), len(check.merchant_ranks)


def creator_optimal(game: Game) -> Integers:
    """Pair that each creator gets where creators propose, (C,)."""
    return _run(game, algorithms.creator_optimal)


def merchant_optimal(game: Game) -> Integers:
    """Pair that each creator gets where merchants propose, (C,)."""
    return _run(game, algorithms.merchant_optimal)


def _run(game: Game, propose: algorithms.Propose) -> Integers:
    found: Integers = propose(
        game.start,
        game.product,
        game.merchant_start,
        game.creator,
        game.merchant,
        game.product_quota,
        game.merchant_quota,
    )
    return found


def _within(game: Game, most: int) -> Integers | None:
    """The best for creators of the stable matchings whose regret is `most` or less; None where there is none."""
    kept = places(game.merchant_start) < most
    size = np.minimum(np.diff(game.merchant_start), most)
    cut = replace(game, merchant_start=np.concatenate([[0], np.cumsum(size)]), creator=game.creator[kept])
    held = creator_optimal(cut)
    product = np.full(game.creators, -1)
    product[held >= 0] = game.product[held[held >= 0]]
    check = verify(game, product)
    return held if check.stable and len(check.creator_ranks) <= most else None
