"""Lower bounds of the log likelihood of posts."""

import math

import torch
from torch import Tensor

from micromega.models.vsvae.batch import PostBatch
from micromega.models.vsvae.network import VSVAE
from micromega.models.vsvae.posterior import gaussian_log_density

_POSTS, _NUMBERS = 4096, 1 << 26
"""Draws times posts that are decoded together, and numbers of one part (scores of words, above all), at most."""


@torch.no_grad()
def importance_weighted_bound(network: VSVAE, batch: PostBatch, samples: int, generator: torch.Generator) -> Tensor:
    """Bound that approaches log p(x) from below as samples grow (Burda et al. 2016), of the parts that a post has.

    Args:
        network: in evaluation mode.
        batch: B posts.
        samples: K draws of r a post; with 1 it is an unbiased estimate of the evidence lower bound.
        generator: on the CPU, of all that is drawn.

    Returns:
        (B,) nats.
    """
    posterior = network.encode(batch)
    posts, size = posterior.mean.shape
    noise = torch.randn(samples, posts, size, generator=generator)
    weights = []
    for some in torch.split(noise, _draws(network, batch)):
        draws = len(some)
        r = posterior.sample(some.to(posterior.mean), generator)
        likelihood = network.log_likelihood(r.reshape(-1, size), batch.repeat(draws))
        joint = torch.stack(list(likelihood.values())).sum(dim=0).view(draws, posts) + _log_prior(r)
        weights.append(joint - posterior.log_density(r))
    return torch.logsumexp(torch.cat(weights), dim=0) - math.log(samples)


def _draws(network: VSVAE, batch: PostBatch) -> int:
    """Draws a post that are decoded together."""
    numbers = max(size * int(batch.lengths[part].sum()) for part, size in network.sizes.items())
    return max(1, min(_POSTS // len(batch), _NUMBERS // max(numbers, 1)))


def _log_prior(r: Tensor) -> Tensor:
    return gaussian_log_density(r, torch.zeros_like(r), torch.zeros_like(r))
