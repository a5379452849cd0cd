"""What a plan should be expected to achieve, once the optimiser's curse is allowed for."""

import numpy as np
from numpy.typing import NDArray


def shrunk_value(
    effectiveness: NDArray[np.float64], std: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> float | None:
    """Sum the chosen predictions after pulling each towards the mean of all by its own uncertainty.

    The highest of many noisy predictions are high partly by chance, so their sum over-states what will happen. With a
    normal prior fitted to all predictions (variance τ² = max(0, var(f) − mean(σ²)), method of moments), the posterior
    mean of tuple i is m + τ² / (τ² + σᵢ²) · (fᵢ − m) (Efron & Morris 1975).

    Args:
        effectiveness: (N,) predictions f of all tuples.
        std: (N,) their standard errors σ, same unit.
        chosen: (N,) which are in the plan.

    Returns:
        Shrunk total of the chosen, in the unit of `effectiveness`; None where no uncertainty is known.
    """
    if not len(std) or not np.any(std > 0):
        return None
    mean = effectiveness.mean()
    prior = max(0.0, float(effectiveness.var() - np.mean(std**2)))
    total = prior + std**2
    weight = np.divide(prior, total, out=np.ones_like(total), where=total > 0)
    return float((mean + weight * (effectiveness - mean))[chosen].sum())
