"""The cautious estimate of a plan."""

import numpy as np
import pytest

from micromega.solvers.campaign.shrink import shrunk_value


def test_it_is_nearer_to_the_truth_than_the_sum_of_the_chosen_predictions():
    generator = np.random.default_rng(0)
    naive, cautious = [], []
    for _ in range(200):
        truth = generator.normal(10, 2, 500)
        std = generator.uniform(0.5, 4, 500)
        predicted = truth + std * generator.normal(size=500)
        chosen = predicted >= np.sort(predicted)[-20]
        naive.append(predicted[chosen].sum() - truth[chosen].sum())
        cautious.append(shrunk_value(predicted, std, chosen) - truth[chosen].sum())
    assert np.mean(naive) > 50, "the optimiser's curse is there"
    assert abs(np.mean(cautious)) < 0.05 * np.mean(naive), "and is taken off"


def test_it_is_the_posterior_mean_by_hand():
    effectiveness, std = np.array([0.0, 4.0]), np.array([1.0, 1.0])
    # variance 4, mean squared error 1: prior variance 3, weight 3/4 about the mean 2
    assert shrunk_value(effectiveness, std, np.array([False, True])) == pytest.approx(2 + 0.75 * 2)


def test_without_uncertainty_there_is_nothing_to_say_and_pure_noise_gives_the_mean():
    assert shrunk_value(np.array([1.0, 2.0]), np.zeros(2), np.array([True, False])) is None
    assert shrunk_value(np.array([1.0, 2.0]), np.full(2, 9.0), np.array([False, True])) == pytest.approx(1.5)
