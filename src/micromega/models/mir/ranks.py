"""Ranking metrics of each brand, from one sort of its scores; on the scores' device.

Equal scores share their places: for AUC a tie counts one half, for ranks a positive comes last in its tie. A brand
without a positive, or for AUC without a negative, gets NaN. B brands, M creators.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def precision_of(device: torch.device) -> torch.dtype:
    """Dtype of a brand's value: float64, or float32 on MPS, which has no other."""
    return torch.float32 if device.type == "mps" else torch.float64


class Order(NamedTuple):
    """Creators of each brand by ascending score.

    Attributes:
        creators: (B, M) creator at each place.
        first: (B, M) first place of the tie that the place belongs to; so many creators score less.
        behind: (B, M) place behind that tie; so many creators score no more.
    """

    creators: Tensor
    first: Tensor
    behind: Tensor


def order_of(scores_BM: Tensor) -> Order:
    """Sort each brand's scores and find the ties.

    Args:
        scores_BM: (B, M) finite scores, at least one column.

    Returns:
        The order.
    """
    sorted_BM, creator_BM = scores_BM.sort(dim=1)
    creators = scores_BM.shape[1]
    place_M = torch.arange(creators, device=scores_BM.device)
    new_BM = torch.ones_like(scores_BM, dtype=torch.bool)
    new_BM[:, 1:] = sorted_BM[:, 1:] != sorted_BM[:, :-1]
    first_BM = torch.where(new_BM, place_M, 0).cummax(dim=1).values
    last_BM = new_BM.roll(-1, dims=1)  # a tie ends before the next begins; the first column closes the last tie
    behind_BM = torch.where(last_BM, place_M + 1, creators).flip(1).cummin(dim=1).values.flip(1)
    return Order(creator_BM, first_BM, behind_BM)


def auc_of(order: Order, labels_BM: Tensor, negatives_BM: Tensor) -> Tensor:
    """Probability that a positive scores above a negative, ties counting one half.

    Args:
        order: of the scores.
        labels_BM: (B, M) bool, positives.
        negatives_BM: (B, M) bool, those that positives are compared with.

    Returns:
        (B,) values, see `precision_of`.
    """
    positive_BM, negative_BM = labels_BM.gather(1, order.creators), negatives_BM.gather(1, order.creators)
    until_BM = torch.nn.functional.pad(negative_BM.cumsum(dim=1), (1, 0))  # negatives at the places before
    twice_BM = until_BM.gather(1, order.first) + until_BM.gather(1, order.behind)
    pairs_B = (positive_BM.sum(dim=1) * until_BM[:, -1]).to(precision_of(labels_BM.device))
    return (twice_BM * positive_BM).sum(dim=1) / (2 * pairs_B)


def recall_of(order: Order, labels_BM: Tensor, k: int) -> Tensor:
    """Share of the positives that are among the first k.

    Args:
        order: of the scores.
        labels_BM: (B, M) bool, positives.
        k: length of the shortlist.

    Returns:
        (B,) values, see `precision_of`.
    """
    positive_BM = labels_BM.gather(1, order.creators)
    found_BM = positive_BM & (positive_BM.shape[1] - order.first <= k)
    return found_BM.sum(dim=1).to(precision_of(labels_BM.device)) / positive_BM.sum(dim=1)


def first_rank_of(order: Order, labels_BM: Tensor) -> Tensor:
    """Rank of the first positive, 1 is best.

    Args:
        order: of the scores.
        labels_BM: (B, M) bool, positives.

    Returns:
        (B,) values, see `precision_of`.
    """
    positive_BM = labels_BM.gather(1, order.creators)
    best_B = torch.where(positive_BM, order.first, -1).amax(dim=1)
    rank_B = (positive_BM.shape[1] - best_B).to(precision_of(labels_BM.device))
    return rank_B.masked_fill(best_B < 0, torch.nan)
