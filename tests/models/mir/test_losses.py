"""Losses against loops over the formulas, hand-computed values, scikit-learn and each other."""

import itertools
import math
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from micromega.models.mir import module
from micromega.models.mir.config import MIRModelConfig
from micromega.models.mir.losses.approx_ndcg import approx_ndcg_loss
from micromega.models.mir.losses.lambda_loss import lambda_loss
from micromega.models.mir.losses.list_mle import list_mle_loss

LOSSES = (list_mle_loss, approx_ndcg_loss, lambda_loss)


def lists(seed, length=4, count=3, distinct=False):
    rng = np.random.default_rng(seed)
    scores = torch.tensor(rng.normal(size=(count, length)))
    labels = rng.random((count, length)) if distinct else rng.choice([0.0, 0.0, 0.4, 1.0], (count, length))
    return scores, torch.tensor(labels)


@pytest.mark.parametrize("seed", range(5))
def test_list_mle_is_the_likelihood_of_the_order(seed):
    scores, labels = lists(seed, distinct=True)
    for s, y, whole in zip(scores, labels, [list_mle_loss(scores, labels)] * 3, strict=True):
        assert torch.isfinite(whole)
        order = y.argsort(descending=True)
        likelihood = math.prod(
            float(s[order[place]].exp() / s[order[place:]].exp().sum()) for place in range(len(order))
        )
        assert float(list_mle_loss(s[None], y[None])) == pytest.approx(-math.log(likelihood))


def test_the_likelihoods_of_all_orders_add_up_to_one():
    scores = torch.tensor([[0.3, -1.2, 2.0, 0.7]], dtype=torch.float64)
    orders = itertools.permutations([1.0, 2.0, 3.0, 4.0])
    total = sum(float(torch.exp(-list_mle_loss(scores, torch.tensor([order])))) for order in orders)
    assert total == pytest.approx(1)


def test_list_mle_with_one_positive_is_softmax_cross_entropy():
    scores = torch.tensor([[0.3, -1.2, 2.0, 0.7]])
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([2]))
    torch.testing.assert_close(list_mle_loss(scores, torch.tensor([[0.0, 0.0, 0.8, 0.0]])), expected)


@pytest.mark.parametrize("seed", range(5))
def test_approx_ndcg_nears_ndcg(seed):
    scores, labels = lists(seed, length=6)
    labels[:, 0] = 1.0
    expected = 1 - ndcg_score((2**labels - 1).numpy(), scores.numpy())
    assert float(approx_ndcg_loss(scores, labels, temperature=1e-4)) == pytest.approx(expected, abs=1e-6)


def test_approx_ndcg_by_hand():
    # Two items, equal scores: both smooth ranks are 1.5.
    loss = approx_ndcg_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    assert float(loss) == pytest.approx(1 - 1 / math.log2(2.5))


@pytest.mark.parametrize("seed", range(5))
def test_lambda_loss_is_a_sum_over_pairs(seed):
    scores, labels = lists(seed)
    total = 0.0
    for s, y in zip(scores.tolist(), labels.tolist(), strict=True):
        rank = [1 + sum(other > mine for other in s) for mine in s]
        gain = [2**label - 1 for label in y]
        ideal = sum(g / math.log2(2 + place) for place, g in enumerate(sorted(gain, reverse=True)))
        for i, j in itertools.permutations(range(len(s)), 2):
            if y[i] > y[j]:
                rho = abs(1 / math.log2(1 + rank[i]) - 1 / math.log2(1 + rank[j]))
                apart = abs(rank[i] - rank[j])
                delta = abs(1 / math.log2(1 + apart) - 1 / math.log2(2 + apart))
                weight = (rho + 10 * delta) * abs(gain[i] - gain[j]) / ideal
                total += weight * math.log2(1 + math.exp(s[j] - s[i]))
    assert float(lambda_loss(scores, labels)) == pytest.approx(total / len(scores))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50))
def test_only_differences_and_pairs_count(loss, seed, shift):
    scores, labels = lists(seed)
    order = torch.tensor(np.random.default_rng(seed).permutation(scores.shape[1]))
    value = loss(scores, labels)
    torch.testing.assert_close(loss(scores + shift, labels), value)
    torch.testing.assert_close(loss(scores[:, order], labels[:, order]), value)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_a_step_down_the_gradient_lifts_the_positive(loss):
    scores = torch.tensor([[1.0, 0.5, 0.0]], requires_grad=True)
    loss(scores, torch.tensor([[0.0, 0.0, 1.0]])).backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert scores.grad[0, 2] < 0 < scores.grad[0, :2].min()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_lists_without_an_order_give_no_gradient(loss):
    scores = torch.tensor([[1.0, 0.5, 0.0]], requires_grad=True)
    loss(scores, torch.zeros(1, 3)).backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, torch.zeros(1, 3))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_extreme_scores_stay_finite(loss):
    scores = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    value = loss(scores, torch.tensor([[0.0, 1.0, 0.5]]))
    value.backward()
    assert torch.isfinite(value)
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


def test_every_choice_of_the_config_has_its_loss():
    choices = get_args(get_type_hints(MIRModelConfig)["loss"])
    assert sorted(choices) == sorted((*module.LIST_LOSSES, *module.PAIR_LOSSES))
