"""Learned pooling: many posts to one vector, each post with a weight of its own.

Shapes: P posts, N entries (a post that stands for a view), V views, D length of a post's vector.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AttentionPooling(nn.Module):
    """Σ aₙ xₙ over the posts of a view, a the softmax of wᵀ tanh(W xₙ + b) (Ilse et al. 2018, eq. 7 and 8).

    Equal weights are the paper's average pooling (Gan et al. 2019, eq. 2).

    Args:
        dimension: length of a post's vector.
        hidden: length of the hidden layer.
    """

    def __init__(self, dimension: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(dimension, hidden)
        self.second = nn.Linear(hidden, 1, bias=False)  # a constant would cancel in the softmax

    def weights(self, posts_PD: Tensor, view_N: Tensor, views: int, post_N: Tensor | None = None) -> Tensor:
        """Weight of each entry, (N,); those of a view add up to 1. Arguments as in `forward`."""
        scores_N = self.second(torch.tanh(self.first(posts_PD))).squeeze(1).to(posts_PD.dtype)
        if post_N is not None:
            scores_N = scores_N[post_N]
        # Taking the largest score away changes nothing but overflow, so it needs no gradient.
        lowest_V = scores_N.new_full((views,), -torch.inf)
        largest_V = lowest_V.scatter_reduce(0, view_N, scores_N.detach(), "amax")
        raised_N = torch.exp(scores_N - largest_V[view_N])
        return raised_N / raised_N.new_zeros(views).index_add(0, view_N, raised_N)[view_N]

    def forward(self, posts_PD: Tensor, view_N: Tensor, views: int, post_N: Tensor | None = None) -> Tensor:
        """Pool the posts of every view.

        Args:
            posts_PD: (P, D) standardised posts.
            view_N: (N,) view of each entry, ascending.
            views: V.
            post_N: (N,) row of each entry in `posts_PD`, for posts that stand for several views; None: N = P, and entry
                n is post n.

        Returns:
            (V, D), zeros for a view without posts.
        """
        weights_N = self.weights(posts_PD, view_N, views, post_N)
        if post_N is None:
            post_N = torch.arange(len(posts_PD), device=posts_PD.device)
        starts_V = torch.searchsorted(view_N, torch.arange(views, device=view_N.device))
        # A bag is a weighted sum of rows; unlike a sum of products it never holds all weighted posts at once.
        return F.embedding_bag(post_N, posts_PD, starts_V, mode="sum", per_sample_weights=weights_N)
