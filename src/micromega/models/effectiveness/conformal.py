"""Intervals that hold: the spread that quantile trees see, scaled on rows that no stage of the fit has seen.

Split conformal prediction (Lei et al. 2018) with scores |y − f| / w, where w is half the distance between the 0.16 and
0.84 quantiles; by tier of creators (Mondrian, Vovk et al. 2005) where a tier has rows enough. If calibration rows and
new rows are exchangeable, an interval of level 1 − α holds with probability 1 − α at least, and 1 − α + 1/(n + 1) at
most. Campaigns of a later season are not quite exchangeable with those before; so coverage is measured, too.
Shapes: N rows, n calibration rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]
ONE_DEVIATION = 0.6827
"""Level of the interval whose half width counts as a standard deviation of the log outcome."""
NARROWEST = 0.05
"""Least half width of a row, as a share of the median one: quantile trees may cross."""


@dataclass(frozen=True, kw_only=True)
class Conformal:
    """Scores of the calibration rows.

    Attributes:
        score: (n,) |y − f| / w.
        tier: (n,) tier of the creator.
        fewest: a tier with so many rows has factors of its own.
    """

    score: Reals
    tier: Ints
    fewest: int

    def factor(self, level: float, tier: Ints) -> Reals:
        """By what half widths are multiplied for an interval of a level.

        Args:
            level: for instance 0.9.
            tier: (N,) tiers of the rows in question.

        Returns:
            (N,) factors, infinite where there are too few calibration rows for so high a level.
        """
        count = np.bincount(self.tier, minlength=int(max(tier.max(initial=0), self.tier.max(initial=0))) + 1)
        own = count >= self.fewest
        pooled = self._quantile(self.score, level)
        rest = self.score[~own[self.tier]]
        others = self._quantile(rest, level) if len(rest) >= self.fewest else pooled
        factors = np.array(
            [self._quantile(self.score[self.tier == t], level) if own[t] else others for t in range(len(count))]
        )
        return factors[tier]

    @staticmethod
    def _quantile(score: Reals, level: float) -> float:
        rank = int(np.ceil(level * (len(score) + 1)))
        return float(np.sort(score)[rank - 1]) if rank <= len(score) else float("inf")


def half_width(low: Reals, high: Reals, least: float) -> Reals:
    """Half the distance of two predicted quantiles, at least `least`, (N,)."""
    return np.maximum((high - low) / 2, least)
