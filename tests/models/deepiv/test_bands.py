"""Simultaneous bands, on Gaussian processes whose critical values and coverage are known."""

import numpy as np
import pytest
from scipy import stats

from micromega.models.deepiv.bands import percentile_band, simultaneous_band
from micromega.models.deepiv.curves import GroupSums

POINTS, LEVEL = 12, 0.9


def process(rng, draws, width):
    """(draws, POINTS) of a Gaussian process with standard deviations 1 … 3 and correlation exp(−distance² / width²)."""
    u = np.arange(POINTS)
    correlation = np.exp(-(((u[:, None] - u) / width) ** 2)) if width else np.eye(POINTS)
    root = np.linalg.cholesky(correlation + 1e-9 * np.eye(POINTS))
    return rng.normal(size=(draws, POINTS)) @ root.T * np.linspace(1, 3, POINTS)


@pytest.mark.parametrize(
    ("width", "critical"),
    [
        (0.0, stats.norm.ppf((1 + LEVEL ** (1 / POINTS)) / 2)),  # independent points: a product of probabilities
        (1e4, stats.norm.ppf((1 + LEVEL) / 2)),  # all points are one
    ],
)
def test_the_critical_value_is_the_closed_form(width, critical):
    draws = process(np.random.default_rng(0), 40_000, width)
    band = simultaneous_band(draws, LEVEL, np.zeros(POINTS))
    np.testing.assert_allclose((band.upper - band.lower) / 2 / np.linspace(1, 3, POINTS), critical, rtol=0.02)
    np.testing.assert_allclose(band.upper, -band.lower)


def test_the_whole_curve_is_inside_as_often_as_the_level_says():
    """Estimates and draws scatter alike around the truth, as bootstrap draws scatter around an estimate."""
    rng = np.random.default_rng(1)
    truth, inside, pointwise = np.sin(np.arange(POINTS)), 0, 0
    for _ in range(800):
        estimate = truth + process(rng, 1, 3.0)[0]
        draws = estimate + process(rng, 400, 3.0)
        band, narrow = simultaneous_band(draws, LEVEL, estimate), percentile_band(draws, LEVEL)
        inside += ((band.lower <= truth) & (truth <= band.upper)).all()
        pointwise += ((narrow.lower <= truth) & (truth <= narrow.upper)).all()
    assert inside / 800 == pytest.approx(LEVEL, abs=0.035)
    assert pointwise / 800 < LEVEL - 0.1


def curves_of(rng, *, clusters=80, each=2, logarithm=False):
    """Mean of posts whose creators share a Gaussian process."""
    values = np.repeat(process(rng, clusters, 3.0), each, axis=0) + rng.normal(size=(clusters * each, POINTS))
    owner = np.repeat(np.arange(clusters), each)
    sums = GroupSums(
        np.arange(POINTS, dtype=float), ("all",), clusters=clusters, replicates=300, seed=int(rng.integers(1e6))
    )
    sums.add(values + (40 if logarithm else 0), np.zeros(len(owner), int), owner)
    return [sums.curves(LEVEL, simultaneous=simultaneous, logarithm=logarithm)[0] for simultaneous in (True, False)]


def test_the_bootstrap_over_creators_holds_the_whole_mean():
    rng = np.random.default_rng(2)
    found = [curves_of(rng) for _ in range(200)]
    whole, pointwise = (
        np.mean([((of.lower <= 0) & (of.upper >= 0)).all() for of in curves]) for curves in zip(*found, strict=True)
    )
    assert whole == pytest.approx(LEVEL, abs=0.07)
    assert pointwise < whole - 0.1


def test_of_logarithms_too():
    curve, _ = curves_of(np.random.default_rng(3), logarithm=True)
    assert (curve.lower < curve.elasticity).all()
    assert (curve.elasticity < curve.upper).all()
    np.testing.assert_allclose(np.exp(curve.elasticity), 40, rtol=0.05)
    np.testing.assert_allclose(curve.upper - curve.elasticity, curve.elasticity - curve.lower)


def test_percentiles_of_logarithms_are_logarithms_of_percentiles():
    rng = np.random.default_rng(4)
    values, owner = rng.uniform(1, 5, size=(60, POINTS)), np.arange(60) // 2
    made = []
    for logarithm in (False, True):
        sums = GroupSums(np.arange(POINTS, dtype=float), ("all",), clusters=30, replicates=201)
        sums.add(values, np.zeros(60, int), owner)
        made.append(sums.curves(logarithm=logarithm)[0])
    plain, logged = made
    np.testing.assert_allclose(np.log(plain.elasticity), logged.elasticity)
    np.testing.assert_allclose(np.log(plain.lower), logged.lower, atol=2e-3)
