"""Isotonic calibration against scikit-learn, by hand, and what it must keep: order, ties, open ends."""

import doctest
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from micromega.errors import ScoreError
from micromega.scores import (
    Isotonic,
    Platt,
    affinity_table,
    calibrate_affinity,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
)


def drawn(n, curve, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=n).round(3)  # with ties
    return logits, rng.random(n) < curve(logits)


def steep(logits):
    """A curve far from the logistic: two plateaus and a rise."""
    return 0.02 + 0.5 * expit(12 * (logits - 0.5)) + 0.3 * expit(12 * (logits - 1.5))


@pytest.mark.parametrize("seed", range(4))
def test_steps_equal_those_of_scikit_learn_with_the_two_made_up_pairs(seed):
    logits, labels = drawn(800, steep, seed)
    oracle = IsotonicRegression().fit(np.r_[logits, logits.min(), logits.max()], np.r_[labels, 1, 0])
    fitted = oracle.predict(logits)
    isotonic = fit_isotonic(logits, labels)
    np.testing.assert_allclose(expit(isotonic.log_odds), np.unique(fitted.round(12)), rtol=1e-9)
    middles = [logits[np.isclose(fitted, share)].mean() for share in expit(isotonic.log_odds)]
    np.testing.assert_allclose(isotonic.logits, middles, rtol=1e-9, atol=1e-12)


def test_the_example_holds():
    assert doctest.testmod(sys.modules[Isotonic.__module__]) == doctest.TestResults(failed=0, attempted=2)


def test_by_hand():
    # With a positive at -2 and a negative at 4: 1/3 at -2 and 0 at 0 pool to 1/4; 1 at 1 and 2/3 at 4 pool to 3/4.
    isotonic = fit_isotonic([-2.0, -2.0, 0.0, 1.0, 4.0, 4.0], [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(isotonic.logits, [-4 / 3, 3.0])
    np.testing.assert_allclose(expit(isotonic.log_odds), [1 / 4, 3 / 4])
    assert isotonic(np.mean([-4 / 3, 3.0])) == pytest.approx(0.5)
    slope = 2 * np.log(3) / (3 + 4 / 3)
    assert isotonic(5.0) == pytest.approx(expit(np.log(3) + 2 * slope))
    assert isotonic(-4.0) == pytest.approx(expit(-np.log(3) - (4 - 4 / 3) * slope))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=4, max_size=60),
    st.floats(1e-6, 1e6),
    st.floats(-1e3, 1e3),
)
def test_order_and_ties_are_kept_and_no_probability_is_certain(pairs, scale, shift):
    logits = np.array([logit for logit, _ in pairs]) * scale + shift
    labels = np.array([label for _, label in pairs])
    try:
        isotonic = fit_isotonic(logits, labels)
    except ScoreError:
        return
    grid = np.unique(np.r_[logits, np.linspace(logits.min() - 2 * scale, logits.max() + 2 * scale, 50)])
    probability = isotonic(grid)
    assert (np.diff(probability)[np.diff(grid) > 1e-9 * (1 + np.abs(grid[1:]))] > 0).all()
    assert (np.diff(probability) >= 0).all()
    assert (isotonic([grid[3], grid[3]]) == probability[3]).all()
    extremes = isotonic([-1e300, 1e300])
    assert 0 < extremes[0] <= probability[0] < probability[-1] <= extremes[1] < 1


def test_the_base_rate_stays():
    logits, labels = drawn(40_000, lambda x: expit(2 * x - 6), seed=3)
    assert 10 < labels.sum() < 1000
    assert fit_isotonic(logits, labels)(logits).sum() == pytest.approx(labels.sum(), rel=0.05, abs=3)


def test_it_holds_where_platt_scaling_does_not():
    logits, labels = drawn(30_000, steep, seed=1)
    fresh, fresh_labels = drawn(30_000, steep, seed=2)
    isotonic, platt = fit_isotonic(logits, labels), fit_platt(logits, labels)
    assert np.abs(isotonic(fresh) - steep(fresh)).mean() < 0.3 * np.abs(platt(fresh) - steep(fresh)).mean()
    assert expected_calibration_error(isotonic(fresh), fresh_labels) < 0.5 * expected_calibration_error(
        platt(fresh), fresh_labels
    )
    assert log_loss(fresh_labels, isotonic(fresh)) < log_loss(fresh_labels, platt(fresh))


def test_it_costs_little_where_platt_scaling_is_right():
    logits, labels = drawn(30_000, lambda x: expit(1.5 * x - 2), seed=4)
    fresh, fresh_labels = drawn(30_000, lambda x: expit(1.5 * x - 2), seed=5)
    isotonic, platt = fit_isotonic(logits, labels), fit_platt(logits, labels)
    assert log_loss(fresh_labels, isotonic(fresh)) == pytest.approx(log_loss(fresh_labels, platt(fresh)), rel=0.005)


def test_deviation_is_the_delta_methods_where_the_line_is_straight():
    x = np.linspace(-3, 3, 13)
    straight = Isotonic(logits=np.array([-1.0, 0.0, 2.0]), log_odds=1.3 * np.array([-1.0, 0.0, 2.0]) - 0.7)
    platt = Platt(slope=1.3, intercept=-0.7)
    np.testing.assert_allclose(straight(x), platt(x), rtol=1e-12)
    np.testing.assert_allclose(
        straight.deviation(x, np.full(13, 1e-3)), platt.deviation(x, np.full(13, 1e-3)), rtol=1e-5
    )
    cliff = Isotonic(logits=np.array([0.0, 1e-6]), log_odds=np.array([-5.0, 5.0]))
    assert 0.49 < cliff.deviation(0.0, 2.0) <= 0.5  # the slope at the point would give 10^5


def test_deviation_is_that_of_simulated_logits():
    isotonic = fit_isotonic(*drawn(5000, steep, seed=6))
    noise = np.random.default_rng(7).normal(size=4000)
    for middle in (-0.5, 0.5, 1.5):
        simulated = isotonic(middle + 0.1 * noise).std()
        assert isotonic.deviation(middle, 0.1) == pytest.approx(simulated, rel=0.25, abs=2e-3)


def test_a_calibrated_table_keeps_ranks():
    rng = np.random.default_rng(5)
    table = affinity_table(
        brand_ids=["b"] * 20,
        creator_ids=[f"c{i:02}" for i in range(20)],
        scores=rng.normal(size=20),
        score_std=np.full(20, 0.3),
    )
    isotonic = fit_isotonic(*drawn(500, steep))
    calibrated = calibrate_affinity(table, isotonic)
    assert calibrated.schema.equals(table.schema)
    assert calibrated.drop_columns(["score", "score_std"]).equals(table.drop_columns(["score", "score_std"]))
    score = table["score"].to_numpy()
    np.testing.assert_array_equal(calibrated["score"].to_numpy(), isotonic(score))
    np.testing.assert_array_equal(
        calibrated["score_std"].to_numpy(), (isotonic(score + 0.3) - isotonic(score - 0.3)) / 2
    )
    without = calibrate_affinity(affinity_table(brand_ids=["b"], creator_ids=["x"], scores=[0.0]), isotonic)
    assert without.to_pylist()[0]["score_std"] is None


def test_refusals():
    with pytest.raises(ScoreError, match="0 and 3"):
        fit_isotonic([1.0, 2.0, 3.0], [0, 0, 0])
    with pytest.raises(ScoreError, match="3 and 0"):
        fit_isotonic([1.0, 2.0, 3.0], [1, 1, 1])
    with pytest.raises(ScoreError, match="no rise"):
        fit_isotonic([3.0, 2.0, 1.0, 0.0], [0, 0, 1, 1])
    with pytest.raises(ScoreError, match="no rise"):
        fit_isotonic([3.0, 3.0], [0, 1])
    with pytest.raises(ScoreError, match="1 logits are not finite"):
        fit_isotonic([3.0, np.inf], [0, 1])
    with pytest.raises(ScoreError, match="0 or 1"):
        fit_isotonic([3.0, 1.0], [0, 2])


def test_a_few_positives_at_the_top_are_not_certain():
    # Three positives above a thousand negatives: n / (n + 1) with n = 3, and 1 / 1001 below.
    isotonic = fit_isotonic(np.arange(1003.0), np.arange(1003) >= 1000)
    assert isotonic(1001) == pytest.approx(3 / 4)
    assert logit(isotonic(499.5)) == pytest.approx(logit(1 / 1001))
