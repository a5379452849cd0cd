"""Scripts of Deep IV: the designs' moments and truths, what the tables judge and print, what the bench measures."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import pearsonr

from micromega.models.deepiv.shapes import tier_averages
from micromega.models.deepiv.two_stage import TwoStageLeastSquares

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(SCRIPTS))
    try:
        import bench_deepiv
        import deepiv_designs
        import deepiv_peers
        import deepiv_tables
    finally:
        sys.path.remove(str(SCRIPTS))
    return {"designs": deepiv_designs, "peers": deepiv_peers, "tables": deepiv_tables, "bench": bench_deepiv}


@pytest.fixture
def designs(scripts):
    return scripts["designs"]


@pytest.fixture
def tables(scripts):
    return scripts["tables"]


# ---- demand ----


def test_demand_has_the_moments_of_hartford(designs):
    """They standardise the price by 17.779 and 3.7, the outcome without its 100 by −292.1 and 158."""
    rows = designs.demand(200_000, 0.5, 0, "raw")
    assert rows.t.mean() == pytest.approx(17.779, abs=0.05)
    assert rows.t.std() == pytest.approx(3.7, abs=0.05)
    assert rows.y.mean() - 100 == pytest.approx(-292.1, abs=4)  # theirs are of one sample
    assert rows.y.std() == pytest.approx(158, abs=1.5)
    first, second = (quad(lambda at, k=k: float(designs.season(at)) ** k / 10, 0, 10, points=[5])[0] for k in (1, 2))
    assert rows.t.mean() == pytest.approx(25 + 3 * first, abs=0.05)
    assert rows.y.mean() == pytest.approx(100 + 4 * (35 * first + 3 * second) - 2 * (25 + 3 * first), abs=1.5)


@pytest.mark.parametrize(("noise", "deviation"), [("scaled", 158.0), ("raw", 1.0)])
def test_demand_noise_moves_the_price(designs, noise, deviation):
    rows = designs.demand(100_000, 0.75, 1, noise)
    error = rows.y - designs.demand_response(rows.t, rows.x)
    shock = rows.t - 25 - (rows.z[:, 0] + 3) * designs.season(rows.x[:, 0])
    assert error.std() == pytest.approx(deviation, rel=0.01)
    assert pearsonr(error, shock)[0] == pytest.approx(0.75, abs=0.01)
    assert abs(pearsonr(error, rows.z[:, 0])[0]) < 0.01
    assert set(rows.x[:, 1]) == set(range(1, 8))


def test_demand_grid_and_slope(designs):
    price, x, response = designs.demand_grid()
    assert price.shape == response.shape == (2_800,)
    assert (price.min(), price.max(), x[:, 0].max(), len(np.unique(x[:, 1]))) == (10, 25, 10, 7)
    p, (time, customer) = price[1234], x[1234]
    psi = 2 * ((time - 5) ** 4 / 600 + np.exp(-4 * (time - 5) ** 2) + time / 10 - 2)
    assert response[1234] == pytest.approx(100 + (10 + p) * customer * psi - 2 * p)
    up, down = designs.demand_response(price + 1, x), designs.demand_response(price - 1, x)
    np.testing.assert_allclose(designs.demand_slope(x), (up - down) / 2)


# ---- tiktok ----


def test_fei_is_the_derivative_of_the_curve(designs):
    u = np.linspace(1, 18, 60)
    for kind in range(3):
        step = 1e-5
        slope = (designs.gain(kind, u + step) - designs.gain(kind, u - step)) / (2 * step)
        np.testing.assert_allclose(designs.fei(kind, u), slope, rtol=1e-6)
        area = quad(lambda at, k=kind: float(designs.fei(k, at)), designs.ANCHOR, 15)[0]
        assert designs.gain(kind, 15.0) == pytest.approx(area)
        assert designs.gain(kind, designs.ANCHOR) == 0


def test_fei_has_the_tiers_of_table_4(designs):
    """Tian et al. 2022, averages of campaigns of each kind; the simulator is within 0.035 of them."""
    u = np.linspace(np.log(2), np.log(7.1e7), 2_000)
    wanted = [
        [0.1825, 0.4725, 0.52, 0.2625, 0.12, 0.0525],
        [0.2231, 0.2756, 0.2506, 0.2762, 0.2663, 0.2325],
        [0.493, 0.271, 0.209, 0.150, 0.104, 0.045],
    ]
    for kind in range(3):
        found = tier_averages(u, designs.fei(kind, u))
        np.testing.assert_allclose(found[1:5], wanted[kind][1:5], atol=0.035)


def test_posts_have_the_moments_of_table_1(designs):
    rows = designs.tiktok(200_000, 1)
    followers = np.exp(rows.t)
    assert np.median(followers) == pytest.approx(60_765, rel=0.03)
    assert followers.mean() == pytest.approx(486_066, rel=0.05)
    assert followers.min() >= 2
    assert np.median(np.exp(rows.y)) == pytest.approx(452_868, rel=0.05)
    assert pearsonr(rows.z[:, 0], rows.t)[0] == pytest.approx(0.735, abs=0.01)
    assert np.bincount(rows.kind) / 200_000 == pytest.approx([0.35, 0.4, 0.25], abs=0.01)
    assert rows.x.shape == (200_000, 25)
    assert rows.x[:, 16].mean() == pytest.approx(6.66, abs=0.1)  # hashtags
    assert rows.x[:, 24].mean() == pytest.approx(0.030, abs=0.005)  # verified


def test_designs_follow_from_their_seeds(designs):
    for draw in (lambda seed: designs.demand(50, 0.5, seed), lambda seed: designs.tiktok(50, seed)):
        one, same, other = draw(3), draw(3), draw(4)
        for name in ("t", "z", "x", "y"):
            np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
            assert not np.array_equal(getattr(one, name), getattr(other, name))


# ---- tables ----


class Truth:
    """Knows the design, up to a constant."""

    def __init__(self, designs, kind=None, off=0.0):
        self.designs, self.kind, self.off = designs, kind, off

    def predict(self, *, t, x):
        return self.designs.demand_response(t, x) + self.off

    def elasticity(self, *, t, x, grid=False):
        if not grid:
            return self.designs.demand_slope(x)
        kind = self.kinds[x.tobytes()]
        return np.tile(self.designs.fei(kind if self.kind is None else self.kind, t) + self.off, (len(x), 1))


@pytest.fixture
def knowing(tables, designs):
    def made(**settings):
        truth = Truth(designs, **settings)
        truth.kinds = {x.tobytes(): kind for kind, x in enumerate(tables.fresh_posts(0))}
        return truth

    return made


def test_the_truth_is_judged_perfect(tables, knowing):
    assert tables.judge_demand(knowing()) == {"mse": 0, "slope": 0}
    assert tables.judge_demand(knowing(off=3.0))["mse"] == pytest.approx(9)
    found = tables.judge_tiktok(knowing(), 0)
    assert found["classes"] == 1
    assert found["distance"] == pytest.approx(0, abs=0.02)
    assert found["profit"] == pytest.approx(1, abs=1e-3)
    for kind in ("s-shaped", "linear", "concave"):
        assert found[kind]["post"] == 0
        assert found[kind]["curve"] == pytest.approx(0, abs=1e-12)
    shifted = tables.judge_tiktok(knowing(off=0.1), 0)
    assert shifted["linear"]["post"] == pytest.approx(0.1)
    assert shifted["distance"] > 0.1
    assert shifted["profit"] < 1


def test_one_curve_for_all_is_right_for_a_third_of_campaigns(tables, knowing, designs):
    found = tables.judge_tiktok(knowing(kind=2), 0)
    assert found["classes"] == pytest.approx(1 / 3)
    assert found["concave"]["post"] == 0
    gap = np.abs(designs.fei(0, tables.SIZES) - designs.fei(2, tables.SIZES)).mean()
    assert found["s-shaped"]["curve"] == pytest.approx(gap)


def test_the_true_best_sizes_lie_inside(tables, designs):
    """By brute force on a fine grid: the largest profit is not at an end, and the true curve finds it."""
    u = np.linspace(tables.SIZES[0], tables.SIZES[-1], 20_001)
    for kind in range(3):
        profit = tables.VALUE * np.exp(designs.LEVEL + designs.gain(kind, u)) - tables.COST * np.exp(u) / 1000
        assert 0 < profit.argmax() < len(u) - 1
        distance, share = tables.sized(designs.fei(kind, tables.SIZES), kind)
        assert distance < 0.03
        assert share == pytest.approx(1, abs=1e-3)


def test_coverage_counts_points(tables):
    class Banded:
        def bands(self, *, t, x, grid, average=False):
            rows = () if average else (len(x),)
            lower = np.broadcast_to(np.where(np.arange(len(t)) < 10, 0.0, 1.0), (*rows, len(t)))
            return type("Bands", (), {"lower": lower, "upper": lower + 0.5})()

    found = tables.coverage(Banded(), np.zeros((3, 25)), np.full(40, 0.3))
    assert found == {"covered, post": 0.25, "covered, curve": 0.25, "width": 0.5}


def test_medians_and_quartiles(tables):
    assert tables.spread([1.0, 2.0, 3.0, 4.0, 5.0], 1) == "3.0 [2.0, 4.0]"
    assert tables.spread([2000.0], 0) == "2,000"
    assert tables.spread([float("nan")], 0) == "–"
    line = {"rows": 100, "rho": 0.5, "noise": "scaled", "estimator": "2SLS", "slope": 1.0, "cpu_s": 0.1}
    page = tables.printed("demand", [{**line, "mse": mse} for mse in (10.0, 20.0, 60.0)])
    assert "demand, 100 rows, ρ 0.5, scaled noise" in page
    assert "| 2SLS | 3 | 20 [15, 40] |" in page


def test_a_stopped_run_goes_on(tables, tmp_path, monkeypatch, capsys):
    wanted = ["demand", "--rows", "200", "--rho", "0.5", "--estimators", "2SLS", f"--results={tmp_path}", "--seeds"]
    tables.main([*wanted, "0"])
    (line,) = map(json.loads, (tmp_path / "demand.jsonl").read_text().splitlines())
    assert {"noise": "scaled", "rho": 0.5, "rows": 200, "seed": 0, "estimator": "2SLS"}.items() <= line.items()
    assert line["mse"] > 0
    monkeypatch.setattr(tables, "fitted", lambda *_: pytest.fail("fitted again"))
    tables.main([*wanted, "0"])
    assert "| 2SLS | 1 |" in capsys.readouterr().out
    for other in (["--noise", "raw"], ["--rho", "0.9"], ["--rows", "201"]):
        with pytest.raises(pytest.fail.Exception, match="fitted again"):
            tables.main([*wanted, "0", *other])


def test_posts_are_judged_and_printed(tables, tmp_path, capsys):
    tables.main(["tiktok", "--rows", "2000", "--estimators", "2SLS", "--seeds", "0", f"--results={tmp_path}"])
    out = capsys.readouterr().out
    assert "tiktok, 2,000 rows" in out
    assert "held by 95 % bands" not in out
    (line,) = map(json.loads, (tmp_path / "tiktok.jsonl").read_text().splitlines())
    assert line["classes"] == pytest.approx(1 / 3), "a constant FEI is linear everywhere"
    banded = {**line, **{kind: {**line[kind], "width": 0.1, "covered, post": 0.5, "covered, curve": 0.4}
                         for kind in ("s-shaped", "linear", "concave")}}  # fmt: skip
    assert "| held by 95 % bands | seeds |" in tables.printed("tiktok", [banded])


def test_every_estimator_has_the_interface(tables):
    args = tables.options(["demand"])
    for make in tables.ESTIMATORS.values():
        model = make(0, args)
        assert all(callable(getattr(model, name)) for name in ("fit", "predict", "elasticity"))
    assert all(set(names) <= set(tables.ESTIMATORS) for names in tables.DEFAULT.values())


# ---- the stand-in and the bench ----


def test_the_upper_bound_flattens_a_response_that_two_stages_recover(scripts, designs):
    """y = t + 2v, t = z + v: half of t's variance is unexplained by z, so two draws halve the slope."""
    rng = np.random.default_rng(0)
    z, v = rng.normal(size=(2, 2_000))
    data = {"x": np.zeros((2_000, 0)), "z": z, "t": z + v, "y": z + v + 2 * v}
    model = scripts["peers"].UpperBoundDeepIV(epochs=8, seed=0).fit(**data)
    slope = model.elasticity(t=np.linspace(-1, 1, 9), x=data["x"][:9]).mean()
    assert slope == pytest.approx(0.5, abs=0.2)
    assert TwoStageLeastSquares().fit(**data).elasticity(t=[0.0], x=data["x"][:1])[0] == pytest.approx(1, abs=0.15)
    grid = model.predict(t=[-1.0, 1.0], x=data["x"][:3], grid=True)
    assert grid.shape == (3, 2)
    np.testing.assert_allclose(model.predict(t=[-1.0, 1.0], x=data["x"][:2]), grid[0], rtol=1e-5)


def test_quick_is_smaller_in_every_respect(scripts):
    bench = scripts["bench"]
    quick, full = vars(bench.options(["--quick"])), vars(bench.options([]))
    assert quick.keys() == full.keys() >= bench.QUICK.keys()
    for name in bench.QUICK:
        small, large = quick[name], full[name]
        assert max(small) < max(large) if isinstance(small, tuple) else small < large
    assert max(vars(bench.options(["--largest"]))["growth"]) == 1_000_000


def test_the_target_is_what_both_reach(scripts):
    bench = scripts["bench"]
    ours = bench.Course(
        name="ours", epochs=(1, 2, 3), seconds=(1.0, 2.0, 3.0), errors=(90.0, 40.0, 10.0), each=(1.0, 1.0)
    )
    theirs = bench.Course(name="theirs", epochs=(1, 2), seconds=(4.0, 8.0), errors=(60.0, 30.0), each=(2.0, 2.0))
    assert bench.target_of([ours, theirs]) == 30.0
    assert (ours.reached(30.0), theirs.reached(30.0), theirs.reached(5.0)) == (3.0, 8.0, None)


def test_what_is_not_reached_has_no_ratio(scripts, capsys):
    bench = scripts["bench"]
    wanted = bench.options(["--quick"])
    bench.told(
        {bench.OURS: {"fit": [2.0, 4.0, 3.0], "to 10": [1.0]}, bench.PEER: {"fit": [6.0], "to 10": [np.inf]}}, wanted
    )
    out = capsys.readouterr().out.splitlines()
    assert f"ratio: DeepIV against the {bench.PEER}, 1,000 rows, whole fit = 2.00" in out
    assert f"figure: {bench.PEER}, 1,000 rows, to 10 = not reached" in out
    assert not [line for line in out if line.startswith("ratio") and "to 10" in line]
