"""What a trend will be on the day of a post: its season, learnt anew for each day from what was known before it.

Shapes: T days with trends, Q pairs of genre and location, N posts, P waves and a constant.
"""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]
PERSISTENCE = 0.9
"""What is thought to be left, after a week, of how far a trend is from its season."""
_PENALTY = np.array([6.0, 6.0, 6.0, 30.0, 30.0])
"""Of the constant, the waves of a year and those of half a year, in observations: trends of neighbouring weeks say much
the same, so that a few of them are no season yet."""


class Season:
    """Ridge regressions of each pair's log index on waves of a year and half a year, one for each day.

    Args:
        pair: (R,) code of genre and location of each record, -1: none.
        day: (R,) day that the index is of.
        known: (R,) day from which it is known; later for later days.
        log_index: (R,).
    """

    def __init__(self, pair: Ints, day: Ints, known: Ints, log_index: Reals) -> None:
        kept = pair >= 0
        pair, day, known, log_index = pair[kept], day[kept], known[kept], log_index[kept]
        days, row = np.unique(day, return_index=True)
        self.known = known[row]
        place = np.searchsorted(days, day)
        shape = len(days), int(pair.max(initial=0)) + 1
        value, held = np.zeros(shape), np.zeros(shape)
        value[place, pair], held[place, pair] = log_index, 1.0
        wave = waves(days)
        left = np.cumsum(held[:, :, None, None] * (wave[:, :, None] * wave[:, None, :])[:, None], axis=0)
        right = np.cumsum((held * value)[:, :, None] * wave[:, None], axis=0)
        slopes = np.linalg.solve(left + np.diag(_PENALTY), right[..., None])[..., 0]
        slopes[np.cumsum(held, axis=0) == 0] = np.nan
        self.slopes = np.concatenate([np.full((1, *slopes.shape[1:]), np.nan), slopes])

    def at(self, pair: Ints, day: Ints, before: Ints) -> Reals:
        """Say which log index a day's season makes likely, as far as was known strictly before another day.

        Args:
            pair: (N,) codes, -1: unknown.
            day: (N,) days in question.
            before: (N,) days of the plans.

        Returns:
            (N,), NaN where nothing is known of the pair.
        """
        asked = (pair >= 0) & (pair < self.slopes.shape[1])
        slopes = self.slopes[np.searchsorted(self.known, before), np.where(asked, pair, 0)]
        return np.where(asked, np.einsum("np,np->n", slopes, waves(day)), np.nan)


def waves(day: Ints) -> Reals:
    """A constant, and sine and cosine of a year and of half a year, (N, 5)."""
    turn = 2 * np.pi * day / 365.25
    parts = [wave(count * turn) for count in (1, 2) for wave in (np.sin, np.cos)]
    return np.column_stack([np.ones(len(day)), *parts])
