"""Lower bounds of the log likelihood of posts."""

import torch
from torch import Tensor

from micromega.models.vsvae.batch import PostBatch
from micromega.models.vsvae.network import VSVAE
from micromega.models.vsvae.posterior import gaussian_log_density

_POSTS = 4096
"""Draws times posts that are decoded together."""


@torch.no_grad()
def importance_weighted_bound(network: VSVAE, batch: PostBatch, samples: int, generator: torch.Generator) -> Tensor:
    """Bound that approaches log p(x) from below as samples grow (Burda et al. 2016), of the parts that a post has.

    Args:
        network: in evaluation mode.
        batch: B posts.
        samples: K draws of r a post; with 1 it is an unbiased estimate of the evidence lower bound.
        generator: on the CPU, of the draws.

    Returns:
        (B,) nats.
    """
    posterior = network.encode(batch)
    posts, size = posterior.mean.shape
    weights = []
    for start in range(0, samples, max(1, _POSTS // posts)):
        draws = min(max(1, _POSTS // posts), samples - start)
        noise = torch.randn(draws, posts, size, generator=generator).to(posterior.mean)
        r = posterior.sample(noise)
        likelihood = network.log_likelihood(r.reshape(-1, size), batch.repeat(draws))
        joint = torch.stack(list(likelihood.values())).sum(dim=0).view(draws, posts) + _log_prior(r)
        weights.append(joint - posterior.log_density(r))
    return torch.logsumexp(torch.cat(weights), dim=0) - torch.log(torch.tensor(float(samples)))


def _log_prior(r: Tensor) -> Tensor:
    return gaussian_log_density(r, torch.zeros_like(r), torch.zeros_like(r))
