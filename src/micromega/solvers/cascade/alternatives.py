"""The document's decision framework: for each time bound a first choice of creators, and the best without each.

A creator may be unreachable or unwilling. Every alternative of a time bound is the best set found that does without one
creator of the first choice, so whoever says no, the next set stands ready. A first choice that is given (a plan, found
by whatever method) need not be the cheapest: the list says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.solvers.cascade.needs import Match, TooFewCreatorsError, match_needs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_AGAIN = 4
"""Searches from the best set anew, where one of its alternatives turns out to be better."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Alternative:
    """One set of creators.

    Attributes:
        creators: row of each need's creator, (J,).
        awareness: accounts that are expected to donate each need, (J,).
        cost: eq. 9, accounts.
        efficiency: eq. 10.
        without: creators of the first choice that this one does without, rows.
        first: whether this is the first choice, for whose creators the others stand by.
    """

    creators: Integers
    awareness: Floats
    cost: float
    efficiency: float
    without: tuple[int, ...]
    first: bool = False


def ranked_alternatives(
    activation: ArrayLike,
    needs: ArrayLike,
    *,
    best: Match | None = None,
    seed: int = 0,
    unavailable: Sequence[int] = (),
    allow_repeats: bool = False,
    starts: int = 2,
    shakes: int = 20,
    most: int | None = None,
) -> tuple[Alternative, ...]:
    """List, by rising cost by the closed form, a first choice and sets that do without one of its creators.

    Args:
        activation: G_P, (K, N).
        needs: V, (J,).
        best: the first choice, of `match_needs`; None: it is searched for.
        seed: of the searches.
        unavailable: rows that no set may hold.
        allow_repeats: whether one creator may have several needs.
        starts: local searches for each set.
        shakes: how often each is shaken without gain.
        most: alternatives beside the first choice, the cheapest; None: for each of its creators one.

    Returns:
        Different sets, the cheapest first; if it was searched for, that is the first choice. Where creators run out,
        those that cannot be replaced have no alternative.

    Raises:
        DataError, ConfigError: as `match_needs`.
    """

    def solve(gone: Sequence[int]) -> Match:
        return match_needs(
            activation,
            needs,
            seed=seed,
            unavailable=[*unavailable, *gone],
            allow_repeats=allow_repeats,
            starts=starts,
            shakes=shakes,
        )

    return without_each(solve, best, most=most)


def without_each(
    solve: Callable[[Sequence[int]], Match], best: Match | None = None, *, most: int | None = None
) -> tuple[Alternative, ...]:
    """List, by rising cost, a first choice and what is found without each of its creators.

    Args:
        solve: finds a set without the rows that it is given; TooFewCreatorsError where nobody is left.
        best: the first choice; None: solve([]), or what turns out to be better while looking for alternatives.
        most: alternatives beside the first choice, the cheapest; None: for each of its creators one.
    """
    first = best or solve(())
    if most == 0:
        return (_of(first, first),)
    for _ in range(_AGAIN):
        found: dict[tuple[int, ...], Match] = {}
        for gone in dict.fromkeys(first.creators.tolist()):
            try:
                match = solve((gone,))
            except TooFewCreatorsError:  # nobody is left to replace this one
                continue
            found.setdefault(tuple(sorted(match.creators.tolist())), match)
        others = sorted(found.values(), key=lambda match: match.cost)
        if best is not None or not others or others[0].cost >= first.cost:
            break
        first = others[0]
    ranked = [_of(first, match) for match in (first, *others[:most])]
    return tuple(sorted(ranked, key=lambda one: one.cost))


def _of(first: Match, match: Match) -> Alternative:
    return Alternative(
        creators=match.creators,
        awareness=match.awareness,
        cost=match.cost,
        efficiency=match.efficiency,
        without=tuple(int(row) for row in first.creators if row not in match.creators),
        first=match is first,
    )
