"""Eq. 5 for a row, its estimate from two samples, and the penalties on the response's shape."""

import pytest
import torch

from micromega.models.deepiv.loss import integral, shape_penalty, squared_error, two_sample_error


def test_integral_and_squared_error_of_numbers_worked_by_hand():
    response = torch.tensor([[[1.0, 3.0], [0.0, 4.0]]])
    weight = torch.tensor([[[0.5, 0.5], [0.75, 0.25]]])
    integrated = integral(response, weight)
    torch.testing.assert_close(integrated, torch.tensor([[2.0, 1.0]]))
    torch.testing.assert_close(squared_error(torch.tensor([[5.0, 1.0]]), integrated), torch.tensor([[9.0, 0.0]]))


def test_two_samples_are_unbiased_in_value_and_gradient_and_one_is_not():
    """h = a t with t ~ N(1, 4): (y − a)² and −2 (y − a) in closed form; one sample adds 4 a²/M and 8 a/M."""
    torch.manual_seed(0)
    a = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(2.0, dtype=torch.float64)
    draws = a * (1 + 2 * torch.randn(400_000, 4, dtype=torch.float64))
    first, second = draws[:, :2].mean(dim=1), draws[:, 2:].mean(dim=1)
    for loss, value, slope in (
        (two_sample_error(y, first, second), 1.5**2, -3.0),
        (squared_error(y, draws.mean(dim=1)), 1.5**2 + 0.25, -3.0 + 1.0),
    ):
        (found,) = torch.autograd.grad(loss.mean(), a, retain_graph=True)
        assert float(loss.detach().mean()) == pytest.approx(value, abs=0.03)
        assert float(found) == pytest.approx(slope, abs=0.06)


def test_penalties_of_parabolas_in_closed_form():
    at = torch.tensor([[[-2.0, -0.5, 1.0, 4.0]]], dtype=torch.float64)
    rising, falling = shape_penalty_of(at, 0.0, 3.0), shape_penalty_of(at, 0.0, -3.0)
    assert rising == (0.0, 0.0)
    assert falling == pytest.approx((9.0, 0.0))
    # The divided difference of t² over (a, b) is a + b, and its second derivative is 2 everywhere.
    slopes, curvature = shape_penalty_of(at, 1.0, 0.0)
    assert slopes == pytest.approx(2.5**2 / 3)
    assert curvature == pytest.approx(4.0)


def shape_penalty_of(at, square, line):
    response = square * at**2 + line * at
    alone = [
        shape_penalty(at, response, negative_slopes=slopes, curvature=curvature)
        for slopes, curvature in ((1.0, 0.0), (0.0, 1.0))
    ]
    return float(alone[0]), float(alone[1])


def test_coinciding_nodes_give_finite_penalties():
    at = torch.zeros(1, 1, 4)
    response = torch.zeros(1, 1, 4, requires_grad=True)
    penalty = shape_penalty(at, response, negative_slopes=1.0, curvature=1.0)
    penalty.sum().backward()
    assert float(penalty.detach()) == 0
    assert torch.isfinite(response.grad).all()


def test_two_nodes_have_no_curvature():
    at = torch.tensor([[[0.0, 1.0]]])
    assert float(shape_penalty(at, -at, negative_slopes=0.0, curvature=5.0)) == 0


def test_penalties_do_not_depend_on_the_order_of_the_nodes():
    """Those of hermite and monte_carlo come in none."""
    g = torch.Generator().manual_seed(0)
    at, response = torch.randn(1, 5, 6, generator=g), torch.randn(3, 5, 6, generator=g)
    mixed = torch.randperm(6, generator=g)
    sorted_ = shape_penalty(at, response, negative_slopes=2.0, curvature=0.5)
    torch.testing.assert_close(
        shape_penalty(at[..., mixed], response[..., mixed], negative_slopes=2.0, curvature=0.5), sorted_
    )
