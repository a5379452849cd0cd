"""Who sees which rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import DataError
from micromega.models.deepiv.config import DeepIVModelConfig
from micromega.models.deepiv.members import draw_members


def clusters(rows=120, count=30, seed=0):
    return np.random.default_rng(seed).integers(count, size=rows)


@settings(max_examples=40, deadline=None)
@given(
    starts=st.integers(1, 3),
    folds=st.integers(1, 4),
    bootstrap=st.integers(0, 3),
    count=st.integers(4, 40),
    seed=st.integers(0, 99),
)
def test_no_cluster_is_on_both_sides(starts, folds, bootstrap, count, seed):
    cluster = clusters(count=count, seed=seed)
    config = DeepIVModelConfig(starts=starts, folds=folds, bootstrap=bootstrap)
    members = draw_members(config, cluster, seed=seed)
    draws = max(bootstrap, 1)
    assert members.weights.shape == members.held_out.shape == (draws * starts * folds, len(cluster))
    assert (members.held_out.sum(axis=1) > 0).all()
    assert (members.weights.sum(axis=1) > 0).all()
    for seen, held in zip(members.weights, members.held_out, strict=True):
        assert not set(cluster[seen > 0]) & set(cluster[held > 0])
    assert members.mixed.shape[:2] == (draws, starts)
    of_draw = members.draw[members.mixed]
    assert (of_draw == np.arange(draws)[:, None, None]).all()


def test_with_folds_stage_2_uses_mixtures_that_have_not_seen_the_row():
    cluster = clusters()
    members = draw_members(DeepIVModelConfig(starts=2, folds=3, bootstrap=2), cluster)
    rows = np.arange(len(cluster))
    for of_draw in members.mixed:
        for of_start in of_draw:
            assert not members.weights[of_start, rows].any()
            assert members.held_out[of_start, rows].all()
    # Folds are of like size, and starts cut them differently.
    held = [len(set(cluster[of > 0])) for of in members.held_out]
    assert max(held) - min(held) <= 1
    assert (members.held_out[:3] != members.held_out[3:6]).any()


def test_a_bootstrap_draws_whole_clusters_with_replacement():
    cluster = np.repeat(np.arange(50), 3)
    members = draw_members(DeepIVModelConfig(bootstrap=40), cluster)
    by_cluster = members.weights.reshape(40, 50, 3)
    assert (by_cluster == by_cluster[..., :1]).all()
    assert (by_cluster[..., 0].sum(axis=1) == 50).all()
    assert by_cluster.max() >= 3
    assert by_cluster.var(axis=(0, 1))[0] == pytest.approx(1, abs=0.1)  # Poisson, nearly
    np.testing.assert_array_equal(members.held_out > 0, members.weights == 0)


def test_starts_hold_out_a_share_each_their_own():
    cluster = clusters(rows=5_000, count=400)
    members = draw_members(DeepIVModelConfig(starts=4, validation_share=0.2), cluster)
    shares = members.held_out.mean(axis=1)
    assert ((shares > 0.17) & (shares <= 0.2)).all()
    assert len({tuple(of) for of in members.held_out.tolist()}) == 4
    np.testing.assert_array_equal(members.weights + members.held_out, np.ones((4, 5_000)))


def test_without_folds_no_start_that_has_seen_a_held_out_row_says_what_its_treatment_is():
    cluster = clusters(rows=600, count=60)
    members = draw_members(DeepIVModelConfig(starts=3, validation_share=0.3), cluster)
    out = members.held_out > 0
    several = out.sum(axis=0)
    assert set(several) >= {0, 1, 2}
    for row, mixed in enumerate(members.mixed[0].T):
        wanted = np.flatnonzero(out[:, row]) if several[row] else np.arange(3)
        assert set(mixed) == set(wanted)


def test_a_cluster_larger_than_the_share_leaves_the_smallest_to_hold_out():
    cluster = np.array([0] * 90 + [1] * 90 + [2] * 20)
    for seed in range(5):
        members = draw_members(DeepIVModelConfig(validation_share=0.05), cluster, seed=seed)
        assert set(cluster[members.held_out[0] > 0]) == {2}


def test_row_weights_multiply():
    cluster, weights = clusters(), np.random.default_rng(1).uniform(0.5, 2, 120).astype(np.float32)
    config = DeepIVModelConfig(bootstrap=3)
    plain, weighted = draw_members(config, cluster, seed=4), draw_members(config, cluster, weights, seed=4)
    np.testing.assert_allclose(weighted.weights, plain.weights * weights)
    np.testing.assert_allclose(weighted.held_out, plain.held_out * weights)


def test_seeds_differ_and_repeat():
    draws = [draw_members(DeepIVModelConfig(), clusters(), seed=seed).held_out for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


@pytest.mark.parametrize(("settings_", "count", "needed"), [({}, 1, 2), ({"folds": 5}, 4, 5)])
def test_too_few_clusters_are_refused(settings_, count, needed):
    with pytest.raises(DataError, match=f"{count} distinct value.*{needed} are needed"):
        draw_members(DeepIVModelConfig(**settings_), np.arange(20) % count)
