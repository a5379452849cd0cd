"""Prices of other forms, and the interval of the best size."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from micromega.solvers.sizing import Standing, certify, optimal_followers, verify
from micromega.solvers.sizing.prices import PriceList
from micromega.solvers.sizing.search import _looked_at
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


@pytest.mark.parametrize("points", [5, 10, 20, 50])
@pytest.mark.parametrize("form", ["dearer", "cheaper", "uneven"])
@pytest.mark.parametrize("shape", ["constant elasticity", "two steps"])
def test_prices_at_sizes_run_straight_between_them(points, form, shape):
    """Brute force with straight lines in followers: none earns more, and the checker reads the prices the same way."""
    u = np.linspace(GRID[0], GRID[-1], points)
    bends = 5 + 0.1 * u + 2.5 / (1 + np.exp(-3 * (u - 8))) + 2.5 / (1 + np.exp(-3 * (u - 13)))
    curve = 6 + 0.4 * u if shape == "constant elasticity" else bends
    price = {
        "dearer": 1e-3 * np.exp(1.3 * u),
        "cheaper": 0.3 * np.exp(0.7 * u),
        "uneven": np.cumsum(np.random.default_rng(points).uniform(0, 3000, points)),
    }[form]
    support = (GRID[0] + 0.7, GRID[-1] - 2.1)
    plan = plan_of(log_followers=u, log_impressions=curve, cost=price, support=support)
    certificate = verify(plan.problem, plan)
    assert certificate.ok, [check.words for check in certificate.checks if not check.ok]
    fine = np.unique(np.concatenate([np.linspace(u[0], u[-1], 100_001), u, support]))
    profit = 0.02 * np.exp(PchipInterpolator(u, curve)(fine)) - np.interp(np.exp(fine), np.exp(u), price)
    inside = (fine >= support[0]) & (fine <= support[1])
    room = 1e-9 * np.abs(profit).max()
    for found, brute in ((plan.optimum, profit.max()), (plan.supported, profit[inside].max())):
        assert brute - room <= found.profit <= brute + 1e-4 * np.abs(brute)
        at = np.interp(found.followers, np.exp(u), price)
        assert found.cost == pytest.approx(at), "the price of the size is the list's"


def test_a_corner_between_two_lines_is_hit_exactly():
    """Prices that turn dear at 30,000 followers, a point of the grid: the best size is just that."""
    u = np.sort(np.append(np.linspace(GRID[0], GRID[-1], 12), np.log(30_000)))
    price = 0.01 * np.exp(u) + 0.3 * np.maximum(np.exp(u) - 30_000, 0)
    plan = plan_of(log_followers=u, log_impressions=np.log(1600) + 0.5 * u, cost=price)
    assert plan.optimum.followers == pytest.approx(30_000, rel=1e-12)
    assert verify(plan.problem, plan).ok


def test_corners_of_a_price_list_off_the_grid():
    """Cheap sizes of a list are valleys of the price: the best one is found between points of a coarse grid."""
    u = np.linspace(GRID[0], GRID[-1], 4)
    listed = PriceList(np.array([1e3, 7e3, 9e3, 3e5]), np.array([200.0, 2_000.0, 500.0, 90_000.0]))
    plan = plan_of(log_followers=u, log_impressions=np.log(1600) + 0.5 * u, cost=listed)
    fine = np.concatenate([np.linspace(u[0], u[-1], 100_001), np.log(listed.followers)])
    profit = 32 * np.exp(fine / 2) - listed(np.exp(fine))
    assert plan.optimum.followers == pytest.approx(9_000, rel=1e-9)
    assert plan.optimum.profit == pytest.approx(profit.max())
    certificate = verify(plan.problem, plan)
    assert certificate.ok
    assert certificate.upper_bound >= certificate.objective


def valley(half=1e3):
    """A size that costs next to nothing inside a cell of the grid, whose ends are dear."""
    u = np.linspace(np.log(1e3), np.log(1e6), 6)
    sizes = np.array([1e3, 2.1e4 - half, 2.1e4, 2.1e4 + half, 1e6])
    listed = PriceList(sizes, np.array([900.0, 5000, 1, 5000, 9e5]))
    return plan_of(log_followers=u, log_impressions=np.log(1600) + 0.5 * u, cost=listed)


def test_the_bound_knows_the_cheap_sizes_inside_a_cell():
    """Within the cell, at best its upper end's impressions for 1: 32 · 10^2.4 − 1 with cells of .6 decades."""
    plan = valley()
    certificate = verify(plan.problem, plan)
    assert certificate.ok
    assert certificate.objective == pytest.approx(32 * np.sqrt(2.1e4) - 1)
    assert certificate.upper_bound == pytest.approx(32 * 10**2.4 - 1)
    assert certificate.gap == pytest.approx(certificate.upper_bound / certificate.objective - 1)


def test_a_price_that_is_any_function_has_no_bound():
    plan = plan_of(cost=lambda followers: 0.04 * followers)
    certificate = verify(plan.problem, plan)
    assert certificate.ok
    assert np.isnan([certificate.upper_bound, certificate.gap]).all()
    assert json.loads(certificate.to_json())["upper_bound"] is None


def test_an_optimum_above_the_bound_fails(monkeypatch):
    plan = valley()
    monkeypatch.setattr(certify, "_bound", lambda *_: 3_933.79)
    (broken,) = (check for check in verify(plan.problem, plan).checks if not check.ok)
    assert broken.name == "upper bound"


@pytest.mark.parametrize("sizes", [[5e3], [200.0, 4e3, 1e5], [1e3, 1e8]])
def test_the_checker_reads_a_price_list_by_itself(monkeypatch, sizes):
    listed = PriceList(np.array(sizes), 40.0 * np.sqrt(sizes))
    plan = plan_of(cost=listed)
    assert verify(plan.problem, plan).ok
    assert verify(plan.problem, plan).spend == pytest.approx(plan.optimum.cost, rel=1e-12)
    monkeypatch.setattr(PriceList, "__call__", lambda _, followers: 0.9 * followers)
    wrong = plan_of(cost=listed)
    assert "profit curve" in {check.name for check in verify(wrong.problem, wrong).checks if not check.ok}


def test_a_better_corner_of_a_price_list_is_not_overlooked_by_the_checker():
    """The valley lies between two points of the checker's own grid."""
    plan = valley(half=50)
    worse = plan.tiers[0]
    failed = {check.name for check in verify(plan.problem, replace(plan, optimum=worse)).checks if not check.ok}
    assert "optimum: none better" in failed


def test_an_optimum_at_the_end_is_its_own_bound():
    """Cheaper the larger: bound and objective are the same number but for rounding."""
    for end in np.linspace(11, 12, 50):
        u = np.linspace(6, end, 17)
        plan = plan_of(log_followers=u, log_impressions=6 + u / 2, cost=100 - u)
        certificate = verify(plan.problem, plan)
        assert certificate.ok
        assert certificate.upper_bound >= certificate.objective
        assert certificate.gap < 1e-12


def test_what_is_looked_at_stays_on_the_curve_and_in_memory():
    """A price at each of 1,000 points: sixteen million distances would take 128 MB."""
    grid = np.linspace(np.log(300), np.log(5e6), 1_000)
    problem = plan_of(log_followers=grid, log_impressions=6 + 0.5 * grid, cost=0.01 * np.exp(grid)).problem
    tracemalloc.start()
    u = _looked_at(problem)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10e6
    corner = grid[1:-1]
    assert np.isin(np.concatenate([corner - 1e-6, corner, corner + 1e-6]), u).all()
    assert (np.diff(u) > 5e-7).all()
    close = PriceList(np.exp([GRID[0] + 5e-7, GRID[-1] - 5e-7]), np.array([5.0, 5e4]))
    u = _looked_at(plan_of(cost=close).problem)
    assert (u[0], u[-1]) == (GRID[0], GRID[-1])


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
