"""Campaigns in waves: buy posts, learn from what they bring, and spend the rest of the budget better.

Example:
    >>> import numpy as np
    >>> from micromega.solvers.adaptive import POLICIES, WavesProblem, begin, play, update
    >>> problem = WavesProblem(
    ...     creator=np.array([0, 0, 1]), price=np.array([10.0, 15.0, 8.0]), mean=np.array([100.0, 130.0, 90.0]),
    ...     std=np.array([30.0, 40.0, 30.0]), noise=np.full(3, 20.0), budget=60.0, waves=4, cap=np.array([3, 3]),
    ... )
    >>> first = POLICIES["optimistic"](problem, begin(problem), np.random.default_rng(0))
    >>> first.tolist()
    [False, False, True]
    >>> state = update(problem, begin(problem), first, np.array([0.0, 0.0, 40.0]))
    >>> state.mean.round().tolist()
    [100.0, 130.0, 55.0]
    >>> 0 < play(problem, np.array([100.0, 130.0, 40.0]), POLICIES["optimistic"]).share <= 1
    True
"""

from micromega.solvers.adaptive.policy import POLICIES, Policy, at_random, optimistic, plan_once, thompson
from micromega.solvers.adaptive.problem import State, WavesProblem, begin, update
from micromega.solvers.adaptive.relaxation import clairvoyant_bound
from micromega.solvers.adaptive.simulate import Played, draw_effects, play

__all__ = [
    "POLICIES",
    "Played",
    "Policy",
    "State",
    "WavesProblem",
    "at_random",
    "begin",
    "clairvoyant_bound",
    "draw_effects",
    "optimistic",
    "plan_once",
    "play",
    "thompson",
    "update",
]
