"""Each post's likelihood as a Gaussian in (a, b), given its hashtag's coefficients: at the mode, or by its moments.

A site is a Gaussian factor exp(−½ θ'Λθ + η'θ), θ = (a, b), that stands for the likelihood of a post. Laplace's
approximation takes Λ from the curvature at the mode. The better one chooses Λ and η such that site × prior has the mean
and covariance of likelihood × prior, by quadrature (7 × 7 nodes around the present posterior): both are skewed where a
post says little, and Laplace's intervals are then too short. As derivatives of a post's log evidence in its prior mean
are these moments, the step of `estimate` on such sites is Newton's on the exact evidence.

All arrays of posts are (R, C), see `layout`.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from micromega.models.growth.posts import Posts

_LONGEST_STEP = 1.0
"""Of a or b: a factor of e."""
_NODES = 7
_BLOCK = 1 << 13
"""Posts whose nodes are evaluated at a time."""
_SHARP = 1e-6
"""Variance of a and b below which the mode is exact, and moments drown in rounding."""
_COLLAPSED = 1e-6
"""Determinant of the covariance by moments, as a share of the one that put the nodes, below which nodes missed it."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """(R, C) means of a and b given the coefficients, and (R, 1) precisions 1 / σ²_α,i and 1 / σ²_β,i."""

    a: Tensor
    b: Tensor
    to_a: Tensor
    to_b: Tensor


@dataclass(frozen=True, kw_only=True)
class Sites:
    """Gaussian factors of posts, all (R, C).

    Attributes:
        aa, ab, bb: precision Λ.
        on_a, on_b: η.
        error: expected weighted squared error w Σ (y − A log t − B)² given the coefficients.
        log_evidence: log of the integral of likelihood × prior over (a, b), without the constants of the noise.
    """

    aa: Tensor
    ab: Tensor
    bb: Tensor
    on_a: Tensor
    on_b: Tensor
    error: Tensor
    log_evidence: Tensor


def inverse(aa: Tensor, ab: Tensor, bb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Inverse of symmetric 2 × 2 matrices."""
    determinant = aa * bb - ab**2
    return bb / determinant, -ab / determinant, aa / determinant


def _around(posts: Posts, noise: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradient (2) and a positive definite precision (3) of each post's log-likelihood at (a, b).

    Gauss–Newton curvature, plus the part of the exact curvature that it leaves out where that is positive: without it
    steps overshoot on posts that grow hardly at all.
    """
    A, B = a.exp(), b.exp()
    off_A, off_B = posts.A - A, posts.B - B
    to_a = A * (off_A * posts.log_t2 + off_B * posts.log_t) / noise
    to_b = B * (off_A * posts.log_t + off_B * posts.days) / noise
    aa = A**2 * posts.log_t2 / noise + (-to_a).clamp_min(0)
    bb = (B**2 * posts.days + posts.on_first) / noise + (-to_b).clamp_min(0)
    to_b = to_b + posts.on_first * (posts.log_first - b) / noise
    return to_a, to_b, aa, A * B * posts.log_t / noise, bb


def modes(
    posts: Posts, noise: Tensor, prior: Prior, a: Tensor, b: Tensor, *, steps: int, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Newton's steps of all posts at once towards their modes.

    Args:
        posts: the data.
        noise: () τ².
        prior: of a and b.
        a: where to start, (R, C).
        b: likewise.
        steps: at most so many.
        tolerance: root mean square of a step, in posterior deviations, that is small enough.

    Returns:
        a and b.
    """
    for _ in range(steps):
        to_a, to_b, aa, ab, bb = _around(posts, noise, a, b)
        to_a, to_b = to_a - prior.to_a * (a - prior.a), to_b - prior.to_b * (b - prior.b)
        va, vab, vb = inverse(aa + prior.to_a, ab, bb + prior.to_b)
        on_a = (va * to_a + vab * to_b).clamp(-_LONGEST_STEP, _LONGEST_STEP)
        on_b = (vab * to_a + vb * to_b).clamp(-_LONGEST_STEP, _LONGEST_STEP)
        a, b = a + on_a, b + on_b
        if ((on_a * to_a + on_b * to_b) * posts.layout.real).sum() < tolerance**2 * posts.layout.posts.sum():
            break
    return a, b


def at_mode(posts: Posts, noise: Tensor, prior: Prior, a: Tensor, b: Tensor) -> Sites:
    """Sites by Laplace's approximation.

    Args:
        posts: the data.
        noise: () τ².
        prior: of a and b.
        a: modes, (R, C).
        b: likewise.

    Returns:
        The sites.
    """
    to_a, to_b, aa, ab, bb = _around(posts, noise, a, b)
    qa, qb = aa + prior.to_a, bb + prior.to_b
    va, vab, vb = inverse(qa, ab, qb)
    error = posts.squared_error(a, b)
    occam = ((qa * qb - ab**2) / (prior.to_a * prior.to_b)).log()
    apart = prior.to_a * (a - prior.a) ** 2 + prior.to_b * (b - prior.b) ** 2
    return Sites(
        aa=aa, ab=ab, bb=bb,
        on_a=aa * a + ab * b + to_a,
        on_b=ab * a + bb * b + to_b,
        error=error + posts.spread_error(a, b, va, vab, vb),
        log_evidence=-(error / noise + apart + occam) / 2,
    )  # fmt: skip


def by_moments(posts: Posts, noise: Tensor, prior: Prior, a: Tensor, b: Tensor, sites: Sites) -> Sites:
    """Sites whose product with the prior has the moments of likelihood × prior.

    Args:
        posts: the data.
        noise: () τ².
        prior: of a and b.
        a: posterior means so far, (R, C).
        b: likewise.
        sites: so far; with the prior they say where the nodes go.

    Returns:
        The sites. Where the posterior is wider than the prior, Λ is cut to be positive semidefinite, and η keeps the
        mean. Posts that know a and b to a thousandth stay at the mode, and so do those whose mass lies on one node,
        along a ridge that is narrow and bent.
    """
    sharp = at_mode(posts, noise, prior, a, b)
    va0, vab0, vb0 = inverse(sites.aa + prior.to_a, sites.ab, sites.bb + prior.to_b)
    # The nodes' a is a + l11 u, their b is b + l21 u + l22 v.
    l11 = va0.sqrt()
    l21 = vab0 / l11
    l22 = (vb0 - l21**2).clamp_min(1e-300).sqrt()
    moments = [
        _moments(posts, noise, prior, a, b, (l11, l21, l22), slice(first, first + rows))
        for rows in [max(1, _BLOCK // a.shape[1])]
        for first in range(0, len(a), rows)
    ]
    log_mass, da, db, vaa, vab, vbb, error = (torch.cat(parts) for parts in zip(*moments, strict=True))
    qa, qab, qb = inverse(vaa, vab, vbb)
    aa, ab, bb = _semidefinite(qa - prior.to_a, qab, qb - prior.to_b)
    mean_a, mean_b = a + da, b + db
    matched = Sites(
        aa=aa, ab=ab, bb=bb,
        on_a=(aa + prior.to_a) * mean_a + ab * mean_b - prior.to_a * prior.a,
        on_b=ab * mean_a + (bb + prior.to_b) * mean_b - prior.to_b * prior.b,
        error=error,
        log_evidence=log_mass + (l11 * l22).log() + (prior.to_a * prior.to_b).log() / 2,
    )  # fmt: skip
    collapsed = ~(vaa * vbb - vab**2 > _COLLAPSED * (l11 * l22) ** 2)
    at_the_mode = (va0.maximum(vb0) < _SHARP) | collapsed
    return Sites(
        **{
            part.name: torch.where(at_the_mode, getattr(sharp, part.name), getattr(matched, part.name))
            for part in fields(Sites)
        }
    )


def _moments(
    posts: Posts, noise: Tensor, prior: Prior, a: Tensor, b: Tensor, root: tuple[Tensor, Tensor, Tensor], at: slice
) -> tuple[Tensor, ...]:
    """Log mass, mean's distance from (a, b), covariance and expected squared error of a block of rows, each (r, C)."""
    node, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    u, v = (torch.from_numpy(axis.reshape(-1, 1, 1)).to(a) for axis in np.meshgrid(node, node, indexing="ij"))
    # The nodes' own density is divided out: weights are those of a standard normal, the integrand has none.
    log_weight = torch.from_numpy(np.log(np.outer(weight, weight) / (2 * np.pi)).reshape(-1, 1, 1)).to(a)
    log_weight = log_weight + (u**2 + v**2) / 2
    l11, l21, l22 = (side[at] for side in root)
    on_a, on_b = l11 * u, l21 * u + l22 * v
    at_a, at_b = a[at] + on_a, b[at] + on_b
    error = posts.rows(at).squared_error(at_a, at_b)
    apart = prior.to_a[at] * (at_a - prior.a[at]) ** 2 + prior.to_b[at] * (at_b - prior.b[at]) ** 2
    log_mass = log_weight - (error / noise + apart) / 2
    total = log_mass.logsumexp(dim=0)
    mass = (log_mass - total).exp()
    da, db = (mass * on_a).sum(dim=0), (mass * on_b).sum(dim=0)
    away_a, away_b = on_a - da, on_b - db
    covariance = (
        (mass * one * other).sum(dim=0) for one, other in ((away_a, away_a), (away_a, away_b), (away_b, away_b))
    )
    return total, da, db, *covariance, (mass * error).sum(dim=0)


def _semidefinite(aa: Tensor, ab: Tensor, bb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest symmetric 2 × 2 matrices without negative eigenvalues."""
    middle, half = (aa + bb) / 2, (((aa - bb) / 2) ** 2 + ab**2).sqrt().clamp_min(1e-300)
    high, low = (middle + half).clamp_min(0), (middle - half).clamp_min(0)
    mean, slope = (high + low) / 2, (high - low) / (2 * half)
    return mean + slope * (aa - bb) / 2, slope * ab, mean - slope * (aa - bb) / 2
