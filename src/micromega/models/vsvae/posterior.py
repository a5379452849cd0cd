"""Posteriors of r: one network over all modalities, a product of experts, or a mixture of them.

Shapes: B posts, M modalities, D numbers of r.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_LOG_2PI = math.log(2 * math.pi)


def gaussian_divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a Gaussian from the standard normal, number by number; all shapes (…, D)."""
    return 0.5 * (mean**2 + torch.exp(2 * log_deviation) - 1) - log_deviation


def gaussian_log_density(value: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Log density of independent Gaussians, summed over the last axis; shapes (…, D) -> (…)."""
    scaled = (value - mean) * torch.exp(-log_deviation)
    return (-0.5 * (scaled**2 + _LOG_2PI) - log_deviation).sum(dim=-1)


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """q(r | x) = N(μ, diag σ²) (Tian et al. 2022, eq. 13; σ a vector).

    Attributes:
        mean: (B, D), the r that other models read.
        log_deviation: (B, D).
    """

    mean: Tensor
    log_deviation: Tensor

    @property
    def deviation(self) -> Tensor:
        """(B, D)."""
        return self.log_deviation.exp()

    def sample(self, noise: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Turn standard normal noise, (…, B, D), into draws of r; nothing else is drawn, with or without generator."""
        return self.mean + self.deviation * noise

    def divergence(self) -> Tensor:
        """(B, D) divergence from the prior."""
        return gaussian_divergence(self.mean, self.log_deviation)

    def log_density(self, r: Tensor) -> Tensor:
        """(…, B) log density of r, (…, B, D)."""
        return gaussian_log_density(r, self.mean, self.log_deviation)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """q(r | x): one Gaussian per modality that a post has, all equally likely (Shi et al. 2019).

    Attributes:
        means: (M, B, D).
        log_deviations: (M, B, D).
        weights: (M, B), 0 where a post lacks the modality; each column sums to 1.
    """

    means: Tensor
    log_deviations: Tensor
    weights: Tensor

    @property
    def mean(self) -> Tensor:
        """(B, D) mean of the mixture."""
        return (self.weights[..., None] * self.means).sum(dim=0)

    @property
    def deviation(self) -> Tensor:
        """(B, D) standard deviation of the mixture."""
        second = (self.weights[..., None] * (self.means**2 + torch.exp(2 * self.log_deviations))).sum(dim=0)
        return (second - self.mean**2).clamp_min(0).sqrt()

    def sample(self, noise: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Turn standard normal noise, (…, B, D), into draws of r.

        Which expert each comes from is drawn as well: by a generator of the CPU, or torch's own.
        """
        draws = noise.reshape(-1, *self.means.shape[1:]).shape[0]
        weights = self.weights.T if generator is None else self.weights.T.cpu()
        chosen = torch.multinomial(weights, draws, replacement=True, generator=generator).T  # (draws, B)
        chosen = chosen.to(noise.device)
        posts = torch.arange(chosen.shape[1], device=chosen.device)
        drawn = self.means[chosen, posts] + self.log_deviations[chosen, posts].exp() * noise.view(-1, *noise.shape[-2:])
        return drawn.view(noise.shape)

    def divergence(self) -> Tensor:
        """(B, D) mean of the experts' divergences from the prior: never below that of the mixture."""
        return (self.weights[..., None] * gaussian_divergence(self.means, self.log_deviations)).sum(dim=0)

    def log_density(self, r: Tensor) -> Tensor:
        """(…, B) log density of r, (…, B, D)."""
        of_experts = gaussian_log_density(r[..., None, :, :], self.means, self.log_deviations)  # (…, M, B)
        return torch.logsumexp(of_experts + self.weights.log(), dim=-2)


Posterior = Gaussian | Mixture


def product_of_experts(means: Tensor, log_deviations: Tensor, present: Tensor) -> Gaussian:
    """Multiply experts with the prior (Wu and Goodman 2018): precisions add up.

    Args:
        means: (M, B, D).
        log_deviations: (M, B, D).
        present: (M, B) bool, which experts a post has; with none the prior is left.
    """
    precision = torch.where(present[..., None], torch.exp(-2 * log_deviations), 0.0)
    total = 1 + precision.sum(dim=0)
    return Gaussian(mean=(precision * means).sum(dim=0) / total, log_deviation=-0.5 * total.log())


def mixture_of_experts(means: Tensor, log_deviations: Tensor, present: Tensor) -> Mixture:
    """Mix experts in equal shares; a post without any has the prior.

    Args:
        means: (M, B, D).
        log_deviations: (M, B, D).
        present: (M, B) bool.
    """
    count = present.sum(dim=0)
    weights = present / count.clamp_min(1)
    none = (count == 0).to(means.dtype)
    means, log_deviations = F.pad(means, (0, 0, 0, 0, 0, 1)), F.pad(log_deviations, (0, 0, 0, 0, 0, 1))
    return Mixture(means=means, log_deviations=log_deviations, weights=torch.cat([weights.to(means.dtype), none[None]]))
