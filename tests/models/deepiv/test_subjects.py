"""Curves of groups from a trained model, against the estimator asked post by post."""

import dataclasses

import numpy as np
import pytest

from micromega.market import simulate
from micromega.models.deepiv import DeepIV
from micromega.models.deepiv import subjects as module
from micromega.models.deepiv.config import DeepIVDataConfig, DeepIVEvaluationConfig
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.groups import Grouping
from micromega.models.deepiv.shapes import curve_shape, tier_averages
from micromega.models.deepiv.subjects import View, make_subjects

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
QUICK = {"hidden": (8, 8), "epochs": 2}


@pytest.fixture(scope="module", params=[0, 4])
def trained(request):
    market = simulate(seed=0, brands=4, creators=60, posts=4, audience="tiktok", products=0, follows=0)
    data = DeepIVData(DeepIVDataConfig(), market)
    found = data.inputs
    model = DeepIV(treatment=QUICK, outcome=QUICK, bootstrap=request.param).fit(
        x=found.controls, z=found.instrument, t=found.treatment, y=found.outcome, cluster=found.author
    )
    return data, model


@pytest.fixture(scope="module")
def made(trained):
    data, model = trained
    view = View(rows=np.arange(0, 240, 2), grid=np.linspace(6, 13, 5), support=(7.0, 12.0), seed=0)
    code = np.arange(120) % 3 - 1
    groups = (
        Grouping(kind="hashtag", names=("dance", "food"), code=code),
        Grouping(kind="campaign", names=("campaign: food",), code=np.minimum(code, 0)),
    )
    naive = np.random.default_rng(0).normal(size=(120, 5))
    config = DeepIVEvaluationConfig(replicates=40)
    found, own = make_subjects(config, model.outcome, data, view, groups, smearing=1.5, correlational=naive)
    return view, code, naive, found, own


def test_groups_come_in_order_with_their_kinds(made):
    _, _, _, found, _ = made
    assert [(of.kind, of.elasticity.group) for of in found] == [
        ("all", "all posts"),
        ("hashtag", "dance"),
        ("hashtag", "food"),
        ("campaign", "campaign: food"),
    ]
    assert [of.elasticity.posts for of in found] == [120, 40, 40, 80]


def test_curves_are_means_over_the_group_s_posts(trained, made):
    data, model = trained
    view, code, naive, found, own = made
    x = data.inputs.controls[view.rows]
    slopes = model.elasticity(t=view.grid, x=x, grid=True)
    np.testing.assert_allclose(own, slopes, atol=1e-5)
    draws = max(model.config.bootstrap, 1)
    heights = model.predict(t=view.grid, x=x, grid=True, members=True).astype(float)
    sizes = 1.5 * np.exp(heights.reshape(draws, -1, 120, 5).mean(axis=1)).mean(axis=0)
    rows_of = [code >= -1, code == 0, code == 1, np.minimum(code, 0) == 0]
    for of, rows in zip(found, rows_of, strict=True):
        np.testing.assert_allclose(of.elasticity.elasticity, slopes[rows].mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(of.log_impressions, np.log(sizes[rows].mean(axis=0)), rtol=1e-5)
        np.testing.assert_allclose(of.correlational, naive[rows].mean(axis=0))
        assert (of.lower <= of.upper).all()


def test_tiers_and_classes_are_of_observed_sizes(made):
    view, _, _, found, _ = made
    for of in found:
        wanted = tier_averages(view.grid, of.elasticity.elasticity, view.support)
        np.testing.assert_array_equal(of.elasticity.tiers, wanted)
        assert np.isnan(wanted).tolist() == [True, False, False, False, True, True], "1,097 to 162,755 followers"
        assert of.elasticity.shape is curve_shape(wanted)


def test_the_example_is_the_caption_with_most_impressions(trained, made):
    data, _ = trained
    view, code, _, found, _ = made
    caption = {row["post_id"]: row["caption"] for row in data.market.table("posts").to_pylist()}
    rows = view.rows[code == 1]
    best = rows[np.argmax(data.inputs.outcome[rows])]
    assert found[2].example == caption[data.inputs.post_ids[best]]


def test_the_size_of_blocks_does_not_matter(trained, made, monkeypatch):
    data, model = trained
    view, code, _, found, _ = made
    monkeypatch.setattr(module, "_JOINED", 7)
    again, own = make_subjects(
        DeepIVEvaluationConfig(replicates=40),
        model.outcome,
        data,
        view,
        (Grouping(kind="hashtag", names=("dance", "food"), code=code),),
        smearing=1.5,
        correlational=None,
    )
    assert own.shape == (120, 5)
    for one, other in zip(again, found[:3], strict=True):
        np.testing.assert_allclose(one.elasticity.lower, other.elasticity.lower, rtol=1e-6)
        np.testing.assert_allclose(one.log_impressions, other.log_impressions, rtol=1e-6)
        assert one.correlational is None


def test_simultaneous_bands_are_around_the_estimate(trained, made):
    data, model = trained
    view, _, _, found, _ = made
    config = dataclasses.replace(DeepIVEvaluationConfig(replicates=40), bands="simultaneous")
    (every,), _ = make_subjects(config, model.outcome, data, view, (), smearing=1.5, correlational=None)
    middle = (every.lower + every.upper) / 2
    np.testing.assert_allclose(middle, every.log_impressions)
    np.testing.assert_allclose(every.elasticity.elasticity, found[0].elasticity.elasticity)
    pointwise = found[0].elasticity
    wider = (every.elasticity.upper - every.elasticity.lower) / (pointwise.upper - pointwise.lower)
    assert wider.mean() > 1.05
