"""K-buckets sampling: the paper's guarantees, and enumeration on small sets."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import ConfigError
from micromega.models.mir.buckets import _rank, _unrank, bucket_capacity, sample_lists


def sample(counts, candidates, k, capacity, seed=0):
    generator = torch.Generator().manual_seed(seed)
    width = max(counts)
    rows = [torch.randperm(candidates, generator=generator)[:count].sort().values for count in counts]
    positives = torch.stack([torch.cat([row, torch.zeros(width - len(row), dtype=torch.long)]) for row in rows])
    lists = sample_lists(
        positives, torch.tensor(counts), candidates=candidates, list_length=k, capacity=capacity, generator=generator
    )
    return rows, lists


@st.composite
def settings_of_sampling(draw):
    k = draw(st.integers(2, 4))
    candidates = draw(st.integers(k + 1, 14))
    counts = draw(st.lists(st.integers(1, min(6, candidates - 1)), min_size=1, max_size=4))
    return counts, candidates, k, draw(st.integers(1, 30)), draw(st.integers(0, 2**31))


@given(settings_of_sampling())
@settings(max_examples=150, deadline=None)
def test_every_guarantee_of_the_paper_holds(case):
    _, candidates, k, capacity, _ = case
    rows, lists = sample(*case)
    for b, positives in enumerate(rows):
        positive = set(positives.tolist())
        mine = lists.candidate[lists.brand == b].tolist()
        places = lists.positive[lists.brand == b].tolist()
        by_bucket = {i: [] for i in range(1, k + 1)}
        for row, place in zip(mine, places, strict=True):
            inside = [c for c in row if c in positive]
            assert len(set(row)) == k, "a list holds k different candidates"
            assert [int(positives[p]) for p in place if p >= 0] == inside, "positions point at the positives"
            by_bucket[len(inside)].append(frozenset(row))
        for i, found in by_bucket.items():
            possible = math.comb(len(positive), i) * math.comb(candidates - len(positive), k - i)
            assert len(found) == min(capacity, possible), "bucket i is as full as it can be"
            assert len(set(found)) == len(found), "no two lists of a bucket are the same"
        if candidates - len(positive) >= k - 1:
            every_list = set().union(*(row for rows in by_bucket.values() for row in rows))
            room = sum(capacity for i in range(1, k + 1) if i <= len(positive))
            if room >= len(positive):
                assert positive <= every_list, "every positive occurs"
        usable = [i for i in range(2, k + 1) if i <= len(positive) and candidates - len(positive) >= k - i]
        overflow = max(0, len(positive) - capacity)
        room = capacity * len(usable) - overflow
        if len(usable) == min(k, len(positive)) - 1 and room >= math.comb(len(positive), 2) and not overflow:
            together = {
                pair for rows in by_bucket.values() for row in rows for pair in itertools.combinations(sorted(row), 2)
            }
            assert set(itertools.combinations(sorted(positive), 2)) <= together, "every pair of positives occurs"


def test_a_full_bucket_is_the_enumeration():
    rows, lists = sample([4], 7, 3, 1000)
    positive = set(rows[0].tolist())
    everything = {frozenset(c) for c in itertools.combinations(range(7), 3) if positive & set(c)}
    assert {frozenset(row) for row in lists.candidate.tolist()} == everything
    assert len(lists.brand) == len(everything)


def test_random_lists_are_uniform_over_the_bucket():
    seen = Counter()
    for seed in range(400):
        rows, lists = sample([3], 6, 2, 6, seed)
        negatives = sorted(set(range(6)) - set(rows[0].tolist()))
        first = lists.positive[:, 1] < 0  # bucket 1: one positive, one negative; 9 lists, 6 drawn
        for place, other in zip(lists.positive[first, 0].tolist(), lists.candidate[first, 1].tolist(), strict=True):
            seen[place, negatives.index(other)] += 1
    expected = 400 * 6 / 9
    assert len(seen) == 9
    assert max(abs(count - expected) for count in seen.values()) < 5 * math.sqrt(expected)


@pytest.mark.parametrize(("k", "expected"), [(2, 55), (3, 165), (4, 165), (5, 154)])
def test_capacity_is_the_papers_rule_and_pairs_for_two(k, expected):
    assert bucket_capacity(k, 11.2) == expected  # C(11, K)/(K − 2); C(11, 2) for K = 2


def test_capacity_can_be_set_for_equal_list_counts():
    assert bucket_capacity(3, 11, lists_per_brand=495) == 165
    assert bucket_capacity(2, 11, lists_per_brand=495) == 247


def test_same_seed_same_lists_and_another_seed_others():
    first, second, other = (
        sample([5, 6], 40, 3, 20, 1)[1],
        sample([5, 6], 40, 3, 20, 1)[1],
        sample([5, 6], 40, 3, 20, 2)[1],
    )
    assert torch.equal(first.candidate, second.candidate)
    assert not torch.equal(first.candidate, other.candidate)


def test_numbers_and_combinations_are_a_bijection():
    table = torch.tensor([[math.comb(n, j) for j in range(5)] for n in range(12)])
    for size in range(5):
        numbers = torch.arange(math.comb(11, size))
        combinations = _unrank(numbers, size, table)
        assert {tuple(c) for c in combinations.tolist()} == set(itertools.combinations(range(11), size))
        assert torch.equal(_rank(combinations, table), numbers)


def test_lists_too_many_to_number_are_refused():
    with pytest.raises(ConfigError, match="list_length"):
        sample([5], 1_000_000, 6, 10)
