"""Posts drawn from eq. 17–23 of Tian et al. (2022, Web Appendix G), word for word, with everything known."""

from dataclasses import dataclass

import numpy as np

DAYS = np.arange(1, 15)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    impressions: np.ndarray
    hashtag: np.ndarray
    covariates: np.ndarray
    a: np.ndarray
    b: np.ndarray
    mu_alpha: np.ndarray
    mu_beta: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    sigma_alpha_i: np.ndarray
    sigma_beta_i: np.ndarray
    tau: float


def draw(
    posts=1200, hashtags=12, covariates=3, seed=0, tau=200.0, relative=False, days=DAYS, on_first=2e-5, cumulative=False
):
    """Impressions of some thousands a post; relative: tau is a share of a post's mean; cumulative: of a day's gain."""
    rng = np.random.default_rng(seed)
    hashtag = np.arange(posts) % hashtags
    x = rng.standard_normal((posts, covariates))
    mu_beta = np.concatenate([[8.5], rng.normal(0, 0.3, covariates)])
    mu_alpha = np.concatenate([[7.0], rng.normal(0, 0.2, covariates), [on_first]])
    beta = mu_beta + np.array([0.4] + [0.1] * covariates) * rng.standard_normal((hashtags, covariates + 1))
    spread = np.array([0.3] + [0.1] * covariates + [on_first / 4])
    alpha = mu_alpha + spread * rng.standard_normal((hashtags, covariates + 2))
    sigma_beta_i, sigma_alpha_i = np.exp(rng.normal([[-0.9], [-0.6]], 0.2, (2, hashtags)))
    b = beta[hashtag, 0] + (x * beta[hashtag, 1:]).sum(1) + sigma_beta_i[hashtag] * rng.standard_normal(posts)
    noise = rng.standard_normal((posts, len(days)))
    scale = np.exp(b) if relative else 1.0  # of the first day: the mean is not known yet
    first = np.maximum(np.exp(b) + tau * scale * noise[:, 0], 0)
    if cumulative:
        first = np.exp(b + tau * noise[:, 0])
    a = alpha[hashtag, 0] + (x * alpha[hashtag, 1:-1]).sum(1) + alpha[hashtag, -1] * first
    a += sigma_alpha_i[hashtag] * rng.standard_normal(posts)
    curve = np.exp(a)[:, None] * np.log(days) + np.exp(b)[:, None]
    scale = curve.mean(1, keepdims=True) if relative else 1.0
    y = np.maximum(curve + tau * scale * noise, 0)
    y[:, 0] = first
    if cumulative:
        gains = np.exp(a)[:, None] * np.diff(np.log(days)) * (1 + tau * noise[:, 1:])
        y[:, 1:] = first[:, None] + np.cumsum(np.maximum(gains, 0), axis=1)
    return Drawn(
        impressions=y, hashtag=hashtag, covariates=x, a=a, b=b, mu_alpha=mu_alpha, mu_beta=mu_beta,
        alpha=alpha, beta=beta, sigma_alpha_i=sigma_alpha_i, sigma_beta_i=sigma_beta_i, tau=tau,
    )  # fmt: skip


def covered(fit, drawn):
    """Shares of posts whose a and b lie in the 95 % intervals."""
    return tuple(
        float(np.mean(np.abs(getattr(fit, name) - getattr(drawn, name)) < 1.96 * getattr(fit, f"{name}_sd")))
        for name in ("a", "b")
    )


def rmse(x, y):
    return float(np.sqrt(np.mean((np.asarray(x) - np.asarray(y)) ** 2)))
