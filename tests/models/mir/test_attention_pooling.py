"""Attention pooling against loops over views, scipy's softmax and average pooling."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import softmax

from micromega.models.mir.attention_pooling import AttentionPooling
from micromega.models.mir.pooling import pool


def make(dimension=4, hidden=3, seed=0):
    torch.manual_seed(seed)
    return AttentionPooling(dimension, hidden)


def loop(pooling, posts, view, views):
    """The definition, a view at a time."""
    first, second = pooling.first, pooling.second
    hidden = np.tanh(posts @ first.weight.detach().numpy().T + first.bias.detach().numpy())
    scores = hidden @ second.weight.detach().numpy()[0]
    pooled = np.zeros((views, posts.shape[1]))
    for v in range(views):
        if (view == v).any():
            pooled[v] = softmax(scores[view == v]) @ posts[view == v]
    return pooled


def test_by_hand():
    pooling = make(2, 1)
    pooling.load_state_dict(
        {
            "first.weight": torch.tensor([[1.0, 0.0]]),
            "first.bias": torch.tensor([0.0]),
            "second.weight": torch.tensor([[float(np.log(3) / np.tanh(1))]]),
        }
    )
    posts = torch.tensor([[1.0, 8.0], [0.0, 4.0], [7.0, 7.0]])
    # Scores of the first view ln 3 and 0, weights 3/4 and 1/4; the second has one post.
    found = pooling(posts, torch.tensor([0, 0, 1]), 2).detach().numpy()
    np.testing.assert_allclose(found, [[0.75, 7.0], [7.0, 7.0]], rtol=1e-6)
    np.testing.assert_allclose(
        pooling.weights(posts, torch.tensor([0, 0, 1]), 2).detach().numpy(), [0.75, 0.25, 1.0], rtol=1e-6
    )


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(0, 6), min_size=1, max_size=8), seed=st.integers(0, 2**16))
def test_equals_a_loop_over_views(counts, seed):
    pooling = make(seed=seed)
    with torch.no_grad():
        pooling.second.weight *= 5
    posts = np.random.default_rng(seed).normal(size=(sum(counts), 4)).astype(np.float32)
    view = np.repeat(np.arange(len(counts)), counts)
    found = pooling(torch.from_numpy(posts), torch.from_numpy(view), len(counts)).detach().numpy()
    np.testing.assert_allclose(found, loop(pooling, posts, view, len(counts)), rtol=1e-4, atol=1e-5)
    assert not found[np.array(counts) == 0].any()  # an empty view, be it first, last or between
    weights = pooling.weights(torch.from_numpy(posts), torch.from_numpy(view), len(counts)).detach().numpy()
    sums = np.bincount(view, weights=weights, minlength=len(counts))
    np.testing.assert_allclose(sums, (np.array(counts) > 0).astype(float), rtol=1e-5)


def test_no_posts_at_all():
    found = make()(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 3)
    assert torch.equal(found, torch.zeros(3, 4))


def test_order_of_posts_within_a_view_is_no_matter():
    pooling, posts, view = make(), torch.randn(9, 4), torch.tensor([0, 0, 0, 0, 2, 2, 2, 3, 3])
    mixed = torch.tensor([2, 0, 3, 1, 6, 5, 4, 8, 7])
    torch.testing.assert_close(pooling(posts[mixed], view, 4), pooling(posts, view, 4))
    across = torch.tensor([4, 1, 2, 3, 0, 5, 6, 7, 8])
    assert not torch.allclose(pooling(posts[across], view, 4), pooling(posts, view, 4))


def test_equal_weights_are_average_pooling():
    pooling = make()
    torch.nn.init.zeros_(pooling.second.weight)
    posts, view = torch.randn(10, 4), torch.tensor([0, 0, 0, 1, 1, 3, 3, 3, 3, 3])
    members = sparse.csr_matrix((np.ones(10, np.float32), (view.numpy(), np.arange(10))), shape=(4, 10))
    np.testing.assert_allclose(
        pooling(posts, view, 4).detach().numpy(), pool(posts.numpy(), members), rtol=1e-5, atol=1e-6
    )


def test_huge_scores_stay_finite_and_choose_one_post():
    pooling = make(1, 1)
    pooling.load_state_dict(
        {
            "first.weight": torch.tensor([[1.0]]),
            "first.bias": torch.tensor([0.0]),
            "second.weight": torch.tensor([[1e4]]),
        }
    )
    posts = torch.tensor([[1.0], [2.0], [-3.0], [-2.0]])
    found = pooling(posts, torch.tensor([0, 0, 1, 1]), 2)
    np.testing.assert_allclose(found.detach().numpy(), [[2.0], [-2.0]], rtol=1e-6)
    found.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in pooling.parameters())


def test_gradient_reaches_every_parameter_and_every_post():
    pooling, posts = make(), torch.randn(6, 4, requires_grad=True)
    pooling(posts, torch.tensor([0, 0, 0, 2, 2, 2]), 3).square().sum().backward()
    for name, parameter in pooling.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert (posts.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("shared", [False, True])
def test_gradients_are_those_of_differences(shared):
    pooling = make().double()
    posts = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    view = torch.tensor([0, 0, 1, 1, 1, 3])
    rows = torch.tensor([5, 0, 0, 1, 2, 3]) if shared else None
    parameters = dict(pooling.named_parameters())

    def run(posts, *values):
        return torch.func.functional_call(pooling, dict(zip(parameters, values, strict=True)), (posts, view, 4, rows))

    assert torch.autograd.gradcheck(run, (posts, *parameters.values()))


def test_shared_posts_equal_copies():
    pooling, posts = make(), torch.randn(5, 4)
    rows, view = torch.tensor([4, 0, 0, 1, 4, 2, 1]), torch.tensor([0, 0, 1, 1, 1, 2, 2])
    torch.testing.assert_close(pooling(posts, view, 3, rows), pooling(posts[rows], view, 3))
    gradients = []
    for arguments in ((posts, view, 3, rows), (posts[rows], view, 3)):
        pooling.zero_grad()
        pooling(*arguments).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in pooling.parameters()])
    torch.testing.assert_close(*gradients)


def test_one_pooling_serves_brands_and_creators():
    pooling = make()
    posts, view = torch.randn(6, 4), torch.tensor([0, 0, 1, 2, 2, 2])
    together = pooling(posts, view, 3)
    torch.testing.assert_close(together[:2], pooling(posts[:3], view[:3], 2))
    torch.testing.assert_close(together[2:], pooling(posts[3:], view[3:] - 2, 1))


def test_it_learns_which_post_counts():
    # Only posts with a 1 in front say something; the mean of all posts hides it, the learned weights find it.
    torch.manual_seed(0)
    posts = torch.randn(60, 10, 2)
    marked = torch.randint(0, 10, (60,))
    posts[:, :, 0] = 0
    posts[torch.arange(60), marked, 0] = 1
    target = posts[torch.arange(60), marked, 1]
    pooling = AttentionPooling(2, 8)
    view = torch.arange(60).repeat_interleave(10)
    optimiser = torch.optim.Adam(pooling.parameters(), lr=0.05)
    losses = []
    for _ in range(120):
        loss = (pooling(posts.view(-1, 2), view, 60)[:, 1] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 0.5
    assert losses[-1] < 0.01


def test_weights_keep_the_type_of_the_posts_under_mixed_precision():
    pooling, posts = make(), torch.randn(6, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pooling(posts, torch.tensor([0, 0, 0, 1, 1, 1]), 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, pooling(posts, torch.tensor([0, 0, 0, 1, 1, 1]), 2), atol=0.02, rtol=0.02)
