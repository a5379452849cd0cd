"""Which posts to buy in the next wave.

Every policy re-solves the rest of the campaign (relaxation.py) with its own view of the effects and then fills the
wave: creators whose best arm is worth its price at the budget's λ, by effect per price, while the wave's share of the
money lasts.
"""

from collections.abc import Callable
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

from micromega.solvers.adaptive.problem import State, WavesProblem, begin
from micromega.solvers.adaptive.relaxation import best_of_each, price_of_budget

Reals = NDArray[np.float64]
Policy = Callable[[WavesProblem, State, np.random.Generator], NDArray[np.bool_]]
"""From what is known to the arms of the next wave, (K,) bool."""


def optimistic(optimism: float = 1.0) -> Policy:
    """Posterior mean + `optimism` standard deviations: 1 measured best of 0, 0.5 and 1; 0 is greedy re-solving."""

    def choose(problem: WavesProblem, state: State, _: np.random.Generator) -> NDArray[np.bool_]:
        return fill_wave(problem, state, state.mean + optimism * state.std)

    return choose


def thompson(spread: float = 1.0) -> Policy:
    """A draw from the posterior, its deviations times `spread`."""

    def choose(problem: WavesProblem, state: State, rng: np.random.Generator) -> NDArray[np.bool_]:
        return fill_wave(problem, state, state.mean + spread * state.std * rng.standard_normal(len(problem)))

    return choose


def plan_once() -> Policy:
    """The plan of the first day, carried out whatever comes."""

    def choose(problem: WavesProblem, state: State, _: np.random.Generator) -> NDArray[np.bool_]:
        return fill_wave(problem, state, begin(problem).mean)

    return choose


def at_random() -> Policy:
    """Creators in random order while the wave's share lasts."""

    def choose(problem: WavesProblem, state: State, rng: np.random.Generator) -> NDArray[np.bool_]:
        order = rng.random(len(problem))
        return _fill(problem, state, order, np.ones(len(problem), bool))

    return choose


def fill_wave(problem: WavesProblem, state: State, value: Reals) -> NDArray[np.bool_]:
    """Re-solve the rest of the campaign and take what belongs into the next wave.

    Args:
        problem: the campaign.
        state: before the wave.
        value: what a post of each arm is taken to be worth, (K,).

    Returns:
        Arms of the wave, (K,) bool.
    """
    posts = np.minimum(state.left, problem.waves - state.wave).astype(np.float64)
    budget = max(0.0, problem.budget - state.spent)
    at = price_of_budget(value, problem.price, problem.creator, posts, budget)
    reduced = value - at * problem.price
    _, arm = best_of_each(reduced, problem.creator, len(problem.cap))
    wanted = np.zeros(len(problem), bool)
    wanted[arm[arm >= 0]] = True
    # Those just below the margin follow behind: whole posts leave money over.
    order = np.where(reduced >= 0, 1.0, 0.0) * 1e3 * np.max(np.abs(value / problem.price), initial=1.0)
    return _fill(problem, state, order + value / problem.price, wanted & (value > 0))


def _fill(problem: WavesProblem, state: State, order: Reals, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take wanted arms, largest `order` first, one a creator, while the wave's share of the money lasts."""
    left = max(0.0, problem.budget - state.spent)
    share = left / (problem.waves - state.wave)
    arms = np.flatnonzero(wanted & (state.left[problem.creator] > 0) & (problem.price <= left))
    arms = arms[np.argsort(-order[arms], kind="stable")]
    taken = _take(problem.creator[arms], problem.price[arms], share, len(problem.cap))
    if arms.size and not taken.any():
        taken[0] = True  # a share may be less than any price
    chosen = np.zeros(len(problem), bool)
    chosen[arms[taken]] = True
    return chosen


@numba.njit(cache=True)
def _take(creator: NDArray[np.int64], price: Reals, share: float, creators: int) -> NDArray[np.bool_]:
    taken = np.zeros(len(creator), np.bool_)
    used = np.zeros(creators, np.bool_)
    spent = 0.0
    for place in range(len(creator)):
        if not used[creator[place]] and spent + price[place] <= share:
            taken[place] = True
            used[creator[place]] = True
            spent += price[place]
    return taken


POLICIES: dict[Literal["optimistic", "greedy", "thompson", "plan_once", "random"], Policy] = {
    "optimistic": optimistic(),
    "greedy": optimistic(0.0),
    "thompson": thompson(),
    "plan_once": plan_once(),
    "random": at_random(),
}
"""By name, for configuration and tables."""
