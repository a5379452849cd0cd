"""What stability costs: the best allocation when nobody may object (a flow through creators, products, merchants)."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import linprog

from micromega.errors import DataError, MicromegaError
from micromega.solvers.matching.certificate import merchant_ranks
from micromega.solvers.matching.game import Game
from micromega.solvers.matching.lists import owners, places

Integers = NDArray[np.int64]
MOST_PAIRS = 1_000_000
"""Larger games are not tried: building the program alone takes seconds, and HiGHS minutes."""
_TIME_LIMIT = 1
"""Status of scipy's linprog."""


def best_allocation(game: Game, weight: NDArray[np.float64], *, time_limit_s: float = 60.0) -> Integers | None:
    """Allocate for the largest total weight within all quotas, stable or not.

    One row a creator, one a product and one a merchant: a network, so that the linear program has whole solutions.

    Args:
        game: lists and quotas.
        weight: of each pair of the creators' lists, (M,); pairs that the merchant refuses are left out.
        time_limit_s: wall time of HiGHS.

    Returns:
        Pairs of the best allocation, ascending, (K,); None where it was not found in time, or the game has more than
        `MOST_PAIRS` pairs.

    Raises:
        DataError: there is not one finite weight for each pair.
    """
    given = np.asarray(weight, np.float64)
    if given.shape != game.product.shape or not np.all(np.isfinite(given)):
        raise DataError(f"weight: one finite number for each of {len(game.product)} pairs is needed.")
    if len(given) > MOST_PAIRS:
        return None
    pair = np.flatnonzero(merchant_ranks(game) >= 0)
    if not pair.size:
        return pair
    owner, product = owners(game.start)[pair], game.product[pair]
    columns, ones = np.arange(len(pair)), np.ones(len(pair))
    rows = [(owner, game.creators), (product, game.products), (game.merchant[product], game.merchants)]
    matrix = sp.vstack([sp.csr_array((ones, (row, columns)), shape=(many, len(pair))) for row, many in rows])
    own = game.creator_quota if game.several else np.ones(game.creators)
    limits = np.concatenate([own, game.product_quota, game.merchant_quota])
    options = {"time_limit": time_limit_s}
    answer = linprog(-given[pair], A_ub=matrix, b_ub=limits, bounds=(0, 1), method="highs-ds", options=options)
    if answer.status == _TIME_LIMIT:
        return None
    if answer.status != 0 or np.any(np.abs(answer.x - np.round(answer.x)) > 1e-6):
        raise MicromegaError(f"HiGHS did not find the best allocation: {answer.message}")
    taken: Integers = pair[answer.x > 0.5]
    return taken


def satisfaction(game: Game) -> NDArray[np.float64]:
    """Weight of each pair by the creator's wish: 1 for the first choice, falling evenly to 1 / length, (M,)."""
    length = np.diff(game.start)[owners(game.start)]
    place = game.product_rank if len(game.product_rank) else places(game.start)
    share: NDArray[np.float64] = (length - place) / np.maximum(length, 1)
    return share
