"""The order of batches depends on seed and epoch alone, and a loader continues where it was broken off."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset

from micromega.models.loader import EpochBatches, ResumableLoader

sizes = st.integers(1, 60)


class Rows(Dataset):
    def __getitem__(self, key):
        epoch, rows = key
        return epoch, rows.tolist()


def batches(sampler):
    return [rows.tolist() for _, rows in sampler]


@given(rows=sizes, size=sizes, seed=st.integers(0, 2**31), epoch=st.integers(0, 99))
def test_every_row_once_an_epoch(rows, size, seed, epoch):
    sampler = EpochBatches(rows, size, seed)
    sampler.set_epoch(epoch)
    found = batches(sampler)
    assert len(found) == len(sampler)
    assert all(len(batch) == size for batch in found[:-1])
    assert 1 <= len(found[-1]) <= size
    assert sorted(row for batch in found for row in batch) == list(range(rows))
    assert batches(sampler) == found


@given(rows=sizes, size=sizes, ranks=st.integers(1, 7))
def test_ranks_share_the_rows_and_have_as_many_batches(rows, size, ranks):
    """Together they hold every row; the padding repeats the fewest rows, from the permutation's start."""
    samplers = [EpochBatches(rows, size, 0, rank, ranks) for rank in range(ranks)]
    parts = [batches(sampler) for sampler in samplers]
    assert {len(part) for part in parts} == {len(samplers[0])}
    assert len({tuple(map(len, part)) for part in parts}) == 1
    flat = [[row for batch in part for row in batch] for part in parts]
    together = [row for place in zip(*flat, strict=True) for row in place]
    (whole,) = batches(EpochBatches(rows, rows, 0))
    padding = -rows % ranks
    assert together == (whole * ranks)[: rows + padding]


def test_order_changes_with_epoch_and_seed():
    sampler, other = EpochBatches(50, 50, 0), EpochBatches(50, 50, 1)
    first = batches(sampler)
    assert batches(other) != first
    sampler.set_epoch(1)
    assert batches(sampler) != first


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("done", [0, 1, 4, 5])
def test_a_loader_continues_after_the_batches_used(workers, done):
    whole = list(ResumableLoader(Rows(), EpochBatches(23, 5, 3)))
    broken = ResumableLoader(Rows(), EpochBatches(23, 5, 3), num_workers=workers)
    iterator = iter(broken)
    assert [next(iterator) for _ in range(done)] == whole[:done]
    resumed = ResumableLoader(Rows(), EpochBatches(23, 5, 3), num_workers=workers)
    resumed.load_state_dict(broken.state_dict())
    assert list(resumed) == (whole[done:] or whole)  # after all batches, the next epoch is whole
    assert resumed.state_dict() == {"done": 0}
    assert list(resumed) == whole
    del iterator


def test_loading_draws_nothing_from_the_global_stream():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(ResumableLoader(Rows(), EpochBatches(23, 5, 3)))
    assert torch.equal(torch.rand(3), expected)
