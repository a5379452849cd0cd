"""What exposures say of edges: sure failures, sure successes, and activations that several sources share.

Shapes: X exposures, M edges, J shared activations.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py, xlogy

from micromega.errors import DataError

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that the likelihood needs of exposures; the order of time does not matter to it."""

    failures: Reals
    """(M,) exposures over each edge that surely did not activate the target."""
    successes: Reals
    """(M,) exposures that surely did."""
    start: Ints
    """(J + 1,) where each shared activation's edges begin: at least one of them succeeded."""
    member: Ints
    """(start[-1],) edges of the shared activations, one after another."""

    @cached_property
    def trials(self) -> Reals:
        """(M,) exposures over each edge."""
        shared = np.bincount(self.member, minlength=len(self.failures))
        trials: Reals = self.failures + self.successes + shared
        return trials

    @property
    def exposures(self) -> float:
        """Number of exposures."""
        return float(self.trials.sum())

    @property
    def activations(self) -> int:
        """Number of activations; one that several sources share counts once."""
        return int(self.successes.sum()) + len(self.start) - 1


def gather(edge: ArrayLike, group: ArrayLike, activated: ArrayLike, *, edges: int, shared: bool) -> Evidence:
    """Sum exposures up.

    Args:
        edge: (X,) edge of each exposure, 0 to edges - 1.
        group: (X,) any code of its post and target; exposures with one code belong together.
        activated: (X,) the outcome.
        edges: M.
        shared: the outcome is the group's: the target was activated by whichever of them. An activation is then one of
            a group, a failure one of every exposure in it. False: the outcome is the exposure's own.

    Returns:
        The evidence.

    Raises:
        DataError: lengths differ, an edge is unknown.

    Example:
        >>> found = gather([0, 1, 0], [7, 7, 8], [True, True, False], edges=2, shared=True)
        >>> found.failures.tolist(), found.successes.tolist(), found.member.tolist()
        ([1.0, 0.0], [0.0, 0.0], [0, 1])
    """
    edge_X, group_X = np.asarray(edge, np.int64), np.asarray(group)
    activated_X = np.asarray(activated, bool)
    if not edge_X.ndim == 1 or not edge_X.shape == group_X.shape == activated_X.shape:
        raise DataError(
            f"edge, group and activated must be one number per exposure, got shapes {edge_X.shape}, {group_X.shape} "
            f"and {activated_X.shape}."
        )
    if len(edge_X) and not 0 <= edge_X.min() <= edge_X.max() < edges:
        raise DataError(f"edge must lie between 0 and {edges - 1}, got {edge_X.min()} to {edge_X.max()}.")
    start_J, member = np.zeros(1, np.int64), np.empty(0, np.int64)
    sure_X = np.ones(len(edge_X), bool)
    if shared:
        _, code_X, size_G = np.unique(group_X, return_inverse=True, return_counts=True)
        activated_X = np.bincount(code_X, activated_X, minlength=len(size_G))[code_X] > 0
        sure_X = ~activated_X | (size_G[code_X] == 1)
        joint = np.flatnonzero(~sure_X)
        joint = joint[np.argsort(code_X[joint], kind="stable")]
        member = edge_X[joint]
        sizes = np.bincount(code_X[joint], minlength=len(size_G))
        start_J = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
    count = np.bincount(edge_X[sure_X], minlength=edges).astype(np.float64)
    successes = np.bincount(edge_X[sure_X], activated_X[sure_X], minlength=edges).astype(np.float64)
    return Evidence(failures=count - successes, successes=successes, start=start_J, member=member)


def any_of(probability: Reals, start: Ints) -> Reals:
    """Chance that at least one of each run of values happens, 1 - prod(1 - p), exact for small p too.

    Args:
        probability: (X,) values, one run after another.
        start: (J + 1,) where runs begin; no run is empty.

    Returns:
        (J,).
    """
    if len(start) == 1:
        return np.empty(0)
    with np.errstate(divide="ignore"):
        logs = np.log1p(-probability)
    chance: Reals = -np.expm1(np.add.reduceat(logs, start[:-1]))
    return chance


def log_likelihood(probability: Reals, evidence: Evidence) -> float:
    """Log-likelihood of the evidence (Saito et al. 2008; each exposure by itself where its outcome is its own).

    Args:
        probability: (M,) activation probabilities; edges without exposures may hold NaN.
        evidence: the exposures.

    Returns:
        The sum, in nats.
    """
    known = np.where(evidence.trials > 0, probability, 0.5)
    shared = any_of(known[evidence.member], evidence.start)
    with np.errstate(divide="ignore"):
        return float(
            np.sum(xlogy(evidence.successes, known) + xlog1py(evidence.failures, -known)) + np.sum(np.log(shared))
        )
