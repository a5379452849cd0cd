"""K-buckets sampling: short lists with a known number of positives (Gan et al. 2019, section 3.3.3).

Bucket i (of K) of a brand holds lists of i positives and K − i negatives. A list is a set, so it is the pair of a
combination of positives and one of negatives, and each pair has a number: numbers are drawn, made distinct, and turned
into lists, for all brands at once.

Shapes: B brands, P positives at most, L lists, K list length.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from micromega.errors import ConfigError

_MANY = 4  # from this many times the capacity on, draws rarely meet; below it, all lists are numbered and shuffled


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Sampled lists.

    Attributes:
        brand: (L,) int64, row of the brand.
        candidate: (L, K) int64, candidate numbers; positives first.
        positive: (L, K) int64, place of a positive in its brand's row of positives, −1 for a negative.
    """

    brand: Tensor
    candidate: Tensor
    positive: Tensor


def bucket_capacity(list_length: int, mean_positives: float, lists_per_brand: int | None = None) -> int:
    """Lists per bucket and brand: C(A, K)/(K − 2), and C(A, 2) for K = 2, where the paper's rule divides by zero.

    Args:
        list_length: K.
        mean_positives: A, mean number of positives of a brand; rounded.
        lists_per_brand: overrides the paper's total, for comparing K at equal list counts.

    Returns:
        Capacity of one bucket, at least 1.
    """
    if lists_per_brand is not None:
        return max(1, lists_per_brand // list_length)
    return max(1, math.comb(max(round(mean_positives), list_length), list_length) // max(list_length - 2, 1))


def sample_lists(
    positives_BP: Tensor,
    counts_B: Tensor,
    *,
    candidates: int,
    list_length: int,
    capacity: int,
    generator: torch.Generator,
) -> Lists:
    """Fill the buckets of every brand.

    Each positive occurs (bucket 1 first), each pair of positives occurs as far as buckets 2 to K have room, no two
    lists of a bucket are the same set, and every bucket holds min(capacity, number of different lists) lists.

    Args:
        positives_BP: (B, P) int64, each brand's positive candidates in ascending order, padded with anything.
        counts_B: (B,) int64, number of positives.
        candidates: M, number of candidates; those that are no positives are a brand's negatives.
        list_length: K.
        capacity: lists per bucket.
        generator: source of the draws, on the tensors' device.

    Returns:
        The lists of all brands, bucket by bucket.

    Raises:
        ConfigError: so many different lists exist that their numbers overflow 64 bits.
    """
    table = _binomials(candidates, list_length, int(counts_B.max()), positives_BP.device)
    buckets = [
        _fill_bucket(i, positives_BP, counts_B, candidates, list_length, capacity, table, generator)
        for i in range(1, list_length + 1)
    ]
    return Lists(
        brand=torch.cat([bucket.brand for bucket in buckets]),
        candidate=torch.cat([bucket.candidate for bucket in buckets]),
        positive=torch.cat([bucket.positive for bucket in buckets]),
    )


def _binomials(candidates: int, k: int, most_positives: int, device: torch.device) -> Tensor:
    """Table of C(n, j), (candidates + 1, k + 1) int64."""
    for i in range(k + 1):
        if math.comb(candidates, k - i) * math.comb(most_positives, i) >= 2**62:
            msg = (
                f"data.list_length: {k} is too long for {candidates} creators: more than 2^62 lists. Use a smaller one."
            )
            raise ConfigError(msg)
    n = torch.arange(candidates + 1, device=device)
    columns = [torch.ones_like(n)]
    for j in range(1, k + 1):
        columns.append(torch.where(n >= j, columns[-1] * (n - j + 1).clamp(min=0) // j, 0))
    return torch.stack(columns, dim=1)


def _fill_bucket(
    i: int,
    positives_BP: Tensor,
    counts_B: Tensor,
    candidates: int,
    k: int,
    capacity: int,
    table: Tensor,
    generator: torch.Generator,
) -> Lists:
    negatives_B = candidates - counts_B
    ways_B = table[negatives_B, k - i]
    total_B = table[counts_B, i] * ways_B
    target_B = total_B.clamp(max=capacity)
    brand, number = _forced(i, counts_B, negatives_B, k, capacity, table, generator)
    priority = torch.full_like(number, -1, dtype=torch.float64)
    few_B = total_B <= _MANY * capacity
    every_brand = torch.arange(len(counts_B), device=counts_B.device).repeat_interleave(torch.where(few_B, total_B, 0))
    brand = torch.cat([brand, every_brand])
    number = torch.cat([number, _local_index(every_brand, len(counts_B))])
    missing_B = torch.where(few_B, 0, target_B)
    while True:
        drawn = torch.arange(len(counts_B), device=counts_B.device).repeat_interleave(missing_B)
        brand = torch.cat([brand, drawn])
        number = torch.cat([number, _draw(total_B[drawn], generator)])
        fresh = torch.rand(len(brand) - len(priority), generator=generator, dtype=torch.float64, device=brand.device)
        brand, number, priority = _distinct(brand, number, torch.cat([priority, fresh]))
        have_B = torch.bincount(brand, minlength=len(counts_B))
        missing_B = (target_B - have_B).clamp(min=0)
        if not int(missing_B.sum()):
            break
    order = torch.argsort(priority, stable=True)
    order = order[torch.argsort(brand[order], stable=True)]
    brand, number = brand[order], number[order]
    kept = _local_index(brand, len(counts_B)) < target_B[brand]
    return _decode(i, brand[kept], number[kept], ways_B, positives_BP, counts_B, candidates, k, table)


def _forced(
    i: int, counts_B: Tensor, negatives_B: Tensor, k: int, capacity: int, table: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Lists that bucket i must hold: each positive once, from bucket 1 on, then each pair, from bucket 2 on."""
    usable_B = (counts_B >= i) & (negatives_B >= k - i)
    before_B = (counts_B.clamp(max=(i - 1) * capacity), counts_B.clamp(max=i * capacity))
    singles_B = torch.where(usable_B, before_B[1] - before_B[0], 0)
    pairs_B = counts_B * (counts_B - 1) // 2
    # Room for pairs up to bucket i: buckets 2..i less the slots that single positives took there.
    room = [
        ((j - 1) * capacity - (counts_B.clamp(max=j * capacity) - counts_B.clamp(max=capacity))).clamp(min=0)
        for j in (i - 1, i)
    ]
    start_B = torch.minimum(room[0], pairs_B) if i > 2 else torch.zeros_like(pairs_B)
    taken_B = (
        torch.where(usable_B, torch.minimum(room[1], pairs_B) - start_B, 0) if i > 1 else torch.zeros_like(pairs_B)
    )
    brands, numbers = [], []
    for size, amount_B, offset_B in ((1, singles_B, before_B[0]), (2, taken_B, start_B)):
        brand = torch.arange(len(counts_B), device=counts_B.device).repeat_interleave(amount_B)
        seed_number = _local_index(brand, len(counts_B)) + offset_B[brand]
        chosen = _unrank(seed_number, size, table)
        positive = _extend(chosen, counts_B[brand], i - size, generator)
        negative = _extend(chosen[:, :0], negatives_B[brand], k - i, generator)
        brands.append(brand)
        numbers.append(_rank(positive, table) * table[negatives_B[brand], k - i] + _rank(negative, table))
    return torch.cat(brands), torch.cat(numbers)


def _local_index(group: Tensor, groups: int) -> Tensor:
    """Place of each row within its group; `group` is ascending."""
    sizes = torch.bincount(group, minlength=groups)
    return torch.arange(len(group), device=group.device) - (sizes.cumsum(0) - sizes)[group]


def _draw(bound: Tensor, generator: torch.Generator) -> Tensor:
    """Integers uniform in [0, bound)."""
    uniform = torch.rand(len(bound), generator=generator, dtype=torch.float64, device=bound.device)
    return torch.minimum((uniform * bound).long(), bound - 1)


def _extend(chosen: Tensor, size: Tensor, extra: int, generator: torch.Generator) -> Tensor:
    """Add `extra` different members of range(size) to each row of `chosen` (ascending); result ascending."""
    for _ in range(extra):
        new = _draw(size - chosen.shape[1], generator)
        for column in chosen.unbind(dim=1):
            new = new + (new >= column)
        chosen = torch.cat([chosen, new[:, None]], dim=1).sort(dim=1).values
    return chosen


def _rank(combination: Tensor, table: Tensor) -> Tensor:
    """Number of an ascending combination in colexicographic order."""
    number = torch.zeros(len(combination), dtype=torch.int64, device=combination.device)
    for j, column in enumerate(combination.unbind(dim=1), start=1):
        number += table[column, j]
    return number


def _unrank(number: Tensor, size: int, table: Tensor) -> Tensor:
    """Combination of a colexicographic number, ascending; inverse of `_rank`."""
    columns = []
    for j in range(size, 0, -1):
        member = torch.searchsorted(table[:, j].contiguous(), number, right=True) - 1
        number = number - table[member, j]
        columns.append(member)
    return torch.stack(columns[::-1], dim=1) if columns else number.new_zeros((len(number), 0))


def _distinct(brand: Tensor, number: Tensor, priority: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Drop repeated (brand, number), keeping the smallest priority."""
    order = torch.argsort(priority, stable=True)
    order = order[torch.argsort(number[order], stable=True)]
    order = order[torch.argsort(brand[order], stable=True)]
    brand, number, priority = brand[order], number[order], priority[order]
    first = torch.ones_like(brand, dtype=torch.bool)
    first[1:] = (brand[1:] != brand[:-1]) | (number[1:] != number[:-1])
    return brand[first], number[first], priority[first]


def _decode(
    i: int,
    brand: Tensor,
    number: Tensor,
    ways_B: Tensor,
    positives_BP: Tensor,
    counts_B: Tensor,
    candidates: int,
    k: int,
    table: Tensor,
) -> Lists:
    ways = ways_B[brand].clamp(min=1)
    positive = _unrank(number // ways, i, table)
    negative = _unrank(number % ways, k - i, table)
    # The r-th negative is candidate r plus the number of positives at or before it; p_j − j is ascending in j.
    place = torch.arange(positives_BP.shape[1], device=brand.device)
    shifted_BP = torch.where(place < counts_B[:, None], positives_BP - place, candidates)
    skipped = torch.searchsorted(shifted_BP[brand].contiguous(), negative.contiguous(), right=True)
    candidate = torch.cat([positives_BP[brand[:, None], positive], negative + skipped], dim=1)
    return Lists(brand=brand, candidate=candidate, positive=torch.cat([positive, torch.full_like(negative, -1)], dim=1))
