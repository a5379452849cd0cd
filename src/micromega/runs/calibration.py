"""Turning an evaluation's logits into probabilities, and saying how well these hold."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from micromega.models.evaluation import PairScores, RankingEvaluation
from micromega.scores import (
    Isotonic,
    Platt,
    Reliability,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    reliability_curve,
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Probabilities against what is known of the test brands.

    Attributes:
        curve: predicted against observed, in bins.
        error: expected calibration error, in [0, 1].
    """

    curve: Reliability
    error: float

    def plain(self) -> dict[str, Any]:
        """As `evaluation.json` holds it."""
        curve = {key: value.tolist() for key, value in dataclasses.asdict(self.curve).items()}
        return {"expected_calibration_error": self.error, "curve": curve}


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A calibration fitted on the validation brands and judged on the test brands.

    Attributes:
        method: platt or isotonic.
        calibration: the function itself.
        after: its probabilities.
        before: the logistic function of the logits, which is what they would mean if they were log-odds.
    """

    method: str
    calibration: Platt | Isotonic
    after: Judged
    before: Judged

    def plain(self) -> dict[str, Any]:
        """As `evaluation.json` holds it."""
        found: dict[str, Any] = {"method": self.method, **self.after.plain(), "before": self.before.plain()}
        if isinstance(self.calibration, Platt):
            found |= {"slope": self.calibration.slope, "intercept": self.calibration.intercept}
        return found


def calibrated(method: str, result: RankingEvaluation) -> Calibrated | None:
    """Fit on the validation brands, judge on the test brands.

    Args:
        method: platt, isotonic or none.
        result: the logits.

    Returns:
        The calibration; None for none.

    Raises:
        ScoreError: the logits cannot be calibrated.
    """
    if method == "none":
        return None
    fit = fit_platt if method == "platt" else fit_isotonic
    validation = result.validation
    calibration = fit(validation.scores.ravel(), validation.positives.ravel(), weights=_weights(validation))
    return Calibrated(
        method=method,
        calibration=calibration,
        after=_judged(calibration, result.test),
        before=_judged(expit, result.test),
    )


def _judged(probabilities: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], test: PairScores) -> Judged:
    predicted, labels = np.asarray(probabilities(test.scores.ravel())), test.positives.ravel()
    weights = _weights(test)
    return Judged(
        curve=reliability_curve(predicted, labels, weights=weights),
        error=expected_calibration_error(predicted, labels, weights=weights),
    )


def _weights(pairs: PairScores) -> npt.NDArray[np.float64] | None:
    """(B · M,) weight of each pair, None where all pairs were scored."""
    return None if pairs.weights is None else np.broadcast_to(pairs.weights, pairs.scores.shape).ravel()
