"""The best size by direct effect of the instrument: against a closed form, and the shifted curve solved by itself."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import CubicHermiteSpline

from micromega.errors import DataError
from micromega.report.sizing import render_sizing
from micromega.solvers.sizing import SizingProblem, direct_effects, optimal_followers, solve, verify
from micromega.solvers.sizing.curves import curves_of
from micromega.solvers.sizing.direct import with_direct_effect

GRID = np.linspace(np.log(300), np.log(5e6), 100)
CENTRE = np.log(20_000.0)


def problem_of(log_impressions, elasticity, shift, **changes):
    settings = {"value_per_impression": 0.02, "cost_per_thousand": 10.0, "centre": CENTRE}
    return SizingProblem(
        log_followers=GRID,
        log_impressions=log_impressions,
        elasticity=elasticity,
        direct_shift=shift,
        **{**settings, **changes},
    )


def constant(**changes):
    return problem_of(6 + 0.5 * GRID, np.full(100, 0.5), np.full(100, 2.0), **changes)


def test_a_constant_shift_of_a_constant_elasticity_has_a_closed_form():
    """R = A F^e with e = .5 − 2 δ and A such that R at the mean log followers stays: F* = (v e A / c)^(1 / (1 − e))."""
    found = direct_effects(constant())
    assert found.zero == pytest.approx(0.25)
    assert found.deltas[[0, 20, -1]] == pytest.approx([0, 0.125, 0.25])
    inner = found.deltas <= 0.15
    e = 0.5 - 2 * found.deltas[inner]
    level = np.exp(6 + (0.5 - e) * CENTRE)
    best = (0.02 * e * level / 0.01) ** (1 / (1 - e))
    earned = 0.02 * level * best**e - 0.01 * best
    inside = best <= 5e6
    assert inside.sum() > 15
    assert found.followers[inner][inside] == pytest.approx(best[inside], rel=1e-6)
    assert found.profit[inner][inside] == pytest.approx(earned[inside], rel=1e-6)
    assert found.followers[-1] == pytest.approx(300, rel=1e-6), "an elasticity of 0: the smallest is the best"


def test_a_curved_shift_against_its_own_integral():
    """The curve is built by quadrature and solved by itself; support, level and prices stay those of the problem."""

    def slope(u):
        return 0.4 + 0.3 * np.sin(u)

    def shift(u):
        return 1 + 0.5 * np.cos(u)

    curve = 6 + 0.4 * GRID - 0.3 * np.cos(GRID)
    problem = problem_of(curve, slope(GRID), shift(GRID), support=(8.0, 14.0), smearing=1.3, fixed_cost=20.0)
    found = direct_effects(problem)
    assert found.zero == pytest.approx(quad(slope, 8, 14)[0] / quad(shift, 8, 14)[0], rel=1e-3)
    for at in (0, 9, 18):
        delta = found.deltas[at]
        lost = np.array([quad(shift, CENTRE, u)[0] for u in GRID])
        alone = optimal_followers(
            log_followers=GRID,
            log_impressions=curve - delta * lost,
            value_per_impression=0.02,
            cost_per_thousand=10,
            support=(8.0, 14.0),
            smearing=1.3,
            fixed_cost=20,
        )
        assert found.followers[at] == pytest.approx(alone.supported.followers, rel=1e-2)
        assert found.profit[at] == pytest.approx(alone.supported.profit, rel=1e-3)
    assert found.followers[0] == solve(problem).supported.followers, "no direct effect: the plan"


def test_the_level_stays_at_the_mean_or_at_the_observed_post():
    for changes, where in (({}, CENTRE), ({"anchor": (50_000.0, 9_000.0)}, np.log(50_000.0))):
        problem = constant(**changes)
        moved = with_direct_effect(problem, 0.1)
        change = moved.log_impressions + moved.shift - problem.log_impressions - problem.shift
        assert np.interp(where, GRID, change) == pytest.approx(0, abs=1e-12)
        assert np.abs(change).max() > 0.5
        assert moved.elasticity == pytest.approx(np.full(100, 0.3))


def test_zero_is_that_of_the_curve_in_use():
    """Elasticities that are half the curve's slopes are not used, so they do not say where its slope is 0 either."""
    unlike = direct_effects(problem_of(6 + 0.7 * GRID, np.full(100, 0.35), np.ones(100)))
    assert unlike.zero == pytest.approx(0.7)
    assert unlike.followers[-1] == pytest.approx(300, rel=1e-6), "flat: the smallest is the best"
    without = direct_effects(problem_of(6 + 0.7 * GRID, None, np.ones(100)))
    assert without.zero == unlike.zero
    assert without.profit == pytest.approx(unlike.profit)


def test_whether_elasticities_are_used_is_decided_once():
    """4 % off: used. Near zero they are more than 5 % off what is left of the slopes, and are still used."""
    u = GRID[::12]
    slope = 0.5 + 0.3 * np.sin(u)
    problem = SizingProblem(
        log_followers=u,
        log_impressions=6 + 0.5 * u - 0.3 * np.cos(u),
        elasticity=1.02 * slope,
        direct_shift=np.ones(len(u)),
        centre=CENTRE,
        value_per_impression=0.02,
        cost_per_thousand=0.1,
    )
    assert not curves_of(problem).notes
    found = direct_effects(problem)
    assert curves_of(with_direct_effect(problem, found.deltas[-5])).notes
    for at, delta in enumerate(found.deltas):
        left = with_direct_effect(problem, delta)
        fine = np.linspace(u[0], u[-1], 20_001)
        curve = CubicHermiteSpline(u, left.log_impressions, left.elasticity)
        assert found.profit[at] == pytest.approx((0.02 * np.exp(curve(fine)) - 1e-4 * np.exp(fine)).max(), rel=1e-5)


def test_where_nothing_can_be_said():
    flat = np.full(100, 0.5)
    assert direct_effects(problem_of(6 + 0.5 * GRID, flat, None)) is None
    assert direct_effects(problem_of(6 + 0.5 * GRID, flat, np.zeros(100))) is None
    for centre in (None, 30.0):
        with pytest.raises(DataError, match="centre inside the curve"):
            problem_of(6 + 0.5 * GRID, flat, flat, centre=centre)


def test_a_shift_that_cancels_on_average_is_not_followed_beyond_all_measure():
    """Its mean is a millionth of its size, so that the mean elasticity is 0 only at an absurd δ."""
    shift = np.sin(2 * np.pi * (GRID - GRID[0]) / (GRID[-1] - GRID[0])) + 1e-6
    found = direct_effects(problem_of(6 + 0.5 * GRID, np.full(100, 0.5), shift))
    assert found.zero > 1e5
    assert found.deltas[-1] < 100
    assert np.isfinite(found.profit).all()


def page_of(problem, direct):
    plan = solve(problem)
    return render_sizing(problem, plan, verify(problem, plan), None, direct, market="demo", facts={})


def test_the_report_says_and_draws_it():
    problem = constant(currency="USD")
    direct = direct_effects(problem)
    page = page_of(problem, direct).replace("\N{NO-BREAK SPACE}", " ")
    assert f"the best size would be {float(f'{direct.followers[20]:.3g}'):,.0f} followers" in page
    assert "with δ = 0.125, and the best size would be 300 followers" in page
    assert "with δ = 0.250, where the average slope of this page’s curve would be 0. The plan takes δ to be 0." in page
    assert 'id="direct"' in page
    assert "mean log followers of the posts" in page
    assert "If the instrument acted" not in page_of(problem, None)
    loss = dataclasses.replace(direct, profit=-np.abs(direct.profit), followers=np.full(41, 5e4))
    assert "no size would pay with δ" in page_of(problem, loss).replace("\N{NO-BREAK SPACE}", " ")
