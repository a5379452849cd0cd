"""What stability costs: the best allocation when nobody may object (a flow through creators, products, merchants)."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import linprog

from micromega.errors import DataError, MicromegaError
from micromega.solvers.matching.certificate import acceptable
from micromega.solvers.matching.game import Game

Integers = NDArray[np.int64]


def best_allocation(game: Game, weight: NDArray[np.float64]) -> Integers:
    """Allocate for the largest total weight within all quotas, stable or not.

    One row a creator, one a product and one a merchant: a network, so that the linear program has whole solutions.

    Args:
        game: lists and quotas.
        weight: of each pair of the creators' lists, (M,); pairs that the merchant refuses are left out.

    Returns:
        Product of each creator, -1 without, (C,).

    Raises:
        DataError: there is not one finite weight for each pair.
    """
    given = np.asarray(weight, np.float64)
    if given.shape != game.product.shape or not np.all(np.isfinite(given)):
        raise DataError(f"weight: one finite number for each of {len(game.product)} pairs is needed.")
    pair = np.flatnonzero(acceptable(game))
    found = np.full(game.creators, -1, np.int64)
    if not pair.size:
        return found
    owner = np.repeat(np.arange(game.creators), np.diff(game.start))[pair]
    product = game.product[pair]
    columns, ones = np.arange(len(pair)), np.ones(len(pair))
    rows = [(owner, game.creators), (product, game.products), (game.merchant[product], game.merchants)]
    matrix = sp.vstack([sp.csr_array((ones, (row, columns)), shape=(many, len(pair))) for row, many in rows])
    limits = np.concatenate([np.ones(game.creators), game.product_quota, game.merchant_quota])
    answer = linprog(-given[pair], A_ub=matrix, b_ub=limits, bounds=(0, 1), method="highs-ds")
    if answer.status != 0 or np.any(np.abs(answer.x - np.round(answer.x)) > 1e-6):
        raise MicromegaError(f"HiGHS did not find the best allocation: {answer.message}")
    taken = answer.x > 0.5
    found[owner[taken]] = product[taken]
    return found


def satisfaction(game: Game) -> NDArray[np.float64]:
    """Weight of each pair by the creator's wish: 1 for the first choice, falling evenly to 1 / length, (M,)."""
    owner = np.repeat(np.arange(game.creators), np.diff(game.start))
    length = np.diff(game.start)[owner]
    place = np.arange(len(owner)) - game.start[owner]
    share: NDArray[np.float64] = (length - place) / np.maximum(length, 1)
    return share


def total_weight(game: Game, product: Integers, weight: NDArray[np.float64]) -> float:
    """Sum of the weights of a matching's pairs."""
    owner = np.repeat(np.arange(game.creators), np.diff(game.start))
    return float(weight[product[owner] == game.product].sum())
