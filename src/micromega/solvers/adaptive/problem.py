"""A campaign in waves as frozen arrays, and what is believed of it while it runs.

Shapes: K arms (a creator and a content type), C creators, T waves.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.campaign.rows import freeze

Reals = NDArray[np.float64]
TOLERANCE = 1e-9
"""Relative room in the budget for the rounding of sums."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WavesProblem:
    """Buy posts wave by wave, learn from what they bring, and spend the rest of the budget better.

    A post of arm k brings theta_k plus noise; theta_k is unknown, believed to be N(mean_k, std_k²). A creator posts at
    most once in a wave and at most `cap` times in all.

    Attributes:
        creator: code 0..C-1 of each arm's creator, (K,).
        price: of a post, (K,), positive, in one currency.
        mean: expected effect of a post before the first wave, (K,).
        std: its uncertainty, same unit, (K,).
        noise: standard deviation of what one post brings around theta, same unit, (K,), positive.
        budget: for all waves.
        waves: T.
        cap: most posts of a creator, (C,).
    """

    creator: NDArray[np.int64]
    price: Reals
    mean: Reals
    std: Reals
    noise: Reals
    budget: float
    waves: int
    cap: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("creator", "cap"):
            values = np.asarray(getattr(self, name))
            if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
                raise DataError(f"waves: {name} must be one row of whole numbers.")
        if not isinstance(self.waves, int | np.integer):
            raise ConfigError(f"waves is {self.waves}. Give a whole number.")
        freeze(self, "creator", self.creator, np.int64)
        freeze(self, "cap", self.cap, np.int64)
        for name in ("price", "mean", "std", "noise"):
            freeze(self, name, getattr(self, name), np.float64)
            if getattr(self, name).shape != self.creator.shape:
                raise DataError(f"waves: {name} has shape {getattr(self, name).shape}, creator {self.creator.shape}.")
        for name, least, words in (
            ("price", 0.0, "positive"),
            ("noise", 0.0, "positive"),
            ("std", -1e-300, "0 or more"),
            ("mean", -np.inf, "finite"),
        ):
            values = getattr(self, name)
            wrong = np.flatnonzero(~np.isfinite(values) | (values <= least))
            if wrong.size:
                raise DataError(
                    f"waves: {name} of {wrong.size} arms is not {words} (first: arm {wrong[0]}, {values[wrong[0]]:g})."
                )
        if self.creator.size and not 0 <= self.creator.min() <= self.creator.max() < len(self.cap):
            raise DataError(f"waves: creator codes must lie in 0..{len(self.cap) - 1}, one for each cap.")
        if np.any(self.cap < 0) or self.waves < 1 or not (np.isfinite(self.budget) and self.budget >= 0):
            raise ConfigError("waves: caps and budget must not be negative, and there must be one wave or more.")

    def __len__(self) -> int:
        return len(self.creator)

    @property
    def spending_limit(self) -> float:
        """The budget with room for the rounding of sums."""
        return self.budget * (1 + TOLERANCE)


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """What is known before a wave.

    Attributes:
        wave: number of waves done.
        mean: posterior mean of theta, (K,).
        variance: posterior variance, (K,).
        left: posts that each creator may still make, (C,).
        spent: so far.
    """

    wave: int
    mean: Reals
    variance: Reals
    left: NDArray[np.int64]
    spent: float

    @property
    def std(self) -> Reals:
        """Posterior standard deviation, (K,)."""
        return np.sqrt(self.variance)


def begin(problem: WavesProblem) -> State:
    """Say what is known before the first wave."""
    return State(wave=0, mean=problem.mean, variance=problem.std**2, left=problem.cap, spent=0.0)


def check_wave(problem: WavesProblem, state: State, chosen: ArrayLike) -> NDArray[np.bool_]:
    """Check that a wave keeps all rules.

    Args:
        problem: the campaign.
        state: before the wave.
        chosen: arms of this wave, (K,) bool.

    Returns:
        The same as an array.

    Raises:
        ConfigError: a wave too many, a creator twice or beyond the cap, or more than the rest of the budget.
    """
    arms = np.asarray(chosen, bool)
    if arms.shape != (len(problem),):
        raise ConfigError(f"wave: {arms.shape} choices for {len(problem)} arms.")
    if state.wave >= problem.waves:
        raise ConfigError(f"wave: all {problem.waves} waves are done.")
    posts = np.bincount(problem.creator[arms], minlength=len(problem.cap))
    if np.any(posts > 1):
        raise ConfigError(f"wave: creator {int(np.argmax(posts > 1))} would post more than once.")
    if np.any(posts > state.left):
        raise ConfigError(f"wave: creator {int(np.argmax(posts > state.left))} has no posts left.")
    spend = float(problem.price[arms].sum())
    if state.spent + spend > problem.spending_limit:
        raise ConfigError(f"wave: {spend:,.2f} is more than the {problem.budget - state.spent:,.2f} that are left.")
    return arms


def update(problem: WavesProblem, state: State, chosen: ArrayLike, outcome: ArrayLike) -> State:
    """Learn from a wave: the normal posterior with known noise.

    Args:
        problem: the campaign.
        state: before the wave.
        chosen: arms of the wave, (K,) bool.
        outcome: what each brought, (K,); read where chosen.

    Returns:
        The state before the next wave.

    Raises:
        ConfigError: the wave breaks a rule.
        DataError: an outcome of a chosen arm is not finite.
    """
    arms = check_wave(problem, state, chosen)
    seen = np.asarray(outcome, np.float64)
    if not np.all(np.isfinite(seen[arms])):
        raise DataError("wave: outcomes of chosen arms must be finite numbers.")
    known = arms & (state.variance > 0)  # a theta that is known for sure stays
    gain = np.zeros(len(problem))
    gain[known] = state.variance[known] / (state.variance[known] + problem.noise[known] ** 2)
    return replace(
        state,
        wave=state.wave + 1,
        mean=np.where(known, state.mean + gain * (np.where(known, seen, 0.0) - state.mean), state.mean),
        variance=state.variance * (1 - gain),
        left=state.left - np.bincount(problem.creator[arms], minlength=len(problem.cap)),
        spent=state.spent + float(problem.price[arms].sum()),
    )
