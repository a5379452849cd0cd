"""The elasticity: automatic against central differences, a closed form, and one row at a time."""

import numpy as np
import pytest
import torch

from micromega.models.deepiv.bands import percentile_band, simultaneous_band
from micromega.models.deepiv.batches import Spec
from micromega.models.deepiv.config import DeepIVModelConfig
from micromega.models.deepiv.elasticity import blocks, elasticity
from micromega.models.deepiv.module import OutcomeModule


def module(members=3, controls=2, hidden=(16, 8), seed=0):
    torch.manual_seed(seed)
    spec = Spec(
        mean={"t": torch.tensor(11.0), "z": torch.zeros(1), "x": torch.randn(controls), "y": torch.tensor(13.0)},
        deviation={"t": torch.tensor(2.9), "z": torch.ones(1), "x": torch.ones(controls) * 2, "y": torch.tensor(1.4)},
        treatment="of a test",
    )
    return OutcomeModule(DeepIVModelConfig(starts=members, outcome={"hidden": hidden}), spec)


def points(rows=6, nodes=4, controls=2, dtype=torch.float32):
    g = torch.Generator().manual_seed(1)
    t = 11 + 3 * torch.randn(1, rows, nodes, generator=g)
    return t.to(dtype), torch.randn(1, rows, controls, generator=g).to(dtype)


def test_equals_central_differences_in_float64():
    outcome = module().double()
    t, x = points(dtype=torch.float64)
    step = 1e-5
    with torch.no_grad():
        difference = (outcome.response(t + step, x) - outcome.response(t - step, x)) / (2 * step)
    found = elasticity(outcome, t, x)
    assert found.shape == (3, 6, 4)
    torch.testing.assert_close(found, difference, rtol=1e-6, atol=1e-9)
    single = elasticity(module(), *points())
    torch.testing.assert_close(single.double(), difference, rtol=1e-3, atol=1e-6)


def test_equals_the_closed_form_of_a_planted_network():
    """One hidden unit: h = v·a·σ(a) + c with a = w t + u'x + b, so that h' = v w σ(a) (1 + a (1 − σ(a)))."""
    outcome = module(members=2, hidden=(1,)).double()
    network = outcome.best.network
    t, x = points(dtype=torch.float64)
    found = elasticity(outcome, t, x)
    t_s, x_s = outcome.scale.standard("t", t), outcome.scale.standard("x", x)
    for member in range(2):
        w = network.treatment[member, 0, 0]
        u, b = network.controls.weight[member, :, 0], network.controls.bias[member, 0, 0]
        v = network.perceptron.layers[0].weight[member, 0, 0]
        a = w * t_s[0] + (x_s[0] @ u)[:, None] + b
        sigmoid = torch.sigmoid(a)
        expected = v * w * sigmoid * (1 + a * (1 - sigmoid)) * 1.4 / 2.9
        torch.testing.assert_close(found[member], expected, rtol=1e-6, atol=1e-9)


def test_each_row_and_member_by_itself_gives_the_same():
    outcome = module()
    t, x = points()
    whole = elasticity(outcome, t, x)
    for row in range(t.shape[1]):
        for node in range(t.shape[2]):
            alone = elasticity(outcome, t[:, row : row + 1, node : node + 1], x[:, row : row + 1])
            torch.testing.assert_close(alone[:, 0, 0], whole[:, row, node])


@pytest.mark.parametrize("quantity", ["response", "elasticity"])
def test_blocks_cover_the_rows_and_equal_the_whole(quantity, monkeypatch):
    outcome = module()
    x = torch.randn(50, 2)
    grid = torch.linspace(5, 16, 7)[None]
    whole = torch.cat([value for _, value in blocks(outcome, quantity, grid, x)], dim=1)
    monkeypatch.setattr("micromega.models.deepiv.elasticity._BLOCK", 3 * 7 * 8)
    parts = list(blocks(outcome, quantity, grid, x))
    assert len(parts) == 7
    assert [part.start for part, _ in parts] == list(range(0, 50, 8))
    torch.testing.assert_close(torch.cat([value for _, value in parts], dim=1), whole)
    assert whole.shape == (3, 50, 7)
    own = torch.cat([value for _, value in blocks(outcome, quantity, grid[0, 2].expand(50, 1), x)], dim=1)
    torch.testing.assert_close(own[..., 0], whole[..., 2])


def test_no_graph_is_left_behind_and_none_is_needed():
    outcome = module()
    with torch.inference_mode():
        x = torch.randn(1, 3, 2)
    found = elasticity(outcome, torch.randn(1, 3, 1), x.clone())
    assert not found.requires_grad


def test_percentile_bands_are_quantiles_at_each_point():
    values = np.random.default_rng(0).normal(size=(2_000, 5)) * np.arange(1, 6)
    band = percentile_band(values, 0.9)
    np.testing.assert_allclose(band.upper, 1.645 * np.arange(1, 6), rtol=0.1)
    np.testing.assert_allclose(band.lower, -1.645 * np.arange(1, 6), rtol=0.1)
    assert not band.simultaneous


def test_simultaneous_bands_hold_whole_curves_as_often_as_they_say():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(400, 20)).cumsum(axis=1)
    band = simultaneous_band(values, 0.9)
    inside = ((values >= band.lower) & (values <= band.upper)).all(axis=1).mean()
    assert inside == pytest.approx(0.9, abs=0.01)
    pointwise = percentile_band(values, 0.9)
    assert ((pointwise.upper - pointwise.lower) < (band.upper - band.lower)).all()
    assert ((values >= pointwise.lower) & (values <= pointwise.upper)).all(axis=1).mean() < 0.8


def test_simultaneous_bands_of_several_curves_are_those_of_each():
    values = np.random.default_rng(2).normal(size=(50, 3, 10))
    together = simultaneous_band(values, 0.95)
    for row in range(3):
        np.testing.assert_allclose(together.upper[row], simultaneous_band(values[:, row], 0.95).upper)
