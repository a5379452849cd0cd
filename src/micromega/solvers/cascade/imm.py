"""IMM: as many sets as the best spread makes necessary (Tang, Shi & Xiao 2015).

First a lower bound of the best spread is sought with few sets, then the number of sets is set by it. The published
analysis is wrong where it chooses seeds from the sets that fixed their own number (Chen 2018); as corrected there, the
seeds are chosen from fresh sets.
"""

import math

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.coverage import cover_greedily
from micromega.solvers.cascade.opim import CHOOSING, JUDGING, Found, Sampling
from micromega.solvers.cascade.reverse import ReverseSets

RATIO = 1 - 1 / math.e


def imm(
    sampling: Sampling, allowed: NDArray[np.bool_], k: int, *, epsilon: float, delta: float, log_choices: float
) -> Found:
    """Choose k seeds whose spread is at least (1 - 1/e - ε) of the best's with probability 1 - δ.

    Args:
        sampling: of the sets.
        allowed: which nodes may be seeds, (N,).
        k: how many.
        epsilon: ε.
        delta: δ; half of it is for either phase.
        log_choices: logarithm of the number of choices.

    Raises:
        ConfigError: the sets that are needed do not fit into memory; OPIM-C then proves what it can.
    """
    nodes = sampling.network.nodes
    log_fail = math.log(2 / delta)
    wide = math.sqrt(2) * epsilon
    halvings = max(1, math.ceil(math.log2(nodes)) - 1)
    scale = (2 + 2 * wide / 3) * (log_choices + log_fail + math.log(halvings)) * nodes / wide**2
    bound = float(k)
    trial = sampling.sets(CHOOSING)
    for i in range(1, halvings + 1):
        guess = nodes / 2**i
        _grow(trial, math.ceil(scale / guess))
        spread = nodes * cover_greedily(trial, allowed, k).covered / len(trial)
        if spread >= (1 + wide) * guess:
            bound = max(bound, spread / (1 + wide))
            break
    tried = len(trial)
    del trial
    alpha = math.sqrt(log_fail + math.log(2))
    beta = math.sqrt(RATIO * (log_choices + log_fail + math.log(2)))
    fresh = sampling.sets(JUDGING)
    _grow(fresh, math.ceil(2 * nodes * (RATIO * alpha + beta) ** 2 / (epsilon**2 * bound)))
    chosen = cover_greedily(fresh, allowed, k).chosen
    return Found(chosen=chosen, ratio=RATIO - epsilon, sets=tried + len(fresh))


def _grow(sets: ReverseSets, wanted: int) -> None:
    sets.grow(wanted)
    if sets.full:
        raise ConfigError(
            f"IMM needs {wanted:,} reverse-reachable sets; {len(sets):,} fill the memory allowed. Give more memory or "
            "a larger epsilon, or choose opim_c, which says what the sets that fit prove."
        )
