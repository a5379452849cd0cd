"""Streamed principal components against scikit-learn on the whole matrix."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from micromega.errors import DataError
from micromega.models.vsvae import pca
from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.pca import fit_pca

SIZES = {"caption": 6, "frames": 3, "audio": 5}
WORDS = ("<unk>", "a", "b", "c", "d", "e")


def made_up(posts=300, seed=0, absent=0.2):
    """Posts that three factors drive, some parts missing, in batches of 64."""
    random = np.random.default_rng(seed)
    weights = np.random.default_rng(99).standard_normal((3, 14))
    factors = random.standard_normal((posts, 3))
    signal = factors @ weights
    has = random.random((posts, 3)) >= absent
    frames = random.integers(1, 5, posts) * has[:, 1]
    words = random.integers(1, 9, posts) * has[:, 0]
    batches = []
    for start in range(0, posts, 64):
        rows = np.arange(start, min(start + 64, posts))
        caption = torch.full((len(rows), 8), 5)
        picture = torch.full((len(rows), 4, 3), 9.0, dtype=torch.float64)
        for place, row in enumerate(rows):
            chance = np.exp(signal[row, :6])
            caption[place, : words[row]] = torch.from_numpy(random.choice(6, words[row], p=chance / chance.sum()))
            noise = random.standard_normal((frames[row], 3))
            picture[place, : frames[row]] = torch.from_numpy(signal[row, 6:9] + 0.3 * noise)
        audio = 50 + signal[rows, 9:] * [1, 10, 100, 1, 0] + random.standard_normal((len(rows), 5)) * [1, 1, 1, 1, 0]
        batches.append(
            PostBatch(
                post=torch.from_numpy(rows),
                values={"caption": caption, "frames": picture, "audio": torch.from_numpy(audio)},
                lengths={
                    "caption": torch.from_numpy(words[rows]),
                    "frames": torch.from_numpy(frames[rows]),
                    "audio": torch.from_numpy(has[rows, 2].astype(np.int64)),
                },
            )
        )
    return batches, factors


def spec(sizes=None):
    return PostSpec(sizes=sizes or SIZES, words=WORDS, word_vectors=torch.zeros(6, 1), mean={}, deviation={})


def matrix(batches):
    """All posts in one scaled matrix, part by part, post by post."""
    raw = {part: [] for part in SIZES}
    for batch in batches:
        for row in range(len(batch)):
            for part, size in SIZES.items():
                length, value = int(batch.lengths[part][row]), batch.values[part][row].numpy()
                if not length:
                    raw[part].append(np.full(size, np.nan))
                elif part == "caption":
                    raw[part].append(np.bincount(value[:length], minlength=6) / length)
                else:
                    raw[part].append(value[:length].mean(axis=0) if part == "frames" else value)
    scaled = []
    for part, rows in raw.items():
        value = np.array(rows, dtype=np.float64)
        value -= np.nanmean(value, axis=0)
        if part == "caption":
            value *= np.sqrt(3.5 / np.nanvar(value, axis=0).sum())  # 3 frame numbers and 4 of audio that vary
        else:
            deviation = np.nanstd(value, axis=0)
            value = np.where(deviation > 1e-9, value / np.where(deviation > 1e-9, deviation, 1), 0)
        scaled.append(np.where(np.isnan(np.array(rows, dtype=np.float64)), 0, value))
    return np.concatenate(scaled, axis=1)


@pytest.mark.parametrize("absent", [0.2, 0.7])
def test_components_are_those_of_the_whole_matrix(monkeypatch, absent):
    monkeypatch.setattr(pca, "OVERSAMPLED", 1)  # otherwise the columns iterated on span nearly everything
    monkeypatch.setattr(pca, "PASSES", 60)
    batches, _ = made_up(absent=absent)
    fitted = fit_pca(lambda: batches, spec(), 3)
    whole = matrix(batches)
    _, singular, right = np.linalg.svd(whole, full_matrices=False)
    np.testing.assert_allclose(fitted.variance, singular[:3] ** 2 / len(whole), rtol=1e-6)
    assert fitted.share == pytest.approx((singular[:3] ** 2).sum() / (singular**2).sum())
    ours = np.concatenate([fitted.components[part] for part in SIZES])
    np.testing.assert_allclose(ours.T @ ours, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.abs((right[:3] @ ours).diagonal()), 1, atol=1e-5)
    scores = np.concatenate([fitted.transform(batch) for batch in batches])
    np.testing.assert_allclose(np.abs(scores), np.abs(whole @ right[:3].T), atol=1e-3)


def test_it_agrees_with_scikit_learn_where_every_part_is_there():
    batches, _ = made_up(absent=0.0)
    fitted = fit_pca(lambda: batches, spec(), 2)
    reference = PCA(2).fit(matrix(batches))
    np.testing.assert_allclose(fitted.variance, reference.explained_variance_ * 299 / 300, rtol=1e-6)
    assert fitted.share == pytest.approx(reference.explained_variance_ratio_.sum(), rel=1e-6)


def test_all_components_restore_numbers_exactly():
    batches, _ = made_up(absent=0.0)
    fitted = fit_pca(lambda: batches, spec(), 14)
    for batch in batches:
        restored = fitted(batch)
        np.testing.assert_allclose(restored["audio"], batch.values["audio"], atol=1e-3)
        for row, length in enumerate(batch.lengths["frames"]):
            np.testing.assert_allclose(
                restored["frames"][row], np.tile(batch.values["frames"][row, :length].mean(0), (4, 1)), atol=1e-4
            )


def test_a_text_is_restored_as_its_most_frequent_known_word():
    batches, _ = made_up(absent=0.0)
    fitted = fit_pca(lambda: batches, spec(), 14)
    checked = 0
    for batch in batches:
        said = fitted(batch)["caption"]
        assert (said == said[:, :1]).all()
        for row, length in enumerate(batch.lengths["caption"]):
            counts = np.bincount(batch.values["caption"][row, :length], minlength=6)[1:]
            if (counts == counts.max()).sum() == 1:
                assert said[row, 0] == counts.argmax() + 1
                checked += 1
    assert checked > 100


def test_new_posts_lie_along_the_factors():
    train, _ = made_up(posts=2_000)
    test, factors = made_up(posts=300, seed=1)
    fitted = fit_pca(lambda: train, spec(), 3)
    found = np.concatenate([fitted.transform(batch) for batch in test])
    design = np.column_stack((np.ones(300), found))
    residual = factors - design @ np.linalg.lstsq(design, factors, rcond=None)[0]
    assert 1 - residual.var() / factors.var() > 0.6


def test_what_a_post_lacks_is_at_the_mean_whatever_stands_there():
    batches, _ = made_up()
    fitted = fit_pca(lambda: batches, spec(), 3)
    held = batches[0]
    hidden = held.hide({part: torch.ones(len(held), dtype=torch.bool) for part in SIZES})
    np.testing.assert_allclose(fitted.transform(hidden), 0, atol=1e-12)


def test_no_more_components_than_columns():
    batches, _ = made_up(posts=40)
    assert fit_pca(lambda: batches, spec(), 99).transform(batches[0]).shape == (40, 14)


def test_markets_without_texts_and_with_texts_alone():
    batches, _ = made_up()
    for sizes in ({"frames": 3, "audio": 5}, {"caption": 6}):
        assert fit_pca(lambda: batches, spec(sizes), 2).transform(batches[0]).shape == (64, 2)


def test_the_same_seed_gives_the_same_numbers():
    batches, _ = made_up()
    one, other = (fit_pca(lambda: batches, spec(), 3, seed=5).transform(batches[0]) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_nothing_that_varies_is_an_error():
    flat = PostBatch(
        post=torch.arange(3), values={"audio": torch.ones(3, 5)}, lengths={"audio": torch.ones(3, dtype=torch.int64)}
    )
    with pytest.raises(DataError, match="nothing varies"):
        fit_pca(lambda: [flat], spec({"audio": 5}), 2)
