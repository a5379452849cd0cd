"""The best size against closed forms, brute force and general properties."""

import doctest
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import ConfigError, DataError
from micromega.solvers.plan import Status
from micromega.solvers.sizing import Standing, compare, optimal_followers, verify

GRID = np.linspace(np.log(300), np.log(5e6), 120)


def clear_of(points, distance):
    """Points so far from each other and from the grid's ends that interpolation cannot make or lose them."""
    every = np.concatenate([GRID[[0, -1]], points])
    return [point for point in points if np.sum(np.abs(every - point) < distance) == 1]


def sigmoids(u, parameters):
    """Log impressions: a floor and a few steps (height, steepness, middle)."""
    return 5 + 0.1 * u + sum(a / (1 + np.exp(-s * (u - m))) for a, s, m in parameters)


steps = st.lists(
    st.tuples(st.floats(0.3, 3), st.floats(0.5, 3), st.floats(7, 14)), min_size=1, max_size=3
)  # some are steeper than 1: several roots
prices = st.floats(0.5, 200)


@given(e=st.floats(0.1, 0.9), peak=st.floats(np.log(1e3), np.log(1e6)), c=st.floats(1, 100), v=st.floats(0.001, 1))
@settings(max_examples=60, deadline=None)
def test_constant_elasticity_has_a_closed_form(e, peak, c, v):
    """R = A F^e: F* = (v e A / (c / 1000))^(1 / (1 − e)); here A is such that F* is where we want it."""
    level = (1 - e) * peak + np.log(c / 1000 / (v * e))
    plan = optimal_followers(
        log_followers=GRID, log_impressions=level + e * GRID, value_per_impression=v, cost_per_thousand=c
    )
    best = np.exp(peak)
    assert plan.optimum.followers == pytest.approx(best, rel=1e-8)
    assert plan.optimum.profit == pytest.approx(c / 1000 * best * (1 / e - 1))
    assert plan.optimum.elasticity == pytest.approx(e)
    assert [root.kind for root in plan.roots] == ["maximum"]
    assert plan.standing is Standing.INTERIOR
    assert plan.status is Status.OPTIMAL
    assert verify(plan.problem, plan).ok


@given(parameters=steps, c=prices, low=st.floats(6, 10), width=st.floats(1, 5))
@settings(max_examples=60, deadline=None)
def test_s_curves_against_brute_force(parameters, c, low, width):
    """The exact function on 200,000 sizes: none earns more than a hair above the plan; all turning points are found."""
    plan = optimal_followers(
        log_followers=GRID,
        log_impressions=sigmoids(GRID, parameters),
        value_per_impression=0.02,
        cost_per_thousand=c,
        support=(low, low + width),
    )
    ends = np.clip([low, low + width], GRID[0], GRID[-1])
    u = np.unique(np.concatenate([np.linspace(GRID[0], GRID[-1], 200_001), ends]))
    revenue = 0.02 * np.exp(sigmoids(u, parameters))
    profit = revenue - c / 1000 * np.exp(u)
    room = 1e-3 * revenue.max()
    assert plan.optimum.profit == pytest.approx(profit.max(), abs=room)
    inside = (u >= low) & (u <= low + width)
    assert plan.supported.profit == pytest.approx(profit[inside].max(), abs=room)
    assert low - 1e-6 <= np.log(plan.supported.followers) <= low + width + 1e-6
    turns = u[np.flatnonzero(np.diff(np.sign(np.diff(profit)))) + 1]
    found = np.log([root.size.followers for root in plan.roots])
    for points, others in ((turns, found), (found, turns)):
        for point in clear_of(points, 3 * (GRID[1] - GRID[0])):
            assert np.abs(others - point).min() < GRID[1] - GRID[0]
    assert verify(plan.problem, plan).ok


def test_several_roots_are_all_reported_and_the_best_is_taken():
    """Two steps make maximum, minimum, maximum; a higher price moves the global optimum to the first."""
    curve = sigmoids(GRID, [(2.5, 3, 8), (2.5, 3, 13)])
    plans = [
        optimal_followers(log_followers=GRID, log_impressions=curve, value_per_impression=0.02, cost_per_thousand=c)
        for c in (1.0, 1.5)
    ]
    for plan in plans:
        assert [root.kind for root in plan.roots] == ["maximum", "minimum", "maximum"]
        for root in plan.roots:
            size = root.size
            c = plan.problem.cost_per_thousand / 1000
            assert 0.02 * size.elasticity * size.impressions == pytest.approx(c * size.followers, rel=1e-6)
        best = max((root.size for root in plan.roots if root.kind == "maximum"), key=lambda size: size.profit)
        assert plan.optimum == best
    assert plans[0].optimum.tier == "macro"
    assert plans[1].optimum.tier == "micro"


@given(parameters=steps, c=prices, factor=st.floats(1.01, 5))
@settings(max_examples=60, deadline=None)
def test_the_optimum_does_not_rise_with_the_price_and_only_the_ratio_counts(parameters, c, factor):
    def best(value, cost):
        return optimal_followers(
            log_followers=GRID,
            log_impressions=sigmoids(GRID, parameters),
            value_per_impression=value,
            cost_per_thousand=cost,
        ).optimum

    size, dearer, scaled = best(0.02, c), best(0.02, c * factor), best(0.02 * factor, c * factor)
    assert dearer.followers <= size.followers * (1 + 1e-9)
    assert dearer.profit <= size.profit
    assert scaled.profit == pytest.approx(factor * size.profit, rel=1e-9, abs=1e-9)
    assert scaled.followers == pytest.approx(size.followers, rel=1e-5)


def test_smearing_moves_a_constant_elasticity_optimum_by_a_power():
    """A factor k on impressions moves it by k^(1 / (1 − e)) (research/deepiv_fei.md, D)."""
    plain, smeared = (
        optimal_followers(
            log_followers=GRID,
            log_impressions=6 + 0.5 * GRID,
            value_per_impression=0.02,
            cost_per_thousand=20,
            smearing=k,
        )
        for k in (1.0, 1.5)
    )
    assert smeared.optimum.followers / plain.optimum.followers == pytest.approx(1.5**2)
    assert any("smearing factor 1.5" in note for note in smeared.notes)


def test_an_anchor_sets_the_level():
    plan = optimal_followers(
        log_followers=GRID,
        log_impressions=0.5 * GRID - 40,
        value_per_impression=0.02,
        cost_per_thousand=20,
        anchor=(10_000, 5_000),
    )
    assert compare(plan, 10_000).choice.impressions == pytest.approx(5_000)
    assert compare(plan, 40_000).choice.impressions == pytest.approx(10_000)
    assert any("observed post with 5,000 impressions" in note for note in plan.notes)


def test_outside_the_support_it_does_not_recommend_without_saying_so():
    settings = {
        "log_followers": GRID,
        "log_impressions": 6 + 0.5 * GRID,
        "value_per_impression": 0.02,
        "cost_per_thousand": 10,
    }
    free = optimal_followers(**settings)
    assert free.inside_support is None
    assert any("not known" in note for note in free.notes)
    plan = optimal_followers(**settings, support=(np.log(1e3), np.log(5e4)))
    assert plan.standing is Standing.EXTRAPOLATED
    assert plan.inside_support is False
    assert plan.optimum.followers == pytest.approx(free.optimum.followers)
    assert plan.supported.followers == pytest.approx(5e4)
    assert plan.recommended is plan.supported
    assert any("a guess" in note for note in plan.notes)
    assert [size.tier for size in plan.tiers] == ["nano", "micro"]
    inside = optimal_followers(**settings, support=(np.log(1e3), np.log(1e6)))
    assert (inside.standing, inside.inside_support) == (Standing.INTERIOR, True)


def test_edges_and_losses():
    steep = optimal_followers(
        log_followers=GRID, log_impressions=6 + 0.5 * GRID, value_per_impression=1, cost_per_thousand=0.001
    )
    assert steep.standing is Standing.EDGE
    assert not steep.interior
    assert steep.optimum.followers == pytest.approx(5e6)
    dear = optimal_followers(
        log_followers=GRID,
        log_impressions=6 + 0.5 * GRID,
        value_per_impression=0.02,
        cost_per_thousand=10,
        fixed_cost=1e6,
    )
    assert dear.standing is Standing.UNPROFITABLE
    assert dear.recommended is None
    assert dear.optimum.followers == pytest.approx(162_754.79, rel=1e-6), "fixed costs do not move it"


def test_comparisons_and_tiers():
    plan = optimal_followers(
        log_followers=GRID,
        log_impressions=np.log(1600) + 0.5 * GRID,
        value_per_impression=0.02,
        cost_per_thousand=40,
        actual=[10_000, 4e6],
    )
    small, large = plan.comparisons
    assert small.choice.profit == pytest.approx(0.02 * 1600 * 100 - 400)
    assert small.better_percent == pytest.approx(100 * (6400 - 2800) / 2800)
    assert large.choice.profit < 0
    assert math.isnan(large.better_percent), "a share of a loss means nothing"
    assert large.gain == pytest.approx(6400 - large.choice.profit)
    assert [size.tier for size in plan.tiers] == ["sub-nano", "nano", "micro", "mid-tier", "macro", "mega"]
    assert plan.tiers[2].followers == pytest.approx(5e4)
    assert max(plan.tiers, key=lambda size: size.profit).followers == pytest.approx(plan.optimum.followers)


def test_elasticities_of_the_network_are_used_where_they_fit():
    """On a coarse grid the true slopes make the curve, and so the optimum, much better; wrong ones are refused."""
    u = np.linspace(np.log(300), np.log(5e6), 12)
    parameters = [(3.0, 0.8, 10)]
    fine = np.linspace(GRID[0], GRID[-1], 100_001)
    exact = np.exp(fine[np.argmax(0.02 * np.exp(sigmoids(fine, parameters)) - 0.001 * np.exp(fine))])
    slope = (sigmoids(u + 1e-5, parameters) - sigmoids(u - 1e-5, parameters)) / 2e-5
    settings = {
        "log_followers": u,
        "log_impressions": sigmoids(u, parameters),
        "value_per_impression": 0.02,
        "cost_per_thousand": 1,
    }
    without, with_them, wrong = (
        optimal_followers(**settings, elasticity=given) for given in (None, slope, slope + 0.3)
    )
    miss = [abs(np.log(plan.optimum.followers / exact)) for plan in (without, with_them)]
    assert miss[1] < 0.005
    assert miss[1] < miss[0] / 3
    assert wrong.optimum == without.optimum
    assert any("not the slopes" in note for note in wrong.notes)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"log_followers": GRID[::-1]}, DataError, "three rising numbers"),
        ({"log_impressions": GRID[:-1]}, DataError, "log_impressions has shape"),
        ({"log_impressions": np.where(GRID > 10, np.nan, GRID)}, DataError, "not finite"),
        ({"value_per_impression": 0.0}, ConfigError, "must be positive"),
        ({"cost_per_thousand": None}, ConfigError, "either cost_per_thousand or a price"),
        ({"cost": GRID}, ConfigError, "either cost_per_thousand or a price"),
        ({"cost_per_thousand": -1.0}, ConfigError, "not negative"),
        ({"lower": GRID}, DataError, "both lower and upper"),
        ({"lower": GRID + 1, "upper": GRID}, DataError, "lower is above upper"),
        ({"draws": np.zeros((3, 7))}, DataError, "draws has shape"),
        ({"level": 1.0}, ConfigError, "between 0 and 1"),
        ({"support": (1.0, 2.0)}, ConfigError, "must overlap"),
        ({"smearing": 0.0}, ConfigError, "smearing"),
        ({"smearing": 1.2, "anchor": (1e4, 1e4)}, ConfigError, "exclude each other"),
        ({"anchor": (10, 1e4)}, ConfigError, "anchor: 10 followers lie outside the curve"),
        ({"actual": 1e8}, ConfigError, "actual: 100,000,000 followers lie outside the curve"),
    ],
)
def test_what_is_refused(changes, error, words):
    settings = {
        "log_followers": GRID,
        "log_impressions": GRID,
        "value_per_impression": 0.02,
        "cost_per_thousand": 10.0,
    }
    with pytest.raises(error, match=words):
        optimal_followers(**{**settings, **changes})


def test_the_examples_run():
    import micromega.solvers.sizing as package

    search = sys.modules["micromega.solvers.sizing.search"]
    for module, lines in ((package, 5), (search, 6)):
        assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=lines)
