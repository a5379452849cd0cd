"""Intervals and paired tests against scipy, enumeration, and simulated brands whose truth is known."""

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from micromega.errors import DataError
from micromega.models.mir import intervals, metric_classes, metrics
from micromega.models.mir.intervals import bootstrap_interval, paired_test


def recalls(rng, brands):
    """Skewed, with many zeros, as recalls are; the mean is 1/9."""
    partners = rng.integers(5, 20, brands)
    return rng.binomial(partners, rng.beta(0.5, 4, brands)) / partners


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_against_scipy_on_the_brands_with_a_value(statistic):
    values = recalls(np.random.default_rng(0), 60)
    method = {"mean": "BCa", "median": "percentile"}[statistic]
    expected = stats.bootstrap(
        (values,),
        {"mean": np.mean, "median": np.median}[statistic],
        n_resamples=500,
        method=method,
        confidence_level=0.9,
        random_state=np.random.default_rng(7),
    ).confidence_interval
    with_gaps = np.insert(values, [3, 40], np.nan)
    assert bootstrap_interval(with_gaps, statistic, 500, seed=7, level=0.9) == pytest.approx(tuple(expected))


def test_many_brands_give_the_normal_interval_whatever_the_batch(monkeypatch):
    values = np.random.default_rng(1).normal(5, 2, 1500)
    half = 1.96 * values.std() / np.sqrt(len(values))
    low, high = bootstrap_interval(values, "mean", 1000, seed=0)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15 * half)
    monkeypatch.setattr(intervals, "BATCH", 70_000)
    assert bootstrap_interval(values, "mean", 1000, seed=0) == pytest.approx((low, high))


def test_intervals_cover_the_truth():
    rng = np.random.default_rng(2)
    mean, median = [], []
    for _ in range(250):
        low, high = bootstrap_interval(recalls(rng, 72), "mean", 400, seed=0)
        mean.append(low <= 1 / 9 <= high)
        low, high = bootstrap_interval(rng.lognormal(1, 1, 72), "median", 400, seed=0)
        median.append(low <= np.e <= high)
    # three standard errors of a share of 0.95 among 250 are 0.04
    assert 0.90 <= np.mean(mean) <= 0.99
    assert 0.90 <= np.mean(median) <= 0.99


@pytest.mark.parametrize("module", [intervals, metric_classes, metrics], ids=lambda module: module.__name__)
def test_examples_hold(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_level_and_seed():
    values = recalls(np.random.default_rng(3), 40)
    wide, narrow = (bootstrap_interval(values, "mean", 1000, seed=0, level=level) for level in (0.95, 0.5))
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]
    assert bootstrap_interval(values, "mean", 1000, seed=0) == wide
    assert bootstrap_interval(values, "mean", 1000, seed=1) != wide


@given(st.lists(st.sampled_from([0.0, 0.1, 0.1 + 1e-17, 0.3, 1.0]), min_size=2, max_size=8), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_small_sets_with_ties_have_finite_intervals(values, seed):
    for statistic in ("mean", "median"):
        low, high = bootstrap_interval(values, statistic, 50, seed)
        assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12
    found = paired_test(values, values[::-1], samples=2**8, seed=seed)  # all swaps are tried
    assert found.low <= found.high
    assert found.difference == pytest.approx(0, abs=1e-12)
    assert found.p_value == 1


def test_too_few_brands_say_nothing():
    assert np.isnan(bootstrap_interval([0.3, np.nan], "mean", 100, seed=0)).all()
    one = paired_test([0.5, np.nan, 0.1], [0.2, 0.1, np.nan])
    assert (one.difference, one.brands) == (pytest.approx(0.3), 1)
    assert np.isnan([one.low, one.high, one.p_value]).all()
    with pytest.raises(DataError, match="shapes"):
        paired_test([0.1, 0.2], [0.1])


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_p_value_by_enumeration_of_all_swaps(statistic):
    of = {"mean": np.mean, "median": np.median}[statistic]
    rng = np.random.default_rng(5)
    a, b = recalls(rng, 9) + 0.08, recalls(rng, 9)
    a[3] = b[3]
    observed = of(a) - of(b)
    swapped = []
    for swap in itertools.product([False, True], repeat=9):
        first, second = np.where(swap, b, a), np.where(swap, a, b)
        swapped.append(of(first) - of(second))
    above = np.mean(np.array(swapped) >= observed - 1e-12)
    below = np.mean(np.array(swapped) <= observed + 1e-12)
    found = paired_test(a, b, statistic=statistic)
    assert found.difference == pytest.approx(observed)
    assert found.p_value == pytest.approx(min(1, 2 * min(above, below)))


def test_an_effect_on_many_brands_agrees_with_the_t_test():
    rng = np.random.default_rng(6)
    b = rng.normal(size=150)
    a = b + rng.normal(0.06, 0.3, 150)
    expected = stats.ttest_rel(a, b)
    found = paired_test(np.append(a, np.nan), np.append(b, 1.0))
    assert found.brands == 150
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.25)
    assert 0.001 < found.p_value < 0.1  # neither certain nor nothing, so that the comparison says something
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.01)
    # unpaired, the spread of the brands would hide the difference
    assert stats.ttest_ind(a, b).pvalue > 0.3


def test_equal_methods_are_rejected_at_the_nominal_rate():
    rng = np.random.default_rng(8)
    p_values = [paired_test(recalls(rng, 30), recalls(rng, 30), samples=199).p_value for _ in range(200)]
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.1
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_order_of_the_methods_turns_the_sign_alone():
    rng = np.random.default_rng(9)
    a, b = recalls(rng, 12), recalls(rng, 12)
    there, back = paired_test(a, b), paired_test(b, a)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_value == pytest.approx(back.p_value)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.01)
