"""What a creator of any size costs, from the prices of a few sizes."""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


class PriceList:
    """Price of a creator of any size: straight lines in followers between the given ones.

    Beyond the ends the price per follower stays.
    """

    def __init__(self, followers: Reals, price: Reals) -> None:
        """Take the list.

        Args:
            followers: positive and rising, (P,).
            price: in currency, (P,).
        """
        self.followers, self.price = followers, price

    def __call__(self, followers: Reals) -> Reals:
        """Price, (K,), of followers, (K,)."""
        between = np.interp(followers, self.followers, self.price)
        ends = np.clip(followers, self.followers[0], self.followers[-1])
        return np.asarray(between * followers / ends)

    def per_follower(self, followers: Reals) -> Reals:
        """Slope of the price, (K,); at a given size that of the line above it."""
        slope = np.empty(len(self.followers) + 1)
        slope[0], slope[-1] = self.price[0] / self.followers[0], self.price[-1] / self.followers[-1]
        slope[1:-1] = np.diff(self.price) / np.diff(self.followers)
        return np.asarray(slope[np.searchsorted(self.followers, followers, side="right")])
