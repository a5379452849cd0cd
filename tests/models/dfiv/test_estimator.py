"""`DFIV` on designs with known responses."""

import numpy as np
import pytest
import torch

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.config import DeepIVModelConfig
from micromega.models.deepiv.members import draw_members
from micromega.models.deepiv.rivals import NaiveNetwork
from micromega.models.dfiv import DFIV
from micromega.models.dfiv.halves import split_halves

NETWORKS = {name: {"hidden": (16,), "features": 4, "updates": 2} for name in ("instrument", "control")}
"""Small, so that tests are quick."""
LINEAR = {"hidden": (), "features": 1, "updates": 1}


def confounded(n, seed, response):
    rng = np.random.default_rng(seed)
    z, shock = rng.normal(size=(2, n))
    t = z + shock
    return {"x": np.zeros((n, 0)), "z": z, "t": t, "y": response(t) + 2 * shock + 0.1 * rng.normal(size=n)}


def test_linear_features_without_penalty_are_split_sample_two_stage_least_squares():
    data = confounded(20_000, 0, lambda t: 0.7 * t)
    model = DFIV(instrument=LINEAR, treatment=LINEAR, epochs=1, first_penalty=1e-9, second_penalty=1e-9, seed=3)
    model.fit(**data)
    members = draw_members(DeepIVModelConfig(), np.arange(20_000), seed=3)
    seen = torch.from_numpy(members.weights)
    first = split_halves(np.arange(20_000), seen, seed=3)[0].numpy()
    one, two = first & (members.weights[0] > 0), ~first & (members.weights[0] > 0)
    slope = np.polyfit(data["z"][one], data["t"][one], 1)[0]
    wanted = np.polyfit(slope * data["z"][two], data["y"][two], 1)[0]
    found = model.elasticity(t=[0.0, 1.0], x=data["x"][:2])
    np.testing.assert_allclose(found, wanted, rtol=2e-3)
    assert wanted == pytest.approx(0.7, abs=0.1), "and that is the truth, which least squares misses by 1"


def test_recovers_a_nonlinear_response_better_than_a_network_without_the_instrument():
    data = confounded(3_000, 1, lambda t: 2 * np.abs(t))
    at = np.linspace(-2, 2, 21)
    x = np.zeros((1, 0))
    truth = 2 * np.abs(at)
    ours = DFIV(seed=1, epochs=30, second_penalty=0.01, batch_size=256, learning_rate=5e-3, **NETWORKS).fit(**data)
    naive = NaiveNetwork(seed=1, outcome={"epochs": 5}).fit(**data)
    error = {name: np.mean((m.predict(t=at, x=x, grid=True)[0] - truth) ** 2) for name, m in
             (("dfiv", ours), ("naive", naive))}  # fmt: skip
    assert error["naive"] > 0.8  # shock is half of t
    assert error["dfiv"] < 0.5 * error["naive"]


def test_seeds_and_members():
    data = confounded(300, 2, np.tanh)
    settings = {"epochs": 2, "starts": 2, "batch_size": 64, **NETWORKS}
    one, same = (DFIV(seed=4, **settings).fit(**data) for _ in range(2))
    other = DFIV(seed=5, **settings).fit(**data)
    t, x = np.linspace(-1, 1, 5), np.zeros((5, 0))
    np.testing.assert_array_equal(one.predict(t=t, x=x), same.predict(t=t, x=x))
    assert not np.allclose(one.predict(t=t, x=x), other.predict(t=t, x=x))
    members = one.predict(t=t, x=x, members=True)
    assert members.shape == (2, 5)
    np.testing.assert_allclose(members.mean(axis=0), one.predict(t=t, x=x), rtol=1e-5)
    grid = one.predict(t=t, x=x, grid=True)
    np.testing.assert_allclose(grid.diagonal(), one.predict(t=t, x=x), rtol=1e-5)


def test_the_slope_is_that_of_the_response_with_controls():
    rng = np.random.default_rng(0)
    x, z, shock = rng.normal(size=(400, 2)), rng.normal(size=400), rng.normal(size=400)
    t = 10 + z + shock
    model = DFIV(epochs=3, batch_size=64, treatment={"features": 3}, **NETWORKS).fit(
        x=x, z=z, t=t, y=50 * x[:, 0] * t + shock
    )
    step = 0.05
    wanted = (model.predict(t=t[:20] + step, x=x[:20]) - model.predict(t=t[:20] - step, x=x[:20])) / (2 * step)
    np.testing.assert_allclose(model.elasticity(t=t[:20], x=x[:20]), wanted, rtol=0.02, atol=0.5)


def test_what_is_refused():
    with pytest.raises(ConfigError, match="epoch"):
        DFIV(epoch=3)
    with pytest.raises(RuntimeError, match="call fit first"):
        DFIV().predict(t=[0.0], x=np.zeros((1, 0)))
    with pytest.raises(DataError, match="not finite"):
        DFIV().fit(x=np.zeros((3, 0)), z=[0.0, np.nan, 1], t=[0.0, 1, 2], y=[0.0, 1, 2])
