"""Creators who choose among brands: by hand, and what is left out."""

import math

import pytest
import torch

from micromega.models.mir.losses.partners import creator_choice_loss

PADDING = 9


def loss_of(scores_LL, brand, target, partners):
    """The loss where creator i gives column j the score (i, j)."""
    return creator_choice_loss(
        scores_LL, torch.eye(len(brand)), torch.tensor(brand), torch.tensor(target), torch.tensor(partners)
    )


def test_by_hand():
    # Creator 3 works for brand 0, 4 for brand 1, 5 for brand 2: each chooses among all three.
    scores = torch.tensor([[2.0, 1.0, 1.0], [1.0, 3.0, 4.0], [5.0, 1.0, 2.0]]).log()
    expected = (math.log(4 / 2) + math.log(8 / 3) + math.log(8 / 2)) / 3
    loss = loss_of(scores, [0, 1, 2], [3, 4, 5], [[3], [4], [5]])
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_brands_the_creator_works_with_and_repeated_ones_are_no_rivals():
    # Brand 0 has creators 3 and 4, brand 1 has 3 and 5, brand 2 has 6; columns 0 and 1 are brand 0.
    brand, target = [0, 0, 1, 2], [3, 4, 5, 6]
    partners = [[3, 4], [3, 4], [3, 5], [6, PADDING]]
    scores = torch.tensor([[2.0, 7, 7, 3], [7, 3, 2, 4], [1, 7, 2, 5], [2, 7, 3, 1]]).log()
    rows = [
        math.log((2 + 3) / 2),  # 3 works for brand 1 too
        math.log((3 + 2 + 4) / 3),  # its own column stays, although it is brand 0's second
        math.log((1 + 2 + 5) / 2),  # brand 0 counts once
        math.log((2 + 3 + 1) / 1),
    ]
    scores.requires_grad_()
    loss = loss_of(scores, brand, target, partners)
    assert float(loss.detach()) == pytest.approx(sum(rows) / 4, rel=1e-6)
    loss.backward()
    assert scores.grad is not None
    counted = torch.tensor([[1, 0, 0, 1], [0, 1, 1, 1], [1, 0, 1, 1], [1, 0, 1, 1]], dtype=torch.bool)
    assert torch.equal(scores.grad != 0, counted)


def test_one_brand_leaves_no_choice():
    creators = torch.randn(2, 4, requires_grad=True)
    loss = creator_choice_loss(
        creators, torch.randn(2, 4), torch.tensor([5, 5]), torch.tensor([0, 1]), torch.tensor([[0, 1], [0, 1]])
    )
    loss.backward()
    assert loss.item() == 0
    assert creators.grad is not None
    assert (creators.grad == 0).all()


def test_the_order_of_the_rows_says_nothing_where_brands_differ():
    generator = torch.Generator().manual_seed(0)
    creators, brands = torch.randn(6, 3, generator=generator), torch.randn(6, 3, generator=generator)
    brand, target = torch.arange(6), torch.tensor([0, 1, 2, 0, 4, 5])
    partners = torch.tensor([[0, 1], [1, PADDING], [2, 4], [0, 5], [4, PADDING], [5, PADDING]])
    order = torch.randperm(6, generator=generator)
    torch.testing.assert_close(
        creator_choice_loss(creators, brands, brand, target, partners),
        creator_choice_loss(creators[order], brands[order], brand[order], target[order], partners[order]),
    )
