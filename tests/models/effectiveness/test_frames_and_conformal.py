"""Rotations against scipy, coverage of split conformal on exchangeable rows, splits of predictions that add up."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

from micromega.models.effectiveness.conformal import Conformal
from micromega.models.effectiveness.frames import fit_frame


@pytest.mark.parametrize("seed", range(5))
def test_frames_equal_scipy_procrustes(seed):
    generator = np.random.default_rng(seed)
    source, target = generator.normal(size=(2, 40, 6))
    rotation, _ = orthogonal_procrustes(source - source.mean(axis=0), target - target.mean(axis=0))
    found = fit_frame(source, target, np.ones(40))
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-10)


def test_a_turned_and_moved_frame_is_undone_whatever_the_unlearnt_creators_say():
    generator = np.random.default_rng(0)
    source = generator.normal(size=(50, 4))
    target = source @ ortho_group.rvs(4, random_state=1) + [1.0, -2.0, 0.5, 3.0]
    weight = np.ones(50)
    noisy = target.copy()
    noisy[40:] = generator.normal(size=(10, 4)) * 100
    weight[40:] = 0
    np.testing.assert_allclose(fit_frame(source, noisy, weight).apply(source), target, atol=1e-9)


def test_weights_count_as_repeated_creators():
    generator = np.random.default_rng(3)
    source, target = generator.normal(size=(2, 20, 3))
    times = generator.integers(0, 4, 20)
    repeated = fit_frame(np.repeat(source, times, axis=0), np.repeat(target, times, axis=0), np.ones(times.sum()))
    weighted = fit_frame(source, target, times.astype(float))
    np.testing.assert_allclose(weighted.rotation, repeated.rotation, atol=1e-10)


@pytest.mark.parametrize("level", [0.68, 0.9])
def test_coverage_is_the_level_for_each_tier_whose_spread_differs(level):
    """2,000 repetitions with 99 calibration rows a tier: the mean coverage of fresh rows is ⌈level·100⌉/100."""
    generator = np.random.default_rng(4)
    spread = np.array([1.0, 5.0])
    tier = np.repeat([0, 1], 99)
    held = np.zeros(2)
    for _ in range(2_000):
        conformal = Conformal(score=np.abs(generator.normal(size=198)) * spread[tier], tier=tier, fewest=50)
        fresh = np.abs(generator.normal(size=2)) * spread
        held += fresh <= conformal.factor(level, np.array([0, 1]))
    np.testing.assert_allclose(held / 2_000, level, atol=0.025)


def test_a_tier_with_few_rows_takes_the_factor_of_all():
    score, tier = np.arange(1.0, 101.0), np.array([0] * 95 + [3] * 5)
    found = Conformal(score=score, tier=tier, fewest=50).factor(0.9, np.array([0, 3, 5]))
    assert found.tolist() == [score[:95][int(np.ceil(0.9 * 96)) - 1], 91.0, 91.0]


def test_too_high_a_level_has_no_finite_interval():
    few = Conformal(score=np.ones(5), tier=np.zeros(5, int), fewest=1)
    assert np.isinf(few.factor(0.99, np.array([0]))).all()
