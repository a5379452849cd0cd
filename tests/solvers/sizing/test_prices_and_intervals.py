"""Prices of other forms, and the interval of the best size."""

import numpy as np
import pytest

from micromega.solvers.sizing import Standing, optimal_followers, verify
from micromega.tiers import TIERS

GRID = np.linspace(np.log(300), np.log(5e6), 150)
CURVE = np.log(1600) + 0.5 * GRID


def plan_of(**changes):
    settings = {"log_followers": GRID, "log_impressions": CURVE, "value_per_impression": 0.02}
    return optimal_followers(**{**settings, **changes})


def test_three_ways_to_say_the_same_price():
    linear = plan_of(cost_per_thousand=40)
    for cost in (lambda followers: 0.04 * followers, 0.04 * np.exp(GRID)):
        plan = plan_of(cost=cost)
        assert plan.optimum.followers == pytest.approx(linear.optimum.followers, rel=1e-6)
        assert plan.optimum.profit == pytest.approx(linear.optimum.profit)
        assert verify(plan.problem, plan).ok


def test_a_power_price_has_a_closed_form():
    """32 F^.5 = b F^.9 at the margin: F* = (16 / (0.9 b))^(1 / 0.4)."""
    plan = plan_of(cost=lambda followers: 0.1 * followers**0.9)
    assert plan.optimum.followers == pytest.approx((16 / 0.09) ** 2.5, rel=1e-5)


def test_a_jump_of_the_price_stops_the_growth_just_below_it():
    """Prices by tier: 400, then 90,000 from 100,000 followers on; more followers cost nothing below the jump."""
    plan = plan_of(cost=lambda followers: np.where(followers < 1e5, 400.0, 90_000.0))
    assert plan.optimum.followers == pytest.approx(1e5, rel=1e-5)
    assert plan.optimum.followers < 1e5
    assert plan.optimum.profit == pytest.approx(32 * np.sqrt(1e5) - 400, rel=1e-5)
    assert [(root.kind, root.smooth) for root in plan.roots] == [("maximum", False), ("minimum", False)]
    assert verify(plan.problem, plan).ok


def test_a_kink_of_the_price():
    """10 per 1,000 followers up to 50,000, then 90 per 1,000: the margin jumps over the revenue's."""
    plan = plan_of(cost=lambda followers: 0.01 * followers + 0.08 * np.maximum(followers - 5e4, 0))
    assert plan.optimum.followers == pytest.approx(5e4, rel=1e-5)
    assert [(root.kind, root.smooth) for root in plan.roots] == [("maximum", False)]
    assert plan.standing is Standing.INTERIOR
    assert verify(plan.problem, plan).ok


def test_draws_of_the_level_give_the_percentiles_of_the_closed_form():
    """log R shifted by s moves F* by exp(2 s): percentiles of F* are those of s, and profit is that of a fixed F."""
    shift = np.random.default_rng(0).normal(0, 0.2, 500)
    plan = plan_of(cost_per_thousand=40, draws=CURVE + shift[:, None], level=0.9)
    low, high = 160_000 * np.exp(2 * np.quantile(shift, [0.05, 0.95]))
    assert plan.interval.method == "draws"
    assert plan.interval.followers == pytest.approx((low, high), rel=0.01)
    earned = np.quantile(0.02 * 640_000 * np.exp(shift) - 6_400, [0.05, 0.95])
    assert plan.interval.profit == pytest.approx(tuple(earned), rel=1e-3)
    sizes = 160_000 * np.exp(2 * shift)
    assert plan.interval.tier_shares[TIERS.index("mid-tier")] == pytest.approx(
        np.mean((sizes >= 5e4) & (sizes < 5e5)), abs=0.01
    )
    assert plan.interval.tier_shares.sum() == pytest.approx(1)


def test_the_band_holds_the_optimum_of_every_curve_in_it():
    """Random smooth curves between lower and upper: their best sizes all lie in the set; it is not the whole range."""
    rng = np.random.default_rng(1)
    half = 0.1 + 0.02 * np.abs(GRID - 11)
    plan = plan_of(cost_per_thousand=40, lower=CURVE - half, upper=CURVE + half)
    assert plan.interval.method == "band"
    low, high = plan.interval.followers
    assert np.exp(GRID[0]) < low < 160_000 < high < np.exp(GRID[-1])
    for _ in range(200):
        wave = np.clip(sum(rng.normal() * np.sin(k * GRID / 2 + rng.uniform(0, 6)) for k in range(1, 5)), -1, 1)
        profit = 0.02 * np.exp(CURVE + wave * half) - 0.04 * np.exp(GRID)
        assert low <= np.exp(GRID[np.argmax(profit)]) <= high
    assert plan.profit_lower == pytest.approx(0.02 * np.exp(CURVE - half) - 0.04 * np.exp(GRID))
    assert np.all(plan.profit_upper > plan.profit)


def test_no_band_no_interval_and_support_limits_it():
    assert plan_of(cost_per_thousand=40).interval is None
    band = {"lower": CURVE - 0.3, "upper": CURVE + 0.3}
    plan = plan_of(cost_per_thousand=40, **band, support=(np.log(1e4), np.log(2e5)))
    assert plan.interval.followers[1] == pytest.approx(2e5)
    exact = plan_of(cost_per_thousand=40, lower=CURVE, upper=CURVE)
    assert exact.interval.followers == pytest.approx((160_000, 160_000), rel=0.01)
