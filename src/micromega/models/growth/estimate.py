"""Hashtags and common means, given each post's site: one Gaussian system for all.

Eq. 17–23 of Tian et al. (2022, Web Appendix G). Given the hyperparameters and Gaussian sites (`sites`), (a, b) of all
posts and (α, β) of all hashtags are jointly Gaussian: posts are integrated out, a hashtag is one system of 2P + 3
equations, and every covariance that EM needs is exact under that approximation, also for hashtags with few posts. The
common means are put at the maximum of the marginal likelihood (generalised least squares): plain EM creeps there.

Counts, regressors and coefficients are in the units inside (`posts`). (R, C) layout, H hashtags, P covariates,
P + 2 regressors of a, P + 1 of b, K = 2P + 3.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micromega.models.growth.posts import Posts
from micromega.models.growth.sites import Prior, Sites, inverse


@dataclass(frozen=True, kw_only=True)
class Priors:
    """Diffuse priors, in the units inside; gamma priors are (shape, rate) of a precision, 1 / variance.

    Attributes:
        mean_sd: normal, of each common mean.
        noise: of τ.
        tau: known instead of having a prior; None: it is estimated.
        post: of σ_α,i and σ_β,i; rate None: shape × the variance within all hashtags.
        hashtag: of σ_α,0, σ_β,0, σ_α and σ_β.
    """

    mean_sd: float
    noise: tuple[float, float]
    post: tuple[float, float | None]
    hashtag: tuple[float, float]
    tau: float | None = None


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Hyperparameters.

    Attributes:
        mean: (K,) μ_α, then μ_β.
        hashtag_variance: (4,) σ²_α,0, σ²_α, σ²_β,0, σ²_β.
        post_variance: (H, 2) σ²_α,i, σ²_β,i.
        noise: () τ².
    """

    mean: Tensor
    hashtag_variance: Tensor
    post_variance: Tensor
    noise: Tensor


@dataclass(frozen=True, kw_only=True)
class State:
    """Posterior given the hyperparameters.

    Attributes:
        a, b: (R, C) posterior means.
        coefficients: (H, K) α, then β.
        covariance: (H, K, K) of them.
        mean_covariance: (K, K) of the common means.
    """

    a: Tensor
    b: Tensor
    coefficients: Tensor
    covariance: Tensor
    mean_covariance: Tensor


@dataclass(frozen=True, kw_only=True)
class Spread:
    """(R, C) elements of a 2 × 2 covariance of each post."""

    aa: Tensor
    ab: Tensor
    bb: Tensor


def prior_of(posts: Posts, parameters: Parameters, coefficients: Tensor) -> Prior:
    """What (H, K) coefficients say of each post's a and b."""
    x = posts.regressors
    size = x.shape[2]
    rows = posts.layout.to_rows(coefficients)
    both = torch.bmm(x, torch.stack([rows[:, :size], torch.nn.functional.pad(rows[:, size:], (0, 1))], dim=2))
    precision = posts.layout.to_rows(1 / parameters.post_variance)
    return Prior(a=both[..., 0], b=both[..., 1], to_a=precision[:, :1], to_b=precision[:, 1:])


def expand(four: Tensor, size: int) -> Tensor:
    """(4,) one number for intercept and slopes of a, then of b, to all (K,) coefficients; a has `size`."""
    return torch.cat([four[:1], four[1:2].expand(size - 1), four[2:3], four[3:].expand(size - 2)])


def solve(posts: Posts, parameters: Parameters, priors: Priors, prior: Prior, sites: Sites) -> tuple[Parameters, State]:
    """Solve for posts, hashtags and common means together.

    Args:
        posts: the data.
        parameters: hyperparameters.
        priors: of them.
        prior: of posts; its precisions are used, its means are not.
        sites: of posts.

    Returns:
        The hyperparameters with new common means, and the posterior.
    """
    size = posts.regressors.shape[2]
    va, vab, vb = inverse(sites.aa + prior.to_a, sites.ab, sites.bb + prior.to_b)
    gram, right = _normal_equations(posts, prior, sites, (va, vab, vb))
    shrink = 1 / expand(parameters.hashtag_variance, size)
    covariance = torch.linalg.inv(gram + torch.diag(shrink))
    # Marginal precision of the common means: Σ (D + G⁻¹)⁻¹ = Σ D⁻¹ (G + D⁻¹)⁻¹ G.
    of_mean = (shrink[:, None] * (covariance @ gram)).sum(dim=0)
    of_mean = (of_mean + of_mean.T) / 2 + torch.eye(len(shrink)).to(gram) / priors.mean_sd**2
    mean_covariance = torch.linalg.inv(of_mean)
    mean = mean_covariance @ (shrink * (covariance @ right[..., None])[..., 0].sum(dim=0))
    coefficients = (covariance @ (right + shrink * mean)[..., None])[..., 0]
    new = prior_of(posts, parameters, coefficients)
    on_a, on_b = sites.on_a + prior.to_a * new.a, sites.on_b + prior.to_b * new.b
    state = State(
        a=va * on_a + vab * on_b,
        b=vab * on_a + vb * on_b,
        coefficients=coefficients,
        covariance=covariance,
        mean_covariance=mean_covariance,
    )
    return replace(parameters, mean=mean), state


def _normal_equations(
    posts: Posts, prior: Prior, sites: Sites, v: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """(H, K, K) X'WX and (H, K) X'Wz with posts integrated out.

    z is the site's centre and W = (Λ⁻¹ + S)⁻¹ = S⁻¹ (Λ + S⁻¹)⁻¹ Λ its precision around the regression, S⁻¹ that
    of (a, b): no inverse of Λ, which may be singular.
    """
    x, (va, vab, vb) = posts.regressors, v
    waa = prior.to_a * (va * sites.aa + vab * sites.ab)
    wab = prior.to_a * (va * sites.ab + vab * sites.bb)
    wbb = prior.to_b * (vab * sites.ab + vb * sites.bb)
    za = prior.to_a * (va * sites.on_a + vab * sites.on_b)
    zb = prior.to_b * (vab * sites.on_a + vb * sites.on_b)
    weighted = torch.cat([x * w[..., None] for w in (waa, wab, wbb)] + [torch.stack([za, zb], dim=2)], dim=2)
    size = x.shape[2]
    last = size - 1  # b has no coefficient on the first day's count, the last regressor
    sums = posts.layout.by_hashtag(torch.bmm(x.transpose(1, 2), weighted))
    aa, ab, bb, right = torch.split(sums, [size, size, size, 2], dim=2)
    above = torch.cat([aa, ab[..., :last]], dim=2)
    below = torch.cat([ab[..., :last].transpose(1, 2), bb[:, :last, :last]], dim=2)
    return torch.cat([above, below], dim=1), torch.cat([right[..., 0], right[:, :last, 1]], dim=1)


def unknown_coefficients(posts: Posts, state: State) -> Spread:
    """Covariance of the regressions x'α and x'β that comes from not knowing the hashtag's coefficients."""
    x, size = posts.regressors, posts.regressors.shape[2]
    last = size - 1
    rows = posts.layout.to_rows(state.covariance)
    of_b = torch.nn.functional.pad(rows[:, size:, size:], (0, 0, 0, 1))
    through = torch.bmm(x, torch.cat([rows[:, :size], of_b], dim=2))
    aa, ab, bb = torch.split(through, [size, last, last], dim=2)
    return Spread(aa=(aa * x).sum(dim=2), ab=(ab * x[..., :last]).sum(dim=2), bb=(bb * x[..., :last]).sum(dim=2))


def of_post(prior: Prior, sites: Sites, unknown: Spread) -> tuple[Spread, Spread]:
    """What not knowing the coefficients adds to the covariance of (a, b), and the covariance of (a, b) in all."""
    va, vab, vb = inverse(sites.aa + prior.to_a, sites.ab, sites.bb + prior.to_b)
    added = _through(va * prior.to_a, vab * prior.to_b, vab * prior.to_a, vb * prior.to_b, unknown)
    return added, Spread(aa=va + added.aa, ab=vab + added.ab, bb=vb + added.bb)


def of_residual(prior: Prior, sites: Sites, unknown: Spread) -> tuple[Tensor, Tensor]:
    """(R, C) variances of a − x'α and b − x'β: with V = (Λ + S⁻¹)⁻¹, V + V Λ cov(x'α, x'β) Λ V."""
    va, vab, vb = inverse(sites.aa + prior.to_a, sites.ab, sites.bb + prior.to_b)
    added = _through(
        va * sites.aa + vab * sites.ab, va * sites.ab + vab * sites.bb,
        vab * sites.aa + vb * sites.ab, vab * sites.ab + vb * sites.bb, unknown,
    )  # fmt: skip
    return va + added.aa, vb + added.bb


def _through(m11: Tensor, m12: Tensor, m21: Tensor, m22: Tensor, p: Spread) -> Spread:
    """M P M' of 2 × 2 matrices."""
    return Spread(
        aa=m11**2 * p.aa + 2 * m11 * m12 * p.ab + m12**2 * p.bb,
        ab=m11 * m21 * p.aa + (m11 * m22 + m12 * m21) * p.ab + m12 * m22 * p.bb,
        bb=m21**2 * p.aa + 2 * m21 * m22 * p.ab + m22**2 * p.bb,
    )
