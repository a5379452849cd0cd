"""What a post usually brings, by a regression that is fitted anew for each day on what was known before it.

A creator's campaigns are few and differ in size, price and kind. Their mean outcome says more of the creator once what
is usual for such posts is taken off; and the usual itself may use nothing of the future either.
Shapes: N posts, P regressors, T days.
"""

import numpy as np
from numpy.typing import NDArray

from micromega.models.effectiveness.catalog import Catalog, Tuples

Reals = NDArray[np.float64]
FEWEST = 30
"""Known campaigns that the regression needs; before that nothing is usual."""
_PENALTY = 1.0
_BLOCK = 1 << 16


class Usual:
    """Ridge regressions of log outcomes on followers, price, content type, scale and place, one for each day.

    Args:
        regressors: (R, P) of the records.
        outcome: (R,) log outcomes.
        day: (R,) from which each is known.
    """

    def __init__(self, regressors: Reals, outcome: Reals, day: NDArray[np.int64]) -> None:
        order = np.lexsort((outcome, day))
        self.days, begin = np.unique(day[order], return_index=True)
        both = np.column_stack([regressors, outcome])[order]
        width = both.shape[1]
        sums = np.zeros((len(self.days), width, width))
        place = np.searchsorted(self.days, day[order])
        for first in range(0, len(both), _BLOCK):
            part = both[first : first + _BLOCK]
            np.add.at(sums, place[first : first + _BLOCK], part[:, :, None] * part[:, None, :])
        sums = np.cumsum(sums, axis=0)
        penalty = _PENALTY * np.eye(width - 1)
        penalty[0, 0] = 1e-6  # the intercept is free
        slopes = np.linalg.solve(sums[:, :-1, :-1] + penalty, sums[:, :-1, -1:])[..., 0]
        enough = np.append(begin[1:], len(both)) >= FEWEST
        slopes[~enough] = np.nan
        self.slopes = np.concatenate([np.full((1, width - 1), np.nan), slopes])  # before the first day: nothing

    def at(self, regressors: Reals, before: NDArray[np.int64]) -> Reals:
        """Say what was usual for posts, as far as was known strictly before a day, (N,); NaN where too little was."""
        place = np.searchsorted(self.days, before)
        found: Reals = np.einsum("np,np->n", regressors, self.slopes[place])
        return found


def regressors(catalog: Catalog, tuples: Tuples) -> Reals:
    """Describe posts for the regression; what is missing counts as typical, with a mark.

    Args:
        catalog: of the market.
        tuples: the posts.

    Returns:
        (N, P).
    """
    creators, events = catalog.creators, catalog.events
    has_event = tuples.event >= 0
    known = tuples.creator >= 0
    followers = np.where(known, creators.numbers[tuples.creator, 0], np.nan) - 10.0
    price = np.log1p(tuples.price) - 5.0
    scale = np.where(has_event, events.log_scale[tuples.event], np.nan) - 7.0
    filled = [np.nan_to_num(value) for value in (followers, price, scale)]
    missing = [np.isnan(value).astype(np.float64) for value in (followers, price, scale)]
    kinds = np.eye(len(catalog.content_types))[tuples.content_type][:, 1:]
    return np.column_stack([np.ones(len(tuples)), *filled, *missing, is_local(catalog, tuples), kinds])


def is_local(catalog: Catalog, tuples: Tuples) -> Reals:
    """1 where creator and event are in one place, (N,)."""
    home = np.where(tuples.creator >= 0, catalog.creators.location[tuples.creator], -1)
    there = np.where(tuples.event >= 0, catalog.events.location[tuples.event], -1)
    local: Reals = ((home == there) & (there >= 0)).astype(np.float64)
    return local
