"""Platt scaling against scikit-learn, its own optimality conditions and hand-computed cases."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from micromega.errors import ScoreError
from micromega.scores import (
    Platt,
    affinity_table,
    calibrate_affinity,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    reliability_curve,
)


def drawn(n, slope, intercept, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=n) * scale
    labels = rng.random(n) < 1 / (1 + np.exp(-(slope * logits + intercept)))
    return logits, labels


def smoothed(labels):
    positives = labels.sum()
    return np.where(labels, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))


def test_against_sklearn_with_the_same_smoothed_targets():
    logits, labels = drawn(3000, 1.7, -2.0)
    target = smoothed(labels)
    oracle = LogisticRegression(
        C=np.inf, tol=1e-10, max_iter=10_000
    )  # each pair counts as t positives and 1 - t negatives
    oracle.fit(
        np.r_[logits, logits][:, None],
        np.r_[np.ones(3000), np.zeros(3000)],
        sample_weight=np.r_[target, 1 - target],
    )
    platt = fit_platt(logits, labels)
    assert platt.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert platt.intercept == pytest.approx(oracle.intercept_[0], rel=1e-4)


def test_against_sklearn_without_smoothing_at_large_n():
    logits, labels = drawn(50_000, 0.8, -1.0)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logits[:, None], labels)
    platt = fit_platt(logits, labels)
    assert platt.slope == pytest.approx(oracle.coef_[0, 0], rel=2e-3)
    assert platt.intercept == pytest.approx(oracle.intercept_[0], rel=2e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-4, 1e4), st.floats(-1e4, 1e4))
def test_the_gradient_vanishes_at_any_scale_and_shift(seed, scale, shift):
    logits, labels = drawn(200, 1.5, -0.5, seed)
    platt = fit_platt(logits * scale + shift, labels)
    residual = platt(logits * scale + shift) - smoothed(labels)
    assert abs(residual.mean()) < 1e-6
    assert abs((residual * logits).mean()) < 1e-6
    plain = fit_platt(logits, labels)
    assert platt.slope * scale == pytest.approx(plain.slope, rel=1e-4)


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic])
def test_a_weight_is_as_many_pairs(fit):
    logits, labels = drawn(400, 1.3, -1.0)
    weights = np.where(labels, 1, np.random.default_rng(1).integers(1, 5, 400))
    repeated = fit(np.repeat(logits, weights), np.repeat(labels, weights))
    points = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(fit(logits, labels, weights=weights)(points), repeated(points), rtol=1e-6)
    np.testing.assert_allclose(fit(logits, labels, weights=np.ones(400))(points), fit(logits, labels)(points))


def test_a_sample_of_the_negatives_with_weights_gives_the_base_rate_of_all():
    logits, labels = drawn(200_000, 1.3, -5.0)
    kept = labels | (np.random.default_rng(1).random(200_000) < 0.05)
    weights = np.where(labels, 1.0, 20.0)[kept]
    whole, sampled = fit_platt(logits, labels), fit_platt(logits[kept], labels[kept], weights=weights)
    assert sampled.slope == pytest.approx(whole.slope, abs=0.05)
    assert sampled.intercept == pytest.approx(whole.intercept, abs=0.05)
    error = expected_calibration_error(sampled(logits[kept]), labels[kept], weights=weights)
    assert error < 1e-3
    assert error < expected_calibration_error(sampled(logits[kept]), labels[kept]) / 20


@pytest.mark.parametrize("binning", ["equal_mass", "equal_width"])
def test_a_weighted_curve_is_that_of_repeated_pairs_but_for_its_intervals(binning):
    probabilities, labels = np.random.default_rng(0).random((2, 300))
    labels, weights = labels < probabilities, np.random.default_rng(1).integers(1, 4, 300)
    found = reliability_curve(probabilities, labels, bins=5, binning=binning, weights=weights)
    edges = np.quantile(np.repeat(probabilities, weights), np.linspace(0, 1, 6)[1:-1], method="inverted_cdf")
    edges = edges if binning == "equal_mass" else np.linspace(0, 1, 6)[1:-1]
    inside = np.searchsorted(edges, probabilities)
    for row in range(5):
        mine, mass = inside == row, weights[inside == row]
        assert found.count[row] == mass.sum()
        assert found.predicted[row] == pytest.approx(np.average(probabilities[mine], weights=mass))
        assert found.observed[row] == pytest.approx(np.average(labels[mine], weights=mass))
    plain = reliability_curve(np.repeat(probabilities, weights), np.repeat(labels, weights), bins=5, binning=binning)
    assert ((found.upper - found.lower) > (plain.upper - plain.lower)).all()  # a repeated pair is no further evidence


@pytest.mark.parametrize("weights", [np.ones(5), np.zeros(6), np.full(6, np.nan)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ScoreError, match="weights must be 6 finite numbers above 0"):
        fit_platt(np.arange(6.0), [0, 0, 1, 0, 1, 1], weights=weights)


def test_separated_classes_stay_finite():
    platt = fit_platt([-1.0, -1.0, 1.0, 1.0], [0, 0, 1, 1])
    assert platt([-1.0, 1.0]) == pytest.approx([1 / 4, 3 / 4], abs=1e-6)  # smoothed targets by hand


def test_rare_positives_keep_the_base_rate():
    logits, labels = drawn(40_000, 2.0, -6.0, seed=3)
    assert 10 < labels.sum() < 1000
    assert fit_platt(logits, labels)(logits).sum() == pytest.approx(labels.sum(), rel=0.02, abs=2)


def test_order_is_kept_and_extremes_do_not_overflow():
    platt = Platt(slope=2.0, intercept=-1.0)
    probabilities = platt(np.array([[-1e308, -3.0], [0.0, 1e308]]))
    assert probabilities.shape == (2, 2)
    assert np.all(np.diff(probabilities.ravel()) > 0)
    assert probabilities[0, 0] == 0.0
    assert probabilities[1, 1] == 1.0


def test_refusals():
    with pytest.raises(ScoreError, match="0 and 3"):
        fit_platt([1.0, 2.0, 3.0], [0, 0, 0])
    with pytest.raises(ScoreError, match="3 and 0"):
        fit_platt([1.0, 2.0, 3.0], [1, 1, 1])
    with pytest.raises(ScoreError, match="reverse the ranking"):
        fit_platt([3.0, 2.0, 1.0, 0.0], [0, 0, 1, 1])
    with pytest.raises(ScoreError, match="all 2 logits are equal"):
        fit_platt([3.0, 3.0], [0, 1])
    with pytest.raises(ScoreError, match=r"1 logits are not finite \(first row 1: inf\)"):
        fit_platt([3.0, math.inf], [0, 1])
    with pytest.raises(ScoreError, match="0 or 1"):
        fit_platt([3.0, 1.0], [0, 2])
    with pytest.raises(ScoreError, match="shapes"):
        fit_platt([3.0, 1.0], [0])
    with pytest.raises(ScoreError, match="outside"):
        expected_calibration_error([1.2], [1])
    with pytest.raises(ScoreError, match="bins"):
        reliability_curve([0.2], [1], bins=0)


def test_error_by_hand():
    # bins of width 1/2: predictions 0.1, 0.3 (mean 0.2, observed 1/2) and 0.8, 0.8, 0.8 (observed 2/3)
    probabilities, labels = [0.1, 0.3, 0.8, 0.8, 0.8], [1, 0, 1, 1, 0]
    expected = (2 * abs(0.2 - 0.5) + 3 * abs(0.8 - 2 / 3)) / 5
    got = expected_calibration_error(probabilities, labels, bins=2, binning="equal_width")
    assert got == pytest.approx(expected, abs=1e-12)
    # bins of equal mass cut at the median 0.8, and equal predictions share the lower bin
    got = expected_calibration_error(probabilities, labels, bins=2)
    assert got == pytest.approx(abs(2.8 / 5 - 3 / 5), abs=1e-12)


@pytest.mark.parametrize(("binning", "strategy"), [("equal_width", "uniform"), ("equal_mass", "quantile")])
def test_curve_against_sklearn(binning, strategy):
    rng = np.random.default_rng(1)
    probabilities = rng.beta(0.5, 4.0, 3000)
    labels = rng.random(3000) < probabilities
    observed, predicted = calibration_curve(labels, probabilities, n_bins=8, strategy=strategy)
    curve = reliability_curve(probabilities, labels, bins=8, binning=binning)
    np.testing.assert_allclose(curve.observed, observed, atol=5e-3 if strategy == "quantile" else 1e-12)
    np.testing.assert_allclose(curve.predicted, predicted, atol=5e-3 if strategy == "quantile" else 1e-12)
    assert curve.count.sum() == 3000


def test_interval_is_wilsons():
    curve = reliability_curve(np.full(40, 0.2), np.r_[np.ones(5), np.zeros(35)], bins=3)
    interval = binomtest(5, 40).proportion_ci(method="wilson")
    assert (curve.lower[0], curve.upper[0]) == pytest.approx((interval.low, interval.high))


def test_calibrated_table_keeps_ranks_and_moves_the_deviation():
    rng = np.random.default_rng(5)
    logit = rng.normal(size=20)
    table = affinity_table(
        brand_ids=["b"] * 20, creator_ids=[f"c{i:02}" for i in range(20)], scores=logit, score_std=np.full(20, 1e-4)
    )
    platt = Platt(slope=1.3, intercept=-0.7)
    calibrated = calibrate_affinity(table, platt)
    assert calibrated.schema.equals(table.schema)
    assert calibrated.drop_columns(["score", "score_std"]).equals(table.drop_columns(["score", "score_std"]))
    score = table["score"].to_numpy()
    difference = (platt(score + 1e-4) - platt(score - 1e-4)) / 2
    np.testing.assert_allclose(calibrated["score_std"].to_numpy(), difference, rtol=1e-6)
    without = calibrate_affinity(
        affinity_table(brand_ids=["b"], creator_ids=["x"], scores=[0.0]), Platt(slope=1.0, intercept=0.0)
    )
    assert without.to_pylist() == [{"brand_id": "b", "creator_id": "x", "score": 0.5, "score_std": None, "rank": 1}]
