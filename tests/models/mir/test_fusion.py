"""Fusions against numpy with fixed weights, and what dropout may and may not do."""

from typing import get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from micromega.models.mir.config import MIRModelConfig
from micromega.models.mir.fusion import build_fusion, modality_dropout
from micromega.models.mir.fusion.dropout import DropoutLinear

NAMES = ("bilinear", "concatenation", "linear", "gated")
SIZES = {"text": 3, "account": 2, "visual": 4}


def make(name, sizes=SIZES, *, hidden=6, outputs=5, dropout=0.0, dropout_on="activations"):
    torch.manual_seed(0)
    return build_fusion(name, sizes, hidden=hidden, outputs=outputs, dropout=dropout, dropout_on=dropout_on)


def draw(sizes=SIZES, rows=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(rows, size, generator=generator) for name, size in sizes.items()}


def set_weights(fusion, **values):
    """Set the named parameters, all of them."""
    wanted = {name.replace("__", "."): torch.tensor(value) for name, value in values.items()}
    fusion.load_state_dict(wanted)
    return fusion.eval()


def leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def two_layers(x, branch):
    first, second = (layer.weight.detach().numpy() for layer in (branch.first, branch.second))
    return leaky(x @ first.T + branch.first.bias.detach().numpy()) @ second.T


def beside(features):
    return np.concatenate([values.numpy() for values in features.values()], axis=1)


def test_bilinear_by_hand():
    fusion = set_weights(
        make("bilinear", {"a": 2, "b": 1}, hidden=2, outputs=1),
        branches__a__first__weight=[[1.0, 2.0], [0.0, -1.0]],
        branches__a__first__bias=[0.5, 0.0],
        branches__a__second__weight=[[2.0, 100.0]],
        branches__b__first__weight=[[3.0], [-3.0]],
        branches__b__first__bias=[0.0, 1.0],
        branches__b__second__weight=[[1.0, 10.0]],
    )
    # a: hidden (1 + 6 + .5, −3) → (7.5, −.03) → 15 − 3; b: hidden (6, −5) → (6, −.05) → 6 − .5
    found = fusion({"a": torch.tensor([[1.0, 3.0]]), "b": torch.tensor([[2.0]])})
    assert found.item() == pytest.approx(12 * 5.5)


def test_concatenation_by_hand_ends_in_a_linear_layer():
    fusion = set_weights(
        make("concatenation", {"a": 2, "b": 1}, hidden=2, outputs=2),
        network__first__weight=[[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]],
        network__first__bias=[0.0, -1.0],
        network__second__weight=[[1.0, 100.0], [-2.0, 0.0]],
    )
    # hidden (1 + 4, 3 − 2 − 1 − 4 → −4) → (5, −.04); outputs 5 − 4 and −10, which a second leaky ReLU would make −.1
    found = fusion({"a": torch.tensor([[1.0, -1.0]]), "b": torch.tensor([[2.0]])})
    np.testing.assert_allclose(found.detach().numpy(), [[1.0, -10.0]], rtol=1e-6)


def test_linear_by_hand():
    fusion = set_weights(
        make("linear", {"a": 2, "b": 1}, outputs=2),
        projection__weight=[[1.0, 2.0, 3.0], [0.0, 0.0, -1.0]],
        projection__bias=[0.5, 0.0],
    )
    found = fusion(
        {"b": torch.tensor([[5.0]]), "a": torch.tensor([[10.0, 100.0]])}
    )  # the order of the dict is no matter
    np.testing.assert_allclose(found.detach().numpy(), [[10 + 200 + 15 + 0.5, -5.0]], rtol=1e-6)


def test_gated_by_hand():
    fusion = set_weights(
        make("gated", {"a": 1, "b": 1}, hidden=1, outputs=2),
        branches__a__weight=[[1.0], [0.0]],
        branches__a__bias=[0.0, 1.0],
        branches__b__weight=[[0.0], [2.0]],
        branches__b__bias=[4.0, 0.0],
        gate__first__weight=[[1.0, 1.0]],
        gate__first__bias=[-4.0],
        gate__second__weight=[[float(np.log(3))], [0.0]],
    )
    # gate: hidden 2 + 3 − 4 = 1, logits (ln 3, 0), weights 3/4 and 1/4
    features = {"a": torch.tensor([[2.0]]), "b": torch.tensor([[3.0]])}
    np.testing.assert_allclose(fusion.weights(features).detach().numpy(), [[0.75, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(
        fusion(features).detach().numpy(), [[0.75 * 2 + 0.25 * 4, 0.75 * 1 + 0.25 * 6]], rtol=1e-6
    )


def test_every_fusion_equals_numpy_on_random_weights():
    features = draw()
    stacked = beside(features)
    bilinear, concatenation, linear, gated = (make(name).eval() for name in NAMES)
    product = np.ones((7, 5))
    for name, values in features.items():
        product *= two_layers(values.numpy(), bilinear.branches[name])
    logits = two_layers(stacked, gated.gate)
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    total = np.zeros((7, 5))
    for place, (name, values) in enumerate(features.items()):
        weight, bias = (p.detach().numpy() for p in gated.branches[name].parameters())
        total += weights[:, [place]] * (values.numpy() @ weight.T + bias)
    weight, bias = (p.detach().numpy() for p in linear.parameters())
    expected = (product, two_layers(stacked, concatenation.network), stacked @ weight.T + bias, total)
    for fusion, values in zip((bilinear, concatenation, linear, gated), expected, strict=True):
        np.testing.assert_allclose(fusion(features).detach().numpy(), values, rtol=1e-4, atol=1e-6)


def test_gated_weights_are_those_of_the_account():
    fusion, features = make("gated"), draw()
    weights = fusion.eval().weights(features)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(7))
    assert (weights > 0).all()
    assert not torch.allclose(weights[0], weights[1])


def test_gated_with_one_modality_is_linear():
    fusion, features = make("gated", {"text": 3}).eval(), draw({"text": 3})
    torch.testing.assert_close(fusion(features), fusion.branches["text"](features["text"]))


def test_the_gate_can_tell_a_hidden_modality_from_an_average_one():
    # What its hidden layer is for: lower the weight at 0 and raise it on both sides.
    fusion = make("gated", {"a": 1, "b": 1}, hidden=2, outputs=1)
    with torch.no_grad():
        fusion.gate.first.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        fusion.gate.first.bias.zero_()
        fusion.gate.second.weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    weights = fusion.eval().weights({"a": torch.tensor([[-2.0], [0.0], [2.0]]), "b": torch.zeros(3, 1)})
    assert weights[0, 0] > 0.8
    assert weights[1, 0].item() == pytest.approx(0.5)
    assert weights[2, 0] > 0.8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dropout_on", ["weights", "activations"])
def test_gradient_reaches_every_parameter(name, dropout_on):
    fusion = make(name, dropout=0.3, dropout_on=dropout_on).train()
    fusion(draw(rows=32)).square().sum().backward()
    for parameter_name, parameter in fusion.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_differences(name):
    fusion = make(name).double()
    features = {key: values.double() for key, values in draw(rows=2).items()}
    parameters = dict(fusion.named_parameters())

    def run(*values):
        return torch.func.functional_call(fusion, dict(zip(parameters, values, strict=True)), (features,))

    assert torch.autograd.gradcheck(run, tuple(parameters.values()))


@pytest.mark.parametrize("name", NAMES)
def test_rows_do_not_mix_in_evaluation(name):
    fusion, features = make(name, dropout=0.5).eval(), draw()
    one_by_one = [fusion({key: values[[row]] for key, values in features.items()}) for row in range(7)]
    torch.testing.assert_close(fusion(features), torch.cat(one_by_one))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dropout_on", ["weights", "activations"])
def test_dropout_is_off_in_evaluation_and_on_in_training(name, dropout_on):
    fusion, features = make(name, dropout=0.5, dropout_on=dropout_on), draw()
    assert not torch.equal(fusion.train()(features), fusion(features))
    assert torch.equal(fusion.eval()(features), fusion(features))
    without = make(name, dropout=0.0, dropout_on=dropout_on).train()
    assert torch.equal(without(features), fusion(features))


@pytest.mark.parametrize("name", NAMES)
def test_dropped_weights_are_the_same_for_all_rows_and_dropped_activations_are_not(name):
    row = draw(rows=1)
    features = {key: values.expand(64, -1) for key, values in row.items()}
    on_weights = make(name, dropout=0.5, dropout_on="weights").train()(features)
    torch.testing.assert_close(on_weights, on_weights[:1].expand(64, -1))
    on_activations = make(name, dropout=0.5, dropout_on="activations").train()(features)
    assert len(torch.unique(on_activations, dim=0)) > 16


@pytest.mark.parametrize(("dropout_on", "rate"), [("weights", 0.0), ("activations", 0.3)])
def test_hidden_units_are_dropped_with_activations_only(dropout_on, rate):
    # One hidden unit: the output is 0 just where it is dropped, since of 64 inputs some are always left.
    fusion = make("concatenation", {"text": 64}, hidden=1, outputs=1, dropout=0.3, dropout_on=dropout_on).train()
    zero = fusion({"text": torch.ones(2000, 64)}) == 0
    assert zero.float().mean().item() == pytest.approx(rate, abs=0.04 * (rate > 0))


@pytest.mark.parametrize("dropout_on", ["weights", "activations"])
def test_dropout_keeps_the_mean_and_has_its_rate(dropout_on):
    torch.manual_seed(0)
    layer = DropoutLinear(1, 4000, dropout=0.3, dropout_on=dropout_on).train()
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    # 4,000 weights of one row, or 4,000 rows of one input: each 0 or 1 / .7.
    found = layer(torch.ones(1, 1))[0] if dropout_on == "weights" else layer(torch.ones(4000, 1))[:, 0]
    assert set(found.detach().numpy().round(4).tolist()) == {0.0, np.float32(1 / 0.7).round(4)}
    assert (found == 0).float().mean().item() == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 4000) ** 0.5)
    assert layer.eval()(torch.ones(1, 1)).unique().item() == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_tied_tower_gets_the_gradients_of_both_sides(name):
    brands, creators = draw(rows=4, seed=2), draw(rows=4, seed=3)
    tied, brand_tower, creator_tower = make(name), make(name), make(name)

    def score(left, right):
        return (left(brands) * right(creators)).mean()

    together, apart = score(tied, tied), score(brand_tower, creator_tower)
    torch.testing.assert_close(together, apart)
    together.backward()
    apart.backward()
    for one, left, right in zip(tied.parameters(), brand_tower.parameters(), creator_tower.parameters(), strict=True):
        torch.testing.assert_close(one.grad, left.grad + right.grad)
    # A tied model scores an account against itself with a square, and counts its parameters once.
    module = nn.ModuleDict({"brand": tied, "creator": tied})
    assert len(list(module.parameters())) == len(list(tied.parameters()))
    assert (tied(brands) * tied(brands)).mean() > 0


def test_the_configuration_knows_the_same_fusions():
    choices = get_type_hints(MIRModelConfig, include_extras=False)["fusion"].__args__
    assert set(choices) == set(NAMES)
    for name in choices:
        assert type(make(name)).__name__.lower() == name
    with pytest.raises(KeyError):
        make("bilinar")


@pytest.mark.parametrize("name", NAMES)
def test_weights_survive_saving(name, tmp_path):
    fusion, features = make(name).eval(), draw()
    torch.save(fusion.state_dict(), tmp_path / "weights.pt")
    other = build_fusion(name, SIZES, hidden=6, outputs=5, dropout=0.0, dropout_on="activations").eval()
    assert not torch.equal(other(features), fusion(features))
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(features), fusion(features))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 40),
    modalities=st.integers(1, 4),
    rate=st.floats(0, 0.999),
    seed=st.integers(0, 2**16),
)
def test_modality_dropout_drops_whole_modalities_and_never_all(rows, modalities, rate, seed):
    torch.manual_seed(seed)
    before = {f"m{place}": torch.rand(rows, place + 1) + 1 for place in range(modalities)}
    copies = {name: values.clone() for name, values in before.items()}
    after = modality_dropout(before, rate)
    assert list(after) == list(before)
    present = np.zeros((rows, modalities), dtype=bool)
    for place, (name, values) in enumerate(after.items()):
        assert torch.equal(before[name], copies[name])  # the caller's stay as they are
        gone = (values == 0).all(dim=1)
        present[:, place] = ~gone.numpy()
        assert torch.equal(values[~gone], before[name][~gone])  # neither scaled nor dropped in part
    assert present.any(axis=1).all()


@pytest.mark.parametrize(("modalities", "rate"), [(1, 0.9), (2, 0.3), (3, 0.5), (3, 0.9)])
def test_modality_dropout_has_its_rate(modalities, rate):
    torch.manual_seed(0)
    rows = 40_000
    after = modality_dropout({f"m{place}": torch.ones(rows, 2) for place in range(modalities)}, rate)
    missing = np.stack([(values == 0).all(dim=1).numpy() for values in after.values()], axis=1)
    expected = rate - rate**modalities / modalities
    error = 4 * (expected * (1 - expected) / rows) ** 0.5 + 1e-12
    np.testing.assert_allclose(missing.mean(axis=0), expected, atol=error)
    # Counts of missing modalities are binomial, but that "all" counts as all but one.
    binomial = [
        np.prod([(modalities - i) / (i + 1) for i in range(k)]) * rate**k * (1 - rate) ** (modalities - k)
        for k in range(modalities + 1)
    ]
    binomial[modalities - 1] += binomial.pop()
    found = np.bincount(missing.sum(axis=1), minlength=modalities) / rows
    np.testing.assert_allclose(found, binomial, atol=0.011)


def test_modality_dropout_of_rate_zero_changes_nothing():
    features = draw()
    for name, values in modality_dropout(features, 0.0).items():
        assert torch.equal(values, features[name])


def test_modality_dropout_follows_the_seed_and_differs_from_row_to_row():
    features = {"a": torch.ones(50, 1), "b": torch.ones(50, 1)}
    torch.manual_seed(5)
    first = modality_dropout(features, 0.5)
    torch.manual_seed(5)
    again = modality_dropout(features, 0.5)
    assert all(torch.equal(first[name], again[name]) for name in features)
    assert 0 < first["a"].sum() < 50


def test_gradient_passes_through_shown_modalities_only():
    torch.manual_seed(0)
    features = {"a": torch.ones(50, 2, requires_grad=True), "b": torch.ones(50, 3, requires_grad=True)}
    shown = modality_dropout(features, 0.5)
    sum(values.sum() for values in shown.values()).backward()
    for name, values in features.items():
        assert torch.equal(values.grad, shown[name].detach())
