"""Table 2 against sums by hand, post by post."""

import math

import numpy as np
import pytest
import torch

from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.reconstruction import fit_no_information, judge, reconstructions
from micromega.models.vsvae.result import NO_INFORMATION, PCA, LatentUse, Reconstruction, table

WORDS = ("<unk>", "sea", "sun", "sand")
POSTS = [  # caption, frames, audio
    ([1, 1, 2], [[1.0, 0.0], [3.0, 4.0]], [2.0]),
    ([0, 0, 0, 0], [], [4.0]),
    ([], [[5.0, 2.0]], None),
    ([2, 0], [[0.0, 0.0]], [9.0]),
]


def spec(deviation=None, **sizes):
    return PostSpec(
        sizes=sizes or {"caption": 4, "frames": 2, "audio": 1},
        words=WORDS,
        word_vectors=torch.zeros(4, 1),
        mean={},
        deviation=deviation or {},
    )


def batch(posts, start=0, filler=7):
    """Put posts side by side; what lies beyond a length is `filler`, to show that nobody looks at it."""
    width = max(1, *(len(caption) for caption, _, _ in posts))
    height = max(1, *(len(frames) for _, frames, _ in posts))
    captions = torch.full((len(posts), width), filler % 4)
    frames = torch.full((len(posts), height, 2), float(filler))
    audio = torch.full((len(posts), 1), float(filler))
    for row, (caption, frame, sound) in enumerate(posts):
        captions[row, : len(caption)] = torch.tensor(caption, dtype=torch.int64)
        if frame:
            frames[row, : len(frame)] = torch.tensor(frame)
        if sound is not None:
            audio[row] = torch.tensor(sound)
    return PostBatch(
        post=torch.arange(start, start + len(posts)),
        values={"caption": captions, "frames": frames, "audio": audio},
        lengths={
            "caption": torch.tensor([len(caption) for caption, _, _ in posts]),
            "frames": torch.tensor([len(frame) for _, frame, _ in posts]),
            "audio": torch.tensor([int(sound is not None) for _, _, sound in posts]),
        },
    )


def batches():
    return [batch(POSTS[:2]), batch(POSTS[2:], 2)]


def test_no_information_is_the_mean_and_the_most_frequent_known_word():
    fitted = fit_no_information(batches(), spec())
    np.testing.assert_allclose(fitted.mean["audio"], [5.0])
    np.testing.assert_allclose(fitted.mean["frames"], [9 / 4, 6 / 4])
    assert dict(fitted.word) == {"caption": 1}  # "sea" and "sun" twice each, "<unk>" five times


def test_a_batch_is_restored_in_its_own_shape():
    said = fit_no_information(batches(), spec())(batches()[0])
    assert {part: tuple(value.shape) for part, value in said.items()} == {
        "caption": (2, 4),
        "frames": (2, 2, 2),
        "audio": (2, 1),
    }


@pytest.mark.parametrize("filler", [0, 7])
def test_only_what_posts_have_is_judged(filler):
    def restore(held):  # right words but for "sun", frames 1 too high in the first number, sounds 2 too low
        return {
            "caption": torch.where(held.values["caption"] == 2, 1, held.values["caption"]),
            "frames": held.values["frames"] + torch.tensor([1.0, 0.0]),
            "audio": held.values["audio"] - 2,
        }

    held = [batch(POSTS[:2], filler=filler), batch(POSTS[2:], 2, filler=filler)]
    judged = judge(held, {"model": restore}, spec())
    errors = judged.errors["model"]
    assert judged.posts == {"caption": 3, "frames": 3, "audio": 3}
    assert judged.words == {"caption": 9}
    assert judged.known == {"caption": 4}
    assert errors.accuracy == {"caption": 0.5}
    np.testing.assert_allclose(errors.squared["frames"], [1.0, 0.0])
    np.testing.assert_allclose(errors.squared["audio"], [4.0])


def test_restoring_unknown_words_earns_nothing():
    judged = judge(batches(), {"model": lambda held: {"caption": torch.zeros_like(held.values["caption"])}}, spec())
    assert judged.errors["model"].accuracy == {"caption": 0.0}


def test_one_row_per_part():
    methods = {
        "VSVAE": lambda held: {part: value.clone() for part, value in held.values.items()},
        NO_INFORMATION: fit_no_information(batches(), spec()),
        PCA: lambda held: {"audio": held.values["audio"] - 1, "frames": held.values["frames"] + 1},
    }
    caption, frames, audio = reconstructions(judge(batches(), methods, spec()), spec())
    assert (caption.model, caption.no_information, caption.pca, caption.words) == (1.0, 0.5, None, 4)
    assert caption.unknown == pytest.approx(5 / 9)
    assert math.isnan(caption.r_squared)
    sounds, seen = np.array([2.0, 4.0, 9.0]), np.array([[1, 0], [3, 4], [5, 2], [0, 0.0]])
    assert audio.no_information == pytest.approx(sounds.var())
    assert audio.r_squared_of_pca == pytest.approx(1 - 1 / sounds.var())
    assert frames.no_information == pytest.approx(seen.var(axis=0).mean(), rel=1e-6)
    assert frames.explained_by_pca == pytest.approx(1 - 2 / seen.var(axis=0).sum(), rel=1e-6)
    assert (frames.model, frames.r_squared, frames.explained) == (0.0, 1.0, 1.0)


def test_no_number_weighs_more_for_its_unit_or_for_hardly_varying():
    metres, millimetres, still = np.array([1.0, -1, 1, -1]), np.array([2000.0, 2000, -2000, -2000]), [0, 0, 0, 1e-3]
    held = [batch([([1], [], None)] * 4)]
    held[0].values["audio"] = torch.from_numpy(np.column_stack([metres, millimetres, still])).float()
    held[0].lengths["audio"] = torch.ones(4, dtype=torch.int64)
    spread = spec({"audio": torch.tensor([1.0, 2000.0, 0.5])}, audio=3)
    methods = {
        "VSVAE": lambda posts: {
            "audio": posts.values["audio"] * torch.tensor([1.0, 0.0, 1.0]) + torch.tensor([0, 0, 0.1])
        },
        NO_INFORMATION: fit_no_information(held, spread),
    }
    (audio,) = reconstructions(judge(held, methods, spread), spread)
    assert audio.r_squared == pytest.approx(0, abs=1e-5)  # the millimetres are all that counts
    assert audio.explained == pytest.approx(1 - (0 + 1 + 0.01 / 0.25) / 2, abs=1e-5)  # not -10,000


def test_a_part_that_no_post_has_has_no_row():
    held = [batch([([1], [], None), ([0], [], None)])]
    methods = {name: fit_no_information(held, spec()) for name in ("VSVAE", NO_INFORMATION)}
    assert [row.part for row in reconstructions(judge(held, methods, spec()), spec())] == ["caption"]


def test_a_text_of_unknown_words_alone_has_no_row():
    held = [batch([([0, 0], [], [1.0]), ([0], [], [2.0])])]
    methods = {name: fit_no_information(held, spec()) for name in ("VSVAE", NO_INFORMATION)}
    assert [row.part for row in reconstructions(judge(held, methods, spec()), spec())] == ["audio"]


def test_the_flat_table_pools_texts_by_their_words():
    rows = (
        Reconstruction(part="caption", measure="accuracy", model=0.5, no_information=0.1, posts=9, words=30),
        Reconstruction(part="speech", measure="accuracy", model=0.9, no_information=0.2, posts=2, words=10),
        Reconstruction(part="audio", measure="mse", model=1.0, no_information=4.0, pca=2.0, posts=9),
    )
    found = table(rows)
    assert list(found) == ["VSVAE", "no information", "PCA"]
    assert found["VSVAE"] == pytest.approx(
        {"text_accuracy": 0.6, "caption_accuracy": 0.5, "speech_accuracy": 0.9, "audio_mse": 1.0}
    )
    assert found["no information"]["text_accuracy"] == pytest.approx((0.1 * 30 + 0.2 * 10) / 40)
    assert found["PCA"] == {"audio_mse": 2.0}


def test_active_numbers_vary_over_posts():
    latent = LatentUse(divergence=np.ones(3), variance_of_mean=np.array([0.5, 0.01, 0.02]))
    assert latent.active == 2
    assert latent.is_active.tolist() == [True, False, True]
