"""Random numbers of the compiled loops: SplitMix64 (Steele, Lea & Flood 2014), one stream for each simulation.

A stream depends on the seed and the simulation's number alone, so that results do not depend on chunks or threads.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 1.0 / 2**53


def compiled(function: F) -> F:
    """Compile on first use, and keep the machine code beside the source for the next process."""
    made: Any = numba.njit(cache=True, nogil=True)(function)
    return cast(F, made)


def inlined(function: F) -> F:
    """Compile into the loops that call it: a call costs as much as what the smallest ones do."""
    made: Any = numba.njit(inline="always")(function)
    return cast(F, made)


@compiled
def mixed(state: np.uint64) -> np.uint64:
    """Scramble 64 bits."""
    z = (state ^ (state >> _30)) * _FIRST
    z = (z ^ (z >> _27)) * _SECOND
    return z ^ (z >> _31)


@compiled
def stream(seed: int, simulation: int) -> np.uint64:
    """State from which the simulation of this number draws."""
    return mixed(mixed(np.uint64(seed) + _GAMMA) + (np.uint64(simulation) + np.uint64(1)) * _GAMMA)


@compiled
def following(state: np.uint64) -> np.uint64:
    """State after one draw."""
    return state + _GAMMA


@compiled
def uniform(state: np.uint64) -> float:
    """Number in [0, 1) that belongs to a state."""
    return np.int64(mixed(state) >> _11) * _UNIT
