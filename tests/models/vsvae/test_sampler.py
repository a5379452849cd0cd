"""Batches of like length: all posts once, sorted in windows, alike on all ranks."""

import itertools

import numpy as np
import pytest
import torch

from micromega.models.loader import epoch_generator
from micromega.models.vsvae.sampler import BucketedBatches, listed_batches

LENGTH = np.random.default_rng(0).integers(0, 60, 103)


def epoch(sampler, number=0):
    sampler.set_epoch(number)
    batches = list(sampler)
    assert all(found == number for found, _ in batches)
    return [rows.tolist() for _, rows in batches]


def test_windows_are_sorted_and_cut():
    found = epoch(BucketedBatches(LENGTH, 8, 5, window=3), 2)
    order = torch.randperm(103, generator=epoch_generator(5, 2)).tolist()
    expected = []
    for start in range(0, 103, 24):
        window = sorted(order[start : start + 24], key=lambda row: LENGTH[row])
        expected += [window[first : first + 8] for first in range(0, len(window), 8)]
    assert sorted(map(tuple, found)) == sorted(map(tuple, expected))
    assert found != expected  # batches are shuffled
    assert len(found) == len(BucketedBatches(LENGTH, 8, 5, window=3)) == 13


def test_less_padding_than_without():
    def padding(batches):
        return sum(len(rows) * LENGTH[rows].max() - LENGTH[rows].sum() for rows in map(np.array, batches))

    bucketed = epoch(BucketedBatches(LENGTH, 8, 0, window=50))
    shuffled = np.split(np.random.default_rng(1).permutation(103), range(8, 103, 8))
    assert padding(bucketed) < 0.25 * padding(shuffled)


def test_seed_and_epoch_alone_decide():
    sampler = BucketedBatches(LENGTH, 8, 0, window=3)
    first, second = epoch(sampler, 0), epoch(sampler, 1)
    torch.manual_seed(9)
    assert epoch(sampler, 0) == first != second
    assert epoch(BucketedBatches(LENGTH, 8, 1, window=3)) != first


def test_the_first_epoch_for_ever():
    sampler = BucketedBatches(LENGTH, 8, 0, window=3, resample=False)
    assert epoch(BucketedBatches(LENGTH, 8, 0, window=3), 0) == [rows.tolist() for _, rows in sampler]
    sampler.set_epoch(4)
    assert [(number, rows.tolist()) for number, rows in sampler] == [
        (0, rows) for rows in epoch(BucketedBatches(LENGTH, 8, 0, window=3), 0)
    ]


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_the_posts_and_have_like_batches_at_the_same_step(ranks):
    shares = [epoch(BucketedBatches(LENGTH, 8, 0, window=4, rank=rank, ranks=ranks)) for rank in range(ranks)]
    flat = [row for share in shares for rows in share for row in rows]
    assert set(flat) == set(range(103))
    assert len(flat) == -(-103 // ranks) * ranks
    assert {tuple(len(rows) for rows in share) for share in shares} == {tuple(len(rows) for rows in shares[0])}
    means = np.array([[LENGTH[rows].mean() for rows in share] for share in shares])
    assert np.corrcoef(means)[0, 1] > 0.9


def test_listed_batches_have_every_row_once_and_stay_local():
    rows = np.sort(np.random.default_rng(2).choice(1000, 103, replace=False))
    batches = listed_batches(rows, LENGTH, 10, window=3)
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    assert [len(batch) for batch in batches] == [10] * 10 + [3]
    assert all((np.diff(batch) > 0).all() for batch in batches)
    length = dict(zip(rows.tolist(), LENGTH.tolist(), strict=True))
    for first in range(0, 11, 3):
        window = batches[first : first + 3]
        assert sorted(np.concatenate(window).tolist()) == rows[first * 10 : first * 10 + 30].tolist()
        for before, after in itertools.pairwise(window):
            assert max(length[row] for row in before.tolist()) <= min(length[row] for row in after.tolist())
    unsorted = listed_batches(rows, LENGTH, 10, window=0)
    assert np.concatenate(unsorted).tolist() == rows.tolist()
    assert listed_batches(rows[:0], LENGTH[:0], 10, window=3) == []
