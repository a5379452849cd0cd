"""The iteration: sites, posterior, hyperparameters, until nothing moves; first with sites at the mode, then by moments.

Shapes as in `estimate`.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micromega.models.growth.estimate import (
    Parameters,
    Priors,
    Spread,
    State,
    expand,
    of_post,
    of_residual,
    prior_of,
    solve,
    unknown_coefficients,
)
from micromega.models.growth.posts import Posts
from micromega.models.growth.sites import Sites, at_mode, by_moments, modes

_FIRST_STEPS, _STEPS = 50, 3
"""Newton's steps of the posts, at most: at the start, and in each iteration."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Where the iteration ended.

    Attributes:
        parameters: hyperparameters.
        state: posterior given them.
        spread: covariance of each post's (a, b).
        log_posterior: log marginal likelihood plus log priors, approximately, after each iteration.
        converged: whether the last change was below the tolerance.
    """

    parameters: Parameters
    state: State
    spread: Spread
    log_posterior: tuple[float, ...]
    converged: bool


def estimate(posts: Posts, priors: Priors, *, iterations: int, tolerance: float) -> Estimate:
    """Iterate.

    Args:
        posts: sums and regressors.
        priors: of the hyperparameters.
        iterations: at most so many.
        tolerance: largest change of a log variance or of a common mean between iterations that counts as none.

    Returns:
        The estimate, converged or not.
    """
    parameters = _start(posts, priors)
    a, b = posts.start_a, posts.start_b
    coefficients = torch.zeros((len(parameters.post_variance), len(parameters.mean))).to(a)
    trace: list[float] = []
    sites: Sites | None = None
    by_mode, converged = True, False
    while True:
        prior = prior_of(posts, parameters, coefficients)
        if by_mode:
            steps = _STEPS if trace else _FIRST_STEPS
            a, b = modes(posts, parameters.noise, prior, a, b, steps=steps, tolerance=tolerance)
            sites = at_mode(posts, parameters.noise, prior, a, b)
        else:
            assert sites is not None
            sites = by_moments(posts, parameters.noise, prior, a, b, sites)
        moved, state = solve(posts, parameters, priors, prior, sites)
        state = replace(state, a=_near(state.a, a), b=_near(state.b, b))
        unknown = unknown_coefficients(posts, state)
        trace.append(_log_marginal(posts, moved, state, priors, sites))
        new = _maximise(posts, moved, priors, state, sites, unknown)
        still = _change(parameters, new) < tolerance
        converged = still and not by_mode
        if converged or len(trace) >= iterations:
            break
        by_mode = by_mode and not still
        parameters, coefficients, a, b = new, state.coefficients, state.a, state.b
    _, spread = of_post(prior, sites, unknown)
    return Estimate(parameters=moved, state=state, spread=spread, log_posterior=tuple(trace), converged=converged)


def _near(new: Tensor, old: Tensor) -> Tensor:
    """The new values, at most a factor of e away: far from the modes a Gaussian misleads."""
    return old + (new - old).clamp(-1, 1)


def _start(posts: Posts, priors: Priors) -> Parameters:
    """Common means 0, unit variances, noise of the least-squares fits unless it is known."""
    x = posts.regressors
    size = x.shape[2]
    squared = posts.squared_error(posts.start_a, posts.start_b).sum()
    return Parameters(
        mean=torch.zeros(2 * size - 1).to(x),
        hashtag_variance=torch.full((4,), 0.1).to(x),
        post_variance=torch.ones((len(posts.layout.posts), 2)).to(x),
        noise=_noise(priors, (squared / posts.observations).clamp_min(1e-10)),
    )


def _maximise(
    posts: Posts, parameters: Parameters, priors: Priors, state: State, sites: Sites, unknown: Spread
) -> Parameters:
    """Variances that maximise the expected log posterior, as a function of their logs."""
    layout = posts.layout
    prior = prior_of(posts, parameters, state.coefficients)
    added, _ = of_post(prior, sites, unknown)
    ea, eb = of_residual(prior, sites, unknown)
    squared = torch.stack([(state.a - prior.a) ** 2 + ea, (state.b - prior.b) ** 2 + eb], dim=2)
    of_hashtag = layout.by_hashtag((squared * layout.real[..., None]).sum(dim=1))
    error = sites.error + posts.spread_error(state.a, state.b, added.aa, added.ab, added.bb)
    size = posts.regressors.shape[2]
    between = (state.coefficients - parameters.mean) ** 2 + state.covariance.diagonal(dim1=1, dim2=2)
    total, hashtags = between.sum(dim=0), len(layout.posts)
    sums = torch.stack([total[0], total[1:size].sum(), total[size], total[size + 1 :].sum()])
    counts = hashtags * torch.tensor([1, size - 1, 1, size - 2]).to(sums)
    pooled = of_hashtag.sum(dim=0) / layout.posts.sum()
    return replace(
        parameters,
        post_variance=_variance(of_hashtag, layout.posts[:, None], _post_prior(priors, pooled)),
        hashtag_variance=_variance(sums, counts, priors.hashtag),
        noise=_noise(priors, _variance(error.sum(), posts.observations, priors.noise)),
    )


def _noise(priors: Priors, estimated: Tensor) -> Tensor:
    """τ², () tensor: as known, or as estimated."""
    return estimated if priors.tau is None else torch.full_like(estimated, priors.tau**2)


def _post_prior(priors: Priors, pooled: Tensor) -> tuple[float, Tensor | float]:
    """Shape and rate of the precisions of posts; without a rate the prior is centred at the (2,) pooled variances."""
    shape, rate = priors.post
    return shape, shape * pooled if rate is None else rate


def _variance(squares: Tensor, count: Tensor | int, prior: tuple[float, Tensor | float]) -> Tensor:
    shape, rate = prior
    return (squares / 2 + rate) / (count / 2 + shape)


def _change(old: Parameters, new: Parameters) -> float:
    logs = [
        (getattr(new, name).log() - getattr(old, name).log()).abs().max()
        for name in ("hashtag_variance", "post_variance", "noise")
    ]
    return float(torch.stack([*logs, (new.mean - old.mean).abs().max()]).max())


def _log_marginal(posts: Posts, parameters: Parameters, state: State, priors: Priors, sites: Sites) -> float:
    """Log marginal likelihood of the counts, hashtags by Laplace's approximation, plus the log priors."""
    constants = posts.log_weights - posts.observations / 2 * (math.log(2 * math.pi) + parameters.noise.log())
    of_posts = (sites.log_evidence * posts.layout.real).sum()
    variance = expand(parameters.hashtag_variance, posts.regressors.shape[2])
    apart = ((state.coefficients - parameters.mean) ** 2 / variance).sum()
    determinant = torch.linalg.slogdet(state.covariance / variance.sqrt() / variance.sqrt()[:, None]).logabsdet.sum()
    prior = -(parameters.mean**2).sum() / (2 * priors.mean_sd**2)
    pooled = (parameters.post_variance * posts.layout.posts[:, None]).sum(dim=0) / posts.layout.posts.sum()
    for values, (shape, rate) in (
        (parameters.noise, priors.noise),
        (parameters.post_variance, _post_prior(priors, pooled)),
        (parameters.hashtag_variance, priors.hashtag),
    ):
        prior = prior - (shape * values.log() + rate / values).sum()
    return float(constants + of_posts - (apart - determinant) / 2 + prior)
