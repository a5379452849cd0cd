"""The two extra fits, on data whose answers are known in closed form."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from micromega.errors import DataError
from micromega.models.deepiv import DeepIV, refits
from micromega.models.deepiv.config import DeepIVModelConfig
from micromega.models.deepiv.members import draw_members
from micromega.models.deepiv.refits import instrument_gain, instrument_shift

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
QUICK = {"hidden": (32, 16), "epochs": 15, "learning_rate": 0.01}
STRENGTH = 0.8


@dataclasses.dataclass(frozen=True)
class Data:
    """What the fits ask of a DataModule."""

    values: dict
    inputs: SimpleNamespace

    def members(self, config):
        return draw_members(config, self.inputs.author, seed=0)


def data_of(strength, n=3_000):
    rng = np.random.default_rng(3)
    z, noise, shock = rng.normal(size=(3, n))
    t = strength * z + noise
    values = {"t": t, "z": 2 * z[:, None] + 5, "x": rng.normal(size=(n, 1)), "y": t + shock}
    values = {name: torch.from_numpy(of).float() for name, of in values.items()}
    return Data(values, SimpleNamespace(author=np.arange(n) // 2))


def fitted(data, **settings):
    config = {"treatment": QUICK, "outcome": QUICK | {"smoothness": 0.0}} | settings
    arrays = {name: of.numpy() for name, of in data.values.items()}
    return DeepIV(**config).fit(**arrays, cluster=data.inputs.author)


@pytest.fixture(scope="module")
def strong():
    data = data_of(STRENGTH)
    return data, fitted(data).treatment


def test_the_gain_is_that_of_gaussians(strong):
    """Mutual information of a Gaussian pair: ½ log(1 + strength²) nats."""
    data, first = strong
    gain = instrument_gain(first, data)
    wanted = 0.5 * np.log(1 + STRENGTH**2)
    assert gain.mean == pytest.approx(wanted, abs=3 * gain.standard_error)
    assert gain.mean == pytest.approx(wanted, abs=0.08)
    assert gain.p_value < 1e-6
    held = draw_members(first.config, data.inputs.author, seed=0).held_out[0] > 0
    assert gain.rows == held.sum()
    assert gain.clusters == len(np.unique(data.inputs.author[held]))


def test_an_instrument_that_says_nothing_gains_nothing():
    data = data_of(0.0, 1_500)
    gain = instrument_gain(fitted(data).treatment, data)
    assert gain.mean == pytest.approx(0, abs=0.05)
    assert gain.mean < 2 * gain.standard_error


def test_a_gain_on_one_held_out_creator_has_no_error(strong, monkeypatch):
    data, first = strong
    held = draw_members(first.config, data.inputs.author, seed=0).held_out[0] > 0
    alone = Data(data.values, SimpleNamespace(author=np.where(held, -1, data.inputs.author)))
    monkeypatch.setattr(Data, "members", lambda *_: draw_members(first.config, data.inputs.author, seed=0))
    monkeypatch.setattr(refits, "_trained", None)  # nothing is fitted in vain
    with pytest.raises(DataError, match="held out one creator"):
        instrument_gain(first, alone)


def test_a_direct_effect_shifts_the_curve_by_one_over_the_first_stage(strong):
    """With t = strength · z + noise the response to z is t / strength: E[t / strength | z] = z."""
    data, first = strong
    shift = instrument_shift(first, first.config, data, np.arange(500), np.linspace(-1.2, 1.2, 9))
    np.testing.assert_allclose(shift, 1 / STRENGTH, atol=0.3)
    assert shift.mean() == pytest.approx(1 / STRENGTH, abs=0.08)


def test_ensembles_are_asked_for_one_member():
    data = data_of(STRENGTH, 600)
    tiny = {"hidden": (8,), "epochs": 2}
    first = fitted(data, treatment=tiny, outcome=tiny | {"smoothness": 0.0}, bootstrap=3, folds=2).treatment
    assert first.members == 6
    assert isinstance(first.config, DeepIVModelConfig)
    assert np.isfinite(instrument_gain(first, data).mean)
    assert np.isfinite(instrument_shift(first, first.config, data, np.arange(20), np.zeros(1))).all()
