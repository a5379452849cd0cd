"""One creator for each need, so that awareness fits what is needed (Hajiheydari, Salehi & Goudarzi 2018)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.cascade.annealing import anneal
from micromega.solvers.cascade.awareness import awareness, cost, efficiency
from micromega.solvers.cascade.exhaustive import best_of_all
from micromega.solvers.cascade.local_search import search
from micromega.solvers.cascade.selection import fast_selection, random_selection
from micromega.solvers.plan import Status

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Method = Literal["local_search", "annealing", "qga", "exhaustive", "fast", "random"]
STARTS, SHAKES, REPLACED = 10, 20, 3
"""Local searches, how often each is shaken without gain, and creators that a shake draws anew at most."""
ITERATIONS = 50_000
"""Of annealing."""
_ZERO = 1e-9
"""A cost, as a share of what is needed, that cannot be told from none."""


class TooFewCreatorsError(ConfigError):
    """There are more needs than creators that may be chosen."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """Who spreads which need, and what that gives by the closed form.

    Attributes:
        creators: row of the activation matrix of each need's creator, (J,).
        awareness: accounts that are expected to donate each need (eq. 8), (J,).
        cost: eq. 9, accounts.
        efficiency: eq. 10.
        status: OPTIMAL where no set of the rows given costs less by the matrix given: all were looked at, or the cost
            is 0; else FEASIBLE. Rows that were left out and chances that were sampled are the caller's to weigh.
        method: that found it.
        looked: sets, or chromosomes, whose cost was computed.
        seconds: CPU time of this process.
        found: this and other sets that the search ended at, by rising cost, each in the order of needs, (F, J).
    """

    creators: Integers
    awareness: Floats
    cost: float
    efficiency: float
    status: Status
    method: Method
    looked: int
    seconds: float
    found: Integers


def match_needs(
    activation: ArrayLike,
    needs: ArrayLike,
    *,
    method: Method = "local_search",
    seed: int = 0,
    unavailable: Sequence[int] = (),
    allow_repeats: bool = False,
    starts: int = STARTS,
    shakes: int = SHAKES,
) -> Match:
    """Choose one creator for each need so that awareness is nearest to it (eq. 9).

    Args:
        activation: G_P of `activation_matrix`, (N, N), or the rows of K possible creators, (K, N).
        needs: V, accounts that should donate each need, (J,).
        method: "local_search" (exchanges from many starts), "annealing", "exhaustive" (all sets; few needs), and the
            document's "qga", "fast" and "random".
        seed: of whatever is drawn.
        unavailable: rows that must not be chosen.
        allow_repeats: whether one creator may have several needs.
        starts: local searches from a new set.
        shakes: how often each is shaken without gain before the next begins.

    Returns:
        The match. Beside "qga", "fast" and "random", needs are handed out by size: of one set of creators that is the
        cheapest way.

    Raises:
        DataError: activation or needs are malformed, or an unavailable row does not exist.
        ConfigError: more needs than creators (TooFewCreatorsError), no such method, a seed or a number of starts or
            shakes out of range, or too many sets for "exhaustive".

    Example:
        >>> from micromega.solvers.cascade import activation_matrix, match_needs
        >>> chance = activation_matrix([[0, 1], [0, 2], [3, 4]], [0.5, 0.5, 0.2], nodes=5)
        >>> match = match_needs(chance, [1.2, 2.0])
        >>> match.creators.tolist(), round(match.cost, 9), match.efficiency
        ([3, 0], 0.0, 1.0)
    """
    chances, wanted = checked(activation, needs)
    allowed = _allowed(len(chances), len(wanted), unavailable, allow_repeats)
    for name, value, least in (("seed", seed, 0), ("starts", starts, 1), ("shakes", shakes, 0)):
        if not value >= least:
            raise ConfigError(f"{name} is {value}. Give a whole number, {least} or more.")
    rising = np.sort(wanted)
    began = time.process_time()
    looked, proved = 1, False
    if method == "local_search":
        none = np.zeros((0, len(wanted)), np.int64)
        first = fast_selection(chances, wanted, allowed, allow_repeats=allow_repeats)[None] if len(allowed) else none
        enough = _ZERO * float(rising.sum())
        sets, _, looked = search(chances, rising, allowed, allow_repeats, first, starts, shakes, REPLACED, enough, seed)
        found = _best_first(chances, wanted, sets)
    elif method == "annealing":
        found, looked = anneal(chances, rising, allowed, allow_repeats, ITERATIONS, seed)[None], ITERATIONS
        found = _best_first(chances, wanted, found)
    elif method == "exhaustive":
        chosen, looked = best_of_all(chances, rising, allowed, allow_repeats=allow_repeats)
        found, proved = _best_first(chances, wanted, chosen[None]), True
    elif method == "qga":
        from micromega.solvers.cascade import quantum  # noqa: PLC0415  (torch is slow to import)

        found = quantum.quantum_genetic(chances, wanted, allowed, allow_repeats=allow_repeats, seed=seed)
        looked = quantum.CHROMOSOMES * quantum.ITERATIONS
    elif method == "fast":
        found = fast_selection(chances, wanted, allowed, allow_repeats=allow_repeats)[None]
    elif method == "random":
        found = random_selection(allowed, len(wanted), allow_repeats=allow_repeats, seed=seed)[None]
    else:
        raise ConfigError(f'method is "{method}". Allowed: local_search, annealing, qga, exhaustive, fast, random.')
    return matched(chances, wanted, found, method, proved=proved, looked=looked, seconds=time.process_time() - began)


def matched(
    activation: Floats,
    needs: Floats,
    found: Integers,
    method: Method,
    *,
    proved: bool = False,
    looked: int = 1,
    seconds: float = 0.0,
) -> Match:
    """Make the match of sets by rising cost, each in the order of needs, (F, J)."""
    aware = awareness(activation, found[0])
    total = float(cost(needs, aware))
    none_better = proved or costs_nothing(total, needs)
    return Match(
        creators=found[0],
        awareness=aware,
        cost=total,
        efficiency=efficiency(total, needs),
        status=Status.OPTIMAL if none_better else Status.FEASIBLE,
        method=method,
        looked=looked,
        seconds=seconds,
        found=found,
    )


def costs_nothing(total: float, needs: Floats) -> bool:
    """Whether a cost (eq. 9) cannot be told from 0, below which there is none."""
    return total <= _ZERO * max(float(needs.sum()), 1.0)


def handed_out(aware: Floats, needs: Floats, sets: Integers) -> Integers:
    """Order sets so that the creator with the largest awareness has the largest need.

    Σ |v - d| over pairs is least where both run in the same order, and awareness does not depend on who has which need.

    Args:
        aware: of each creator, (…, J).
        needs: V, (J,).
        sets: rows, (…, J).

    Returns:
        Rows in the order of needs, (…, J).
    """
    given = np.empty_like(sets)
    given[..., np.argsort(needs, kind="stable")] = np.take_along_axis(sets, np.argsort(aware, kind="stable"), -1)
    return given


def checked(activation: ArrayLike, needs: ArrayLike) -> tuple[Floats, Floats]:
    """Check matrix and needs; DataError otherwise."""
    try:
        chances = np.ascontiguousarray(activation, np.float64)
    except (TypeError, ValueError):
        raise DataError("activation holds what is no number. Give a matrix of probabilities.") from None
    if chances.ndim != 2 or not chances.size:
        raise DataError(f"activation has the shape {chances.shape}. Give one row for each creator, (N, N) or (K, N).")
    if not (chances.min() >= 0 and chances.max() <= 1):
        raise DataError("activation holds values that are no probability. Give numbers from 0 to 1.")
    try:
        wanted = np.asarray(needs, np.float64)
    except (TypeError, ValueError):
        raise DataError(f"needs holds what is no number: {needs!r}. Give a number of accounts for each need.") from None
    if wanted.ndim != 1 or not wanted.size:
        raise DataError(f"needs has the shape {wanted.shape}. Give one volume for each need.")
    wrong = np.flatnonzero(~(np.isfinite(wanted) & (wanted >= 0)))
    if wrong.size:
        raise DataError(f"needs[{wrong[0]}] is {wanted[wrong[0]]}. A need is a number of accounts, 0 or more.")
    return chances, wanted


def _allowed(rows: int, needs: int, unavailable: Sequence[int], repeats: bool) -> Integers:
    """Rows that may be chosen, (A,)."""
    given = np.asarray(unavailable)
    if given.size and given.dtype.kind not in "iu":
        raise DataError(f"unavailable is {list(unavailable)!r}. Give rows of activation, whole numbers from 0.")
    out = given.astype(np.int64).reshape(-1)
    if out.size and not 0 <= out.min() <= out.max() < rows:
        raise DataError(
            f"unavailable names {out[(out < 0) | (out >= rows)][0]}. There are {rows} rows: 0 to {rows - 1}."
        )
    allowed = np.setdiff1d(np.arange(rows), out)
    if not allowed.size or (needs > len(allowed) and not repeats):
        raise TooFewCreatorsError(
            f"{needs} needs and {len(allowed)} available creators: each need takes a creator of its own. Ask for fewer "
            "needs, or let creators have several (allow_repeats)."
        )
    return allowed


def _best_first(activation: Floats, needs: Floats, sets: Integers) -> Integers:
    """Distinct sets by rising cost, each in the order of needs, (F, J)."""
    unique = np.unique(np.sort(sets, axis=1), axis=0)
    aware = np.stack([awareness(activation, chosen) for chosen in unique])
    given = handed_out(aware, needs, unique)
    costs = np.abs(np.sort(needs) - np.sort(aware, axis=1)).sum(axis=1)
    return given[np.argsort(costs, kind="stable")]
