"""A campaign in waves as a Gymnasium environment, to try one's own policy.

Example:
    >>> import numpy as np
    >>> from micromega.solvers.adaptive import WavesProblem
    >>> from micromega.solvers.adaptive.environment import WavesEnv
    >>> problem = WavesProblem(
    ...     creator=np.array([0, 1, 2]), price=np.array([5.0, 6.0, 9.0]), mean=np.array([3.0, 4.0, 5.0]),
    ...     std=np.ones(3), noise=np.ones(3), budget=30.0, waves=3, cap=np.full(3, 2),
    ... )
    >>> env = WavesEnv(problem)
    >>> seen, _ = env.reset(seed=0)
    >>> seen, reward, ended, _, about = env.step(np.array([1, 0, 1], np.int8))
    >>> float(seen["money_left"][0]), ended, about["broken"]
    (16.0, False, '')
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.adaptive.problem import State, WavesProblem, begin, check_wave, update
from micromega.solvers.adaptive.relaxation import clairvoyant_bound
from micromega.solvers.adaptive.simulate import draw_effects, share_of_bound

Observation = dict[str, Any]


class WavesEnv(gymnasium.Env[Observation, NDArray[np.int8]]):
    """One episode is one campaign; a step is a wave.

    Actions are (K,) of 0 and 1: arms to buy. A wave that breaks a rule buys nothing and says why in `info["broken"]`.
    Observations: posterior mean and standard deviation of each arm, posts left of each creator, money and waves left.
    The reward is what the posts brought, noise included; `info` has their true effect and, at the end, the share of the
    clairvoyant bound.

    Args:
        problem: the campaign; true effects are drawn from its prior at every reset.
        effect: true effects, (K,), instead.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (gymnasium's own form)

    def __init__(self, problem: WavesProblem, effect: NDArray[np.float64] | None = None) -> None:
        if effect is not None and np.asarray(effect).shape != (len(problem),):
            raise DataError(f"WavesEnv: one effect for each of {len(problem)} arms is needed.")
        self.problem, self._given = problem, None if effect is None else np.asarray(effect, np.float64)
        arms, creators = len(problem), len(problem.cap)
        self.action_space = spaces.MultiBinary(arms)
        self.observation_space: spaces.Space[Observation] = spaces.Dict(
            {
                "mean": spaces.Box(-np.inf, np.inf, (arms,), np.float64),
                "std": spaces.Box(0.0, np.inf, (arms,), np.float64),
                "posts_left": spaces.Box(0, int(problem.cap.max(initial=0)), (creators,), np.int64),
                "money_left": spaces.Box(0.0, problem.budget, (1,), np.float64),
                "waves_left": spaces.Box(0, problem.waves, (1,), np.int64),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a campaign."""
        super().reset(seed=seed, options=options)
        self._state: State = begin(self.problem)
        self._effect = draw_effects(self.problem, self.np_random) if self._given is None else self._given
        self._reached = 0.0
        return self._observation(), {"broken": ""}

    def step(self, action: NDArray[np.int8]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Buy a wave."""
        broken = ""
        try:
            chosen = check_wave(self.problem, self._state, np.asarray(action) > 0)
        except ConfigError as error:
            if self._state.wave >= self.problem.waves:
                raise
            chosen, broken = np.zeros(len(self.problem), bool), str(error)
        outcome = self._effect + self.problem.noise * self.np_random.standard_normal(len(self.problem))
        self._state = update(self.problem, self._state, chosen, outcome)
        expected = float(self._effect[chosen].sum())
        self._reached += expected
        ended = self._state.wave == self.problem.waves
        about: dict[str, Any] = {"broken": broken, "expected": expected}
        if ended:
            about["share"] = share_of_bound(self._reached, self._bound())
        return self._observation(), float(outcome[chosen].sum()), ended, False, about

    def _bound(self) -> float:
        problem = self.problem
        posts = np.minimum(problem.cap, problem.waves).astype(np.float64)
        return clairvoyant_bound(self._effect, problem.price, problem.creator, posts, problem.budget)

    def _observation(self) -> Observation:
        state = self._state
        return {
            "mean": state.mean.copy(),
            "std": state.std,
            "posts_left": state.left.copy(),
            "money_left": np.array([min(max(0.0, self.problem.budget - state.spent), self.problem.budget)]),
            "waves_left": np.array([self.problem.waves - state.wave]),
        }
