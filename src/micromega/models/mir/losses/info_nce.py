"""InfoNCE: every partner of a brand competes with all other candidates, or with a sample of them.

van den Oord et al. 2018, eq. 4; the logQ correction is that of Bengio & Senécal 2008 and Yi et al. 2019.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_ALL = 1 - 2**-53
"""Largest share below 1; the logarithm of 1 − 1 would be infinite, and no number times 0 pairs."""


def info_nce_loss(scores_NC: Tensor, target_N: Tensor, excluded_NC: Tensor, log_q_C: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy of each row's partner against the candidates, averaged over rows.

    With a sample of the candidates, exp(s_j) / q_j of those drawn adds up to the sum over all of them on average. So
    log q is subtracted: what is drawn often is corrected downwards. A row's own target is always there (q = 1), so it
    stays as it is; correcting it too, as is often done, counts it 1 / q times in the sum.

    Args:
        scores_NC: (N, C) logits f(b, m): rows are partners of brands, columns different candidates.
        target_N: (N,) int64 column of each row's partner.
        excluded_NC: (N, C) bool, columns left out of a row's sum: the other known partners of its brand. What it says
            of the target does not matter.
        log_q_C: (C,) log of the chance that the candidate is among the columns, 0 for one that always is (see
            `log_inclusion`); None: the columns are all candidates (full softmax).

    Returns:
        Scalar loss, at least 0.
    """
    target_N1 = target_N[:, None]
    logits_NC = scores_NC
    if log_q_C is not None:
        logits_NC = (scores_NC - log_q_C).scatter(1, target_N1, scores_NC.gather(1, target_N1))
    left_out_NC = excluded_NC.scatter(1, target_N1, False)
    return F.cross_entropy(logits_NC.masked_fill(left_out_NC, -float("inf")), target_N)


def log_inclusion(pairs_M: Tensor, share: float) -> Tensor:
    """Log chance of each creator to be in a batch that holds a share of all pairs of brands and partners.

    Args:
        pairs_M: (M,) pairs of each creator, at least 1 for those that occur.
        share: pairs in the batch / all pairs, in (0, 1]; each pair is taken to be drawn on its own.

    Returns:
        (M,) log(1 − (1 − share)^pairs); −∞ for a creator without pairs.
    """
    # By the logarithm of the chance to be missed, which no small share rounds away: MPS has no float64.
    log_missed = math.log1p(-min(share, _ALL))
    return (-torch.expm1(pairs_M * log_missed)).log()
