"""The whole posterior by NUTS, started at the fit, beside the fit (python -m pytest -m slow -s prints the numbers)."""

import time

import numpy as np
import pytest
from growth_draws import DAYS, draw

from micromega.models.growth import fit_growth

POSTS, HASHTAGS, P = 400, 10, 3


def sample(drawn, fit, *, warmup, samples, cumulative=False):
    """a, b, tau and the common coefficients, drawn from the posterior of eq. 17–23 under the fit's priors.

    Counts are in units of the fit's, regressors standardised: eq. 22 and 23 hold there.
    """
    numpyro = pytest.importorskip("numpyro", reason="the extra `bayes` (numpyro) is not installed")
    import jax
    import jax.numpy as jnp
    from numpyro import distributions as dist
    from numpyro.diagnostics import summary
    from numpyro.infer import MCMC, NUTS, init_to_value

    jax.config.update("jax_enable_x64", True)
    unit = np.median(drawn.impressions.mean(axis=1))
    y, log_t = jnp.asarray(drawn.impressions / unit), jnp.asarray(np.log(DAYS))
    x = jnp.asarray(fit.regressions.regressors)
    size = x.shape[1]
    pooled_a, pooled_b = (fit.sigma_alpha_i**2).mean(), (fit.sigma_beta_i**2).mean()  # as many posts each

    def precision(name, shape, rate, count=()):
        return numpyro.sample(name, dist.Gamma(shape, rate).expand(count).to_event(len(count)))

    def model():
        tau = precision("noise", 1e-3, 1e-6) ** -0.5
        theta = []
        for name, columns, pooled in (("a", size, pooled_a), ("b", size - 1, pooled_b)):
            mean = numpyro.sample(f"mu_{name}", dist.Normal(0, 10).expand([columns]).to_event(1))
            between = precision(f"between_{name}", 1.0, 0.01, (2,)) ** -0.5
            spread = jnp.concatenate([between[:1], jnp.repeat(between[1:], columns - 1)])
            normal = numpyro.sample(f"z_{name}", dist.Normal(0, 1).expand([HASHTAGS, columns]).to_event(2))
            within = precision(f"within_{name}", 4.0, 4 * pooled, (HASHTAGS,)) ** -0.5
            expected = (x[:, :columns] * (mean + spread * normal)[drawn.hashtag]).sum(1)
            theta.append(numpyro.sample(name, dist.Normal(expected, within[drawn.hashtag]).to_event(1)))
        a, b = theta
        if cumulative:
            step = jnp.diff(log_t)
            rate = ((y[:, -1] - y[:, 0]) / log_t[-1])[:, None]  # plugged in as known
            numpyro.sample("first", dist.LogNormal(b, tau).to_event(1), obs=y[:, 0])
            gains = dist.Normal(jnp.exp(a)[:, None] * step, tau * rate * step)
            numpyro.sample("gains", gains.to_event(2), obs=jnp.diff(y, axis=1))
        else:
            curve = jnp.exp(a)[:, None] * log_t + jnp.exp(b)[:, None]
            numpyro.sample("y", dist.Normal(curve, tau).to_event(2), obs=y)

    start = {
        "a": jnp.asarray(fit.regressions.a), "b": jnp.asarray(fit.regressions.b),
        "mu_a": jnp.asarray(fit.regressions.mean[:size]), "mu_b": jnp.asarray(fit.regressions.mean[size:]),
        "noise": (fit.tau / (1 if cumulative else unit)) ** -2.0,
        "within_a": jnp.asarray(fit.sigma_alpha_i**-2.0), "within_b": jnp.asarray(fit.sigma_beta_i**-2.0),
        "between_a": jnp.asarray([fit.sigma_alpha0**-2.0, fit.sigma_alpha**-2.0]),
        "between_b": jnp.asarray([fit.sigma_beta0**-2.0, fit.sigma_beta**-2.0]),
    }  # fmt: skip
    chain = MCMC(
        NUTS(model, max_tree_depth=8, init_strategy=init_to_value(values=start)),
        num_warmup=warmup, num_samples=samples, progress_bar=False,
    )  # fmt: skip
    chain.run(jax.random.PRNGKey(0))
    drawn_values = {name: np.asarray(values) for name, values in chain.get_samples().items()}
    of = summary({name: drawn_values[name][None] for name in ("mu_a", "mu_b", "noise")}, group_by_chain=True)
    return drawn_values, unit, min(float(np.min(values["n_eff"])) for values in of.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("cumulative", [False, True])
def test_nuts_agrees(cumulative):
    drawn = draw(
        posts=POSTS, hashtags=HASHTAGS, covariates=P, tau=0.15 if cumulative else 1500.0, cumulative=cumulative
    )
    fit = fit_growth(
        drawn.impressions, DAYS, drawn.hashtag, drawn.covariates, noise="cumulative" if cumulative else "absolute"
    )
    began = time.process_time()
    chain, unit, effective = sample(drawn, fit, warmup=400, samples=400, cumulative=cumulative)
    print(f"\nNUTS: {time.process_time() - began:.0f} CPU-s, smallest effective sample {effective:.0f}")
    tau = chain["noise"] ** -0.5 * (1 if cumulative else unit)
    print(f"tau: fit {fit.tau:.4g}, NUTS {tau.mean():.4g} ± {tau.std():.2g}, true {drawn.tau}")
    for name in ("a", "b"):
        mean, sd = chain[name].mean(0), chain[name].std(0)
        ours, ours_sd = getattr(fit.regressions, name), getattr(fit, f"{name}_sd")
        off = np.abs(ours - mean) / sd
        ratio = ours_sd / sd
        print(f"{name}: |mean - NUTS| / sd: mean {off.mean():.3f}, largest {off.max():.2f}; sd / NUTS sd: median "
              f"{np.median(ratio):.3f}, 5 to 95 % {np.quantile(ratio, [0.05, 0.95]).round(2)}")  # fmt: skip
        assert off.mean() < 0.15
        assert 0.93 < np.median(ratio) < 1.07
    mean, sd = (np.concatenate([f(chain[name], axis=0) for name in ("mu_a", "mu_b")]) for f in (np.mean, np.std))
    off = np.abs(fit.regressions.mean - mean) / sd
    ratio = np.sqrt(np.diag(fit.regressions.mean_covariance)) / sd
    print(f"common coefficients: |mean - NUTS| / sd {off.round(2)}, sd / NUTS sd {ratio.round(2)}")
    assert off.max() < 0.7
    assert abs(fit.tau - tau.mean()) < 2 * tau.std()
