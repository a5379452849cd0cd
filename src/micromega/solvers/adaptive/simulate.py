"""Play a campaign in waves on known effects, and compare with somebody who knew them from the start."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.solvers.adaptive.policy import Policy
from micromega.solvers.adaptive.problem import State, WavesProblem, begin, check_wave, update
from micromega.solvers.adaptive.relaxation import clairvoyant_bound

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """A campaign that was played to its end.

    Attributes:
        chosen: arms of each wave, (T, K) bool.
        expected: sum of true effects of what was bought, by wave, (T,).
        spend: by wave, (T,).
        bound: no policy exceeds it in expectation, whatever it knows.
        state: what is believed at the end.
    """

    chosen: NDArray[np.bool_]
    expected: Reals
    spend: Reals
    bound: float
    state: State

    @property
    def share(self) -> float:
        """Of the clairvoyant bound that was reached."""
        return share_of_bound(float(self.expected.sum()), self.bound)

    @property
    def regret(self) -> float:
        """Clairvoyant bound less what was reached, in units of effect: at least the true regret."""
        return float(self.bound - self.expected.sum())


def share_of_bound(reached: float, bound: float) -> float:
    """Share of the clairvoyant bound; where nothing is worth buying 1 for nothing lost, else minus infinity."""
    if bound > 0:
        return reached / bound
    return 1.0 if reached >= 0 else -np.inf


def draw_effects(problem: WavesProblem, rng: np.random.Generator) -> Reals:
    """Draw true effects from what is believed before the first wave, (K,)."""
    return problem.mean + problem.std * rng.standard_normal(len(problem))


def play(problem: WavesProblem, effect: ArrayLike, policy: Policy, *, seed: int = 0) -> Played:
    """Play all waves.

    Args:
        problem: the campaign.
        effect: true effect of a post of each arm, (K,).
        policy: chooses each wave.
        seed: of the noise and of the policy's own draws, which do not share a stream: the noise of a wave and arm is
            the same for every policy.

    Returns:
        What happened.

    Raises:
        ConfigError: the policy breaks a rule.
        DataError: there is not one finite effect for each arm.
    """
    truth = np.asarray(effect, np.float64)
    if truth.shape != (len(problem),) or not np.all(np.isfinite(truth)):
        raise DataError(f"play: one finite effect for each of {len(problem)} arms is needed.")
    nature, own = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    state = begin(problem)
    chosen = np.zeros((problem.waves, len(problem)), bool)
    for wave in range(problem.waves):
        chosen[wave] = check_wave(problem, state, policy(problem, state, own))
        outcome = truth + problem.noise * nature.standard_normal(len(problem))
        state = update(problem, state, chosen[wave], outcome)
    posts = np.minimum(problem.cap, problem.waves).astype(np.float64)
    return Played(
        chosen=chosen,
        expected=chosen @ truth,
        spend=chosen @ problem.price,
        bound=clairvoyant_bound(truth, problem.price, problem.creator, posts, problem.budget),
        state=state,
    )
