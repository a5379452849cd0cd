"""Stacked networks equal separate ones."""

import pytest
import torch
from torch import nn

from micromega.models.deepiv.stack import StackedLinear, StackedPerceptron


def separate(stack: StackedPerceptron, member: int) -> nn.Sequential:
    """The same network in torch's own layers."""
    layers: list[nn.Module] = []
    for stacked in stack.layers:
        inputs, outputs = stacked.weight.shape[1:]
        layer = nn.Linear(inputs, outputs)
        layer.weight.data = stacked.weight[member].T.detach().clone()
        layer.bias.data = stacked.bias[member, 0].detach().clone()
        layers += [layer, nn.SiLU() if stack.activation == "silu" else nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("activation", ["silu", "relu"])
@pytest.mark.parametrize("shared", [True, False])
def test_each_member_is_a_network_of_its_own(activation, shared):
    torch.manual_seed(0)
    stack = StackedPerceptron(3, (5, 8, 4, 2), activation, dropout=0.0)
    x = torch.randn(1 if shared else 3, 7, 5)
    out = stack(x)
    for member in range(3):
        torch.testing.assert_close(out[member], separate(stack, member)(x[0 if shared else member]))


def test_gradients_of_members_do_not_mix():
    stack = StackedPerceptron(3, (2, 6, 1), "silu", dropout=0.0)
    stack(torch.randn(1, 9, 2))[1].sum().backward()
    for parameter in stack.parameters():
        assert parameter.grad[[0, 2]].abs().max() == 0
        assert parameter.grad[1].abs().max() > 0


def test_layers_start_as_those_of_torch():
    torch.manual_seed(0)
    stacked, plain = StackedLinear(400, 16, 32), nn.Linear(16, 32 * 400)
    for ours, theirs in ((stacked.weight, plain.weight), (stacked.bias, plain.bias)):
        assert float(ours.detach().abs().max()) <= 0.25
        assert float(ours.detach().std()) == pytest.approx(float(theirs.detach().std()), rel=0.02)


def test_no_inputs_leave_the_bias():
    layer = StackedLinear(2, 0, 3)
    torch.testing.assert_close(layer(torch.zeros(1, 4, 0)), layer.bias.expand(2, 4, 3))


def test_dropout_acts_in_training_alone_and_keeps_the_mean():
    torch.manual_seed(0)
    stack = StackedPerceptron(2, (3, 64, 1), "relu", dropout=0.2)
    x = torch.randn(1, 1, 3).expand(1, 4_000, 3)
    trained = stack.train()(x)
    stood = stack.eval()(x)
    assert trained.std(dim=1).min() > 0
    assert stood.std(dim=1).max() < 1e-5
    torch.testing.assert_close(trained.mean(dim=1), stood.mean(dim=1), atol=0.02, rtol=0)
