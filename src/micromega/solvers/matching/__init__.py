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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.solvers.matching.allocation import Matching, allocate, allocate_by_reputation, blocking_pairs
    from micromega.solvers.matching.certificate import MatchingCheck, verify
    from micromega.solvers.matching.game import Game, check_quotas
    from micromega.solvers.matching.least import Unmet, unmet

__all__ = [
    "Game",
    "Matching",
    "MatchingCheck",
    "Unmet",
    "allocate",
    "allocate_by_reputation",
    "blocking_pairs",
    "check_quotas",
    "unmet",
    "verify",
]

_HOME = {
    "Game": "game",
    "Matching": "allocation",
    "MatchingCheck": "certificate",
    "Unmet": "least",
    "allocate": "allocation",
    "allocate_by_reputation": "allocation",
    "blocking_pairs": "allocation",
    "check_quotas": "game",
    "unmet": "least",
    "verify": "certificate",
}


def __getattr__(name: str) -> Any:
    """Import on first use: reading the config class must not import numpy or scipy."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
