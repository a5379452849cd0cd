"""Maximum likelihood edge by edge: the EM algorithm of Saito, Nakano & Kimura (2008), with an optional Beta prior.

Shapes: X exposures, M edges, J shared activations.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlog1py, xlogy

from micromega.errors import DataError
from micromega.models.diffusion.evidence import Evidence, Reals, any_of, gather, log_likelihood

_FLAT = 0.5
"""Where the iteration starts without a prior."""


@dataclass(frozen=True, kw_only=True)
class EdgeEstimates:
    """What EM has found."""

    probability: Reals
    """(M,) NaN for edges without exposures and without a prior."""
    successes: Reals
    """(M,) expected number of exposures that succeeded."""
    trials: Reals
    """(M,) number of exposures."""
    objective: tuple[float, ...]
    """Log-likelihood (with the prior's logarithm) before each step and after the last; it never falls."""


def saito_em(
    edge: ArrayLike,
    group: ArrayLike,
    activated: ArrayLike,
    *,
    edges: int,
    shared: bool = True,
    prior_mean: ArrayLike | None = None,
    prior_weight: float = 0.0,
) -> EdgeEstimates:
    """Estimate activation probabilities from exposures.

    Args:
        edge: (X,) edge of each exposure, 0 to edges - 1.
        group: (X,) any code of its post and target.
        activated: (X,) the outcome.
        edges: M.
        shared: the outcome is the target's, whichever source did it (Saito et al.); False: each exposure's own, where
            the estimate is successes / exposures.
        prior_mean: (M,) or one number: mean of a Beta prior; None: no prior.
        prior_weight: exposures that the prior is worth.

    Returns:
        Estimates of all edges.

    Raises:
        DataError: lengths differ, an edge is unknown, a prior is not within (0, 1).

    Example:
        >>> found = saito_em([0, 0, 1, 1], [0, 1, 0, 2], [True, False, True, True], edges=2)
        >>> found.probability.round(3).tolist()
        [0.0, 1.0]
        >>> saito_em([0, 0], [0, 1], [True, False], edges=1, prior_mean=0.1, prior_weight=8).probability.tolist()
        [0.18]
    """
    evidence = gather(edge, group, activated, edges=edges, shared=shared)
    return estimate(evidence, prior_mean=prior_mean, prior_weight=prior_weight)


def estimate(
    evidence: Evidence,
    *,
    prior_mean: ArrayLike | None = None,
    prior_weight: float = 0.0,
    tolerance: float = 1e-9,
    steps: int = 2_000,
) -> EdgeEstimates:
    """Run EM on summed exposures.

    A shared activation is split among its edges in proportion to p(e) / (1 - prod(1 - p)) (Saito et al. 2008);
    then p(e) = (weight * mean + successes) / (weight + exposures). With a prior, that is the mean of the Beta posterior
    given the split, and the mode of likelihood * prod p^(weight * mean) (1 - p)^(weight * (1 - mean)).

    Args:
        evidence: the exposures.
        prior_mean: (M,) or one number; None: no prior.
        prior_weight: exposures that the prior is worth.
        tolerance: stop when no probability moves by more.
        steps: at most.

    Returns:
        Estimates.

    Raises:
        DataError: the prior's mean is not within (0, 1), or its weight is negative.
    """
    mean = np.broadcast_to(np.asarray(_FLAT if prior_mean is None else prior_mean, np.float64), evidence.failures.shape)
    weight = 0.0 if prior_mean is None else prior_weight
    if not (np.isfinite(mean) & (mean > 0) & (mean < 1)).all() or not weight >= 0:
        raise DataError("prior_mean must lie within (0, 1) for every edge, and prior_weight must be 0 or more.")
    trials, sizes = evidence.trials, np.diff(evidence.start)
    with np.errstate(invalid="ignore"):
        found, successes = np.where(weight + trials > 0, mean, np.nan), evidence.successes
        objective = [_objective(found, evidence, mean, weight)]
        for _ in range(steps):
            before = found
            share = before[evidence.member] / np.repeat(any_of(before[evidence.member], evidence.start), sizes)
            successes = evidence.successes + np.bincount(evidence.member, share, minlength=len(trials))
            found = (weight * mean + successes) / (weight + trials)
            objective.append(_objective(found, evidence, mean, weight))
            if not len(evidence.member) or np.nanmax(np.abs(found - before), initial=0.0) < tolerance:
                break
    return EdgeEstimates(probability=found, successes=successes, trials=trials, objective=tuple(objective))


def _objective(found: Reals, evidence: Evidence, mean: Reals, weight: float) -> float:
    prior = np.nansum(xlogy(weight * mean, found) + xlog1py(weight * (1 - mean), -found)) if weight else 0.0
    return log_likelihood(found, evidence) + float(prior)
