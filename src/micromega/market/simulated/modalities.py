"""What the pictures, sound, overlaid and spoken words and editing of simulated posts look like.

The four modalities and their sizes follow Web Appendix E of Tian et al. 2022, times `scale`; every post is a short
video with a key frame every five seconds. Values come from random networks over the latents (`decoders`), so that
what one modality says about a post overlaps with, and differs from, what another says.

Shapes: N posts, F frames of all posts one after another, A authors in this call.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.market.simulated.decoders import (
    BRAND_HABIT,
    HABIT_DIMS,
    NOISE_DIMS,
    SHARES,
    Decoder,
    Floats,
    draw_decoder,
    mix,
)
from micromega.market.simulated.latent import Content
from micromega.market.simulated.pictures import draw_pictures
from micromega.market.simulated.words import Lexicon, draw_words, joined

FRAME, OBJECTS, SENTIMENTS, SOUNDS, EFFECTS = 4_096, 1_000, 2_089, 521, 148
"""Real sizes: VGG-19's hidden layer and classes, SentiBank's concepts, YAMNet's classes, editing beyond `MEASURED`."""
ACOUSTIC = 10
SMALLEST = 8
MEASURED = (
    "length_s", "sticker_words", "scene_s", "object_spatial", "object_temporal", "sentiment_spatial",
    "sentiment_temporal", "lightness", "symmetry",
)  # fmt: skip
"""First columns of `editing`; the rest are effects that are on (1) or off (0)."""
NO_STICKER, NO_SPEECH, NO_AUDIO = 0.5, 0.6, 0.05
"""Shares of posts without overlaid words, spoken words, sound; missing at random."""
STICKER_WORDS, MAX_STICKER_WORDS = 5.0, 12
SPEECH_RATE = 1.2
"""Mean spoken words per second."""
MAX_SPEECH_WORDS = 100
EVERYDAY = {"sticker": 0.3, "speech": 0.6}
"""Shares of words that say nothing about the subject (captions: 0.45)."""
LENGTH_S = np.array([13.0, 16.0, 24.0])
"""Median length of a video by kind: special effects, self-expression, product demonstration."""
LENGTH_SD, SHORTEST_S, LONGEST_S = 0.6, 3.0, 60.0
FRAME_EVERY_S = 5.0
SOUND_BIAS, SOUND_GAIN = -3.0, 1.5
EFFECT_BIAS, EFFECT_GAIN = -1.5, 1.5


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the market's writer must know of a feature array before the first post."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    ragged: bool


@dataclass(frozen=True, kw_only=True)
class Modality:
    """One feature array of N posts."""

    layout: Layout
    present: NDArray[np.bool_]
    """(N,) posts that have it; n of them."""
    values: NDArray[np.floating[Any]]
    """(n, *shape), or all sequences one after another."""
    lengths: NDArray[np.int64] | None
    """(n,) items of each post's sequence; None where every post has one item."""


@dataclass(frozen=True, kw_only=True)
class Modalities:
    """What N posts look and sound like."""

    sticker_text: pa.Array
    """(N,) words overlaid on the video, null where there are none."""
    speech_text: pa.Array
    """(N,) words spoken, null where there are none."""
    duration_s: NDArray[np.float64]
    """(N,) length of the video in seconds."""
    arrays: tuple[Modality, ...]
    """In the order of `Decoders.layouts`; none where scale is 0."""


@dataclass(frozen=True, kw_only=True)
class Decoders:
    """The market's own networks, drawn once and used for every post."""

    frames: Decoder
    objects: Decoder
    sentiment: Decoder
    audio: Decoder
    editing: Decoder
    brand_habit: Floats
    """(HABIT_DIMS,) mean habit of brands."""
    layouts: tuple[Layout, ...]


def draw_decoders(rng: np.random.Generator, *, scale: float) -> Decoders | None:
    """Draw the networks of a market.

    Args:
        rng: random stream.
        scale: share of the real dimensions, 0 to 1; no part is shorter than 8.

    Returns:
        The networks; None without feature arrays (scale 0).
    """
    if scale == 0:
        return None
    frame, objects, sentiments, sounds, effects = (
        max(SMALLEST, round(real * scale)) for real in (FRAME, OBJECTS, SENTIMENTS, SOUNDS, EFFECTS)
    )
    audio, editing = 1 + sounds + ACOUSTIC, len(MEASURED) + effects
    return Decoders(
        frames=draw_decoder(rng, outputs=frame),
        objects=draw_decoder(rng, outputs=objects),
        sentiment=draw_decoder(rng, outputs=sentiments),
        audio=draw_decoder(rng, outputs=audio),
        editing=draw_decoder(rng, outputs=2 + effects),
        brand_habit=np.float32(BRAND_HABIT) * rng.standard_normal(HABIT_DIMS, dtype=np.float32),
        layouts=(
            Layout(name="image_frames", shape=(frame,), dtype="float16", ragged=True),
            Layout(name="image_objects", shape=(objects,), dtype="float32", ragged=False),
            Layout(name="image_sentiment", shape=(sentiments,), dtype="float32", ragged=False),
            Layout(name="audio", shape=(audio,), dtype="float32", ragged=False),
            Layout(name="editing", shape=(editing,), dtype="float32", ragged=False),
        ),
    )


def draw_modalities(
    rng: np.random.Generator,
    content: Content,
    *,
    account: NDArray[np.int64],
    is_brand: NDArray[np.bool_],
    voice: NDArray[np.float64],
    lexicon: Lexicon,
    decoders: Decoders | None,
) -> Modalities:
    """Draw what posts look and sound like.

    All posts of an author must come in one call: habits are drawn per author. Texts and lengths do not depend on the
    scale, and no modality's draws depend on another's.

    Args:
        rng: random stream of these posts.
        content: latents of the N posts.
        account: (N,) author of each post.
        is_brand: (N,) whether the author is a brand.
        voice: (N, V) wording habits of each post's author.
        lexicon: the words.
        decoders: the market's networks, or None for texts and lengths alone.

    Returns:
        Texts, lengths and feature arrays.
    """
    text_rng, habit_rng, image_rng, audio_rng, editing_rng = rng.spawn(5)
    posts = len(account)
    duration_N = LENGTH_S[content.kind] * np.exp(LENGTH_SD * text_rng.standard_normal(posts))
    duration_N = np.round(np.clip(duration_N, SHORTEST_S, LONGEST_S), 1)
    sticker_count_N = 1 + text_rng.poisson(STICKER_WORDS - 1, posts).clip(max=MAX_STICKER_WORDS - 1)
    sticker_count_N[text_rng.random(posts) < NO_STICKER] = 0
    speech_count_N = 1 + text_rng.poisson(SPEECH_RATE * duration_N).clip(max=MAX_SPEECH_WORDS - 1)
    speech_count_N[text_rng.random(posts) < NO_SPEECH] = 0
    sticker = _texts(text_rng, content.subject, voice, lexicon, sticker_count_N, EVERYDAY["sticker"])
    speech = _texts(text_rng, content.subject, voice, lexicon, speech_count_N, EVERYDAY["speech"])
    arrays: tuple[Modality, ...] = ()
    if decoders is not None:
        authors, place_N = np.unique(account, return_inverse=True)
        habit_NH = habit_rng.standard_normal((len(authors), HABIT_DIMS), dtype=np.float32)[place_N]
        habit_NH[is_brand] += decoders.brand_habit
        frames_N = 1 + (duration_N / FRAME_EVERY_S).astype(np.int64)
        pictures = draw_pictures(
            image_rng, content, habit_NH, frames_N, decoders.frames, decoders.objects, decoders.sentiment
        )
        has_sound = audio_rng.random(posts) >= NO_AUDIO
        editing = _editing(editing_rng, content, habit_NH, decoders.editing)
        measured = np.stack([duration_N, sticker_count_N, duration_N / pictures.scenes], axis=1)
        values: tuple[NDArray[np.floating[Any]], ...] = (
            pictures.frames,
            pictures.objects,
            pictures.sentiment,
            _audio(audio_rng, content, habit_NH, decoders.audio)[has_sound],
            np.concatenate([measured.astype(np.float32), pictures.complexity, editing], axis=1),
        )
        arrays = tuple(
            Modality(
                layout=layout,
                present=has_sound if layout.name == "audio" else np.ones(posts, dtype=bool),
                values=found,
                lengths=frames_N if layout.ragged else None,
            )
            for layout, found in zip(decoders.layouts, values, strict=True)
        )
    return Modalities(sticker_text=sticker, speech_text=speech, duration_s=duration_N, arrays=arrays)


def _texts(
    rng: np.random.Generator,
    subject_NL: NDArray[np.float64],
    voice_NV: NDArray[np.float64],
    lexicon: Lexicon,
    count_N: NDArray[np.int64],
    everyday: float,
) -> pa.Array:
    """Draw texts of given lengths; null where the length is 0."""
    some = np.flatnonzero(count_N)
    longest = int(count_N.max(initial=0))
    words_SM = draw_words(rng, subject_NL[some], voice_NV[some], lexicon, count=longest)
    zipf = 1 / np.arange(1, lexicon.common.stop - lexicon.common.start + 1)
    common_SM = lexicon.common.start + rng.choice(len(zipf), words_SM.shape, p=zipf / zipf.sum())
    words_SM = np.where(rng.random(words_SM.shape) < everyday, common_SM, words_SM)
    row_T, place_T = np.nonzero(np.arange(longest) < count_N[some, None])
    texts = joined(lexicon.words[words_SM[row_T, place_T]], some[row_T], len(count_N))
    return pc.if_else(pa.array(count_N > 0), texts, pa.scalar(None, pa.string()))


def _audio(rng: np.random.Generator, content: Content, habit_NH: Floats, decoder: Decoder) -> Floats:
    """(N, 1 + sounds + 10): universality, probabilities of sounds over the track, descriptors in standard units."""
    noise = rng.standard_normal((len(habit_NH), NOISE_DIMS), dtype=np.float32)
    out = decoder(mix(content, np.arange(len(noise)), habit_NH, noise, SHARES["audio"]))
    sounds = slice(1, -ACOUSTIC)
    out[:, 0] = _sigmoid(out[:, 0])
    out[:, sounds] = _sigmoid(SOUND_GAIN * out[:, sounds] + decoder.offset[sounds] + SOUND_BIAS)
    return out


def _editing(rng: np.random.Generator, content: Content, habit_NH: Floats, decoder: Decoder) -> Floats:
    """(N, 2 + effects): lightness, symmetry, effects that are on or off."""
    noise = rng.standard_normal((len(habit_NH), NOISE_DIMS), dtype=np.float32)
    out = decoder(mix(content, np.arange(len(noise)), habit_NH, noise, SHARES["editing"]))
    out[:, :2] = _sigmoid(out[:, :2])
    chance = _sigmoid(EFFECT_GAIN * out[:, 2:] + decoder.offset[2:] + EFFECT_BIAS)
    out[:, 2:] = rng.random(chance.shape, dtype=np.float32) < chance
    return out


def _sigmoid(values: Floats) -> Floats:
    bounded: Floats = 0.5 * (1 + np.tanh(0.5 * values))
    return bounded
