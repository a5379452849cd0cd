"""The posts of every view one by one, for pooling that is learned."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from micromega.errors import ConfigError
from micromega.market.market import Market
from micromega.models.mir.accounts import Accounts
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.features import SINGLE, features_of_posts


@dataclass(frozen=True, kw_only=True)
class SinglePosts:
    """Which posts stand for which view, and what they are like.

    Attributes:
        features: modality -> (U, d) posts that stand for a view, not standardised.
        start: (V + 1,) int64 where each view begins in `post`.
        post: (N,) int64 rows of `features`.
    """

    features: Mapping[str, Tensor]
    start: Tensor
    post: Tensor


def single_posts(market: Market, accounts: Accounts, config: MIRDataConfig) -> SinglePosts:
    """Make the features of all posts that stand for a view; they are held in memory.

    Args:
        market: posts, and the arrays of `config.visual` for pictures; a post without one takes the mean of the others.
        accounts: the views.
        config: which modalities.

    Returns:
        The posts of every view.

    Raises:
        ConfigError: no modality has single posts, or the views are no means of them.
    """
    names = [name for name in config.modalities if name in SINGLE]
    if not names or config.scaling == "power" or config.pooling == "weighted" or config.local_response_normalisation:
        raise ConfigError(
            "data.keep_posts: learned pooling needs a modality of single posts (text, account or visual), "
            "data.scaling=standard, data.pooling=average and data.local_response_normalisation=false: the statistics "
            "of the views must be those of the posts."
        )
    used, row = np.unique(accounts.members.indices, return_inverse=True)
    return SinglePosts(
        features={name: torch.from_numpy(features_of_posts(market, name, used, config)) for name in names},
        start=torch.from_numpy(accounts.members.indptr.astype(np.int64)),
        post=torch.from_numpy(row.astype(np.int64)),
    )


def entries(start: Tensor, post: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
    """List the posts of some views.

    Args:
        start: (V + 1,) where each view begins in `post`.
        post: (N,) rows of posts.
        views: (n,) views.

    Returns:
        Place in `views`, ascending, and row of each of their posts, (m,) each.
    """
    first, length = start[views], start[views + 1] - start[views]
    place = torch.arange(len(views), device=views.device).repeat_interleave(length)
    within = torch.arange(len(place), device=views.device) - (length.cumsum(0) - length)[place]
    return place, post[first[place] + within]
