"""Ridge regressions against scikit-learn, augmented least squares and finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as Reference

from micromega.models.dfiv.ridge import Moments, ridge


def draw(seed, members=2, rows=60, features=5, targets=3):
    generator = torch.Generator().manual_seed(seed)
    f = (
        torch.randn(members, rows, features, generator=generator, dtype=torch.float64) * torch.arange(1, features + 1)
        + 7
    )
    t = torch.randn(members, rows, targets, generator=generator, dtype=torch.float64) + f[..., :1]
    weight = torch.randint(0, 4, (members, rows), generator=generator).double()
    return f, t, weight


@given(seed=st.integers(0, 1_000), penalty=st.floats(1e-6, 10), relative=st.booleans())
@settings(max_examples=25, deadline=None)
def test_agrees_with_scikit_learn(seed, penalty, relative):
    """Theirs has the penalty beside a sum; standardised features make it relative."""
    f, t, weight = draw(seed)
    found = ridge(f, t, weight, penalty, relative=relative)
    for member in range(len(f)):
        w = weight[member].numpy()
        x, y = f[member].numpy(), t[member].numpy()
        scale = np.sqrt(np.cov(x.T, aweights=w, ddof=0).diagonal()) if relative else np.ones(x.shape[1])
        wanted = Reference(alpha=penalty * w.sum()).fit(x / scale, y, sample_weight=w)
        np.testing.assert_allclose(found.coefficient[member].T, wanted.coef_ / scale, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(found(f)[member], wanted.predict(x / scale), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(
            found.punishment()[member], penalty * (wanted.coef_**2).sum(axis=1), rtol=1e-6, atol=1e-10
        )


def test_agrees_with_least_squares_on_augmented_rows():
    """Rows √λ e_j with target 0 are the penalty."""
    f, t, _ = draw(3, members=1, targets=1)
    found = ridge(f, t, torch.ones(1, f.shape[1]).double(), 0.3, relative=False)
    x = np.hstack([np.ones((f.shape[1], 1)), f[0].numpy()]) / np.sqrt(f.shape[1])
    extra = np.hstack([np.zeros((5, 1)), np.sqrt(0.3) * np.eye(5)])
    y = np.concatenate([t[0, :, 0].numpy() / np.sqrt(f.shape[1]), np.zeros(5)])
    wanted = np.linalg.lstsq(np.vstack([x, extra]), y, rcond=None)[0]
    np.testing.assert_allclose(found.intercept[0, 0, 0], wanted[0], rtol=1e-9)
    np.testing.assert_allclose(found.coefficient[0, :, 0], wanted[1:], rtol=1e-9)


@pytest.mark.parametrize("relative", [True, False])
def test_batches_add_up_to_all_rows_at_once(relative):
    f, t, weight = draw(4)
    moments = Moments()
    for part in (slice(0, 7), slice(7, 40), slice(40, 60)):
        moments.add(f[:, part].float(), t[:, part].float(), weight[:, part].float())
    found, wanted = moments.solve(0.1, relative=relative), ridge(f, t, weight, 0.1, relative=relative)
    torch.testing.assert_close(found.coefficient.double(), wanted.coefficient, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found(f.float()).double(), wanted(f), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.punishment().double(), wanted.punishment(), rtol=1e-4, atol=1e-6)


def test_members_do_not_see_each_other():
    f, t, weight = draw(5)
    both = ridge(f, t, weight, 0.2, relative=True)
    alone = ridge(f[1:], t[1:], weight[1:], 0.2, relative=True)
    torch.testing.assert_close(both.coefficient[1:], alone.coefficient)


def test_its_derivative_is_that_of_finite_differences():
    f, t, weight = draw(6, rows=12, features=3, targets=2)

    def predicted(features, targets):
        return ridge(features, targets, weight, 0.5, relative=True)(features)

    assert torch.autograd.gradcheck(predicted, (f.requires_grad_(), t.requires_grad_()))


def test_a_dead_feature_is_left_alone():
    f, t, weight = draw(7)
    f[..., 2] = 1.0
    found = ridge(f, t, weight, 0.1, relative=True)
    assert torch.isfinite(found.coefficient).all()
    torch.testing.assert_close(found.coefficient[:, 2], torch.zeros_like(found.coefficient[:, 2]), atol=1e-6, rtol=0)
