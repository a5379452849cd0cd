"""Each diagnostic on its own: one that cannot be had is named, the others stay; wrong settings are raised."""

import dataclasses

import numpy as np
import pytest

from micromega.errors import ConfigError, DataError, MissingExtraError
from micromega.market import simulate
from micromega.models.deepiv import DeepIV, diagnose
from micromega.models.deepiv.config import DeepIVDataConfig, DeepIVEvaluationConfig
from micromega.models.deepiv.curves import group_curves
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.gamma import Gamma
from micromega.models.deepiv.residual_prediction import ResidualPrediction
from micromega.models.deepiv.strength import LikelihoodGain
from micromega.models.deepiv.subjects import View

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
QUICK = {"hidden": (8,), "epochs": 1}
STEPS = {
    "residual_gamma": ("gamma", "γ was not computed on the posts that were held out."),
    "residual_prediction": ("residuals", "The residual-prediction test was not computed."),
    "instrument_gain": ("gain", "The gain of stage 1 from the instrument was not computed."),
    "instrument_shift": (None, "What a direct effect of the instrument would do is not that of stage 2"),
}


@pytest.fixture(scope="module")
def trained():
    """40 creators of 5 posts: 4 creators are held out."""
    market = simulate(seed=0, brands=2, creators=40, posts=5, audience="tiktok", products=0, follows=0)
    data = DeepIVData(DeepIVDataConfig(), market)
    found = data.inputs
    arrays = {"x": found.controls, "z": found.instrument, "t": found.treatment, "y": found.outcome}
    return data, DeepIV(treatment=QUICK, outcome=QUICK).fit(**arrays, cluster=found.author)


def diagnosed(trained, *, first=True, **settings):
    data, model = trained
    t = data.inputs.treatment
    grid = np.linspace(t.min(), t.max(), 5)
    view = View(rows=np.arange(10), grid=grid, support=(grid[0], grid[-1]), seed=0)
    held_out = np.flatnonzero(data.members(model.config).held_out[0] > 0)
    residual = np.random.default_rng(0).normal(size=len(held_out))
    (curve,) = group_curves(grid, 0.3 + np.zeros((10, 5)))
    absent = []
    config = DeepIVEvaluationConfig(**settings)
    stage = model.treatment if first else None
    return diagnose.diagnose(config, data, stage, model.outcome, held_out, residual, curve, view, absent), absent


def test_a_small_market_has_all_of_them(trained):
    pytest.importorskip("sklearn")
    found, absent = diagnosed(trained)
    assert absent == []
    assert (found.gamma.clusters, found.gamma.folds) == (4, 4)
    assert found.residuals.clusters == found.strength.clusters >= 40
    assert found.gain.clusters == 4
    assert found.direct.shift.std() > 0, "that of a network"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [DataError, MissingExtraError])
def test_one_that_cannot_be_had_is_named_and_leaves_the_others_alone(trained, monkeypatch, step, error):
    quick = {
        "residual_gamma": Gamma(value=0.1, reference=np.zeros(1), p_value=0.5, rows=20, clusters=4, folds=4),
        "residual_prediction": ResidualPrediction(p_value=0.5, statistic=np.zeros(1), rows=200, clusters=40),
        "instrument_gain": LikelihoodGain(mean=0.2, standard_error=0.1, p_value=0.02, rows=20, clusters=4),
        "instrument_shift": np.linspace(0.4, 0.6, 5),
    }
    for name, stand_in in quick.items():
        monkeypatch.setattr(diagnose, name, lambda *_, stand_in=stand_in, **__: stand_in)
    whole, absent = diagnosed(trained)
    kept = {STEPS[name][0]: stand_in for name, stand_in in quick.items() if STEPS[name][0]}
    assert all(getattr(whole, field) is stand_in for field, stand_in in kept.items())
    assert absent == []

    def fails(*_, **__):
        raise error("So it is.")

    monkeypatch.setattr(diagnose, step, fails)
    found, absent = diagnosed(trained)
    field, words = STEPS[step]
    assert len(absent) == 1
    assert absent[0].startswith(words)
    assert absent[0].endswith("So it is.")
    changed = {of.name for of in dataclasses.fields(found) if getattr(found, of.name) is not getattr(whole, of.name)}
    assert field is None or getattr(found, field) is None
    assert changed == {"strength", "verdict", "direct", *([field] if field else [])}
    assert found.direct.shift.std() == (0 if step == "instrument_shift" else pytest.approx(whole.direct.shift.std()))


def test_without_any_shift_there_is_no_direct_effect(trained, monkeypatch):
    def fails(*_, **__):
        raise DataError("So it is.")

    monkeypatch.setattr(diagnose, "linear_shift", fails)
    found, absent = diagnosed(trained, refits=False)
    assert found.direct is None
    assert "What a direct effect of the instrument would do was not computed. So it is." in absent


@pytest.mark.parametrize("step", [*STEPS, "linear_shift"])
def test_wrong_settings_are_raised(trained, monkeypatch, step):
    def fails(*_, **__):
        raise ConfigError("wrong")

    monkeypatch.setattr(diagnose, step, fails)
    with pytest.raises(ConfigError, match="wrong"):
        diagnosed(trained, refits=step in ("instrument_gain", "instrument_shift"))


def test_a_model_without_stages_takes_the_shift_of_a_straight_line(trained):
    found, absent = diagnosed(trained, first=False)
    assert found.gain is None
    assert found.direct.shift.std() == 0
    assert any("no stage 1 with a likelihood" in sentence for sentence in absent)
