"""What simulated posts look and sound like: sizes, ranges, missing shares, and what each modality tells of a post."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from micromega.market.simulated import pictures
from micromega.market.simulated.decoders import SHARES
from micromega.market.simulated.latent import draw_content, draw_frame
from micromega.market.simulated.modalities import (
    ACOUSTIC,
    EVERYDAY,
    MEASURED,
    NO_AUDIO,
    NO_SPEECH,
    NO_STICKER,
    draw_decoders,
    draw_modalities,
)
from micromega.market.simulated.people import draw_people
from micromega.market.simulated.words import draw_lexicon

NAMES = ("image_frames", "image_objects", "image_sentiment", "audio", "editing")


@dataclass(frozen=True, kw_only=True)
class World:
    people: object
    lexicon: object
    account: NDArray[np.int64]
    content: object

    def draw(self, *, scale=0.02, seed=2, decoders=None):
        return draw_modalities(
            np.random.default_rng(seed),
            self.content,
            account=self.account,
            is_brand=self.account < self.people.brands,
            voice=self.people.voice[self.account],
            lexicon=self.lexicon,
            decoders=decoders or draw_decoders(np.random.default_rng(1), scale=scale),
        )


def world(*, accounts=200, posts=20, seed=0):
    rng = np.random.default_rng(seed)
    people = draw_people(rng, brands=accounts // 5, creators=accounts - accounts // 5)
    account = np.repeat(np.arange(accounts), posts)
    content = draw_content(
        rng,
        draw_frame(rng),
        kind=rng.integers(0, 3, len(account)),
        subject=people.subject[account] + 0.8 * rng.normal(size=(len(account), 16)),
        author_appeal=rng.normal(size=accounts)[account],
    )
    return World(people=people, lexicon=draw_lexicon(rng, people), account=account, content=content)


@pytest.fixture(scope="module")
def here():
    return world()


@pytest.fixture(scope="module")
def drawn(here):
    return here.draw()


def by_name(modalities):
    return {modality.layout.name: modality for modality in modalities.arrays}


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.0005, 0.05), seed=st.integers(0, 1000))
def test_arrays_are_what_their_layout_says(scale, seed):
    small = world(accounts=10, posts=3)
    decoders = draw_decoders(np.random.default_rng(seed), scale=scale)
    modalities = small.draw(seed=seed, decoders=decoders)
    assert tuple(modality.layout.name for modality in modalities.arrays) == NAMES
    assert tuple(modality.layout for modality in modalities.arrays) == decoders.layouts
    for modality in modalities.arrays:
        layout, present = modality.layout, int(modality.present.sum())
        assert min(layout.shape) >= 8
        assert modality.present.shape == (30,)
        assert modality.values.dtype.name == layout.dtype
        assert (modality.lengths is not None) == layout.ragged
        rows = present if modality.lengths is None else int(modality.lengths.sum())
        assert modality.values.shape == (rows, *layout.shape)
        if modality.lengths is not None:
            assert modality.lengths.shape == (present,)
            assert modality.lengths.min() >= 1
        assert np.isfinite(modality.values).all()


def test_full_scale_has_the_sizes_of_the_paper():
    layouts = {layout.name: layout.shape[0] for layout in draw_decoders(np.random.default_rng(0), scale=1).layouts}
    # 1 + 521 + 10 audio features make 532; the paper's 543 does not add up.
    assert layouts == {
        "image_frames": 4096,
        "image_objects": 1000,
        "image_sentiment": 2089,
        "audio": 532,
        "editing": 157,
    }


def test_without_scale_there_are_texts_and_lengths_and_they_are_the_same_at_any_scale(here, drawn):
    assert draw_decoders(np.random.default_rng(1), scale=0) is None
    bare = draw_modalities(
        np.random.default_rng(2),
        here.content,
        account=here.account,
        is_brand=here.account < here.people.brands,
        voice=here.people.voice[here.account],
        lexicon=here.lexicon,
        decoders=None,
    )
    assert bare.arrays == ()
    assert bare.sticker_text.equals(drawn.sticker_text)
    assert bare.speech_text.equals(drawn.speech_text)
    np.testing.assert_array_equal(bare.duration_s, drawn.duration_s)


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_noise(here, drawn):
    again, other = here.draw(), here.draw(seed=3)
    for one, two, three in zip(drawn.arrays, again.arrays, other.arrays, strict=True):
        assert one.values.tobytes() == two.values.tobytes()
        assert one.values.tobytes() != three.values.tobytes()


def test_working_in_blocks_changes_nothing(here, drawn, monkeypatch):
    monkeypatch.setattr(pictures, "_BLOCK", 5_000)
    for whole, cut in zip(drawn.arrays, here.draw().arrays, strict=True):
        np.testing.assert_allclose(cut.values.astype(np.float32), whole.values.astype(np.float32), rtol=2e-3, atol=1e-5)


def test_missing_shares_are_the_documented_ones(drawn):
    posts = len(drawn.duration_s)
    for share, missing in (
        (NO_STICKER, drawn.sticker_text.null_count),
        (NO_SPEECH, drawn.speech_text.null_count),
        (NO_AUDIO, posts - int(by_name(drawn)["audio"].present.sum())),
    ):
        assert stats.binomtest(missing, posts, share).pvalue > 1e-4
    assert all(by_name(drawn)[name].present.all() for name in NAMES if name != "audio")


def test_texts_are_words_of_the_lexicon_a_share_of_them_everyday(here, drawn):
    lexicon = here.lexicon
    known, common = set(lexicon.words), set(lexicon.words[lexicon.common])
    topical = set(lexicon.words[: lexicon.common.start])
    for name, column in (("sticker", drawn.sticker_text), ("speech", drawn.speech_text)):
        words = [word for text in column.drop_null().to_pylist() for word in text.split()]
        assert set(words) <= known
        assert all(column.drop_null().to_pylist())
        expected = EVERYDAY[name]
        only = np.mean([word in common and word not in topical for word in words])
        assert only == pytest.approx(expected, abs=0.03)


def test_frames_come_every_five_seconds(drawn):
    frames = by_name(drawn)["image_frames"].lengths
    assert drawn.duration_s.min() >= 3
    assert drawn.duration_s.max() <= 60
    assert frames.tolist() == [len(np.arange(0, length + 1e-9, 5.0)) for length in drawn.duration_s]
    assert frames.max() <= 13


def test_values_are_in_range(drawn):
    arrays = {name: modality.values.astype(np.float64) for name, modality in by_name(drawn).items()}
    assert (arrays["image_frames"] >= 0).all()
    assert 0.5 < (arrays["image_frames"] == 0).mean() < 0.9, "a rectified layer is mostly zero"
    frames = by_name(drawn)["image_frames"].lengths
    for name in ("image_objects", "image_sentiment"):
        total = arrays[name].sum(axis=1)
        assert (arrays[name] >= 0).all()
        assert arrays[name].max() <= 1 + 1e-6
        np.testing.assert_allclose(total[frames == 1], 1, rtol=1e-4)
        assert (total >= 1 - 1e-4).all(), "a maximum over frames is no less than any frame"
        assert (total <= frames + 1e-4).all()
    probabilities = arrays["audio"][:, :-ACOUSTIC]
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    editing = arrays["editing"]
    assert set(np.unique(editing[:, len(MEASURED) :])) == {0.0, 1.0}
    named = dict(zip(MEASURED, editing.T, strict=False))
    np.testing.assert_allclose(named["length_s"], drawn.duration_s, rtol=1e-5)
    assert (named["scene_s"] <= named["length_s"] + 1e-6).all()
    words = [len(text.split()) if text else 0 for text in drawn.sticker_text.to_pylist()]
    np.testing.assert_array_equal(named["sticker_words"], words)
    assert all(((named[name] > 0) & (named[name] < 1)).all() for name in ("lightness", "symmetry"))


def test_complexity_is_the_papers_formula():
    rng = np.random.default_rng(5)
    counts = np.array([1, 4, 2, 7])
    chance = rng.dirichlet(np.ones(9), counts.sum()).astype(np.float32)
    found = pictures.content_complexity(chance, np.cumsum(counts) - counts, counts.astype(np.float32))
    end = np.cumsum(counts)
    for post, (first, last) in enumerate(zip(end - counts, end, strict=True)):
        frames, classes = range(first, last), range(9)
        spatial = sum(
            sum((chance[t, j] - chance[t].mean()) ** 2 for j in classes) / len(classes) for t in frames
        ) / len(frames)
        temporal = sum(
            sum((chance[t, j] - chance[first:last, j].mean()) ** 2 for t in frames) / len(frames) for j in classes
        ) / len(classes)
        np.testing.assert_allclose(found[post], [spatial, temporal], rtol=1e-4, atol=1e-9)


def test_frames_of_a_scene_are_alike_and_scenes_differ(here, drawn):
    frames = by_name(drawn)["image_frames"]
    editing = by_name(drawn)["editing"].values
    scenes = np.rint(editing[:, 0] / editing[:, MEASURED.index("scene_s")]).astype(int)
    ends = np.cumsum(frames.lengths)

    def spread(posts):
        return np.mean(
            [frames.values[ends[p] - frames.lengths[p] : ends[p]].astype(float).var(axis=0).mean() for p in posts]
        )

    assert (scenes <= frames.lengths).all()
    one = np.flatnonzero((scenes == 1) & (frames.lengths == 4))
    four = np.flatnonzero((scenes == 4) & (frames.lengths == 4))
    assert spread(four) > 1.5 * spread(one)


def held_out_fit(values, target, account):
    """R² of a ridge regression on authors that it has not seen, averaged over columns."""
    values = np.column_stack([values, np.ones(len(values))]).astype(np.float64)
    fit = account % 2 == 0
    weights = np.linalg.solve(values[fit].T @ values[fit] + 10 * np.eye(values.shape[1]), values[fit].T @ target[fit])
    left = ((target[~fit] - values[~fit] @ weights) ** 2).sum(axis=0)
    return float(np.mean(1 - left / ((target[~fit] - target[fit].mean(axis=0)) ** 2).sum(axis=0)))


def fits(here, drawn, target):
    found = {}
    for name, modality in by_name(drawn).items():
        values, rows = modality.values.astype(np.float64), np.flatnonzero(modality.present)
        if modality.lengths is not None:
            starts = np.cumsum(modality.lengths) - modality.lengths
            values = np.add.reduceat(values, starts, axis=0) / modality.lengths[:, None]
        values = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)
        found[name] = held_out_fit(values, target[rows], here.account[rows])
    return found


def test_every_modality_tells_something_and_none_tells_all(here, drawn):
    subject, kind = fits(here, drawn, here.content.subject), fits(here, drawn, np.eye(3)[here.content.kind])
    assert subject["image_frames"] > subject["audio"] > 0
    assert max(subject.values()) < 0.8
    assert kind["editing"] > 0.1 > subject["editing"] > -0.02
    assert min(kind.values()) > 0


def test_nothing_but_the_latents_tells_of_a_post(here, drawn):
    """Latents of other authors' posts cannot be read from these arrays."""
    wrong = np.roll(here.content.subject, 37 * 20 + 1, axis=0)
    assert all(fit < 0.02 for fit in fits(here, drawn, wrong).values())


def test_shares_add_up_to_one():
    for shares in SHARES.values():
        assert sum(dataclasses.astuple(shares)) == pytest.approx(1)


def test_an_authors_habits_do_not_average_out(here, drawn):
    """Two halves of an author's posts agree in what the subject does not explain."""
    modality = by_name(drawn)["image_frames"]
    starts = np.cumsum(modality.lengths) - modality.lengths
    posts = np.add.reduceat(modality.values.astype(np.float64), starts, axis=0) / modality.lengths[:, None]
    subject = np.column_stack([here.content.subject, here.content.subject**2, np.ones(len(posts))])
    rest = posts - subject @ np.linalg.lstsq(subject, posts, rcond=None)[0]
    halves = rest.reshape(200, 2, 10, -1).mean(axis=2)
    agreement = np.corrcoef(halves[:, 0].ravel(), halves[:, 1].ravel())[0, 1]
    assert agreement > 0.5
