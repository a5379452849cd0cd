"""InfoNCE by hand, against the full softmax over every sample that can be drawn, and what must not move."""

import itertools
import math

import pytest
import torch

from micromega.models.mir.losses.info_nce import info_nce_loss, log_inclusion

NOTHING = torch.zeros(1, 4, dtype=torch.bool)


def test_by_hand():
    # Row 1: target 1 against 0 and 3 (2 is another partner of its brand). Row 2: target 3 against all.
    scores = torch.tensor([[math.log(2), math.log(3), 100.0, 0.0], [0.0, math.log(4), math.log(2), 0.0]])
    excluded = torch.tensor([[False, False, True, False], [False] * 4])
    expected = (math.log((2 + 3 + 1) / 3) + math.log(8 / 1)) / 2
    assert float(info_nce_loss(scores, torch.tensor([1, 3]), excluded)) == pytest.approx(expected, rel=1e-6)


def test_correction_by_hand():
    # 0 is drawn with chance 1/2, so it stands for two of its kind; 3 with 1/4; the target 1 is always there.
    scores = torch.tensor([[math.log(2), math.log(3), 100.0, 0.0]])
    excluded = torch.tensor([[False, False, True, False]])
    log_q = torch.tensor([1 / 2, 1 / 3, 1 / 5, 1 / 4]).log()
    loss = info_nce_loss(scores, torch.tensor([1]), excluded, log_q)
    assert float(loss) == pytest.approx(math.log((2 * 2 + 3 + 4 * 1) / 3), rel=1e-6)


def test_excluded_columns_have_no_gradient_and_the_target_is_never_left_out():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 5, generator=generator, requires_grad=True)
    target = torch.tensor([0, 4, 2])
    excluded = torch.zeros(3, 5, dtype=torch.bool)
    excluded[0, [1, 3]] = excluded[1, 0] = excluded[2, 1] = True
    others = excluded.clone()
    excluded[torch.arange(3), target] = True  # as the matrix of all partners of a brand has it
    log_q = torch.rand(5, generator=generator).log()
    loss = info_nce_loss(scores, target, excluded, log_q)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert (gradient[others] == 0).all()
    assert (gradient[~others] != 0).all()
    changed = info_nce_loss(scores.detach().masked_fill(others, 1e6), target, excluded, log_q)
    torch.testing.assert_close(changed, loss.detach())


def test_a_row_without_rivals_says_nothing():
    scores = torch.randn(1, 4, requires_grad=True)
    loss = info_nce_loss(scores, torch.tensor([2]), torch.ones(1, 4, dtype=torch.bool), torch.full((4,), -3.0))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert (scores.grad == 0).all()


def sampled(scores, target, chance, sign):
    """Expected e^loss and gradients of e^loss and of the loss, over all samples of the candidates but the target."""
    others = [column for column in range(len(scores)) if column != target]
    expected, gradient, plain = 0.0, torch.zeros_like(scores), torch.zeros_like(scores)
    for drawn in itertools.product([False, True], repeat=len(others)):
        probability = math.prod(
            float(chance[c]) if d else 1 - float(chance[c]) for c, d in zip(others, drawn, strict=True)
        )
        columns = [c for c, d in zip(others, drawn, strict=True) if d] + [target]
        leaf = scores.clone().requires_grad_()
        loss = info_nce_loss(
            leaf[columns][None],
            torch.tensor([len(columns) - 1]),
            torch.zeros(1, len(columns), dtype=torch.bool),
            None if sign == 0 else sign * chance[columns].log(),
        )
        expected += probability * float(loss.detach().exp())
        (plain_one,) = torch.autograd.grad(loss, leaf)
        plain += probability * plain_one
        gradient += probability * float(loss.detach().exp()) * plain_one
    return expected, gradient, plain


def test_the_corrected_sample_stands_for_the_full_softmax():
    # Popular candidates (large chance) are drawn more often. e^loss is linear in the sum over the candidates, so its
    # expectation over samples is that of the full softmax exactly; any other sign or a corrected target misses it.
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(9, generator=generator, dtype=torch.float64)
    chance = torch.linspace(0.1, 0.95, 9, dtype=torch.float64)
    target = 2
    leaf = scores.clone().requires_grad_()
    full = info_nce_loss(leaf[None], torch.tensor([target]), torch.zeros(1, 9, dtype=torch.bool))
    (full_plain,) = torch.autograd.grad(full, leaf, retain_graph=True)
    (full_gradient,) = torch.autograd.grad(full.exp(), leaf)

    expected, gradient, plain = sampled(scores, target, chance, 1)
    assert expected == pytest.approx(float(full.detach().exp()), rel=1e-12)
    torch.testing.assert_close(gradient, full_gradient, rtol=1e-12, atol=1e-12)

    # The loss itself is a logarithm of that, so its gradient is near, and farther for no correction or the other sign.
    miss = {sign: float((sampled(scores, target, chance, sign)[2] - full_plain).norm()) for sign in (-1, 0)}
    assert float((plain - full_plain).norm()) < 0.75 * miss[0] < 0.75 * miss[-1]


def test_popular_candidates_are_corrected_downwards():
    scores = torch.zeros(1, 4, requires_grad=True)
    log_q = torch.tensor([0.9, 0.5, 0.1, 0.01]).log()
    info_nce_loss(scores, torch.tensor([1]), NOTHING, log_q).backward()
    assert scores.grad is not None
    assert 0 < scores.grad[0, 0] < scores.grad[0, 2] < scores.grad[0, 3]


def test_a_large_corrected_sample_has_the_gradient_of_the_full_softmax():
    generator = torch.Generator().manual_seed(0)
    candidates = 4000
    scores = torch.randn(candidates, generator=generator, dtype=torch.float64)
    chance = 0.02 + 0.6 * torch.rand(candidates, generator=generator, dtype=torch.float64) ** 3
    scores += 3 * (chance - 0.02)  # popular creators also score high, so that an uncorrected sample is biased
    nothing = torch.zeros(1, candidates, dtype=torch.bool)
    target = torch.tensor([7])

    def share_of_the_popular(leaf, columns, log_q):
        place = torch.nonzero(columns == 7)[0]
        loss = info_nce_loss(leaf[columns][None], place, nothing[:, : len(columns)], log_q)
        (gradient,) = torch.autograd.grad(loss, leaf)
        return float(gradient[(chance > 0.3) & (torch.arange(candidates) != 7)].sum())

    leaf = scores.clone().requires_grad_()
    full = share_of_the_popular(leaf, torch.arange(candidates), None)
    found, uncorrected = [], []
    for _ in range(40):
        drawn = torch.rand(candidates, generator=generator, dtype=torch.float64) < chance
        drawn[target] = True
        columns = drawn.nonzero()[:, 0]
        found.append(share_of_the_popular(leaf, columns, chance[columns].log()))
        uncorrected.append(share_of_the_popular(leaf, columns, None))
    assert sum(found) / 40 == pytest.approx(full, rel=0.02)
    assert sum(uncorrected) / 40 > 1.3 * full


def test_chance_to_be_in_a_batch_by_simulation():
    pairs = torch.tensor([1, 2, 5, 0])
    creator = torch.arange(4).repeat_interleave(pairs)
    generator = torch.Generator().manual_seed(1)
    draws = torch.rand(20_000, len(creator), generator=generator) < 0.3
    seen = torch.stack([draws[:, creator == m].any(dim=1).float().mean() for m in range(3)])
    torch.testing.assert_close(log_inclusion(pairs, 0.3)[:3].exp(), seen, rtol=0.03, atol=0)
    assert log_inclusion(pairs, 0.3)[3] == -math.inf
    assert log_inclusion(pairs, 1.0)[:3].tolist() == [0, 0, 0]
    assert log_inclusion(torch.tensor([1]), 1e-9).exp().item() == pytest.approx(1e-9, rel=1e-4)


def test_extreme_scores_stay_finite():
    scores = torch.tensor([[1e4, -1e4, 0.0, 5.0]], requires_grad=True)
    loss = info_nce_loss(scores, torch.tensor([1]), torch.tensor([[False, False, True, True]]), torch.zeros(4))
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
