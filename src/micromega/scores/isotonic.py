"""From rank logits to probabilities without assuming the curve's form: smoothed isotonic regression."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from micromega.errors import ScoreError
from micromega.scores.calibrate import FloatArray, checked_pairs, checked_weights

LARGEST = 36.0
"""Bound of log-odds: nearer to 0 or 1 a probability would round to it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Isotonic:
    """A fitted calibration: a rising broken line from logits to the log-odds of the probability.

    Equal logits get equal probabilities and higher ones higher (up to log-odds of ±36, and as far as float64 can tell
    them apart), so ranks stay those of the logits.

    Attributes:
        logits: (K,) rising corners of the line, K ≥ 2; beyond them it goes on with its mean slope.
        log_odds: (K,) its rising values there.
    """

    logits: FloatArray
    log_odds: FloatArray

    def __call__(self, logits: npt.ArrayLike) -> FloatArray:
        """Probabilities in (0, 1) of logits of any shape."""
        x, at, value = np.asarray(logits, dtype=np.float64), self.logits, self.log_odds
        slope = (value[-1] - value[0]) / (at[-1] - at[0])
        beyond = np.minimum(x - at[0], 0) + np.maximum(x - at[-1], 0)
        with np.errstate(over="ignore"):
            z = np.interp(x, at, value) + slope * beyond
        return np.asarray(expit(np.clip(z, -LARGEST, LARGEST)), dtype=np.float64)

    def deviation(self, logits: npt.ArrayLike, std: npt.ArrayLike) -> FloatArray:
        """Standard deviation of probabilities by the slope over the range that logits vary in, logit ± std.

        That is (p(logit + std) − p(logit − std)) / 2, at most 1/2. The line's slope at a point says little, as it jumps
        from corner to corner; for a smooth curve this is the delta method.

        Args:
            logits: logits of any shape.
            std: their standard deviations, the same shape.

        Returns:
            Standard deviations of the probabilities.
        """
        x, std = np.asarray(logits, dtype=np.float64), np.asarray(std, dtype=np.float64)
        return (self(x + std) - self(x - std)) / 2


def fit_isotonic(logits: npt.ArrayLike, labels: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> Isotonic:
    """Fit isotonic regression on held-out pairs, smoothed (Zadrozny & Elkan 2002; smoothing after Jiang et al. 2011).

    Two made-up pairs, a positive with the lowest logit and a negative with the highest, keep the ends off 0 and 1:
    above the last negative, n positives give n / (n + 1). The regression's steps become a line through their middles
    (mean logit, log-odds of the share), so that no order is lost within a step. As with `fit_platt`, give all pairs of
    the held-out brands, or a sample with weights.

    Args:
        logits: (N,) scores of pairs that the model was not trained on.
        labels: (N,) 1 for a positive pair, 0 for a negative.
        weights: (N,) how many pairs each stands for; None: one.

    Returns:
        The calibration.

    Raises:
        ScoreError: lengths differ, a value is not finite, a class is missing, or positives do not become more frequent
            with higher logits.

    Example:
        >>> isotonic = fit_isotonic([-2.0, -1.0, 0.5, -0.5, 1.0, 2.0], [0, 0, 0, 1, 1, 1])
        >>> bool(0 < isotonic(-9.0) < isotonic(0.0) < isotonic(9.0) < 1)
        True
    """
    logit_N, label_N = checked_pairs(logits, labels, what="logits")
    positives = int(label_N.sum())
    if positives in (0, label_N.size):
        raise ScoreError(
            f"Calibration needs positive and negative held-out pairs; got {positives:,} and "
            f"{label_N.size - positives:,}. Hold out more brands."
        )
    share_N = checked_weights(weights, label_N)
    at_G, group_N = np.unique(logit_N, return_inverse=True)
    positive_G, pairs_G = (np.bincount(group_N, weights=values) for values in (label_N * share_N, share_N))
    weight_G = pairs_G.copy()
    positive_G[0] += 1
    np.add.at(weight_G, [0, -1], 1)
    share_G = isotonic_regression(positive_G / weight_G, weights=weight_G).x
    start_K = np.flatnonzero(np.diff(share_G, prepend=-1) > 0)
    if start_K.size < 2:
        raise ScoreError(
            f"Calibration found no rise of the share of positives with the logits of {label_N.size:,} held-out pairs. "
            "This ranker is no better than chance here; train it longer, check the sign of its scores, or hold out "
            "more brands."
        )
    middle_K = np.add.reduceat(at_G * pairs_G, start_K) / np.add.reduceat(pairs_G, start_K)
    # Rounding may put a mean outside its step, and then the line would not rise.
    middle_K = np.clip(middle_K, at_G[start_K], at_G[np.append(start_K[1:], at_G.size) - 1])
    return Isotonic(logits=middle_K, log_odds=logit(share_G[start_K]))
