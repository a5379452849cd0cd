"""Losses of partners among their rivals, on the batches of `PairDataset`.

Shapes: L rows of this process, S of all processes, P partners of a row's brand at most, H hard negatives of a row,
C candidates, D embedding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from micromega.models.mir.losses.info_nce import info_nce_loss


def full_softmax_loss(
    brands_LD: Tensor, candidates_CD: Tensor, target_L: Tensor, partners_LP: Tensor, hard_LH: Tensor
) -> Tensor:
    """Each partner against all candidates but the brand's other partners; hard negatives count once more.

    Args:
        brands_LD: embeddings of the rows' brand views.
        candidates_CD: embeddings of all training candidates.
        target_L: places of the partners among them.
        partners_LP: places of all partners of each row's brand, padded with C.
        hard_LH: places of hard negatives.

    Returns:
        Scalar, the mean over rows.
    """
    padded = torch.zeros(len(target_L), len(candidates_CD) + 1, dtype=torch.bool, device=target_L.device)
    excluded_LC = padded.scatter(1, partners_LP, value=True)[:, :-1]
    scores_LC = brands_LD @ candidates_CD.T
    if hard_LH.shape[1]:
        scores_LC = torch.cat([scores_LC, scores_LC.gather(1, hard_LH)], dim=1)
        excluded_LC = torch.cat([excluded_LC, excluded_LC.gather(1, hard_LH)], dim=1)
    return info_nce_loss(scores_LC, target_L, excluded_LC)


def in_batch_loss(
    brands_LD: Tensor,
    creators_SD: Tensor,
    hard_LHD: Tensor,
    sample_S: Tensor,
    partners_LP: Tensor,
    hard_LH: Tensor,
    log_q_S: Tensor,
    first: int = 0,
) -> Tensor:
    """Each partner against the other different creators of the batch, corrected for how often they are drawn.

    Args:
        brands_LD: embeddings of the rows' brand views.
        creators_SD: embeddings of all rows' partners.
        hard_LHD: embeddings of the rows' hard negatives.
        sample_S: places of all rows' partners among the training candidates.
        partners_LP: places of all partners of each row's brand, padded.
        hard_LH: places of hard negatives.
        log_q_S: log chance of each row's partner to be in a batch.
        first: where this process's rows begin among all.

    Returns:
        Scalar, the mean over rows.
    """
    again_S = (sample_S == sample_S[:, None]).triu(1).any(dim=0)  # a creator's later columns
    excluded_LC = (partners_LP[:, :, None] == sample_S).any(dim=1) | again_S
    scores_LC = brands_LD @ creators_SD.T
    if hard_LH.shape[1]:
        scores_LC = torch.cat([scores_LC, torch.einsum("ld,lhd->lh", brands_LD, hard_LHD)], dim=1)
        excluded_LC = torch.cat([excluded_LC, (partners_LP[:, :, None] == hard_LH[:, None, :]).any(dim=1)], dim=1)
        log_q_S = F.pad(log_q_S, (0, hard_LH.shape[1]))
    target_L = first + torch.arange(len(brands_LD), device=sample_S.device)
    return info_nce_loss(scores_LC, target_L, excluded_LC, log_q_S)


def creator_choice_loss(
    creators_LD: Tensor, brands_LD: Tensor, brand_L: Tensor, target_L: Tensor, partners_LP: Tensor
) -> Tensor:
    """Each partner chooses its brand among the others of the rows, as captions choose pictures in CLIP.

    Radford et al. 2021, section 2.3. Every column is a view that lacks one partner of its brand, and none that is left
    has a post of the creator who chooses, so views with and without a post are never told apart here either.

    Args:
        creators_LD: embeddings of the rows' partners.
        brands_LD: embeddings of the rows' brand views.
        brand_L: brands of the rows.
        target_L: places of the partners among the training candidates.
        partners_LP: places of all partners of each row's brand, padded.

    Returns:
        Scalar, the mean over rows; rivals are neither weighted nor corrected for how often a brand is drawn.
    """
    again_L = (brand_L == brand_L[:, None]).triu(1).any(dim=0)  # a brand's later columns
    works_LL = (partners_LP[:, :, None] == target_L).any(dim=1).T  # the row's creator for the column's brand
    own_L = torch.arange(len(target_L), device=target_L.device)
    return info_nce_loss(creators_LD @ brands_LD.T, own_L, works_LL | again_L)
