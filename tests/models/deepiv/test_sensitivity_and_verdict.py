"""What a direct effect would do, and what the diagnostics say in words."""

import logging

import numpy as np
import pytest

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.clustered import two_stage_least_squares
from micromega.models.deepiv.gamma import Gamma
from micromega.models.deepiv.residual_prediction import ResidualPrediction
from micromega.models.deepiv.sensitivity import direct_effect, linear_shift, mean_inside
from micromega.models.deepiv.shapes import curve_shape, tier_averages
from micromega.models.deepiv.strength import first_stage, likelihood_gain
from micromega.models.deepiv.verdict import ONE_CAUSE, UNTESTABLE, direct_words, verdict


@pytest.fixture(scope="module")
def data():
    """z acts on y directly, by 0.3 for one unit (0.6 per standard deviation); the true effect of t is 0.5."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(20_000, 2)), 2 * rng.normal(size=20_000) + 5
    v = rng.normal(size=20_000)
    t = 0.5 * z + x[:, 0] + v
    y = 0.5 * t + x[:, 1] + 0.3 * z + 0.5 * v + rng.normal(size=20_000)
    return y, t, z, x


def effect_of(t, z, x):
    return lambda outcome: two_stage_least_squares(outcome, t, z, x).coefficient[0]


def test_the_true_direct_effect_gives_the_true_estimate(data):
    y, t, z, x = data
    estimate = effect_of(t, z, x)(y)
    assert estimate == pytest.approx(0.5 + 0.3 / 0.5, abs=0.05), "biased by δ / π"
    assert estimate - 0.6 * linear_shift(t, z, x) == pytest.approx(0.5, abs=0.05)


def test_what_is_refused(data):
    _, t, z, x = data
    with pytest.raises(DataError, match="constant"):
        linear_shift(t, np.ones(len(t)), x)
    with pytest.raises(DataError, match="cannot tell 1 treatments apart"):
        linear_shift(t, 3 * x[:, 0], x)
    with pytest.raises(ConfigError, match="one instrument"):
        linear_shift(t, np.column_stack([z, z**2]), x)


GRID = np.linspace(np.log(100), np.log(3e6), 60)
SUPPORT = (np.log(500.0), np.log(1e6))
HUMP = 0.1 + 0.5 * np.exp(-(((GRID - np.log(2e4)) / 1.5) ** 2))


def test_the_linear_shift_is_what_an_estimate_without_the_direct_effect_lacks(data):
    y, t, z, x = data
    estimate = effect_of(t, z, x)
    assert linear_shift(t, z, x) == pytest.approx(estimate(y) - estimate(y - z / z.std()))


def test_the_mean_is_the_integral_over_what_was_observed():
    fine = np.linspace(*SUPPORT, 200_001)
    found = np.interp(fine, GRID, HUMP).mean()
    assert mean_inside(GRID, HUMP, SUPPORT) == pytest.approx(found, rel=1e-5)
    assert mean_inside(GRID, HUMP, (GRID[3], GRID[3])) == pytest.approx(HUMP[3])  # one size was observed


def test_the_direct_effect_moves_mean_and_class():
    shift = np.linspace(1.0, -0.9, 60)
    found = direct_effect(GRID, HUMP, shift, SUPPORT, most=5.0)
    for place in range(0, len(found.deltas), 60):
        left = HUMP - found.deltas[place] * shift
        assert found.mean[place] == pytest.approx(mean_inside(GRID, left, SUPPORT))
        assert found.shapes[place] == curve_shape(tier_averages(GRID, left, SUPPORT))
    assert mean_inside(GRID, HUMP - found.zero * shift, SUPPORT) == pytest.approx(0, abs=1e-12)
    assert found.deltas[len(found.deltas) // 2] == 0
    own, step = found.shapes[len(found.deltas) // 2], found.deltas[1] - found.deltas[0]
    below, above = found.changes
    for point, inward in ((below, step), (above, -step)):
        assert curve_shape(tier_averages(GRID, HUMP - point * shift, SUPPORT)) != own
        assert curve_shape(tier_averages(GRID, HUMP - (point + inward) * shift, SUPPORT)) == own


def test_sizes_that_nobody_observed_do_not_change_what_a_direct_effect_does():
    first = np.searchsorted(GRID, SUPPORT[0]) - 1  # what stands there moves what lies between it and the next
    ramp = HUMP + np.maximum(GRID[first] - GRID, 0)
    one, other = (direct_effect(GRID, curve, np.full(60, 0.5), SUPPORT, most=5.0) for curve in (HUMP, ramp))
    assert curve_shape(tier_averages(GRID, ramp)) != one.shapes[300]
    assert other.shapes == one.shapes
    assert other.changes == one.changes


def test_no_shift_changes_nothing():
    found = direct_effect(GRID, HUMP, np.zeros(60), SUPPORT, most=2.0)
    assert found.zero is None
    assert found.changes == (None, None)
    assert found.deltas[-1] == 2
    assert direct_words(found) == "No direct effect up to ±2 would change the class of the curve."


def test_what_a_direct_effect_would_do_is_said_in_words():
    found = direct_effect(GRID, HUMP, np.full(60, 0.5), SUPPORT, most=5.0)
    words = direct_words(found)
    assert f"on its own by {found.zero:.3g}, the average elasticity would be 0." in words
    assert f"By {found.changes[0]:.3g} or less, the curve would no longer be s-shaped." in words


def gamma(value, p_value, clusters=100):
    reference = np.array([-0.01, 0.002])
    return Gamma(value=value, reference=reference, p_value=p_value, rows=500, clusters=clusters, folds=min(5, clusters))


def test_a_strong_instrument_gets_no_warning_but_is_never_called_valid(data, caplog):
    _, t, z, x = data
    strength = first_stage(t, z, x)
    gain = likelihood_gain(np.zeros(100), 0.2 + 0.1 * np.arange(100) / 100)
    residuals = ResidualPrediction(p_value=0.4, statistic=np.zeros(1), rows=500, clusters=100)
    direct = direct_effect(GRID, HUMP, np.full(60, 0.5), SUPPORT, most=5.0)
    with caplog.at_level(logging.WARNING):
        found = verdict(strength, gain=gain, gamma=gamma(0.0002, 0.6), residuals=residuals, direct=direct)
    assert not found.weak
    assert found.warnings == ()
    assert not caplog.records
    assert found.sentences[-1] == UNTESTABLE
    assert "Exclusion cannot be tested" in found.text
    assert "does not prove" in found.text
    assert len(found.sentences) == 6


def test_a_weak_instrument_cannot_be_missed(caplog):
    rng = np.random.default_rng(0)
    strength = first_stage(rng.normal(size=200), rng.normal(size=200))
    with caplog.at_level(logging.WARNING):
        found = verdict(strength)
    assert found.weak
    assert found.text.startswith("WARNING: WEAK INSTRUMENT: its effective F is")
    assert "WEAK INSTRUMENT" in caplog.text
    assert "not above the 23.1" in found.text
    assert ONE_CAUSE not in found.text
    assert ONE_CAUSE in verdict(strength, by_rank=True).text


def test_no_gain_of_likelihood_is_weak_whatever_f_says(data):
    _, t, z, x = data
    strength = first_stage(t, z, x)
    assert not strength.weak
    nll = np.random.default_rng(1).normal(size=50)
    found = verdict(strength, gain=likelihood_gain(nll + 0.01, nll))
    assert found.weak
    assert "predicts the treatment no better with it than without" in found.warnings[0]
    unsure = verdict(strength, gain=likelihood_gain(-0.01 + 0 * nll, nll - nll.mean()))
    assert not unsure.weak
    assert "within the noise" in unsure.text


def test_gamma_of_few_creators_is_said_to_tell_nothing(data):
    _, t, z, x = data
    strength = first_stage(t, z, x)
    few, enough = (verdict(strength, gamma=gamma(0.1, 0.4, clusters)).text for clusters in (4, 6))
    assert "cross-fitted in 4 folds" in few
    assert "They are of 4 creators: with so few, neither γ nor p tells anything." in few
    assert "with so few" not in enough
    assert verdict(strength, gamma=gamma(0.1, 0.05, 5)).warnings == ()
    assert len(verdict(strength, gamma=gamma(0.1, 0.05, 6)).warnings) == 1


def test_objections_are_warnings(data):
    _, t, z, x = data
    residuals = ResidualPrediction(p_value=0.001, statistic=np.full(1, 3.0), rows=500, clusters=100)
    found = verdict(first_stage(t, z, x), gamma=gamma(0.03, 0.05), residuals=residuals)
    assert not found.weak
    assert len(found.warnings) == 1  # a curved response is what Deep IV is for
    assert "γ = 0.03" in found.warnings[0]
    assert "No linear response fits" in found.text
