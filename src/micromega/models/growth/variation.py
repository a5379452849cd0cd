"""How much of the variance of a and b non-content covariates explain. N posts, H hashtags, K = 2P + 3 coefficients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class BayesianR2:
    """Posterior mean and standard deviation of R², in [0, 1]."""

    a: float
    b: float
    a_sd: float
    b_sd: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Regressions:
    """The two regressions (eq. 20 and 21) in the units inside the estimation, where regressors are standardised.

    Attributes:
        regressors: (N, P + 2) 1, covariates, the first day's count; b has no use for the last.
        a, b: (N,) posterior means, of counts in the unit inside.
        mean, mean_covariance: (K,), (K, K) posterior of the common coefficients, those of a first.
        coefficients, covariance: (H, K), (H, K, K) of the hashtags'.
    """

    regressors: Reals
    a: Reals
    b: Reals
    mean: Reals
    mean_covariance: Reals
    coefficients: Reals
    covariance: Reals

    def fitted(self, hashtag: NDArray[np.int64], *, common: bool) -> tuple[Reals, Reals]:
        """(N,) expected a and b, by the common coefficients or the hashtags' own."""
        x, size = self.regressors, self.regressors.shape[1]
        if common:
            return x @ self.mean[:size], x[:, :-1] @ self.mean[size:]
        of_a, of_b = self.coefficients[:, :size], self.coefficients[:, size:]
        return np.einsum("nk,nk->n", x, of_a[hashtag]), np.einsum("nk,nk->n", x[:, :-1], of_b[hashtag])


def bayesian_r2(
    regressions: Regressions,
    hashtag: NDArray[np.int64],
    spread: tuple[Reals, Reals],
    *,
    common: bool,
    draws: int,
    seed: int,
) -> BayesianR2:
    """Bayesian R² (Gelman, Goodrich, Gabry and Vehtari 2019): Var(fit) / (Var(fit) + Var(residual)), over draws.

    For each draw of the coefficients, Var(fit) is the variance over posts of what they predict, and Var(residual) the
    model's: the mean over posts of σ²_α,i (σ²_β,i). With the common coefficients, what hashtags' own coefficients
    predict beyond them is residual too. The σ are not drawn: empirical Bayes has point estimates of them.

    Args:
        regressions: coefficients with their posterior.
        hashtag: (N,) of each post.
        spread: (H,) σ_α,i and σ_β,i.
        common: whether the common coefficients explain, or the hashtags' own.
        draws: how many.
        seed: of the draws.

    Returns:
        R² of a and of b.
    """
    rng = np.random.default_rng(seed)
    x, size = regressions.regressors, regressions.regressors.shape[1]
    posts_H = np.bincount(hashtag)
    gram = _grams(x, hashtag, posts_H)
    within = [posts_H @ sigma**2 / len(x) for sigma in spread]
    root_HKK = np.linalg.cholesky(regressions.covariance)
    mean_root_KK = np.linalg.cholesky(regressions.mean_covariance)
    parts = (slice(0, size), slice(size, 2 * size - 1))
    share_S2 = np.empty((draws, 2))
    for draw in range(draws):
        normal_HK = rng.standard_normal(regressions.coefficients.shape)
        own_HK = regressions.coefficients + np.einsum("hkl,hl->hk", root_HKK, normal_HK)
        mean_K = regressions.mean + mean_root_KK @ rng.standard_normal(len(mean_root_KK))
        for side, part in enumerate(parts):
            own = own_HK[:, part]
            fit = np.broadcast_to(mean_K[part], own.shape) if common else own
            explained = _variance(gram, fit, len(x))
            beyond = _mean_square(gram, own - fit, len(x)) + within[side]
            share_S2[draw, side] = explained / (explained + beyond)
    (a, b), (a_sd, b_sd) = share_S2.mean(axis=0), share_S2.std(axis=0)
    return BayesianR2(a=float(a), b=float(b), a_sd=float(a_sd), b_sd=float(b_sd))


def _grams(x: Reals, hashtag: NDArray[np.int64], posts_H: NDArray[np.int64]) -> Reals:
    """(H, J, J) sums of products of regressors over the posts of each hashtag."""
    ordered = x[np.argsort(hashtag, kind="stable")]
    first_H = np.cumsum(posts_H) - posts_H
    columns = [np.add.reduceat(ordered * ordered[:, [j]], first_H, axis=0) for j in range(x.shape[1])]
    return np.stack(columns, axis=1)


def _mean_square(gram_HJJ: Reals, coefficients: Reals, posts: int) -> float:
    j = coefficients.shape[1]
    return float(np.einsum("hj,hjk,hk->", coefficients, gram_HJJ[:, :j, :j], coefficients, optimize=True)) / posts


def _variance(gram_HJJ: Reals, coefficients: Reals, posts: int) -> float:
    """Variance over posts of what coefficients predict; a Gram matrix's first row holds sums of regressors."""
    mean = float((gram_HJJ[:, 0, : coefficients.shape[1]] * coefficients).sum()) / posts
    return _mean_square(gram_HJJ, coefficients, posts) - mean**2
