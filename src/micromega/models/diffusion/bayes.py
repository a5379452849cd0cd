"""Empirical Bayes: how far an edge's own counts are to be trusted against what is expected of such edges.

Shapes: M edges.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import betaln

from micromega.models.diffusion.em import EdgeEstimates, estimate
from micromega.models.diffusion.evidence import Evidence, Reals, log_likelihood

FLOOR = 1e-6
"""Prior means are kept this far from 0 and 1."""
WEIGHTS = (0.1, 1e5)
"""Range of the prior's weight, exposures."""
_GRID = 25


def posterior(prior_mean: Reals, weight: float, evidence: Evidence) -> EdgeEstimates:
    """Combine expectations with counts: Beta(weight * mean + successes, weight * (1 - mean) + failures).

    Args:
        prior_mean: (M,) what is expected of each edge.
        weight: exposures that it is worth.
        evidence: the exposures.

    Returns:
        Posterior means; edges without exposures keep what was expected.

    Example:
        >>> from micromega.models.diffusion.evidence import gather
        >>> seen = gather([0, 0, 0, 0, 0], range(5), [1, 0, 0, 0, 0], edges=2, shared=False)
        >>> posterior(np.array([0.1, 0.3]), 5.0, seen).probability.tolist()
        [0.15, 0.3]
    """
    return estimate(evidence, prior_mean=np.clip(prior_mean, FLOOR, 1 - FLOOR), prior_weight=weight)


def fit_weight(prior_mean: Reals, seen: Evidence, later: Evidence) -> float:
    """Find the weight of the prior that makes later exposures most likely, given the earlier ones.

    The likelihood is `marginal`: of later counts, given the posterior from the earlier ones.

    Args:
        prior_mean: (M,) what is expected of each edge.
        seen: exposures whose counts the posterior uses.
        later: exposures, which neither the expectations nor the counts know.

    Returns:
        The weight, exposures, within `WEIGHTS`.
    """

    def lost(log_weight: float) -> float:
        weight = float(np.exp(log_weight))
        return -marginal(posterior(prior_mean, weight, seen), weight, later)

    grid = np.log(np.geomspace(*WEIGHTS, _GRID))
    best = int(np.argmin([lost(value) for value in grid]))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)]
    found = minimize_scalar(lost, bounds=ends, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def marginal(found: EdgeEstimates, weight: float, later: Evidence) -> float:
    """Log-likelihood of later exposures under Beta posteriors, the probabilities integrated out.

    Where exposures share outcomes there is no closed form; there it is that of each outcome by itself, which is the
    noisy-or of the posterior means.

    Args:
        found: posterior means with the numbers of exposures that they rest on.
        weight: of the prior, exposures.
        later: exposures.

    Returns:
        The sum, in nats: over edges (beta-binomial, of one given order), or over outcomes.
    """
    if len(later.member):
        return log_likelihood(found.probability, later)
    known = weight + found.trials
    a, b = known * found.probability, known * (1 - found.probability)
    counted = later.trials > 0
    a, b, s, f = (values[counted] for values in (a, b, later.successes, later.failures))
    return float(np.sum(betaln(a + s, b + f) - betaln(a, b)))


def deviation(found: EdgeEstimates, weight: float) -> Reals:
    """Standard deviation of the Beta posteriors, (M,)."""
    mean = found.probability
    spread: Reals = np.sqrt(mean * (1 - mean) / (weight + found.trials + 1))
    return spread
