"""Counts that accumulate: sums against the joint normal density of all counts, recovery, coverage, forecasts."""

from itertools import pairwise

import numpy as np
import pytest
from growth_draws import DAYS, covered, draw

from micromega.errors import DataError
from micromega.models.growth import fit_growth
from micromega.models.growth.forecast import Last, predict
from micromega.models.growth.sums import FLOOR, day_variance, of_gains

TAU = 0.15


def some_counts():
    """20 posts on days in no order, with gaps; some that list one day, stand still, start at nothing, or fall."""
    rng = np.random.default_rng(0)
    days = np.array([7.0, 1, 30, 2, 12, 3, 4])
    rise = np.array([0.5, 1.4]) * rng.gamma(4, 0.25, (20, 1))
    z = rise[:, [0]] + rise[:, [1]] * np.log(days) * rng.uniform(0.9, 1.1, (20, 7))
    z[rng.random(z.shape) < 0.35] = np.nan
    z[0] = np.nan
    z[0, 3] = 1.7
    z[1] = np.where(days == 1, 0.9, np.nan)
    z[2] = 1.0
    z[3, days == 1] = 0.0
    z[4] = np.where(days < 10, 2.0, 1.8)
    return days, z


def steps(first, last):
    """Rises of log t day by day."""
    return np.diff(np.log(np.arange(first, last + 1)))


def test_sums_are_the_joint_density_of_counts_that_accumulate_day_by_day():
    days, z = some_counts()
    sums, by_hand = of_gains(z, days), 0.0
    for n, row in enumerate(z):
        shown = np.flatnonzero(~np.isnan(row))
        shown = shown[np.argsort(days[shown])]
        t, y = days[shown].astype(int), row[shown]
        floor = FLOOR * y.mean()
        several = len(t) > 1
        rate = max((y[-1] - y[0]) / np.log(t[-1] / t[0]), floor) if several else 0.0
        start = max(y[0] - rate * np.log(t[0]), floor)
        # Of one unit of tau²: every day's gain adds its own variance, and all later counts keep it.
        to_day = np.array([start**2 + rate**2 * (steps(1, day) ** 2).sum() for day in t])
        covariance = np.minimum(to_day[:, None], to_day[None, :])
        by_hand += -np.linalg.slogdet(covariance)[1] / 2
        for A, B in ((0.2, 0.1), (1.3, 0.4), (5.0, 2.0)):
            off, of_first = y - A * np.log(t) - B, 0.0
            if t[0] == 1:  # the normal of the first day's count is a log-normal instead; later ones are given it
                off, of_first = off - (y[0] - B), (np.log(B) - np.log(start)) ** 2
            apart = (A - sums.A[n]) ** 2 * sums.log_t2[n] + (B - sums.B[n]) ** 2 * sums.days[n]
            apart += 2 * (A - sums.A[n]) * (B - sums.B[n]) * sums.log_t[n] + sums.least[n]
            apart += sums.on_first[n] * (np.log(B) - sums.log_first[n]) ** 2
            assert apart == pytest.approx(off @ np.linalg.solve(covariance, off) + of_first, rel=1e-9)
    assert sums.log_weights == pytest.approx(by_hand, rel=1e-9)
    assert sums.A[0] == sums.A[1] == sums.least[0] == sums.least[1] == sums.A[2] == 0
    assert np.isfinite([getattr(sums, name) for name in ("days", "log_t", "log_t2", "A", "B", "least")]).all()


def test_gains_are_least_squares_with_weights():
    days, z = some_counts()
    sums = of_gains(z, days)
    n = 7
    shown = np.flatnonzero(~np.isnan(z[n]))
    shown = shown[np.argsort(days[shown])]
    t, y = days[shown].astype(int), z[n, shown]
    assert len(t) > 3
    spread = np.sqrt([(steps(s, u) ** 2).sum() for s, u in pairwise(t)])
    (slope,), *_ = np.linalg.lstsq((np.log(t[1:] / t[:-1]) / spread)[:, None], np.diff(y) / spread, rcond=None)
    assert sums.A[n] == pytest.approx(slope)
    assert sums.B[n] == pytest.approx(y[0] - slope * np.log(t[0]))


def test_variance_of_days():
    assert day_variance(np.array([1.0, 2, 14])) == pytest.approx(
        [0, np.log(2) ** 2, (np.diff(np.log(DAYS)) ** 2).sum()]
    )
    fine = day_variance(np.linspace(1, 6, 500))
    assert (np.diff(fine) > 0).all()
    assert day_variance(np.array([2.5])) == pytest.approx(np.log(2) ** 2 + np.log(1.25) ** 2)


@pytest.fixture(scope="module")
def drawn():
    return draw(posts=2000, covariates=2, tau=TAU, cumulative=True)


@pytest.fixture(scope="module")
def fit(drawn):
    return fit_growth(drawn.impressions, DAYS, drawn.hashtag, drawn.covariates, noise="cumulative", tolerance=0.01)


def test_known_parameters_are_recovered(drawn, fit):
    assert fit.converged
    assert fit.tau == pytest.approx(TAU, rel=0.03)
    assert fit.noise_sd == pytest.approx(fit.tau * np.exp(fit.b))
    for name in ("mu_alpha", "mu_beta"):
        off = np.abs(getattr(fit, name) - getattr(drawn, name)) / getattr(fit, f"{name}_sd")
        assert off.max() < 4
    assert np.sqrt(np.mean((fit.a - drawn.a) ** 2)) < 0.06
    assert np.sqrt(np.mean((fit.b - drawn.b) ** 2)) < 0.18


@pytest.mark.parametrize("hidden", [0.0, 0.4])
def test_intervals_cover_what_they_promise(hidden):
    for seed in range(2):
        drawn = draw(posts=800, hashtags=8, covariates=2, seed=seed, tau=TAU, cumulative=True)
        y = drawn.impressions.copy()
        gone = np.random.default_rng(seed).random(y.shape) < hidden
        gone[:, 5] = False  # a day is left of every post
        y[gone] = np.nan
        found = fit_growth(y, DAYS, drawn.hashtag, drawn.covariates, noise="cumulative", tolerance=0.01)
        for share in covered(found, drawn):
            assert 0.92 < share < 0.98
        assert found.tau == pytest.approx(TAU, rel=0.05)


def test_later_counts_go_on_from_the_last(drawn):
    y = drawn.impressions[:, :10].copy()
    y[::2, 8:] = np.nan  # every other post is listed to day 8
    shorter = fit_growth(y, DAYS[:10], drawn.hashtag, drawn.covariates, noise="cumulative", tolerance=0.01)
    later = shorter.predict(DAYS[10:])
    counts = drawn.impressions[:, 10:]
    for start in (0, 1):
        inside = (later.lower <= counts) & (counts <= later.upper)
        assert inside[start::2].mean() == pytest.approx(0.95, abs=0.02)
    last = np.where(np.arange(2000) % 2, y[:, 9], y[:, 7])
    begun = np.where(np.arange(2000) % 2, 10, 8)
    gain = np.exp(shorter.a + shorter.a_sd**2 / 2) * np.log(14 / begun)
    assert later.mean[:, -1] == pytest.approx(last + gain)
    with pytest.raises(DataError, match=r"9 is not after day 10.*1000 post\(s\).*row 1 of those"):
        shorter.predict([9, 20])
    assert shorter.predict([9], posts=[0, 2]).mean.shape == (2, 1)
    curve = shorter.predict([1, 9], noise=False).mean
    assert curve[:, 0] == pytest.approx(np.exp(shorter.b + shorter.b_sd**2 / 2))


def test_forecast_of_what_goes_on_against_draws():
    rng = np.random.default_rng(0)
    a, sa, tau, last = 6.0, 0.3, 0.5, 900.0
    A = np.exp(a + sa * rng.standard_normal(200_000))
    gains = np.log(np.arange(6, 13) / np.arange(5, 12)) * (1 + tau * rng.standard_normal((200_000, 7)))
    counts = last + np.cumsum(A[:, None] * gains, axis=1)[:, [0, 6]]
    found = predict(
        mean=(np.array([a]), np.array([5.0])), sd=(np.array([sa]), np.array([0.4])), correlation=np.array([0.3]),
        noise_sd=np.array([np.nan]), last=Last(day=np.array([5.0]), count=np.array([last])), tau=tau, days=[6, 12],
        level=0.9,
    )  # fmt: skip
    assert found.mean[0] == pytest.approx(counts.mean(0), rel=0.002)
    inside = ((counts > found.lower[0]) & (counts < found.upper[0])).mean(0)
    assert inside == pytest.approx([0.9, 0.9], abs=0.02)


@pytest.mark.parametrize(("spread", "last"), [(0.3, 900.0), (0.8, 3_000.0), (0.5, 100_000.0)])
def test_each_side_of_a_forecast_holds_its_half_and_counts_never_fall(spread, last):
    rng = np.random.default_rng(1)
    a, tau = 6.0, 0.15
    A = np.exp(a + spread * rng.standard_normal(200_000))
    gains = np.log(np.arange(6, 13) / np.arange(5, 12)) * (1 + tau * rng.standard_normal((200_000, 7)))
    counts = last + (A[:, None] * gains).sum(axis=1)
    found = predict(
        mean=(np.array([a]), np.array([5.0])), sd=(np.array([spread]), np.array([0.4])), correlation=np.array([0.3]),
        noise_sd=np.array([np.nan]), last=Last(day=np.array([5.0]), count=np.array([last])), tau=tau, days=[12],
        level=0.95,
    )  # fmt: skip
    assert found.lower[0, 0] > last
    assert (counts < found.lower[0, 0]).mean() == pytest.approx(0.025, abs=0.008)
    assert (counts > found.upper[0, 0]).mean() == pytest.approx(0.025, abs=0.008)


@pytest.mark.parametrize("days", [[], ["x"], [1e12], [0.5], [np.nan]])
def test_days_that_are_none_are_refused(days, drawn):
    fit = fit_growth(
        drawn.impressions[:200], DAYS, drawn.hashtag[:200], drawn.covariates[:200], noise="cumulative", iterations=2
    )
    with pytest.raises(DataError, match="days"):
        fit.predict(days)
    for posts in ([500], [1.0], [[1]]):
        with pytest.raises(DataError, match="posts"):
            fit.predict([20], posts=posts)
    assert len(fit.predict([20], posts=np.arange(200) < 3).mean) == 3


def test_the_floor_keeps_posts_that_stand_still_or_start_at_nothing():
    drawn = draw(posts=300, hashtags=5, covariates=1, tau=TAU, cumulative=True)
    y = drawn.impressions.copy()
    y[0] = y[0, 0]
    y[1, 0] = 0
    y[2, 1:] = np.nan
    fit = fit_growth(y, DAYS, drawn.hashtag, drawn.covariates, noise="cumulative", initial="log", iterations=100)
    for values in (fit.a, fit.b, fit.a_sd, fit.b_sd, fit.ab_correlation):
        assert np.isfinite(values).all()
    assert fit.a[0] < fit.a[3:].min()
    assert fit.b[1] < fit.b[3:].min()
    assert fit.a_sd[2] > 2 * np.median(fit.a_sd)
