"""Rivals on the posts of the model, judged on creators that nobody has learnt from; numbers computed another way."""

import dataclasses
import functools

import numpy as np
import pytest
import torch

from micromega.market import simulate
from micromega.models.deepiv import DeepIV
from micromega.models.deepiv.comparison import Truth, fit_rivals, judged_posts, model_errors, truth_of
from micromega.models.deepiv.config import DeepIVDataConfig, DeepIVEvaluationConfig
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.rivals import TwoStageLeastSquares
from micromega.models.deepiv.subjects import View
from micromega.models.dfiv import estimator as dfiv

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
QUICK = {"hidden": (8, 8), "epochs": 2}


def data_of(market):
    return DeepIVData(DeepIVDataConfig(statistics=("num_hashtags", "log_ranking", "has_fyp")), market)


@pytest.fixture(scope="module")
def market():
    return simulate(seed=0, brands=4, creators=120, posts=4, audience="tiktok", products=0, follows=0)


@functools.cache
def fitted(market, bootstrap=0):
    found = data_of(market).inputs
    return DeepIV(treatment=QUICK, outcome=QUICK, bootstrap=bootstrap).fit(
        x=found.controls, z=found.instrument, t=found.treatment, y=found.outcome, cluster=found.author
    )


@pytest.fixture(scope="module", params=[0, 4])
def trained(request, market):
    """(data, DeepIV fitted to it with the members that the data draw, judged posts)."""
    data, model = data_of(market), fitted(market, request.param)
    return data, model, judged_posts(model.outcome, model.treatment, data, seed=5)


def test_nobody_has_learnt_from_the_judged_creators(trained):
    data, model, judged = trained
    author = data.inputs.author
    assert 0 < len(judged.rows) <= 0.1 * len(author)
    assert not set(author[judged.rows]) & set(author[judged.seen])
    assert len(judged.rows) + judged.seen.sum() == len(author)
    seen_EN = data.members(model.config).weights > 0
    assert judged.unseen.any(axis=0).all()
    assert not (judged.unseen & seen_EN[:, judged.rows]).any()


def test_nodes_are_quantiles_of_a_mixture_that_has_not_seen_the_post(trained):
    data, model, judged = trained
    scale, levels = model.treatment.scale, (np.arange(12) + 0.5) / 12
    for place in range(0, len(judged.rows), 7):
        row = judged.rows[place]
        mixture = model.treatment.mixture(data.values["z"][None, row : row + 1], data.values["x"][None, row : row + 1])
        nodes = scale.standard("t", torch.from_numpy(judged.nodes[place]).float())
        below = mixture.cumulative(nodes[None, None])[:, 0].numpy()
        own = np.abs(below - levels).max(axis=1) < 1e-3
        assert (own & judged.unseen[:, place]).any()


def test_errors_of_the_model_are_those_of_members_that_have_not_seen_the_post(trained):
    data, model, judged = trained
    found, rows = data.inputs, judged.rows

    def response(t):
        each = model.predict(t=t, x=found.controls[rows], members=True)
        return (each * judged.unseen).sum(axis=0) / judged.unseen.sum(axis=0)

    errors = model_errors(model.outcome, data, judged)
    y = found.outcome[rows]
    assert errors["held_out_error"] == pytest.approx(((y - response(found.treatment[rows])) ** 2).mean(), rel=1e-4)
    integrated = np.mean([response(nodes) for nodes in judged.nodes.T], axis=0)
    assert errors["integrated_error"] == pytest.approx(((y - integrated) ** 2).mean(), rel=1e-4)


def view_of(data):
    t = data.inputs.treatment
    return View(rows=np.arange(0, len(t), 3), grid=np.linspace(t.min(), t.max(), 7), support=(6.0, 12.0), seed=0)


def rivals_of(data, judged, model, *names, **settings):
    absent = []
    found = fit_rivals(
        DeepIVEvaluationConfig(rivals=names, **settings), model.outcome, data, judged, view_of(data), absent
    )
    return found, absent


def test_rivals_learn_from_the_other_creators_alone(trained):
    data, model, judged = trained
    found, absent = rivals_of(data, judged, model, "2sls")
    assert absent == []
    of, seen = data.inputs, judged.seen
    own = TwoStageLeastSquares(1).fit(
        x=of.controls[seen], z=of.instrument[seen], t=of.treatment[seen], y=of.outcome[seen]
    )
    rival = found["2SLS, linear"]
    assert rival.elasticity.shape == (len(view_of(data).rows), 7)
    np.testing.assert_allclose(rival.elasticity, own.elasticity(t=[9.0], x=of.controls[:1])[0], rtol=1e-4)
    error = of.outcome[judged.rows] - own.predict(t=of.treatment[judged.rows], x=of.controls[judged.rows])
    assert rival.errors["held_out_error"] == pytest.approx((error**2).mean(), rel=1e-4)


def test_every_rival_gives_curves(trained, monkeypatch):
    monkeypatch.setattr(dfiv, "DFIV", functools.partial(dfiv.DFIV, epochs=1))
    data, model, judged = trained
    asked = ("naive", "2sls_2", "2sls_3", "dfiv", "kernel", "control_function")
    found, absent = rivals_of(data, judged, model, *asked, kernel_posts=200)
    assert absent == []
    named = ["naive network", "2SLS, degree 2", "2SLS, degree 3", "DFIV", "kernel IV", "Control function"]
    assert list(found) == named
    curves = [rival.elasticity for rival in found.values()]
    assert all(curve.std(axis=1).max() > 0 for curve in curves)
    assert len({float(curve.mean()) for curve in curves}) == len(curves)


def test_a_rival_that_cannot_be_fitted_is_said(trained):
    data, model, judged = trained
    wide = data_of(data.market)
    many = np.random.default_rng(0).normal(size=(len(data.inputs.treatment), 70))
    wide.__dict__["inputs"] = dataclasses.replace(data.inputs, controls=many)
    found, absent = rivals_of(wide, judged, model, "2sls_2")
    assert found == {}
    assert absent == ["2SLS, degree 2 is not in the table: 71 columns have 2,627 products, more than 2,000."]
    still = data_of(data.market)
    still.__dict__["inputs"] = dataclasses.replace(data.inputs, instrument=np.zeros_like(data.inputs.instrument))
    found, absent = rivals_of(still, judged, model, "2sls", "naive")
    assert list(found) == ["naive network"]
    assert absent[0].startswith("2SLS, linear is not in the table: ")


def test_a_rival_that_the_models_settings_forbid_is_said(market):
    data, found = data_of(market), data_of(market).inputs
    arrays = {"x": found.controls, "z": found.instrument, "t": found.treatment, "y": found.outcome}
    model = DeepIV(treatment=QUICK, outcome=QUICK | {"rule": "monte_carlo"}).fit(**arrays, cluster=found.author)
    judged = judged_posts(model.outcome, model.treatment, data, seed=5)
    rivals, absent = rivals_of(data, judged, model, "control_function")
    assert rivals == {}
    assert "monte_carlo" in absent[0]


def test_the_model_is_not_its_own_rival(trained):
    data, _, judged = trained

    class Other:
        title = "2SLS, linear"

    found = fit_rivals(DeepIVEvaluationConfig(rivals=("2sls",)), Other(), data, judged, view_of(data), [])
    assert found == {}


def test_errors_against_the_truth():
    rng = np.random.default_rng(0)
    kinds, curves = np.array(["a", "b", "a", "b", "b"]), {"a": rng.normal(size=4), "b": rng.normal(size=4)}
    found, inside = rng.normal(size=(5, 4)), np.array([False, True, True, True])
    errors = Truth(kinds=kinds, curves=curves).errors(found, inside)
    for kind, rows in (("a", [0, 2]), ("b", [1, 3, 4])):
        wanted = np.mean([abs(found[row, g] - curves[kind][g]) for row in rows for g in (1, 2, 3)])
        assert errors[f"elasticity_error_{kind}"] == pytest.approx(wanted)
    assert errors["elasticity_error"] == pytest.approx(
        (errors["elasticity_error_a"] + errors["elasticity_error_b"]) / 2
    )


def test_the_truth_is_read_by_post(market):
    data, rows, grid = data_of(market), np.arange(5, 60, 2), np.linspace(7, 12, 5)
    truth = truth_of(data, rows, grid)
    of = {row["post_id"]: row["kind"] for row in market.truth("posts").to_pylist()}
    assert truth.kinds.tolist() == [of[name] for name in data.inputs.post_ids[rows]]
    assert set(truth.curves) == set(truth.kinds)
    for kind, curve in truth.curves.items():
        known = [row for row in market.truth("curves").to_pylist() if row["kind"] == kind]
        wanted = np.interp(grid, [row["log_followers"] for row in known], [row["fei"] for row in known])
        np.testing.assert_allclose(curve, wanted)


def test_a_real_market_has_no_truth(market, tmp_path):
    assert truth_of(data_of(dataclasses.replace(market, path=tmp_path)), np.arange(3), np.arange(2.0)) is None
