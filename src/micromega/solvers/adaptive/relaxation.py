"""The rest of a campaign as a linear program: every arm may post a fraction of the waves that are left.

    maximise Σ_k v_k y_k  over y >= 0  with  Σ_k p_k y_k <= B  and  Σ_{k of creator c} y_k <= n_c

One multiplier λ prices the budget; given λ, every creator gives all n_c posts to its arm of the largest v_k − λ p_k, if
that is positive. The dual λ B + Σ_c n_c max(0, max_k v_k − λ p_k) is convex in λ and its minimum is the value of the
linear program: no campaign, whatever it learns, is worth more in expectation where v are the true effects.
"""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
_STEPS = 200


def best_of_each(value: Reals, creator: NDArray[np.int64], creators: int) -> tuple[Reals, NDArray[np.int64]]:
    """Largest value of each creator's arms, and which arm it is.

    Args:
        value: (K,).
        creator: (K,) codes.
        creators: C.

    Returns:
        (C,), -inf without arms; and (C,) indices of arms, -1 without.
    """
    largest = np.full(creators, -np.inf)
    np.maximum.at(largest, creator, value)
    arm = np.full(creators, -1, np.int64)
    attains = np.flatnonzero(value == largest[creator])
    arm[creator[attains][::-1]] = attains[::-1]  # the first of equals
    return largest, arm


def dual_value(
    price_of_budget: float, value: Reals, price: Reals, creator: NDArray[np.int64], posts: Reals, budget: float
) -> float:
    """Dual function at one λ: an upper bound of the linear program at any λ >= 0."""
    largest, _ = best_of_each(value - price_of_budget * price, creator, len(posts))
    return float(price_of_budget * budget + posts @ np.maximum(largest, 0.0))


def price_of_budget(value: Reals, price: Reals, creator: NDArray[np.int64], posts: Reals, budget: float) -> float:
    """Find the λ that minimises the dual, by bisection on its slope.

    Args:
        value: of a post of each arm, (K,).
        price: (K,), positive.
        creator: (K,) codes.
        posts: n_c, most posts of each creator, (C,).
        budget: in the same currency as the prices.

    Returns:
        λ: value of one more unit of currency; 0 where the budget does not bind.
    """

    def spend(at: float) -> float:
        largest, arm = best_of_each(value - at * price, creator, len(posts))
        used = (largest > 0) & (arm >= 0)
        return float(posts[used] @ price[arm[used]])

    if not len(value) or spend(0.0) <= budget:
        return 0.0
    low, high = 0.0, float(np.max(value / price, initial=0.0))
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if spend(middle) > budget:
            low = middle
        else:
            high = middle
    return high


def clairvoyant_bound(effect: Reals, price: Reals, creator: NDArray[np.int64], posts: Reals, budget: float) -> float:
    """Most that anybody who knows all true effects could expect (the value of the linear program)."""
    at = price_of_budget(effect, price, creator, posts, budget)
    return dual_value(at, effect, price, creator, posts, budget)
