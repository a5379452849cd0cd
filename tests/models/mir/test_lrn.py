"""Local response normalisation against its formula, and where the ranker applies it."""

import numpy as np
import pytest

from micromega.models.mir.local_response import local_response_normalised


def by_formula(channels):
    """x_c / (0.1 + sum of x_j squared over |j - c| <= 2), channel by channel."""
    found = np.empty(len(channels))
    for c, x in enumerate(channels):
        near = channels[max(0, c - 2) : c + 3].astype(np.float64)
        found[c] = x / (0.1 + np.square(near).sum())
    return found


def test_a_map_is_normalised_over_its_channels_place_by_place():
    values = np.random.default_rng(0).normal(size=(3, 7 * 7 * 512)).astype(np.float32)
    found = local_response_normalised(values)
    maps, expected = values.reshape(3, 7, 7, 512), found.reshape(3, 7, 7, 512)
    for place in ((0, 0, 0), (0, 3, 5), (2, 6, 6)):
        np.testing.assert_allclose(expected[place], by_formula(maps[place]), rtol=1e-5, atol=1e-6)
    # A neighbour across the border of two places does not count.
    changed = values.copy()
    changed[0, 512] += 10
    np.testing.assert_array_equal(local_response_normalised(changed)[0, :512], found[0, :512])


@pytest.mark.parametrize("length", [1, 2, 5, 501, 513])
def test_other_lengths_are_one_run_of_channels(length):
    values = np.random.default_rng(length).normal(size=(2, length)).astype(np.float32)
    found = local_response_normalised(values)
    for row in range(2):
        np.testing.assert_allclose(found[row], by_formula(values[row]), rtol=1e-5, atol=1e-6)


def test_it_falls_with_large_values_stays_below_its_bound_and_keeps_zeros():
    values = np.zeros((4, 9), np.float32)
    values[:3, 4] = [np.sqrt(0.1), 1, 10]
    found = local_response_normalised(values)
    assert found[0, 4] == pytest.approx(1 / (2 * np.sqrt(0.1)))  # its maximum, 1.58
    assert found[1, 4] == pytest.approx(1 / 1.1)
    assert found[2, 4] == pytest.approx(10 / 100.1)
    assert not found[3].any()


def test_the_rows_given_are_left_alone_even_as_a_part_of_a_wider_array():
    wide = np.random.default_rng(1).normal(size=(5, 40)).astype(np.float32)
    before = wide.copy()
    found = local_response_normalised(wide[:, 7:20])
    np.testing.assert_array_equal(wide, before)
    np.testing.assert_allclose(found[3], by_formula(before[3, 7:20]), rtol=1e-5, atol=1e-6)
