"""Stage 1: the treatment given instrument and controls, F(t | x, z), as a mixture of Gaussians.

Shapes: E members, B rows, K components, M values of the treatment, Z and X numbers of instrument and controls.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from micromega.models.deepiv.config import TreatmentConfig
from micromega.models.deepiv.stack import StackedPerceptron

_LOG_2PI = math.log(2 * math.pi)
_CENTRE, _HALF_RANGE = -2.0, 4.0  # log deviations lie in (−6, 2), in standard deviations of the treatment
_BISECTIONS = 60
_FARTHEST_RANK = 4.0


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Mixtures of Gaussians, one for each member and row.

    Attributes:
        log_weights: (E, B, K), each row's weights sum to 1.
        means: (E, B, K).
        log_deviations: (E, B, K).
    """

    log_weights: Tensor
    means: Tensor
    log_deviations: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "Mixture":
        """Change each of the three tensors alike: move, convert or pick."""
        return Mixture(
            log_weights=change(self.log_weights),
            means=change(self.means),
            log_deviations=change(self.log_deviations),
        )

    @property
    def mean(self) -> Tensor:
        """(E, B)."""
        return (self.log_weights.exp() * self.means).sum(dim=-1)

    @property
    def deviation(self) -> Tensor:
        """(E, B) standard deviation."""
        spread = torch.exp(2 * self.log_deviations) + (self.means - self.mean[..., None]) ** 2
        variance: Tensor = (self.log_weights.exp() * spread).sum(dim=-1)
        return torch.sqrt(variance)

    def log_density(self, t: Tensor) -> Tensor:
        """(E or 1, B) -> (E, B)."""
        scaled = (t[..., None] - self.means) * torch.exp(-self.log_deviations)
        of_each: Tensor = self.log_weights - self.log_deviations - 0.5 * (scaled**2 + _LOG_2PI)
        return torch.logsumexp(of_each, dim=-1)

    def cumulative(self, t: Tensor) -> Tensor:
        """Probability of at most t; (E or 1, B, M) -> (E, B, M)."""
        scaled = (t[..., None] - self.means[..., None, :]) * torch.exp(-self.log_deviations[..., None, :])
        probability: Tensor = (self.log_weights.exp()[..., None, :] * torch.special.ndtr(scaled)).sum(dim=-1)
        return probability

    def rank(self, t: Tensor) -> Tensor:
        """Normal score of the probability of at most t, within ±4; (E or 1, B) -> (E, B)."""
        below = self.cumulative(t[..., None])[..., 0].clamp_max(1)  # a sum of rounded shares may exceed 1
        score: Tensor = torch.special.ndtri(below)
        return score.clamp(-_FARTHEST_RANK, _FARTHEST_RANK)

    def quantile(self, level: Tensor) -> Tensor:
        """By bisection; levels (M,) in (0, 1) -> (E, B, M)."""
        reach = 10 * self.log_deviations.exp()
        low = (self.means - reach).amin(dim=-1, keepdim=True).expand(*self.means.shape[:2], len(level))
        high = (self.means + reach).amax(dim=-1, keepdim=True).expand_as(low)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            below = self.cumulative(middle) < level
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """(E, B, M) independent draws, by a generator of the tensors' device or torch's own."""
        shape, device = (*self.means.shape[:2], draws), self.means.device
        uniform = torch.rand(shape, generator=generator, device=device, dtype=self.means.dtype)
        steps = self.log_weights.exp().cumsum(dim=-1)[..., None, :-1]  # rounding may leave the last below 1
        chosen = (uniform[..., None] > steps).sum(dim=-1)
        noise = torch.randn(shape, generator=generator, device=device, dtype=self.means.dtype)
        return self.means.gather(-1, chosen) + self.log_deviations.gather(-1, chosen).exp() * noise

    def pooled(self, members: Tensor) -> "Mixture":
        """Mix members in equal shares.

        Args:
            members: (D, P, B or 1) which P members make up each of D mixtures of a row.

        Returns:
            (D, B, P·K).
        """
        D, P, _ = members.shape
        _, B, K = self.means.shape
        index = members.expand(-1, -1, B)
        row = torch.arange(B, device=members.device)

        mixed = self.each(lambda value: value[index, row].transpose(1, 2).reshape(D, B, P * K))
        return dataclasses.replace(mixed, log_weights=mixed.log_weights - math.log(P))

    def rescaled(self, mean: Tensor, deviation: Tensor) -> "Mixture":
        """The mixtures of mean + deviation · t; both scalars."""
        return Mixture(
            log_weights=self.log_weights,
            means=mean + deviation * self.means,
            log_deviations=self.log_deviations + deviation.log(),
        )


class MixtureNetwork(nn.Module):
    """Mixture density networks (Tian et al. 2022, Web Appendix C; Hartford et al. 2017); all in standardised units.

    Args:
        config: of stage 1.
        members: E.
        inputs: Z + X.
    """

    def __init__(self, config: TreatmentConfig, members: int, inputs: int) -> None:
        super().__init__()
        sizes = (inputs, *config.hidden, 3 * config.components)
        self.perceptron = StackedPerceptron(members, sizes, config.activation, config.dropout)

    def forward(self, z: Tensor, x: Tensor) -> Mixture:
        """Mixtures given the instrument (E or 1, B, Z) and the controls (E or 1, B, X)."""
        scores, means, raw = self.perceptron(torch.cat([z, x], dim=-1)).chunk(3, dim=-1)
        return Mixture(
            log_weights=torch.log_softmax(scores, dim=-1), means=means, log_deviations=bounded_log_deviation(raw)
        )


def bounded_log_deviation(raw: Tensor) -> Tensor:
    """Bound log deviations smoothly, so that a component can neither collapse onto a row nor overflow; any shape."""
    return _CENTRE + _HALF_RANGE * torch.tanh((raw - _CENTRE) / _HALF_RANGE)
