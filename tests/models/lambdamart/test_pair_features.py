"""What the trees see of a pair, against plain loops over pairs."""

import numpy as np
import pytest
import torch
from scipy.spatial import distance

from micromega.models.lambdamart import pair_features
from micromega.models.lambdamart.pair_features import Reduction, pair_columns


def accounts(views, length, seed=0):
    generator = np.random.default_rng(seed)
    return torch.from_numpy((generator.normal(size=(views, length)) * 3 + 1).astype(np.float32))


def reduction_of(features, components):
    found = Reduction(features.mean(dim=0), features.std(dim=0, correction=0), components)
    found.fit(features)
    return found


@pytest.mark.parametrize("matrix", [1, 7, 1 << 24])
@pytest.mark.parametrize(("length", "components"), [(5, 8), (20, 4)])
def test_columns_are_what_a_loop_over_pairs_gives(monkeypatch, matrix, length, components):
    monkeypatch.setattr(pair_features, "_MATRIX", matrix)
    features = accounts(30, length)
    reduction = reduction_of(features, components)
    generator = np.random.default_rng(1)
    brand, creator = generator.integers(0, 10, 40), generator.integers(10, 30, 40)
    columns = pair_columns(reduction(features), torch.from_numpy(brand), torch.from_numpy(creator)).numpy()
    raw = features.numpy().astype(np.float64)
    standard = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    reduced = standard @ reduction.axes.numpy()
    for row, (b, c) in enumerate(zip(brand, creator, strict=True)):
        expected = [
            1 - distance.cosine(raw[b], raw[c]),
            1 - distance.cosine(standard[b], standard[c]),
            distance.cityblock(reduced[b], reduced[c]),
            *(reduced[b] * reduced[c]),
            *reduced[c],
        ]
        np.testing.assert_allclose(columns[row], expected, rtol=1e-4, atol=1e-4)


def test_components_are_the_directions_of_most_variance():
    features = accounts(200, 12) @ torch.diag(torch.arange(1.0, 13.0)) @ accounts(12, 12, seed=5)
    reduction = reduction_of(features, 3)
    standard = ((features - features.mean(dim=0)) / features.std(dim=0, correction=0)).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(standard.T))
    axes = reduction.axes.double().numpy()
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(np.abs((axes * vectors[:, [-1, -2, -3]]).sum(axis=0)), 1, atol=1e-4)
    np.testing.assert_allclose((standard @ axes).var(axis=0, ddof=1), values[[-1, -2, -3]], rtol=1e-4)


def test_a_short_modality_keeps_its_own_columns():
    features = accounts(9, 4)
    standard = (features - features.mean(dim=0)) / features.std(dim=0, correction=0)
    torch.testing.assert_close(reduction_of(features, 32)(features).reduced, standard)


def test_fewer_views_than_components_leave_the_rest_at_zero():
    reduction = reduction_of(accounts(5, 40), 16)
    assert reduction.axes.shape == (40, 16)
    assert not reduction.axes[:, 5:].any()
    assert reduction.axes[:, :4].any()
