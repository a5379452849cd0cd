"""Key frames of simulated videos: hidden-layer vectors, object and sentiment probabilities, their complexity.

Shapes: N posts, F frames of all posts one after another, D units, C classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.market.simulated.decoders import NOISE_DIMS, SHARES, Decoder, Floats, mix
from micromega.market.simulated.latent import Content

UNIT_BIAS, UNIT_NOISE = -0.7, 0.5
"""Units of the hidden layer are max(0, signal + bias + noise · normal), signal of about unit variance: most are 0."""
OBJECT_GAIN, SENTIMENT_GAIN = 3.0, 2.0
"""Steepness of the softmax over classes; objects are more certain than sentiments."""
_BLOCK = 1 << 22
"""Numbers worked on at a time."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The pictures of N posts."""

    frames: NDArray[np.float16]
    """(F, D) hidden-layer vectors."""
    objects: Floats
    """(N, C1) greatest probability of each class over the post's frames; each frame's add up to one."""
    sentiment: Floats
    """(N, C2) the same for adjective–noun pairs."""
    complexity: Floats
    """(N, 4) object spatial and temporal, sentiment spatial and temporal complexity (Tian et al. 2022, App. E)."""
    scenes: NDArray[np.int64]
    """(N,) scenes, at most one per frame."""


def draw_pictures(
    rng: np.random.Generator,
    content: Content,
    habit_NH: Floats,
    frames_N: NDArray[np.int64],
    frame_decoder: Decoder,
    object_decoder: Decoder,
    sentiment_decoder: Decoder,
) -> Pictures:
    """Draw key frames; frames of one scene share everything but the noise of single units.

    A frame begins a new scene with probability 1 / (1 + exp(−s)), s the first coordinate of the post's style.

    Args:
        rng: random stream.
        content: latents of the posts.
        habit_NH: (N, H) habits of their authors.
        frames_N: (N,) frames of each post, 1 or more.
        frame_decoder: to D hidden units.
        object_decoder: to C1 classes.
        sentiment_decoder: to C2 classes.

    Returns:
        The pictures.
    """
    posts, ends = len(frames_N), np.cumsum(frames_N)
    post_F = np.repeat(np.arange(posts), frames_N)
    cut_F = rng.random(len(post_F)) < 1 / (1 + np.exp(-content.style[post_F, 0]))
    cut_F[ends - frames_N] = True
    scene_F = np.cumsum(cut_F) - 1
    scene_post = post_F[cut_F]
    scene_noise = rng.standard_normal((len(scene_post), NOISE_DIMS), dtype=np.float32)
    sizes = [len(decoder.offset) for decoder in (frame_decoder, object_decoder, sentiment_decoder)]
    frames = np.empty((len(post_F), sizes[0]), dtype=np.float16)
    objects, sentiment = np.empty((posts, sizes[1]), np.float32), np.empty((posts, sizes[2]), np.float32)
    complexity = np.empty((posts, 4), dtype=np.float32)
    for block in _blocks(ends, max(1, _BLOCK // max(sizes))):
        first, last = ends[block.start] - frames_N[block.start], ends[block.stop - 1]
        scenes = slice(scene_F[first], scene_F[last - 1] + 1)
        post = scene_post[scenes]
        latent = mix(content, post, habit_NH[post], scene_noise[scenes], SHARES["image"])
        scene = scene_F[first:last] - scenes.start
        noise = rng.standard_normal((last - first, sizes[0]), dtype=np.float32)
        signal = frame_decoder(latent)[scene] + np.float32(UNIT_BIAS) + np.float32(UNIT_NOISE) * noise
        frames[first:last] = np.maximum(signal, 0)
        starts = ends[block] - frames_N[block] - first
        count = frames_N[block].astype(np.float32)
        for target, decoder, gain, columns in (
            (objects, object_decoder, OBJECT_GAIN, slice(0, 2)),
            (sentiment, sentiment_decoder, SENTIMENT_GAIN, slice(2, 4)),
        ):
            chance = _softmax(np.float32(gain) * decoder(latent) + decoder.offset)[scene]
            target[block] = np.maximum.reduceat(chance, starts, axis=0)
            complexity[block, columns] = content_complexity(chance, starts, count)
    return Pictures(
        frames=frames,
        objects=objects,
        sentiment=sentiment,
        complexity=complexity,
        scenes=np.bincount(scene_post, minlength=posts),
    )


def content_complexity(chance_FC: Floats, starts: NDArray[np.int64], count_N: Floats) -> Floats:
    """Spatial and temporal content complexity (Tian et al. 2022, Web Appendix E).

    Args:
        chance_FC: (F, C) class probabilities of frames, post by post.
        starts: (N,) first frame of each post.
        count_N: (N,) frames of each post.

    Returns:
        (N, 2): variance over classes, averaged over frames; variance over frames, averaged over classes.
    """
    mean_NC = np.add.reduceat(chance_FC, starts, axis=0) / count_N[:, None]
    within = np.square(chance_FC - np.repeat(mean_NC, count_N.astype(np.int64), axis=0)).mean(axis=1)
    spatial = np.add.reduceat(chance_FC.var(axis=1), starts) / count_N
    temporal = np.add.reduceat(within, starts) / count_N
    return np.stack([spatial, temporal], axis=1)


def _blocks(ends: NDArray[np.int64], frames: int) -> Iterator[slice]:
    """Cut posts into runs of about `frames` frames, at least one post each."""
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + frames, side="right")))
        yield slice(start, stop)
        start = stop


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares
