"""From rank logits to probabilities: Platt scaling, and how well the probabilities hold."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from micromega.errors import ScoreError

FloatArray = npt.NDArray[np.float64]
Binning = Literal["equal_mass", "equal_width"]

WILSON_Z = 1.959963984540054  # 97.5 % point of the normal distribution: intervals of 95 %


class Calibration(Protocol):
    """Logits to probabilities in the same order, and what becomes of their deviations (`Platt`, `Isotonic`)."""

    def __call__(self, logits: npt.ArrayLike) -> FloatArray: ...  # noqa: D102

    def deviation(self, logits: npt.ArrayLike, std: npt.ArrayLike) -> FloatArray: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Platt:
    """A fitted calibration: probability = 1 / (1 + exp(-(slope · logit + intercept))).

    Attributes:
        slope: positive, so that the order of the scores is kept.
        intercept: shift on the logit scale.
    """

    slope: float
    intercept: float

    def __call__(self, logits: npt.ArrayLike) -> FloatArray:
        """Probabilities in [0, 1] of logits of any shape."""
        with np.errstate(over="ignore"):  # an overflow to infinity is a probability of 0 or 1, as it should be
            z = self.slope * np.asarray(logits, dtype=np.float64) + self.intercept
        return np.asarray(expit(z), dtype=np.float64)

    def deviation(self, logits: npt.ArrayLike, std: npt.ArrayLike) -> FloatArray:
        """Standard deviation of probabilities by the delta method: slope · p · (1 − p) · std(logit)."""
        probability = self(logits)
        return np.asarray(std, dtype=np.float64) * self.slope * probability * (1 - probability)


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Predicted against observed probability in bins, empty bins left out.

    Attributes:
        predicted: (B,) mean predicted probability.
        observed: (B,) share of positives.
        lower: (B,) lower end of the 95 % Wilson interval of the share.
        upper: (B,) upper end.
        count: (B,) pairs in the bin, or that those in it stand for.
    """

    predicted: FloatArray
    observed: FloatArray
    lower: FloatArray
    upper: FloatArray
    count: npt.NDArray[np.int64]


def fit_platt(logits: npt.ArrayLike, labels: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> Platt:
    """Fit Platt scaling on held-out pairs (Platt 1999, section 2.2, with his smoothed targets).

    The targets are (N₊ + 1)/(N₊ + 2) for positives and 1/(N₋ + 2) for negatives, which keeps the fit finite where the
    classes separate. The share of positives in these pairs becomes the base rate of the probabilities: give all pairs
    of the held-out brands, not a balanced sample of them, or a sample with weights.

    Args:
        logits: (N,) scores of pairs that the model was not trained on.
        labels: (N,) 1 for a positive pair, 0 for a negative.
        weights: (N,) how many pairs each stands for; None: one.

    Returns:
        The calibration.

    Raises:
        ScoreError: lengths differ, a value is not finite, a class or all variation is missing, or the fit would reverse
            the ranking (slope ≤ 0).

    Example:
        >>> platt = fit_platt([-2.0, -1.0, 0.5, -0.5, 1.0, 2.0], [0, 0, 0, 1, 1, 1])
        >>> bool(platt(1.0) > platt(0.0))
        True
    """
    logit_N, label_N = checked_pairs(logits, labels, what="logits")
    share_N = checked_weights(weights, label_N)
    positives = float(share_N @ label_N)
    negatives = float(share_N.sum()) - positives
    share_N = share_N / share_N.sum()
    if positives == 0 or negatives == 0:
        raise ScoreError(
            f"Calibration needs positive and negative held-out pairs; got {positives:,.0f} and {negatives:,.0f}. "
            "Hold out more brands."
        )
    centre, scale = float(logit_N.mean()), float(logit_N.std())
    if not scale > 0:
        raise ScoreError(f"Calibration: all {logit_N.size:,} logits are equal, so they carry no order to calibrate.")
    unit_N = (logit_N - centre) / scale
    target_N = np.where(label_N == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design_N2 = np.column_stack([unit_N, np.ones_like(unit_N)])

    def loss(weight_2: FloatArray) -> tuple[float, FloatArray]:
        z_N = design_N2 @ weight_2
        value = -(target_N * log_expit(z_N) + (1 - target_N) * log_expit(-z_N)) @ share_N
        return float(value), design_N2.T @ (share_N * (expit(z_N) - target_N))

    def hessian(weight_2: FloatArray) -> FloatArray:
        chance_N = expit(design_N2 @ weight_2)
        return np.asarray(design_N2.T @ (design_N2 * (share_N * chance_N * (1 - chance_N))[:, None]))

    start = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    fit = minimize(loss, start, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-10, "maxiter": 500})
    slope, intercept = float(fit.x[0] / scale), float(fit.x[1] - fit.x[0] * centre / scale)
    if not slope > 0:
        raise ScoreError(
            f"Calibration found slope {slope:.3g} on {label_N.size:,} held-out pairs: higher logits go with fewer "
            "positives, so probabilities would reverse the ranking. This ranker is no better than chance here; train "
            "it longer, check the sign of its scores, or hold out more brands."
        )
    return Platt(slope=slope, intercept=intercept)


def calibrate_affinity(table: pa.Table, calibration: Calibration) -> pa.Table:
    """Turn an affinity table of rank logits into one of probabilities; ranks stay.

    Standard deviations go through the calibration's slope: see `Platt.deviation` and `Isotonic.deviation`.

    Args:
        table: affinity table with score_kind rank_logit.
        calibration: a fitted calibration.

    Returns:
        The table with score and score_std in probability.
    """
    logit_N, std = table.column("score").to_numpy(), table.column("score_std")
    score_N = calibration(logit_N)
    std_N = calibration.deviation(logit_N, std.fill_null(0.0).to_numpy())
    columns = {
        "score": pa.array(score_N),
        "score_std": pa.array(std_N, mask=std.is_null().to_numpy()),
    }
    for name, column in columns.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(index), column)
    return table


def reliability_curve(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    bins: int = 10,
    binning: Binning = "equal_mass",
    weights: npt.ArrayLike | None = None,
) -> Reliability:
    """Share of positives against predicted probability.

    Bins of equal mass hold about the same number of pairs each; they suit brand-creator pairs, of which few are
    positive. Bins of equal width cut [0, 1] evenly (Guo et al. 2017). Equal probabilities always share a bin.

    Args:
        probabilities: (N,) predictions in [0, 1].
        labels: (N,) 0 or 1.
        bins: number of bins, at least 1.
        binning: how the bins are cut.
        weights: (N,) how many pairs each stands for; None: one.

    Returns:
        Means, shares and counts for each bin that holds a pair.
    """
    probability_N, label_N = checked_pairs(probabilities, labels, what="probabilities")
    if probability_N.min() < 0 or probability_N.max() > 1:
        raise ScoreError("Reliability: probabilities lie outside [0, 1]. Calibrate the scores first.")
    if bins < 1:
        raise ScoreError(f"Reliability: bins must be at least 1, got {bins}.")
    inner, weight_N = np.linspace(0, 1, bins + 1)[1:-1], checked_weights(weights, label_N)
    if binning == "equal_width":
        edges = inner
    elif weights is None:
        edges = np.quantile(probability_N, inner)
    else:
        edges = np.quantile(probability_N, inner, weights=weight_N, method="inverted_cdf")
    bin_N = np.searchsorted(edges, probability_N, side="left")

    def sums(values_N: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(bin_N, weights=values_N, minlength=bins)[held], dtype=np.float64)

    held = np.bincount(bin_N, minlength=bins) > 0
    mass = sums(weight_N)
    observed = sums(weight_N * label_N) / mass
    middle, half = _wilson(observed, mass**2 / sums(weight_N**2))  # as many equal weights would say as much (Kish)
    return Reliability(
        predicted=sums(weight_N * probability_N) / mass,
        observed=observed,
        lower=np.clip(middle - half, 0, 1),
        upper=np.clip(middle + half, 0, 1),
        count=np.rint(mass).astype(np.int64),
    )


def expected_calibration_error(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    bins: int = 10,
    binning: Binning = "equal_mass",
    weights: npt.ArrayLike | None = None,
) -> float:
    """Mean distance of predicted and observed probability, weighted by bin size (Guo et al. 2017, eq. 3).

    Args:
        probabilities: (N,) predictions in [0, 1].
        labels: (N,) 0 or 1.
        bins: number of bins.
        binning: how the bins are cut; see `reliability_curve`.
        weights: (N,) how many pairs each stands for; None: one.

    Returns:
        The error, in [0, 1]; 0 is best.

    Example:
        >>> expected_calibration_error([0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0])
        0.0
    """
    curve = reliability_curve(probabilities, labels, bins=bins, binning=binning, weights=weights)
    return float(np.sum(curve.count * np.abs(curve.predicted - curve.observed)) / curve.count.sum())


def _wilson(share: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Middle and half width of the Wilson score interval (Wilson 1927)."""
    z2 = WILSON_Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = WILSON_Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return middle, half


def checked_pairs(values: npt.ArrayLike, labels: npt.ArrayLike, *, what: str) -> tuple[FloatArray, FloatArray]:
    """Refuse values and labels that cannot be calibrated or judged.

    Args:
        values: (N,) numbers.
        labels: (N,) 0 or 1.
        what: name of the values in messages.

    Returns:
        Finite values and 0/1 labels, (N,) float64 each.

    Raises:
        ScoreError: lengths differ, there are none, a value is not finite, or a label is neither 0 nor 1.
    """
    value_N, label_N = np.asarray(values, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if value_N.ndim != 1 or value_N.shape != label_N.shape or value_N.size == 0:
        raise ScoreError(
            f"Calibration: {what} and labels must be of one dimension and equal length above 0, "
            f"got shapes {value_N.shape} and {label_N.shape}."
        )
    if not np.isfinite(value_N).all():
        bad = np.flatnonzero(~np.isfinite(value_N))
        raise ScoreError(f"Calibration: {bad.size:,} {what} are not finite (first row {bad[0]}: {value_N[bad[0]]}).")
    if not np.isin(label_N, (0.0, 1.0)).all():
        raise ScoreError("Calibration: labels must be 0 or 1.")
    return value_N, label_N


def checked_weights(weights: npt.ArrayLike | None, label_N: FloatArray) -> FloatArray:
    """Weights of pairs, (N,); ones for None.

    Raises:
        ScoreError: lengths differ, or a weight is not finite and above 0.
    """
    weight_N = np.ones(label_N.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight_N.shape != label_N.shape or not (np.isfinite(weight_N) & (weight_N > 0)).all():
        raise ScoreError(f"Calibration: weights must be {label_N.size:,} finite numbers above 0.")
    return weight_N
