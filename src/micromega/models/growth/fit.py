"""`fit_growth`: the growth model of Tian et al. (2022, Web Appendix G) fitted to any impressions by day.

    y_ijt = A_ij log t + B_ij + ε_ijt,  A = exp a,  B = exp b,  ε ~ N(0, τ²)                     (eq. 17–19)
    a_ij ~ N(α_0i + [x_ij, y_ij1]'α_i, σ²_α,i),  b_ij ~ N(β_0i + x_ij'β_i, σ²_β,i)                 (eq. 20–21)
    α_i ~ N(μ_α, σ²_α),  β_i ~ N(μ_β, σ²_β), intercepts with spreads of their own                (eq. 22–23)

for post j under hashtag i on day t. Estimated by empirical Bayes: see `em`. N posts, D days, H hashtags, P covariates.
"""

import logging
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.models.growth.em import estimate
from micromega.models.growth.estimate import Priors
from micromega.models.growth.forecast import Forecast, Last, predict
from micromega.models.growth.inputs import check_inputs
from micromega.models.growth.posts import Initial, Noise, prepare
from micromega.models.growth.sums import listed
from micromega.models.growth.variation import BayesianR2, Regressions, bayesian_r2

log = logging.getLogger(__name__)

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GrowthFit:
    """Posterior of posts and hashtags, and hyperparameters.

    Coefficients are per unit of the covariates as given: intercept, the P covariates, and for a last the coefficient on
    the first day's count, per impression (`initial="linear"`) or per unit of its log. Spreads σ_α, σ_β of hashtags are
    per standard deviation of a regressor, and σ_α,0, σ_β,0 those of intercepts at average regressors: that is where
    eq. 22 and 23, which have one spread for all slopes, are taken to hold.

    Attributes:
        a, b: (N,) posterior means of the log growth rate and log starting impressions.
        a_sd, b_sd: (N,) posterior standard deviations, the uncertainty of the hashtag's coefficients included.
        ab_correlation: (N,) of a and b in the posterior.
        mu_alpha, mu_alpha_sd: (P + 2,) common coefficients of a and their standard errors.
        mu_beta, mu_beta_sd: (P + 1,) of b.
        alpha, beta: (H, P + 2) and (H, P + 1) coefficients of each hashtag, posterior means.
        sigma_alpha_i, sigma_beta_i: (H,) spread of a and b within each hashtag.
        sigma_alpha0, sigma_alpha, sigma_beta0, sigma_beta: spread of the coefficients between hashtags.
        tau: of the noise, in impressions; if relative, as a share of a post's mean impressions; if cumulative, of what
            is expected of a day.
        noise_sd: (N,) spread of a day's count around the curve, in impressions; if cumulative, of the first day's
            count, to which later days add (`forecast.predict`).
        last: where counts go on from if they are cumulative; else None.
        hashtags: (H,) ids, sorted.
        hashtag: (N,) index into them.
        first_days_filled: posts whose first day is not listed: least squares stands in for y_ij1 in eq. 20.
        log_posterior: log marginal likelihood of the counts plus log priors, approximately, after each iteration. It
            jumps once, where integrals replace modes.
        iterations: how many were run.
        converged: whether hyperparameters stood still; if not, ask for more `iterations`.
    """

    a: Reals
    b: Reals
    a_sd: Reals
    b_sd: Reals
    ab_correlation: Reals
    mu_alpha: Reals
    mu_alpha_sd: Reals
    mu_beta: Reals
    mu_beta_sd: Reals
    alpha: Reals
    beta: Reals
    sigma_alpha_i: Reals
    sigma_beta_i: Reals
    sigma_alpha0: float
    sigma_alpha: float
    sigma_beta0: float
    sigma_beta: float
    tau: float
    noise_sd: Reals
    last: Last | None
    hashtags: NDArray[np.generic]
    hashtag: NDArray[np.int64]
    first_days_filled: int
    log_posterior: tuple[float, ...]
    iterations: int
    converged: bool
    regressions: Regressions

    def residuals(self, *, common: bool = True) -> tuple[Reals, Reals]:
        """What covariates do not explain: a − â and b − b̂ (eq. 24).

        Args:
            common: â and b̂ use the coefficients common to all hashtags (eq. 25 and 26), so that what a hashtag adds
                counts as unexplained; else each hashtag's own.

        Returns:
            (N,) and (N,), logs; positive for a post that does better than expected.
        """
        a_hat, b_hat = self.regressions.fitted(self.hashtag, common=common)
        return self.regressions.a - a_hat, self.regressions.b - b_hat

    def bayesian_r2(self, *, common: bool = False, draws: int = 200, seed: int = 0) -> BayesianR2:
        """Share of the variance of a and b that covariates explain (Gelman et al. 2019); see `variation.bayesian_r2`.

        Args:
            common: explained by the common coefficients alone; else by each hashtag's own ("who posted the video, and
                under what hashtag").
            draws: of the coefficients from their posterior.
            seed: of the draws.

        Returns:
            Posterior mean and standard deviation for a and b.
        """
        return bayesian_r2(
            self.regressions,
            self.hashtag,
            (self.sigma_alpha_i, self.sigma_beta_i),
            common=common,
            draws=draws,
            seed=seed,
        )

    def predict(
        self, days: ArrayLike, *, posts: ArrayLike | None = None, level: float = 0.95, noise: bool = True
    ) -> Forecast:
        """Impressions on any days; see `forecast.predict`.

        Args:
            days: (T,) at least 1. If noise is cumulative, counts are predicted for days after a post's last listed day
                alone, on from its last count.
            posts: rows to predict, all by default.
            level: of the intervals, in (0, 1).
            noise: predict counts; else the curve A log t + B.

        Returns:
            Mean and interval, in impressions.
        """
        rows = np.arange(len(self.a)) if posts is None else _rows(posts, len(self.a))
        return predict(
            mean=(self.a[rows], self.b[rows]),
            sd=(self.a_sd[rows], self.b_sd[rows]),
            correlation=self.ab_correlation[rows],
            noise_sd=self.noise_sd[rows] * noise,
            last=self.last.of(rows) if self.last is not None and noise else None,
            tau=self.tau,
            days=days,
            level=level,
        )


def _rows(posts: ArrayLike, count: int) -> NDArray[np.int64]:
    """Rows of posts, as numbers or as a mask."""
    rows = np.atleast_1d(np.asarray(posts))
    if rows.dtype == bool and rows.shape == (count,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (rows < -count).any() or (rows >= count).any():
        raise DataError(f"posts has to list rows of the {count} posts, or to be a mask of them.")
    return rows.astype(np.int64)


def fit_growth(
    impressions: ArrayLike,
    days: ArrayLike,
    hashtag: ArrayLike,
    covariates: ArrayLike,
    *,
    noise: Noise = "absolute",
    tau: float | None = None,
    initial: Initial = "linear",
    iterations: int = 500,
    tolerance: float = 1e-3,
    mean_sd: float = 10.0,
    noise_prior: tuple[float, float] = (1e-3, 1e-6),
    post_prior: tuple[float, float | None] = (4.0, None),
    hashtag_prior: tuple[float, float] = (1.0, 0.01),
    device: str = "cpu",
) -> GrowthFit:
    """Fit the growth model.

    Covariates and the first day's count are standardised inside, and impressions divided by a typical post's mean; all
    that is returned is in the user's units. Priors hold in the units inside, so that the fit does not depend on units.

    Args:
        impressions: (N, D) cumulative counts, NaN where a day is not listed; a post needs one day or more.
        days: (D,) day of each column; 1 is the first appearance.
        hashtag: (N,) ids, of two hashtags or more.
        covariates: (N, P) non-content covariates, none of them constant.
        noise: "absolute" is eq. 19, one τ in impressions, in which the largest posts own the likelihood; "relative": a
            post's noise is τ times its mean listed impressions. That mean is taken as known, as if it were a covariate,
            which keeps the likelihood Gaussian. "cumulative": counts accumulate, so the first listed count and the
            gains after it have independent noise, τ times what is expected of each day; expectations are plugged in
            from the data (`sums.of_gains`).
        tau: known spread of the noise, in what `noise` says; None: estimated, for which some posts have to list three
            days or more, since a curve goes through any two counts.
        initial: how y_ij1 enters eq. 20: "linear" as written, or its "log" (0 counts as half of the smallest count).
        iterations: of EM, at most.
        tolerance: largest change of any log variance, or of a common coefficient per standard deviation, at the end.
        mean_sd: of the normal prior of each element of μ_α and μ_β, around 0.
        noise_prior: shape and rate of the gamma prior of 1 / τ².
        post_prior: the same of each 1 / σ²_α,i and 1 / σ²_β,i; (4, None) weighs as much as eight posts that are as far
            off as posts of all hashtags are: no rate stands for shape × the variance within hashtags, from the data.
        hashtag_prior: the same of the precisions of coefficients between hashtags.
        device: of torch; computation is in float64.

    Returns:
        The fit. `converged` says whether it is one.

    Raises:
        DataError: the data are not as above; names what, how often and where first.
        ConfigError: an option is not as above.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(300, 1))
        >>> rate, start = np.exp(rng.normal(5, 0.3, 300)), np.exp(6 + 0.5 * x[:, 0])
        >>> y = rate[:, None] * np.log(np.arange(1, 8)) + start[:, None] + rng.normal(0, 10, (300, 7))
        >>> fit = fit_growth(y, days=np.arange(1, 8), hashtag=np.arange(300) % 5, covariates=x)
        >>> fit.converged, round(float(fit.mu_beta[1]), 2), round(fit.tau)
        (True, 0.5, 10)
    """
    _check_options(noise, initial, iterations, tolerance, mean_sd, (noise_prior, post_prior, hashtag_prior), tau)
    observed = check_inputs(impressions, days, hashtag, covariates)
    if tau is None and (~np.isnan(observed.impressions)).sum(axis=1).max() < 3:
        log.warning("No post lists three days: a curve fits any two counts, so tau and all intervals rest on priors.")
    posts, units, regressors_NK = prepare(observed, noise=noise, initial=initial, device=torch.device(device))
    priors = Priors(
        mean_sd=mean_sd,
        noise=noise_prior,
        post=post_prior,
        hashtag=hashtag_prior,
        tau=tau / units.unit if tau is not None and noise == "absolute" else tau,
    )
    found = estimate(posts, priors, iterations=iterations, tolerance=tolerance)
    if not found.converged:
        log.warning("The growth model did not converge in %d iterations: give it more.", iterations)
    collect, size = posts.layout.collect, regressors_NK.shape[1]
    parameters, state, spread = found.parameters, found.state, found.spread
    between = parameters.hashtag_variance.sqrt().tolist()
    within_H2 = parameters.post_variance.sqrt().cpu().numpy()
    mean_K, coefficients_HK = parameters.mean.cpu().numpy(), state.coefficients.cpu().numpy()
    mean_covariance_KK = state.mean_covariance.cpu().numpy()
    a_sd, b_sd = np.sqrt(collect(spread.aa)), np.sqrt(collect(spread.bb))
    spread_of_noise = float(parameters.noise.sqrt())
    regressions = Regressions(
        regressors=regressors_NK,
        a=collect(state.a),
        b=collect(state.b),
        mean=mean_K,
        mean_covariance=mean_covariance_KK,
        coefficients=coefficients_HK,
        covariance=state.covariance.cpu().numpy(),
    )
    return GrowthFit(
        a=regressions.a + np.log(units.unit),
        b=regressions.b + np.log(units.unit),
        a_sd=a_sd,
        b_sd=b_sd,
        ab_correlation=collect(spread.ab) / (a_sd * b_sd),
        mu_alpha=units.coefficients(mean_K[:size]),
        mu_alpha_sd=units.standard_errors(mean_covariance_KK[:size, :size]),
        mu_beta=units.coefficients(mean_K[size:]),
        mu_beta_sd=units.standard_errors(mean_covariance_KK[size:, size:]),
        alpha=units.coefficients(coefficients_HK[:, :size]),
        beta=units.coefficients(coefficients_HK[:, size:]),
        sigma_alpha_i=within_H2[:, 0],
        sigma_beta_i=within_H2[:, 1],
        sigma_alpha0=between[0],
        sigma_alpha=between[1],
        sigma_beta0=between[2],
        sigma_beta=between[3],
        tau=spread_of_noise * units.unit if noise == "absolute" else spread_of_noise,
        noise_sd=spread_of_noise * (np.exp(regressions.b) * units.unit if noise == "cumulative" else units.scale),
        last=_last(observed.impressions, observed.days) if noise == "cumulative" else None,
        hashtags=observed.hashtags,
        hashtag=observed.hashtag,
        first_days_filled=units.first_filled,
        log_posterior=tuple(value - posts.observations * np.log(units.unit) for value in found.log_posterior),
        iterations=len(found.log_posterior),
        converged=found.converged,
        regressions=regressions,
    )


def _last(impressions: Reals, days: Reals) -> Last:
    ends = listed(impressions, days)
    return Last(day=ends.last_day, count=ends.last)


def _check_options(
    noise: str,
    initial: str,
    iterations: int,
    tolerance: float,
    mean_sd: float,
    gammas: tuple[tuple[float, float | None], ...],
    tau: float | None,
) -> None:
    for name, value, choices in (
        ("noise", noise, get_args(Noise)),
        ("initial", initial, get_args(Initial)),
    ):
        if value not in choices:
            raise ConfigError(f'{name}="{value}" is none of: {", ".join(choices)}.')
    if iterations < 1 or not tolerance > 0 or not mean_sd > 0:
        raise ConfigError(
            f"iterations={iterations}, tolerance={tolerance}, mean_sd={mean_sd}: all have to be positive."
        )
    if tau is not None and not tau > 0:
        raise ConfigError(f"tau={tau} has to be positive, or None to estimate it.")
    if any(not (shape > 0 and (rate is None or rate > 0)) for shape, rate in gammas):
        raise ConfigError(f"Gamma priors have to have positive shape and rate: {gammas}.")
