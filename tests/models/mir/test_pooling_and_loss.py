"""Equations 2 to 4, 8, 15 to 17 computed another way."""

import math

import numpy as np
import pytest
import torch
from scipy import sparse

from micromega.models.mir.config import MIRModelConfig
from micromega.models.mir.losses.top_one import competence, l1_norm, top_one_loss
from micromega.models.mir.network import Encoder, Temperature
from micromega.models.mir.pooling import latest_posts, pool


def members_of(rows, posts):
    matrix = np.zeros((len(rows), posts), np.float32)
    for account, members in enumerate(rows):
        matrix[account, members] = 1
    return sparse.csr_matrix(matrix)


def test_average_pooling_is_the_mean_of_each_history():
    posts = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    found = pool(posts, members_of([[0, 1, 2], [3], []], 6))
    np.testing.assert_allclose(found[0], posts[:3].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found[1], posts[3], rtol=1e-6)
    np.testing.assert_array_equal(found[2], 0)  # an account without posts


def test_weighted_pooling_is_equation_four():
    posts = np.abs(np.random.default_rng(1).normal(size=(5, 3))).astype(np.float32) + 0.1
    found = pool(posts, members_of([[0, 1, 2, 4]], 5), weighted=True, gamma=1 / 3)[0]
    history = posts[[0, 1, 2, 4]].astype(np.float64)
    for j in range(3):
        mean = history[:, j].mean()
        deviation = math.sqrt(((history[:, j] - mean) ** 2).mean())
        assert found[j] == pytest.approx(math.exp(-deviation / mean / 3) * mean, rel=1e-5)


def test_weighted_pooling_is_finite_for_zero_and_negative_means():
    posts = np.array([[1.0, -2.0, 0.0], [-1.0, -4.0, 0.0]], np.float32)
    found = pool(posts, members_of([[0, 1]], 2), weighted=True)[0]
    assert np.isfinite(found).all()
    assert found[0] == 0  # mean 0: weight 1 times mean 0
    assert found[1] == pytest.approx(-3 * math.exp(-(1 / 3) / 3))  # |μ| is used, the sign is kept


def test_weight_is_one_at_gamma_zero_and_for_constant_features():
    posts = np.array([[2.0, 1.0], [2.0, 5.0]], np.float32)
    np.testing.assert_allclose(pool(posts, members_of([[0, 1]], 2), weighted=True, gamma=0), [[2, 3]])
    assert pool(posts, members_of([[0, 1]], 2), weighted=True)[0, 0] == pytest.approx(2)


def test_only_the_latest_posts_count():
    account, post = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 3])
    recency = np.array([5, 9, 7, 1])
    kept = latest_posts(account, post, recency, limit=2, shape=(2, 4)).toarray()
    np.testing.assert_array_equal(kept, [[0, 1, 1, 0], [0, 0, 0, 1]])


def test_competence_is_equation_eight():
    found = competence(torch.tensor([0.02]), torch.tensor([0.6]), alpha=0.5)
    assert found.item() == pytest.approx(0.31)


def test_top_one_loss_by_hand():
    scores, labels = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[0.7, 0.0, 0.0]])
    target = [math.exp(x) / (math.exp(0.7) + 2) for x in (0.7, 0, 0)]
    total = sum(math.exp(x) for x in (1.0, 2.0, 0.5))
    by_hand = -sum(y * (z - math.log(total)) for y, z in zip(target, (1.0, 2.0, 0.5), strict=True))
    assert top_one_loss(scores, labels).item() == pytest.approx(by_hand, rel=1e-6)


def test_loss_is_least_where_scores_are_the_labels_and_finite_for_huge_scores():
    labels = torch.tensor([[0.7, 0.1, 0.0]])
    scores = (labels + 3.0).requires_grad_()
    top_one_loss(scores, labels).backward()
    torch.testing.assert_close(scores.grad, torch.zeros(1, 3), atol=1e-7, rtol=0)
    assert torch.isfinite(top_one_loss(torch.tensor([[1e4, -1e4, 0.0]]), labels))


def test_l1_norm_adds_absolute_weights():
    assert l1_norm([torch.tensor([[-1.0, 2.0]]), torch.tensor([0.5])]).item() == 3.5


@pytest.mark.parametrize("fusion", ["bilinear", "linear", "gated", "concatenation"])
def test_a_score_is_the_mean_over_the_embedding_of_the_product(fusion):
    sizes = {"text": 3, "account": 2}
    encoder = Encoder(MIRModelConfig(fusion=fusion, hidden_size=4, embedding_size=5), sizes).eval()
    features = {name: torch.randn(6, size) for name, size in sizes.items()}
    raw, found = encoder.fusion(features), encoder(features)
    for a in range(6):
        for b in range(6):
            assert (found[a] @ found[b]).item() == pytest.approx((raw[a] * raw[b]).mean().item(), abs=1e-5)


def test_or_their_cosine_divided_by_the_temperature():
    config = MIRModelConfig(fusion="linear", hidden_size=4, embedding_size=5, score="cosine")
    encoder, temperature = Encoder(config, {"text": 3}).eval(), Temperature(0.2)
    features = {"text": torch.randn(4, 3)}
    raw, found = encoder.fusion(features), temperature(encoder(features))
    expected = torch.nn.functional.cosine_similarity(raw[:, None], raw[None], dim=2) / 0.2
    torch.testing.assert_close(found @ found.T, expected)


def test_the_learned_factor_of_cosines_stays_below_one_hundred():
    temperature = Temperature(1e-4)
    one = temperature(torch.tensor([[1.0, 0.0]]))
    assert (one @ one.T).item() == pytest.approx(100)


def test_modalities_are_hidden_in_training_only():
    encoder = Encoder(MIRModelConfig(fusion="linear", dropout=0.0, modality_dropout=0.9), {"text": 3, "account": 2})
    features = {"text": torch.randn(50, 3), "account": torch.randn(50, 2)}
    assert not torch.equal(encoder.train()(features), encoder(features))
    assert torch.equal(encoder.eval()(features), encoder(features))
