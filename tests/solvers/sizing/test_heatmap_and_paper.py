"""The heatmap against brute force and solve, and Tian et al. (2022), Figure 12 and section 4.4."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from micromega.errors import ConfigError
from micromega.solvers.sizing import SizingProblem, heatmap, optimal_followers, verify
from micromega.solvers.sizing.hull import upper_hull

VALUES = [0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2]
COSTS = [5, 10, 15, 20, 25, 50, 75, 100]
FIGURE_12 = np.array(
    [
        [275, 150, 123, 100, 82, 45, 30, 24],
        [504, 275, 183, 150, 123, 82, 55, 45],
        [756, 412, 275, 225, 184, 100, 82, 67],
        [925, 504, 337, 275, 225, 123, 100, 82],
        [1132, 617, 412, 337, 275, 150, 123, 100],
        [1132, 756, 504, 412, 337, 184, 123, 100],
        [1385, 756, 617, 412, 337, 225, 150, 123],
        [1385, 925, 617, 504, 412, 225, 150, 123],
        [1695, 925, 756, 617, 412, 275, 184, 150],
        [1695, 1132, 756, 617, 504, 275, 184, 150],
    ]
)
"""Thousands of followers; one value a row, one cost a column."""

GRID = np.linspace(np.log(300), np.log(5e6), 80)


def curve(parameters):
    return 5 + 0.1 * GRID + sum(a / (1 + np.exp(-s * (GRID - m))) for a, s, m in parameters)


def problem_of(log_impressions, **changes):
    return SizingProblem(
        log_followers=GRID, log_impressions=log_impressions, value_per_impression=0.02, cost_per_thousand=10, **changes
    )


steps = st.lists(st.tuples(st.floats(0.3, 3), st.floats(0.5, 3), st.floats(7, 14)), min_size=1, max_size=3)


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_hull_against_scipy(seed):
    rng = np.random.default_rng(seed)
    x, y = np.sort(rng.random(30)), rng.random(30)
    corners = upper_hull(x, y)
    low = min(y.min(), 0) - 10  # the lower side of this hull is two far points
    every = ConvexHull(np.column_stack([np.r_[x, x[0], x[-1]], np.r_[y, low, low]])).vertices
    assert corners.tolist() == sorted(int(corner) for corner in every if corner < 30)
    assert np.all(np.diff(np.diff(y[corners]) / np.diff(x[corners])) < 0)


def test_hull_of_points_on_a_line_keeps_the_ends():
    assert upper_hull(np.arange(5.0), 2 * np.arange(5.0)).tolist() == [0, 4]


@given(parameters=steps, support=st.booleans())
@settings(max_examples=15, deadline=None)
def test_every_cell_is_as_good_as_a_search_of_its_own(parameters, support):
    limits = (np.log(5e3), np.log(2e5)) if support else None
    problem = problem_of(curve(parameters), support=limits, fixed_cost=20.0)
    found = heatmap(problem, values=VALUES[::5], costs=COSTS[::3])
    for row, value in enumerate(VALUES[::5]):
        for column, cost in enumerate(COSTS[::3]):
            plan = optimal_followers(
                log_followers=GRID,
                log_impressions=curve(parameters),
                value_per_impression=value,
                cost_per_thousand=cost,
                support=limits,
                fixed_cost=20.0,
            )
            revenue = plan.supported.profit + plan.supported.cost
            assert found.profit[row, column] == pytest.approx(plan.supported.profit, abs=1e-3 * revenue)
            if support:
                assert 5e3 * 0.999 <= found.followers[row, column] <= 2e5 * 1.001
            if not found.inside_support[row, column]:
                assert plan.inside_support is False


@given(parameters=steps)
@settings(max_examples=25, deadline=None)
def test_more_value_or_less_cost_never_means_fewer_followers(parameters):
    found = heatmap(problem_of(curve(parameters)), values=VALUES, costs=COSTS)
    assert np.all(np.diff(found.followers, axis=0) >= 0)
    assert np.all(np.diff(found.followers, axis=1) <= 0)
    assert found.followers[0, 0] == found.followers[1, 1] == found.followers[3, 3], "only the ratio counts"
    assert found.inside_support.all()


def test_free_followers_and_what_is_refused():
    found = heatmap(problem_of(curve([(2, 1, 10)])), values=0.02, costs=0)
    assert found.followers == pytest.approx(np.array([[5e6]]))
    with pytest.raises(ConfigError, match="value per impression"):
        heatmap(problem_of(GRID), values=[0.0], costs=[1])
    with pytest.raises(ConfigError, match="cost per 1,000"):
        heatmap(problem_of(GRID), values=[0.1], costs=[-1])


def walmart():
    """Impressions of Walmart's post that Figure 12 implies, on the paper's own grid (steps of 0.2 in log followers).

    In each cell the marginal impressions of one more follower at the optimum are cost / value. That gives R'(F) up to a
    step of the grid; the level is that of the text: a profit of 8,225 at 150,000 followers, 0.02 and 10.
    """
    ratio = (np.array(COSTS) / 1000 / np.array(VALUES)[:, None]).ravel()
    followers = FIGURE_12.ravel() * 1000.0
    sizes = np.exp(np.log(150e3) + 0.2 * np.arange(-10, 18))
    nearest = np.argmin(np.abs(np.log(followers)[:, None] - np.log(sizes)), axis=1)
    known = np.unique(nearest)
    marginal = np.exp([np.log(ratio[nearest == k]).mean() for k in known])
    u = np.linspace(np.log(sizes[known[0]]), np.log(sizes[known[-1]]), 400)
    slope = np.exp(np.interp(u, np.log(sizes[known]), np.log(marginal)))
    rise = np.concatenate([[0], np.cumsum(np.diff(np.exp(u)) * (slope[1:] + slope[:-1]) / 2)])
    impressions = (8225 + 1500) / 0.02 + rise - np.interp(np.log(150e3), u, rise)
    return u, np.log(impressions)


def test_figure_12_depends_on_the_ratio_alone():
    """Cells of one ratio agree within a step of the paper's grid (a factor exp 0.2)."""
    ratio = np.round(np.array(COSTS) / 1000 / np.array(VALUES)[:, None], 9)
    for value in np.unique(ratio):
        cells = FIGURE_12[ratio == value]
        assert cells.max() / cells.min() < np.exp(0.21)


def test_figure_12_is_reproduced_within_a_step_of_its_grid():
    u, log_impressions = walmart()
    problem = SizingProblem(
        log_followers=u, log_impressions=log_impressions, value_per_impression=0.02, cost_per_thousand=10
    )
    found = heatmap(problem, values=VALUES, costs=COSTS)
    assert np.abs(np.log(found.followers / (1000 * FIGURE_12))).max() < 0.21


def test_walmarts_optimum():
    """About 150K followers, mid-tier, at 0.02 per impression and 10 per 1,000 followers, earning 8,225.

    The text's comparisons do not follow from the figure: with its slopes the best micro creator (50K) earns about 14 %
    less (the optimum is 16 % better, not 37 %), and 1.5M followers lose money, while the text has an eighth of the
    optimum's profit. So no test holds us to them.
    """
    u, log_impressions = walmart()
    plan = optimal_followers(
        log_followers=u,
        log_impressions=log_impressions,
        value_per_impression=0.02,
        cost_per_thousand=10,
        actual=[50_000, 1_500_000],
    )
    assert plan.optimum.followers == pytest.approx(150e3, rel=0.15)
    assert plan.optimum.profit == pytest.approx(8225, rel=0.01)
    assert plan.optimum.tier == "mid-tier"
    assert plan.optimum.elasticity == pytest.approx(1500 / 9725, rel=0.15), "value · FEI · R = c · F"
    micro, mega = plan.comparisons
    assert 5 < micro.better_percent < 30
    assert mega.choice.profit < 0
    assert verify(plan.problem, plan).ok
