"""The matching game: creators, merchants' products and two levels of quotas, allocated so that nobody wants to deviate.

Example:
    >>> from micromega.solvers.matching import allocate
    >>> found = allocate(
    ...     creator_preferences=[[0, 2], [0, 1], [2, 0]],
    ...     merchant_preferences=[[2, 0, 1], [0, 2]],
    ...     product_merchant=[0, 0, 1],
    ...     product_quota=[1, 1, 1],
    ...     merchant_quota=[2, 1],
    ... )
    >>> found.product.tolist(), found.check.blocking.tolist()
    ([0, 1, 2], [])
"""

from micromega.solvers.matching.allocation import Matching, allocate, allocate_by_reputation, blocking_pairs
from micromega.solvers.matching.game import Game, check_quotas
from micromega.solvers.matching.verify import MatchingCheck, verify

__all__ = [
    "Game",
    "Matching",
    "MatchingCheck",
    "allocate",
    "allocate_by_reputation",
    "blocking_pairs",
    "check_quotas",
    "verify",
]
